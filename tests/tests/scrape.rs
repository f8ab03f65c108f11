//! Whoever scrapes the metrics gets what the registry says, as text, as protobuf and compressed: the parsers of
//! another language, Prometheus, VictoriaMetrics.
#![allow(clippy::panic, reason = "a test fails by it")]

use std::io::Write;
use std::net::TcpListener as Listener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tachograph::{Tachograph, serve};
use tachograph_core::exposition::{EXEMPLAR_CHARACTERS_MAX, EXEMPLAR_LABEL, Exemplars};
use tachograph_core::registry::{Descriptor, Registry};
use tachograph_core::snapshot::{HistogramSnapshot, RegistrySnapshot};
use tachograph_tests::Failure;
use tokio::net::TcpListener;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

const STARTED_WITHIN: Duration = Duration::from_secs(30);
/// What a client could send so that it comes up in a page.
const HOSTILE: [&str; 8] =
    ["\"} 1\n# EOF\nforged 2", "\\", "\\n", "\\\"", "{}", "\u{1f600} ä", " # {a=\"b\"} 1", "\t\r\u{7f}"];
/// The same of a session's name, which is in a page only without quotes and control characters.
const HOSTILE_NAMES: [&str; 8] =
    ["} 1 1 # EOF", "\\", "\\n", "} 1 1", "{}", "\u{1f600} ä", " # {a=b} 1", "\u{2028}\u{feff}\u{202e}'\u{a0}"];
/// What the buckets of `test_time_seconds` hold of 1,000 values, 0.37 apart.
const TIMES_BELOW: [f64; 6] = [1.0, 1.0, 3.0, 28.0, 1_000.0, 1_000.0];
/// Series of a family that protobuf has in several messages.
const MANY: u64 = 600;
/// A moment of the past, in Unix milliseconds.
const EXEMPLARS_AT: u64 = 1_767_225_600_000;

/// A server whose figures stand still, and its address.
async fn serving() -> Result<(Tachograph, String), Failure> {
    let app = Tachograph::new()?;
    fill(app.registry(), &app.metrics().exemplars)?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?.to_string();
    tokio::spawn(serve(listener, app.clone()));
    Ok((app, address))
}

/// Families of each kind, whose names begin with `test`, and one with many series.
fn fill(registry: &Registry, exemplars: &Exemplars) -> Result<(), Failure> {
    let seen = registry.counter(&Descriptor::new("test_seen", "A \"help\" \\ text\nof two lines").label("by"))?;
    for (number, by) in (1_u64..).zip(HOSTILE) {
        seen.with(&[("by", by)])?.add(number * 1_000_000_007);
    }
    seen.with(&[("by", "")])?.add(u64::from(u32::MAX) * 4_096);
    let level = registry.gauge(&Descriptor::new("test_level_bytes", "A level").unit("bytes").label("of"))?;
    for (of, figure) in [("third", 1.0 / 3.0), ("large", 1.5e300), ("small", -2.5e-7), ("zero", 0.0)] {
        level.with(&[("of", of)])?.set(figure);
    }
    let bounds = [0.001, 0.25, 1.0, 10.0, 1e6];
    let times = registry.histogram(&Descriptor::new("test_time_seconds", "Times").unit("s").bounds(&bounds))?;
    let sizes = registry.histogram(&Descriptor::new("test_size", "Sizes, without bounds").label("of"))?;
    let signed = registry.histogram(&Descriptor::new("test_signed", "Far apart, and coarse").scale(2))?;
    for number in 0..1_000 {
        times.with(&[])?.record(f64::from(number) * 0.37);
        sizes.with(&[("of", HOSTILE[0])])?.record(f64::from(number * number));
    }
    [-0.5, -1e-9, 0.0, 5e-324, 1e300, f64::MAX].iter().try_for_each(|value| {
        signed.with(&[])?.record(*value);
        Ok::<(), Failure>(())
    })?;
    for exemplar in size_exemplars() {
        exemplars.record(&sizes, &[("of", HOSTILE[0])], exemplar.value, &exemplar.session_id, exemplar.at)?;
    }
    for exemplar in time_exemplars() {
        exemplars.record(&times, &[], exemplar.value, &exemplar.session_id, exemplar.at)?;
    }
    let many = registry.counter(&Descriptor::new("many", "More series than a message has").label("by"))?;
    for number in 0..MANY {
        many.with(&[("by", &format!("{number}"))])?.add(number);
    }
    Ok(())
}

