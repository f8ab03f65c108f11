//! Ten times as many sessions as there may be, and malformed messages as fast as they are taken: those who were
//! admitted notice neither.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tachograph_core::wire::{ErrorCode, MIC, SYSTEM};
use tachograph_tests::client::{ANSWER_MAX, Client, Pace, check_receipt, malformed, quantile};
use tachograph_tests::{Failure, Server};
use tokio::task::JoinSet;
use tokio::time::sleep;

const ADMITTED: usize = 10;
const REFUSED: usize = 10 * ADMITTED;
const MALFORMED: usize = ADMITTED;
const PERIOD: Duration = Duration::from_secs(30);
/// Between the periods, so that no tick belongs to both.
const BETWEEN: Duration = Duration::from_secs(2);
const MOVE_MAX: f64 = 0.050;
/// What else the machine does shows in the figures, too: of as many tries one has to hold.
const TRIES: usize = 3;
const AT_CAPACITY: u16 = 1013;

/// What clients other than the admitted heard.
#[derive(Debug, Default)]
struct Crowd {
    connections: u64,
    errors: BTreeMap<ErrorCode, u64>,
}

impl Crowd {
    fn enter(&mut self, client: &Client) {
        self.connections += 1;
        client.heard.errors.iter().for_each(|(code, count)| *self.errors.entry(*code).or_default() += count);
    }

