//! What counts: handles bound once, cheap to clone, that never block, panic or read a clock.
//!
//! A handle is got from a [`Registry`](crate::registry::Registry) and stays valid for as long as
//! somebody holds it, also in a static. With `std`, each thread counts into memory of its own: a
//! load and a store, without a lock; the first use in a thread allocates that memory. What is
//! weaker elsewhere:
//!
//! - Without `std`, in the 257th thread at a time and in destructors of a thread that ends, counting
//!   is a locked operation, several times slower, and as exact.
//! - In a signal handler a count can be lost, if the handler interrupts the same thread's counting.
//! - Where the machine has no atomics of 64 bits, such as Cortex-M, counting takes portable-atomic's
//!   lock. Who counts in interrupts there enables that crate's feature `critical-section`.
//! - A reader on another thread sees a count soon after it was made, not at once.

mod counter;
mod distribution;
pub(crate) mod exponential;
mod gauge;
mod histogram;

use alloc::vec::Vec;

pub use counter::Counter;
pub use distribution::Distribution;
pub(crate) use distribution::rank;
pub use exponential::SCALE;
pub use gauge::{Gauge, GaugePart};
pub use histogram::Histogram;

use crate::memory::block::Octave;
use crate::memory::handle::{Handle, Instrument};
use crate::memory::pages::Place;
use crate::memory::process::Totals;
use crate::registry::Kind;
use crate::snapshot::Value;

/// Writes what a series recorded until now into `value`, reusing its memory.
#[inline]
pub(crate) fn read_into(handle: &Handle, reading: &mut Reading, value: &mut Value) {
    match handle.owner.kind {
        Kind::Counter => Counter::of(handle).read_into(reading, value),
        Kind::Gauge => Gauge::of(handle).read_into(reading, value),
        Kind::Histogram => Histogram::of(handle).read_into(reading, value),
    }
}

/// What the reading of one series leaves for the next.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    /// Unix milliseconds.
    pub(crate) at: u64,
    pub(crate) totals: Totals,
    /// Cells of gauges with several holders, by series.
    pub(crate) parts: Vec<(Place, Place)>,
    /// Of the histogram that is being read; empty between two.
    pub(crate) octaves: Vec<&'static Octave>,
    /// Memory of the cells read.
    pub(crate) bytes: u64,
}

impl Reading {
    /// Begins anew, keeping the memory.
    pub(crate) fn restart(&mut self, at: u64) {
        (self.at, self.bytes) = (at, 0);
        self.totals = Totals::default();
    }
}
