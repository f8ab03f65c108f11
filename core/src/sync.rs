//! The only place that names atomics and locks, so that a model checker can replace them: built
//! with `--cfg model_check`, every one of them is loom's.

#[cfg(model_check)]
pub(crate) use loom::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering};
#[cfg(not(model_check))]
pub(crate) use portable_atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, Ordering};

#[cfg(all(feature = "std", not(model_check)))]
mod lock {
    use std::sync::{Mutex, MutexGuard, PoisonError};

    /// A lock whose holder's panic does not spread: what it guards is valid between statements.
    #[derive(Debug, Default)]
    pub(crate) struct Lock<T>(Mutex<T>);

    impl<T> Lock<T> {
        pub(crate) const fn new(value: T) -> Self {
            Self(Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner)
        }
    }
}

#[cfg(not(any(feature = "std", model_check)))]
mod lock {
    use spin::{Mutex, MutexGuard};

    /// A lock that spins: there is no operating system to wait on.
    #[derive(Debug, Default)]
    pub(crate) struct Lock<T>(Mutex<T>);

    impl<T> Lock<T> {
        pub(crate) const fn new(value: T) -> Self {
            Self(Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock()
        }
    }
}

#[cfg(not(model_check))]
pub(crate) use lock::Lock;
