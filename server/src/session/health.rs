use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use parking_lot::Mutex;
use serde_json::Value;
use tachograph_core::wire::SourceName;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};

use super::live::LiveSession;
use crate::provider::Provider;

const EVERY: Duration = Duration::from_secs(1);
const DEADLINE: Duration = Duration::from_millis(500);

/// The provider that works for a source now, if one does.
pub(super) type ProviderInUse = Arc<Mutex<Option<Arc<dyn Provider>>>>;

/// Asks a source's provider for its health each second, so that no tick has to wait for the answer.
pub(super) async fn probe(session: Arc<LiveSession>, source: SourceName, in_use: ProviderInUse) {
    // The worker makes the provider meanwhile.
    let mut questions = interval_at(Instant::now() + EVERY, EVERY);
    questions.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        questions.tick().await;
        let provider = in_use.lock().clone();
        let health = match provider {
            Some(provider) => ask(&*provider).await,
            None => Err("no provider works for the source".into()),
        };
        if let Err(reason) = &health {
            tracing::debug!(%source, reason, "the provider did not tell its health");
            session.app.metrics.provider_health_failures.inc();
        }
        session.set_provider_health(source, health.ok());
    }
}

async fn ask(provider: &dyn Provider) -> Result<Value, String> {
    let answer = AssertUnwindSafe(async { provider.health().await }).catch_unwind();
    match timeout(DEADLINE, answer).await {
        Ok(Ok(health)) => health.map_err(|error| error.to_string()),
        Ok(Err(_)) => Err("it panicked".into()),
        Err(_) => Err("it took too long".into()),
    }
}
