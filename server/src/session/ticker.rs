use std::sync::Arc;

use tokio::time::sleep_until;
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument;

use super::live::LiveSession;

/// Keeps the session's metrics loop running: when it fails it is logged, counted and restarted, and the
/// schedule goes on where it was.
pub(super) async fn supervise(session: Arc<LiveSession>) {
    loop {
        let metrics_loop = tokio::spawn(run(Arc::clone(&session)).in_current_span());
        let Err(failure) = AbortOnDropHandle::new(metrics_loop).await;
        if !failure.is_panic() {
            return;
        }
        session.count_failed_tick();
    }
}

async fn run(session: Arc<LiveSession>) -> std::convert::Infallible {
    loop {
        sleep_until(session.app.clock.instant(session.next_tick_due())).await;
        session.tick();
    }
}
