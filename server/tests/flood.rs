//! Ten thousand connections at once: those that may be are served, others told no, and nothing is left of them. By
//! itself, as it counts what the process has open.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by it")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tachograph::{Limits, Tachograph, serve};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;

const WANTED: usize = 10_000;
const ADMITTED: usize = 4_096;
/// Of the test itself and its two runtimes.
const OTHERS: u64 = 200;
const LONG: Duration = Duration::from_secs(120);
const ROUNDS: u64 = 7;
/// Until then memory grows by what the allocator keeps for itself.
const FULL_AFTER: u64 = 4;
/// The rounds after it have 30,000 connections: what is not let go of, of 2 KB each, is more.
const GROWTH_BYTES_MAX: u64 = 24 << 20;

#[derive(Debug, PartialEq)]
enum Answer {
    Served,
    Refused,
    /// Closed before the answer was read: the system does not always carry it.
    Closed,
}

async fn ask(address: SocketAddr) -> (Answer, TcpStream) {
    let mut socket = TcpStream::connect(address).await.unwrap();
    let _sent_or_closed = socket.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    let mut head = [0; 12];
    let answer = match timeout(LONG, socket.read_exact(&mut head)).await.unwrap() {
        Ok(_) if &head == b"HTTP/1.1 200" => Answer::Served,
        Ok(_) if &head == b"HTTP/1.1 503" => Answer::Refused,
        Ok(_) => panic!("{}", String::from_utf8_lossy(&head)),
        Err(_) => Answer::Closed,
    };
    (answer, socket)
}

/// All of them at once, until each has its answer; then they go.
async fn flood(address: SocketAddr, connections: usize) -> (usize, usize) {
    // The system's queue of those who wait is short; who finds it full waits a second.
    let at_once = Arc::new(Semaphore::new(256));
    let mut clients = JoinSet::new();
    for _ in 0..connections {
        let at_once = Arc::clone(&at_once);
        clients.spawn(async move {
            let _permit = at_once.acquire_owned().await.unwrap();
            ask(address).await
        });
    }
    let all = timeout(LONG, clients.join_all()).await.unwrap();
    let served = all.iter().filter(|(answer, _)| *answer == Answer::Served).count();
    (served, all.iter().filter(|(answer, _)| *answer == Answer::Closed).count())
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4_096
}

fn until(what: &str, holds: impl Fn() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < LONG, "{what}: not within {LONG:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Notices when the machine runs nobody: a thread that only sleeps, and notes by how much too long.
#[derive(Clone, Default)]
struct Canary(Arc<AtomicU64>);

impl Canary {
    fn start() -> Self {
        const NAP: Duration = Duration::from_millis(10);
        let canary = Self::default();
        let stalls = Arc::downgrade(&canary.0);
        std::thread::spawn(move || {
            while let Some(longest) = stalls.upgrade() {
                let began = Instant::now();
                std::thread::sleep(NAP);
                longest.fetch_max(began.elapsed().saturating_sub(NAP).as_millis() as u64, Ordering::Relaxed);
            }
        });
        canary
    }

    fn longest(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::Relaxed))
    }
}

#[test]
fn ten_thousand_connections_at_once_leave_nothing_behind() {
    let allowed = rlimit::increase_nofile_limit(u64::MAX).unwrap();
    let ends = (allowed - OTHERS) as usize;
    let admitted = ADMITTED.min(ends / 3);
    // Each client has a descriptor here, each one that is admitted another.
    let connections = WANTED.min(ends.saturating_sub(admitted));
    assert!(connections > 100, "{allowed} descriptors are too few for the test: raise ulimit -n");
    println!("{connections} connections, as {allowed} descriptors are allowed");

    let canary = Canary::start();
    let server = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let clients = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let limits =
        Limits { connections: admitted, connections_per_address: WANTED, header_time: LONG, ..Limits::default() };
    let tacho = Tachograph::builder().limits(limits).build().unwrap();
    let listener = server.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    server.spawn(serve(listener, tacho.clone()));
    let open = || tacho.registry().snapshot().gauge("tachograph_connections", &[]).unwrap();
    clients.block_on(ask(address));
    until("it is idle", || open() == 0.0);

    let (before, mut resident) = (descriptors(), 0);
    for round in 1..=ROUNDS {
        let began = Instant::now();
        let (served, closed) = clients.block_on(flood(address, connections));
        println!("{served} served, {closed} closed unanswered, in {:?}", began.elapsed());
        assert_eq!(served, admitted);
        let refused = tacho.registry().snapshot().counter("tachograph_connections_refused", &[("reason", "all")]);
        assert_eq!(refused, Some(round * (connections - admitted) as u64));
        until("all are gone", || open() == 0.0 && descriptors() <= before);
        let now = resident_bytes();
        println!("{} MiB are resident", now >> 20);
        assert!(round <= FULL_AFTER || now < resident + GROWTH_BYTES_MAX, "{resident} bytes grew to {now}");
        if round <= FULL_AFTER {
            resident = now;
        }
        assert_eq!(clients.block_on(ask(address)).0, Answer::Served, "it goes on");
        until("the last one is gone", || open() == 0.0);
    }
    let missed = tacho.metrics().ticks_missed.value();
    assert!(missed == 0 || canary.longest() > Duration::from_millis(500), "{missed} ticks were missed");
    tacho.shutdown().cancel();
}
