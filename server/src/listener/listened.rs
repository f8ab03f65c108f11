use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tachograph_core::session::{Audio, Chunk, ChunkResult};
use tachograph_core::wire::{
    DecodeError, FinalSummary, Identity, ServerMessage, SourceName, Start, Status, StatusState,
};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tracing::{Instrument, Span};

use super::Listener;
use super::outbox::Outbox;
use super::worker::Worker;
use crate::app::App;
use crate::memory::{Account, Held};
use crate::session::{Observer, OpenError, Session, SessionBuilder, Source};
use crate::supervise::{Task, supervise};

/// How long tasks that were told to end are waited for.
const ABORT_MAX: Duration = Duration::from_millis(500);
/// What a connection takes, each source that it sends, and each frame beside its audio: the socket's buffers, the
/// tasks that read, write and work, the owner and the pieces of a frame. Measured with a counting allocator: see
/// `tests/session_memory.rs`, which fails when they are not within a half of it.
const CONNECTION_BYTES: usize = 23_600;
const WORKER_BYTES: usize = 5_100;
const FRAME_BYTES: usize = 180;

/// A session whose audio comes by a connection: its queues, and who works for them.
pub(super) struct Listened {
    pub(super) app: App,
    pub(super) listener: Listener,
    pub(super) session: Session,
    audio: Mutex<Audio>,
    client: Arc<Client>,
    /// One a source; they end when their source is drained.
    workers: Mutex<JoinSet<()>>,
    /// What is taken beside the audio.
    held: Mutex<Held>,
}

/// Audio that counts as held until the last piece of it is let go of, whoever has it.
struct CountedAudio {
    pcm: Bytes,
    _held: Held,
}

/// Who sends the audio, and who is woken when there is news for a source.
#[derive(Debug)]
struct Client {
    outbox: Arc<Outbox>,
    wakes: Mutex<BTreeMap<SourceName, Arc<Notify>>>,
}

impl Listened {
    /// # Errors
    /// As many sessions or as much memory as there may be.
    pub(super) fn start(
        app: &App,
        listener: &Listener,
        start: &Start,
        identity: &Identity,
        outbox: &Arc<Outbox>,
    ) -> Result<Arc<Self>, OpenError> {
        let client = Arc::new(Client { outbox: Arc::clone(outbox), wakes: Mutex::default() });
        let session = SessionBuilder::new(app, identity.clone())
            .client_features(start.client_features)
            .sources_max(listener.audio.sources_max)
            .observer(Arc::clone(&client) as Arc<dyn Observer>)
            .sheddable(&outbox.account, &outbox.shed)
            .open()?;
        session.answer(Status {
            client_features: Some(start.client_features),
            ..Status::new(StatusState::Streaming, "Streaming")
        });
        Ok(Arc::new(Self {
            app: App::clone(app),
            audio: Mutex::new(Audio::new(listener.audio.clone())),
            listener: listener.clone(),
            session,
            client,
            workers: Mutex::default(),
            held: Mutex::new(outbox.account.hold(CONNECTION_BYTES)),
        }))
    }

    // ---- audio

    /// Takes in a frame, and begins to work for its source when it is new.
    pub(super) fn receive(self: &Arc<Self>, source: SourceName, frame: Bytes) -> Result<(), DecodeError> {
        // One that is longer than may wait is refused, and let go of with its message.
        let can_wait = frame.len() <= self.listener.audio.queue_bytes_max;
        let frame = if can_wait { CountedAudio::count(frame, &self.client.outbox.account) } else { frame };
        let is_new = {
            let mut audio = self.audio.lock();
            self.session.update(|model, now| audio.receive(model, source, frame, now))?
        };
        if is_new {
            self.work_for(source);
        }
        self.client.wake(source);
        Ok(())
    }

    fn work_for(self: &Arc<Self>, source: SourceName) {
        let wake = Arc::clone(self.client.wakes.lock().entry(source).or_default());
        self.session.hold_source();
        self.held.lock().grow(WORKER_BYTES);
        let listened = Arc::clone(self);
        let work = supervise(Arc::downgrade(&self.app), Task::Worker, move || {
            let worker = Worker::new(Arc::clone(&listened), source, Arc::clone(&wake));
            worker.watch_health();
            worker.run()
        });
        self.workers.lock().spawn(work.instrument(Span::current()));
    }

    pub(super) fn source(&self, name: SourceName) -> Source {
        self.session.handle(name)
    }

    pub(super) fn next_chunk(&self, source: SourceName, flush: bool) -> Option<Chunk> {
        let mut audio = self.audio.lock();
        self.session.update(|model, now| audio.next_chunk(model, source, flush, now))
    }

    /// Prepares the next chunk while the provider works on the one before.
    pub(super) fn fill_chunk(&self, source: SourceName) {
        let mut audio = self.audio.lock();
        self.session.update(|model, now| audio.fill_chunk(model, source, now));
    }

    pub(super) fn begin_chunk(&self, source: SourceName) {
        self.session.update(|model, _| model.work_began(source));
    }

    pub(super) fn end_chunk(&self, source: SourceName, chunk: &Chunk, result: Option<ChunkResult>) {
        let audio = self.audio.lock();
        let work = self.session.update(|model, now| {
            model.work_ended(source);
            audio.end_chunk(model, source, chunk, result, now)
        });
        if let Some(work) = work {
            self.source(source).exemplify(&work);
        }
    }

    // ---- the end

    /// Lets the providers finish what waits, until that takes too long, then ends and sends the receipt.
    pub(super) async fn drain(&self, too_long: impl Future<Output = ()>) {
        self.session.begin_drain();
        let mut workers = std::mem::take(&mut *self.workers.lock());
        tokio::select! {
            () = async { while workers.join_next().await.is_some() {} } => {}
            () = too_long => {}
        }
        if !self.session.is_drained() {
            tracing::warn!("the queues could not be drained: what is left counts as dropped");
        }
        abort(workers).await;
        let json = self.session.end();
        let markdown = json.to_markdown();
        self.client.outbox.push(ServerMessage::FinalSummary(FinalSummary { json, markdown }));
    }

    /// Ends at once: what waits is dropped.
    pub(super) async fn abandon(&self) {
        self.session.begin_drain();
        let workers = std::mem::take(&mut *self.workers.lock());
        abort(workers).await;
        self.session.end();
    }
}

/// Ends tasks; one that blocks its thread is left behind.
async fn abort(mut tasks: JoinSet<()>) {
    tasks.abort_all();
    if timeout(ABORT_MAX, async { while tasks.join_next().await.is_some() {} }).await.is_err() {
        tracing::error!("a task does not end");
        tasks.detach_all();
    }
}

impl CountedAudio {
    fn count(pcm: Bytes, account: &Arc<Account>) -> Bytes {
        let held = account.hold(pcm.len() + FRAME_BYTES);
        Bytes::from_owner(Self { pcm, _held: held })
    }
}

impl AsRef<[u8]> for CountedAudio {
    fn as_ref(&self) -> &[u8] {
        &self.pcm
    }
}

impl Client {
    fn wake(&self, source: SourceName) {
        if let Some(wake) = self.wakes.lock().get(&source) {
            wake.notify_one();
        }
    }
}

impl Observer for Client {
    fn tell(&self, message: ServerMessage) {
        if let ServerMessage::Metrics(figures) = &message {
            // The level may have changed: a worker that waits for another provider looks again.
            self.wake(figures.source);
        }
        self.outbox.push(message);
    }

    fn ticks_conflated(&self) -> u64 {
        self.outbox.ticks_conflated()
    }
}
