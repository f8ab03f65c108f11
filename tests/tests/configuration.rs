//! Settings of the program from a file: how it is checked, what goes before it, and how it is read again while the
//! server runs.

use std::fs::{self, File};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tachograph_core::wire::StreamFrame;
use tachograph_tests::{Ended, Failure, Server, program, run, speech};

const SOON: Duration = Duration::from_secs(20);

/// A folder of a test, gone with it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Result<Self, Failure> {
        let path = std::env::temp_dir().join(format!("tachograph-{name}-{}", std::process::id()));
        fs::create_dir_all(&path)?;
        Ok(Self(path))
    }

    fn file(&self, name: &str, text: impl AsRef<[u8]>) -> Result<String, Failure> {
        let path = self.0.join(name);
        fs::write(&path, text)?;
        Ok(path.to_str().ok_or("a path that is not text")?.to_owned())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _gone_already = fs::remove_dir_all(&self.0);
    }
}

fn check(file: &str) -> Result<Ended, Failure> {
    run(&["check", file], SOON)
}

#[test]
fn check_tells_all_errors_with_their_places_and_ends_with_2() -> Result<(), Failure> {
    let folder = Folder::new("check")?;
    let text =
        "listen = nowhere\nmax_sessions = 5\n\nchunk-seconds = 9\nno-ladder = 'yes'\n[otlp]\nheader = 'a hunter22'\n";
    let file = folder.file("bad.toml", text)?;
    let ended = check(&file)?;
    assert_eq!(ended.status.code(), Some(2), "{ended:?}");
    assert_eq!(ended.stdout, "");
    let places = [(1, 10), (2, 1), (4, 17), (5, 13), (7, 10)];
    let lines: Vec<&str> = ended.stderr.lines().collect();
    assert_eq!(lines.len(), places.len(), "{}", ended.stderr);
    for (told, (line, column)) in lines.iter().zip(places) {
        assert!(told.starts_with(&format!("{file}:{line}:{column}: ")), "{told}");
    }
    assert!(lines[1].ends_with("did you mean `max-sessions`?") && !ended.stderr.contains("hunter22"));
    // The server says the same of it, and does not begin.
    let serve = run(&["serve", "--config", &file], SOON)?;
    assert_eq!((serve.status.code(), serve.stderr), (Some(2), ended.stderr));
    Ok(())
}

#[test]
fn check_says_that_a_file_is_good_and_ends_with_0() -> Result<(), Failure> {
    let folder = Folder::new("good")?;
    let file = folder.file("good.toml", "max-sessions = 5\n[otlp]\nendpoint = 'http://127.0.0.1:1'\n")?;
    let ended = check(&file)?;
    assert!(ended.status.success() && ended.stderr.is_empty(), "{ended:?}");
    assert_eq!(ended.stdout, format!("{file} is good: 2 settings\n"));
    Ok(())
}

#[test]
fn what_is_no_configuration_at_all_is_one_line_and_exit_code_2() -> Result<(), Failure> {
    let folder = Folder::new("none")?;
    let not_text = folder.file("not-text.toml", b"\x00\xff")?;
    let folder = folder.0.to_str().ok_or("a path that is not text")?;
    for file in ["/no/such/file.toml", folder, "/dev/zero", &not_text] {
        let ended = check(file)?;
        assert_eq!(ended.status.code(), Some(2), "{ended:?}");
        assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
        assert!(ended.stderr.starts_with(file) && ended.stderr.contains("; "), "{}", ended.stderr);
    }
    Ok(())
}

