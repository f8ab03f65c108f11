//! What is pushed by OTLP arrives: read by OpenTelemetry's own messages in another language, it is what the
//! registry says, to the last unit, also after the collector was away.
#![allow(clippy::panic, reason = "a test fails by it")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle as Thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tachograph::export::{Otlp, Temporality};
use tachograph::{Tachograph, serve};
use tachograph_core::registry::{Descriptor, Registry};
use tachograph_core::snapshot::{HistogramSnapshot, Value as Recorded};
use tachograph_tests::{Failure, Server};
use tokio::net::TcpListener;
use tokio::task::spawn_blocking;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

const BOTH: [Temporality; 2] = [Temporality::Cumulative, Temporality::Delta];
const WITHIN: Duration = Duration::from_secs(60);
const EVERY: Duration = Duration::from_millis(100);
const HOSTILE: [&str; 5] = ["\"} 1\n# EOF\nforged 2", "\\", "\u{1f600} ä", "", "\t\r\u{7f}"];
/// The least there can be.
const BUFFER_BYTES: usize = 2 << 20;
const BUFFER_REQUESTS: usize = 3;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A collector that is not ours; it ends with the value, and what it took goes with it.
struct Collector {
    child: Option<Child>,
    port: u16,
    folder: PathBuf,
}

