use alloc::sync::Arc;

use super::{Instrument, Reading};
use crate::memory::pages::Place;
use crate::memory::process;
use crate::memory::storage::Storage;
use crate::registry::{Descriptor, Kind};
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
pub struct Counter {
    #[expect(dead_code, reason = "the cell is this counter's for as long as it is held")]
    storage: Arc<Storage>,
    place: Place,
}

const _: () = assert!(size_of::<Counter>() == size_of::<usize>() + 8);

impl Counter {
    /// Counts one.
    #[inline]
    pub fn inc(&self) {
        self.add(1);
    }

    /// Counts `amount`.
    #[inline]
    pub fn add(&self, amount: u64) {
        process::add(self.place, amount);
    }

    /// What all threads counted until now.
    pub fn value(&self) -> u64 {
        process::total(self.place)
    }
}

impl Instrument for Counter {
    const KIND: Kind = Kind::Counter;

    fn make(storage: &Arc<Storage>, _: &Descriptor) -> Option<Self> {
        Some(Self { storage: Arc::clone(storage), place: storage.take_count()? })
    }

    fn read_into(&self, reading: &mut Reading, value: &mut Value) {
        let (total, bytes) = reading.totals.get(self.place);
        reading.bytes += bytes as u64;
        *value = Value::Counter(total);
    }
}
