use alloc::boxed::Box;
use core::fmt;
use core::marker::PhantomData;
use core::ptr::null_mut;

use crate::sync::{AtomicPtr, Ordering};

/// A place that is filled at most once, by whoever is first, and then read without waiting.
pub(crate) struct OnceBox<T>(AtomicPtr<T>, PhantomData<T>);

impl<T> OnceBox<T> {
    #[cfg(not(model_check))]
    pub(crate) const fn new() -> Self {
        Self(AtomicPtr::new(null_mut()), PhantomData)
    }

    #[cfg(model_check)]
    pub(crate) fn new() -> Self {
        Self(AtomicPtr::new(null_mut()), PhantomData)
    }

    #[inline]
    pub(crate) fn get(&self) -> Option<&T> {
        // SAFETY: the pointer is null or was published by `get_or_make`; see rule 1 of the module.
        unsafe { self.0.load(Ordering::Acquire).as_ref() }
    }

    /// What is in it; if nothing is, what `make` makes. Of two who come at once one's is dropped.
    pub(crate) fn get_or_make(&self, make: impl FnOnce() -> T) -> &T {
        if let Some(held) = self.get() {
            return held;
        }
        let made = Box::into_raw(Box::new(make()));
        let published = self.0.compare_exchange(null_mut(), made, Ordering::AcqRel, Ordering::Acquire);
        let held = match published {
            Ok(_) => made,
            Err(held) => {
                // SAFETY: `made` came from `Box::into_raw` and was not published.
                drop(unsafe { Box::from_raw(made) });
                held
            }
        };
        // SAFETY: published just now, by us or by another; see rule 1 of the module.
        unsafe { &*held }
    }

    /// Empties the place.
    ///
    /// # Safety
    /// Nobody holds a reference from this place, and nobody takes one until this has returned.
    #[cfg(not(model_check))]
    pub(crate) unsafe fn clear(&self) {
        let held = self.0.swap(null_mut(), Ordering::AcqRel);
        if !held.is_null() {
            // SAFETY: it came from `Box::into_raw`, and the caller vouches that nobody uses it.
            drop(unsafe { Box::from_raw(held) });
        }
    }
}

impl<T> Drop for OnceBox<T> {
    fn drop(&mut self) {
        let held = self.0.load(Ordering::Acquire);
        if !held.is_null() {
            // SAFETY: it came from `Box::into_raw`, and `&mut self` proves that nobody uses it.
            drop(unsafe { Box::from_raw(held) });
        }
    }
}

impl<T> Default for OnceBox<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: fmt::Debug> fmt::Debug for OnceBox<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OnceBox").field(&self.get()).finish()
    }
}

// SAFETY: it owns a `T` and lends `&T`; who fills it moves a `T` to whoever drops it.
unsafe impl<T: Send> Send for OnceBox<T> {}
// SAFETY: as above.
unsafe impl<T: Send + Sync> Sync for OnceBox<T> {}