/// Where a value came from.
#[derive(Clone, Debug, PartialEq)]
struct Exemplar {
    session_id: String,
    value: f64,
    /// Unix milliseconds.
    at: u64,
}

impl Exemplar {
    fn read(labels: &Value, value: f64, seconds: f64) -> Option<Self> {
        let labels = labels.as_object().filter(|labels| labels.len() == 1)?;
        let session_id = labels.get(EXEMPLAR_LABEL)?.as_str()?.to_owned();
        Some(Self { session_id, value, at: (seconds * 1_000.0).round() as u64 })
    }
}

/// One in each of some buckets, the first one's the oldest: Prometheus takes no older ones of a series after newer.
fn exemplars_at(values: impl IntoIterator<Item = f64>) -> Vec<Exemplar> {
    let longest = "\u{1f600}".repeat(EXEMPLAR_CHARACTERS_MAX);
    let names = HOSTILE_NAMES.into_iter().chain([&*longest]);
    let exemplar = |(number, (name, value)): (u64, (&str, f64))| Exemplar {
        session_id: name.to_owned(),
        value,
        at: EXEMPLARS_AT + number * 1_001,
    };
    (1..).zip(names.zip(values)).map(exemplar).collect()
}

/// Of `test_size`: powers of four.
fn size_exemplars() -> Vec<Exemplar> {
    exemplars_at((0..9).map(|power| 4f64.powi(power)))
}

