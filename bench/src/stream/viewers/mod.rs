//! Thousands of viewers of one server, each over a connection of its own, once a second.

mod client;
mod crowd;
mod frames;

use std::time::Duration;

use bench_shared::distribution::Distribution;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::Failure;
use crate::process::{Server, Usage};
use bench_shared::command::Effort;
use crowd::Crowd;

/// Series that the server is asked to have.
pub const SERIES: usize = 200;
pub const CROWDS: [usize; 2] = [1_000, 10_000];
/// Until the server's own memory has settled.
const BEFORE: Duration = Duration::from_secs(5);
/// From when the last one is connected until the window begins.
const SETTLED: Duration = Duration::from_secs(5);
/// Descriptors beside those of the viewers.
const OTHER_FILES: u64 = 200;

/// How the stream is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Binary frames over a WebSocket.
    Frames,
    /// A line of JSON a second, over HTTP.
    Lines,
}

impl Transport {
    pub const ALL: [Self; 2] = [Self::Frames, Self::Lines];

    pub fn name(self) -> &'static str {
        match self {
            Self::Frames => "binary, WebSocket",
            Self::Lines => "JSON lines, HTTP",
        }
    }
}

/// What one crowd took.
pub struct Viewing {
    pub transport: Transport,
    pub viewers: usize,
    /// Milliseconds from a tick to its arrival, over all viewers and ticks.
    pub delivery: Distribution,
    /// For each tick, milliseconds until the last viewer had it.
    pub last: Distribution,
    /// Deliveries that there should have been and were not.
    pub missing: usize,
    /// Bytes of a tick, as they arrive at one viewer.
    pub tick_bytes: f64,
    /// In per cent of one core.
    pub server_cpu: f64,
    pub bench_cpu: f64,
    /// Resident memory that the server took more, for each viewer.
    pub bytes_each: f64,
}

/// All that was measured.
pub struct Findings {
    pub viewings: Vec<Result<Viewing, Failure>>,
    pub seconds: u64,
    /// Whether the server had the series that it was asked for.
    pub rehearsed: bool,
}

pub fn measure(effort: Effort) -> Result<Findings, Failure> {
    raise_file_limit(*CROWDS.iter().max().unwrap_or(&0) as u64 + OTHER_FILES)?;
    let seconds = if effort == Effort::Full { 20 } else { 5 };
    let crowds = Transport::ALL.into_iter().flat_map(|transport| CROWDS.map(|viewers| (transport, viewers)));
    let mut rehearsed = true;
    let viewings = crowds.map(|(transport, viewers)| {
        eprintln!("viewers: {viewers}, {}", transport.name());
        let server = Server::start(SERIES)?;
        rehearsed &= server.rehearses;
        viewing(&server, transport, viewers, Duration::from_secs(seconds))
    });
    let viewings = viewings.collect();
    Ok(Findings { viewings, seconds, rehearsed })
}

/// The server has the same limit of its own: it inherits this one.
fn raise_file_limit(wanted: u64) -> Result<(), Failure> {
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < wanted) {
        let current = Some(limit.maximum.map_or(wanted, |maximum| wanted.min(maximum)));
        setrlimit(Resource::Nofile, Rlimit { current, maximum: limit.maximum })?;
    }
    Ok(())
}

fn viewing(server: &Server, transport: Transport, viewers: usize, window: Duration) -> Result<Viewing, Failure> {
    std::thread::sleep(BEFORE);
    let before = server.usage()?;
    let mut crowd = Crowd::connect(&server.address, transport, viewers)?;
    crowd.watch(SETTLED)?;
    crowd.forget();
    let (begun, own) = (server.usage()?, Usage::own()?);
    crowd.watch(window)?;
    let (ended, own_ended) = (server.usage()?, Usage::own()?);
    let seen = crowd.seen()?;
    let percent = |from: Usage, to: Usage| 100.0 * (to.cpu_seconds - from.cpu_seconds) / window.as_secs_f64();
    Ok(Viewing {
        transport,
        viewers,
        delivery: seen.delivery,
        last: seen.last,
        missing: seen.missing,
        tick_bytes: seen.tick_bytes,
        server_cpu: percent(begun, ended),
        bench_cpu: percent(own, own_ended),
        bytes_each: (begun.resident_bytes - before.resident_bytes) / viewers as f64,
    })
}
