use tachograph_core::registry::{RegisterError, Registry};
use tokio::runtime::Handle;

#[cfg(feature = "process")]
use crate::bridge::ProcessMetrics;
#[cfg(feature = "runtime")]
use crate::bridge::RuntimeMetrics;

/// What is looked up right before each tick, as it is counted elsewhere.
#[derive(Debug, Default)]
pub(super) struct Sampling {
    #[cfg(feature = "process")]
    process: Option<ProcessMetrics>,
    #[cfg(feature = "runtime")]
    runtime: Option<RuntimeMetrics>,
}

impl Sampling {
    /// Of the runtime that ticks from now on.
    #[cfg_attr(
        not(all(feature = "process", feature = "runtime")),
        allow(unused_variables, reason = "not all of it is looked up")
    )]
    pub(super) fn begin(&mut self, registry: &Registry, runtime: &Handle) -> Result<(), RegisterError> {
        #[cfg(feature = "process")]
        if self.process.is_none() {
            self.process = Some(ProcessMetrics::register(registry)?);
        }
        #[cfg(feature = "runtime")]
        {
            self.runtime = Some(RuntimeMetrics::register(registry, runtime.clone())?);
        }
        Ok(())
    }

    pub(super) fn update(&mut self) {
        #[cfg(feature = "process")]
        self.process.iter_mut().for_each(ProcessMetrics::update);
        #[cfg(feature = "runtime")]
        self.runtime.iter_mut().for_each(RuntimeMetrics::update);
    }
}
