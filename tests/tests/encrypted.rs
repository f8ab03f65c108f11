//! The program over TLS: its first line, its own clients, and certificates that are read again at a signal.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tachograph_tests::{Failure, Server, program, run, speech};

const SOON: Duration = Duration::from_secs(10);
const LONG: Duration = Duration::from_secs(40);

/// A certificate and its key in a folder that goes with the value.
struct Files(PathBuf);

impl Files {
    fn new(name: &str) -> Result<Self, Failure> {
        let folder = std::env::temp_dir().join(format!("tachograph-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder)?;
        let files = Self(folder);
        files.issue()?;
        Ok(files)
    }

    fn issue(&self) -> Result<(), Failure> {
        let issued = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()])?;
        fs::write(self.0.join("key.pem"), issued.signing_key.serialize_pem())?;
        fs::write(self.0.join("cert.pem"), issued.cert.pem())?;
        Ok(())
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _left_behind = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn its_own_clients_trust_the_file_that_is_named_and_nobody_else() -> Result<(), Failure> {
    let files = Files::new("clients")?;
    let (certificate, key) = (files.path("cert.pem"), files.path("key.pem"));
    let server = Server::start("serve", &["--tls-cert", &certificate, "--tls-key", &key])?;
    let url = format!("https://{}", server.address);
    let file = speech();
    let file = file.to_str().ok_or("a path that is not text")?;
    let streamed = run(&["stream", file, "--url", &url, "--speed", "10", "--tls-ca", &certificate], LONG)?;
    assert!(streamed.status.success(), "{streamed:?}");
    assert!(streamed.stdout.contains("1 sessions: "), "{}", streamed.stdout);
    let untrusting = run(&["stream", file, "--url", &url], SOON)?;
    assert_eq!(untrusting.status.code(), Some(1), "{untrusting:?}");
    let plain = run(&["tail", &format!("http://{}", server.address)], SOON)?;
    assert_eq!(plain.status.code(), Some(1), "{plain:?}");
    let well = run(&["health", &url, "--tls-ca", &certificate], SOON)?;
    assert!(well.status.success(), "{well:?}");
    let doubtful = run(&["health", &url], SOON)?;
    assert_eq!(doubtful.status.code(), Some(1), "{doubtful:?}");
    let nobody = run(&["tail", &url, "--tls-ca", &key], SOON)?;
    assert!(nobody.stderr.contains("no certificate of an authority"), "{}", nobody.stderr);
    Ok(())
}

#[test]
fn a_certificate_is_read_again_at_a_signal() -> Result<(), Failure> {
    let files = Files::new("again")?;
    let (certificate, key) = (files.path("cert.pem"), files.path("key.pem"));
    let mut server = Server::start("serve", &["--tls-cert", &certificate, "--tls-key", &key])?;
    let url = format!("https://{}", server.address);
    let file = speech();
    let file = file.to_str().ok_or("a path that is not text")?;
    let is_trusted = || -> Result<bool, Failure> {
        let streamed = run(&["stream", file, "--url", &url, "--speed", "100", "--tls-ca", &certificate], LONG)?;
        Ok(streamed.status.success())
    };
    assert!(is_trusted()?);
    files.issue()?;
    assert!(!is_trusted()?, "the new certificate is not shown yet");
    server.signal("HUP")?;
    let began = Instant::now();
    while !is_trusted()? {
        assert!(began.elapsed() < LONG, "the new certificate is not shown");
    }
    server.signal("TERM")?;
    assert!(server.wait(SOON)?.success());
    Ok(())
}

#[test]
fn what_cannot_be_encrypted_with_is_one_clear_line() -> Result<(), Failure> {
    let files = Files::new("wrong")?;
    let (certificate, key) = (files.path("cert.pem"), files.path("key.pem"));
    let listen = ["serve", "--listen", "127.0.0.1:0"];
    for (args, code, said) in [
        (&["--tls-cert", &certificate][..], 2, "--tls-key"),
        (&["--tls-key", &key], 2, "--tls-cert"),
        (&["--tls-cert", "no-such.pem", "--tls-key", &key], 2, "no-such.pem"),
        (&["--tls-cert", &certificate, "--tls-key", &certificate], 2, "no private key"),
    ] {
        let ended = run(&[&listen[..], args].concat(), SOON)?;
        assert_eq!(ended.status.code(), Some(code), "{args:?}: {ended:?}");
        assert_eq!(ended.stderr.lines().count(), 1, "{args:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(said), "{args:?}: {}", ended.stderr);
    }
    Ok(())
}

#[test]
fn the_demo_plays_to_itself_whatever_name_the_certificate_has() -> Result<(), Failure> {
    let files = Files::new("demo")?;
    let issued = rcgen::generate_simple_self_signed(["tachograph.example".to_owned()])?;
    fs::write(files.path("key.pem"), issued.signing_key.serialize_pem())?;
    fs::write(files.path("cert.pem"), issued.cert.pem())?;
    let (certificate, key) = (files.path("cert.pem"), files.path("key.pem"));
    let server = Server::start("demo", &["--tls-cert", &certificate, "--tls-key", &key])?;
    let url = format!("https://{}", server.address);
    // By its name it is trusted, by its address not: so the demo's own way in is not everybody's.
    let stranger = run(&["tail", &url, "--tls-ca", &certificate], SOON)?;
    assert_eq!(stranger.status.code(), Some(1), "{stranger:?}");
    files.issue()?;
    server.signal("HUP")?;
    // It says nothing as long as the new certificate is not in force.
    let (began, mut lines) = (Instant::now(), Vec::new());
    while lines.is_empty() && began.elapsed() < SOON {
        lines = first_lines(&["tail", &url, "--tls-ca", &certificate, "--json"], 5)?;
    }
    assert!(lines.iter().any(|line| line.contains("demo-meeting")), "{lines:?}");
    Ok(())
}

/// What a program prints first; then it is ended.
fn first_lines(args: &[&str], count: usize) -> Result<Vec<String>, Failure> {
    let mut child = Command::new(program()).args(args).stdout(Stdio::piped()).spawn()?;
    let stdout = child.stdout.take().ok_or("no output")?;
    let lines = BufReader::new(stdout).lines().take(count).collect::<Result<Vec<_>, _>>();
    child.kill()?;
    child.wait()?;
    Ok(lines?)
}
