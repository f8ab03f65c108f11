//! What counts: handles bound once, cheap to clone, that never block, panic or read a clock.
//!
//! A handle is got from a [`Registry`](crate::registry::Registry) and stays valid for as long as
//! somebody holds it; recording through it touches atomics only.

mod counter;
mod distribution;
mod gauge;
mod histogram;

pub use counter::Counter;
pub use distribution::Distribution;
pub use gauge::Gauge;
pub use histogram::{Histogram, HistogramSnapshot};

use crate::sync::{AtomicU64, Ordering};

/// Adds to a float kept as bits. Returns false, changing nothing, if the sum is not finite.
fn add_float(cell: &AtomicU64, amount: f64) -> bool {
    cell.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |bits| {
        let sum = f64::from_bits(bits) + amount;
        sum.is_finite().then_some(sum.to_bits())
    })
    .is_ok()
}
