use std::future::Future;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;

use crate::app::App;

/// Runs a connection's work; a panic ends it, is counted, and goes no further. None where it panicked.
pub(crate) async fn confine<T>(app: &App, work: impl Future<Output = T>) -> Option<T> {
    // What a panic leaves behind belongs to this connection, which ends by it; locks are not poisoned.
    let done = AssertUnwindSafe(work).catch_unwind().await;
    if done.is_err() {
        app.metrics.transport.failures.inc();
        tracing::error!("a connection's work panicked and was ended");
    }
    done.ok()
}