#[test]
fn flags_go_before_the_environment_and_that_before_the_file() -> Result<(), Failure> {
    let folder = Folder::new("precedence")?;
    let file = folder.file("settings.toml", "provider = 'simulated'\nsimulated-rtf = 0.25\nlog = 'error'\n")?;
    let rtf = |args: &[&str], environment: Option<&str>| -> Result<f64, Failure> {
        let mut program = Command::new(program());
        program.args(["serve", "--listen", "127.0.0.1:0"]).args(args).env("TACHOGRAPH_CONFIG", &file);
        program.envs(environment.map(|value| ("TACHOGRAPH_SIMULATED_RTF", value)));
        let server = Server::launch(&mut program)?;
        let control: serde_json::Value = serde_json::from_str(&server.get("/api/v1/simulated")?)?;
        Ok(control["rtf"].as_f64().ok_or("no factor")?)
    };
    assert_eq!(rtf(&[], None)?, 0.25);
    assert_eq!(rtf(&[], Some("0.75"))?, 0.75);
    assert_eq!(rtf(&["--simulated-rtf", "1.5"], Some("0.75"))?, 1.5);
    // A variable with a bad value is not passed over for the file's.
    let refused = Command::new(program())
        .args(["serve", "--config", &file, "--listen", "127.0.0.1:0"])
        .env("TACHOGRAPH_SIMULATED_RTF", "fast")
        .output()?;
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    assert!(String::from_utf8(refused.stderr)?.contains("--simulated-rtf"));
    Ok(())
}

/// A server with its log in a file.
struct Logged {
    server: Server,
    log: PathBuf,
}

impl Logged {
    fn begin(folder: &Folder, command: &str, args: &[&str]) -> Result<Self, Failure> {
        let log = folder.0.join("log");
        let mut program = Command::new(program());
        program.args([command, "--listen", "127.0.0.1:0"]).args(args).stderr(File::create(&log)?);
        Ok(Self { server: Server::launch(&mut program)?, log })
    }

    fn log(&self) -> Result<String, Failure> {
        Ok(fs::read_to_string(&self.log)?)
    }

    /// Has it read its settings again, and waits until it counts that.
    fn reload(&self, result: &str) -> Result<(), Failure> {
        let before = reloads(&self.server.snapshot()?, result);
        self.server.signal("HUP")?;
        until(|| Ok(reloads(&self.server.snapshot()?, result) > before))
    }
}

fn reloads(frame: &StreamFrame<'_>, result: &str) -> u64 {
    frame.registry.counter("tachograph_config_reloads", &[("result", result)]).unwrap_or(0)
}

