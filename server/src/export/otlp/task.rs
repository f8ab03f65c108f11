//! The exporter's task: one half reads the registry each interval, the other sends what waits.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;

use super::client::{Client, Outcome};
use super::counts::Dropped;
use super::outbox::Outbox;
use super::reader::Reader;
use super::request::Request;
use crate::app::Shared;
use crate::backoff::Backoff;
use crate::supervise::{Task, supervise};

/// How long the last figures have to reach the collector.
const FLUSH_MAX: Duration = Duration::from_secs(3);
/// What is left of a wait when the exporter is to end.
const LAST_WAIT_MAX: Duration = Duration::from_millis(250);
const FIRST_RETRY_AFTER: Duration = Duration::from_millis(500);
const RETRY_AFTER_MAX: Duration = Duration::from_secs(30);
/// A collector that asks for more is asked again all the same.
const ASKED_FOR_MAX: Duration = Duration::from_secs(600);

/// Reads and sends until `shutdown`, and then once more, for 3 s at most. What was read and not sent outlives a
/// failure.
pub(super) async fn run(app: Weak<Shared>, reader: Reader, sender: Sender, every: Duration) {
    let (outbox, shutdown) = (Arc::clone(&sender.outbox), sender.shutdown.clone());
    let halves = Arc::new((Mutex::new(reader), Mutex::new(sender)));
    let too_late = async {
        shutdown.cancelled().await;
        sleep(FLUSH_MAX).await;
    };
    // Each by itself, so that a failure of one does not break off what the other does.
    let reading = supervise(Weak::clone(&app), Task::Exporter, || {
        let (halves, outbox, shutdown) = (Arc::clone(&halves), Arc::clone(&outbox), shutdown.clone());
        async move { read_each_interval(&mut *halves.0.lock().await, &outbox, every, &shutdown).await }
    });
    let sending = supervise(app, Task::Exporter, || {
        let halves = Arc::clone(&halves);
        async move { halves.1.lock().await.send_all().await }
    });
    let work = async { tokio::join!(reading, sending) };
    tokio::select! {
        _done = work => {}
        () = too_late => {
            let points = outbox.drain() + halves.0.lock().await.give_up();
            outbox.counts.drop_points(points, Dropped::Shutdown);
            tracing::warn!(points, "the last metrics did not reach the OTLP collector in time");
        }
    }
}

async fn read_each_interval(reader: &mut Reader, outbox: &Outbox, every: Duration, shutdown: &CancellationToken) {
    let mut due = interval(every);
    due.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !shutdown.is_cancelled() {
        tokio::select! {
            _at = due.tick() => reader.read().await,
            () = shutdown.cancelled() => {}
        }
    }
    reader.read().await;
    while reader.is_put_off() {
        outbox.room().await;
        reader.read().await;
    }
    outbox.close();
}

/// Sends one request after the other, the oldest first.
#[derive(Debug)]
pub(super) struct Sender {
    client: Client,
    outbox: Arc<Outbox>,
    shutdown: CancellationToken,
    backoff: Backoff,
    told: Told,
}

/// What the log says already.
#[derive(Debug, Default)]
struct Told {
    unreachable: bool,
    refused: Option<u16>,
    rejected: bool,
}

impl Sender {
    pub(super) fn new(client: Client, outbox: Arc<Outbox>, shutdown: CancellationToken) -> Self {
        let backoff = Backoff::new(FIRST_RETRY_AFTER, RETRY_AFTER_MAX);
        Self { client, outbox, shutdown, backoff, told: Told::default() }
    }

    async fn send_all(&mut self) {
        // What a failure left behind was perhaps not sent.
        self.outbox.put_back();
        while let Some(request) = self.outbox.next().await {
            match self.client.send(&request).await {
                Outcome::Taken { rejected, said } => self.note_taken(&request, rejected, &said),
                Outcome::Refused { status, said } => self.note_refused(&request, status, &said),
                Outcome::Again { why, after } => self.wait_to_send_again(&why, after).await,
            }
        }
    }

    fn note_taken(&mut self, request: &Request, rejected: u64, said: &str) {
        self.outbox.let_go();
        self.backoff.reset();
        let counts = &self.outbox.counts;
        counts.requests_sent.inc();
        // No more than were sent, whatever the collector says.
        let rejected = rejected.min(request.points);
        counts.points_sent.add(request.points - rejected);
        if std::mem::take(&mut self.told.unreachable) {
            tracing::info!("the OTLP collector takes metrics again");
        }
        if rejected > 0 {
            counts.drop_points(rejected, Dropped::Rejected);
            if !std::mem::replace(&mut self.told.rejected, true) {
                tracing::warn!(
                    rejected,
                    said,
                    "the OTLP collector rejects some points, which tachograph_otlp_points_dropped counts; see its limits"
                );
            }
        }
    }

    fn note_refused(&mut self, request: &Request, status: u16, said: &str) {
        self.outbox.let_go();
        self.backoff.reset();
        self.outbox.counts.drop_points(request.points, Dropped::Refused);
        if self.told.refused.replace(status) != Some(status) {
            tracing::error!(
                status,
                said,
                "the OTLP collector refuses metrics, which are dropped and counted; {}",
                advice(status)
            );
        }
    }

    async fn wait_to_send_again(&mut self, why: &str, after: Option<Duration>) {
        self.outbox.put_back();
        self.outbox.counts.retries.inc();
        if !std::mem::replace(&mut self.told.unreachable, true) {
            tracing::warn!(why, "the OTLP collector takes no metrics now; they wait, and are sent again");
        }
        let wait = self.wait(after);
        tokio::select! {
            () = sleep(wait) => {}
            () = self.shutdown.cancelled() => sleep(wait.min(LAST_WAIT_MAX)).await,
        }
    }

    /// At least what the collector asked for, within reason.
    fn wait(&mut self, asked_for: Option<Duration>) -> Duration {
        let own = self.backoff.wait();
        asked_for.map_or(own, |asked_for| asked_for.min(ASKED_FOR_MAX) + own / 4)
    }
}

fn advice(status: u16) -> &'static str {
    match status {
        401 | 403 => "give it what it asks for as a header",
        404 | 405 => "see whether the endpoint's path is the one for metrics, /v1/metrics as a rule",
        413 => "let it take requests of 1 MiB",
        415 => "see whether it takes OTLP as protobuf, and switch gzip off if it cannot read that",
        301..=308 => "give the address that it points to as the endpoint",
        _ => "see the collector's log for why",
    }
}

#[cfg(test)]
mod tests {
    use axum::http::Uri;
    use tachograph_core::registry::Registry;

    use super::super::Temporality;
    use super::super::buffer::Limits;
    use super::super::request::tests::envelope;
    use super::*;
    use crate::http_client::connector;

    const LIMITS: Limits = Limits { bytes: 64 << 20, requests: 8 };

    #[tokio::test]
    async fn what_the_collector_asks_for_is_kept_within_reason() {
        let outbox = Outbox::new(&Registry::new(), LIMITS, Temporality::Cumulative, envelope()).unwrap();
        let uri: Uri = "http://127.0.0.1:9/v1/metrics".parse().unwrap();
        let connector = connector(&uri, None).unwrap();
        let client = Client::new(uri, Default::default(), connector);
        let mut sender = Sender::new(client, Arc::new(outbox), CancellationToken::new());
        let wait = sender.wait(Some(Duration::from_secs(7)));
        assert!(wait >= Duration::from_secs(7) && wait < Duration::from_secs(8));
        assert!(sender.wait(Some(Duration::MAX)) < Duration::from_secs(601));
    }
}
