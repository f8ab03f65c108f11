//! What a session takes by the allocator's count, beside what the server believes that it takes.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(unsafe_code, reason = "an allocator is unsafe to write; this one only counts")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicIsize, Ordering};
use std::time::Duration;

use tachograph::listener::Listener;
use tachograph::provider::{Fault, Providers, Simulated, SimulatedControl};
use tachograph::session::SourceConfig;
use tachograph::{HistoryLimits, Tachograph, serve};
use tachograph_core::wire::{ClientMessage, MIC, Start};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

static HELD: AtomicIsize = AtomicIsize::new(0);

struct Counting;

fn count(layout: Layout, sign: isize) {
    HELD.fetch_add(sign * layout.size() as isize, Ordering::Relaxed);
}

// SAFETY: everything is the system allocator's.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout, 1);
        // SAFETY: the caller's word.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, held: *mut u8, layout: Layout) {
        count(layout, -1);
        // SAFETY: the caller's word.
        unsafe { System.dealloc(held, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// So many of a kind, so that what happens once is little of it.
const MANY: usize = 200;
const SHORT_FRAMES: usize = 100;

/// What grew by the allocator's count, and by the server's own, a piece.
struct Growth {
    measured: f64,
    believed: f64,
}

struct Server {
    tacho: Tachograph,
    address: SocketAddr,
}

impl Server {
    async fn start() -> Self {
        let simulated = Simulated::new(SimulatedControl { rtf: 0.0, fault: Fault::Hang });
        let mut listener = Listener::new(Providers::only(simulated));
        listener.audio.sources_max = 1;
        // The past grows too: it is kept to almost nothing.
        let history = HistoryLimits { span: Duration::from_secs(1), bytes: 1 };
        let tacho = Tachograph::builder().listener(listener).history(history).build().unwrap();
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        tokio::spawn(serve(socket, tacho.clone()));
        Self { tacho, address }
    }

    /// The server's figure is that of its newest tick.
    async fn figures(&self) -> (f64, f64) {
        sleep(Duration::from_millis(2_500)).await;
        (HELD.load(Ordering::Relaxed) as f64, self.tacho.metrics().sessions_bytes.value())
    }

    async fn growth(&self, make: impl AsyncFnOnce()) -> Growth {
        let before = self.figures().await;
        make().await;
        let after = self.figures().await;
        let each = MANY as f64;
        Growth { measured: (after.0 - before.0) / each, believed: (after.1 - before.1) / each }
    }

    /// A client that takes next to no memory itself.
    async fn client(&self) -> TcpStream {
        let mut client = TcpStream::connect(self.address).await.unwrap();
        let request = "GET /ws/live-listener HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
                       sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        client.write_all(request.as_bytes()).await.unwrap();
        let _answer = client.read(&mut [0; 1_024]).await.unwrap();
        client
    }
}

/// A frame of a WebSocket, masked with nothing.
async fn send(client: &mut TcpStream, opcode: u8, payload: &[u8]) {
    let length = u16::try_from(payload.len()).unwrap().to_be_bytes();
    let frame = [&[0x80 | opcode, 0xfe], &length[..], &[0; 4], payload].concat();
    client.write_all(&frame).await.unwrap();
}

impl Growth {
    fn assert_honest(&self, of: &str) {
        let Self { measured, believed } = *self;
        println!("{of}: {measured:.0} bytes measured, {believed:.0} believed");
        assert!((0.67..1.5).contains(&(believed / measured)), "{of}: {measured:.0} bytes, {believed:.0} believed");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_sessions_are_believed_to_take_is_within_a_half_of_what_they_take() {
    let server = Server::start().await;
    let (mut clients, mut sessions) = (Vec::with_capacity(MANY), Vec::with_capacity(MANY));
    let began = server.growth(async || {
        for place in 0..MANY {
            let mut client = server.client().await;
            let start = Start { session_id: format!("session {place}"), ..Start::default() };
            send(&mut client, 1, start.encode().as_bytes()).await;
            clients.push(client);
        }
    });
    began.await.assert_honest("a session with its connection");
    let sent = server.growth(async || {
        for client in &mut clients {
            send(client, 1, ClientMessage::encode_audio(MIC, &[0; 2]).as_bytes()).await;
        }
    });
    sent.await.assert_honest("a source with its worker");
    let sent = server.growth(async || {
        for client in &mut clients {
            for _ in 0..SHORT_FRAMES {
                send(client, 2, b"EP\x01\x01\0\0").await;
            }
        }
    });
    sent.await.assert_honest("the shortest frames");
    drop(clients);
    let opened = server.growth(async || {
        sessions.extend((0..MANY).map(|place| server.tacho.session(format!("told {place}")).open().unwrap()));
    });
    opened.await.assert_honest("a session of the application");
    let opened = server.growth(async || {
        sessions.iter().for_each(|session| {
            session.source("mic", SourceConfig::default()).unwrap();
        });
    });
    opened.await.assert_honest("a source of the application");
}
