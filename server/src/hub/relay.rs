use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use parking_lot::Mutex;
use tachograph_core::wire::frame::{Filter, Record, Request};
use tokio::task::spawn_blocking;

use super::channel::{Channel, KeyframesWanted};
use super::cursor::Cursor;
use super::form::{Form, WriteError, Writer, Written};
use super::history::{Entry, HistoryLimits};
use crate::app::App;
use crate::error::ApiError;
use crate::supervise::Task;

/// What a reader may be behind, and some more; the past is made anew from the whole stream's.
const LIMITS: HistoryLimits = HistoryLimits { span: Duration::from_secs(15), bytes: 8 << 20 };
/// A relay with nobody to read it ends after this many frames.
const IDLE_FRAMES_MAX: u32 = 5;

/// What of the stream is written, and how.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Wanted {
    pub(crate) filter: Filter,
    pub(crate) form: Form,
}

/// The streams that are written beside the whole one, each once for all of its readers.
#[derive(Debug, Default)]
pub(crate) struct Relays(Mutex<HashMap<Wanted, Arc<Channel>>>);

impl Relays {
    /// The stream that is wanted; begins to write it if nobody wanted it before.
    pub(crate) fn channel(&self, app: &App, wanted: &Wanted) -> Result<Arc<Channel>, ApiError> {
        let mut relays = self.0.lock();
        if let Some(channel) = relays.get(wanted) {
            return Ok(Arc::clone(channel));
        }
        // The whole stream as lines is one for all, and always to be had.
        if relays.len() >= app.limits.now().subscriptions && !wanted.filter.is_everything() {
            app.metrics.subscriptions_refused.inc();
            return Err(ApiError::TooManySubscriptions);
        }
        let channel = Arc::new(Channel::new(LIMITS));
        relays.insert(wanted.clone(), Arc::clone(&channel));
        app.metrics.subscriptions.set(relays.len() as f64);
        // Where the runtime is ending, the task ends at once, here, and the relay takes itself out of the table.
        drop(relays);
        let relay =
            Relay { app: app.clone(), wanted: wanted.clone(), channel: Arc::clone(&channel), is_forgotten: false };
        tokio::spawn(run(relay));
        Ok(channel)
    }

    /// Forgets a stream that only its relay and this table hold.
    fn forget_if_idle(&self, app: &App, wanted: &Wanted) -> bool {
        let mut relays = self.0.lock();
        let is_idle = relays.get(wanted).is_some_and(|channel| Arc::strong_count(channel) <= 2);
        if is_idle {
            self.remove(app, wanted, &mut relays);
        }
        is_idle
    }

    fn remove(&self, app: &App, wanted: &Wanted, relays: &mut HashMap<Wanted, Arc<Channel>>) {
        relays.remove(wanted);
        app.metrics.subscriptions.set(relays.len() as f64);
    }
}

/// Follows the whole stream and writes what is wanted of it, for as long as somebody reads.
async fn run(mut relay: Relay) {
    let Relay { app, wanted, channel, .. } = &relay;
    let ended = tokio::select! {
        // Readers of what failed would find no sense in what another one writes: they come again.
        ended = AssertUnwindSafe(follow(app, wanted, channel)).catch_unwind() => {
            ended.unwrap_or(Err(WriteError::Failed))
        }
        () = app.shutdown.cancelled() => Ok(Ended::Stream),
    };
    if let Err(error) = &ended {
        tracing::error!(%error, "a subscription cannot be served any more");
        app.note_failure(Task::Subscription);
    }
    relay.is_forgotten = matches!(ended, Ok(Ended::Idle));
}

/// A stream that is written. However that ends, also with the runtime, its readers are told, and whoever wants it again
/// gets another one.
struct Relay {
    app: App,
    wanted: Wanted,
    channel: Arc<Channel>,
    is_forgotten: bool,
}

