use super::Reading;
use crate::memory::handle::Handle;
use crate::memory::process;
use crate::snapshot::Value;

/// A count that only goes up. At `u64::MAX` it stays there.
///
/// ```
/// use tachograph_core::registry::{Descriptor, Registry};
///
/// let frames = Registry::new().counter(&Descriptor::new("frames", "Frames seen"))?.bind(&[])?;
/// frames.inc();
/// frames.add(2);
/// assert_eq!(frames.value(), 3);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[repr(transparent)]
pub struct Counter(Handle);

impl Counter {
    /// Counts one.
    #[inline]
    pub fn inc(&self) {
        self.add(1);
    }

    /// Counts `amount`.
    #[inline]
    pub fn add(&self, amount: u64) {
        process::add(self.0.place, amount);
    }

    /// What all threads counted until now.
    pub fn value(&self) -> u64 {
        process::total(self.0.place)
    }

    #[inline]
    pub(super) fn read_into(&self, reading: &mut Reading, value: &mut Value) {
        let (total, bytes) = reading.totals.get(self.0.place);
        reading.bytes += bytes as u64;
        match value {
            // As a rule: what is there needs no dropping.
            Value::Counter(held) => *held = total,
            other => *other = Value::Counter(total),
        }
    }
}
