use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How much arrived at the socket of a connection: counted where it is read, and part of each of its requests, so that
/// what becomes of the connection can know. Clones are the same count.
#[derive(Clone, Debug, Default)]
pub(crate) struct Arrived(Arc<AtomicUsize>);

impl Arrived {
    pub(crate) fn add(&self, bytes: usize) {
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }

    /// All until now; after the greatest number it goes on at 0.
    #[cfg(feature = "live")]
    pub(crate) fn bytes(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}
