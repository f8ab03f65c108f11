//! The slabs of the process, and what is done with a series' cells in them.

use super::block::Block;
#[cfg(feature = "std")]
use super::local;
use super::once::OnceBox;
use super::pages::Place;
use super::slab::{Locked, Slabs, Sole, Writer};
use super::storage::Storage;
use crate::instrument::exponential::Position;
use crate::sync::{AtomicU64, Ordering};

pub(super) static PROCESS: Slabs = Slabs::new();

/// Threads that found all slabs taken.
static SHARING: AtomicU64 = AtomicU64::new(0);

#[cfg(feature = "std")]
pub(super) fn count_sharing() {
    SHARING.fetch_add(1, Ordering::Relaxed);
}

/// Threads until now that found all slabs taken, and write to the shared one.
pub(crate) fn threads_sharing() -> u64 {
    SHARING.load(Ordering::Relaxed)
}

/// Without threads everything is written to the shared slab.
#[cfg(not(feature = "std"))]
mod local {
    use super::{AtomicU64, Block, OnceBox, Place};

    pub(super) fn count(_: Place) -> Option<&'static AtomicU64> {
        None
    }

    pub(super) fn block(_: Place) -> Option<&'static Block> {
        None
    }

    pub(super) fn touch_count(_: Place) -> Option<&'static AtomicU64> {
        None
    }

    pub(super) fn touch_block(_: Place) -> Option<&'static OnceBox<Block>> {
        None
    }
}

// ---- counters

/// Counts in the calling thread's cell.
#[inline]
pub(crate) fn add(place: Place, amount: u64) {
    match local::count(place) {
        Some(cell) => Sole::add(cell, amount),
        None => add_untouched(place, amount),
    }
}

#[cold]
#[inline(never)]
fn add_untouched(place: Place, amount: u64) {
    match local::touch_count(place) {
        Some(cell) => Sole::add(cell, amount),
        None => Locked::add(PROCESS.shared.counts.get_or_make(place), amount),
    }
}

/// What all threads counted until now.
pub(crate) fn total(place: Place) -> u64 {
    let cells = PROCESS.all().filter_map(|slab| slab.counts.get(place));
    cells.fold(0, |total: u64, cell| total.saturating_add(cell.load(Ordering::Relaxed)))
}

/// Totals of neighbouring counters, read slab by slab instead of counter by counter.
#[derive(Debug)]
pub(crate) struct Totals {
    window: Option<Place>,
    totals: [u64; WINDOW],
    slabs: usize,
}

/// Cells read at once: no page is shorter, and a page's length is a multiple of it.
const WINDOW: usize = 64;

impl Default for Totals {
    fn default() -> Self {
        Self { window: None, totals: [0; WINDOW], slabs: 0 }
    }
}

impl Totals {
    /// The counter's total, and the bytes of its cells.
    #[inline]
    pub(crate) fn get(&mut self, place: Place) -> (u64, usize) {
        let window = place.window(WINDOW);
        if self.window != Some(window) {
            self.read(window);
        }
        (self.totals[place.offset() % WINDOW], self.slabs * size_of::<AtomicU64>())
    }

    #[inline(never)]
    fn read(&mut self, window: Place) {
        *self = Self { window: Some(window), ..Self::default() };
        for cells in PROCESS.all().filter_map(|slab| slab.counts.run(window, WINDOW)) {
            self.slabs += 1;
            for (total, cell) in self.totals.iter_mut().zip(cells) {
                *total = total.saturating_add(cell.load(Ordering::Relaxed));
            }
        }
    }
}

// ---- gauges

/// The one cell of a gauge, which all threads write to.
#[inline]
pub(crate) fn gauge(place: Place) -> &'static AtomicU64 {
    match PROCESS.shared.counts.get(place) {
        Some(cell) => cell,
        None => make_gauge(place),
    }
}

#[cold]
#[inline(never)]
fn make_gauge(place: Place) -> &'static AtomicU64 {
    PROCESS.shared.counts.get_or_make(place)
}

// ---- histograms

/// Counts a value in the calling thread's block. False, and not counted, if it is zero or not finite,
/// if it shares its bucket with a bound, or if its octave was not used lately: [`record_rarely`] does it.
#[inline]
pub(crate) fn record(place: Place, value: f64) -> bool {
    let Position { key, step } = Position::of(value);
    let Some(block) = local::block(place) else { return false };
    let octave = block.lately(key);
    // Zero, infinity and NaN have no octave that is found here, so they need no test of their own.
    let is_here = octave.key == key && !octave.is_divided(step);
    if is_here {
        octave.record::<Sole>(step, value);
    }
    is_here
}

/// Counts any value, or refuses it.
pub(crate) fn record_rarely(storage: &Storage, place: Place, value: f64, bounds: &[f64]) {
    if !value.is_finite() {
        return storage.refuse();
    }
    match local::touch_block(place) {
        Some(held) => record_as::<Sole>(storage, held, value, bounds),
        None => record_as::<Locked>(storage, PROCESS.shared.blocks.get_or_make(place), value, bounds),
    }
}

fn record_as<W: Writer>(storage: &Storage, held: &OnceBox<Block>, value: f64, bounds: &[f64]) {
    let block = held.get_or_make(|| Block::new(bounds.len()));
    if value == 0.0 {
        return W::add(&block.zeros, 1);
    }
    let position = Position::of(value);
    let Some(octave) = block.octave(position.key, bounds) else { return storage.refuse() };
    match block.above_bound(position, value, bounds) {
        Some(count) => octave.record_apart::<W>(count, value),
        None => octave.record::<W>(position.step, value),
    }
}

/// The blocks that the threads keep for a histogram.
pub(crate) fn blocks(place: Place) -> impl Iterator<Item = &'static Block> {
    PROCESS.all().filter_map(move |slab| slab.blocks.get(place)).filter_map(OnceBox::get)
}

// ---- giving back

/// Sets a series' cell to zero in every slab.
pub(super) fn clear_count(place: Place) {
    PROCESS.all().filter_map(|slab| slab.counts.get(place)).for_each(|cell| cell.store(0, Ordering::Relaxed));
}

/// Frees a series' block in every slab.
///
/// # Safety
/// Nobody can reach the series any more.
pub(super) unsafe fn clear_block(place: Place) {
    for held in PROCESS.all().filter_map(|slab| slab.blocks.get(place)) {
        // SAFETY: the caller's word.
        unsafe { held.clear() };
    }
}
