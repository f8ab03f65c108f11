//! The values recorded: times, log-normal around 8 ms, within exactly 14 octaves.

use std::f64::consts::LN_2;
use std::sync::LazyLock;

use bench_shared::random::Random;

/// How many octaves the values spread over.
pub const OCTAVES: u32 = 14;
/// The smallest value, in ms: 2^-4. The largest is below 2^10.
pub const LOWEST_MS: f64 = 0.0625;
/// Upper bounds in seconds for libraries that need them: Prometheus' default for latencies.
pub const BOUNDS_S: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// 4,096 values, read eight at a time.
pub type Table<V> = [[V; 8]; 512];

/// In milliseconds.
pub static MS: LazyLock<Box<Table<f64>>> = LazyLock::new(|| table(|ms| ms));
/// The same in seconds, for libraries whose bounds are in seconds.
pub static SECONDS: LazyLock<Box<Table<f64>>> = LazyLock::new(|| table(|ms| ms / 1e3));
/// The same in nanoseconds, for libraries that record integers.
pub static NANOSECONDS: LazyLock<Box<Table<u64>>> = LazyLock::new(|| table(nanoseconds));

/// `count` random values in milliseconds, always the same ones.
pub fn log_normal(count: usize) -> Vec<f64> {
    let mut random = Random::new(0x5eed);
    std::iter::repeat_with(|| time_ms(&mut random))
        .filter(|ms| (LOWEST_MS..highest_ms()).contains(ms))
        .take(count)
        .collect()
}

/// Values that reach each part of all 14 octaves, in milliseconds. None is a power of two: to which of
/// two octaves that belongs depends on the library.
pub fn sweep() -> Vec<f64> {
    const PER_OCTAVE: u32 = 256;
    let octaves = |step: u32| (f64::from(step) + 0.5) / f64::from(PER_OCTAVE);
    (0..OCTAVES * PER_OCTAVE).map(|step| LOWEST_MS * octaves(step).exp2()).collect()
}

/// Milliseconds as whole nanoseconds.
pub fn nanoseconds(ms: f64) -> u64 {
    (ms * 1e6).round() as u64
}

/// Median 8 ms, standard deviation two octaves: 3.5 of them reach either end.
fn time_ms(random: &mut Random) -> f64 {
    random.log_normal(8.0, 2.0 * LN_2)
}

fn table<V>(unit: impl Fn(f64) -> V) -> Box<Table<V>> {
    let values = log_normal(8 * 512);
    Box::new(std::array::from_fn(|row| std::array::from_fn(|column| unit(values[8 * row + column]))))
}

fn highest_ms() -> f64 {
    LOWEST_MS * f64::from(OCTAVES).exp2()
}
