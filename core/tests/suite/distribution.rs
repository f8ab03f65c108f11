use tachograph_core::instrument::Distribution;

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::support::Random;

const RELATIVE_ERROR: f64 = 0.0055;

/// Checks every percentile against the sorted values themselves.
fn assert_quantiles(mut values: Vec<f64>) {
    let mut distribution = Distribution::default();
    values.iter().for_each(|value| distribution.record(*value));
    values.sort_by(f64::total_cmp);
    for percent in 0..=100 {
        let q = f64::from(percent) / 100.0;
        let rank = (q * values.len() as f64) as usize;
        let truth = values[rank.min(values.len() - 1)];
        let told = distribution.quantile(q);
        assert!((told - truth).abs() <= RELATIVE_ERROR * truth, "p{percent} of {}: {told} for {truth}", values.len());
    }
    assert_eq!(distribution.max(), values[values.len() - 1]);
    assert_eq!(distribution.count(), values.len() as u64);
}

#[test]
fn quantiles_are_within_55_hundredths_of_a_percent_over_34_octaves() {
    let mut random = Random(1);
    let octave = |share: f64| (share * 34.0 - 10.0).exp2();
    assert_quantiles((0..20_000).map(|_| octave(random.share())).collect());
}

#[test]
fn quantiles_are_within_55_hundredths_of_a_percent_of_inference_times() {
    let mut random = Random(2);
    let slow = |share: f64| 40.0 + 400.0 / (1.0 - 0.999 * share);
    assert_quantiles((0..5_000).map(|_| slow(random.share())).collect());
}

#[test]
fn quantiles_hold_on_bucket_edges_and_for_a_few_values() {
    assert_quantiles((-10..=24).map(|exponent| f64::from(exponent).exp2()).collect());
    assert_quantiles((0..64).map(|step| (f64::from(step) / 64.0).exp2()).collect());
    assert_quantiles(vec![123.4]);
    assert_quantiles(vec![1.0, 1_000.0]);
}

#[test]
fn no_quantile_is_above_the_largest_value() {
    let mut distribution = Distribution::default();
    distribution.record(100.0);
    assert!(distribution.quantile(1.0) <= 100.0);
}

#[test]
fn a_distribution_without_values_says_zero() {
    let distribution = Distribution::default();
    assert_eq!((distribution.quantile(0.5), distribution.max(), distribution.count()), (0.0, 0.0, 0));
}

#[test]
fn a_distribution_ignores_what_is_not_finite_and_takes_less_than_zero_as_zero() {
    let mut distribution = Distribution::default();
    [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -3.0].into_iter().for_each(|odd| distribution.record(odd));
    assert_eq!((distribution.count(), distribution.max(), distribution.quantile(0.5)), (1, 0.0, 0.0));
}
