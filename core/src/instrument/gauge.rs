use alloc::sync::Arc;

use super::add_float;
use crate::instrument::Counter;
use crate::sync::{AtomicU64, Ordering};

/// A figure that goes up and down. It is always finite: a value that is not is refused and counted.
///
/// ```
/// use tachograph_core::registry::{Descriptor, Registry};
///
/// let registry = Registry::new();
/// let depth = registry.gauge(&Descriptor::new("depth", "Frames waiting"))?.with(&[])?;
/// depth.set(4.0);
/// depth.add(-1.0);
/// depth.set(f64::NAN);
/// assert_eq!(depth.value(), 3.0);
/// assert_eq!(registry.refused_values(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Gauge {
    bits: Arc<AtomicU64>,
    refused: Counter,
}

impl Gauge {
    pub(crate) fn new(refused: Counter) -> Self {
        Self { bits: Arc::default(), refused }
    }

    /// Takes on `value`.
    pub fn set(&self, value: f64) {
        if value.is_finite() {
            self.bits.store(value.to_bits(), Ordering::Relaxed);
        } else {
            self.refused.inc();
        }
    }

    /// Moves by `amount`, which may be negative.
    pub fn add(&self, amount: f64) {
        if !add_float(&self.bits, amount) {
            self.refused.inc();
        }
    }

    /// The present figure.
    pub fn value(&self) -> f64 {
        f64::from_bits(self.bits.load(Ordering::Relaxed))
    }
}
