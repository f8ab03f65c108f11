use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use parking_lot::Mutex;
use tachograph_core::session::{Chunk, ChunkResult, Level, ProviderInForce, ProviderPhase, Voice};
use tachograph_core::wire::{ErrorCode, SourceName, Status, StatusState};
use tokio::sync::Notify;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument;

use super::kept::Kept;
use super::listened::Listened;
use crate::provider::{Provider, ProviderError, ProviderFactory, Quality};
use crate::session::Source;

/// Chunks that may fail one after the other before the provider is made anew.
const FAILURES_MAX: u32 = 3;
/// Restarts without a good chunk between them before the provider counts as failed.
const RESTARTS_MAX: u32 = 3;
const FIRST_RESTART_AFTER: Duration = Duration::from_millis(500);
/// A failed provider is tried again so often.
const RETRY_FAILED_EVERY: Duration = Duration::from_secs(30);
const OPEN_MAX: Duration = Duration::from_secs(10);
/// How long a provider may take to be told how well to work, with the wait for a thread.
const QUALITY_MAX: Duration = Duration::from_secs(5);

/// Threads that a source's providers may block at once when they are told. One that is made anew may be better than the
/// one before; one after the other would take them all.
const CALLS_MAX: usize = 2;
const BLOCKED: &str = "it blocks its thread";

/// The provider that works for a source now, if one does.
type ProviderInUse = Arc<Mutex<Option<Arc<dyn Provider>>>>;

/// Takes one source's chunks and has its provider process them, one at a time, whatever the provider does.
pub(super) struct Worker {
    listened: Arc<Listened>,
    source: SourceName,
    handle: Source,
    /// Audio came, or the level may have changed.
    wake: Arc<Notify>,
    in_use: ProviderInUse,
    /// What the provider in use was told.
    quality: Option<Quality>,
    on_fallback: bool,
    /// Calls that told a provider how well to work and have not come back: of the first one, and of the fallback.
    calls: [Vec<JoinHandle<ProviderInForce>>; 2],
    failures: u32,
    restarts: u32,
    failure_told: bool,
}

/// Why a chunk came to nothing.
enum Failure {
    Refused(ProviderError),
    Panicked,
    TookTooLong,
}

impl Worker {
    pub(super) fn new(listened: Arc<Listened>, source: SourceName, wake: Arc<Notify>) -> Self {
        Self {
            handle: listened.source(source),
            listened,
            source,
            wake,
            in_use: Arc::new(Mutex::new(None)),
            quality: None,
            on_fallback: false,
            calls: [Vec::new(), Vec::new()],
            failures: 0,
            restarts: 0,
            failure_told: false,
        }
    }

    /// Asks whichever provider works for the source.
    pub(super) fn watch_health(&self) {
        let in_use = Arc::clone(&self.in_use);
        self.handle.watch_health(move || {
            let provider = in_use.lock().clone();
            async move {
                let provider = provider.ok_or_else(|| ProviderError("no provider works for the source".into()))?;
                provider.health().await
            }
        });
    }

    /// Works until the session drains and nothing is left, or nothing can be done about it.
    pub(super) async fn run(mut self) {
        while let Some((provider, chunk)) = self.next_job().await {
            self.process(provider, chunk).await;
        }
    }

    /// The next chunk, and the provider that the source's level calls for by then.
    async fn next_job(&mut self) -> Option<(Arc<dyn Provider>, Chunk)> {
        loop {
            let provider = self.provider().await?;
            self.follow_quality(&provider).await;
            if self.quality.is_none() {
                continue;
            }
            let draining = self.is_draining();
            match self.listened.next_chunk(self.source, draining) {
                Some(chunk) => return Some((provider, chunk)),
                None if draining => return None,
                None => self.wait_for_news().await,
            }
        }
    }

    fn is_draining(&self) -> bool {
        self.listened.session.draining().is_cancelled()
    }

    async fn wait_for_news(&self) {
        tokio::select! {
            () = self.wake.notified() => {}
            () = self.listened.session.draining().cancelled() => {}
        }
    }