    fn add(&mut self, other: Self) {
        self.connections += other.connections;
        other.errors.into_iter().for_each(|(code, count)| *self.errors.entry(code).or_default() += count);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_ten_times_the_sessions_and_of_malformed_messages_moves_no_tick_of_those_admitted()
-> Result<(), Failure> {
    let mut moves = Vec::new();
    for _ in 0..TRIES {
        let moved = moved_by_a_flood().await?;
        moves.push(moved);
        if moved.iter().all(|moved| *moved < MOVE_MAX) {
            return Ok(());
        }
    }
    Err(format!("the p99 of tick gaps moved by {moves:?} s, by their own time and as they arrive").into())
}

/// By how much the p99 of how far ticks are off from a second is larger in a flood: by their own time, and as they
/// arrive; endlessly, if one of them was missed. All books are checked.
async fn moved_by_a_flood() -> Result<[f64; 2], Failure> {
    let server = Server::start("serve", &["--max-sessions", &ADMITTED.to_string()])?;
    let begin = Instant::now() + Duration::from_secs(2);
    let flood_begins = begin + PERIOD + BETWEEN;
    let end = flood_begins + PERIOD;
    let mut admitted = JoinSet::new();
    for number in 0..ADMITTED {
        admitted.spawn(stay(server.address.clone(), number, end));
        // One after the other, so that their ticks fall at different times.
        sleep(Duration::from_millis(50)).await;
    }
    sleep(flood_begins.saturating_duration_since(Instant::now())).await;
    let is_over = Arc::new(AtomicBool::new(false));
    let floods = [Flood::OfSessions, Flood::OfMessages].map(|flood| flood.begin(&server.address, &is_over));
    sleep(end.saturating_duration_since(Instant::now()).saturating_sub(BETWEEN)).await;
    is_over.store(true, Ordering::Relaxed);
    let mut crowd = Crowd::default();
    for flood in floods {
        crowd.add(tokio::task::spawn_blocking(|| flood.join()).await?.map_err(|_| "the flood failed")??);
    }
    let mut ticks_missed = 0;
    let (mut before, mut during) = (<[Vec<f64>; 2]>::default(), <[Vec<f64>; 2]>::default());
    while let Some(stayed) = admitted.join_next().await {
        let client = stayed??;
        ticks_missed += assert_all_is_accounted_for(&client)?;
        divide(&client, begin..flood_begins - BETWEEN, &mut before);
        divide(&client, flood_begins..end - BETWEEN, &mut during);
    }
    assert_all_was_counted(&server, &crowd).await?;
    let p99 = |periods: &mut [Vec<f64>; 2]| periods.each_mut().map(|errors| quantile(errors, 0.99));
    let ([quiet, quiet_arrival], [flooded, flooded_arrival]) = (p99(&mut before), p99(&mut during));
    println!(
        "{} connections refused or thrown out, {:?}; p99 of {} and {} ticks {:.1} and {:.1} ms off, as they arrive {:.1} and {:.1} ms",
        crowd.connections,
        crowd.errors,
        before[0].len(),
        during[0].len(),
        quiet * 1e3,
        flooded * 1e3,
        quiet_arrival * 1e3,
        flooded_arrival * 1e3,
    );
    if ticks_missed > 0 {
        println!("{ticks_missed} ticks were missed");
        return Ok([f64::INFINITY; 2]);
    }
    let expected = ADMITTED * (PERIOD.as_secs() as usize - 6);
    assert!(before[0].len() > expected && during[0].len() > expected, "ticks are missing");
    Ok([flooded - quiet, flooded_arrival - quiet_arrival])
}

async fn stay(address: String, number: usize, end: Instant) -> Result<Client, Failure> {
    let mut client = Client::connect(&address, None).await?;
    client.start(&format!("admitted-{number}")).await?;
    client.play(&[SYSTEM, MIC], Pace::SPEECH, end).await?;
    client.stop().await?;
    Ok(client)
}

/// Adds by how much ticks of a period were off.
fn divide(client: &Client, period: std::ops::Range<Instant>, off: &mut [Vec<f64>; 2]) {
    let pairs = client.heard.ticks.windows(2).zip(client.heard.tick_errors());
    for (_, errors) in pairs.filter(|(pair, _)| period.contains(&pair[0].arrived) && period.contains(&pair[1].arrived))
    {
        off.iter_mut().zip(errors).for_each(|(off, error)| off.push(error));
    }
}

/// What they sent is what their receipts say, and they were told nothing else. Returns how many of their ticks did not
/// come by themselves: the machine may have stood still for a second.
fn assert_all_is_accounted_for(client: &Client) -> Result<u64, Failure> {
    let receipt = client.heard.receipt.as_ref().ok_or("no receipt")?;
    check_receipt(receipt)?;
    assert_eq!(receipt.sources.len(), client.sent.len());
    for source in &receipt.sources {
        assert_eq!(Some(&source.bytes.received), client.sent.get(&source.source), "{}", source.source);
    }
    assert!(client.heard.errors.is_empty(), "{:?}", client.heard.errors);
    assert_eq!((client.heard.skipped, client.heard.disorder, client.heard.close_code), (0, 0, Some(1000)));
    Ok(receipt.ticks_missed + receipt.ticks_conflated)
}

/// The server's counters are what its clients heard.
async fn assert_all_was_counted(server: &Server, crowd: &Crowd) -> Result<(), Failure> {
    let all = crowd.connections + ADMITTED as u64;
    for _ in 0..10 {
        // A frame is a second old at most; the last connection ends a moment after its client heard of it.
        sleep(Duration::from_millis(1_500)).await;
        if server.snapshot()?.registry.counter("ws_disconnects_total", &[]) == Some(all) {
            break;
        }
    }
    let registry = server.snapshot()?.registry.into_owned();
    let counter = |name| registry.counter(name, &[]);
    assert_eq!((counter("ws_connections_total"), counter("ws_disconnects_total")), (Some(all), Some(all)));
    assert_eq!(registry.gauge("active_sessions", &[]), Some(0.0));
    assert_eq!(counter("tachograph_sessions_refused"), crowd.errors.get(&ErrorCode::AtCapacity).copied());
    assert!(crowd.errors.len() > 4, "{:?}", crowd.errors);
    for (code, heard) in &crowd.errors {
        let counted = registry.counter("tachograph_protocol_errors", &[("code", code.as_str())]);
        assert_eq!(counted, Some(*heard), "{code}");
    }
    Ok(())
}

#[derive(Clone, Copy)]
enum Flood {
    OfSessions,
    OfMessages,
}

impl Flood {
    /// On a thread of its own: the clients that are measured must not wait for these.
    fn begin(self, address: &str, is_over: &Arc<AtomicBool>) -> std::thread::JoinHandle<Result<Crowd, Failure>> {
        let (address, is_over) = (Arc::<str>::from(address), Arc::clone(is_over));
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let mut clients = JoinSet::new();
                match self {
                    Self::OfSessions => (0..REFUSED).for_each(|number| {
                        clients.spawn(start_again_and_again(Arc::clone(&address), number, Arc::clone(&is_over)));
                    }),
                    Self::OfMessages => (0..MALFORMED).for_each(|_| {
                        clients.spawn(send_malformed(Arc::clone(&address), Arc::clone(&is_over)));
                    }),
                }
                let mut all = Crowd::default();
                while let Some(ended) = clients.join_next().await {
                    all.add(ended??);
                }
                Ok(all)
            })
        })
    }
}

/// Each time it is told why, and that it may come again.
async fn start_again_and_again(address: Arc<str>, number: usize, is_over: Arc<AtomicBool>) -> Result<Crowd, Failure> {
    let mut crowd = Crowd::default();
    while !is_over.load(Ordering::Relaxed) {
        let mut client = Client::connect(&address, None).await?;
        client.start(&format!("one-too-many-{number}")).await?;
        client.listen_to_the_end(ANSWER_MAX).await?;
        assert_eq!(client.heard.close_code, Some(AT_CAPACITY));
        assert_eq!(client.heard.errors, BTreeMap::from([(ErrorCode::AtCapacity, 1)]));
        crowd.enter(&client);
    }
    Ok(crowd)
}

static CHOICE: AtomicU64 = AtomicU64::new(0);

/// Until thrown out, and again.
async fn send_malformed(address: Arc<str>, is_over: Arc<AtomicBool>) -> Result<Crowd, Failure> {
    let mut crowd = Crowd::default();
    while !is_over.load(Ordering::Relaxed) {
        let mut client = Client::connect(&address, None).await?;
        client.send_to_the_end(|| malformed(CHOICE.fetch_add(1, Ordering::Relaxed)), ANSWER_MAX).await?;
        crowd.enter(&client);
    }
    Ok(crowd)
}
