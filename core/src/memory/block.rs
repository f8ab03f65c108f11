use alloc::boxed::Box;
use core::ptr::from_ref;

use super::once::OnceBox;
use super::slab::Writer;
use crate::instrument::exponential::{Position, STEPS};
use crate::sync::{AtomicPtr, AtomicU64, Ordering};

/// Octaves that one thread keeps for one histogram: 135 KiB, and a range of 10^77.
pub(crate) const OCTAVES_MAX: usize = 256;
const RECENT: usize = 32;
/// The part of a key that is the exponent.
const EXPONENT: u32 = 0x7FF;
/// The exponent of the largest finite values.
const HIGHEST_EXPONENT: u32 = 0x7FE;

/// What one thread recorded into one histogram.
#[derive(Debug)]
pub(crate) struct Block {
    /// Where an octave is found without a search: 32 neighbours never collide, nor do 16 and their
    /// negatives.
    recent: [AtomicPtr<Octave>; RECENT],
    octaves: OnceBox<Octave>,
    pub(crate) zeros: AtomicU64,
    /// Values that share a bucket with the bound below them; a cell for each bound.
    pub(crate) above_bounds: Box<[AtomicU64]>,
}

/// The buckets between two powers of two, and the sum of what was counted in them.
#[derive(Debug)]
pub(crate) struct Octave {
    /// Sign and exponent.
    pub(crate) key: u32,
    pub(crate) sum: AtomicU64,
    pub(crate) counts: [AtomicU64; STEPS],
    next: OnceBox<Octave>,
}

/// Holds no key that a value has.
static NO_OCTAVE: Octave = Octave::new(u32::MAX);

impl Block {
    pub(crate) fn new(bounds: usize) -> Self {
        let nowhere = from_ref(&NO_OCTAVE).cast_mut();
        Self {
            recent: core::array::from_fn(|_| AtomicPtr::new(nowhere)),
            octaves: OnceBox::new(),
            zeros: AtomicU64::new(0),
            above_bounds: (0..bounds).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    #[inline]
    fn recent(&self, key: u32) -> &AtomicPtr<Octave> {
        &self.recent[((key ^ key >> 7) as usize) % RECENT]
    }

    /// The value's octave, if it was used lately.
    #[inline]
    pub(crate) fn lately(&self, key: u32) -> Option<&Octave> {
        let octave = self.recent(key).load(Ordering::Acquire);
        // SAFETY: it points to `NO_OCTAVE` or into `self.octaves`, which frees none while `self` lives.
        let octave = unsafe { &*octave };
        (octave.key == key).then_some(octave)
    }

    /// The value's octave; none when there are as many others as there may be.
    pub(crate) fn octave(&self, key: u32) -> Option<&Octave> {
        let mut place = &self.octaves;
        for _ in 0..OCTAVES_MAX {
            let octave = place.get_or_make(|| Octave::new(key));
            if octave.key == key {
                self.remember(octave);
                return Some(octave);
            }
            place = &octave.next;
        }
        None
    }

    /// The highest octave is never remembered: infinity would pass for a value of it.
    fn remember(&self, octave: &Octave) {
        if octave.key & EXPONENT < HIGHEST_EXPONENT {
            self.recent(octave.key).store(from_ref(octave).cast_mut(), Ordering::Release);
        }
    }

    pub(crate) fn octaves(&self) -> impl Iterator<Item = &Octave> {
        core::iter::successors(self.octaves.get(), |octave| octave.next.get())
    }

    /// The cell that counts the value: its bucket's, unless a bound below it lies in the same bucket.
    pub(crate) fn cell(&self, position: Position, value: f64, bounds: &[f64]) -> Cell<'_> {
        let below = bounds.partition_point(|bound| *bound < value);
        let shares_bucket = |bound: &usize| bounds[*bound] != 0.0 && Position::of(bounds[*bound]) == position;
        let above = below.checked_sub(1).filter(shares_bucket).and_then(|bound| self.above_bounds.get(bound));
        above.map_or(Cell::Bucket(position.step), Cell::AboveBound)
    }

    /// Memory, this block's own and of what hangs from it.
    pub(crate) fn bytes(&self) -> usize {
        size_of::<Self>() + self.octaves().count() * size_of::<Octave>() + size_of_val(&*self.above_bounds)
    }
}

impl Octave {
    const fn new(key: u32) -> Self {
        Self { key, sum: AtomicU64::new(0), counts: [const { AtomicU64::new(0) }; STEPS], next: OnceBox::new() }
    }

    #[inline]
    pub(crate) fn record<W: Writer>(&self, step: usize, value: f64) {
        W::add(&self.counts[step % STEPS], 1);
        W::add_float(&self.sum, value);
    }

    pub(crate) fn record_in<W: Writer>(&self, cell: Cell<'_>, value: f64) {
        match cell {
            Cell::Bucket(step) => self.record::<W>(step, value),
            Cell::AboveBound(count) => {
                W::add(count, 1);
                W::add_float(&self.sum, value);
            }
        }
    }
}

/// What counts a value of a histogram with bounds.
#[derive(Clone, Copy)]
pub(crate) enum Cell<'a> {
    /// The count of this step in the value's octave.
    Bucket(usize),
    /// The count of what is above a bound in the bound's own bucket.
    AboveBound(&'a AtomicU64),
}