    // ---- the provider

    /// The provider that the source's level calls for; made, or made anew, if need be. None when the
    /// session drains and its provider is down.
    async fn provider(&mut self) -> Option<Arc<dyn Provider>> {
        loop {
            self.follow_level();
            let in_use = self.in_use.lock().clone();
            if in_use.is_some() {
                return in_use;
            }
            if self.restarts > 0 && self.is_draining() {
                return None;
            }
            if self.wait_before_restart().await {
                self.open().await;
            }
        }
    }

    fn factory(&self) -> &dyn ProviderFactory {
        let providers = &self.listened.listener.providers;
        match &providers.fallback {
            Some(fallback) if self.on_fallback => &**fallback,
            _ => &*providers.primary,
        }
    }

    fn wants_fallback(&self) -> bool {
        self.handle.level() >= Level::Failover
    }

    /// Lets go of a provider that the level no longer calls for.
    fn follow_level(&mut self) {
        if self.wants_fallback() != self.on_fallback {
            self.on_fallback = !self.on_fallback;
            (self.failures, self.restarts) = (0, 0);
            self.let_go();
        }
    }

    fn let_go(&mut self) {
        *self.in_use.lock() = None;
        self.quality = None;
    }

    /// Tells the provider how well to work when that changes, and the session what is in force then.
    async fn follow_quality(&mut self, provider: &Arc<dyn Provider>) {
        let reduced = self.handle.level() >= Level::Degrade;
        let quality = if reduced { Quality::Reduced } else { Quality::Full };
        if self.quality == Some(quality) {
            return;
        }
        match self.tell_quality(Arc::clone(provider), quality).await {
            Ok(in_force) => {
                self.handle.set_provider(in_force);
                self.quality = Some(quality);
            }
            Err(reason) => self.restart(reason),
        }
    }

