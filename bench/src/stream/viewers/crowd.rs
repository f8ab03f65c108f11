//! All viewers of one server, in one thread.

use std::collections::HashMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use mio::{Events, Interest, Poll, Token};

use super::client::Client;
use super::frames::Message;
use super::{Distribution, Transport};
use crate::Failure;
use crate::ours::{Follower, deltas};

/// Viewers that connect before what arrived is read.
const BATCH: usize = 50;
const ANSWERED_WITHIN: Duration = Duration::from_secs(60);
const BUFFER_BYTES: usize = 256 << 10;

/// Viewers, and what arrived at them.
pub(super) struct Crowd {
    poll: Poll,
    events: Events,
    buffer: Vec<u8>,
    clients: Vec<Client>,
    ticks: Ticks,
    arrivals: Vec<Arrival>,
    /// That arrived at the first viewer.
    first_bytes: usize,
}

/// A tick at a viewer.
struct Arrival {
    tick: u64,
    viewer: u32,
    /// Unix milliseconds.
    at: f64,
}

/// What all viewers saw.
pub(super) struct Seen {
    pub(super) delivery: Distribution,
    pub(super) last: Distribution,
    pub(super) missing: usize,
    pub(super) tick_bytes: f64,
}

/// When the ticks were. All viewers get the same bytes, so that only the first one's are decoded; those of
/// the others are told apart by their hash.
#[derive(Default)]
struct Ticks {
    follower: Follower,
    /// Unix milliseconds.
    times: HashMap<u64, f64>,
    failure: Option<String>,
}

impl Crowd {
    /// Connects all of them and waits until the server has answered each.
    pub(super) fn connect(address: &str, transport: Transport, viewers: usize) -> Result<Self, Failure> {
        let mut crowd = Self {
            poll: Poll::new()?,
            events: Events::with_capacity(1_024),
            buffer: vec![0; BUFFER_BYTES],
            clients: Vec::with_capacity(viewers),
            ticks: Ticks::default(),
            arrivals: Vec::new(),
            first_bytes: 0,
        };
        while crowd.clients.len() < viewers {
            for _ in 0..BATCH.min(viewers - crowd.clients.len()) {
                crowd.join(Client::connect(address, transport)?)?;
            }
            crowd.look(Duration::ZERO)?;
        }
        let begun = Instant::now();
        while !crowd.clients.iter().all(Client::is_answered) {
            if begun.elapsed() > ANSWERED_WITHIN {
                return Err("the server did not answer every viewer".into());
            }
            crowd.watch(Duration::from_millis(100))?;
        }
        Ok(crowd)
    }

    fn join(&mut self, mut client: Client) -> Result<(), Failure> {
        self.poll.registry().register(&mut client.stream, Token(self.clients.len()), Interest::READABLE)?;
        self.clients.push(client);
        Ok(())
    }

    /// Reads for so long.
    pub(super) fn watch(&mut self, duration: Duration) -> Result<(), Failure> {
        let until = Instant::now() + duration;
        while let Some(left) = until.checked_duration_since(Instant::now()) {
            self.look(left)?;
        }
        Ok(())
    }

    /// Drops what arrived until now.
    pub(super) fn forget(&mut self) {
        self.arrivals.clear();
        self.first_bytes = 0;
    }

    /// Reads what is there, or comes within that time.
    fn look(&mut self, limit: Duration) -> Result<(), Failure> {
        let Self { poll, events, buffer, clients, ticks, arrivals, first_bytes } = self;
        match poll.poll(events, Some(limit)) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => return Ok(()),
            polled => polled?,
        }
        for event in &*events {
            let viewer = event.token().0;
            let seen = |message: Message<'_>| {
                let at = unix_ms();
                ticks.seen(viewer == 0, &message, |tick| arrivals.push(Arrival { tick, viewer: viewer as u32, at }));
            };
            let length = clients[viewer].read(buffer, seen)?;
            if viewer == 0 {
                *first_bytes += length;
            }
        }
        Ok(())
    }

    /// Of the ticks that every viewer had time to get: the last one in the window is left out, and the first.
    pub(super) fn seen(&self) -> Result<Seen, Failure> {
        if let Some(failure) = &self.ticks.failure {
            return Err(failure.clone().into());
        }
        let closed = self.clients.iter().filter(|client| !client.is_open).count();
        if closed > 0 {
            return Err(format!("the server closed {closed} connections").into());
        }
        let complete = self.complete_ticks()?;
        let delays: Vec<(u64, f64)> = (self.arrivals.iter())
            .filter_map(|arrival| Some((arrival.tick, arrival.at - complete.get(&arrival.tick)?)))
            .collect();
        let mut last: HashMap<u64, f64> = HashMap::new();
        for (tick, delay) in &delays {
            let most = last.entry(*tick).or_default();
            *most = most.max(*delay);
        }
        let first = self.arrivals.iter().filter(|arrival| arrival.viewer == 0).count();
        Ok(Seen {
            missing: (complete.len() * self.clients.len()).saturating_sub(delays.len()),
            tick_bytes: self.first_bytes as f64 / first.max(1) as f64,
            delivery: Distribution::of(delays.iter().map(|(_, delay)| *delay).collect()),
            last: Distribution::of(last.into_values().collect()),
        })
    }

    /// The first viewer's ticks but for the first and the last, with their times.
    fn complete_ticks(&self) -> Result<HashMap<u64, f64>, Failure> {
        let first = self.arrivals.iter().filter(|arrival| arrival.viewer == 0);
        let mut ticks: Vec<(u64, f64)> =
            first.filter_map(|arrival| Some((arrival.tick, *self.ticks.times.get(&arrival.tick)?))).collect();
        ticks.sort_by(|(_, one), (_, other)| one.total_cmp(other));
        if ticks.len() < 3 {
            return Err("the first viewer saw fewer than three ticks".into());
        }
        Ok(ticks[1..ticks.len() - 1].iter().copied().collect())
    }
}

impl Ticks {
    fn seen(&mut self, is_first: bool, message: &Message<'_>, mut arrived: impl FnMut(u64)) {
        match message {
            Message::Records(bytes) => {
                let followed = if is_first { self.follower.decode(bytes) } else { Ok(()) };
                for delta in deltas(bytes) {
                    let tick = hash(delta);
                    arrived(tick);
                    if is_first {
                        self.times.insert(tick, self.follower.wall_ms() as f64);
                    }
                }
                self.failure = self.failure.take().or(followed.err());
            }
            Message::Json(text) => {
                let tick = hash(text);
                arrived(tick);
                if is_first {
                    self.times.extend(timestamp(text).map(|at| (tick, at)));
                }
            }
            Message::Close => {}
        }
    }
}

/// FNV-1a, 64 bits.
fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// A JSON frame's time, which stands at its beginning, in Unix milliseconds.
fn timestamp(text: &[u8]) -> Option<f64> {
    let text = String::from_utf8_lossy(text);
    let (_, behind) = text.split_once("\"timestamp\":")?;
    let end = behind.find([',', '}'])?;
    Some(behind[..end].trim().parse::<f64>().ok()? * 1e3)
}

fn unix_ms() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64() * 1e3
}