impl Drop for Relay {
    fn drop(&mut self) {
        if !self.is_forgotten {
            let relays = &self.app.hub.relays;
            relays.remove(&self.app, &self.wanted, &mut relays.0.lock());
            self.channel.close();
        }
    }
}

/// Why a relay writes no more.
enum Ended {
    /// Nobody reads, and it is forgotten.
    Idle,
    /// The stream it follows ended.
    Stream,
}

async fn follow(app: &App, wanted: &Wanted, channel: &Arc<Channel>) -> Result<Ended, WriteError> {
    let mut cursor = Cursor::open(app.hub.whole(), app.epoch, Request::Window { seconds: 0 }, KeyframesWanted::Needed);
    let mut writer = Writer::new(wanted.form, &wanted.filter, app.epoch);
    let mut idle = 0;
    loop {
        let Some(batch) = cursor.next().await else { return Ok(Ended::Stream) };
        let wants_keyframe = channel.takes_keyframe_wish();
        let task = spawn_blocking(move || {
            let entries = write(&mut writer, &batch.bytes, wants_keyframe);
            (writer, entries)
        });
        let (returned, entries) = task.await.map_err(|_| WriteError::Failed)?;
        writer = returned;
        let (entries, mut wished) = entries?;
        let mut schema = writer.new_schema();
        let last = entries.last().map(|entry| entry.seq);
        for entry in entries {
            let is_last = Some(entry.seq) == last;
            let take = |held: &mut Option<Bytes>| if is_last { held.take() } else { None };
            channel.publish(entry, take(&mut schema), take(&mut wished));
        }
        idle = if Arc::strong_count(channel) <= 2 { idle + 1 } else { 0 };
        if idle > IDLE_FRAMES_MAX && app.hub.relays.forget_if_idle(app, wanted) {
            return Ok(Ended::Idle);
        }
    }
}

/// The frames of a message, written as wanted, and a keyframe of the last one if one is wished for.
fn write(writer: &mut Writer, bytes: &[u8], wants_keyframe: bool) -> Result<(Vec<Entry>, Option<Bytes>), WriteError> {
    let mut entries: Vec<Entry> = Vec::new();
    for record in Record::all(bytes) {
        let Some(head) = writer.take(&record?)? else { continue };
        let Written { frame, is_self_contained } = writer.written()?;
        let keyframe = is_self_contained.then(|| frame.clone());
        entries.push(Entry { seq: head.seq, tick: head.tick, wall_ms: head.wall_ms, frame, keyframe });
    }
    let wished = if wants_keyframe && !entries.is_empty() { writer.keyframe() } else { None };
    Ok((entries, wished))
}

#[cfg(test)]
mod tests {
    use tachograph_core::wire::EventKind;
    use tokio::time::timeout;

    use super::super::{Subscription, open};
    use super::*;
    use crate::Tachograph;

    /// A frame that cannot be read, which no server writes.
    #[tokio::test]
    async fn a_subscription_that_fails_ends_for_its_readers_and_is_made_anew() {
        let tacho = Tachograph::new().unwrap();
        let app = &tacho.0;
        let subscription = Subscription::parse("metrics=audio_").unwrap();
        super::super::keep_ticking(app);
        let mut reader = open(app, &subscription, Form::Binary).unwrap();
        let seq = app.hub.whole().newest() + 1;
        let frame = Bytes::from_static(b"no frame");
        app.hub.whole().publish(Entry { seq, tick: seq, wall_ms: 0, frame, keyframe: None }, None, None);
        let until_it_ends = async { while reader.next().await.is_some() {} };
        timeout(Duration::from_secs(20), until_it_ends).await.unwrap();
        assert_eq!(app.metrics.task_restarts.with(&[("task", "subscription")]).unwrap().value(), 1);
        let (events, _) = app.hub.events.take();
        assert!(events.iter().any(|event| matches!(event.kind, EventKind::Fault(_))), "{events:?}");
        assert_eq!(app.metrics.subscriptions.value(), 0.0);
        assert!(open(app, &subscription, Form::Binary).is_ok());
    }
}