    /// On a thread that may be blocked: one that is costs its provider, not the server.
    async fn tell_quality(
        &mut self,
        provider: Arc<dyn Provider>,
        quality: Quality,
    ) -> Result<ProviderInForce, &'static str> {
        let places = self.listened.app.provider_calls.of(self.on_fallback);
        let calls = &mut self.calls[usize::from(self.on_fallback)];
        calls.retain(|call| !call.is_finished());
        if calls.len() >= CALLS_MAX {
            return Err(BLOCKED);
        }
        let deadline = Instant::now() + QUALITY_MAX;
        let place = timeout_at(deadline, places.acquire_owned()).await.map_err(|_| BLOCKED)?;
        let mut call = spawn_blocking(move || {
            let _place = place;
            provider.set_quality(quality);
            provider.in_force()
        });
        match timeout_at(deadline, &mut call).await {
            Ok(told) => told.map_err(|_| "it panicked"),
            Err(_) => {
                calls.push(call);
                Err(BLOCKED)
            }
        }
    }

    /// False when the wait ended early because something changed.
    async fn wait_before_restart(&self) -> bool {
        let pause = match self.restarts {
            0 => return true,
            restart if restart <= RESTARTS_MAX => FIRST_RESTART_AFTER * 2_u32.pow(restart - 1),
            _ => RETRY_FAILED_EVERY,
        };
        let wait = sleep(pause);
        tokio::pin!(wait);
        loop {
            tokio::select! {
                () = &mut wait => return true,
                () = self.wait_for_news() => {}
            }
            if self.is_draining() || self.wants_fallback() != self.on_fallback {
                return false;
            }
        }
    }

    async fn open(&mut self) {
        let opened = AssertUnwindSafe(async { self.factory().open(self.source).await }).catch_unwind();
        match timeout(OPEN_MAX, opened).await {
            Ok(Ok(Ok(provider))) => {
                let kept = Kept::new(provider, &self.listened.app.provider_calls, self.on_fallback);
                *self.in_use.lock() = Some(Arc::new(kept));
                if self.restarts > 0 {
                    self.listened.app.metrics.provider_restarts.inc();
                }
                self.count_as_sound();
            }
            Ok(Ok(Err(error))) => self.restart(&error.to_string()),
            Ok(Err(_)) => self.restart("it panicked"),
            Err(_) => self.restart("it could not be made in time"),
        }
    }

    /// A provider that failed counts as well again only when a chunk went well.
    fn count_as_sound(&self) {
        if self.restarts == 0 {
            self.handle.set_provider_phase(ProviderPhase::Sound);
        }
    }

    /// Lets go of a provider that failed. It is made anew after a pause that grows.
    fn restart(&mut self, reason: &str) {
        self.let_go();
        (self.failures, self.restarts) = (0, self.restarts.saturating_add(1));
        tracing::warn!(source = %self.source, reason, restart = self.restarts, "the provider failed");
        if self.restarts <= RESTARTS_MAX {
            self.handle.set_provider_phase(ProviderPhase::Restarting);
            self.tell(StatusState::Warning, "The provider failed and is being restarted");
        } else {
            self.handle.set_provider_phase(ProviderPhase::Failed);
            self.tell_failure();
        }
    }

    /// Tells once, until a chunk goes well again.
    fn tell_failure(&mut self) {
        if !std::mem::replace(&mut self.failure_told, true) {
            self.tell(StatusState::Error, "The provider failed");
            let message = "the provider failed; audio is dropped until it works again";
            self.listened.session.tell_fault(ErrorCode::ProviderFailed, message);
        }
    }

    fn tell(&self, state: StatusState, message: &'static str) {
        self.listened.session.tell(Status { source: Some(self.source), ..Status::new(state, message) });
    }

    // ---- one chunk

    async fn process(&mut self, provider: Arc<dyn Provider>, chunk: Chunk) {
        self.count_as_sound();
        self.listened.begin_chunk(self.source);
        let outcome = self.fill_next_chunk_until(self.run_provider(provider, chunk.clone())).await;
        match outcome {
            Ok(result) => {
                self.listened.end_chunk(self.source, &chunk, Some(result));
                (self.failures, self.restarts, self.failure_told) = (0, 0, false);
            }
            Err(failure) => {
                self.listened.end_chunk(self.source, &chunk, None);
                self.count_failure(&failure);
            }
        }
        self.count_as_sound();
    }

    async fn fill_next_chunk_until<T>(&self, done: impl Future<Output = T>) -> T {
        tokio::pin!(done);
        loop {
            self.listened.fill_chunk(self.source);
            tokio::select! {
                biased;
                result = &mut done => return result,
                () = self.wake.notified() => {}
            }
        }
    }

    /// On a task of its own: neither a panic nor a hang of the provider reaches the worker.
    async fn run_provider(&self, provider: Arc<dyn Provider>, chunk: Chunk) -> Result<ChunkResult, Failure> {
        let work = async move {
            let began = Instant::now();
            let voice: Result<Option<Voice>, ProviderError> = provider.process(chunk).await;
            (voice, began.elapsed())
        };
        let task = AbortOnDropHandle::new(tokio::spawn(work.in_current_span()));
        match timeout(self.listened.listener.chunk_timeout, task).await {
            Ok(Ok((Ok(voice), inference))) => Ok(ChunkResult { inference, voice }),
            Ok(Ok((Err(error), _))) => Err(Failure::Refused(error)),
            Ok(Err(_)) => Err(Failure::Panicked),
            Err(_) => Err(Failure::TookTooLong),
        }
    }

    /// An error may pass by itself; a panic or a hang, or a failure right after a restart, does not.
    fn count_failure(&mut self, failure: &Failure) {
        self.failures += 1;
        match failure {
            Failure::Panicked => self.restart("it panicked"),
            Failure::TookTooLong => self.restart("a chunk took too long"),
            Failure::Refused(error) if self.restarts > 0 || self.failures >= FAILURES_MAX => {
                self.restart(&error.to_string());
            }
            Failure::Refused(error) => tracing::warn!(source = %self.source, %error, "a chunk failed"),
        }
    }
}
