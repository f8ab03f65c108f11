//! What is asked of providers on threads that they may block.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use serde_json::Value;
use tachograph_core::session::{Chunk, ProviderInForce, Voice};
use tokio::sync::{Semaphore, oneshot};
use tokio::task::spawn_blocking;

use crate::provider::{Provider, ProviderError, Quality};

/// Each has a thread for as long as it blocks it.
const CALLS_MAX: usize = 64;

/// Places for calls of providers that may block a thread, of each kind so many at once. Those of one kind that do not
/// return take no place of another's.
#[derive(Clone, Debug)]
pub(crate) struct ProviderCalls {
    primary: Places,
    fallback: Places,
}

#[derive(Clone, Debug)]
struct Places {
    calls: Arc<Semaphore>,
    ends: Arc<Semaphore>,
}

impl Default for ProviderCalls {
    fn default() -> Self {
        let places = || Arc::new(Semaphore::new(CALLS_MAX));
        let of_one = || Places { calls: places(), ends: places() };
        Self { primary: of_one(), fallback: of_one() }
    }
}

impl ProviderCalls {
    /// To be told how well to work: for the one that works unless it failed, or for the other.
    pub(super) fn of(&self, is_fallback: bool) -> Arc<Semaphore> {
        Arc::clone(&self.places(is_fallback).calls)
    }

    fn places(&self, is_fallback: bool) -> &Places {
        if is_fallback { &self.fallback } else { &self.primary }
    }
}

/// A provider whose end blocks no thread of the runtime, whoever lets go of it last: it is its own code.
pub(super) struct Kept {
    provider: Arc<dyn Provider>,
    /// Closed when the provider above was let go of, as it is dropped after it.
    _ended: oneshot::Sender<()>,
}

impl Kept {
    /// On the runtime on which it works.
    pub(super) fn new(provider: Arc<dyn Provider>, calls: &ProviderCalls, is_fallback: bool) -> Self {
        let ((ended, is_ended), ends) = (oneshot::channel(), Arc::clone(&calls.places(is_fallback).ends));
        let last = Arc::clone(&provider);
        tokio::spawn(async move {
            let _closed = is_ended.await;
            let place = ends.acquire_owned().await;
            spawn_blocking(move || {
                let _place = place;
                drop(last);
            });
        });
        Self { provider, _ended: ended }
    }
}

impl Provider for Kept {
    fn in_force(&self) -> ProviderInForce {
        self.provider.in_force()
    }

    fn process(&self, chunk: Chunk) -> BoxFuture<'_, Result<Option<Voice>, ProviderError>> {
        self.provider.process(chunk)
    }

    fn health(&self) -> BoxFuture<'_, Result<Value, ProviderError>> {
        self.provider.health()
    }

    fn set_quality(&self, quality: Quality) {
        self.provider.set_quality(quality);
    }
}
