//! A server that the system gives no more descriptors: what is connected goes on, whoever comes is told, and after
//! it all is as before.
#![cfg(unix)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use tachograph_tests::{Failure, Server};

const DESCRIPTORS: u32 = 64;
const CLIENTS: usize = 300;
const LONG: Duration = Duration::from_secs(20);

fn connect(server: &Server) -> Result<TcpStream, Failure> {
    let socket = TcpStream::connect(&server.address)?;
    socket.set_read_timeout(Some(LONG))?;
    Ok(socket)
}

/// A connection that asks again and again.
struct Asking(BufReader<TcpStream>);

impl Asking {
    fn new(server: &Server) -> Result<Self, Failure> {
        Ok(Self(BufReader::new(connect(server)?)))
    }

    /// The page of metrics, which comes in chunks.
    fn metrics(&mut self) -> Result<String, Failure> {
        self.0.get_mut().write_all(b"GET /metrics HTTP/1.1\r\nhost: localhost\r\n\r\n")?;
        let mut line = String::new();
        while line != "\r\n" {
            line.clear();
            self.0.read_line(&mut line)?;
        }
        let mut page = Vec::new();
        loop {
            let mut length = String::new();
            self.0.read_line(&mut length)?;
            let length = usize::from_str_radix(length.trim(), 16)?;
            let mut chunk = vec![0; length + 2];
            self.0.read_exact(&mut chunk)?;
            if length == 0 {
                return Ok(String::from_utf8(page)?);
            }
            page.extend_from_slice(&chunk[..length]);
        }
    }

    fn figure(&mut self, series: &str) -> Result<f64, Failure> {
        let page = self.metrics()?;
        let line = page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        Ok(line.ok_or_else(|| format!("no {series} in {page}"))?.parse()?)
    }
}

/// How many of the clients were closed, each within a moment, and how many of those were told why.
fn refused(clients: &mut [TcpStream]) -> Result<(usize, usize), Failure> {
    let (mut closed, mut told) = (0, 0);
    for client in clients {
        client.set_read_timeout(Some(Duration::from_millis(20)))?;
        let mut text = String::new();
        // What is open has nothing to say, and is waited for in vain.
        if client.read_to_string(&mut text).is_ok() {
            closed += 1;
            told += usize::from(text.starts_with("HTTP/1.1 503 ") && text.contains("too_many_connections"));
        }
    }
    Ok((closed, told))
}

#[test]
fn without_descriptors_what_is_connected_goes_on_and_all_recovers() -> Result<(), Failure> {
    // Connections that say nothing are not to end by themselves here.
    let server = Server::start_with_descriptors(DESCRIPTORS, &["--header-seconds", "120"])?;
    let mut asking = Asking::new(&server)?;
    let before = asking.figure("process_open_fds")?;
    let mut stream = connect(&server)?;
    stream.write_all(
        b"GET /api/v1/stream?metrics=tachograph_ticks_missed&sessions=0 HTTP/1.1\r\nhost: localhost\r\n\r\n",
    )?;
    let mut frames = BufReader::new(stream).lines();

    let mut clients = (0..CLIENTS).map(|_| connect(&server)).collect::<Result<Vec<_>, _>>()?;
    let began = Instant::now();
    while asking.figure("tachograph_connections_refused_total{reason=\"descriptors\"}")? < 200.0 {
        assert!(began.elapsed() < LONG, "nobody is refused: {}", asking.metrics()?);
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(asking.figure("tachograph_accept_failures_total")? > 0.0);
    let open = asking.figure("tachograph_connections")?;
    assert!(open > 10.0 && open < f64::from(DESCRIPTORS), "{open} are open");
    for _ in 0..3 {
        while !frames.next().ok_or("the stream ended")??.starts_with('{') {}
    }
    assert_eq!(asking.figure("tachograph_ticks_missed_total")?, 0.0);
    let (closed, told) = refused(&mut clients)?;
    println!("of {CLIENTS} clients {closed} were closed, {told} of them told why; {open} connections are open");
    assert!(closed >= 200 && told * 10 >= closed * 9, "{closed} closed, {told} told");

    drop(clients);
    let began = Instant::now();
    while asking.figure("tachograph_connections")? > 2.0 {
        assert!(began.elapsed() < LONG, "connections are left");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(server.get("/healthz")?, "ok");
    // The figure is of the last tick for which there was a descriptor to count them with.
    let (began, mut after) = (Instant::now(), f64::INFINITY);
    while after > before + 2.0 {
        assert!(began.elapsed() < LONG, "{before} descriptors became {after}");
        std::thread::sleep(Duration::from_millis(50));
        after = asking.figure("process_open_fds")?;
    }
    Ok(())
}
