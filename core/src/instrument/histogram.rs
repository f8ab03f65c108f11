use alloc::sync::Arc;

use super::{Instrument, Reading};
use crate::memory::pages::Place;
use crate::memory::process;
use crate::memory::storage::Storage;
use crate::registry::{Descriptor, Kind};
use crate::snapshot::Value;

/// Counts values in base-2 exponential buckets, 64 an octave, over the whole range of a float, and
/// keeps their sum.
///
/// - A quantile read from it is off by at most 0.55 %; the counts are exact.
/// - Zero has a bucket of its own, together with what is closer to zero than 2^-1022. Negative
///   values have buckets like positive ones.
/// - A value that is not finite is refused and counted, and so is one that would need more than 256
///   octaves in one thread.
/// - A descriptor's bounds divide the buckets that they fall into, so that the counts between bounds
///   (upper ones inclusive) are exact too.
/// - The sum of each octave is added up in a float, and stays at the largest one if it exceeds that.
///
/// ```
/// use tachograph_core::registry::{Descriptor, Registry};
///
/// let registry = Registry::new();
/// let descriptor = Descriptor::new("size", "Bytes a frame").bounds(&[10.0, 100.0]);
/// let size = registry.histogram(&descriptor)?.bind(&[])?;
/// (1..=100).for_each(|bytes| size.record(f64::from(bytes)));
/// let snapshot = registry.snapshot();
/// let sizes = snapshot.histogram("size", &[]).ok_or("no such series")?;
/// assert_eq!((sizes.count(), sizes.sum()), (100, 5050.0));
/// assert_eq!(sizes.buckets(), [10, 90, 0]);
/// assert!((sizes.quantile(0.5) - 51.0).abs() <= 0.0055 * 51.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Histogram {
    storage: Arc<Storage>,
    place: Place,
    bounds: Arc<[f64]>,
    scale: u8,
}

impl Histogram {
    /// Counts one value.
    #[inline]
    pub fn record(&self, value: f64) {
        if !process::record(self.place, value) {
            self.record_rarely(value);
        }
    }

    #[cold]
    #[inline(never)]
    fn record_rarely(&self, value: f64) {
        process::record_rarely(&self.storage, self.place, value, &self.bounds);
    }
}

impl Instrument for Histogram {
    const KIND: Kind = Kind::Histogram;

    fn make(storage: &Arc<Storage>, descriptor: &Descriptor) -> Option<Self> {
        let bounds = descriptor.bucket_bounds().into();
        Some(Self {
            storage: Arc::clone(storage),
            place: storage.take_block()?,
            bounds,
            scale: descriptor.bucket_scale(),
        })
    }

    fn read_into(&self, reading: &mut Reading, value: &mut Value) {
        let mut histogram = value.take_histogram();
        histogram.restart(&self.bounds);
        for block in process::blocks(self.place) {
            reading.bytes += block.bytes() as u64;
            histogram.read(block);
        }
        histogram.settle(self.scale);
        *value = Value::Histogram(histogram);
    }
}