/// Waits for what comes soon.
fn until(mut is_so: impl FnMut() -> Result<bool, Failure>) -> Result<(), Failure> {
    let begun = Instant::now();
    while begun.elapsed() < SOON {
        if is_so()? {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Err("it did not come to be".into())
}

/// A session that goes on until the value is gone.
struct Playing(Child);

impl Playing {
    fn to(server: &Server) -> Result<Self, Failure> {
        let url = format!("http://{}", server.address);
        let played = Command::new(program())
            .args(["stream", "--loop", "--url", &url])
            .arg(speech())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Self(played))
    }

    fn is_going_on(&mut self) -> Result<bool, Failure> {
        Ok(self.0.try_wait()?.is_none())
    }
}

impl Drop for Playing {
    fn drop(&mut self) {
        let _ended_already = self.0.kill();
        let _ended_already = self.0.wait();
    }
}

#[test]
fn a_hangup_changes_a_limit_while_sessions_go_on_and_a_bad_file_changes_nothing() -> Result<(), Failure> {
    let folder = Folder::new("reload")?;
    let file = folder.file("settings.toml", "max-sessions = 1\nlog = 'error'\n")?;
    let logged = Logged::begin(&folder, "serve", &["--config", &file])?;
    let server = &logged.server;
    let mut first = Playing::to(server)?;
    until(|| Ok(server.snapshot()?.sessions.len() == 1))?;
    let mut refused = Playing::to(server)?;
    until(|| Ok(!refused.is_going_on()?))?;

    // What is wrong is all told, and nothing of it changes anything: neither what is right in it.
    folder.file("settings.toml", "max-sessions = 2\nlog = 'debug'\nhistory-minutes = 0\nzoo = 1\n")?;
    logged.reload("failed")?;
    let log = logged.log()?;
    for told in [format!("{file}:3:19: "), format!("{file}:4:1: "), "nothing changes".into()] {
        assert!(log.contains(&told), "{told} in {log}");
    }
    let mut refused = Playing::to(server)?;
    until(|| Ok(!refused.is_going_on()?))?;

    folder.file("settings.toml", "max-sessions = 2\nlog = 'info'\nhistory-minutes = 30\n")?;
    logged.reload("applied")?;
    let mut second = Playing::to(server)?;
    until(|| Ok(server.snapshot()?.sessions.len() == 2))?;
    assert!(first.is_going_on()? && second.is_going_on()?);
    let frame = server.snapshot()?;
    assert_eq!((reloads(&frame, "applied"), reloads(&frame, "failed")), (1, 1));
    // The new filter lets through what the old one did not, and what takes a restart is named.
    let log = logged.log()?;
    assert!(log.contains("the configuration was read again") && log.contains("log, max-sessions"), "{log}");
    let waiting = log.lines().find(|line| line.contains("take a restart")).ok_or("no word of a restart")?;
    assert!(waiting.contains("history-minutes") && !waiting.contains("max-sessions"), "{waiting}");
    Ok(())
}

#[test]
fn a_hangup_without_a_file_reads_what_flags_name() -> Result<(), Failure> {
    let folder = Folder::new("no-file")?;
    let logged = Logged::begin(&folder, "demo", &["--log", "info"])?;
    logged.server.signal("HUP")?;
    until(|| Ok(logged.log()?.contains("the configuration was read again")))?;
    assert_eq!(logged.server.get("/healthz")?, "ok");
    until(|| Ok(reloads(&logged.server.snapshot()?, "applied") == 1))?;
    assert_eq!(reloads(&logged.server.snapshot()?, "failed"), 0);
    Ok(())
}

#[test]
fn a_terminal_that_is_gone_takes_its_server_along() -> Result<(), Failure> {
    let folder = Folder::new("terminal")?;
    let file = folder.file("settings.toml", "listen = '127.0.0.1:0'\n")?;
    let bin = program();
    let command = format!("{} serve --config {file}", bin.to_str().ok_or("a path that is not text")?);
    let mut terminal = Command::new("script");
    terminal.args(["--quiet", "--flush", "--command", &command, "/dev/null"]);
    let mut server = Server::launch(&mut terminal)?;
    assert_eq!(server.get("/healthz")?, "ok");
    server.signal("KILL")?;
    server.wait(SOON)?;
    until(|| Ok(std::net::TcpStream::connect(server.address.trim_end()).is_err()))
}

/// The service manager's end of the line.
struct Manager {
    socket: UnixDatagram,
    /// As it stands in `NOTIFY_SOCKET`.
    name: String,
}

impl Manager {
    fn at_a_path(folder: &Folder) -> Result<Self, Failure> {
        let path = folder.0.join("notify");
        let name = path.to_str().ok_or("a path that is not text")?.to_owned();
        Self::of(UnixDatagram::bind(path)?, name)
    }

    /// Without a file.
    fn at_a_name() -> Result<Self, Failure> {
        let name = format!("tachograph-{}", std::process::id());
        Self::of(UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name)?)?, format!("@{name}"))
    }

    fn of(socket: UnixDatagram, name: String) -> Result<Self, Failure> {
        socket.set_read_timeout(Some(SOON))?;
        Ok(Self { socket, name })
    }

    /// The next that it is told, other than that the server is alive.
    fn told(&self) -> Result<String, Failure> {
        loop {
            let told = self.next()?;
            if told != "WATCHDOG=1" {
                return Ok(told);
            }
        }
    }

    fn next(&self) -> Result<String, Failure> {
        let mut piece = [0; 1_024];
        let length = self.socket.recv(&mut piece)?;
        Ok(String::from_utf8(piece[..length].to_vec())?)
    }
}

