//! The program as a person meets it: its arguments, its addresses, its end.

use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tachograph_tests::{Failure, Server, program, run, speech};

const SOON: Duration = Duration::from_secs(10);

#[test]
fn help_names_the_commands_and_every_command_explains_its_flags() -> Result<(), Failure> {
    let help = run(&["--help"], SOON)?;
    assert!(help.status.success());
    for command in ["serve", "stream", "tail", "demo", "check", "health"] {
        assert!(help.stdout.contains(command), "{}", help.stdout);
        let help = run(&[command, "--help"], SOON)?;
        assert!(help.status.success());
        assert!(help.stdout.contains("[env: TACHOGRAPH_"), "{}", help.stdout);
    }
    Ok(())
}

#[test]
fn a_bad_value_is_one_clear_line_and_exit_code_2() -> Result<(), Failure> {
    for (args, named) in [
        (&["serve", "--listen", "nowhere"][..], "--listen"),
        (&["serve", "--provider", "psychic"], "--provider"),
        (&["serve", "--simulated-rtf", "-1"], "--simulated-rtf"),
        (&["serve", "--simulated-rtf", "NaN"], "--simulated-rtf"),
        (&["serve", "--chunk-seconds", "9"], "--chunk-seconds"),
        (&["serve", "--max-sessions", "0"], "--max-sessions"),
        (&["serve", "--queue-seconds", "-1"], "--queue-seconds"),
        (&["stream", "x.wav", "--speed", "0"], "--speed"),
        (&["stream", "x.wav", "--url", "ftp://x"], "--url"),
        (&["stream", "x.wav", "--source", "my mic"], "--source"),
        (&["stream"], "FILE.wav"),
        (&["serve", "--frobnicate"], "--frobnicate"),
        (&["sing"], "sing"),
    ] {
        let ended = run(args, SOON)?;
        assert_eq!(ended.status.code(), Some(2), "{args:?}: {ended:?}");
        assert_eq!(ended.stderr.lines().count(), 1, "{args:?}: {}", ended.stderr);
        assert!(ended.stderr.starts_with("error: ") && ended.stderr.contains(named), "{args:?}: {}", ended.stderr);
    }
    Ok(())
}

#[test]
fn what_cannot_be_done_is_one_clear_line_and_exit_code_1() -> Result<(), Failure> {
    let server = Server::start("serve", &[])?;
    let taken = run(&["serve", "--listen", &server.address], SOON)?;
    assert_eq!(taken.status.code(), Some(1));
    assert!(taken.stderr.contains("--listen"), "{}", taken.stderr);
    let missing = run(&["stream", "no-such-file.wav"], SOON)?;
    assert_eq!(missing.status.code(), Some(1));
    assert!(missing.stderr.contains("no-such-file.wav"), "{}", missing.stderr);
    assert_eq!(missing.stderr.lines().count(), 1, "{}", missing.stderr);
    Ok(())
}

#[test]
fn an_environment_variable_stands_for_a_flag() -> Result<(), Failure> {
    let server = Server::start("serve", &["--provider", "simulated"])?;
    assert!(server.get("/api/v1/simulated")?.contains("0.5"));
    let out = std::process::Command::new(tachograph_tests::program())
        .arg("serve")
        .env("TACHOGRAPH_LISTEN", "not an address")
        .output()?;
    assert_eq!(out.status.code(), Some(2));
    Ok(())
}

#[test]
fn a_streamed_file_ends_with_a_receipt_that_agrees_with_the_server() -> Result<(), Failure> {
    let server = Server::start("serve", &[])?;
    let url = format!("http://{}", server.address);
    let file = speech();
    let file = file.to_str().ok_or("a path that is not text")?;
    let args = ["stream", file, "--url", &url, "--source", "mic,system", "--sessions", "3", "--speed", "2"];
    let ended = run(&args, Duration::from_secs(30))?;
    assert!(ended.status.success(), "{ended:?}");
    let last = ended.stdout.lines().last().unwrap_or_default();
    assert!(last.starts_with("3 sessions: ") && last.contains(" 0 dropped"), "{last}");
    // The end of a session is counted a moment after its client's, and told with the next frame.
    let began = Instant::now();
    while server.snapshot()?.registry.counter("ws_disconnects_total", &[]) != Some(3) {
        assert!(began.elapsed() < Duration::from_secs(10), "{:?}", server.snapshot()?);
        std::thread::sleep(Duration::from_millis(100));
    }
    let registry = server.snapshot()?.registry;
    let received: u64 = ["mic", "system"]
        .iter()
        .filter_map(|source| registry.counter("audio_frames_received", &[("source", source)]))
        .sum();
    assert!(last.contains(&format!("{received} frames received")), "{last}, but the server says {received}");
    assert_eq!(registry.gauge("active_sessions", &[]), Some(0.0));
    Ok(())
}

#[test]
fn a_server_that_is_not_there_is_told_as_such() -> Result<(), Failure> {
    let file = speech();
    let file = file.to_str().ok_or("a path that is not text")?;
    let ended = run(&["stream", file, "--url", "http://127.0.0.1:1"], Duration::from_secs(20))?;
    assert_eq!(ended.status.code(), Some(1));
    assert!(ended.stderr.contains("is the server running?"), "{}", ended.stderr);
    Ok(())
}

