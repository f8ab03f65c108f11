//! What the tests of the whole share: the built program as a process that ends with its test, a simulated
//! service, and a browser.

#![forbid(unsafe_code)]

pub mod browser;
pub mod chance;
pub mod client;
pub mod rehearsal;
pub mod soak;

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use tachograph_core::wire::StreamFrame;

/// Anything in a test that is not as it should be.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

const STARTED_WITHIN: Duration = Duration::from_secs(20);

/// The program as people run it: built with optimisation and with the page in it.
pub fn program() -> PathBuf {
    std::env::var_os("TACHOGRAPH_BIN").map_or_else(|| root().join("target/release/tachograph"), PathBuf::from)
}

/// The speech file that the demo plays.
pub fn speech() -> PathBuf {
    root().join("server/assets/speech.wav")
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Runs the program to its end, which must come within `limit`.
///
/// # Errors
/// It could not be started, or did not end.
pub fn run(args: &[&str], limit: Duration) -> Result<Ended, Failure> {
    let mut child = Command::new(program())
        .args(args)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .stdin(Stdio::null())
        .spawn()?;
    let stdout = collect(child.stdout.take());
    let stderr = collect(child.stderr.take());
    let status = wait(&mut child, limit)?;
    Ok(Ended { status, stdout: stdout.recv()?, stderr: stderr.recv()? })
}

/// A program that ended.
#[derive(Debug)]
pub struct Ended {
    /// How.
    pub status: ExitStatus,
    /// What it printed.
    pub stdout: String,
    /// What it complained of.
    pub stderr: String,
}

fn collect(pipe: Option<impl Read + Send + 'static>) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut text = String::new();
        if let Some(mut pipe) = pipe {
            let _whatever_came = pipe.read_to_string(&mut text);
        }
        let _nobody_asks = sender.send(text);
    });
    receiver
}

fn wait(child: &mut Child, limit: Duration) -> Result<ExitStatus, Failure> {
    let began = Instant::now();
    while began.elapsed() < limit {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    child.kill()?;
    child.wait()?;
    Err(format!("the program did not end within {limit:?}").into())
}

/// A running server; it is killed with the value.
#[derive(Debug)]
pub struct Server {
    child: Child,
    /// Such as `127.0.0.1:40321`.
    pub address: String,
}

impl Server {
    /// Starts `tachograph COMMAND --listen 127.0.0.1:0 ARGS` and waits until it listens.
    ///
    /// # Errors
    /// It could not be started or does not say where it listens.
    pub fn start(command: &str, args: &[&str]) -> Result<Self, Failure> {
        Self::start_at("127.0.0.1:0", command, args)
    }

    /// The same at a given address.
    ///
    /// # Errors
    /// It could not be started or does not say where it listens.
    pub fn start_at(listen: &str, command: &str, args: &[&str]) -> Result<Self, Failure> {
        Self::launch(Command::new(program()).args([command, "--listen", listen, "--log", "error"]).args(args))
    }

    /// Starts `tachograph serve --listen 127.0.0.1:0 ARGS` with no more than so many descriptors.
    ///
    /// # Errors
    /// It could not be started or does not say where it listens.
    pub fn start_with_descriptors(descriptors: u32, args: &[&str]) -> Result<Self, Failure> {
        let limited = format!("ulimit -n {descriptors}; exec \"$0\" \"$@\"");
        let mut program = Command::new("sh");
        let serve = ["serve", "--listen", "127.0.0.1:0", "--log", "error"];
        Self::launch(program.args(["-c", &limited]).arg(self::program()).args(serve).args(args))
    }

    /// Starts a command that has all its arguments, and waits until it listens.
    ///
    /// # Errors
    /// It could not be started or does not say where it listens.
    pub fn launch(program: &mut Command) -> Result<Self, Failure> {
        let mut child = program.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let stdout = child.stdout.take();
        let mut server = Self { child, address: String::new() };
        let (sender, line) = mpsc::channel();
        std::thread::spawn(move || {
            let first = stdout.and_then(|stdout| BufReader::new(stdout).lines().next());
            let _nobody_waits = sender.send(first);
        });
        let line = line.recv_timeout(STARTED_WITHIN)?.ok_or("the server ended at once")??;
        let address = line.strip_prefix("listening on http://").or_else(|| line.strip_prefix("listening on https://"));
        server.address = address.ok_or("no address in its first line")?.to_owned();
        Ok(server)
    }

    /// Starts what `command` says, a server that listens at `address` and whose output is not read, and waits until
    /// it is ready.
    ///
    /// # Errors
    /// It could not be started or is not ready in time.
    pub fn launch_unheard(command: &mut Command, address: &str) -> Result<Self, Failure> {
        let server = Self { child: command.stdin(Stdio::null()).spawn()?, address: address.to_owned() };
        let began = Instant::now();
        while server.get("/readyz").is_err() {
            if began.elapsed() > STARTED_WITHIN {
                return Err("the server is not ready".into());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(server)
    }

    /// The number of its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it complains of, where that was piped.
    pub fn stderr(&mut self) -> Option<ChildStderr> {
        self.child.stderr.take()
    }

    /// Sends a signal by name, such as `TERM`.
    ///
    /// # Errors
    /// It could not be sent.
    pub fn signal(&self, name: &str) -> Result<(), Failure> {
        let sent = Command::new("kill").args([format!("-{name}"), self.child.id().to_string()]).status()?;
        if sent.success() { Ok(()) } else { Err("the signal was not sent".into()) }
    }

    /// Waits for the process to end.
    ///
    /// # Errors
    /// It did not within `limit`.
    pub fn wait(&mut self, limit: Duration) -> Result<ExitStatus, Failure> {
        wait(&mut self.child, limit)
    }

    /// The body at an address of the server.
    ///
    /// # Errors
    /// There is no good answer.
    pub fn get(&self, path: &str) -> Result<String, Failure> {
        Ok(ureq::get(format!("http://{}{path}", self.address)).call()?.body_mut().read_to_string()?)
    }

    /// Puts a body of JSON to an address of the server.
    ///
    /// # Errors
    /// There is no good answer.
    pub fn put(&self, path: &str, body: &str) -> Result<(), Failure> {
        let request = ureq::put(format!("http://{}{path}", self.address)).header("content-type", "application/json");
        request.send(body)?;
        Ok(())
    }

    /// The newest frame.
    ///
    /// # Errors
    /// There is no good answer.
    pub fn snapshot(&self) -> Result<StreamFrame<'static>, Failure> {
        Ok(serde_json::from_str(&self.get("/api/v1/snapshot")?)?)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ended_already = self.child.kill();
        let _ended_already = self.child.wait();
    }
}
