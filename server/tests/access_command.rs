//! The command's own way through the gate: what it prints, and what its clients show and hear.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by it")]

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;

const SLACK: Duration = Duration::from_secs(30);
const SPEECH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/speech.wav");

fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tachograph"));
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("TACHOGRAPH_")) {
        command.env_remove(name);
    }
    command
}

/// A command that goes on until it is dropped.
struct Running {
    child: Child,
    lines: Receiver<String>,
    /// All of standard error, read as it comes: a full pipe would stop the child.
    errors: Option<JoinHandle<String>>,
}

impl Running {
    fn start(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let (told, lines) = channel();
        let out = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || out.lines().map_while(Result::ok).try_for_each(|line| told.send(line)));
        let mut errors = child.stderr.take().unwrap();
        let errors = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            errors.read_to_end(&mut bytes).unwrap();
            String::from_utf8_lossy(&bytes).into_owned()
        });
        Self { child, lines, errors: Some(errors) }
    }

    fn line(&self) -> String {
        self.lines.recv_timeout(SLACK).unwrap()
    }

    /// Its end, and all that it wrote to standard error.
    fn end(mut self) -> String {
        self.child.kill().unwrap();
        self.errors.take().unwrap().join().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ended_already = self.child.kill();
        let _ended_already = self.child.wait();
    }
}

/// A server beyond this machine, the address by which this machine reaches it, and the token of its link.
fn begin(command_name: &str) -> (Running, String, String) {
    let server = Running::start(command(&[command_name, "--listen", "0.0.0.0:0", "--log", "trace"]));
    let listening = server.line();
    let port = listening.rsplit(':').next().unwrap().to_owned();
    assert_eq!(listening, format!("listening on http://0.0.0.0:{port}"));
    let link = server.line();
    let (address, token) = link.strip_prefix("sign in at http://").unwrap().split_once("/sign-in?token=").unwrap();
    assert!(address.ends_with(&format!(":{port}")) && !address.starts_with("0.0.0.0"), "{link}");
    (server, format!("http://127.0.0.1:{port}"), token.to_owned())
}

fn failed(code: i32, mut command: Command) -> String {
    let Output { status, stderr, .. } = command.output().unwrap();
    assert_eq!(status.code(), Some(code));
    String::from_utf8(stderr).unwrap()
}

#[test]
fn beyond_this_machine_a_link_is_printed_and_clients_show_its_token() {
    let (server, url, token) = begin("serve");
    let told = failed(1, command(&["tail", &url]));
    assert!(told.contains("--token-file") && told.contains("TACHOGRAPH_TOKEN") && told.lines().count() == 1, "{told}");
    let mut wrong = command(&["stream", SPEECH, "--url", &url]);
    wrong.env("TACHOGRAPH_TOKEN", "a-token-that-nobody-gave");
    let told = failed(1, wrong);
    assert!(told.contains("--token-file") && !told.contains("nobody-gave"), "{told}");
    let file = std::env::temp_dir().join(format!("tachograph-token-{}", server.child.id()));
    std::fs::write(&file, &token).unwrap();
    let played =
        command(&["stream", SPEECH, "--speed", "100", "--url", &url, "--token-file"]).arg(&file).output().unwrap();
    std::fs::remove_file(&file).unwrap();
    assert!(played.status.success(), "{played:?}");
    let mut tail = command(&["tail", &url, "--json"]);
    tail.env("TACHOGRAPH_TOKEN", &token);
    let tail = Running::start(tail);
    let frame: Value = serde_json::from_str(&tail.line()).unwrap();
    assert!(frame["tick"].is_u64(), "{frame}");
    let log = server.end();
    assert!(log.contains("a wrong token was shown") && !log.contains(&token) && !log.contains("nobody-gave"), "{log}");
}

#[test]
fn the_demo_feeds_itself_also_where_a_token_is_wanted() {
    let (demo, url, token) = begin("demo");
    let mut tail = command(&["tail", &url, "--json"]);
    tail.env("TACHOGRAPH_TOKEN", &token);
    let tail = Running::start(tail);
    let deadline = Instant::now() + SLACK;
    loop {
        let frame: Value = serde_json::from_str(&tail.line()).unwrap();
        if frame["sessions"].as_array().is_some_and(|sessions| sessions.len() == 2) {
            break;
        }
        assert!(Instant::now() < deadline, "{frame}");
    }
    // What its own clients send is logged by no crate that they are made of.
    let log = demo.end();
    assert!(log.contains("Streaming") && !log.contains(&token), "{log}");
}

#[test]
fn what_cannot_work_is_said_at_once() {
    let mut demo = command(&["demo", "--listen", "127.0.0.1:0"]);
    demo.env("TACHOGRAPH_VIEW_TOKEN", "a-token-for-looking-only");
    let told = failed(1, demo);
    assert!(told.contains("--feed-token-file") && !told.contains("looking-only"), "{told}");
    let mut short = command(&["serve", "--listen", "127.0.0.1:0"]);
    short.env("TACHOGRAPH_FEED_TOKEN", "hunter2");
    let told = failed(2, short);
    assert!(
        told.contains("TACHOGRAPH_FEED_TOKEN: a token must have at least 16") && !told.contains("hunter2"),
        "{told}"
    );
}
