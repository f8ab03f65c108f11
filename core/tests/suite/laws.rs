//! Laws that hold for any values: of buckets, of bounds, of quantiles, of merging. They run natively,
//! over random cases; a few cases of each run everywhere in the other files.

use proptest::prelude::*;
use tachograph_core::registry::{Aggregation, Descriptor, Registry};
use tachograph_core::snapshot::{ExactSum, HistogramSnapshot, RegistrySnapshot};

const AGGREGATIONS: [Aggregation; 4] = [Aggregation::Sum, Aggregation::Max, Aggregation::Min, Aggregation::Last];

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases) }
}

/// Any finite float, evenly over its bits.
fn any_finite() -> impl Strategy<Value = f64> {
    any::<u64>().prop_map(f64::from_bits).prop_filter("finite", |value| value.is_finite())
}

/// Floats of a few octaves around 1, of both signs.
fn moderate() -> impl Strategy<Value = f64> {
    (-6.0..9.0_f64, any::<bool>()).prop_map(|(octave, is_negative)| {
        let magnitude = octave.exp2();
        if is_negative { -magnitude } else { magnitude }
    })
}

/// Powers of 2^(1/64), and what is next to them.
fn near_an_edge() -> impl Strategy<Value = f64> {
    (-70_000..65_000_i32, -2..3_i64).prop_map(|(index, off)| {
        let edge = (f64::from(index) / 64.0).exp2();
        f64::from_bits(edge.to_bits().saturating_add_signed(off)).min(f64::MAX)
    })
}

fn recorded(values: &[f64], bounds: &[f64]) -> RegistrySnapshot {
    let registry = Registry::new();
    let family = registry.histogram(&Descriptor::new("time", "").bounds(bounds)).unwrap();
    let time = family.with(&[]).unwrap();
    values.iter().for_each(|value| time.record(*value));
    registry.snapshot()
}

fn histogram(snapshot: &RegistrySnapshot) -> &HistogramSnapshot {
    snapshot.histogram("time", &[]).unwrap()
}

/// The bounds of a bucket by means of other mathematics than the core's; off by some last bits.
fn edge(index: i32) -> f64 {
    (f64::from(index) / 64.0).exp2()
}

/// What one machine may have counted.
#[derive(Clone, Debug)]
struct Machine {
    at: u64,
    counts: Vec<(u8, u64)>,
    figures: Vec<(u8, f64)>,
    values: Vec<f64>,
}

fn machine() -> impl Strategy<Value = Machine> {
    let counts = prop::collection::vec((0..4_u8, any::<u64>()), 0..6);
    let figures = prop::collection::vec((0..8_u8, any_finite()), 0..8);
    let values = prop::collection::vec(prop_oneof![any_finite(), moderate()], 0..30);
    (0..4_u64, counts, figures, values).prop_map(|(at, counts, figures, values)| Machine {
        at,
        counts,
        figures,
        values,
    })
}

impl Machine {
    fn snapshot(&self) -> RegistrySnapshot {
        let registry = Registry::new();
        for (source, amount) in &self.counts {
            let family = registry.counter(&Descriptor::new("frames", "").label("source")).unwrap();
            family.with(&[("source", &source.to_string())]).unwrap().add(*amount);
        }
        for (which, figure) in &self.figures {
            let aggregation = AGGREGATIONS[usize::from(which % 4)];
            let name = format!("figure_{}", which % 4);
            let family = registry.gauge(&Descriptor::new(&name, "").label("half").aggregation(aggregation)).unwrap();
            family.with(&[("half", if *which < 4 { "low" } else { "high" })]).unwrap().set(*figure);
        }
        let family = registry.histogram(&Descriptor::new("time", "").bounds(&[-1.0, 0.0, 1.5])).unwrap();
        self.values.iter().for_each(|value| family.with(&[]).unwrap().record(*value));
        let mut collector = registry.collector();
        collector.collect(self.at);
        collector.into_snapshot()
    }
}

fn merged(one: &RegistrySnapshot, other: &RegistrySnapshot) -> RegistrySnapshot {
    let mut both = one.clone();
    both.merge(other).unwrap();
    both
}

