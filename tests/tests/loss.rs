//! Ten minutes of a network that cuts, delays and throttles, in simulated time: real sockets, the server
//! in this process, and the page's own connection and store as viewers.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::StreamExt;
use tachograph::{HistoryLimits, Tachograph, serve};
use tachograph_core::label::LabelValues;
use tachograph_core::registry::Descriptor;
use tachograph_core::snapshot::Value;
use tachograph_core::time::Moment;
use tachograph_core::wire::frame::{Arrival, Epoch, Follower};
use tachograph_tests::Failure;
use tachograph_tests::chance::Chance;
use tachograph_web::state::Row;
use tachograph_web::transport::{Feed, Link, Todo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;

const VIEWERS: u64 = 8;
const MINUTES: u64 = 10;
/// At the end the network is sound for so long, so that what can be filled is.
const CALM: Duration = Duration::from_secs(240);
const BEAT: Duration = Duration::from_millis(250);

fn millis(chance: &mut Chance, from: u64, to: u64) -> Duration {
    Duration::from_millis(from + chance.below(to - from))
}

/// What the network does to a connection.
#[derive(Clone, Copy, Debug)]
enum Fault {
    None,
    /// Each piece waits.
    Delay(Duration),
    /// So many bytes a second.
    Throttle(u64),
}

/// A network between viewers and server.
struct Proxy {
    chance: Mutex<Chance>,
    upstream: Mutex<SocketAddr>,
    calm_from: Instant,
    cuts: Mutex<u64>,
}

impl Proxy {
    async fn run(self: Arc<Self>, listener: TcpListener) {
        let mut connections = JoinSet::new();
        while let Ok((viewer, _)) = listener.accept().await {
            connections.spawn(Arc::clone(&self).carry(viewer));
        }
    }

    fn plan(&self) -> (Fault, Duration) {
        let mut chance = self.chance.lock().unwrap();
        if Instant::now() >= self.calm_from {
            return (Fault::None, Duration::from_secs(3_600));
        }
        let fault = match chance.below(4) {
            0 | 1 => Fault::None,
            2 => Fault::Delay(millis(&mut chance, 100, 4_000)),
            _ => Fault::Throttle(100 + chance.below(2_000)),
        };
        (fault, millis(&mut chance, 200, 60_000))
    }

    /// Carries a connection until it is cut.
    async fn carry(self: Arc<Self>, mut viewer: TcpStream) {
        let upstream = *self.upstream.lock().unwrap();
        let Ok(mut server) = TcpStream::connect(upstream).await else { return };
        let (fault, life) = self.plan();
        // What began in a bad network does not go on in a sound one.
        let life = match self.calm_from.saturating_duration_since(Instant::now()) {
            Duration::ZERO => life,
            bad => life.min(bad.max(Duration::from_secs(1))),
        };
        if timeout(life, carry_bytes(&mut viewer, &mut server, fault)).await.is_err() {
            *self.cuts.lock().unwrap() += 1;
        }
    }
}

async fn carry_bytes(viewer: &mut TcpStream, server: &mut TcpStream, fault: Fault) -> std::io::Result<()> {
    let (mut up, mut down) = (vec![0; 4_096], vec![0; 512]);
    loop {
        tokio::select! {
            read = viewer.read(&mut up) => match read? {
                0 => return Ok(()),
                read => server.write_all(&up[..read]).await?,
            },
            read = server.read(&mut down) => {
                let read = read?;
                if read == 0 {
                    return Ok(());
                }
                match fault {
                    Fault::None => {}
                    Fault::Delay(delay) => sleep(delay).await,
                    Fault::Throttle(rate) => sleep(Duration::from_millis(read as u64 * 1_000 / rate)).await,
                }
                viewer.write_all(&down[..read]).await?;
            }
        }
    }
}

/// A server whose figures move.
async fn start_server(history: HistoryLimits) -> Result<(Tachograph, SocketAddr), Failure> {
    let app = Tachograph::builder().history(history).build()?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(serve(listener, app.clone()));
    tokio::spawn(keep_changing(app.clone()));
    Ok((app, address))
}

async fn keep_changing(app: Tachograph) {
    let counters = app.registry().counter(&Descriptor::new("steps", "Steps").label("place")).unwrap();
    let gauge = app.registry().gauge(&Descriptor::new("level", "Level")).unwrap().bind(&[]).unwrap();
    let times = app.registry().histogram(&Descriptor::new("times", "Times").unit("ms")).unwrap().bind(&[]).unwrap();
    let mut chance = Chance::new(7);
    while !app.shutdown().is_cancelled() {
        // New series appear, too.
        let place = chance.below(40).to_string();
        counters.with(&[("place", &place)]).unwrap().add(chance.below(1_000));
        gauge.set(chance.below(1_000_000) as f64 / 7.0);
        times.record(chance.below(500) as f64);
        sleep(Duration::from_millis(300)).await;
    }
}

/// A page without its pixels.
async fn view(address: SocketAddr, mut chance: Chance, until: Instant) -> (Feed, u64) {
    let began = Instant::now();
    let now = || Moment::from_nanos(began.elapsed().as_nanos() as u64);
    let (mut feed, mut link) = (Feed::default(), Link::new(now()));
    let (mut socket, mut frames) = (None, 0);
    while Instant::now() < until {
        link.beat(now(), feed.has_hole());
        match link.todo(now()) {
            Todo::Nothing => {}
            Todo::Abandon => {
                socket = None;
                link.closed(now(), chance.below(100) as f64 / 100.0);
            }
            Todo::Connect => {
                link.opening(now());
                let url = format!("ws://{address}/ws/stream?{}", feed.query());
                match timeout(Duration::from_secs(10), connect_async(url)).await {
                    Ok(Ok((opened, _))) => {
                        socket = Some(opened);
                        link.opened(now());
                    }
                    _ => link.closed(now(), chance.below(100) as f64 / 100.0),
                }
            }
        }
        let Some(open) = &mut socket else {
            sleep(BEAT).await;
            continue;
        };
        let beat = Instant::now() + BEAT;
        while let Ok(received) = tokio::time::timeout_at(beat, open.next()).await {
            let Some(Ok(Message::Binary(message))) = received else {
                socket = None;
                link.closed(now(), chance.below(100) as f64 / 100.0);
                break;
            };
            let new = feed.take(&message, now()).unwrap();
            frames += new;
            if new > 0 {
                link.news(now());
            }
        }
    }
    (feed, frames)
}

type Figures = Vec<(String, LabelValues, (f64, f64))>;

/// All that the server's history holds, read directly.
async fn history(address: SocketAddr) -> Result<BTreeMap<(String, u64), Figures>, Failure> {
    let (mut socket, _) = connect_async(format!("ws://{address}/ws/stream?window=all")).await?;
    let mut follower = Follower::default();
    let (mut epoch, mut held) = (Epoch::default(), BTreeMap::new());
    // A pause means that all of the past was sent.
    while let Ok(Some(Ok(Message::Binary(message)))) = timeout(Duration::from_millis(400), socket.next()).await {
        follower.take(&message, |arrival| match arrival {
            Arrival::Hello(hello) => epoch = hello.epoch,
            Arrival::Newest(state) => {
                held.insert((epoch.to_string(), state.head().seq), figures(&state.registry()));
            }
            _ => panic!("the past comes in order"),
        })?;
    }
    Ok(held)
}

/// What every series recorded; of a histogram, how many values and their sum.
fn figures(registry: &tachograph_core::snapshot::RegistrySnapshot) -> Figures {
    let recorded = |value: &Value| match value {
        Value::Counter(total) => (*total as f64, 0.0),
        Value::Gauge(gauge) => (gauge.value(), 0.0),
        Value::Histogram(held) => (held.count() as f64, held.sum()),
    };
    let series = registry.all_series();
    series.map(|(family, series)| (family.name().into(), series.labels.clone(), recorded(&series.value))).collect()
}

struct Run {
    viewers: Vec<(Feed, u64)>,
    before: BTreeMap<(String, u64), Figures>,
    after: BTreeMap<(String, u64), Figures>,
    cuts: u64,
}

/// Ten minutes, with a restart of the server in the middle.
async fn run(limits: HistoryLimits, seed: u64) -> Result<Run, Failure> {
    println!("seed {seed}");
    let (first, address) = start_server(limits).await?;
    let end = Instant::now() + Duration::from_secs(MINUTES * 60);
    let proxy = Arc::new(Proxy {
        chance: Mutex::new(Chance::new(seed)),
        upstream: Mutex::new(address),
        calm_from: end,
        cuts: Mutex::new(0),
    });
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let front = listener.local_addr()?;
    let network = tokio::spawn(Arc::clone(&proxy).run(listener));
    let viewers: Vec<_> =
        (0..VIEWERS).map(|number| tokio::spawn(view(front, Chance::new(seed ^ number), end + CALM))).collect();
    sleep(Duration::from_secs(MINUTES * 30)).await;
    let before = history(address).await?;
    first.shutdown().cancel();
    let (_second, address) = start_server(limits).await?;
    *proxy.upstream.lock().unwrap() = address;
    let mut ended = Vec::new();
    for viewer in viewers {
        ended.push(viewer.await?);
    }
    network.abort();
    let cuts = *proxy.cuts.lock().unwrap();
    Ok(Run { viewers: ended, before, after: history(address).await?, cuts })
}

/// Each row that a viewer has is what the server has, and came once. Returns the rows it does not have.
fn check(viewer: &mut (Feed, u64), truth: &BTreeMap<(String, u64), Figures>) -> Vec<Row> {
    let (feed, frames) = viewer;
    let rows: Vec<Row> = feed.store().ticks().rows().collect();
    let seqs: Vec<_> = rows.iter().map(|row| (row.start, row.seq)).collect();
    assert!(seqs.windows(2).all(|pair| pair[0] < pair[1]), "in order, none twice");
    let received = rows.iter().filter(|row| row.head.is_some()).count() as u64;
    // All rows are still kept: a frame that came twice would be counted twice.
    assert_eq!(*frames, received);
    let mut compared = 0;
    for row in rows.iter().filter(|row| row.head.is_some()) {
        let Some(expected) = truth.get(&(row.epoch.to_string(), row.seq)) else { continue };
        let shown = feed.view_at(row.number).state.map(|state| figures(&state.registry()));
        assert_eq!(shown.as_ref(), Some(expected), "at {}", row.seq);
        compared += expected.len();
    }
    assert!(compared > 10_000, "only {compared} figures could be compared");
    rows.into_iter().filter(|row| row.head.is_none()).collect()
}

#[tokio::test(start_paused = true)]
async fn nothing_is_missing_that_the_server_still_has() -> Result<(), Failure> {
    let Run { mut viewers, before, after, cuts } = run(HistoryLimits::default(), 20_261_124).await?;
    // A connection lives for half a minute on average, so that each viewer has about twenty.
    assert!(cuts > 15 * VIEWERS, "only {cuts} connections were cut");
    let truth: BTreeMap<_, _> = before.into_iter().chain(after).collect();
    for viewer in &mut viewers {
        let missing = check(viewer, &truth);
        let newest = viewer.0.store().ticks().rows().next_back().unwrap();
        // What the first server did not get across before its end is gone with it; all else is there.
        let lost: Vec<_> = missing.iter().filter(|row| row.epoch == newest.epoch).collect();
        assert!(lost.is_empty(), "{lost:?}");
        assert_eq!(viewer.0.store().restarts(), 1);
        assert!(newest.seq > 500, "up to date at the end: {}", newest.seq);
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn what_the_server_let_go_is_a_marked_gap() -> Result<(), Failure> {
    // Shorter than the longest that a viewer is cut off or kept waiting for.
    let limits = HistoryLimits { span: Duration::from_secs(6), ..HistoryLimits::default() };
    let Run { viewers, after, .. } = run(limits, 4_242).await?;
    let oldest = after.keys().map(|(_, seq)| *seq).min().unwrap();
    let mut gaps = 0;
    for viewer in &viewers {
        let rows: Vec<Row> = viewer.0.store().ticks().rows().collect();
        gaps += rows.iter().filter(|row| row.head.is_none()).count();
        let newest_epoch = rows.last().unwrap().epoch;
        let missing = |row: &&Row| row.epoch == newest_epoch && row.head.is_none() && row.seq > oldest;
        assert!(rows.iter().find(missing).is_none(), "the server still has it");
        assert!(!viewer.0.has_hole(), "nothing more is asked for");
    }
    assert!(gaps > 0, "the network lost nothing that could not be filled");
    Ok(())
}
