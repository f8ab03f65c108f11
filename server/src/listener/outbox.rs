use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;
use tachograph_core::instrument::Counter;
use tachograph_core::wire::{Envelope, Identity, Metrics, ServerMessage};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::memory::{Account, Held};

/// Messages that may wait for a client that does not read. Metrics never pile up: a newer one of a
/// source replaces an older one.
const WAITING_MAX: usize = 256;

/// What goes to one client, in order: bounded, numbered, and closed once.
#[derive(Debug)]
pub(super) struct Outbox {
    state: Mutex<State>,
    /// What the connection and its session hold.
    pub(super) account: Arc<Account>,
    changed: Notify,
    conflated_total: Counter,
    /// Cancelled when the client does not read what is sent.
    pub(super) not_read: CancellationToken,
    /// Cancelled when the connection cannot be written to.
    pub(super) lost: CancellationToken,
    /// Cancelled when the session is to end for want of memory.
    pub(super) shed: CancellationToken,
}

#[derive(Debug, Default)]
struct State {
    identity: Arc<Identity>,
    waiting: VecDeque<Waiting>,
    last_seq: u64,
    conflated: TickCount,
    closing: Option<Closing>,
}

#[derive(Debug)]
struct Waiting {
    seq: u64,
    identity: Arc<Identity>,
    message: ServerMessage,
    _held: Held,
}

/// How a connection is closed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Closing {
    pub(super) code: u16,
    pub(super) reason: &'static str,
}

/// What the writer is to do next.
#[derive(Debug)]
pub(super) enum Outgoing {
    Text(String),
    Close(Closing),
}

impl Outbox {
    /// An empty outbox that adds what it conflates to `conflated_total`.
    pub(super) fn new(conflated_total: Counter, account: Arc<Account>) -> Self {
        Self {
            state: Mutex::default(),
            account,
            changed: Notify::new(),
            conflated_total,
            not_read: CancellationToken::new(),
            lost: CancellationToken::new(),
            shed: CancellationToken::new(),
        }
    }

    /// Whose the messages are from now on.
    pub(super) fn set_identity(&self, identity: Identity) {
        self.state.lock().identity = Arc::new(identity);
    }

    /// Queues a message; nothing after the close.
    pub(super) fn push(&self, message: ServerMessage) {
        let mut state = self.state.lock();
        if state.closing.is_some() {
            return;
        }
        if let ServerMessage::Metrics(figures) = &message {
            self.conflated_total.add(state.conflate(figures));
        }
        if state.waiting.len() >= WAITING_MAX {
            self.not_read.cancel();
            return;
        }
        state.last_seq += 1;
        let (seq, identity) = (state.last_seq, Arc::clone(&state.identity));
        let held = self.account.hold(held_by(&message));
        state.waiting.push_back(Waiting { seq, identity, message, _held: held });
        drop(state);
        self.changed.notify_one();
    }

    /// Closes the connection once everything queued is written.
    pub(super) fn close(&self, code: u16, reason: &'static str) {
        self.state.lock().closing.get_or_insert(Closing { code, reason });
        self.changed.notify_one();
    }

    /// What to write next; waits for it. There is one writer.
    pub(super) async fn next(&self) -> Outgoing {
        loop {
            if let Some(outgoing) = self.take() {
                return outgoing;
            }
            self.changed.notified().await;
        }
    }

    fn take(&self) -> Option<Outgoing> {
        let (waiting, closing) = {
            let mut state = self.state.lock();
            (state.waiting.pop_front(), state.closing)
        };
        match waiting {
            Some(waiting) => Some(Outgoing::Text(waiting.encode())),
            None => closing.map(Outgoing::Close),
        }
    }

    /// Ticks some of whose figures were replaced by newer ones.
    pub(super) fn ticks_conflated(&self) -> u64 {
        self.state.lock().conflated.total
    }
}

/// About how much a message takes while it waits: itself, and its texts.
fn held_by(message: &ServerMessage) -> usize {
    let further = match message {
        ServerMessage::Status(status) => status.message.len(),
        ServerMessage::Error(error) => error.message.len(),
        ServerMessage::Metrics(figures) => size_of::<Metrics>() + figures.provider.len() + figures.model_id.len(),
        // The receipt's own parts are about as long as the text of them.
        ServerMessage::FinalSummary(summary) => 2 * summary.markdown.len(),
    };
    size_of::<Waiting>() + further
}