#[test]
fn a_service_manager_is_told_how_the_server_is() -> Result<(), Failure> {
    let folder = Folder::new("manager")?;
    let file = folder.file("settings.toml", "log = 'error'\nlisten = '127.0.0.1:0'\n")?;
    let manager = Manager::at_a_path(&folder)?;
    let mut program = Command::new(program());
    program.args(["serve", "--config", &file]);
    program.env("NOTIFY_SOCKET", &manager.name).env("WATCHDOG_USEC", "8000000");
    let mut server = Server::launch(&mut program)?;
    assert_eq!(manager.told()?, "READY=1");
    for _ in 0..3 {
        assert_eq!(manager.next()?, "WATCHDOG=1");
    }
    server.signal("HUP")?;
    let told = manager.told()?;
    let since = told.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").ok_or(told.clone())?;
    assert!(since.parse::<u64>().is_ok(), "{told}");
    assert_eq!(manager.told()?, "READY=1");
    server.signal("TERM")?;
    assert_eq!(manager.told()?, "STOPPING=1");
    assert_eq!(server.wait(SOON)?.code(), Some(0));
    Ok(())
}

#[test]
fn a_service_manager_without_a_file_is_told_too() -> Result<(), Failure> {
    let manager = Manager::at_a_name()?;
    let mut program = Command::new(program());
    program.args(["serve", "--listen", "127.0.0.1:0", "--log", "error"]).env("NOTIFY_SOCKET", &manager.name);
    let _server = Server::launch(&mut program)?;
    assert_eq!(manager.told()?, "READY=1");
    Ok(())
}

#[test]
fn health_asks_a_server() -> Result<(), Failure> {
    let server = Server::start("serve", &[])?;
    let url = format!("http://{}", server.address);
    let well = run(&["health", &url], SOON)?;
    assert!(well.status.success() && well.stdout.is_empty() && well.stderr.is_empty(), "{well:?}");
    let nowhere = run(&["health", &format!("{url}/nowhere")], SOON)?;
    assert_eq!(nowhere.status.code(), Some(1));
    assert!(nowhere.stderr.contains("404"), "{}", nowhere.stderr);
    drop(server);
    let gone = run(&["health", &url], SOON)?;
    assert_eq!(gone.status.code(), Some(1));
    assert!(gone.stderr.contains("is the server running?"), "{}", gone.stderr);
    Ok(())
}

#[test]
fn health_does_not_wait_for_ever() -> Result<(), Failure> {
    let silent = std::net::TcpListener::bind("127.0.0.1:0")?;
    let url = format!("http://{}", silent.local_addr()?);
    let ended = run(&["health", &url, "--health-seconds", "1"], SOON)?;
    assert_eq!(ended.status.code(), Some(1));
    assert!(ended.stderr.contains("did not answer within 1 s"), "{}", ended.stderr);
    Ok(())
}

fn packaged(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging").join(name)
}

#[test]
fn the_example_is_good_as_it_comes() -> Result<(), Failure> {
    let ended = check(packaged("tachograph.toml").to_str().ok_or("a path that is not text")?)?;
    assert!(ended.status.success(), "{ended:?}");
    assert!(ended.stdout.ends_with("is good: 0 settings\n"), "{}", ended.stdout);
    Ok(())
}

/// The unit with the program that is tested.
fn unit(folder: &Folder) -> Result<String, Failure> {
    let text = fs::read_to_string(packaged("tachograph.service"))?;
    let program = fs::canonicalize(program())?;
    let program = program.to_str().ok_or("a path that is not text")?;
    folder.file("tachograph.service", text.replace("/usr/bin/tachograph", program))
}

fn analyze(args: &[&str]) -> Result<String, Failure> {
    let analyzed = Command::new("systemd-analyze").args(args).output()?;
    let said = format!("{}{}", String::from_utf8(analyzed.stdout)?, String::from_utf8(analyzed.stderr)?);
    if analyzed.status.success() { Ok(said) } else { Err(said.into()) }
}

#[test]
fn the_unit_is_one_that_systemd_takes_and_exposes_little() -> Result<(), Failure> {
    let folder = Folder::new("unit")?;
    let unit = unit(&folder)?;
    // Whatever it does not know or cannot start, it says.
    let said = analyze(&["verify", "--man=no", &unit])?;
    assert!(!said.contains("tachograph"), "{said}");
    // Of 10; what has no sandbox has 9.6.
    let said = analyze(&["security", "--offline=true", "--threshold=15", "--no-pager", &unit])?;
    assert!(said.contains("Overall exposure level"), "{said}");
    Ok(())
}