proptest! {
    #![proptest_config(config(256))]

    #[test]
    fn every_value_is_in_the_bucket_that_holds_it(value in prop_oneof![any_finite(), near_an_edge(), moderate()]) {
        let snapshot = recorded(&[value], &[]);
        let held = histogram(&snapshot);
        prop_assert_eq!(held.count(), 1);
        if value.abs() < f64::MIN_POSITIVE * 1.000_001 {
            return Ok(());
        }
        let buckets = if value < 0.0 { held.negative() } else { held.positive() };
        let index = buckets[0].0;
        let (lower, upper) = (held.lower_bound(index), held.lower_bound(index + 1));
        // The bounds themselves are rounded down to a float, as is the core's test of a value.
        prop_assert!(lower <= value.abs() && value.abs() <= upper * (1.0 + f64::EPSILON), "{value} in {index}");
        prop_assert!((lower / edge(index) - 1.0).abs() < 1e-12 || !edge(index).is_normal(), "{lower} at {index}");
    }

    #[test]
    fn counts_between_bounds_are_those_of_the_values_themselves(
        values in prop::collection::vec(prop_oneof![any_finite(), moderate(), Just(0.0)], 0..200),
        mut bounds in prop::collection::vec(prop_oneof![moderate(), Just(0.0), Just(1.0), 1.0..1.02_f64], 1..12),
    ) {
        bounds.sort_by(f64::total_cmp);
        bounds.dedup();
        let mut values = values;
        values.extend_from_slice(&bounds);
        let snapshot = recorded(&values, &bounds);
        let mut between = vec![0_u64; bounds.len() + 1];
        values.iter().for_each(|value| between[bounds.partition_point(|bound| bound < value)] += 1);
        prop_assert_eq!(histogram(&snapshot).buckets(), &between[..]);
        prop_assert_eq!(histogram(&snapshot).count(), values.len() as u64);
    }

    #[test]
    fn bounds_do_not_change_the_buckets(
        values in prop::collection::vec(moderate(), 1..100),
        bounds in prop::collection::btree_set(-400..400_i32, 1..8),
    ) {
        let bounds: Vec<f64> = bounds.into_iter().map(|bound| f64::from(bound) / 10.0).collect();
        let (with, without) = (recorded(&values, &bounds), recorded(&values, &[]));
        prop_assert_eq!(histogram(&with).positive(), histogram(&without).positive());
        prop_assert_eq!(histogram(&with).negative(), histogram(&without).negative());
        prop_assert_eq!(histogram(&with).sum(), histogram(&without).sum());
    }

    #[test]
    fn quantiles_are_within_55_hundredths_of_a_percent(
        mut values in prop::collection::vec(prop_oneof![any_finite(), moderate()], 1..300),
        q in 0.0..1.0_f64,
    ) {
        let snapshot = recorded(&values, &[]);
        // The largest values' own bucket ends above them; the smallest ones count as zero.
        values.sort_by(f64::total_cmp);
        let truth = values[((q * values.len() as f64) as usize).min(values.len() - 1)];
        prop_assume!(histogram(&snapshot).count() == values.len() as u64);
        let told = histogram(&snapshot).quantile(q);
        prop_assert!((told / truth - 1.0).abs() <= 0.0055 || truth.abs() <= f64::MIN_POSITIVE, "{told} for {truth}");
    }

    #[test]
    fn merging_does_not_care_for_order_or_grouping(a in machine(), b in machine(), c in machine()) {
        let [a, b, c] = [a.snapshot(), b.snapshot(), c.snapshot()];
        prop_assert_eq!(merged(&a, &b), merged(&b, &a));
        prop_assert_eq!(merged(&merged(&a, &b), &c), merged(&a, &merged(&b, &c)));
    }

    #[test]
    fn what_was_merged_is_the_difference(a in machine(), b in machine()) {
        let [mut a, mut b] = [a, b];
        // Above the maximum a counter stays there, and the difference is lost.
        [&mut a, &mut b].into_iter().flat_map(|m| &mut m.counts).for_each(|(_, amount)| *amount >>= 8);
        let [a, b] = [a.snapshot(), b.snapshot()];
        let since = merged(&a, &b).since(&a).unwrap();
        for (family, series) in b.all_series() {
            let labels: Vec<_> = family.labels(series).collect();
            let value = since.series(family.name(), &labels).unwrap();
            prop_assert_eq!(value.counter(), series.value.counter());
            prop_assert_eq!(value.histogram(), series.value.histogram());
        }
    }

    #[test]
    fn an_exact_sum_of_whole_numbers_is_theirs(
        numbers in prop::collection::vec((any::<i64>(), 0..60_u32), 0..40),
        shift in -900..800_i32,
    ) {
        let unit = 2_f64.powi(shift);
        let mut sum = ExactSum::default();
        let mut truth = 0_i128;
        for (number, halvings) in numbers {
            let number = i128::from(number >> 11) << halvings;
            truth += number;
            sum.add(number as f64 * unit);
        }
        prop_assert_eq!(sum.value(), truth as f64 * unit);
        sum.subtract(&ExactSum::from(truth as f64 * unit));
        prop_assert!(sum.value().abs() <= (truth as f64 * unit).abs() * f64::EPSILON);
    }
}
