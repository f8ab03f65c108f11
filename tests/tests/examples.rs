//! The examples and the guide: built as their readers build them, and held to what they say.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{OnceLock, mpsc};
use std::thread::sleep;
use std::time::{Duration, Instant};

use microcontroller::{Device, Sink};
use serde_json::Value;
use tachograph_core::wire::StreamFrame;
use tachograph_core::wire::frame::{Arrival, Follower};
use tachograph_tests::{Failure, program, run};

const BUILT_WITHIN: Duration = Duration::from_secs(900);
const SOON: Duration = Duration::from_secs(30);

#[test]
fn the_smallest_application_has_a_dashboard_and_counts_its_requests() -> Result<(), Failure> {
    check_shop(&Running::start(&example("smallest")?, &["127.0.0.1:0"])?)
}

#[test]
fn from_an_empty_project_the_guide_leads_to_the_same_dashboard() -> Result<(), Failure> {
    let built = build_guide()?;
    check_shop(&Running::start(&built.join("shop"), &["127.0.0.1:0"])?)?;
    let mut sessions = Running::start(&built.join("sessions"), &[])?;
    let receipt = format!("visit-7 camera: {}, failed 0", sessions.first_line);
    let (_, [received, processed, dropped, _]) = read_receipt(&receipt).ok_or_else(|| receipt.clone())?;
    assert_eq!((received, processed + dropped), (20, 20), "{receipt}");
    assert!(sessions.wait()?.success());
    Ok(())
}

#[test]
fn the_guides_first_program_is_the_smallest_example() -> Result<(), Failure> {
    let example = fs::read_to_string(root().join("server/examples/smallest.rs"))?;
    let code = example.find("use ").ok_or("no code")?;
    assert_eq!(block(&guide()?, "rust,no_run", "fn main")?, &example[code..]);
    Ok(())
}

/// It takes orders, and its dashboard is below its path.
fn check_shop(shop: &Running) -> Result<(), Failure> {
    let dashboard = shop.first_line.as_str();
    let shop = dashboard.strip_suffix("/tacho").ok_or("the dashboard is somewhere else")?;
    for order in 0..3 {
        assert_eq!(get(&format!("{shop}/orders/{order}"))?, (200, "taken\n".into()));
    }
    let page = get(dashboard)?;
    assert!(matches!(&page, (200, html) if html.contains("<html")) || is_not_built(&page), "{page:?}");
    let (status, metrics) = get(&format!("{dashboard}/metrics"))?;
    assert_eq!((status, sample(&metrics, "orders_total")?), (200, 3.0));
    let requests = "http_requests_total{method=\"GET\",route=\"/orders/{item}\",status=\"2xx\"}";
    assert_eq!(sample(&metrics, requests)?, 3.0, "{metrics}");
    assert!(!metrics.contains("route=\"/tacho"), "{metrics}");
    Ok(())
}

fn is_not_built((status, text): &(u16, String)) -> bool {
    *status == 503 && text.contains("make build")
}

#[test]
fn what_is_counted_through_the_facade_is_what_the_application_says() -> Result<(), Failure> {
    let app = Running::start(&example("facade")?, &["--listen", "127.0.0.1:0", "--seconds", "60"])?;
    let dashboard = app.first_line.as_str();
    let jobs = dashboard.replace("/tacho", "/jobs");
    assert_eq!(get(&format!("{jobs}/unknown"))?.0, 404);
    let mut told: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for kind in ["pack", "ship", "pack", "ship", "pack"] {
        told.entry(kind).or_default().push(get(&format!("{jobs}/{kind}"))?.1.trim().parse()?);
    }
    let (_, metrics) = get(&format!("{dashboard}/metrics"))?;
    let frame = frame_with(dashboard, |frame| frame.registry.counter("jobs_done", &[("kind", "pack")]) == Some(3))?;
    for (kind, seconds) in told {
        let (count, sum) = (seconds.len() as u64, seconds.iter().sum::<f64>());
        let of_kind = |name: &str| sample(&metrics, &format!("{name}{{kind=\"{kind}\"}}"));
        assert_eq!(of_kind("jobs_done_total")?, count as f64);
        assert_eq!(of_kind("job_seconds_count")?, count as f64);
        assert!((of_kind("job_seconds_sum")? - sum).abs() < 1e-9, "{kind}: {metrics}");
        assert_eq!(of_kind("job_newest_seconds")?, seconds[seconds.len() - 1]);
        assert_eq!(frame.registry.counter("jobs_done", &[("kind", kind)]), Some(count));
        let times = frame.registry.histogram("job_seconds", &[("kind", kind)]).ok_or("no histogram")?;
        assert_eq!(times.count(), count);
        assert!((times.sum() - sum).abs() < 1e-9, "{kind}: {times:?}");
        let within = seconds.iter().filter(|seconds| **seconds <= 0.02).count();
        assert_eq!(sample(&metrics, &format!("job_seconds_bucket{{kind=\"{kind}\",le=\"0.02\"}}"))?, within as f64);
    }
    assert!(!metrics.contains("unknown"), "{metrics}");
    Ok(())
}

