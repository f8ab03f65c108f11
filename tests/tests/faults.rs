//! What befalls the built program from outside: signals, a full disk, a log that nobody reads, a clock that steps, a
//! machine that sleeps, clients that vanish. Each test says what its users see.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use tachograph_core::wire::frame::{Arrival, Follower, Outcome};
use tachograph_core::wire::{EventKind, MIC, Receipt, SYSTEM};
use tachograph_tests::client::{Client, Pace, check_receipt, open_socket};
use tachograph_tests::{Failure, Server, program, run};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

const LONG: Duration = Duration::from_secs(20);
/// The newest frame is no older, or something is wrong.
const FRAME_AGE_MAX: Duration = Duration::from_millis(2_500);
const GOING_AWAY: u16 = 1001;
const HOUR: f64 = 3_600.0;
/// A tick whose time says something else than that it came a second after the one before.
const NOT_A_SECOND: f64 = 0.9;

fn soon(seconds: u64) -> Instant {
    Instant::now() + Duration::from_secs(seconds)
}

async fn session(server: &Server, name: &str) -> Result<Client, Failure> {
    let mut client = Client::connect(&server.address, None).await?;
    client.start(name).await?;
    Ok(client)
}

fn assert_all_is_accounted_for(client: &Client) -> Result<&Receipt, Failure> {
    let receipt = client.heard.receipt.as_ref().ok_or("no receipt")?;
    check_receipt(receipt)?;
    assert_eq!(receipt.sources.len(), client.sent.len());
    for source in &receipt.sources {
        assert_eq!(Some(&source.bytes.received), client.sent.get(&source.source), "{}", source.source);
    }
    Ok(receipt)
}

/// Somebody who looks at all of a server's stream.
struct Viewer {
    socket: WebSocketStream<TcpStream>,
    follower: Follower,
}

impl Viewer {
    async fn of(server: &Server) -> Result<Self, Failure> {
        Ok(Self { socket: open_socket(&server.address, "/ws/stream", None).await?, follower: Follower::default() })
    }

    /// One of some metrics.
    async fn of_some(server: &Server) -> Result<Self, Failure> {
        let socket = open_socket(&server.address, "/ws/stream?metrics=audio_", None).await?;
        Ok(Self { socket, follower: Follower::default() })
    }

    /// The receipt of a session that ends.
    async fn receipt(&mut self, session_id: &str) -> Result<Receipt, Failure> {
        let mut found = None;
        while found.is_none() {
            let message = timeout(LONG, self.socket.next()).await?.ok_or("the stream ended")??;
            self.follower.take(&message.into_data(), |arrival| {
                if let Arrival::Newest(state) = arrival {
                    let mut ended = state.events().iter().filter(|event| event.kind == EventKind::SessionEnded);
                    let of_it = ended.find(|event| event.session_id.as_deref() == Some(session_id));
                    found = of_it.and_then(|event| event.receipt.clone());
                }
            })?;
        }
        Ok(serde_json::from_value(found.as_deref().cloned().unwrap_or_default())?)
    }

