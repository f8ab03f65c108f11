//! An allocator that counts what a thread allocates and frees while it is told to.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

thread_local! {
    /// None while nothing is counted, so that counting costs next to nothing while time is measured.
    static TALLY: Cell<Option<Tally>> = const { Cell::new(None) };
}

/// What a piece of work allocated on its own thread, in requested sizes.
#[derive(Clone, Copy, Default)]
pub struct Tally {
    /// Allocated less freed.
    pub bytes: i64,
    /// Calls that allocated or grew.
    pub allocations: u64,
}

/// Does the work and counts what it allocates.
pub fn counted<T>(work: impl FnOnce() -> T) -> (T, Tally) {
    TALLY.set(Some(Tally::default()));
    let result = work();
    (result, TALLY.take().unwrap_or_default())
}

struct CountingAllocator;

#[allow(unsafe_code)]
// SAFETY: every call is passed on to the system's allocator as it is.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 0);
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 0);
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size, layout.size());
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(0, layout.size());
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[inline]
fn count(allocated: usize, freed: usize) {
    if let Some(mut tally) = TALLY.get() {
        tally.bytes += allocated as i64 - freed as i64;
        tally.allocations += u64::from(allocated > 0);
        TALLY.set(Some(tally));
    }
}
