//! The only place that names atomics and locks, so that a model checker can replace them.

pub(crate) use portable_atomic::{AtomicU64, Ordering};

#[cfg(feature = "std")]
mod lock {
    use std::sync::{Mutex, MutexGuard, PoisonError};

    /// A lock whose holder's panic does not spread: what it guards is valid between statements.
    #[derive(Debug, Default)]
    pub(crate) struct Lock<T>(Mutex<T>);

    impl<T> Lock<T> {
        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner)
        }
    }
}

#[cfg(not(feature = "std"))]
mod lock {
    use spin::{Mutex, MutexGuard};

    /// A lock that spins: there is no operating system to wait on.
    #[derive(Debug, Default)]
    pub(crate) struct Lock<T>(Mutex<T>);

    impl<T> Lock<T> {
        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock()
        }
    }
}

pub(crate) use lock::Lock;
