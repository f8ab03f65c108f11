//! Connections over real sockets: how many there may be, and what becomes of those who do not send, do not take, or
//! do not end.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use tachograph::access::{Access, AccessConfig};
use tachograph::listener::Listener;
use tachograph::provider::{Providers, Simulated, SimulatedControl};
use tachograph::registry::Descriptor;
use tachograph::{Builder, Limits, Server, Tachograph};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_tungstenite::connect_async;

const LONG: Duration = Duration::from_secs(20);
const ASK: &[u8] = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n";

struct Running {
    tacho: Tachograph,
    address: SocketAddr,
    serving: JoinHandle<std::io::Result<()>>,
}

async fn start(limits: Limits) -> Running {
    start_with(Tachograph::builder().limits(limits), |server| server).await
}

async fn start_with(builder: Builder, setting: impl FnOnce(Server) -> Server) -> Running {
    let tacho = builder.build().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(setting(Server::new(tacho.clone())).serve(listener));
    Running { tacho, address, serving }
}

impl Running {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// From another address of this machine's own network.
    async fn connect_from(&self, last: u8) -> TcpStream {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((Ipv4Addr::new(127, 0, 0, last), 0).into()).unwrap();
        socket.connect(self.address).await.unwrap()
    }

    fn open(&self) -> f64 {
        self.tacho.registry().snapshot().gauge("tachograph_connections", &[]).unwrap()
    }

    fn counter(&self, name: &str, reason: &str) -> u64 {
        self.tacho.registry().snapshot().counter(name, &[("reason", reason)]).unwrap()
    }

    fn refused(&self, reason: &str) -> u64 {
        self.counter("tachograph_connections_refused", reason)
    }

    fn cut_off(&self, reason: &str) -> u64 {
        self.counter("tachograph_connections_cut_off", reason)
    }

    async fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let began = Instant::now();
        while !holds(self) {
            assert!(began.elapsed() < LONG, "{what}: not within {LONG:?}");
            sleep(Duration::from_millis(10)).await;
        }
    }
}

/// Asks for something and reads the answer's head and short body.
async fn ask(socket: &mut TcpStream) -> String {
    // A server that refused already may have closed: what it said counts.
    let _sent_or_closed = socket.write_all(ASK).await;
    read_answer(socket).await
}

async fn read_answer(socket: &mut TcpStream) -> String {
    let (mut text, mut piece) = (String::new(), [0; 1_024]);
    while !text.contains("\r\n\r\n") || text.contains("\r\n\r\n{") && !text.ends_with("}}") {
        let read = timeout(LONG, socket.read(&mut piece)).await.unwrap().unwrap();
        if read == 0 {
            break;
        }
        text.push_str(&String::from_utf8_lossy(&piece[..read]));
    }
    text
}

/// Until the server closes it, by whatever means.
async fn closed_after(mut socket: TcpStream) -> Duration {
    let began = Instant::now();
    let mut piece = [0; 1_024];
    while matches!(timeout(LONG, socket.read(&mut piece)).await.expect("it is not closed"), Ok(1..)) {}
    began.elapsed()
}

fn limits(connections: usize, connections_per_address: usize) -> Limits {
    Limits { connections, connections_per_address, ..Limits::default() }
}

#[tokio::test]
async fn one_connection_more_than_there_may_be_is_told_so_and_closed() {
    let running = start(limits(3, 100)).await;
    let mut open = Vec::new();
    for _ in 0..3 {
        let mut socket = running.connect().await;
        assert!(ask(&mut socket).await.starts_with("HTTP/1.1 200"));
        open.push(socket);
    }
    assert_eq!(running.open(), 3.0);
    let mut refused = running.connect().await;
    let answer = read_answer(&mut refused).await;
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("Connection: close"), "{answer}");
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!(body["error"]["code"], "too_many_connections");
    closed_after(refused).await;
    assert_eq!((running.refused("all"), running.refused("address"), running.open()), (1, 0, 3.0));
    open.pop();
    running.until("a place is free", |running| running.open() == 2.0).await;
    assert!(ask(&mut running.connect().await).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn limits_that_change_hold_for_the_next_connection() {
    let running = start(limits(1, 100)).await;
    let mut first = running.connect().await;
    assert!(ask(&mut first).await.starts_with("HTTP/1.1 200"));
    assert!(ask(&mut running.connect().await).await.starts_with("HTTP/1.1 503"));
    running.tacho.set_limits(limits(2, 100));
    let mut second = running.connect().await;
    assert!(ask(&mut second).await.starts_with("HTTP/1.1 200"));
    running.tacho.set_limits(limits(0, 100));
    assert!(ask(&mut running.connect().await).await.starts_with("HTTP/1.1 503"));
    assert!(ask(&mut first).await.starts_with("HTTP/1.1 200"), "what is there stays");
}

/// Linux has all of 127.0.0.0/8.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn one_address_may_have_so_many_and_another_is_not_held_to_them() {
    let running = start(limits(100, 2)).await;
    let mut open = Vec::new();
    for _ in 0..2 {
        let mut socket = running.connect_from(2).await;
        assert!(ask(&mut socket).await.starts_with("HTTP/1.1 200"));
        open.push(socket);
    }
    let answer = ask(&mut running.connect_from(2).await).await;
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("your address"), "{answer}");
    assert!(ask(&mut running.connect_from(3).await).await.starts_with("HTTP/1.1 200"));
    assert_eq!((running.refused("all"), running.refused("address")), (0, 1));
    drop(open);
    running.until("places are free", |running| running.open() == 0.0).await;
    assert!(ask(&mut running.connect_from(2).await).await.starts_with("HTTP/1.1 200"));
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_trusted_proxy_is_held_to_the_limit_of_all_only() {
    let config = AccessConfig { trusted_proxies: vec!["127.0.0.9".parse().unwrap()], ..AccessConfig::default() };
    let access = Access::new(config);
    let running = start_with(Tachograph::builder().limits(limits(4, 1)), |server| server.access(access)).await;
    let mut open = Vec::new();
    for _ in 0..4 {
        let mut socket = running.connect_from(9).await;
        assert!(ask(&mut socket).await.starts_with("HTTP/1.1 200"));
        open.push(socket);
    }
    assert!(ask(&mut running.connect_from(9).await).await.starts_with("HTTP/1.1 503"));
    assert_eq!((running.refused("all"), running.refused("address")), (1, 0));
}

