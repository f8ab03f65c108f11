use alloc::boxed::Box;
use core::fmt;
use core::marker::PhantomData;
use core::ptr::{null_mut, slice_from_raw_parts_mut};
#[cfg(not(model_check))]
use core::slice::from_raw_parts;

use crate::sync::{AtomicPtr, Ordering};

/// An array that grows by pages, is read without a lock, and never moves what it holds.
///
/// `FIRST` cells are in a page of the first class; every `PER_CLASS` pages their size doubles, so
/// that at most one part in `PER_CLASS` of a large array is room not used yet.
pub(crate) struct Pages<T, const PAGES: usize, const PER_CLASS: usize, const FIRST: usize> {
    pages: [AtomicPtr<T>; PAGES],
    owned: PhantomData<T>,
}

/// Where a cell is: the number of its page, and its offset in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    offset: u32,
    page: u8,
}

impl Place {
    #[inline]
    pub(super) fn page(self) -> usize {
        usize::from(self.page)
    }

    #[inline]
    pub(super) fn offset(self) -> usize {
        self.offset as usize
    }

    /// The first of the `length` neighbours that it is one of.
    #[cfg(not(model_check))]
    pub(super) fn window(self, length: usize) -> Self {
        Self { offset: self.offset - self.offset % length as u32, ..self }
    }
}

impl<T, const PAGES: usize, const PER_CLASS: usize, const FIRST: usize> Pages<T, PAGES, PER_CLASS, FIRST> {
    /// Cells there can be.
    pub(crate) const CAPACITY: usize = FIRST * PER_CLASS * ((1 << (PAGES / PER_CLASS)) - 1);

    #[cfg(not(model_check))]
    pub(crate) const fn new() -> Self {
        assert!(
            PAGES <= 256 && PAGES.is_multiple_of(PER_CLASS) && PER_CLASS.is_power_of_two() && FIRST.is_power_of_two()
        );
        Self { pages: [const { AtomicPtr::new(null_mut()) }; PAGES], owned: PhantomData }
    }

    #[cfg(model_check)]
    pub(crate) fn new() -> Self {
        Self { pages: core::array::from_fn(|_| AtomicPtr::new(null_mut())), owned: PhantomData }
    }

    /// Where cell number `index` is; none at or above the capacity.
    #[inline]
    pub(crate) fn place(index: usize) -> Option<Place> {
        if index >= Self::CAPACITY {
            return None;
        }
        let round = FIRST * PER_CLASS;
        let class = ((index + round) / round).ilog2();
        let inside = index + round - (round << class);
        // Shifts and masks: all lengths are powers of two, which a division would not know.
        let length_bits = FIRST.ilog2() + class;
        let page = if PER_CLASS == 1 { 0 } else { inside >> length_bits };
        let offset = if PER_CLASS == 1 { inside } else { inside & ((1 << length_bits) - 1) };
        Some(Place { page: (class as usize * PER_CLASS + page) as u8, offset: offset as u32 })
    }

    pub(super) fn page_length(page: usize) -> usize {
        FIRST << (page / PER_CLASS)
    }

    /// The first cell of a page; null when the page is not there.
    #[inline]
    pub(super) fn page(&self, page: usize) -> *const T {
        self.pages.get(page).map_or(null_mut(), |page| page.load(Ordering::Acquire)).cast_const()
    }

    /// The cell, if its page is there.
    #[inline]
    pub(crate) fn get(&self, place: Place) -> Option<&T> {
        let page = self.page(place.page());
        // SAFETY: rules 1 and 3 of the module: the page stays, and the place is inside it.
        (!page.is_null()).then(|| unsafe { &*page.add(place.offset()) })
    }

    /// Memory of the pages that are there.
    #[cfg(not(model_check))]
    pub(crate) fn bytes(&self) -> usize {
        let held = |page: &usize| !self.page(*page).is_null();
        (0..PAGES).filter(held).map(|page| Self::page_length(page) * size_of::<T>()).sum()
    }

    /// The cells from `first` on, if their page is there; at most `length`.
    #[cfg(not(model_check))]
    pub(super) fn run(&self, first: Place, length: usize) -> Option<&[T]> {
        let room = Self::page_length(first.page()) - first.offset();
        let page = self.page(first.page());
        // SAFETY: rules 1 and 3 of the module; `room` cells of the page are left from there.
        (!page.is_null()).then(|| unsafe { from_raw_parts(page.add(first.offset()), length.min(room)) })
    }
}

impl<T: Default, const PAGES: usize, const PER_CLASS: usize, const FIRST: usize> Pages<T, PAGES, PER_CLASS, FIRST> {
    /// The cell; its page is made if it is not there.
    pub(crate) fn get_or_make(&self, place: Place) -> &T {
        if self.page(place.page()).is_null() {
            self.make(place.page());
        }
        // SAFETY: rules 1 and 3 of the module; the page is there now.
        unsafe { &*self.page(place.page()).add(place.offset()) }
    }

    fn make(&self, page: usize) {
        let cells: Box<[T]> = (0..Self::page_length(page)).map(|_| T::default()).collect();
        let made = Box::into_raw(cells).cast::<T>();
        let published =
            self.pages[page].compare_exchange(null_mut(), made, Ordering::AcqRel, Ordering::Acquire).is_ok();
        if !published {
            // SAFETY: it came from `Box::into_raw` with this length and was not published.
            unsafe { Self::free(page, made) };
        }
    }
}

impl<T, const PAGES: usize, const PER_CLASS: usize, const FIRST: usize> Pages<T, PAGES, PER_CLASS, FIRST> {
    /// # Safety
    /// `cells` came from a box of this page's length, and nobody uses it.
    unsafe fn free(page: usize, cells: *mut T) {
        // SAFETY: the caller's word.
        drop(unsafe { Box::from_raw(slice_from_raw_parts_mut(cells, Self::page_length(page))) });
    }
}

impl<T, const PAGES: usize, const PER_CLASS: usize, const FIRST: usize> Drop for Pages<T, PAGES, PER_CLASS, FIRST> {
    fn drop(&mut self) {
        for page in 0..PAGES {
            let cells = self.pages[page].load(Ordering::Acquire);
            if !cells.is_null() {
                // SAFETY: it came from `make`, and `&mut self` proves that nobody uses it.
                unsafe { Self::free(page, cells) };
            }
        }
    }
}

impl<T, const PAGES: usize, const PER_CLASS: usize, const FIRST: usize> fmt::Debug
    for Pages<T, PAGES, PER_CLASS, FIRST>
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pages").finish_non_exhaustive()
    }
}

// SAFETY: it owns cells and lends `&T`; who makes a page moves its cells to whoever drops them.
unsafe impl<T: Send, const PAGES: usize, const PER_CLASS: usize, const FIRST: usize> Send
    for Pages<T, PAGES, PER_CLASS, FIRST>
{
}
// SAFETY: as above.
unsafe impl<T: Send + Sync, const PAGES: usize, const PER_CLASS: usize, const FIRST: usize> Sync
    for Pages<T, PAGES, PER_CLASS, FIRST>
{
}
