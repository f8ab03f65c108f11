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
    /// A bit for each bucket that a bound lies in.
    divided: u64,
    pub(crate) sum: AtomicU64,
    pub(crate) counts: [AtomicU64; STEPS],
    next: OnceBox<Octave>,
}

/// Holds no key that a value has.
static NO_OCTAVE: Octave = Octave::new(u32::MAX, 0);

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

    /// The value's octave, if it was used lately; else another one.
    #[inline]
    pub(crate) fn lately(&self, key: u32) -> &Octave {
        let octave = self.recent(key).load(Ordering::Acquire);
        // SAFETY: it points to `NO_OCTAVE` or into `self.octaves`, which frees none while `self` lives.
        unsafe { &*octave }
    }

    /// The value's octave; none when there are as many others as there may be.
    pub(crate) fn octave(&self, key: u32, bounds: &[f64]) -> Option<&Octave> {
        let lately = self.lately(key);
        if lately.key == key {
            return Some(lately);
        }
        let mut place = &self.octaves;
        for _ in 0..OCTAVES_MAX {
            let octave = place.get_or_make(|| Octave::new(key, divided_steps(key, bounds)));
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

    /// What counts the value, if a bound below it lies in its bucket; else its bucket does.
    pub(crate) fn above_bound(&self, position: Position, value: f64, bounds: &[f64]) -> Option<&AtomicU64> {
        let bound = bounds.partition_point(|bound| *bound < value).checked_sub(1)?;
        let shares_bucket = bounds[bound] != 0.0 && Position::of(bounds[bound]) == position;
        if shares_bucket { self.above_bounds.get(bound) } else { None }
    }

    /// Memory, this block's own and of what hangs from it.
    pub(crate) fn bytes(&self) -> usize {
        size_of::<Self>() + self.octaves().count() * size_of::<Octave>() + size_of_val(&*self.above_bounds)
    }
}

impl Octave {
    const fn new(key: u32, divided: u64) -> Self {
        Self {
            key,
            divided,
            sum: AtomicU64::new(0),
            counts: [const { AtomicU64::new(0) }; STEPS],
            next: OnceBox::new(),
        }
    }

    #[inline]
    pub(crate) fn record<W: Writer>(&self, step: usize, value: f64) {
        W::add(&self.counts[step % STEPS], 1);
        W::add_float(&self.sum, value);
    }

    /// Counts a value in `count` in place of its bucket.
    pub(crate) fn record_apart<W: Writer>(&self, count: &AtomicU64, value: f64) {
        W::add(count, 1);
        W::add_float(&self.sum, value);
    }

    /// Whether a bound lies in this bucket.
    #[inline]
    pub(crate) fn is_divided(&self, step: usize) -> bool {
        self.divided >> (step % STEPS) & 1 == 1
    }
}

/// A bit for each bucket of the octave that a bound lies in.
fn divided_steps(key: u32, bounds: &[f64]) -> u64 {
    let positions = bounds.iter().filter(|bound| **bound != 0.0).map(|bound| Position::of(*bound));
    positions.filter(|position| position.key == key).fold(0, |steps, position| steps | 1 << position.step)
}
