use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tachograph_core::session::{Chunk, ProviderInForce, Voice};
use tachograph_core::wire::SourceName;
use tokio::time::sleep;

use super::{Provider, ProviderError, ProviderFactory, Quality};

/// The largest realtime factor that can be rehearsed.
const RTF_MAX: f64 = 1_000.0;

/// How a simulated provider misbehaves.
///
/// ```
/// use tachograph::provider::{Fault, Simulated, SimulatedControl};
///
/// let simulated = Simulated::new(SimulatedControl { fault: Fault::Hang, ..SimulatedControl::default() });
/// assert_eq!(simulated.control().fault, Fault::Hang);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Fault {
    /// It does not.
    #[default]
    None,
    /// Every chunk fails at once.
    Error,
    /// A chunk never ends.
    Hang,
    /// Every chunk panics.
    Panic,
}

/// What a simulated provider is to do; may be changed while it works, with effect from the next chunk.
///
/// ```
/// use tachograph::provider::SimulatedControl;
///
/// let twice_too_slow = SimulatedControl { rtf: 2.0, ..SimulatedControl::default() };
/// assert!(twice_too_slow.is_valid());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SimulatedControl {
    /// Time inside the provider by audio time.
    pub rtf: f64,
    /// How it misbehaves.
    pub fault: Fault,
}

impl SimulatedControl {
    /// Whether the factor is one that can be rehearsed: 0 to 1,000.
    pub fn is_valid(&self) -> bool {
        (0.0..=RTF_MAX).contains(&self.rtf)
    }
}

/// Takes a set multiple of the audio time for each chunk, for rehearsing overload and faults. Clones
/// share their control.
///
/// ```
/// use tachograph::listener::Listener;
/// use tachograph::provider::{Fault, Providers, Simulated, SimulatedControl};
///
/// let simulated = Simulated::new(SimulatedControl { rtf: 0.5, fault: Fault::None });
/// let listener = Listener::new(Providers::only(simulated.clone()));
/// simulated.set_control(SimulatedControl { rtf: 2.0, fault: Fault::None });
/// assert_eq!((listener.providers.primary.name(), simulated.control().rtf), ("simulated", 2.0));
/// ```
#[derive(Clone, Debug)]
pub struct Simulated(Arc<Mutex<SimulatedControl>>);

impl Simulated {
    /// A factory of simulated providers.
    pub fn new(control: SimulatedControl) -> Self {
        Self(Arc::new(Mutex::new(control)))
    }

    /// What its providers do now.
    pub fn control(&self) -> SimulatedControl {
        *self.0.lock()
    }

    /// What its providers do from their next chunk on.
    pub fn set_control(&self, control: SimulatedControl) {
        *self.0.lock() = control;
    }

    /// As by [`set_control`](Self::set_control), to what `change` makes of what its providers do now: of several that
    /// change it at once none is lost. Whoever gets an error changed nothing.
    pub(crate) fn change<E>(
        &self,
        change: impl FnOnce(SimulatedControl) -> Result<SimulatedControl, E>,
    ) -> Result<SimulatedControl, E> {
        let mut control = self.0.lock();
        *control = change(*control)?;
        Ok(*control)
    }
}

impl ProviderFactory for Simulated {
    fn name(&self) -> &'static str {
        "simulated"
    }

    fn open(&self, _: SourceName) -> BoxFuture<'_, Result<Arc<dyn Provider>, ProviderError>> {
        let provider =
            SimulatedProvider { simulated: self.clone(), reduced: AtomicBool::default(), chunks: AtomicU64::default() };
        Box::pin(async { Ok(Arc::new(provider) as Arc<dyn Provider>) })
    }
}

struct SimulatedProvider {
    simulated: Simulated,
    reduced: AtomicBool,
    chunks: AtomicU64,
}

impl Provider for SimulatedProvider {
    fn in_force(&self) -> ProviderInForce {
        let model_id = if self.reduced.load(Ordering::Relaxed) { "small" } else { "large" };
        ProviderInForce { provider: "simulated".into(), model_id: model_id.into(), vad_enabled: false }
    }

    fn process(&self, chunk: Chunk) -> BoxFuture<'_, Result<Option<Voice>, ProviderError>> {
        let SimulatedControl { rtf, fault } = self.simulated.control();
        Box::pin(async move {
            match fault {
                Fault::None => sleep(Duration::from_secs_f64(chunk.duration().as_secs_f64() * rtf)).await,
                Fault::Error => return Err(ProviderError("simulated failure".into())),
                Fault::Hang => pending().await,
                Fault::Panic => simulated_panic(),
            }
            self.chunks.fetch_add(1, Ordering::Relaxed);
            Ok(None)
        })
    }

    fn health(&self) -> BoxFuture<'_, Result<Value, ProviderError>> {
        let SimulatedControl { rtf, fault } = self.simulated.control();
        let chunks = self.chunks.load(Ordering::Relaxed);
        Box::pin(async move {
            match fault {
                Fault::None => Ok(json!({"status": "ok", "rtf": rtf, "chunks": chunks})),
                fault => Err(ProviderError(format!("simulated fault: {fault:?}"))),
            }
        })
    }

    fn set_quality(&self, quality: Quality) {
        self.reduced.store(quality == Quality::Reduced, Ordering::Relaxed);
    }
}

#[expect(clippy::panic, reason = "the fault that is rehearsed")]
fn simulated_panic() {
    panic!("simulated panic");
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::thread;

    use super::*;

    #[test]
    fn of_many_that_change_it_at_once_none_is_lost() {
        let simulated = Simulated::new(SimulatedControl { rtf: 0.0, fault: Fault::Hang });
        let more = |before: SimulatedControl| Ok::<_, Infallible>(SimulatedControl { rtf: before.rtf + 1.0, ..before });
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..10_000).for_each(|_| _ = simulated.change(more)));
            }
        });
        assert_eq!(simulated.control(), SimulatedControl { rtf: 40_000.0, fault: Fault::Hang });
    }
}
