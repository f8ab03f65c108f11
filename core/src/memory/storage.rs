use alloc::vec::Vec;

use super::pages::Place;
use super::process::{clear_block, clear_count};
use super::slab::{Blocks, Counts};
use crate::sync::{AtomicU64, Lock, Ordering};

/// Cells that nobody has, of the whole process.
static FREE: Lock<Free> = Lock::new(Free { counts: Indices::new(), blocks: Indices::new() });

struct Free {
    counts: Indices,
    blocks: Indices,
}

/// Numbers given out one by one, those given back first.
#[derive(Debug)]
struct Indices {
    next: u32,
    /// Of numbers given back: the first, and how many.
    runs: Vec<(u32, u32)>,
}

impl Indices {
    const fn new() -> Self {
        Self { next: 0, runs: Vec::new() }
    }

    fn take(&mut self, capacity: usize) -> Option<u32> {
        if let Some((first, length)) = self.runs.last_mut() {
            *length -= 1;
            let index = *first + *length;
            if *length == 0 {
                self.runs.pop();
            }
            return Some(index);
        }
        let index = self.next;
        ((index as usize) < capacity).then(|| self.next += 1)?;
        Some(index)
    }
}

/// The cells of one registry. Every handle and every collector holds it; the last one to go gives
/// the cells back, set to zero.
#[derive(Debug, Default)]
pub(crate) struct Storage {
    counts: Lock<Runs>,
    blocks: Lock<Runs>,
    refused: AtomicU64,
    overflowed: AtomicU64,
    /// Descriptors, labels and tables.
    bytes: AtomicU64,
    parts: Lock<Parts>,
}

/// Gauges that several holders share, each with a cell of its own.
#[derive(Debug, Default)]
struct Parts {
    /// The series' cell and the part's, sorted.
    held: Vec<(Place, Place)>,
    /// Cells of parts that are gone.
    spare: Vec<Place>,
}

/// The numbers that a registry took, neighbours together.
#[derive(Debug, Default)]
struct Runs(Vec<(u32, u32)>);

impl Runs {
    fn push(&mut self, index: u32) {
        match self.0.last_mut() {
            Some((first, length)) if *first + *length == index => *length += 1,
            _ => self.0.push((index, 1)),
        }
    }

    fn each(&self) -> impl Iterator<Item = usize> {
        self.0.iter().flat_map(|(first, length)| *first..first + length).map(|index| index as usize)
    }
}

impl Storage {
    /// A cell for a counter or a gauge; none when the process has no more.
    pub(crate) fn take_count(&self) -> Option<Place> {
        let index = FREE.lock().counts.take(Counts::CAPACITY)?;
        self.counts.lock().push(index);
        Counts::place(index as usize)
    }

    /// A place for a histogram's blocks; none when the process has no more.
    pub(crate) fn take_block(&self) -> Option<Place> {
        let index = FREE.lock().blocks.take(Blocks::CAPACITY)?;
        self.blocks.lock().push(index);
        Blocks::place(index as usize)
    }

    /// A cell of its own for one holder of a gauge; none when the process has no more.
    pub(crate) fn take_part(&self, series: Place) -> Option<Place> {
        let mut parts = self.parts.lock();
        let part = parts.spare.pop().or_else(|| self.take_count())?;
        let place = parts.held.partition_point(|held| *held < (series, part));
        parts.held.insert(place, (series, part));
        Some(part)
    }

    pub(crate) fn give_part(&self, series: Place, part: Place) {
        let mut parts = self.parts.lock();
        if let Ok(place) = parts.held.binary_search(&(series, part)) {
            parts.held.remove(place);
            clear_count(part);
            parts.spare.push(part);
        }
    }

    /// The cells of all parts, by series.
    pub(crate) fn parts_into(&self, parts: &mut Vec<(Place, Place)>) {
        parts.clear();
        parts.extend_from_slice(&self.parts.lock().held);
    }

    /// Counts a value that was not recorded.
    pub(crate) fn refuse(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Counts a binding that went to an overflow series.
    pub(crate) fn overflow(&self) {
        self.overflowed.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn overflowed(&self) -> u64 {
        self.overflowed.load(Ordering::Relaxed)
    }

    pub(crate) fn hold(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

impl Drop for Storage {
    fn drop(&mut self) {
        let (counts, blocks) = (self.counts.lock(), self.blocks.lock());
        for place in counts.each().filter_map(Counts::place) {
            clear_count(place);
        }
        for place in blocks.each().filter_map(Blocks::place) {
            // SAFETY: rule 4 of the module: who could reach it held this storage.
            unsafe { clear_block(place) };
        }
        let mut free = FREE.lock();
        free.counts.runs.extend_from_slice(&counts.0);
        free.blocks.runs.extend_from_slice(&blocks.0);
    }
}