#[tokio::test]
async fn a_connection_counts_until_its_websocket_ends() {
    let running = start(limits(1, 1)).await;
    let (mut viewer, _) = connect_async(format!("ws://{}/ws/stream", running.address)).await.unwrap();
    for _ in 0..2 {
        timeout(LONG, viewer.next()).await.unwrap().unwrap().unwrap();
    }
    assert_eq!(running.open(), 1.0);
    assert!(ask(&mut running.connect().await).await.starts_with("HTTP/1.1 503"));
    viewer.close(None).await.unwrap();
    drop(viewer);
    running.until("the socket is closed", |running| running.open() == 0.0).await;
    assert!(ask(&mut running.connect().await).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_header_that_comes_byte_by_byte_is_not_waited_for() {
    let header_time = Duration::from_secs(2);
    let running = start(Limits { header_time, ..Limits::default() }).await;
    let began = Instant::now();
    let slow: Vec<_> = (0..20)
        .map(|_| {
            let address = running.address;
            tokio::spawn(async move {
                let mut socket = TcpStream::connect(address).await.unwrap();
                for byte in ASK.iter().cycle().filter(|byte| **byte != b'\n') {
                    sleep(Duration::from_millis(250)).await;
                    if socket.write_all(&[*byte]).await.is_err() {
                        break;
                    }
                }
                began.elapsed()
            })
        })
        .collect();
    while running.cut_off("header") < 20 {
        assert!(began.elapsed() < LONG);
        let mut quick = running.connect().await;
        let answer = timeout(Duration::from_secs(2), ask(&mut quick)).await.expect("others wait for nobody");
        assert!(answer.starts_with("HTTP/1.1 200"));
        sleep(Duration::from_millis(50)).await;
    }
    for ended in slow {
        let after = timeout(LONG, ended).await.unwrap().unwrap();
        assert!(after >= header_time && after < header_time + Duration::from_secs(6), "{after:?}");
    }
}

#[tokio::test]
async fn a_connection_that_asks_for_nothing_ends_and_is_told_from_one_that_began() {
    let running = start(Limits { header_time: Duration::from_secs(1), ..Limits::default() }).await;
    let began = Instant::now();
    let silent = tokio::spawn(closed_after(running.connect().await));
    let mut asked = running.connect().await;
    assert!(ask(&mut asked).await.starts_with("HTTP/1.1 200"));
    sleep(Duration::from_millis(300)).await;
    let again = Instant::now();
    assert!(ask(&mut asked).await.starts_with("HTTP/1.1 200"), "it is kept for the next request");
    closed_after(asked).await;
    assert!(again.elapsed() >= Duration::from_secs(1), "{:?}", again.elapsed());
    silent.await.unwrap();
    assert!(began.elapsed() >= Duration::from_secs(1), "{:?}", began.elapsed());
    running.until("they are closed", |running| running.open() == 0.0).await;
    assert_eq!((running.cut_off("idle"), running.cut_off("header")), (2, 0));
}

#[tokio::test]
async fn a_time_without_end_ends_nothing() {
    let (header_time, stall_time) = (Duration::MAX, Duration::MAX);
    let running = start(Limits { header_time, stall_time, ..Limits::default() }).await;
    assert!(ask(&mut running.connect().await).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_header_without_end_is_refused_as_too_large() {
    let running = start(Limits::default()).await;
    for (head, status) in [
        (format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "x".repeat(40_000)), "431"),
        (format!("GET / HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(200)), "431"),
        (format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(40_000)), "431"),
        ("nonsense\r\n\r\n".to_owned(), "400"),
    ] {
        let mut socket = running.connect().await;
        socket.write_all(head.as_bytes()).await.unwrap();
        let answer = read_answer(&mut socket).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{}: {answer}", &head[..20]);
    }
    running.until("they are closed", |running| running.open() == 0.0).await;
}

#[tokio::test]
async fn a_body_that_is_too_long_is_refused() {
    let simulated = Simulated::new(SimulatedControl::default());
    let mut listener = Listener::new(Providers::only(simulated.clone()));
    listener.simulated = Some(simulated);
    let running = start_with(Tachograph::builder().listener(listener), |server| server).await;
    let mut socket = running.connect().await;
    let body = format!("{{\"rtf\":0.5{}}}", " ".repeat(5_000));
    let head =
        "PUT /api/v1/simulated HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: ";
    let request = format!("{head}{}\r\n\r\n{body}", body.len());
    socket.write_all(request.as_bytes()).await.unwrap();
    let answer = read_answer(&mut socket).await;
    assert!(answer.starts_with("HTTP/1.1 413 ") && answer.contains("too_large"), "{answer}");
}

/// With a page of metrics that no buffer of the system's holds.
async fn with_a_long_answer(limits: Limits) -> Running {
    let running = start(limits).await;
    for name in ["long_a", "long_b", "long_c", "long_d", "long_e", "long_f", "long_g", "long_h", "long_i", "long_k"] {
        let descriptor = Descriptor::new(name, "Long").label("text");
        let family = running.tacho.registry().counter(&descriptor).unwrap();
        for number in 0..1_900 {
            family.bind(&[("text", &format!("{}{number}", "x".repeat(100)))]).unwrap();
        }
    }
    running
}

/// One that asks for it, and for which the system takes no more than so much at once.
async fn reader(running: &Running, buffer_bytes: u32) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(buffer_bytes).unwrap();
    let mut socket = socket.connect(running.address).await.unwrap();
    socket.write_all(b"GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await.unwrap();
    socket
}

#[tokio::test]
async fn who_takes_nothing_of_an_answer_is_cut_off_and_who_takes_it_slowly_is_not() {
    let running = with_a_long_answer(Limits { stall_time: Duration::from_secs(3), ..Limits::default() }).await;
    let stuck = reader(&running, 4_096).await;
    let mut slow = reader(&running, 65_536).await;
    let reading = tokio::spawn(async move {
        let (mut read, mut piece) = (0, vec![0; 32_768]);
        loop {
            // For longer than the stall time, then all the rest.
            let pause = if read < 1_000_000 { 150 } else { 0 };
            sleep(Duration::from_millis(pause)).await;
            match slow.read(&mut piece).await.unwrap() {
                0 => return read,
                more => read += more,
            }
        }
    });
    running.until("the stuck one is cut off", |running| running.cut_off("stalled") == 1).await;
    let read = timeout(Duration::from_secs(60), reading).await.unwrap().unwrap();
    assert!(read > 2_000_000, "{read} bytes");
    running.until("they are closed", |running| running.open() == 0.0).await;
    assert_eq!(running.cut_off("stalled"), 1);
    drop(stuck);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shutdown_ends_in_time_whatever_state_connections_are_in() {
    let running = with_a_long_answer(Limits::default()).await;
    let silent = running.connect().await;
    let mut begun = running.connect().await;
    begun.write_all(b"GET / HT").await.unwrap();
    let mut kept = running.connect().await;
    assert!(ask(&mut kept).await.starts_with("HTTP/1.1 200"));
    let stuck = reader(&running, 4_096).await;
    let (viewer, _) = connect_async(format!("ws://{}/ws/stream", running.address)).await.unwrap();
    let mut lines = running.connect().await;
    lines.write_all(b"GET /api/v1/stream HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    running.until("all are connected", |running| running.open() == 6.0).await;
    sleep(Duration::from_millis(500)).await;
    let began = Instant::now();
    running.tacho.shutdown().cancel();
    let (silent, begun, kept) = tokio::join!(closed_after(silent), closed_after(begun), closed_after(kept));
    let longest = silent.max(begun).max(kept);
    assert!(longest < Duration::from_secs(4), "those without a whole request end at once: {longest:?}");
    let Running { serving, tacho, .. } = running;
    timeout(LONG, serving).await.unwrap().unwrap().unwrap();
    assert!(began.elapsed() < Duration::from_secs(11), "{:?}", began.elapsed());
    let left = || tacho.registry().snapshot().gauge("tachograph_connections", &[]).unwrap();
    while left() > 0.0 {
        assert!(began.elapsed() < LONG, "{} connections are left", left());
        sleep(Duration::from_millis(10)).await;
    }
    drop((stuck, viewer, lines));
}
