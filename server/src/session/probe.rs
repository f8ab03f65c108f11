use std::fmt::Display;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use serde_json::Value;
use tachograph_core::session::Level;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, timeout};

use super::source::Source;

/// What a source is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Question {
    Health,
    Level,
}

const EVERY: Duration = Duration::from_secs(1);
const DEADLINE: Duration = Duration::from_millis(500);

/// Asks for a source's health each second, so that no tick has to wait for the answer.
pub(super) async fn health<A, E>(source: Source, ask: Arc<impl Fn() -> A + Send + Sync>)
where
    A: Future<Output = Result<Value, E>> + Send,
    E: Display,
{
    let mut questions = questions();
    loop {
        questions.tick().await;
        let health = answer(&*ask).await;
        if let Err(reason) = &health {
            tracing::debug!(source = %source.name, reason, "the provider did not tell its health");
            source.session.app.metrics.provider_health_failures.inc();
        }
        source.session.update(|model, _| model.set_provider_health(source.name, health.ok()));
    }
}

/// Asks for a source's degrade level each second.
pub(super) async fn level<A, E>(source: Source, ask: Arc<impl Fn() -> A + Send + Sync>)
where
    A: Future<Output = Result<Level, E>> + Send,
    E: Display,
{
    let mut questions = questions();
    loop {
        questions.tick().await;
        let level = answer(&*ask).await;
        if let Err(reason) = &level {
            tracing::debug!(source = %source.name, reason, "the degrade level was not told");
        }
        source.session.update(|model, now| model.set_level(source.name, level.ok(), now));
    }
}

fn questions() -> Interval {
    // What is asked is made meanwhile.
    let mut questions = interval_at(Instant::now() + EVERY, EVERY);
    questions.set_missed_tick_behavior(MissedTickBehavior::Skip);
    questions
}

async fn answer<T, A, E>(ask: &(impl Fn() -> A + Sync)) -> Result<T, String>
where
    A: Future<Output = Result<T, E>>,
    E: Display,
{
    let answer = AssertUnwindSafe(async { ask().await.map_err(|error| error.to_string()) }).catch_unwind();
    match timeout(DEADLINE, answer).await {
        Ok(Ok(told)) => told,
        Ok(Err(_)) => Err("it panicked".into()),
        Err(_) => Err("it took too long".into()),
    }
}
