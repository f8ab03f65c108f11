use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::{Buckets, ExactSum, MergeError};
use crate::instrument::exponential::{Position, SCALE, STEPS, lower_bound, ordinal_of, representative};
use crate::memory::block::{Block, Octave};
use crate::sync::{AtomicU64, Ordering};

/// A histogram at one moment. Its count is the sum of its buckets.
///
/// Bucket `i` of the positive values holds what is above 2^(i / 2^scale) and at most
/// 2^((i + 1) / 2^scale); the negative ones are its mirror image. Merging, taking the difference and
/// making the scale coarser are exact.
///
/// ```
/// use tachograph_core::registry::{Descriptor, Registry};
///
/// let registry = Registry::new();
/// let times = registry.histogram(&Descriptor::new("time_ms", "Time").unit("ms").bounds(&[50.0]))?.bind(&[])?;
/// [10.0, 20.0, 90.0].into_iter().for_each(|time| times.record(time));
/// let snapshot = registry.snapshot();
/// let times = snapshot.histogram("time_ms", &[]).ok_or("no such series")?;
/// assert_eq!((times.count(), times.sum(), times.buckets()), (3, 120.0, [2, 1].as_slice()));
/// assert!((times.quantile(0.5) - 20.0).abs() < 0.2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct HistogramSnapshot {
    /// Buckets an octave: 2^scale.
    scale: u8,
    /// Values closer to zero than 2^-1022.
    zero: u64,
    /// Index and count of the buckets that are not empty, ascending.
    positive: Buckets,
    negative: Buckets,
    sum: ExactSum,
    #[serde(default)]
    bounds: Vec<f64>,
    #[serde(default)]
    buckets: Vec<u64>,
}

/// What grows of a histogram.
pub(crate) struct Parts<'a> {
    pub(crate) zero: &'a mut u64,
    pub(crate) positive: &'a mut Buckets,
    pub(crate) negative: &'a mut Buckets,
    pub(crate) sum: &'a mut ExactSum,
    pub(crate) buckets: &'a mut Vec<u64>,
}

impl HistogramSnapshot {
    /// How many values were counted.
    pub fn count(&self) -> u64 {
        let counts = self.negative().iter().chain(self.positive()).map(|(_, count)| *count);
        counts.fold(self.zero, u64::saturating_add)
    }

    /// Sum of all values.
    pub fn sum(&self) -> f64 {
        self.sum.value()
    }

    /// Buckets an octave: 2^scale.
    pub fn scale(&self) -> u8 {
        self.scale
    }

    /// Values that are zero, or closer to it than 2^-1022.
    pub fn zero(&self) -> u64 {
        self.zero
    }

    /// Index and count of the buckets of positive values that are not empty, ascending.
    pub fn positive(&self) -> &[(i32, u64)] {
        self.positive.as_slice()
    }

    /// The same of negative values, by the index of their magnitude.
    pub fn negative(&self) -> &[(i32, u64)] {
        self.negative.as_slice()
    }

    /// The descriptor's upper bounds, inclusive, ascending; empty if it has none.
    pub fn bounds(&self) -> &[f64] {
        &self.bounds
    }

    /// Values between the bounds, exact and not cumulative; one more than there are bounds, and empty
    /// if there are none.
    pub fn buckets(&self) -> &[u64] {
        &self.buckets
    }

    /// The value below which the share `q` (0 to 1) of all values lies; 0 without values.
    ///
    /// It is off by at most (b - 1) / (b + 1) of the value, where b = 2^(1 / 2^scale): 0.5416 % at
    /// scale 6, 1.09 % at 5, 33.4 % at 0. Zero is exact.
    pub fn quantile(&self, q: f64) -> f64 {
        let rank = crate::instrument::rank(q, self.count());
        let negative = self.negative().iter().rev().map(|(index, count)| (-representative(*index, self.scale), *count));
        let positive = self.positive().iter().map(|(index, count)| (representative(*index, self.scale), *count));
        let mut seen = 0_u64;
        let mut ascending = negative.chain([(0.0, self.zero)]).chain(positive);
        let reached = ascending.find(|(_, count)| {
            seen = seen.saturating_add(*count);
            seen > rank
        });
        reached.map_or(0.0, |(value, _)| value)
    }

    /// What the values of a bucket are above; its upper bound is that of the next one.
    pub fn lower_bound(&self, index: i32) -> f64 {
        lower_bound(index, self.scale)
    }

    /// Joins neighbouring buckets down to `scale`; does nothing if it is that coarse already.
    pub fn coarsen(&mut self, scale: u8) {
        let halvings = halvings_to(scale, self.scale);
        self.positive.coarsen(halvings);
        self.negative.coarsen(halvings);
        self.scale = self.scale.min(scale);
    }

    /// Adds what another histogram counted, at the coarser of both scales.
    ///
    /// # Errors
    /// The bounds differ; nothing is changed.
    pub fn merge(&mut self, other: &Self) -> Result<(), MergeError> {
        self.goes_with(other)?;
        self.coarsen(other.scale);
        let halvings = halvings_to(self.scale, other.scale);
        self.positive.merge(&other.positive, halvings);
        self.negative.merge(&other.negative, halvings);
        self.zero = self.zero.saturating_add(other.zero);
        let buckets = self.buckets.iter_mut().zip(&other.buckets);
        buckets.for_each(|(own, others)| *own = own.saturating_add(*others));
        self.sum.merge(&other.sum);
        Ok(())
    }

