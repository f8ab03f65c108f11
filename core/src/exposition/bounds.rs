//! The buckets that a histogram has on a page: its bounds, or without any powers of two.

use crate::instrument::exponential::{Position, SCALE, lower_bound};
use crate::snapshot::HistogramSnapshot;

/// Each bound but infinity, with how many values are at most that.
///
/// Without bounds: the powers of two with values right below them; before them zero, if some values are not
/// above it.
pub(super) fn each_bound(histogram: &HistogramSnapshot, mut take: impl FnMut(f64, u64)) {
    let mut below = 0_u64;
    for (bound, held) in histogram.bounds().iter().zip(histogram.buckets()) {
        below = below.saturating_add(*held);
        take(*bound, below);
    }
    if histogram.bounds().is_empty() {
        each_octave(histogram, take);
    }
}

fn each_octave(histogram: &HistogramSnapshot, mut take: impl FnMut(f64, u64)) {
    let negative = histogram.negative().iter().map(|(_, count)| *count);
    let mut below = negative.fold(histogram.zero(), u64::saturating_add);
    if below > 0 {
        take(0.0, below);
    }
    let scale = histogram.scale();
    for octave in histogram.positive().chunk_by(|(one, _), (next, _)| one >> scale == next >> scale) {
        below = octave.iter().fold(below, |below, (_, count)| below.saturating_add(*count));
        if let Some((index, _)) = octave.first() {
            take(octave_end(*index, scale), below);
        }
    }
}

/// The bound of the bucket that a finite value is in.
pub(super) fn bound_of(value: f64, bounds: &[f64]) -> f64 {
    if !bounds.is_empty() {
        let place = bounds.partition_point(|bound| *bound < value);
        return bounds.get(place).copied().unwrap_or(f64::INFINITY);
    }
    // Values so close to zero are counted as zeros.
    if value <= f64::MIN_POSITIVE { 0.0 } else { octave_end(Position::of(value).index(), SCALE) }
}

/// The power of two that the values of a bucket are at most.
fn octave_end(index: i32, scale: u8) -> f64 {
    lower_bound(((index >> scale) + 1) << scale, scale)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::{Descriptor, Registry};

    #[test]
    fn a_value_is_in_the_bucket_that_counts_it() {
        let values = [-2.0, 0.0, 5e-324, f64::MIN_POSITIVE, 3e-308, 0.75, 1.0, 1.5, 2.0, 7.0, 1e9, f64::MAX];
        for (bounds, scale) in [(&[][..], 0), (&[], 3), (&[], 6), (&[-1.0, 0.0, 1.0, 7.0], 6)] {
            for value in values {
                let registry = Registry::new();
                let family = registry.histogram(&Descriptor::new("a", "").bounds(bounds).scale(scale)).unwrap();
                family.with(&[]).unwrap().record(value);
                let snapshot = registry.snapshot();
                let mut reached = None;
                each_bound(snapshot.histogram("a", &[]).unwrap(), |bound, below| {
                    reached = reached.or((below > 0).then_some(bound));
                });
                assert_eq!(reached.unwrap_or(f64::INFINITY), bound_of(value, bounds), "{value} {bounds:?} {scale}");
            }
        }
    }
}
