//! The page within an application: what it counts through the facade and tells of its own sessions is the same in the
//! registry, at `/metrics`, in the stream and on the page.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use serde_json::Value;
use tachograph::Tachograph;
use tachograph::bridge::Recorder;
use tachograph::session::{Amount, Queued, Session, SourceConfig};
use tachograph_tests::Failure;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use super::pages::{LATER, Page, figure};

const LOAD: Duration = Duration::from_secs(3);
const SESSIONS: usize = 4;

/// A service below `/deep/tacho` of its router.
struct Service {
    tacho: Tachograph,
    recorder: Arc<Recorder>,
    address: String,
}

impl Service {
    async fn start() -> Result<Self, Failure> {
        let tacho = Tachograph::new()?;
        let recorder = Arc::new(Recorder::new(tacho.registry())?);
        let app: Router = Router::new().nest("/deep/tacho", tachograph::router(&tacho));
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = format!("{}/deep/tacho", listener.local_addr()?);
        tokio::spawn(axum::serve(listener, app).into_future());
        Ok(Self { tacho, recorder, address })
    }

    async fn get(&self, path: &str) -> Result<String, Failure> {
        let url = format!("http://{}{path}", self.address);
        spawn_blocking(move || Ok(ureq::get(url).call()?.body_mut().read_to_string()?)).await?
    }

    /// A thread that counts as fast as it can, as any crate would that knows the facade alone.
    fn count_for(&self, limit: Duration) -> std::thread::JoinHandle<u64> {
        let recorder = Arc::clone(&self.recorder);
        std::thread::spawn(move || {
            let began = Instant::now();
            let mut turns = 0_u64;
            metrics::with_local_recorder(&*recorder, || {
                while began.elapsed() < limit {
                    turns += 1;
                    metrics::counter!("shop.orders", "kind" => if turns.is_multiple_of(3) { "gift" } else { "plain" })
                        .increment(1);
                    metrics::gauge!("shop.stock").set(turns as f64);
                    metrics::histogram!("shop.basket").record((turns % 1_000) as f64);
                }
            });
            turns
        })
    }

    /// Sessions whose channel overflows, until the load is over.
    async fn stream_for(&self, limit: Duration) -> Result<Vec<Session>, Failure> {
        let mut held = Vec::new();
        let mut tasks = Vec::new();
        for number in 0..SESSIONS {
            let session = self.tacho.session(format!("chat-{number}")).open()?;
            let source = session.source("tokens", SourceConfig { frames_max: 8, ..SourceConfig::default() })?;
            let (sender, mut receiver) = mpsc::channel::<Queued>(8);
            tasks.push(tokio::spawn(async move {
                let began = Instant::now();
                while began.elapsed() < limit {
                    for _ in 0..3 {
                        let amount = Amount::new(1, 5).lasting(Duration::from_millis(2));
                        let _comes_back = sender.try_send(source.enqueue(amount));
                    }
                    sleep(Duration::from_millis(2)).await;
                }
            }));
            tasks.push(tokio::spawn(async move {
                while let Some(queued) = receiver.recv().await {
                    let working = queued.begin();
                    sleep(Duration::from_millis(2)).await;
                    working.done();
                }
            }));
            held.push(session);
        }
        for task in tasks {
            task.await?;
        }
        Ok(held)
    }
}

