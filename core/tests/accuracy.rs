//! Accuracy under load: millions of values from several threads at full rate, through the whole path
//! from a handle to a snapshot, against the sorted values themselves. Counts must be exact and
//! quantiles within 0.55 %.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::thread;

use tachograph_core::registry::{Descriptor, Registry};
use tachograph_core::snapshot::HistogramSnapshot;

const THREADS: usize = 4;
const VALUES_PER_THREAD: usize = 500_000;
const QUANTILES: [f64; 4] = [0.5, 0.9, 0.99, 0.999];
const ERROR_MAX: f64 = 0.0055;

/// Reproducible shares from above 0 to 1: SplitMix64.
struct Random(u64);

impl Random {
    fn share(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (((mixed ^ (mixed >> 31)) >> 11) + 1) as f64 / (1_u64 << 53) as f64
    }

    /// Mean 0, deviation 1: Box-Muller.
    fn normal(&mut self) -> f64 {
        (-2.0 * self.share().ln()).sqrt() * (core::f64::consts::TAU * self.share()).cos()
    }
}

fn values(seed: usize, draw: fn(&mut Random) -> f64) -> Vec<f64> {
    let mut random = Random(seed as u64);
    (0..VALUES_PER_THREAD).map(|_| draw(&mut random)).collect()
}

/// Records every thread's values at once, while a collector reads.
fn record(values: &[Vec<f64>]) -> HistogramSnapshot {
    let registry = Registry::new();
    let times = registry.histogram(&Descriptor::new("times", "")).unwrap().bind(&[]).unwrap();
    thread::scope(|scope| {
        for values in values {
            let times = times.clone();
            scope.spawn(move || values.iter().for_each(|value| times.record(*value)));
        }
        let mut collector = registry.collector();
        (0..20).for_each(|at| drop(collector.collect(at).clone()));
    });
    registry.snapshot().histogram("times", &[]).unwrap().clone()
}

fn assert_accurate(name: &str, draw: fn(&mut Random) -> f64) {
    let values: Vec<Vec<f64>> = (0..THREADS).map(|thread| values(thread + 1, draw)).collect();
    let told = record(&values);
    let mut sorted = values.concat();
    sorted.sort_by(f64::total_cmp);
    assert_eq!(told.count(), sorted.len() as u64, "{name}");
    let mut worst = 0.0_f64;
    for q in QUANTILES {
        let truth = sorted[(q * sorted.len() as f64) as usize];
        worst = worst.max(((told.quantile(q) - truth) / truth).abs());
    }
    println!("{name:12} {} values, worst error of a quantile {:.3} %", told.count(), worst * 100.0);
    assert!(worst <= ERROR_MAX, "{name}: {worst}");
}

#[test]
fn uniform() {
    assert_accurate("uniform", |random| random.share() * 1_000.0);
}

#[test]
fn log_normal() {
    assert_accurate("log-normal", |random| (random.normal() * 1.5 + 3.0).exp());
}

#[test]
fn bimodal() {
    assert_accurate("bimodal", |random| {
        let middle = if random.share() < 0.7 { 5.0 } else { 900.0 };
        (middle + random.normal() * middle / 20.0).max(0.001)
    });
}

#[test]
fn heavy_tail() {
    assert_accurate("heavy tail", |random| random.share().powf(-1.0 / 1.1));
}

#[test]
fn constant() {
    assert_accurate("constant", |_| 123.456);
}

#[test]
fn tiny() {
    assert_accurate("tiny", |random| 1e-300 * random.share());
}

#[test]
fn huge() {
    assert_accurate("huge", |random| 1e300 * (1.0 + random.share() * 1e7));
}

#[test]
fn negative() {
    assert_accurate("negative", |random| -(random.normal() * 2.0).exp());
}
