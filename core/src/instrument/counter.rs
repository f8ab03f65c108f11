use alloc::sync::Arc;

use crate::sync::{AtomicU64, Ordering};

/// A count that only goes up. At `u64::MAX` it stays there.
///
/// ```
/// use tachograph_core::registry::{Descriptor, Registry};
///
/// let frames = Registry::new().counter(&Descriptor::new("frames", "Frames seen"))?.with(&[])?;
/// frames.inc();
/// frames.add(2);
/// assert_eq!(frames.value(), 3);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Counter(Arc<AtomicU64>);

impl Counter {
    /// Counts one.
    pub fn inc(&self) {
        self.add(1);
    }

    /// Counts `amount`.
    pub fn add(&self, amount: u64) {
        let saturating = |count: u64| Some(count.saturating_add(amount));
        let _always_ok = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, saturating);
    }

    /// What was counted until now.
    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
