//! How what a series recorded becomes a point.

use tachograph_core::registry::Walked;
use tachograph_core::snapshot::{HistogramSnapshot, Value};

use super::message::{Buckets, ExponentialHistogramDataPoint, KeyValue, Number, NumberDataPoint};

/// Buckets that a side of a histogram has at most, as in OpenTelemetry's own libraries.
pub(super) const BUCKETS_MAX: i64 = 160;

/// From when until when a point counts, in Unix nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: u64,
    pub(super) end: u64,
}

/// A series' figure.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Point {
    Number(NumberDataPoint),
    Exponential(ExponentialHistogramDataPoint),
}

impl Point {
    /// Of a series, of which `value` is to be told.
    pub(super) fn new(series: &Walked<'_>, value: &Value, span: Span) -> Self {
        let names = series.descriptor.label_names().iter().zip(series.labels.iter());
        let attributes = names.map(|(name, value)| KeyValue::new(name, value)).collect();
        match value {
            Value::Counter(total) => Self::number(attributes, span, whole(*total)),
            Value::Gauge(gauge) => Self::number(attributes, span, Number::AsDouble(gauge.value())),
            Value::Histogram(histogram) => Self::Exponential(exponential(attributes, span, histogram)),
        }
    }

    fn number(attributes: Vec<KeyValue>, span: Span, value: Number) -> Self {
        Self::Number(NumberDataPoint {
            attributes,
            start_time_unix_nano: span.start,
            time_unix_nano: span.end,
            value: Some(value),
        })
    }
}

/// OTLP's whole numbers have a sign.
fn whole(total: u64) -> Number {
    i64::try_from(total).map_or(Number::AsDouble(total as f64), Number::AsInt)
}

fn exponential(attributes: Vec<KeyValue>, span: Span, histogram: &HistogramSnapshot) -> ExponentialHistogramDataPoint {
    let halvings = halvings(histogram.positive()).max(halvings(histogram.negative()));
    ExponentialHistogramDataPoint {
        attributes,
        start_time_unix_nano: span.start,
        time_unix_nano: span.end,
        count: histogram.count(),
        // OTLP wants none where values can be negative: a sum that only grows is told from it.
        sum: histogram.negative().is_empty().then(|| histogram.sum()),
        scale: i32::from(histogram.scale()) - halvings as i32,
        zero_count: histogram.zero(),
        positive: dense(histogram.positive(), halvings),
        negative: dense(histogram.negative(), halvings),
        // All up to the smallest normal float, which the core counts as zero too.
        zero_threshold: f64::MIN_POSITIVE,
    }
}

/// How often the buckets are joined in pairs until a side has few enough.
fn halvings(buckets: &[(i32, u64)]) -> u32 {
    let (Some((first, _)), Some((last, _))) = (buckets.first(), buckets.last()) else { return 0 };
    let width = |halvings: &u32| i64::from(last >> halvings) - i64::from(first >> halvings) + 1;
    (0..i32::BITS).find(|halvings| width(halvings) <= BUCKETS_MAX).unwrap_or(i32::BITS - 1)
}

/// The buckets from the first to the last that is not empty: exact, as bucket `i` holds what `2 i` and `2 i + 1`
/// of the next finer scale do.
fn dense(buckets: &[(i32, u64)], halvings: u32) -> Option<Buckets> {
    let offset = buckets.first()?.0 >> halvings;
    let mut bucket_counts: Vec<u64> = Vec::new();
    for (index, count) in buckets {
        let place = usize::try_from((index >> halvings) - offset).ok()?;
        if place >= bucket_counts.len() {
            bucket_counts.resize(place + 1, 0);
        }
        bucket_counts[place] = bucket_counts[place].saturating_add(*count);
    }
    Some(Buckets { offset, bucket_counts })
}

/// A unit in the spelling of UCUM; one that is not known goes as it is.
pub(super) fn ucum(unit: &str) -> &str {
    match unit {
        "seconds" | "second" => "s",
        "milliseconds" | "millisecond" => "ms",
        "microseconds" | "microsecond" | "µs" => "us",
        "nanoseconds" | "nanosecond" => "ns",
        "minutes" | "minute" => "min",
        "hours" | "hour" => "h",
        "days" | "day" => "d",
        "bytes" | "byte" => "By",
        "kilobytes" => "kBy",
        "megabytes" => "MBy",
        "bits" | "bit" => "bit",
        "ratio" => "1",
        "percent" => "%",
        "hertz" => "Hz",
        "celsius" => "Cel",
        "frames" => "{frame}",
        _ => unit,
    }
}

#[cfg(test)]
mod tests {
    use tachograph_core::registry::{Descriptor, Registry};

    use super::*;

    const SPAN: Span = Span { start: 1, end: 2 };

    /// The point of a histogram's only series.
    fn point(values: &[f64], scale: u8) -> (ExponentialHistogramDataPoint, HistogramSnapshot) {
        let registry = Registry::new();
        let family = registry.histogram(&Descriptor::new("times", "Times").scale(scale).label("of")).unwrap();
        values.iter().for_each(|value| family.with(&[("of", "mic")]).unwrap().record(*value));
        let mut walk = registry.walk(0);
        let series = walk.next().unwrap();
        let histogram = series.value.histogram().unwrap().clone();
        match Point::new(&series, series.value, SPAN) {
            Point::Exponential(point) => (point, histogram),
            Point::Number(point) => panic!("{point:?}"),
        }
    }