    /// What was counted since `earlier`, at the coarser of both scales.
    ///
    /// # Errors
    /// The bounds differ, or `earlier` counted more.
    pub fn since(&self, earlier: &Self) -> Result<Self, MergeError> {
        self.goes_with(earlier)?;
        let mut later = self.clone();
        later.coarsen(earlier.scale);
        let halvings = halvings_to(later.scale, earlier.scale);
        later.positive.take_away(&earlier.positive, halvings)?;
        later.negative.take_away(&earlier.negative, halvings)?;
        later.zero = later.zero.checked_sub(earlier.zero).ok_or(MergeError::WentBack)?;
        for (own, others) in later.buckets.iter_mut().zip(&earlier.buckets) {
            *own = own.checked_sub(*others).ok_or(MergeError::WentBack)?;
        }
        later.sum.subtract(&earlier.sum);
        Ok(later)
    }

    pub(super) fn goes_with(&self, other: &Self) -> Result<(), MergeError> {
        let same = self.bounds == other.bounds && self.buckets.len() == other.buckets.len();
        if same { Ok(()) } else { Err(MergeError::Bounds) }
    }

    // ---- as a frame carries it

    /// Nothing counted yet, in the buckets that a descriptor asks for.
    pub(crate) fn empty(scale: u8, bounds: &[f64]) -> Self {
        let buckets = if bounds.is_empty() { Vec::new() } else { alloc::vec![0; bounds.len() + 1] };
        Self { scale, bounds: bounds.into(), buckets, ..Self::default() }
    }

    /// Takes on what another one of the same descriptor counted, keeping the memory.
    pub(crate) fn copy_from(&mut self, other: &Self) {
        let Self { scale, zero, positive, negative, sum, bounds, buckets } = other;
        (self.scale, self.zero) = (*scale, *zero);
        self.positive.copy_from(positive);
        self.negative.copy_from(negative);
        self.sum.clone_from(sum);
        self.bounds.clone_from(bounds);
        self.buckets.clone_from(buckets);
    }

    pub(crate) fn parts(&mut self) -> Parts<'_> {
        let Self { zero, positive, negative, sum, buckets, .. } = self;
        Parts { zero, positive, negative, sum, buckets }
    }

    // ---- reading what the threads recorded

    /// Empties it, keeping its memory.
    pub(crate) fn restart(&mut self, bounds: &[f64]) {
        (self.scale, self.zero) = (SCALE, 0);
        self.positive.clear();
        self.negative.clear();
        self.sum.clear();
        self.bounds.clear();
        self.bounds.extend_from_slice(bounds);
        self.buckets.clear();
        self.buckets.resize(if bounds.is_empty() { 0 } else { bounds.len() + 1 }, 0);
    }

    /// Adds what one thread recorded, but for its octaves.
    pub(crate) fn read_block(&mut self, block: &Block) {
        let zeros = block.zeros.load(Ordering::Relaxed);
        self.zero = self.zero.saturating_add(zeros);
        self.count_between(0, zeros);
        for (bound, cell) in block.above_bounds.iter().enumerate() {
            self.read_above_bound(bound, cell.load(Ordering::Relaxed));
        }
    }

    /// Adds the octaves of all threads, best in the order of their keys.
    pub(crate) fn read_octaves(&mut self, octaves: &[&Octave]) {
        octaves.iter().for_each(|octave| self.read_octave(octave));
        self.sum.add_all(octaves.iter().map(|octave| sum_of(octave)));
    }

    fn read_octave(&mut self, octave: &Octave) {
        for step in 0..STEPS {
            let count = octave.counts[step].load(Ordering::Relaxed);
            if count > 0 {
                let position = Position { key: octave.key, step };
                self.count_at(position, count);
                self.count_between(position.ordinal(), count);
            }
        }
    }

    fn read_above_bound(&mut self, bound: usize, count: u64) {
        if let Some(value) = self.bounds.get(bound).filter(|_| count > 0) {
            self.count_at(Position::of(*value), count);
            self.buckets[bound + 1] += count;
        }
    }

    fn count_at(&mut self, position: Position, count: u64) {
        if position.is_subnormal() {
            self.zero = self.zero.saturating_add(count);
        } else if position.is_negative() {
            self.negative.add(position.index(), count);
        } else {
            self.positive.add(position.index(), count);
        }
    }

    /// Counts between the bounds what is in its bucket at or below the first bound there.
    fn count_between(&mut self, ordinal: i32, count: u64) {
        if !self.bounds.is_empty() {
            let bucket = self.bounds.partition_point(|bound| ordinal_of(*bound) < ordinal);
            self.buckets[bucket] = self.buckets[bucket].saturating_add(count);
        }
    }
}

/// How often the indices of a scale are halved down to a coarser one.
fn halvings_to(coarser: u8, scale: u8) -> u32 {
    u32::from(scale.saturating_sub(coarser)).min(i32::BITS - 1)
}

/// The sum of an octave's values, at most the largest float.
fn sum_of(octave: &Octave) -> f64 {
    let sum = |cell: &AtomicU64| f64::from_bits(cell.load(Ordering::Relaxed));
    sum(&octave.sum).clamp(f64::MIN, f64::MAX)
}
