//! The built program as a process, and what the system says of it.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::Failure;

/// More than any crowd has.
const VIEWERS_MAX: u32 = 100_000;

/// A path in the repository.
pub fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

fn program() -> Command {
    Command::new(repository("target/release/tachograph"))
}

/// A running server; it ends with the value.
pub struct Server {
    child: Child,
    /// Such as `127.0.0.1:40321`.
    pub address: String,
    /// Whether it was made to have as many series as it was asked for.
    pub rehearses: bool,
}

impl Server {
    /// With about so many series beside its own, where the program can do that.
    pub fn start(series: usize) -> Result<Self, Failure> {
        let help = program().args(["serve", "--help"]).output();
        let help = help.map_err(|error| format!("the program is not there (make build): {error}"))?;
        let help = String::from_utf8_lossy(&help.stdout);
        let rehearses = help.contains("--rehearse-series");
        let mut command = program();
        command.args(["serve", "--listen", "127.0.0.1:0", "--log", "error"]);
        if help.contains("--max-viewers") {
            command.args(["--max-viewers", &VIEWERS_MAX.to_string()]);
        }
        if rehearses {
            command.args(["--rehearse-series", &series.to_string()]);
        }
        if help.contains("--max-connections-per-address") {
            // All viewers are on this machine.
            command.args(["--max-connections", "100000", "--max-connections-per-address", "100000"]);
        }
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let stdout = child.stdout.take();
        let mut server = Self { child, address: String::new(), rehearses };
        let first = stdout.and_then(|stdout| BufReader::new(stdout).lines().next());
        let line = first.ok_or("the server ended at once")??;
        let address = line.split_once("http://").map(|(_, address)| address.trim_end_matches('/').to_owned());
        server.address = address.ok_or_else(|| format!("the server says no address: {line}"))?;
        Ok(server)
    }

    pub fn usage(&self) -> Result<Usage, Failure> {
        Usage::of(&self.child.id().to_string())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// Plays the speech file to a server as a live session.
pub fn session(address: &str, speed: f64) -> Result<Child, Failure> {
    let mut command = program();
    command.arg("stream").arg(repository("server/assets/speech.wav"));
    command.args(["--url", &format!("http://{address}"), "--speed", &speed.to_string(), "--log", "error"]);
    Ok(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?)
}

/// Asks a process to end, as Ctrl-C does.
pub fn interrupt(child: &Child) {
    signal(child, Signal::INT);
}

/// Tells a process to end and waits for it.
pub fn end(child: &mut Child) {
    signal(child, Signal::TERM);
    let _status = child.wait();
}

fn signal(child: &Child, signal: Signal) {
    if let Some(pid) = Pid::from_raw(child.id() as i32) {
        let _ended_already = kill_process(pid, signal);
    }
}

/// What a process has used until now.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    pub cpu_seconds: f64,
    pub resident_bytes: f64,
}

impl Usage {
    pub fn own() -> Result<Self, Failure> {
        Self::of("self")
    }

    fn of(process: &str) -> Result<Self, Failure> {
        let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
        // The name may hold spaces; what follows it begins with field 3.
        let (_, fields) = stat.rsplit_once(") ").ok_or("a stat without a name")?;
        let fields: Vec<&str> = fields.split(' ').collect();
        let ticks = |field: usize| fields.get(field - 3).and_then(|text| text.parse::<f64>().ok()).unwrap_or_default();
        let status = fs::read_to_string(format!("/proc/{process}/status"))?;
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes = resident.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<f64>().ok());
        Ok(Self {
            cpu_seconds: (ticks(14) + ticks(15)) / rustix::param::clock_ticks_per_second() as f64,
            resident_bytes: kilobytes.ok_or("a process without memory")? * 1_024.0,
        })
    }
}