/// The figure of a line of the text at `/metrics`.
fn line(page: &str, series: &str) -> Option<f64> {
    let found = page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    found?.parse().ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_figure_is_the_same_wherever_it_is_shown() -> Result<(), Failure> {
    let service = Service::start().await?;
    let counting = service.count_for(LOAD);
    let sessions = service.stream_for(LOAD).await?;
    let turns = counting.join().map_err(|_| "the thread that counts failed")?;
    // What stands still now is in the next frame.
    let page = Page::open_at(&format!("http://{}/index.html", service.address), "#/sessions").await?;
    page.until(LATER, |facts| facts.state == "live" && facts.row > 0).await?;
    page.next_frame().await?;
    page.next_frame().await?;
    let text = service.get("/metrics").await?;
    let snapshot: Value = serde_json::from_str(&service.get("/api/v1/snapshot").await?)?;

    let gifts = turns / 3;
    let expected = [
        ("shop_orders", "{kind=\"gift\"}", "total", gifts as f64),
        ("shop_orders", "{kind=\"plain\"}", "total", (turns - gifts) as f64),
        ("shop_stock", "", "figure", turns as f64),
        ("shop_basket", "", "total", turns as f64),
    ];
    for (family, labels, reading, value) in expected {
        let suffix = match family {
            "shop_orders" => "_total",
            "shop_basket" => "_count",
            _ => "",
        };
        assert_eq!(line(&text, &format!("{family}{suffix}{labels}")), Some(value), "{family}{labels}");
        assert_eq!(told(&snapshot, family, labels), Some(value), "{family}{labels} in the stream");
        assert_eq!(charted(&page, family, labels, reading).await?, Some(value), "{family}{labels} on the page");
    }
    let source = "{source=\"tokens\"}";
    for (family, of) in [("audio_frames_received", 0), ("audio_frames_dropped", 1), ("asr_chunks_processed", 2)] {
        let counted = line(&text, &format!("{family}_total{source}")).ok_or("it is not there")?;
        let receipts = sessions.iter().map(Session::end);
        let total: u64 = receipts
            .map(|receipt| {
                let source = &receipt.sources[0];
                [source.frames.received, source.frames.dropped, source.chunks_processed][of]
            })
            .sum();
        assert_eq!((told(&snapshot, family, source), Some(counted)), (Some(counted), Some(total as f64)), "{family}");
        assert!(counted > 0.0, "{family}: the load was none");
        assert_eq!(charted(&page, family, source, "total").await?, Some(counted), "{family} on the page");
    }
    assert_eq!(page.browser.logs().await?, Vec::<String>::new());
    page.end().await
}

/// What the stream's snapshot says of a series: a total, a figure, or how many values.
fn told(snapshot: &Value, family: &str, labels: &str) -> Option<f64> {
    let family = snapshot["registry"]["families"].as_array()?.iter().find(|held| held["name"] == family)?;
    let wanted = labels.split('"').nth(1);
    let series = family["series"].as_array()?.iter().find(|series| {
        let mut values = series["labels"].as_object().into_iter().flat_map(|labels| labels.values());
        values.next().and_then(Value::as_str) == wanted
    })?;
    series["counter"].as_f64().or_else(|| series["gauge"].as_f64()).or_else(|| {
        let histogram = series["histogram"].as_object()?;
        let counts = histogram["positive"].as_array()?.iter().filter_map(|bucket| bucket[1].as_f64());
        Some(counts.sum::<f64>() + histogram["zero"].as_f64()?)
    })
}

/// The newest figure of the chart's table.
async fn charted(page: &Page, family: &str, labels: &str, reading: &str) -> Result<Option<f64>, Failure> {
    page.go(&format!("#/chart?m={family}&r={reading}&split=each")).await?;
    let column = labels.split('"').nth(1);
    let table = page.chart().until_table(|table| table.len() > 1 && table[0].len() > 1).await?;
    let place = table[0].iter().position(|head| column.is_none_or(|column| head == column)).unwrap_or(1).max(1);
    Ok(table.get(1).and_then(|row| figure(row.get(place)?)))
}

#[tokio::test]
async fn below_a_path_without_a_slash_the_page_finds_itself() -> Result<(), Failure> {
    let service = Service::start().await?;
    let page = Page::open_at(&format!("http://{}", service.address), "#/overview").await?;
    page.until(LATER, |facts| facts.state == "live" && facts.row > 0).await?;
    let address = page.browser.read("return location.pathname").await?;
    assert_eq!(address, "/deep/tacho/index.html");
    assert_eq!(page.browser.logs().await?, Vec::<String>::new());
    page.end().await
}
