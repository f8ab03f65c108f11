//! Tasks that live long have an owner: what fails is counted, told, and begun anew.

use std::panic::AssertUnwindSafe;
use std::sync::Weak;
use std::time::Duration;

use futures_util::FutureExt;
use tachograph_core::wire::EventKind;
use tokio::time::{Instant, sleep};

use crate::app::Shared;
use crate::backoff::Backoff;

const FIRST_RESTART_AFTER: Duration = Duration::from_millis(100);
const RESTART_AFTER_MAX: Duration = Duration::from_secs(30);
/// What ran for so long failed for another reason than before.
const SOUND_AFTER: Duration = Duration::from_secs(60);

/// A task that is begun anew when it fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Task {
    /// The server's tick.
    Collector,
    /// A session's tick.
    Session,
    /// What asks for a source's health or level.
    Probe,
    /// What takes a source's audio to its provider.
    #[cfg(feature = "live")]
    Worker,
    /// What writes to a client.
    #[cfg(feature = "live")]
    Writer,
    /// What writes a stream beside the whole one.
    Subscription,
    /// What pushes metrics.
    #[cfg(feature = "otlp")]
    Exporter,
}

impl Task {
    /// Its name as a label.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Collector => "collector",
            Self::Session => "session",
            Self::Probe => "probe",
            #[cfg(feature = "live")]
            Self::Worker => "worker",
            #[cfg(feature = "live")]
            Self::Writer => "writer",
            Self::Subscription => "subscription",
            #[cfg(feature = "otlp")]
            Self::Exporter => "exporter",
        }
    }

    /// What viewers are told; a failure within a session is told with the session.
    pub(crate) const fn told(self) -> &'static str {
        match self {
            Self::Collector => "the server's tick failed and was restarted",
            Self::Session => "the session's tick failed and was restarted",
            Self::Probe => "what asks for a source's health failed and was restarted",
            #[cfg(feature = "live")]
            Self::Worker => "what takes audio to the provider failed and was restarted",
            #[cfg(feature = "live")]
            Self::Writer => "the connection to a client failed",
            Self::Subscription => "a subscription failed; whoever wants it again gets another one",
            #[cfg(feature = "otlp")]
            Self::Exporter => "the exporter of metrics failed and was restarted",
        }
    }
}

/// Runs what `begin` makes until it ends by itself. When it panics that is noted, and it is begun anew after a
/// pause that grows; what it keeps outlives its failure.
pub(crate) async fn supervise<F: Future<Output = ()>>(app: Weak<Shared>, task: Task, mut begin: impl FnMut() -> F) {
    let mut pauses = Backoff::new(FIRST_RESTART_AFTER, RESTART_AFTER_MAX);
    loop {
        let begun = Instant::now();
        if AssertUnwindSafe(async { begin().await }).catch_unwind().await.is_ok() {
            return;
        }
        // With the last who holds it, there is nothing more to work for.
        let Some(app) = app.upgrade() else { return };
        app.note_failure(task);
        drop(app);
        if begun.elapsed() >= SOUND_AFTER {
            pauses.reset();
        }
        sleep(pauses.wait()).await;
    }
}

impl Shared {
    /// Counts a task's failure and tells all who look.
    pub(crate) fn note_failure(&self, task: Task) {
        self.count_failure(task);
        match task {
            Task::Collector => self.tell(None, None, EventKind::CollectorRestarted),
            task => self.tell_fault(task.told()),
        }
    }

    /// Counts a task's failure that its owner tells.
    pub(crate) fn count_failure(&self, task: Task) {
        tracing::error!(task = task.as_str(), "{}", task.told());
        if let Ok(restarts) = self.metrics.task_restarts.with(&[("task", task.as_str())]) {
            restarts.inc();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::Tachograph;

    fn restarts(tacho: &Tachograph, task: Task) -> u64 {
        tacho.metrics().task_restarts.with(&[("task", task.as_str())]).unwrap().value()
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_fails_is_begun_anew_ever_later_and_keeps_what_it_has() {
        let tacho = Tachograph::new().unwrap();
        let (mut turns, began) = (Vec::new(), Instant::now());
        supervise(Arc::downgrade(&tacho.0), Task::Subscription, || {
            turns.push(began.elapsed());
            let is_good = turns.len() > 6;
            async move { assert!(is_good, "on purpose") }
        })
        .await;
        assert_eq!(restarts(&tacho, Task::Subscription), 6);
        let pauses: Vec<_> = turns.windows(2).map(|pair| (pair[1] - pair[0]).as_millis()).collect();
        for (pause, longest) in pauses.iter().zip([100, 200, 400, 800, 1_600, 3_200]) {
            assert!((longest / 2..=longest + 2).contains(pause), "{pauses:?}");
        }
        let (events, _) = tacho.0.hub.events.take();
        let told = events.iter().filter(|event| matches!(&event.kind, EventKind::Fault(fault) if !fault.fatal));
        assert_eq!(told.count(), 6);
    }

    #[tokio::test(start_paused = true)]
    async fn what_ran_for_long_is_begun_anew_soon() {
        let tacho = Tachograph::new().unwrap();
        let mut turns = Vec::new();
        supervise(Arc::downgrade(&tacho.0), Task::Subscription, || {
            turns.push(Instant::now());
            let turn = turns.len();
            async move {
                if turn == 9 {
                    sleep(SOUND_AFTER).await;
                }
                assert!(turn >= 10, "on purpose");
            }
        })
        .await;
        let pause = turns[9] - turns[8] - SOUND_AFTER;
        assert!(pause <= Duration::from_millis(102), "{pause:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_begun_for_nobody() {
        let tacho = Tachograph::new().unwrap();
        let app = Arc::downgrade(&tacho.0);
        drop(tacho);
        let mut turns = 0;
        supervise(app, Task::Subscription, || {
            turns += 1;
            async { panic!("on purpose") }
        })
        .await;
        assert_eq!(turns, 1);
    }
}
