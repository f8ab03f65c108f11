use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use futures_util::StreamExt;
use tachograph_core::snapshot::RegistrySnapshot;
use tachograph_core::wire::frame::{Arrival, Follower, State};
use tachograph_core::wire::{EventKind, Receipt, SourceName, SourceReceipt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_tungstenite::WebSocketStream;
use tokio_util::sync::CancellationToken;

use crate::Failure;
use crate::client::{check_receipt, open_socket};

/// Counters of ticks that were missed: the server's, and all sessions'.
const MISSED: [&str; 2] = ["tachograph_ticks_missed", "tachograph_session_ticks_missed"];

/// A viewer of the whole stream from the first frame to the last, who adds up every session's receipt.
pub(super) struct Auditor {
    watching: JoinHandle<Result<Audited, Failure>>,
    is_over: CancellationToken,
    alive_tasks: Arc<AtomicU64>,
}

/// What the stream told, all together.
#[derive(Debug, Default)]
pub(super) struct Audited {
    pub(super) frames: u64,
    pub(super) sessions_started: u64,
    pub(super) receipts: u64,
    pub(super) ticks_missed_in_receipts: u64,
    pub(super) totals: BTreeMap<SourceName, Totals>,
    pub(super) events_dropped: u64,
    /// Receipts that do not balance, and frames that are missing.
    pub(super) faults: Vec<String>,
    pub(super) missed: Vec<Missed>,
    missed_before: [u64; 2],
    newest: u64,
    alive_tasks: Arc<AtomicU64>,
}

/// Of one source, over all sessions.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Totals {
    pub(super) bytes_received: u64,
    pub(super) bytes_dropped: u64,
    pub(super) frames_received: u64,
    pub(super) frames_dropped: u64,
    pub(super) chunks_processed: u64,
    pub(super) chunks_failed: u64,
}

/// Ticks that were missed in the second before `heard`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Missed {
    pub(super) heard: Instant,
    pub(super) counter: &'static str,
    pub(super) ticks: u64,
}

impl Auditor {
    pub(super) async fn start(address: &str) -> Result<Self, Failure> {
        let socket = open_socket(address, "/ws/stream", None).await?;
        let is_over = CancellationToken::new();
        let audited = Audited::default();
        let alive_tasks = Arc::clone(&audited.alive_tasks);
        let watching = tokio::spawn(watch(socket, audited, is_over.clone()));
        Ok(Self { watching, is_over, alive_tasks })
    }

    /// Tasks of the server at the newest frame, its own connection's among them.
    pub(super) fn alive_tasks(&self) -> u64 {
        self.alive_tasks.load(Ordering::Relaxed)
    }

    pub(super) async fn end(self) -> Result<Audited, Failure> {
        self.is_over.cancel();
        self.watching.await?
    }
}

async fn watch(
    mut socket: WebSocketStream<TcpStream>,
    mut audited: Audited,
    is_over: CancellationToken,
) -> Result<Audited, Failure> {
    let mut follower = Follower::default();
    loop {
        let message = tokio::select! {
            () = is_over.cancelled() => {
                socket.close(None).await?;
                return Ok(audited);
            }
            message = socket.next() => message.ok_or("the stream ended for its auditor")??,
        };
        follower.take(&message.into_data(), |arrival| match arrival {
            Arrival::Newest(state) => audited.take(state),
            Arrival::Skipped(frames) => audited.faults.push(format!("{frames} frames were skipped for the auditor")),
            Arrival::Hello(_) | Arrival::Fills(_) => {}
        })?;
    }
}

impl Audited {
    fn take(&mut self, state: &State) {
        let seq = state.head().seq;
        if self.newest > 0 && seq != self.newest + 1 {
            self.faults.push(format!("frame {seq} came after frame {}", self.newest));
        }
        self.newest = seq;
        self.frames += 1;
        self.events_dropped += state.events_dropped();
        let registry = state.registry();
        let tasks = registry.gauge("tokio_alive_tasks", &[]).unwrap_or_default();
        self.alive_tasks.store(tasks as u64, Ordering::Relaxed);
        self.note_missed(&registry);
        for event in state.events() {
            match &event.kind {
                EventKind::SessionStarted => self.sessions_started += 1,
                EventKind::SessionEnded => match event.receipt.as_deref() {
                    Some(receipt) => self.add_receipt(receipt),
                    None => self.faults.push(format!("session {:?} ended without a receipt", event.session)),
                },
                _ => {}
            }
        }
    }

    fn note_missed(&mut self, registry: &RegistrySnapshot) {
        for (counter, before) in MISSED.into_iter().zip(&mut self.missed_before) {
            let now = registry.counter(counter, &[]).unwrap_or_default();
            if now > *before {
                self.missed.push(Missed { heard: Instant::now(), counter, ticks: now - *before });
            }
            *before = now;
        }
    }

    fn add_receipt(&mut self, receipt: &serde_json::Value) {
        self.receipts += 1;
        let receipt: Receipt = match serde_json::from_value(receipt.clone()) {
            Ok(receipt) => receipt,
            Err(error) => return self.faults.push(format!("a receipt cannot be read: {error}")),
        };
        if let Err(fault) = check_receipt(&receipt) {
            self.faults.push(format!("receipt of {:?}: {fault}", receipt.identity.session_id));
        }
        self.ticks_missed_in_receipts += receipt.ticks_missed;
        receipt.sources.iter().for_each(|source| self.totals.entry(source.source).or_default().add(source));
    }
}

impl Totals {
    fn add(&mut self, source: &SourceReceipt) {
        self.bytes_received += source.bytes.received;
        self.bytes_dropped += source.bytes.dropped;
        self.frames_received += source.frames.received;
        self.frames_dropped += source.frames.dropped;
        self.chunks_processed += source.chunks_processed;
        self.chunks_failed += source.chunks_failed;
    }

    /// Beside the counter that must say the same.
    pub(super) fn by_counter(&self) -> [(&'static str, u64); 6] {
        [
            ("audio_bytes_received", self.bytes_received),
            ("audio_bytes_dropped", self.bytes_dropped),
            ("audio_frames_received", self.frames_received),
            ("audio_frames_dropped", self.frames_dropped),
            ("asr_chunks_processed", self.chunks_processed),
            ("asr_errors", self.chunks_failed),
        ]
    }
}