    /// The code that the stream is closed with, or None where it breaks off.
    async fn end(&mut self) -> Result<Option<u16>, Failure> {
        loop {
            match timeout(LONG, self.socket.next()).await? {
                Some(Ok(Message::Close(close))) => return Ok(close.map(|close| close.code.into())),
                Some(Ok(message)) => self.follower.take(&message.into_data(), |_| {})?,
                Some(Err(_)) | None => return Ok(None),
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_vanishes_by_a_reset_is_let_go_of_at_once_and_accounted_for() -> Result<(), Failure> {
    let server = Server::start("serve", &["--provider", "simulated", "--simulated-rtf", "3"])?;
    let mut viewer = Viewer::of(&server).await?;
    let mut client = session(&server, "reset").await?;
    client.play(&[SYSTEM, MIC], Pace::SPEECH, soon(3)).await?;
    let sent = client.sent.clone();
    let began = Instant::now();
    client.reset()?;
    let receipt = viewer.receipt("reset").await?;
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    check_receipt(&receipt)?;
    // What was on its way when the connection was reset never arrived.
    assert!(receipt.sources.iter().all(|source| source.bytes.received <= sent[&source.source]));
    assert!(receipt.sources.iter().all(|source| source.bytes.received > 32_000 && source.bytes.dropped > 0));
    sleep(FRAME_AGE_MAX).await;
    let registry = server.snapshot()?.registry.into_owned();
    for source in &receipt.sources {
        let labels = [("source", source.source.as_str())];
        assert_eq!(registry.counter("audio_bytes_received", &labels), Some(source.bytes.received));
        assert_eq!(registry.counter("audio_bytes_dropped", &labels), Some(source.bytes.dropped));
    }
    assert_eq!(registry.gauge("active_sessions", &[]), Some(0.0));
    assert_eq!(registry.counter("ws_disconnects_total", &[]), Some(1));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_vanishes_without_a_fin_is_let_go_of_after_a_minute() -> Result<(), Failure> {
    let server = Server::start("serve", &[])?;
    let mut viewer = Viewer::of(&server).await?;
    let mut client = session(&server, "silent").await?;
    client.play(&[SYSTEM], Pace::SPEECH, soon(2)).await?;
    let began = Instant::now();
    // From here on it is as if its machine were gone: nothing is sent, no ping is answered, nothing is closed.
    let waiting = async {
        loop {
            if let Ok(receipt) = viewer.receipt("silent").await {
                return receipt;
            }
        }
    };
    let receipt = timeout(Duration::from_secs(90), waiting).await?;
    assert!(began.elapsed() > Duration::from_secs(55), "{:?}", began.elapsed());
    check_receipt(&receipt)?;
    assert_eq!(Some(&receipt.sources[0].bytes.received), client.sent.get(&SYSTEM));
    assert!(receipt.ticks_sent > 55 && receipt.ticks_missed == 0, "{receipt:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_gives_every_session_its_receipt_and_tells_every_viewer() -> Result<(), Failure> {
    let mut server = Server::start("serve", &["--provider", "simulated", "--simulated-rtf", "0.9"])?;
    let mut viewer = Viewer::of(&server).await?;
    let mut filtered = Viewer::of_some(&server).await?;
    let mut client = session(&server, "told").await?;
    client.play(&[SYSTEM, MIC], Pace::SPEECH, soon(3)).await?;
    // What is on its way when the signal comes is not received.
    client.listen(soon(1)).await?;
    server.signal("TERM")?;
    client.listen_to_the_end(LONG).await?;
    let receipt = assert_all_is_accounted_for(&client)?;
    assert!(receipt.sources.iter().all(|source| source.bytes.processed > 0));
    assert_eq!((client.heard.close_code, viewer.end().await?), (Some(GOING_AWAY), Some(GOING_AWAY)));
    assert_eq!(filtered.end().await?, Some(GOING_AWAY));
    assert_eq!(server.wait(Duration::from_secs(12))?.code(), Some(0));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigkill_is_noticed_at_once_and_the_next_start_says_that_it_is_another() -> Result<(), Failure> {
    let mut server = Server::start("serve", &[])?;
    let address = server.address.clone();
    let mut viewer = Viewer::of(&server).await?;
    let mut tail = Command::new(program())
        .args(["tail", &format!("http://{address}"), "--json"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut client = session(&server, "killed").await?;
    client.play(&[SYSTEM], Pace::SPEECH, soon(3)).await?;
    server.signal("KILL")?;
    let began = Instant::now();
    assert!(client.listen_to_the_end(LONG).await.is_err(), "it breaks off, without a close");
    assert_eq!((client.heard.close_code, viewer.end().await?), (None, None));
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    server.wait(LONG)?;

    let second = Server::start_at(&address, "serve", &[])?;
    let mut again = session(&second, "killed").await?;
    again.play(&[SYSTEM], Pace::SPEECH, soon(3)).await?;
    // A page goes on where it was: it is told that there is nothing to go on with.
    let query = format!("/ws/stream?{}", viewer.follower.request(0));
    let mut socket = open_socket(&address, &query, None).await?;
    let message = timeout(LONG, socket.next()).await?.ok_or("the stream ended")??;
    let mut outcome = None;
    viewer.follower.take(&message.into_data(), |arrival| {
        if let Arrival::Hello(hello) = arrival {
            outcome = Some(hello.outcome);
        }
    })?;
    assert_eq!(outcome, Some(Outcome::Restarted));
    again.stop().await?;
    assert_all_is_accounted_for(&again)?;
    // `tail` tries again after a pause that grows.
    sleep(Duration::from_secs(4)).await;
    signal(&tail, "INT")?;
    let mut told = String::new();
    std::io::Read::read_to_string(&mut tail.stderr.take().ok_or("no output")?, &mut told)?;
    tail.wait()?;
    assert!(told.contains("the server was restarted"), "{told}");
    Ok(())
}

fn signal(child: &std::process::Child, name: &str) -> Result<(), Failure> {
    let sent = Command::new("kill").args([format!("-{name}"), child.id().to_string()]).status()?;
    if sent.success() { Ok(()) } else { Err("the signal was not sent".into()) }
}

/// The program, listening where nobody else does, with all there is to log.
fn serve_loudly() -> Result<(Command, String), Failure> {
    let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
    let mut command = Command::new(program());
    command.args(["serve", "--listen", &address, "--log", "trace", "--provider", "simulated"]);
    Ok((command, address))
}

/// Has more lines logged than wait in the server, and in a pipe: of 70 bytes each, one a request.
fn fill_log(server: &Server) -> Result<(), Failure> {
    for _ in 0..4_000 {
        let mut asking = std::net::TcpStream::connect(&server.address)?;
        asking.write_all(b"GET / HTTP/1.1\r\nhost: another.example\r\n\r\n")?;
        let mut answer = String::new();
        asking.read_to_string(&mut answer)?;
        assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    }
    Ok(())
}

/// A server whose log goes nowhere works as ever, and says how many lines were lost.
async fn assert_only_lines_are_lost(mut server: Server) -> Result<(), Failure> {
    let mut viewer = Viewer::of(&server).await?;
    let mut client = session(&server, "unlogged").await?;
    client.play(&[SYSTEM, MIC], Pace::SPEECH, soon(5)).await?;
    client.stop().await?;
    let receipt = assert_all_is_accounted_for(&client)?;
    assert_eq!((receipt.ticks_missed, client.heard.close_code), (0, Some(1000)));
    assert!(client.heard.errors.is_empty() && client.heard.ticks.len() >= 4, "{:?}", client.heard);
    assert_eq!(viewer.receipt("unlogged").await?.sources, receipt.sources);
    // Panics are told by the log, too.
    server.put("/api/v1/simulated", r#"{"fault": "panic"}"#)?;
    let mut unlucky = session(&server, "unlucky").await?;
    unlucky.play(&[SYSTEM, MIC], Pace::SPEECH, soon(8)).await?;
    unlucky.stop().await?;
    let receipt = assert_all_is_accounted_for(&unlucky)?;
    assert_eq!((receipt.ticks_missed, unlucky.heard.close_code), (0, Some(1000)));
    assert!(receipt.sources.iter().all(|source| source.bytes.processed == 0 && source.bytes.dropped > 0));
    sleep(FRAME_AGE_MAX).await;
    let registry = server.snapshot()?.registry.into_owned();
    assert!(registry.counter("tachograph_log_lines_lost", &[]) > Some(0));
    for name in ["tachograph_ticks_missed", "tachograph_session_ticks_missed", "tachograph_ticks_stuck"] {
        assert_eq!(registry.counter(name, &[]), Some(0), "{name}");
    }
    let failed = registry.all_series().filter(|(family, _)| family.name() == "tachograph_task_restarts").count();
    assert_eq!(failed, 0, "no task failed");
    server.signal("TERM")?;
    assert_eq!(server.wait(Duration::from_secs(12))?.code(), Some(0));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_costs_the_log_and_nothing_else() -> Result<(), Failure> {
    let full = || OpenOptions::new().write(true).open("/dev/full");
    let (mut command, address) = serve_loudly()?;
    assert_only_lines_are_lost(Server::launch_unheard(command.stdout(full()?).stderr(full()?), &address)?).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_nobody_reads_holds_nobody_up() -> Result<(), Failure> {
    let (mut command, address) = serve_loudly()?;
    let mut server = Server::launch_unheard(command.stdout(Stdio::null()).stderr(Stdio::piped()), &address)?;
    // A pipe holds 64 KiB; it stays open.
    let _unread = server.stderr();
    fill_log(&server)?;
    assert_only_lines_are_lost(server).await
}

#[test]
fn a_full_disk_ends_tail_with_one_clear_line() -> Result<(), Failure> {
    let server = Server::start("serve", &[])?;
    let recording = std::env::temp_dir().join(format!("tachograph-full-{}", std::process::id()));
    std::thread::sleep(Duration::from_secs(2));
    let body = ureq::get(format!("http://{}/api/v1/recording", server.address)).call()?.body_mut().read_to_vec()?;
    fs::write(&recording, body)?;
    for from in [&format!("http://{}", server.address), recording.to_str().ok_or("a path that is not text")?] {
        let mut tail = Command::new(program())
            .args(["tail", from, "--json"])
            .stdout(OpenOptions::new().write(true).open("/dev/full")?)
            .stderr(Stdio::piped())
            .spawn()?;
        let began = Instant::now();
        while tail.try_wait()?.is_none() && began.elapsed() < LONG {
            std::thread::sleep(Duration::from_millis(50));
        }
        let _ended_already = tail.kill();
        let ended = tail.wait_with_output()?;
        let told = String::from_utf8(ended.stderr)?;
        assert_eq!(ended.status.code(), Some(1), "{from}: {told}");
        assert!(told.contains("cannot write what is shown") && told.lines().count() == 1, "{told}");
    }
    fs::remove_file(&recording)?;
    assert!(run(&["tail", "--help"], LONG)?.status.success());
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_is_held_for_a_while_counts_what_it_missed_and_keeps_its_schedule() -> Result<(), Failure> {
    const HELD: Duration = Duration::from_secs(5);
    let server = Server::start("serve", &[])?;
    let mut viewer = Viewer::of(&server).await?;
    let mut client = session(&server, "held").await?;
    client.play(&[SYSTEM], Pace::SPEECH, soon(4)).await?;
    server.signal("STOP")?;
    sleep(HELD).await;
    server.signal("CONT")?;
    client.play(&[SYSTEM], Pace::SPEECH, soon(4)).await?;
    client.stop().await?;
    let receipt = assert_all_is_accounted_for(&client)?;
    let ticks = &client.heard.ticks;
    let numbers: Vec<u64> = ticks.iter().map(|tick| tick.tick).collect();
    let skipped: u64 = numbers.windows(2).map(|pair| pair[1] - pair[0] - 1).sum();
    // The tick that was due first runs late; those between it and the newest are missed.
    assert!((3..=HELD.as_secs()).contains(&skipped), "{numbers:?}");
    assert_eq!(receipt.ticks_missed, skipped);
    // On time again: the n-th tick is n seconds after the start, whatever happened before it.
    let phases: Vec<f64> = ticks.iter().map(|tick| tick.timestamp - tick.tick as f64).collect();
    let (first, last) = (phases[0], phases[phases.len() - 1]);
    assert!((last - first).abs() < 0.5, "{phases:?}");
    assert_eq!(viewer.receipt("held").await?.ticks_missed, skipped);
    sleep(FRAME_AGE_MAX).await;
    let registry = server.snapshot()?.registry.into_owned();
    assert!((3..=HELD.as_secs()).contains(&registry.counter("tachograph_ticks_missed", &[]).unwrap_or_default()));
    assert_eq!(registry.counter("tachograph_session_ticks_missed", &[]), Some(skipped));
    Ok(())
}

/// The library that gives a process another clock; its figure is read from a file. It is the one for programs with
/// threads: with the other a thread that reads the file can have another one see the true time meanwhile.
fn faketime() -> Result<PathBuf, Failure> {
    let libraries = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.tools/faketime/usr/lib");
    for folder in fs::read_dir(libraries).map_err(|_| "libfaketime is not there: scripts/test-tools.sh")? {
        let library = folder?.path().join("faketime/libfaketimeMT.so.1");
        if library.exists() {
            return Ok(library.canonicalize()?);
        }
    }
    Err("libfaketime is not there: scripts/test-tools.sh".into())
}

/// Steps the wall clock of a process alone; a machine that was suspended has one that stepped forth, and a monotonic
/// clock that stood still.
struct SteppedClock(PathBuf);

impl SteppedClock {
    fn new() -> Result<Self, Failure> {
        let clock = Self(std::env::temp_dir().join(format!("tachograph-clock-{}", std::process::id())));
        clock.step(0.0)?;
        Ok(clock)
    }

    /// From now on it is so many seconds off.
    fn step(&self, seconds: f64) -> Result<(), Failure> {
        // In one go: a half-written file would be another time.
        let written = self.0.with_extension("new");
        fs::write(&written, format!("{seconds:+}\n"))?;
        Ok(fs::rename(&written, &self.0)?)
    }

    fn give(&self, command: &mut Command) -> Result<(), Failure> {
        command
            .env("LD_PRELOAD", faketime()?)
            .env("FAKETIME_TIMESTAMP_FILE", &self.0)
            .env("FAKETIME_NO_CACHE", "1")
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
            .env("DONT_FAKE_MONOTONIC", "1");
        Ok(())
    }
}

impl Drop for SteppedClock {
    fn drop(&mut self) {
        let _gone = fs::remove_file(&self.0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_steps_an_hour_forth_and_back_moves_no_tick() -> Result<(), Failure> {
    let clock = SteppedClock::new()?;
    let mut command = Command::new(program());
    command.args(["serve", "--listen", "127.0.0.1:0", "--log", "error"]);
    clock.give(&mut command)?;
    let server = Server::launch(&mut command)?;
    let mut client = session(&server, "stepped").await?;
    for offset in [0.0, HOUR, -HOUR, 0.0] {
        clock.step(offset)?;
        client.play(&[SYSTEM], Pace::SPEECH, soon(4)).await?;
    }
    client.stop().await?;
    let receipt = assert_all_is_accounted_for(&client)?;
    let ticks = &client.heard.ticks;
    // Every tick came, when it was due: the schedule is not the wall clock's.
    assert!(ticks.windows(2).all(|pair| pair[1].tick == pair[0].tick + 1) && ticks.len() >= 14, "{ticks:?}");
    assert_eq!((receipt.ticks_missed, receipt.ticks_conflated), (0, 0));
    assert!((15.0..20.0).contains(&receipt.duration_seconds), "{}", receipt.duration_seconds);
    // What they say of the wall clock is what it said.
    let steps: Vec<f64> = ticks.windows(2).map(|pair| pair[1].timestamp - pair[0].timestamp).collect();
    let steps: Vec<f64> = steps.into_iter().filter(|step| (step - 1.0).abs() > NOT_A_SECOND).collect();
    let expected = [HOUR, -2.0 * HOUR, HOUR];
    assert_eq!(steps.len(), expected.len(), "{steps:?}");
    assert!(steps.iter().zip(expected).all(|(step, expected)| (step - expected).abs() < 5.0), "{steps:?}");
    sleep(FRAME_AGE_MAX).await;
    let frame = server.snapshot()?;
    assert!((15.0..40.0).contains(&frame.server.uptime_seconds), "{}", frame.server.uptime_seconds);
    assert_eq!((frame.server.ticks_missed, frame.sessions.len()), (0, 0));
    assert_eq!(frame.registry.counter("tachograph_clock_steps", &[]), Some(expected.len() as u64));
    // Nothing of the past was let go of for it.
    assert_eq!(frame.registry.counter("tachograph_history_frames_let_go", &[]), Some(0));
    Ok(())
}

#[test]
fn the_clock_can_be_stepped() -> Result<(), Failure> {
    let clock = SteppedClock(std::env::temp_dir().join(format!("tachograph-clock-check-{}", std::process::id())));
    clock.step(-HOUR)?;
    let mut date = Command::new("date");
    clock.give(date.arg("+%s"))?;
    let shown: f64 = String::from_utf8(date.output()?.stdout)?.trim().parse()?;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_secs_f64();
    assert!((now - shown - HOUR).abs() < 10.0, "{shown} at {now}");
    File::open(&clock.0)?;
    Ok(())
}