#[test]
fn of_a_pipeline_every_frame_is_accounted_for() -> Result<(), Failure> {
    let mut app = Running::start(&example("pipeline")?, &["--listen", "127.0.0.1:0", "--seconds", "4"])?;
    let receipts = app.lines_until("that was all")?;
    assert_eq!(receipts.len(), 8, "two sources of four sessions: {receipts:?}");
    // By source.
    let mut sums: BTreeMap<String, [u64; 4]> = BTreeMap::new();
    for line in &receipts {
        let (source, [received, processed, dropped, failed]) = read_receipt(line).ok_or_else(|| line.clone())?;
        assert_eq!(received, processed + dropped, "{line}");
        // A batch that failed drops its pictures, too: eight at most.
        assert!(processed > 0 && dropped > 8 * failed, "it is to overflow, and to work: {line}");
        let sum = sums.entry(source.to_owned()).or_default();
        *sum = [sum[0] + received, sum[1] + processed, sum[2] + dropped, sum[3] + failed];
    }
    let address = app.first_line.clone();
    let (_, metrics) = get(&format!("{address}/metrics"))?;
    let frame = frame_with(&address, |frame| frame.sessions.is_empty())?;
    for (source, [received, _, dropped, failed]) in sums {
        let counters = [("audio_frames_received", received), ("audio_frames_dropped", dropped), ("asr_errors", failed)];
        for (name, sum) in counters {
            let series = format!("{name}_total{{source=\"{source}\"}}");
            assert_eq!(sample(&metrics, &series)?, sum as f64, "{series}");
            assert_eq!(frame.registry.counter(name, &[("source", &source)]), Some(sum), "{series}");
        }
        assert_eq!(frame.registry.gauge("queue_depth", &[("source", &source)]), Some(0.0));
    }
    assert!(sample(&metrics, "tachograph_provider_health_failures_total")? > 0.0, "{metrics}");
    app.interrupt()?;
    assert!(app.wait()?.success());
    Ok(())
}

/// Such as `visit-1 camera: received 9, processed 7, dropped 2, failed 0`: pictures, and batches.
fn read_receipt(line: &str) -> Option<(&str, [u64; 4])> {
    let (whose, figures) = line.split_once(": ")?;
    let mut figures = figures.split(", ").map(|figure| figure.split(' ').nth(1)?.parse().ok());
    Some((whose.split(' ').nth(1)?, [figures.next()??, figures.next()??, figures.next()??, figures.next()??]))
}

#[test]
fn what_a_device_sends_is_read_from_a_file_and_from_a_pipe() -> Result<(), Failure> {
    let device = built(&["build", "-p", "microcontroller"])?.join("microcontroller");
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("device.tacho");
    let mut sending = Command::new(device).args(["--seconds", "3"]).stdout(File::create(&path)?).spawn()?;
    assert!(wait(&mut sending, SOON)?.success());
    let shown = run(&["tail", "--metrics", "device_", path.to_str().ok_or("a path that is not text")?], SOON)?;
    assert!(shown.status.success(), "{shown:?}");
    let turns: Vec<&str> = shown.stdout.lines().filter(|line| line.contains("device_turns")).map(str::trim).collect();
    assert_eq!(turns, ["device_turns 100", "device_turns 200   +100", "device_turns 300   +100"], "{}", shown.stdout);
    assert!(shown.stdout.contains("device_celsius 29.9 °C"), "{}", shown.stdout);

    let mut tail = Command::new(program());
    let piped = tail.args(["tail", "--json", "-"]).stdin(File::open(&path)?).stderr(Stdio::null()).output()?;
    let lines = String::from_utf8(piped.stdout)?;
    let frames: Vec<Value> = lines.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let ticks: Vec<u64> = frames.iter().filter_map(|frame| frame["tick"].as_u64()).collect();
    assert_eq!(ticks, [1, 2, 3]);
    let last: StreamFrame<'_> = serde_json::from_str(lines.lines().last().ok_or("no frame")?)?;
    let micros = last.registry.histogram("device_turn_micros", &[]).ok_or("no histogram")?;
    assert_eq!((micros.count(), micros.sum()), (300, 3.0 * f64::from((200..300).sum::<u32>())));
    Ok(())
}

