//! The built program for as long as one likes among sessions and viewers that come, go, stall, flood and die at
//! random, and a provider that fails; afterwards nothing may be missing or left behind.

mod auditor;
mod canary;
mod ledger;
mod log;
mod provider;
mod readers;
mod report;
mod resources;
mod sessions;
mod viewers;

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::{sleep, sleep_until};

use self::auditor::Auditor;
use self::canary::Canary;
use self::ledger::Ledger;
use self::log::Log;
use self::resources::Resources;
use crate::chance::Chance;
use crate::{Failure, Server, program};

pub use report::Report;

/// Sessions that are well behaved and stay, and are measured.
const ADMITTED: usize = 10;
/// Sessions that come and go, each in its own way, one after the other in so many places at once.
const SESSIONS: usize = 24;
const VIEWERS: usize = 12;
const READERS: usize = 6;
/// Fewer than would like to, so that some are refused.
const SESSIONS_MAX: usize = 26;
/// The history is full within the warm-up: what grows after it is no history.
const HISTORY: [&str; 4] = ["--history-minutes", "1", "--history-megabytes", "8"];
const PROVIDER: [&str; 8] =
    ["--provider", "simulated", "--fallback", "simulated", "--chunk-seconds", "0.5", "--chunk-timeout-seconds", "3"];
/// At most; a history of a minute is full by then.
const WARM_UP_MAX: Duration = Duration::from_secs(120);
/// What was left behind by a connection is gone by then: a session that drains ends within 10 s, its threads 10 s later.
const SETTLED_WITHIN: Duration = Duration::from_secs(45);
/// Threads for blocking work end 10 s after their last.
const IDLE_THREADS_END: Duration = Duration::from_secs(13);
const ENDED_WITHIN: Duration = Duration::from_secs(12);
/// What is told with a tick is a second old, and says what was before.
const TOLD_WITHIN: Duration = Duration::from_millis(2_500);
const SAMPLE_EVERY: Duration = Duration::from_secs(5);

/// How long, and by which numbers.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Of real time, after the warm-up.
    pub duration: Duration,
    /// The same makes the same choices.
    pub seed: u64,
}

/// What all who take part share.
struct Scene {
    address: String,
    ledger: Ledger,
}

/// Runs it. What was not as it must be is in the report.
///
/// # Errors
/// It could not be run to its end.
pub async fn soak(options: Options) -> Result<Report, Failure> {
    let Options { duration, seed } = options;
    let mut server = start()?;
    let log = Log::read(server.stderr().ok_or("no log")?);
    let canary = Canary::start();
    let scene = Arc::new(Scene { address: server.address.clone(), ledger: Ledger::default() });
    let auditor = Auditor::start(&scene.address).await?;
    // What begins with the first session, and stays, is there from then on.
    sessions::stay(Arc::clone(&scene), ADMITTED, Instant::now() + Duration::from_secs(2)).await;
    sleep(IDLE_THREADS_END).await;
    let fresh = Resources::of(server.pid(), &auditor)?;

    let mut chance = Chance::new(seed);
    crowd(&scene, &mut chance, (duration / 3).min(WARM_UP_MAX)).await?;
    let warm = settle(server.pid(), &auditor, &fresh).await?;
    let under_load = tokio::spawn(sample(server.pid(), duration));
    crowd(&scene, &mut chance, duration).await?;
    let rest = settle(server.pid(), &auditor, &fresh).await?;

    let audited = auditor.end().await?;
    sleep(TOLD_WITHIN).await;
    let left = server.snapshot()?;
    server.signal("TERM")?;
    let status = server.wait(ENDED_WITHIN)?;
    let mut report = Report::new(options, &scene.ledger, &audited);
    report.check_ledger(&scene.ledger, &audited, &left.registry);
    report.check_ticks(&scene.ledger, &audited, &canary.stalls());
    report.check_resources(&[fresh, warm, rest], &under_load.await??);
    report.check_log(&log.ended()?);
    report.check("the server ends well when it is told to", status.success(), format!("{status}"));
    Ok(report)
}

fn start() -> Result<Server, Failure> {
    let mut command = Command::new(program());
    command
        .args(["serve", "--listen", "127.0.0.1:0", "--log", "warn", "--log-format", "json"])
        .args(["--max-sessions", &SESSIONS_MAX.to_string()])
        .args(HISTORY)
        .args(PROVIDER)
        // A backtrace of every panic that is rehearsed would be most of what the server does.
        .env("RUST_BACKTRACE", "0")
        .stderr(Stdio::piped());
    Server::launch(&mut command)
}

/// All of them for so long; the admitted are there before the others come and go after them.
async fn crowd(scene: &Arc<Scene>, chance: &mut Chance, duration: Duration) -> Result<(), Failure> {
    let (begin, goodbye) = (Instant::now() + Duration::from_secs(2), Duration::from_secs(5));
    let end = begin + duration.saturating_sub(goodbye);
    let mut admitted = JoinSet::new();
    for place in 0..ADMITTED {
        admitted.spawn(sessions::stay(Arc::clone(scene), place, end + Duration::from_secs(3)));
    }
    sleep_until(begin.into()).await;
    let mut others = JoinSet::new();
    others.spawn(provider::trouble(Arc::clone(scene), chance.fork(), end));
    for place in 0..SESSIONS {
        others.spawn(sessions::come_and_go(Arc::clone(scene), chance.fork(), place, end));
    }
    for _ in 0..VIEWERS {
        others.spawn(viewers::come_and_go(Arc::clone(scene), chance.fork(), end));
    }
    for _ in 0..READERS {
        others.spawn(readers::come_and_go(Arc::clone(scene), chance.fork(), end));
    }
    while let Some(ended) = others.join_next().await {
        ended?;
    }
    while let Some(ended) = admitted.join_next().await {
        ended?;
    }
    Ok(())
}

/// What the server takes once it is at rest, which is when it has no more tasks, threads and descriptors than when
/// it was fresh.
async fn settle(pid: u32, auditor: &Auditor, fresh: &Resources) -> Result<Resources, Failure> {
    let began = Instant::now();
    loop {
        sleep(TOLD_WITHIN).await;
        let now = Resources::of(pid, auditor)?;
        if now.is_at_rest(fresh) || began.elapsed() > SETTLED_WITHIN {
            return Ok(now);
        }
    }
}

/// Memory under load, now and then.
async fn sample(pid: u32, duration: Duration) -> Result<Vec<u64>, Failure> {
    let (end, mut samples) = (Instant::now() + duration, Vec::new());
    while Instant::now() < end {
        samples.push(resources::resident_bytes(pid)?);
        sleep(SAMPLE_EVERY).await;
    }
    Ok(samples)
}

impl Scene {
    /// Waits for a while of the one's choosing, not beyond `end`.
    async fn pause(&self, chance: &mut Chance, longest_seconds: f64, end: Instant) {
        sleep_until(within(chance, 0.1, longest_seconds, end).into()).await;
    }
}

/// A moment from `low` to `high` seconds from now, not beyond `end`.
fn within(chance: &mut Chance, low: f64, high: f64, end: Instant) -> Instant {
    (Instant::now() + Duration::from_secs_f64(chance.between(low, high))).min(end)
}
