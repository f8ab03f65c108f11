//! Keeps a runtime's timers going while one of its threads is blocked.

use std::sync::{Arc, Weak};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::runtime::{Handle, Id, RuntimeFlavor};
use tokio_util::task::AbortOnDropHandle;

/// The longest that all may have to wait for a blocked thread, as long as another one is free.
const EVERY: Duration = Duration::from_millis(100);

/// Tokio's threads take turns at waiting for timers and sockets for all of them. One whose turn ends with a task that
/// blocks it passes the turn on only after that, and until then no timer fires, though other threads are free: a
/// provider that blocks would stop every tick. A thread of its own gives the runtime something to do now and then,
/// which wakes another thread, and that takes the turn.
#[derive(Debug, Default)]
pub(crate) struct Pulse(Mutex<Vec<(Id, JoinHandle<()>)>>);

impl Pulse {
    /// Begins, unless it beats already for this runtime; until `owner` is gone, or the runtime.
    pub(crate) fn keep<T: Send + Sync + 'static>(&self, owner: &Arc<T>, runtime: &Handle) {
        let mut beating = self.0.lock();
        beating.retain(|(_, thread)| !thread.is_finished());
        if beating.iter().any(|(id, _)| *id == runtime.id()) || !has_threads(runtime) {
            return;
        }
        let id = runtime.id();
        let (owner, runtime) = (Arc::downgrade(owner), runtime.clone());
        match thread::Builder::new().name("tachograph-pulse".into()).spawn(move || beat(&owner, &runtime)) {
            Ok(thread) => beating.push((id, thread)),
            Err(error) => tracing::error!(%error, "a provider that blocks its thread can stop all ticks"),
        }
    }
}

/// One without has nothing that could take a turn.
fn has_threads(runtime: &Handle) -> bool {
    runtime.runtime_flavor() != RuntimeFlavor::CurrentThread
}

fn beat<T>(owner: &Weak<T>, runtime: &Handle) {
    // Ends with the runtime.
    let life = AbortOnDropHandle::new(runtime.spawn(std::future::pending::<()>()));
    while owner.strong_count() > 0 && !life.is_finished() {
        runtime.spawn(async {});
        thread::sleep(EVERY);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use tokio::runtime::Builder;

    use super::*;

    const BLOCKED: Duration = Duration::from_secs(3);

    /// How late a timer is that is due while a thread is blocked that was the last to wait for timers.
    fn late(pulse: &Pulse) -> Duration {
        let runtime = Builder::new_multi_thread().worker_threads(4).enable_time().build().unwrap();
        let owner = Arc::new(());
        pulse.keep(&owner, runtime.handle());
        let timer = runtime.spawn(async {
            let began = Instant::now();
            tokio::time::sleep(Duration::from_millis(600)).await;
            began.elapsed()
        });
        runtime.spawn(async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            thread::sleep(BLOCKED);
        });
        let slept = runtime.block_on(timer).unwrap();
        runtime.shutdown_background();
        slept.saturating_sub(Duration::from_millis(600))
    }

    #[test]
    fn timers_fire_while_a_thread_is_blocked() {
        let late = late(&Pulse::default());
        assert!(late < BLOCKED / 2, "{late:?}");
    }

    #[test]
    fn it_ends_with_its_owner_and_with_the_runtime() {
        let runtime = Builder::new_multi_thread().worker_threads(1).build().unwrap();
        let (pulse, owner) = (Pulse::default(), Arc::new(()));
        let has_ended = |pulse: &Pulse| {
            let began = Instant::now();
            while began.elapsed() < Duration::from_secs(10) {
                if pulse.0.lock().iter().all(|(_, thread)| thread.is_finished()) {
                    return true;
                }
                thread::sleep(Duration::from_millis(10));
            }
            false
        };
        pulse.keep(&owner, runtime.handle());
        pulse.keep(&owner, runtime.handle());
        assert_eq!(pulse.0.lock().iter().filter(|(_, thread)| !thread.is_finished()).count(), 1);
        drop(owner);
        assert!(has_ended(&pulse));
        let owner = Arc::new(());
        pulse.keep(&owner, runtime.handle());
        runtime.shutdown_background();
        assert!(has_ended(&pulse));
    }
}