#[test]
fn a_reader_that_is_plugged_in_later_learns_all_that_a_device_counted() -> Result<(), Failure> {
    #[derive(Default)]
    struct Line(Vec<u8>);
    impl Sink for Line {
        fn write(&mut self, bytes: &[u8]) {
            self.0.extend_from_slice(bytes);
        }
    }
    let mut device = Device::start([7; 16], Line::default()).map_err(|error| error.to_string())?;
    let mut begins = Vec::new();
    for second in 1..=4 {
        if second % 2 == 1 {
            device.plugged_in();
            begins.push(device.sink().0.len());
        }
        device.turn(20.0, 250);
        device.tick(Duration::from_secs(second), 1_767_225_600_000 + second * 1_000);
    }
    for (begin, frames) in begins.into_iter().zip([4, 2]) {
        let (mut follower, mut newest) = (Follower::default(), 0);
        follower
            .take(&device.sink().0[begin..], |arrival| newest += u32::from(matches!(arrival, Arrival::Newest(_))))?;
        assert_eq!((newest, follower.state().registry().counter("device_turns", &[])), (frames, Some(4)));
    }
    Ok(())
}

// ---- what is built

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Where the tests themselves are built.
fn target() -> Result<&'static Path, Failure> {
    Path::new(env!("CARGO_TARGET_TMPDIR")).parent().ok_or_else(|| "no target directory".into())
}

/// Has cargo build something of the workspace; returns where the programs are.
fn built(arguments: &[&str]) -> Result<PathBuf, Failure> {
    cargo(Command::new(env!("CARGO")).current_dir(root()).args(arguments).arg("--target-dir").arg(target()?))?;
    Ok(target()?.join("debug"))
}

fn cargo(command: &mut Command) -> Result<(), Failure> {
    let mut child = command.arg("--quiet").stdout(Stdio::null()).spawn()?;
    if wait(&mut child, BUILT_WITHIN)?.success() { Ok(()) } else { Err("cargo failed; it says why above".into()) }
}

/// An example of the server, in a crate of what the guide says that it takes and nothing else.
fn example(name: &str) -> Result<PathBuf, Failure> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let build = || build_examples().map_err(|error| error.to_string());
    Ok(BUILT.get_or_init(build).as_ref().map_err(String::as_str)?.join(name))
}

fn build_examples() -> Result<PathBuf, Failure> {
    let read = |file: &str| fs::read_to_string(root().join("server/examples").join(file));
    let mut files = vec![("bin/shared/mod.rs".to_owned(), read("shared/mod.rs")?)];
    for name in ["smallest", "facade", "pipeline"] {
        files.push((format!("bin/{name}.rs"), read(&format!("{name}.rs"))?));
    }
    build_crate("programs", block(&guide()?, "toml", "tokio-util")?, &files)
}

/// A crate of what the guide says and nothing else; returns where its programs are.
fn build_guide() -> Result<PathBuf, Failure> {
    let guide = guide()?;
    let first = ("main.rs".to_owned(), block(&guide, "rust,no_run", "fn main")?.to_owned());
    let sessions = ("bin/sessions.rs".to_owned(), block(&guide, "rust", "recv_many")?.to_owned());
    build_crate("shop", block(&guide, "toml", "[dependencies]")?, &[first, sessions])
}

