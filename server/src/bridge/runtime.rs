//! What tokio says of its workers and tasks.

use std::time::{Duration, Instant};

use tachograph_core::instrument::{Counter, GaugePart};
use tachograph_core::registry::{Aggregation, Descriptor, RegisterError, Registry};
use tokio::runtime::{Handle, RuntimeMetrics as Tokio};

/// What tokio says of a runtime, from what is stable of it.
///
/// | family | kind | what |
/// | --- | --- | --- |
/// | `tokio_workers` | gauge | threads that run tasks |
/// | `tokio_alive_tasks` | gauge | tasks spawned and not over |
/// | `tokio_global_queue_depth` | gauge | tasks that wait in the queue of all workers |
/// | `tokio_busy_seconds` | counter | time that the workers were busy, all together, in whole seconds, rounded down |
/// | `tokio_busy_ratio` | gauge | the mean share of the time since the update before that a worker was busy, 0 to 1 |
/// | `tokio_parks` | counter | how often a worker went to sleep |
///
/// Several runtimes of a process can be registered: theirs add up, and of the share the largest shows. What a runtime
/// adds to the gauges goes with its `RuntimeMetrics`.
///
/// ```
/// use tachograph::bridge::RuntimeMetrics;
/// use tachograph::registry::Registry;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let registry = Registry::new();
/// let mut runtime = RuntimeMetrics::register(&registry, tokio::runtime::Handle::current())?;
/// runtime.update();
/// assert_eq!(registry.snapshot().gauge("tokio_workers", &[]), Some(1.0));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct RuntimeMetrics {
    runtime: Tokio,
    workers: GaugePart,
    alive_tasks: GaugePart,
    global_queue_depth: GaugePart,
    busy_ratio: GaugePart,
    busy_seconds: Counter,
    parks: Counter,
    before: Totals,
}

/// Since the runtime's start, of all workers.
#[derive(Clone, Copy, Debug)]
struct Totals {
    at: Instant,
    busy: Duration,
    parks: u64,
}

impl Totals {
    fn of(runtime: &Tokio) -> Self {
        let workers = 0..runtime.num_workers();
        Self {
            at: Instant::now(),
            busy: workers.clone().map(|worker| runtime.worker_total_busy_duration(worker)).sum(),
            parks: workers.map(|worker| runtime.worker_park_count(worker)).sum(),
        }
    }
}

impl RuntimeMetrics {
    /// Registers all of them, or finds them registered, and takes on the figures of now.
    ///
    /// # Errors
    /// One of the names is taken by another description.
    #[expect(clippy::needless_pass_by_value, reason = "a handle is cheap, and who has one gives it")]
    pub fn register(registry: &Registry, runtime: Handle) -> Result<Self, RegisterError> {
        let gauge = |descriptor| registry.gauge(&descriptor)?.unlabelled().map(|gauge| gauge.part());
        let counter = |descriptor| registry.counter(&descriptor)?.unlabelled();
        let named = |name, help| Descriptor::new(name, help);
        let busy_ratio = named("tokio_busy_ratio", "Mean share of the time that a worker was busy");
        let runtime = runtime.metrics();
        let own = Self {
            workers: gauge(named("tokio_workers", "Threads that run tasks"))?,
            alive_tasks: gauge(named("tokio_alive_tasks", "Tasks spawned and not over"))?,
            global_queue_depth: gauge(named(
                "tokio_global_queue_depth",
                "Tasks that wait in the queue of all workers",
            ))?,
            busy_ratio: gauge(busy_ratio.aggregation(Aggregation::Max))?,
            busy_seconds: counter(
                named("tokio_busy_seconds", "Time that the workers were busy, whole seconds").unit("s"),
            )?,
            parks: counter(named("tokio_parks", "How often a worker went to sleep"))?,
            before: Totals::of(&runtime),
            runtime,
        };
        own.busy_seconds.add(own.before.busy.as_secs());
        own.parks.add(own.before.parks);
        own.set_gauges();
        Ok(own)
    }

    /// Takes on the figures of now; to be called once a tick. It reads a few numbers for each worker, which takes
    /// about a microsecond.
    pub fn update(&mut self) {
        self.take(Totals::of(&self.runtime));
        self.set_gauges();
    }

    fn take(&mut self, now: Totals) {
        let before = self.before;
        self.busy_seconds.add(now.busy.as_secs().saturating_sub(before.busy.as_secs()));
        self.parks.add(now.parks.saturating_sub(before.parks));
        let passed_seconds = now.at.duration_since(before.at).as_secs_f64() * self.runtime.num_workers() as f64;
        if passed_seconds > 0.0 {
            let busy_seconds = now.busy.saturating_sub(before.busy).as_secs_f64();
            self.busy_ratio.set((busy_seconds / passed_seconds).min(1.0));
        }
        self.before = now;
    }

    fn set_gauges(&self) {
        self.workers.set(self.runtime.num_workers() as f64);
        self.alive_tasks.set(self.runtime.num_alive_tasks() as f64);
        self.global_queue_depth.set(self.runtime.global_queue_depth() as f64);
    }
}

#[cfg(test)]
mod tests;