/// Of `test_time_seconds`: in each of its buckets that has values.
fn time_exemplars() -> Vec<Exemplar> {
    exemplars_at([0.0, 0.37, 3.7, 37.0])
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A program of those that scrape.
fn scraper(name: &str) -> Command {
    Command::new(root().join(".tools/scrapers/usr/bin").join(name))
}

async fn get(url: String, accept: &'static str) -> Result<String, Failure> {
    spawn_blocking(move || {
        let mut answer = ureq::get(url).header("accept", accept).call()?;
        Ok(answer.body_mut().read_to_string()?)
    })
    .await?
}

/// What prometheus_client's parser of this name makes of a page.
fn parsed(page: &str, parser: &str) -> Result<Vec<Value>, Failure> {
    let python = root().join(".tools/python/bin/python");
    let mut child = Command::new(&python)
        .arg(root().join("tests/scrape/parse.py"))
        .arg(parser)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("{}: {error}; run scripts/test-tools.sh", python.display()))?;
    child.stdin.take().ok_or("no input")?.write_all(page.as_bytes())?;
    let output = child.wait_with_output()?;
    if !output.status.success() {
        return Err(format!("the parser refused the page:\n{page}").into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// Each sample of the test's own families that a page has: its name, its label, its figure. OpenMetrics has neither sum
/// nor count of a histogram with values below zero.
fn expected(snapshot: &RegistrySnapshot, is_openmetrics: bool) -> Vec<(String, String, f64)> {
    let mut samples = Vec::new();
    for (family, series) in snapshot.all_series().filter(|(family, _)| family.name().starts_with("test")) {
        let label = family.labels(series).next().map(|(_, value)| value.to_owned()).unwrap_or_default();
        let mut add = |suffix: &str, figure: f64| {
            samples.push(([family.name(), suffix].concat(), label.clone(), figure));
        };
        let value = &series.value;
        value.counter().into_iter().for_each(|total| add("_total", total as f64));
        value.gauge().into_iter().for_each(|figure| add("", figure));
        let is_told = |histogram: &&HistogramSnapshot| !is_openmetrics || histogram.negative().is_empty();
        if let Some(histogram) = value.histogram().filter(is_told) {
            add("_sum", histogram.sum());
            add("_count", histogram.count() as f64);
        }
    }
    samples
}

#[tokio::test]
async fn parsers_of_another_language_read_every_page() -> Result<(), Failure> {
    let (app, address) = serving().await?;
    for (accept, parser) in [("application/openmetrics-text", "openmetrics"), ("text/plain", "prometheus")] {
        let page = get(format!("http://{address}/metrics"), accept).await?;
        let families = parsed(&page, parser)?;
        let samples: Vec<&Value> = families.iter().flat_map(|family| family["samples"].as_array()).flatten().collect();
        let is_openmetrics = parser == "openmetrics";
        for (name, label, figure) in expected(&app.registry().snapshot(), is_openmetrics) {
            let is_it = |sample: &&&Value| {
                let labels = sample[1].as_object();
                let held = labels.and_then(|labels| labels.values().next()).and_then(Value::as_str).unwrap_or_default();
                sample[0] == *name && held == label
            };
            let read = samples.iter().find(is_it).ok_or_else(|| format!("no {name} of {label:?} by {parser}"))?;
            assert_eq!(read[2].as_f64(), Some(figure), "{name} of {label:?} by {parser}");
        }
        assert_buckets(&samples);
        for (name, exemplars) in [("test_size", size_exemplars()), ("test_time_seconds", time_exemplars())] {
            let expected = if is_openmetrics { exemplars } else { Vec::new() };
            assert_eq!(exemplars_of(name, &samples), expected, "{name} by {parser}");
        }
        let help = families.iter().find(|family| family["name"] == "test_seen").map(|family| &family["help"]);
        assert_eq!(help.and_then(Value::as_str), Some("A \"help\" \\ text\nof two lines"), "{parser}");
    }
    Ok(())
}

/// What came with a histogram's buckets.
fn exemplars_of(name: &str, samples: &[&Value]) -> Vec<Exemplar> {
    let buckets = samples.iter().filter(|sample| sample[0] == format!("{name}_bucket"));
    let read = |sample: &&Value| {
        let exemplar = &sample[3];
        Exemplar::read(&exemplar["labels"], exemplar["value"].as_f64()?, exemplar["at"].as_f64()?)
    };
    buckets.filter_map(read).collect()
}

fn assert_buckets(samples: &[&Value]) {
    let count = |le: &str| {
        let is_it = |sample: &&&Value| sample[0] == "test_time_seconds_bucket" && sample[1]["le"] == le;
        samples.iter().find(is_it).and_then(|sample| sample[2].as_f64())
    };
    let counts = ["0.001", "0.25", "1.0", "10.0", "1e+06", "+Inf"].map(count);
    assert_eq!(counts, TIMES_BELOW.map(Some));
}

/// What `promtool check metrics` finds, but for two names that the live-listener protocol has given.
#[tokio::test]
async fn promtool_finds_nothing_wrong() -> Result<(), Failure> {
    const GIVEN: [&str; 2] = ["inference_time_ms", "processing_time_ms"];
    let (app, address) = serving().await?;
    let source = app.metrics().defaults.source("mic")?;
    source.inference_time_ms.record(12.5);
    source.processing_time_ms.record(20.5);
    let page = get(format!("http://{address}/metrics"), "text/plain").await?;
    let mut child = scraper("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("promtool: {error}; run scripts/test-tools.sh"))?;
    child.stdin.take().ok_or("no input")?.write_all(page.as_bytes())?;
    let output = child.wait_with_output()?;
    let told = [output.stdout, output.stderr].concat();
    let told = String::from_utf8_lossy(&told);
    let is_given = |line: &&str| GIVEN.iter().any(|name| line.starts_with(name)) && line.contains("abbreviated units");
    let wrong: Vec<&str> = told.lines().filter(|line| !is_given(line)).collect();
    assert!(wrong.is_empty() && told.lines().count() == GIVEN.len(), "{told}");
    Ok(())
}

/// How a scraper keeps histograms.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Histograms {
    /// As series of their buckets, sums and counts.
    Classic,
    /// The same, of OpenMetrics.
    OpenMetrics,
    Native,
}

impl Histograms {
    /// What is asked for to get a sample.
    fn query(self, sample: &str) -> String {
        let part = |end: &str, function: &str| Some(format!("{function}({})", sample.strip_suffix(end)?));
        let native = part("_sum", "histogram_sum").or_else(|| part("_count", "histogram_count"));
        native.filter(|_| matches!(self, Self::Native)).unwrap_or_else(|| sample.to_owned())
    }
}

/// A program that scrapes the server; it ends with the value.
struct Scraper {
    child: Child,
    url: String,
    folder: PathBuf,
}

impl Scraper {
    /// Starts a program, whose arguments are made of its own address, its settings' file and its folder.
    fn start(program: &str, target: &str, arguments: fn(&str, &str, &str) -> Vec<String>) -> Result<Self, Failure> {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!(
            "{program}-{}-{}",
            std::process::id(),
            target.len()
        ));
        std::fs::create_dir_all(&folder)?;
        let settings = folder.join("scrape.yml");
        std::fs::write(
            &settings,
            format!(
                "global: {{scrape_interval: 1s}}\nscrape_configs:\n- job_name: tachograph\n  static_configs:\n  - \
                 targets: [\"{target}\"]\n"
            ),
        )?;
        let address = Listener::bind("127.0.0.1:0")?.local_addr()?.to_string();
        let child = scraper(program)
            .args(arguments(&address, &settings.to_string_lossy(), &folder.join("data").to_string_lossy()))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("{program}: {error}; run scripts/test-tools.sh"))?;
        Ok(Self { child, url: format!("http://{address}"), folder })
    }

    /// What it answers at this address of its interface.
    async fn ask(&self, query: &str) -> Result<Value, Failure> {
        let answer = get(format!("{}/api/v1/{query}", self.url), "application/json").await?;
        let answer: Value = serde_json::from_str(&answer)?;
        Ok(answer["data"].clone())
    }

    /// What it holds of a name: each series' label and its figure.
    async fn query(&self, name: &str) -> Result<Vec<(String, f64)>, Failure> {
        let answer = self.ask(&format!("query?query={name}")).await?;
        let series = answer["result"].as_array().cloned().unwrap_or_default();
        let read = |series: &Value| {
            let labels = series["metric"].as_object()?;
            let is_own = |name: &str| !["__name__", "instance", "job"].contains(&name);
            let label = labels.iter().find(|(name, _)| is_own(name)).and_then(|(_, value)| value.as_str());
            Some((label.unwrap_or_default().to_owned(), series["value"][1].as_str()?.parse().ok()?))
        };
        Ok(series.iter().filter_map(read).collect())
    }

    /// The exemplars that it holds of a name, the oldest first.
    async fn exemplars(&self, name: &str) -> Result<Vec<Exemplar>, Failure> {
        let from = EXEMPLARS_AT / 1_000;
        let answer = self.ask(&format!("query_exemplars?query={name}&start={from}&end={}", from + 1_000)).await?;
        let series = answer.as_array().cloned().unwrap_or_default();
        let held = series.iter().flat_map(|series| series["exemplars"].as_array()).flatten();
        let read = |exemplar: &Value| {
            let value = exemplar["value"].as_str()?.parse().ok()?;
            Exemplar::read(&exemplar["labels"], value, exemplar["timestamp"].as_f64()?)
        };
        let mut held: Vec<Exemplar> = held.filter_map(read).collect();
        held.sort_by_key(|exemplar| exemplar.at);
        Ok(held)
    }

    /// The buckets of a native histogram: what their values are above, at most, and how many they are.
    async fn native_buckets(&self, name: &str) -> Result<Vec<(f64, f64, f64)>, Failure> {
        let answer = self.ask(&format!("query?query={name}")).await?;
        let buckets = answer["result"][0]["histogram"][1]["buckets"].as_array().cloned();
        let figure = |text: &Value| text.as_str().and_then(|text| text.parse().ok());
        let read = |bucket: &Value| Some((figure(&bucket[1])?, figure(&bucket[2])?, figure(&bucket[3])?));
        Ok(buckets.ok_or_else(|| format!("{name} is no native histogram"))?.iter().filter_map(read).collect())
    }

    /// Waits until it has scraped.
    async fn scraped(&self, name: &str) -> Result<(), Failure> {
        let began = Instant::now();
        while self.query(name).await.unwrap_or_default().is_empty() {
            if began.elapsed() > STARTED_WITHIN {
                return Err(format!("{} holds nothing of {name}", self.url).into());
            }
            sleep(Duration::from_millis(200)).await;
        }
        Ok(())
    }

    /// To as many digits as it keeps: off by at most this share of a figure.
    async fn assert_holds(&self, snapshot: &RegistrySnapshot, histograms: Histograms, off: f64) -> Result<(), Failure> {
        let samples = expected(snapshot, histograms == Histograms::OpenMetrics);
        for (name, label, figure) in &samples {
            let held = self.query(&histograms.query(name)).await?;
            let series = held.iter().find(|(held, _)| held == label);
            let is_same = series.is_some_and(|(_, held)| (held - figure).abs() <= figure.abs() * off);
            assert!(is_same, "{name} of {label:?}, {figure}, by {}: {held:?}", self.url);
        }
        assert!(samples.len() > HOSTILE.len() + 4);
        let many = self.query("many_total").await?;
        assert!(many.iter().all(|(by, held)| *by == format!("{held}")) && many.len() as u64 == MANY, "{many:?}");
        Ok(())
    }
}

impl Drop for Scraper {
    fn drop(&mut self) {
        let _ended_already = self.child.kill();
        let _ended_already = self.child.wait();
        let _gone_already = std::fs::remove_dir_all(&self.folder);
    }
}

/// What Prometheus is started with.
fn prometheus_arguments(own: &str, settings: &str, data: &str) -> Vec<String> {
    let storage = format!("--storage.tsdb.path={data}");
    let features = "--enable-feature=exemplar-storage".to_owned();
    vec![format!("--config.file={settings}"), storage, format!("--web.listen-address={own}"), features]
}

#[tokio::test]
async fn prometheus_holds_what_the_registry_says() -> Result<(), Failure> {
    let (app, address) = serving().await?;
    let prometheus = Scraper::start("prometheus", &address, prometheus_arguments)?;
    prometheus.scraped("test_level_bytes").await?;
    prometheus.assert_holds(&app.registry().snapshot(), Histograms::OpenMetrics, 0.0).await?;
    let buckets = prometheus.query("test_time_seconds_bucket").await?;
    let below = |le: &str| buckets.iter().find(|(held, _)| held == le).map(|(_, below)| *below);
    assert_eq!(["0.001", "0.25", "1.0", "10.0", "1e+06", "+Inf"].map(below), TIMES_BELOW.map(Some));
    // It keeps an exemplar's label as the text has it.
    let as_written =
        |exemplar: Exemplar| Exemplar { session_id: exemplar.session_id.replace('\\', "\\\\"), ..exemplar };
    for (name, exemplars) in [("test_size_bucket", size_exemplars()), ("test_time_seconds_bucket", time_exemplars())] {
        let expected: Vec<Exemplar> = exemplars.into_iter().map(as_written).collect();
        assert_eq!(prometheus.exemplars(name).await?, expected);
    }
    Ok(())
}

#[tokio::test]
async fn prometheus_holds_native_histograms_bucket_by_bucket() -> Result<(), Failure> {
    let (app, address) = serving().await?;
    let prometheus = Scraper::start("prometheus", &address, |own, settings, data| {
        let mut arguments = prometheus_arguments(own, settings, data);
        arguments.push("--enable-feature=native-histograms".into());
        arguments
    })?;
    prometheus.scraped("test_level_bytes").await?;
    let snapshot = app.registry().snapshot();
    prometheus.assert_holds(&snapshot, Histograms::Native, 0.0).await?;
    let of = [("of", HOSTILE[0])];
    for (name, labels) in [("test_time_seconds", &[][..]), ("test_size", &of), ("test_signed", &[])] {
        let held = snapshot.histogram(name, labels).ok_or("no such histogram")?;
        let (told, expected) = (prometheus.native_buckets(name).await?, buckets_of(held));
        assert!(told.len() == expected.len(), "{name}: {told:?} by {expected:?}");
        for (told, expected) in told.iter().zip(&expected) {
            assert!(is_near(told.0, expected.0) && is_near(told.1, expected.1), "{name}: {told:?} by {expected:?}");
            assert_eq!(told.2, expected.2, "{name}: {told:?} by {expected:?}");
        }
        for q in [0.1, 0.5, 0.99] {
            let query = format!("histogram_quantile({q},{name})");
            let told = prometheus.query(&query).await?.first().map_or(f64::NAN, |(_, figure)| *figure);
            // Both are of the same bucket, or of neighbours.
            let off = 2.0 * (held.lower_bound(1) - 1.0);
            let ours = held.quantile(q);
            assert!((told - ours).abs() <= ours.abs() * off || name == "test_signed", "{query}: {told} by {ours}");
        }
    }
    // Of a native histogram's, 2.42 keeps the first bucket's alone.
    let held = prometheus.exemplars("test_time_seconds").await?;
    assert!(!held.is_empty() && time_exemplars().starts_with(&held), "{held:?}");
    Ok(())
}

/// Bounds are calculated in another way there.
fn is_near(one: f64, other: f64) -> bool {
    (one - other).abs() <= other.abs() * 1e-14
}

/// As Prometheus tells them: negative ones, zero, positive ones, in order of their values.
fn buckets_of(histogram: &HistogramSnapshot) -> Vec<(f64, f64, f64)> {
    let bounds = |index: i32| (histogram.lower_bound(index), histogram.lower_bound(index + 1));
    let negative = histogram.negative().iter().rev().map(|(index, count)| {
        let (nearer, farther) = bounds(*index);
        (-farther, -nearer, *count as f64)
    });
    let zero = (histogram.zero() > 0).then_some((-f64::MIN_POSITIVE, f64::MIN_POSITIVE, histogram.zero() as f64));
    let positive = histogram.positive().iter().map(|(index, count)| {
        let (above, at_most) = bounds(*index);
        (above, at_most, *count as f64)
    });
    negative.chain(zero).chain(positive).collect()
}

#[tokio::test]
async fn victoria_metrics_holds_what_the_registry_says() -> Result<(), Failure> {
    let (app, address) = serving().await?;
    let victoria = Scraper::start("victoria-metrics", &address, |own, settings, data| {
        let (own, data) = (format!("-httpListenAddr={own}"), format!("-storageDataPath={data}"));
        vec![format!("-promscrape.config={settings}"), own, data, "-search.latencyOffset=0s".into()]
    })?;
    victoria.scraped("test_level_bytes").await?;
    // It keeps a float as a decimal number.
    victoria.assert_holds(&app.registry().snapshot(), Histograms::Classic, 1e-11).await
}