/// An empty crate, with these dependencies and files below its `src`.
fn build_crate(name: &str, dependencies: &str, files: &[(String, String)]) -> Result<PathBuf, Failure> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let target = target()?.join("guide");
    fs::create_dir_all(folder.join("src/bin/shared"))?;
    let server = root().join("server").canonicalize()?;
    assert!(dependencies.contains("\"../tachograph/server\""), "{dependencies}");
    let dependencies = dependencies.replace("../tachograph/server", server.to_str().ok_or("a path that is not text")?);
    // It lies below this workspace, and is none of its members.
    let package = format!("[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n[workspace]\n");
    fs::write(folder.join("Cargo.toml"), format!("{package}\n{dependencies}"))?;
    // The versions that are there already.
    fs::copy(root().join("Cargo.lock"), folder.join("Cargo.lock"))?;
    for (path, text) in files {
        fs::write(folder.join("src").join(path), text)?;
    }
    let mut build = Command::new(env!("CARGO"));
    let build = build.current_dir(&folder).args(["build", "--offline", "--target-dir"]).arg(&target);
    cargo(build.env("CARGO_PROFILE_DEV_DEBUG", "0"))?;
    Ok(target.join("debug"))
}

fn guide() -> Result<String, Failure> {
    Ok(fs::read_to_string(root().join("docs/guide.md"))?)
}

/// The first block of a language in which a text is.
fn block<'a>(guide: &'a str, language: &str, text: &str) -> Result<&'a str, Failure> {
    let opening = format!("```{language}\n");
    let blocks = guide.split(&opening).skip(1).filter_map(|rest| rest.split("```").next());
    let mut found = blocks.filter(|block| block.contains(text));
    found.next().ok_or_else(|| format!("the guide has no block of {language} with {text}").into())
}

// ---- what runs

/// A program that said where it listens, or something else; it ends with the value.
struct Running {
    child: Child,
    first_line: String,
    lines: mpsc::Receiver<String>,
}

impl Running {
    fn start(program: &Path, arguments: &[&str]) -> Result<Self, Failure> {
        let mut child = Command::new(program).args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let (sender, lines) = mpsc::channel();
        let out = child.stdout.take().map(BufReader::new);
        std::thread::spawn(move || {
            let lines = out.into_iter().flat_map(BufRead::lines);
            lines.map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        let mut running = Self { child, first_line: String::new(), lines };
        running.first_line = running.lines.recv_timeout(SOON)?;
        Ok(running)
    }

    /// The lines before that one.
    fn lines_until(&self, last: &str) -> Result<Vec<String>, Failure> {
        let mut lines = Vec::new();
        loop {
            match self.lines.recv_timeout(SOON)? {
                line if line == last => return Ok(lines),
                line => lines.push(line),
            }
        }
    }

    /// As Ctrl-C does.
    fn interrupt(&self) -> Result<(), Failure> {
        let sent = Command::new("kill").args(["-INT".into(), self.child.id().to_string()]).status()?;
        if sent.success() { Ok(()) } else { Err("the signal was not sent".into()) }
    }

    fn wait(&mut self) -> Result<ExitStatus, Failure> {
        wait(&mut self.child, SOON)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ended_already = self.child.kill();
        let _ended_already = self.child.wait();
    }
}

fn wait(child: &mut Child, limit: Duration) -> Result<ExitStatus, Failure> {
    let began = Instant::now();
    while began.elapsed() < limit {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        sleep(Duration::from_millis(20));
    }
    child.kill()?;
    child.wait()?;
    Err(format!("it did not end within {limit:?}").into())
}

/// Status and body.
fn get(url: &str) -> Result<(u16, String), Failure> {
    let agent: ureq::Agent =
        ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(SOON)).build().into();
    let mut answer = agent.get(url).call()?;
    Ok((answer.status().as_u16(), answer.body_mut().read_to_string()?))
}

/// The figure of a series on a page of metrics.
fn sample(page: &str, series: &str) -> Result<f64, Failure> {
    let figure = page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    Ok(figure.ok_or_else(|| format!("{series} is not in\n{page}"))?.parse()?)
}

/// The first frame of which this holds, within some ticks.
fn frame_with(address: &str, holds: impl Fn(&StreamFrame<'_>) -> bool) -> Result<StreamFrame<'static>, Failure> {
    for _ in 0..50 {
        let frame = serde_json::from_str(&get(&format!("{address}/api/v1/snapshot"))?.1)?;
        if holds(&frame) {
            return Ok(frame);
        }
        sleep(Duration::from_millis(100));
    }
    Err("no such frame came".into())
}