#[test]
fn health_readiness_and_addresses_that_do_not_exist() -> Result<(), Failure> {
    let server = Server::start("serve", &[])?;
    assert_eq!(server.get("/healthz")?, "ok");
    assert_eq!(server.get("/readyz")?, "ready");
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    for (path, status, code) in [
        ("/api/v1/nothing", 404, "not_found"),
        ("/api/v1/simulated", 404, "not_simulated"),
        ("/ws/stream", 426, "not_a_websocket"),
        ("/api/v1/stream?from=1", 400, "invalid_query"),
        ("/api/v1/history?metrics=a", 400, "invalid_query"),
        ("/ws/live-listener", 426, "not_a_websocket"),
    ] {
        let mut answer = agent.get(format!("http://{}{path}", server.address)).call()?;
        assert_eq!(answer.status().as_u16(), status, "{path}");
        let body: serde_json::Value = serde_json::from_str(&answer.body_mut().read_to_string()?)?;
        assert_eq!(body["error"]["code"], code, "{path}");
    }
    let deleted = agent.delete(format!("http://{}/api/v1/snapshot", server.address)).call()?;
    assert_eq!(deleted.status().as_u16(), 405);
    Ok(())
}

#[test]
fn the_page_comes_compressed_and_is_not_sent_twice() -> Result<(), Failure> {
    let server = Server::start("serve", &[])?;
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let url = format!("http://{}/", server.address);
    let first = agent.get(&url).header("accept-encoding", "br").call()?;
    assert_eq!(first.headers()["content-encoding"], "br");
    let tag = first.headers()["etag"].clone();
    let second = agent.get(&url).header("accept-encoding", "br").header("if-none-match", tag).call()?;
    assert_eq!(second.status().as_u16(), 304);
    let plain = server.get("/")?;
    assert!(plain.contains("<html"), "{plain}");
    Ok(())
}

#[test]
fn sigint_and_sigterm_end_a_busy_server_within_10_s() -> Result<(), Failure> {
    for (signal, fault) in [("INT", "none"), ("TERM", "hang")] {
        let mut server = Server::start("demo", &["--provider", "simulated", "--simulated-fault", fault])?;
        std::thread::sleep(Duration::from_secs(3));
        assert_eq!(server.snapshot()?.sessions.len(), 2);
        let began = Instant::now();
        server.signal(signal)?;
        let status = server.wait(Duration::from_secs(12))?;
        assert!(began.elapsed() < Duration::from_secs(10), "{signal} took {:?}", began.elapsed());
        assert_eq!(status.code(), Some(0), "{signal} with fault {fault}");
    }
    Ok(())
}

#[test]
fn tail_shows_a_server_and_a_recording_of_it_alike() -> Result<(), Failure> {
    let server = Server::start("demo", &[])?;
    let url = format!("http://{}", server.address);
    let mut live = Command::new(program())
        .args(["tail", &url, "--window", "1m", "--metrics", "audio_bytes_received", "--log", "error"])
        .stdout(Stdio::piped())
        .spawn()?;
    std::thread::sleep(Duration::from_secs(4));
    interrupt(&live)?;
    let mut shown = String::new();
    live.stdout.take().ok_or("no output")?.read_to_string(&mut shown)?;
    assert!(live.wait()?.success());
    assert!(shown.contains("session started") && shown.contains("audio_bytes_received{source=\"mic\"}"), "{shown}");

    let path = std::env::temp_dir().join(format!("tachograph-recording-{}", std::process::id()));
    record(&server, &path, Duration::from_secs(2))?;
    let recorded = run(&["tail", path.to_str().ok_or("a path that is not text")?, "--json"], Duration::from_secs(10))?;
    std::fs::remove_file(&path)?;
    assert!(recorded.status.success(), "{recorded:?}");
    let frames: Vec<Value> = recorded.stdout.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    assert!(frames.len() >= 4, "{} frames", frames.len());
    let seqs: Vec<u64> = frames.iter().filter_map(|frame| frame["seq"].as_u64()).collect();
    assert!(seqs.windows(2).all(|pair| pair[1] == pair[0] + 1), "{seqs:?}");
    let clocks: Vec<&str> = shown.lines().filter(|line| line.contains("  tick ")).collect();
    assert!(clocks.len() >= 3, "{shown}");
    Ok(())
}

#[test]
fn tail_says_what_it_cannot_show() -> Result<(), Failure> {
    let file = speech();
    let file = file.to_str().ok_or("a path that is not text")?;
    for (from, words) in [
        ("http://127.0.0.1:1", "is the server running?"),
        ("ftp://127.0.0.1", "give a server's address"),
        (file, "cannot show the stream"),
    ] {
        let ended = run(&["tail", from], Duration::from_secs(20))?;
        assert_eq!(ended.status.code(), Some(1), "{from}");
        assert!(ended.stderr.contains(words), "{from}: {}", ended.stderr);
    }
    Ok(())
}

/// Writes the stream as it comes over HTTP into a file, for so long.
fn record(server: &Server, path: &Path, span: Duration) -> Result<(), Failure> {
    let answer = ureq::get(format!("http://{}/api/v1/stream?window=all", server.address))
        .header("accept", "application/octet-stream")
        .call()?;
    let mut body = answer.into_body().into_reader();
    let (mut recording, mut piece) = (Vec::new(), vec![0; 65_536]);
    let began = Instant::now();
    while began.elapsed() < span {
        let read = body.read(&mut piece)?;
        recording.extend_from_slice(&piece[..read]);
    }
    Ok(std::fs::write(path, recording)?)
}

fn interrupt(child: &std::process::Child) -> Result<(), Failure> {
    let sent = Command::new("kill").args(["-INT".into(), child.id().to_string()]).status()?;
    if sent.success() { Ok(()) } else { Err("the signal was not sent".into()) }
}