/// Counts ticks by the messages of their sources.
#[derive(Debug, Default)]
struct TickCount {
    newest: u64,
    total: u64,
}

impl TickCount {
    fn count(&mut self, tick: u64) {
        if tick > self.newest {
            self.newest = tick;
            self.total += 1;
        }
    }
}

impl State {
    /// Removes older metrics of the same source. Returns how many those were.
    fn conflate(&mut self, newer: &Metrics) -> u64 {
        let Self { waiting, conflated, .. } = self;
        let before = waiting.len();
        waiting.retain(|older| match &older.message {
            ServerMessage::Metrics(older) if older.source == newer.source => {
                conflated.count(older.tick);
                false
            }
            _ => true,
        });
        (before - waiting.len()) as u64
    }
}

impl Waiting {
    fn encode(&self) -> String {
        let envelope =
            Envelope { message: Cow::Borrowed(&self.message), identity: Cow::Borrowed(&self.identity), seq: self.seq };
        serde_json::to_string(&envelope).unwrap_or_else(|error| {
            tracing::error!(%error, "a message could not be encoded");
            String::from("{}")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tachograph_core::wire::{Status, StatusState};

    fn outbox() -> Outbox {
        let registry = tachograph_core::registry::Registry::new();
        let account = Account::open(&crate::memory::SessionsMemory::new(usize::MAX));
        Outbox::new(crate::metrics::ServerMetrics::register(&registry).unwrap().metrics_conflated, account)
    }

    fn status() -> ServerMessage {
        ServerMessage::Status(Status::new(StatusState::Connected, "Connected"))
    }

    fn metrics(tick: u64) -> ServerMessage {
        let registry = tachograph_core::registry::Registry::new();
        let defaults = tachograph_core::registry::DefaultMetrics::register(&registry).unwrap();
        let mut session = tachograph_core::session::Session::new(1, defaults, Default::default(), Default::default());
        session.open_source(tachograph_core::wire::MIC, Default::default()).unwrap();
        ServerMessage::Metrics(Box::new(session.tick(tick, Default::default(), 0.0).remove(0)))
    }

    fn seqs(outbox: &Outbox) -> Vec<u64> {
        std::iter::from_fn(|| outbox.take())
            .filter_map(|outgoing| match outgoing {
                Outgoing::Text(text) => serde_json::from_str::<serde_json::Value>(&text).unwrap()["seq"].as_u64(),
                Outgoing::Close(_) => None,
            })
            .collect()
    }

    #[test]
    fn a_newer_metrics_message_replaces_the_older_one_and_only_that_seq_skips() {
        let outbox = outbox();
        [status(), metrics(1), status(), metrics(2), status()].into_iter().for_each(|message| outbox.push(message));
        assert_eq!(seqs(&outbox), [1, 3, 4, 5]);
        assert_eq!(outbox.ticks_conflated(), 1);
        assert_eq!(outbox.conflated_total.value(), 1);
        assert_eq!(outbox.account.bytes(), 0, "what was taken is held no more");
    }

    #[test]
    fn a_client_that_does_not_read_is_told_apart_from_a_slow_one() {
        let outbox = outbox();
        (0..10_000).for_each(|tick| outbox.push(metrics(tick)));
        assert!(!outbox.not_read.is_cancelled());
        (0..WAITING_MAX).for_each(|_| outbox.push(status()));
        assert!(outbox.not_read.is_cancelled());
        assert_eq!(outbox.state.lock().waiting.len(), WAITING_MAX);
        assert!((WAITING_MAX * 100..WAITING_MAX * 1_000).contains(&outbox.account.bytes()));
    }

    #[test]
    fn the_close_comes_after_everything_queued_and_nothing_after_it() {
        let outbox = outbox();
        outbox.push(status());
        outbox.close(1000, "done");
        outbox.push(status());
        assert!(matches!(outbox.take(), Some(Outgoing::Text(_))));
        assert!(matches!(outbox.take(), Some(Outgoing::Close(Closing { code: 1000, .. }))));
    }
}
