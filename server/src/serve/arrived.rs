use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::AsyncRead;
use tokio_util::io::InspectReader;

/// How much arrived by a connection, without its encryption: a part of each of its requests, so that what becomes of the
/// connection can know. Clones are the same count.
#[derive(Clone, Debug, Default)]
pub(crate) struct Arrived(Arc<AtomicU64>);

impl Arrived {
    /// The stream, of which all that is read counts.
    pub(super) fn counting<S: AsyncRead>(&self, stream: S) -> InspectReader<S, impl FnMut(&[u8]) + use<S>> {
        let arrived = self.clone();
        InspectReader::new(stream, move |read| arrived.add(read.len()))
    }

    pub(crate) fn add(&self, bytes: usize) {
        self.0.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// All until now.
    #[cfg(feature = "live")]
    pub(crate) fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