impl Collector {
    fn start(name: &str) -> Result<Self, Failure> {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("otlp-{name}-{}", std::process::id()));
        let _not_there = std::fs::remove_dir_all(&folder);
        let mut collector = Self { child: None, port: 0, folder };
        collector.come(200, 0)?;
        Ok(collector)
    }

    /// Listens, where it did before, and answers with a status.
    fn come(&mut self, status: u16, retry_after: u16) -> Result<(), Failure> {
        let python = root().join(".tools/python/bin/python");
        let mut child = Command::new(&python)
            .arg(root().join("tests/otlp/receive.py"))
            .args([self.port.to_string(), self.folder.to_string_lossy().into_owned()])
            .args([status.to_string(), retry_after.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{}: {error}; run scripts/test-tools.sh", python.display()))?;
        let stdout = child.stdout.take();
        self.child = Some(child);
        let mut line = String::new();
        BufReader::new(stdout.ok_or("no output")?).read_line(&mut line)?;
        self.port = line.trim().parse().map_err(|_| "the collector does not listen; run scripts/test-tools.sh")?;
        Ok(())
    }

    /// Ends between two requests.
    fn go(&mut self) -> Result<(), Failure> {
        let mut child = self.child.take().ok_or("it is not there")?;
        Command::new("kill").args(["-TERM", &child.id().to_string()]).status()?;
        child.wait()?;
        Ok(())
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    async fn answer(&self, answer: Value) -> Result<(), Failure> {
        let url = self.url();
        spawn_blocking(move || ureq::put(url).send(&*answer.to_string())).await??;
        Ok(())
    }

    async fn told(&self) -> Result<Value, Failure> {
        let url = self.url();
        let text = spawn_blocking(move || ureq::get(url).call()?.body_mut().read_to_string()).await??;
        Ok(serde_json::from_str(&text)?)
    }

    /// Waits until it tells something.
    async fn tells(&self, what: impl Fn(&Value) -> bool) -> Result<Value, Failure> {
        let began = Instant::now();
        while began.elapsed() < WITHIN {
            let told = self.told().await?;
            if what(&told) {
                return Ok(told);
            }
            sleep(Duration::from_millis(50)).await;
        }
        Err(format!("not told within {WITHIN:?}").into())
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ended_already = child.kill();
            let _ended_already = child.wait();
        }
        let _gone_already = std::fs::remove_dir_all(&self.folder);
    }
}

fn requests(told: &Value) -> u64 {
    told["requests"].as_u64().unwrap_or_default()
}

/// Each of the test's own series is what the collector holds.
fn assert_holds(told: &Value, registry: &Registry, temporality: Temporality) {
    let mut series_held = 0;
    for (family, series) in registry.snapshot().all_series().filter(|(family, _)| family.name().starts_with("test")) {
        let held = &told["families"][family.name()];
        let labels: BTreeMap<&str, &str> = family.labels(series).collect();
        let all = held["series"].as_array().map(Vec::as_slice).unwrap_or_default();
        let Some(one) = all.iter().find(|one| one["labels"] == json!(labels)) else {
            panic!("no {} of {labels:?}", family.name());
        };
        assert_eq!(held["description"], family.descriptor.help_text());
        let (kind, counts) = match &series.value {
            Recorded::Counter(total) => {
                assert_eq!(one["value"].as_u64(), Some(*total), "{} of {labels:?}", family.name());
                ("sum", true)
            }
            Recorded::Gauge(gauge) => {
                assert_eq!(one["value"].as_f64(), Some(gauge.value()), "{} of {labels:?}", family.name());
                ("gauge", false)
            }
            Recorded::Histogram(histogram) => {
                assert_histogram(&one["value"], histogram, family.name());
                ("exponential_histogram", true)
            }
        };
        let told = match temporality {
            _ if !counts => 0,
            Temporality::Delta => 1,
            _ => 2,
        };
        assert_eq!(
            (held["kind"].as_str(), held["temporality"].as_u64()),
            (Some(kind), Some(told)),
            "{}",
            family.name()
        );
        series_held += 1;
    }
    assert!(series_held > HOSTILE.len(), "{series_held}");
    assert_eq!(told["wrong"], json!([]));
}

fn assert_histogram(held: &Value, histogram: &HistogramSnapshot, name: &str) {
    let Some(scale) = held["scale"].as_i64() else { panic!("no scale of {name}") };
    let halvings = i64::from(histogram.scale()) - scale;
    assert!(halvings >= 0, "{name}: a scale of {scale}");
    let joined = |buckets: &[(i32, u64)]| {
        let mut joined = BTreeMap::new();
        buckets.iter().for_each(|(index, count)| *joined.entry(index >> halvings).or_default() += count);
        json!(joined.into_iter().collect::<Vec<(i32, u64)>>())
    };
    assert_eq!((&held["positive"], &held["negative"]), (&joined(histogram.positive()), &joined(histogram.negative())));
    assert_eq!((held["zero"].as_u64(), held["count"].as_u64()), (Some(histogram.zero()), Some(histogram.count())));
    match held["sum"].as_f64() {
        Some(sum) => assert!((sum - histogram.sum()).abs() <= histogram.sum() * 1e-9, "{name}: {sum}"),
        None => assert!(!histogram.negative().is_empty(), "{name} has no sum"),
    }
}

/// Counts once in every series.
fn count(registry: &Registry, round: u32) -> Result<(), Failure> {
    let seen = registry.counter(&Descriptor::new("test_seen", "A \"help\" \\ text\nof two lines").label("by"))?;
    (1_u64..).zip(HOSTILE).try_for_each(|(number, by)| seen.with(&[("by", by)]).map(|seen| seen.add(number << 33)))?;
    let many =
        registry.counter(&Descriptor::new("test_many", "So many that they take several requests").label("of"))?;
    (0..2_000).try_for_each(|of: u64| many.with(&[("of", &of.to_string())]).map(|many| many.add(of)))?;
    let level = registry.gauge(&Descriptor::new("test_level_bytes", "A level").unit("bytes").label("of"))?;
    for (of, figure) in [("third", 1.0 / 3.0), ("large", 1.5e300), ("small", -2.5e-7)] {
        level.with(&[("of", of)])?.set(figure * f64::from(round + 1));
    }
    let times = registry.histogram(&Descriptor::new("test_times", "Times").unit("s").bounds(&[0.5, 10.0]))?;
    let wide = registry.histogram(&Descriptor::new("test_wide", "Both ways from zero").unit("ms").label("to"))?;
    let coarse = registry.histogram(&Descriptor::new("test_coarse", "Coarse").unit("frames").scale(2))?;
    for number in 0..200 {
        let value = f64::from(number * (round + 1));
        times.with(&[])?.record(value * 0.37);
        coarse.with(&[])?.record(value);
        wide.with(&[("to", "the smallest")])?.record(2_f64.powf(-value).max(f64::MIN_POSITIVE));
        wide.with(&[("to", "the largest")])?.record(10_f64.powf(value.min(300.0)));
        wide.with(&[("to", "the other side")])?.record(10.0 - value);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_pushed_is_what_the_registry_says() -> Result<(), Failure> {
    for temporality in BOTH {
        let collector = Collector::start(&format!("healthy-{temporality:?}"))?;
        let (app, shutdown) = (Tachograph::new()?, CancellationToken::new());
        let registry = app.registry();
        count(registry, 0)?;
        let exporter = Otlp::new(collector.url())
            .interval(EVERY)
            .temporality(temporality)
            .resource("service.name", "asr")
            .resource("deployment.environment.name", "test")
            .header("x-tenant", "one")
            .spawn(&app, shutdown.clone())?;
        for round in 1..4 {
            let before = requests(&collector.told().await?);
            collector.tells(|told| requests(told) > before + 1).await?;
            count(registry, round)?;
        }
        all_is_sent(registry).await;
        shutdown.cancel();
        exporter.await?;
        let told = collector.told().await?;
        assert_holds(&told, registry, temporality);
        assert_said(&told);
        let snapshot = registry.snapshot();
        assert_eq!(snapshot.counter("tachograph_otlp_requests_sent", &[]), told["requests"].as_u64());
        assert_eq!(snapshot.gauge("tachograph_otlp_buffer_bytes", &[]), Some(0.0));
        assert!(snapshot.family("tachograph_otlp_points_dropped").is_none_or(|family| family.series.is_empty()));
    }
    Ok(())
}

/// What goes with the figures.
fn assert_said(told: &Value) {
    let units = ["test_seen", "test_level_bytes", "test_times", "test_wide", "test_coarse"];
    assert_eq!(units.map(|name| told["families"][name]["unit"].as_str()), ["", "By", "s", "ms", "{frame}"].map(Some));
    assert_eq!(told["scope"], json!(["tachograph", env!("CARGO_PKG_VERSION")]));
    let resource = &told["resource"];
    assert_eq!((&resource["service.name"], &resource["deployment.environment.name"]), (&json!("asr"), &json!("test")));
    assert_eq!(resource["service.instance.id"].as_str().map(str::len), Some(36));
    assert_eq!(told["headers"]["x-tenant"], "one");
    assert_eq!(told["headers"]["content-encoding"], "gzip");
}

/// Counts as fast as it may until the end.
fn load(registry: &Registry, is_over: &Arc<AtomicBool>) -> Result<Vec<Thread<()>>, Failure> {
    let mut threads = Vec::new();
    for thread in ["one", "two"] {
        let by = [("by", thread)];
        let seen = registry.counter(&Descriptor::new("test_load", "Counted").label("by"))?.bind(&by)?;
        let shared = registry.counter(&Descriptor::new("test_shared", "Counted by all"))?.bind(&[])?;
        let times = registry.histogram(&Descriptor::new("test_load_times", "Times").label("by"))?.bind(&by)?;
        let is_over = Arc::clone(is_over);
        threads.push(std::thread::spawn(move || {
            let mut value = 1_u64;
            while !is_over.load(Ordering::Relaxed) {
                for _ in 0..500 {
                    value = value.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    seen.inc();
                    shared.add(value >> 60);
                    times.record((value >> 40) as f64 * 1e-3);
                }
                std::thread::sleep(Duration::from_micros(500));
            }
        }));
    }
    Ok(threads)
}

/// What the exporter says of itself.
fn own(registry: &Registry, name: &str) -> u64 {
    let snapshot = registry.snapshot();
    let family = snapshot.family(&format!("tachograph_otlp_{name}"));
    let figures = family
        .into_iter()
        .flat_map(|family| &family.series)
        .map(|series| series.value.counter().unwrap_or_else(|| series.value.gauge().unwrap_or_default() as u64));
    figures.sum()
}

/// Watches the buffer for some time.
async fn assert_bounded(registry: &Registry, time: Duration) {
    let began = Instant::now();
    while began.elapsed() < time {
        let (bytes, held) = (own(registry, "buffer_bytes"), own(registry, "buffer_requests"));
        assert!(bytes <= BUFFER_BYTES as u64 && held <= BUFFER_REQUESTS as u64, "{bytes} bytes, {held} requests");
        sleep(Duration::from_millis(20)).await;
    }
}

/// Waits until nothing waits to be sent: at the end there are three seconds for the last reading, whatever this
/// machine does besides.
async fn all_is_sent(registry: &Registry) {
    let began = Instant::now();
    while own(registry, "buffer_requests") > 0 {
        assert!(began.elapsed() < WITHIN, "requests stay");
        sleep(Duration::from_millis(5)).await;
    }
}

/// Frames that the server made until now.
async fn frames(address: &str) -> Result<u64, Failure> {
    let url = format!("http://{address}/api/v1/snapshot");
    let text = spawn_blocking(move || ureq::get(url).call()?.body_mut().read_to_string()).await??;
    serde_json::from_str::<Value>(&text)?["seq"].as_u64().ok_or_else(|| "no number of the frame".into())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn totals_agree_after_the_collector_was_away() -> Result<(), Failure> {
    for temporality in BOTH {
        let mut collector = Collector::start(&format!("away-{temporality:?}"))?;
        let app = Tachograph::new()?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?.to_string();
        let serving = tokio::spawn(serve(listener, app.clone()));
        let is_over = Arc::new(AtomicBool::new(false));
        let counting = load(app.registry(), &is_over)?;
        count(app.registry(), 0)?;
        let shutdown = CancellationToken::new();
        let exporter = Otlp::new(collector.url())
            .interval(EVERY)
            .temporality(temporality)
            .buffer(BUFFER_BYTES, BUFFER_REQUESTS)
            .spawn(&app, shutdown.clone())?;
        collector.tells(|told| requests(told) > 5).await?;
        let (frames_before, began) = (frames(&address).await?, Instant::now());

        // Away for some seconds, and counting goes on.
        collector.go()?;
        assert_bounded(app.registry(), Duration::from_secs(2)).await;
        count(app.registry(), 1)?;
        assert_bounded(app.registry(), Duration::from_secs(2)).await;
        assert!(own(app.registry(), "retries") > 0);
        let (dropped, put_off) = (own(app.registry(), "points_dropped"), own(app.registry(), "readings_put_off"));
        match temporality {
            Temporality::Delta => assert!(dropped == 0 && put_off > 0, "{dropped} dropped, {put_off} put off"),
            _ => assert!(dropped > 0, "{dropped} dropped, {put_off} put off"),
        }

        // There, but not ready, and it says when to come again.
        collector.come(503, 1)?;
        collector.tells(|told| told["refused"].as_u64() >= Some(2)).await?;
        assert_bounded(app.registry(), Duration::from_secs(1)).await;

        // Back.
        let before = requests(&collector.told().await?);
        collector.answer(json!({"status": 200})).await?;
        collector.tells(|told| requests(told) > before + 2 * BUFFER_REQUESTS as u64).await?;
        let (frames_after, elapsed) = (frames(&address).await?, began.elapsed());
        assert!(frames_after - frames_before + 2 >= elapsed.as_secs(), "the tick stood still");

        is_over.store(true, Ordering::Relaxed);
        for thread in counting {
            thread.join().map_err(|_| "a thread failed")?;
        }
        count(app.registry(), 2)?;
        all_is_sent(app.registry()).await;
        shutdown.cancel();
        exporter.await?;
        assert_holds(&collector.told().await?, app.registry(), temporality);
        app.shutdown().cancel();
        serving.await??;
    }
    Ok(())
}

/// It asks for more than the exporter would wait by itself.
#[tokio::test(flavor = "multi_thread")]
async fn the_collector_says_when_to_come_again() -> Result<(), Failure> {
    let collector = Collector::start("again")?;
    let (app, shutdown) = (Tachograph::new()?, CancellationToken::new());
    collector.answer(json!({"status": 503, "retry_after": 2})).await?;
    let exporter = Otlp::new(collector.url()).interval(EVERY).spawn(&app, shutdown.clone())?;
    let told = collector.tells(|told| told["refused"].as_u64() >= Some(2)).await?;
    assert_eq!((&told["hurried"], requests(&told)), (&json!(0), 0));
    collector.answer(json!({"status": 200})).await?;
    collector.tells(|told| requests(told) > 0).await?;
    shutdown.cancel();
    exporter.await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_collector_does_not_want_is_counted_and_not_sent_again() -> Result<(), Failure> {
    let collector = Collector::start("unwanted")?;
    let (app, shutdown) = (Tachograph::new()?, CancellationToken::new());
    let registry = app.registry();
    let dropped = |reason| registry.snapshot().counter("tachograph_otlp_points_dropped", &[("reason", reason)]);
    collector.answer(json!({"status": 400})).await?;
    let exporter = Otlp::new(collector.url()).interval(EVERY).spawn(&app, shutdown.clone())?;
    let told = collector.tells(|told| told["refused"].as_u64() >= Some(2)).await?;
    assert_eq!((requests(&told), own(registry, "retries")), (0, 0));
    collector.answer(json!({"status": 200, "rejected": 3})).await?;
    let told = collector.tells(|told| requests(told) > 1).await?;
    shutdown.cancel();
    exporter.await?;
    assert!(dropped("refused") >= told["refused"].as_u64().map(|requests| requests * 6));
    assert_eq!(dropped("rejected"), Some(requests(&collector.told().await?) * 3));
    assert_eq!(dropped("buffer_full").or(dropped("shutdown")), None);
    Ok(())
}

/// What could not be sent when it ended is counted, and the end comes all the same.
#[tokio::test(flavor = "multi_thread")]
async fn the_end_waits_three_seconds_for_a_collector_that_is_away() -> Result<(), Failure> {
    let mut collector = Collector::start("end")?;
    collector.go()?;
    let (app, shutdown) = (Tachograph::new()?, CancellationToken::new());
    let registry = app.registry();
    let exporter = Otlp::new(collector.url()).interval(EVERY).spawn(&app, shutdown.clone())?;
    sleep(Duration::from_millis(300)).await;
    shutdown.cancel();
    tokio::time::timeout(Duration::from_secs(20), exporter).await??;
    let dropped = registry.snapshot().counter("tachograph_otlp_points_dropped", &[("reason", "shutdown")]);
    assert!(dropped > Some(0), "{dropped:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_pushes_until_it_ends() -> Result<(), Failure> {
    let collector = Collector::start("program")?;
    let url = collector.url();
    let arguments = ["--otlp-endpoint", &url, "--otlp-interval-seconds", "3600", "--otlp-temporality", "delta"];
    let more = ["--otlp-resource", "service.name=asr,host.name=here", "--otlp-header", "x-tenant=one"];
    let mut server = Server::start("serve", &[arguments.as_slice(), &more].concat())?;
    let told = collector.tells(|told| requests(told) > 0).await?;
    assert_eq!((&told["resource"]["service.name"], &told["resource"]["host.name"]), (&json!("asr"), &json!("here")));
    assert_eq!(told["headers"]["x-tenant"], "one");
    assert_eq!(told["families"]["tachograph_sessions_refused"]["temporality"], 1);
    server.signal("TERM")?;
    assert!(server.wait(Duration::from_secs(10))?.success());
    assert!(requests(&collector.told().await?) > requests(&told), "the last figures");
    Ok(())
}