    fn counted(buckets: &Option<Buckets>) -> u64 {
        buckets.iter().flat_map(|buckets| &buckets.bucket_counts).sum()
    }

    /// The bounds of the bucket of a point that holds a value, by OTLP's own formula.
    fn holds(point: &ExponentialHistogramDataPoint, buckets: &Option<Buckets>, value: f64) -> bool {
        let base = 2_f64.powf(2_f64.powi(-point.scale));
        let Some(Buckets { offset, bucket_counts }) = buckets else { return false };
        (0_i32..).zip(bucket_counts).filter(|(_, count)| **count > 0).any(|(place, _)| {
            let index = f64::from(offset + place);
            base.powf(index) < value * (1.0 + 1e-12) && value <= base.powf(index + 1.0) * (1.0 + 1e-12)
        })
    }

    #[test]
    fn a_histogram_is_told_bucket_by_bucket() {
        let (point, _) = point(&[1.0, 1.5, 2.0, 2.0, 4.0, 0.0], 0);
        // At scale 0 bucket -1 holds (0.5, 1], 0 holds (1, 2], 1 holds (2, 4].
        assert_eq!(point.positive, Some(Buckets { offset: -1, bucket_counts: vec![1, 3, 1] }));
        assert_eq!((point.scale, point.count, point.zero_count, point.sum), (0, 6, 1, Some(10.5)));
        assert_eq!(point.negative, None);
        assert_eq!(point.attributes, [KeyValue::new("of", "mic")]);
        assert_eq!((point.start_time_unix_nano, point.time_unix_nano), (1, 2));
    }

    #[test]
    fn negative_values_mirror_positive_ones_and_have_no_sum() {
        let (point, _) = point(&[-3.0, -3.0, 3.0], 0);
        assert_eq!(point.negative, Some(Buckets { offset: 1, bucket_counts: vec![2] }));
        assert_eq!(point.positive, Some(Buckets { offset: 1, bucket_counts: vec![1] }));
        assert_eq!((point.sum, point.count), (None, 3));
    }

    #[test]
    fn a_wide_histogram_is_coarsened_until_it_fits() {
        for values in [
            vec![1.0, 1.001, 5.0],
            vec![0.001, 1_000.0],
            vec![1e-30, 1e30, 7.0],
            vec![f64::MIN_POSITIVE * 1.1, f64::MAX, 1.0],
            vec![-f64::MAX, -f64::MIN_POSITIVE * 1.1, 1.0],
        ] {
            let (point, histogram) = point(&values, 6);
            let widest =
                [&point.positive, &point.negative].map(|side| side.iter().map(|s| s.bucket_counts.len()).max());
            assert!(widest.iter().flatten().all(|width| *width <= BUCKETS_MAX as usize), "{widest:?}");
            assert_eq!(counted(&point.positive) + counted(&point.negative), histogram.count());
            for value in values.iter().filter(|value| value.abs() < 1e300) {
                let side = if *value < 0.0 { &point.negative } else { &point.positive };
                assert!(holds(&point, side, value.abs()), "{value} in {point:?}");
            }
            // As the core does it, as far down as that goes.
            if let Ok(scale) = u8::try_from(point.scale) {
                let mut coarser = histogram;
                coarser.coarsen(scale);
                assert_eq!(dense(coarser.positive(), 0), point.positive);
                assert_eq!(dense(coarser.negative(), 0), point.negative);
            }
        }
        assert_eq!(point(&[f64::MIN_POSITIVE * 1.1, f64::MAX], 6).0.scale, -4, "below what the core goes down to");
    }

    #[test]
    fn a_scale_is_not_coarser_than_it_must_be() {
        // The middle of a bucket of scale 6, from the one that begins at 1.
        let middle = |index: f64| 2_f64.powf((index + 0.5) / 64.0);
        let widest = point(&[middle(0.0), middle(159.0)], 6).0;
        assert_eq!((widest.scale, widest.positive.unwrap().bucket_counts.len()), (6, BUCKETS_MAX as usize));
        let wider = point(&[middle(0.0), middle(160.0)], 6).0;
        assert_eq!((wider.scale, wider.positive.unwrap().bucket_counts.len()), (5, 81));
    }

    #[test]
    fn what_counts_as_zero_has_no_bucket() {
        let (point, _) = point(&[0.0, f64::MIN_POSITIVE / 2.0, f64::MIN_POSITIVE, f64::MIN_POSITIVE.next_up()], 6);
        assert_eq!((point.zero_count, counted(&point.positive)), (3, 1));
        assert_eq!(point.zero_threshold, f64::MIN_POSITIVE, "the last that counts as zero");
    }

    #[test]
    fn a_total_beyond_whole_numbers_with_a_sign_is_a_float() {
        assert_eq!(whole(i64::MAX as u64), Number::AsInt(i64::MAX));
        assert_eq!(whole(1 << 63), Number::AsDouble(9_223_372_036_854_775_808.0));
    }
}
