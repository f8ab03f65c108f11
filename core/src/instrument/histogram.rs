use alloc::vec::Vec;

use super::Reading;
use crate::memory::block::Octave;
use crate::memory::handle::Handle;
use crate::memory::process;
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
#[repr(transparent)]
pub struct Histogram(Handle);

impl Histogram {
    /// Counts one value.
    #[inline]
    pub fn record(&self, value: f64) {
        if !process::record(self.0.place, value) {
            self.record_rarely(value);
        }
    }

    #[cold]
    #[inline(never)]
    fn record_rarely(&self, value: f64) {
        let Handle { owner, place } = &self.0;
        process::record_rarely(&owner.storage, *place, value, owner.descriptor.bucket_bounds());
    }

    pub(super) fn read_into(&self, reading: &mut Reading, value: &mut Value) {
        let (descriptor, mut histogram) = (&self.0.owner.descriptor, value.take_histogram());
        histogram.restart(descriptor.bucket_bounds());
        let octaves = &mut reading.octaves;
        for block in process::blocks(self.0.place) {
            reading.bytes += block.bytes() as u64;
            block.octaves().for_each(|octave| insert(octaves, octave));
            histogram.read_block(block);
        }
        histogram.read_octaves(octaves);
        octaves.clear();
        histogram.coarsen(descriptor.bucket_scale());
        *value = Value::Histogram(histogram);
    }
}

/// Keeps octaves by their keys, those of all threads together.
fn insert(octaves: &mut Vec<&'static Octave>, octave: &'static Octave) {
    let place = octaves.partition_point(|held| held.key <= octave.key);
    octaves.insert(place, octave);
}
