//! Each limit of sessions and viewers, reached over real sockets: what is answered, what is counted, and that all
//! is well again after.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by it")]

mod memory;
mod pace;
mod requests;
mod sessions;

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use futures_util::stream::SplitStream;
use futures_util::{SinkExt, StreamExt};
use tachograph::listener::Listener;
use tachograph::provider::{Fault, Providers, Simulated, SimulatedControl};
use tachograph::{Builder, Limits, Tachograph, serve};
use tachograph_core::wire::frame::{Arrival, Follower};
use tachograph_core::wire::{
    ClientMessage, Envelope, ErrorMessage, Event, EventKind, FinalSummary, Metrics, Receipt, ServerMessage, Start,
    Status, StatusState,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Longer than anything here takes on a busy machine.
const LONG: Duration = Duration::from_secs(30);
/// PCM of 100 ms.
const PIECE: [u8; 3_200] = [1; 3_200];

// ---- the server

struct Server {
    tacho: Tachograph,
    address: SocketAddr,
}

fn simulated(rtf: f64, fault: Fault) -> Listener {
    let mut listener = Listener::new(Providers::only(Simulated::new(SimulatedControl { rtf, fault })));
    listener.audio.chunk = Duration::from_millis(500);
    listener
}

fn builder(limits: Limits) -> Builder {
    Tachograph::builder().limits(limits).listener(simulated(0.01, Fault::None))
}

impl Server {
    async fn start(builder: Builder) -> Self {
        let (socket, server) = Self::bind(builder).await;
        tokio::spawn(serve(socket, server.tacho.clone()));
        server
    }

    /// Within an application.
    async fn start_embedded(builder: Builder) -> Self {
        let (socket, server) = Self::bind(builder).await;
        let application = Router::new().merge(tachograph::router(&server.tacho));
        tokio::spawn(async { axum::serve(socket, application).await });
        server
    }

    async fn bind(builder: Builder) -> (TcpListener, Self) {
        let tacho = builder.build().unwrap();
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        (socket, Self { tacho, address })
    }

    fn counter(&self, name: &str) -> u64 {
        self.tacho.registry().snapshot().counter(name, &[]).unwrap()
    }

    async fn until(&self, what: &str, mut holds: impl FnMut(&Self) -> bool) {
        let waited = async {
            while !holds(self) {
                sleep(Duration::from_millis(20)).await;
            }
        };
        assert!(timeout(LONG, waited).await.is_ok(), "never: {what}");
    }

    async fn client(&self, session_id: &str) -> Client {
        let url = format!("ws://{}/ws/live-listener", self.address);
        let mut client = Client { session_id: session_id.into(), socket: connect_async(url).await.unwrap().0 };
        let start = Start { session_id: session_id.into(), ..Start::default() };
        client.say(Message::text(start.encode())).await;
        client
    }

    /// One whose session is open.
    async fn admitted(&self, session_id: &str) -> Client {
        let mut client = self.client(session_id).await;
        let streaming = |message: &ServerMessage| matches!(message, ServerMessage::Status(status) if status.state == StatusState::Streaming);
        client.hear(streaming).await;
        client
    }

    /// One that is answered with a fatal error.
    async fn refused(&self, session_id: &str) -> (ErrorMessage, u16) {
        self.client(session_id).await.ended().await
    }

    async fn watch(&self) -> Result<Socket, tungstenite::Error> {
        connect_async(format!("ws://{}/ws/stream", self.address)).await.map(|(socket, _)| socket)
    }

    /// The whole answer to a request that is written as it is.
    async fn ask(&self, request: &str) -> String {
        let mut socket = TcpStream::connect(self.address).await.unwrap();
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        timeout(LONG, socket.read_to_end(&mut answer)).await.unwrap().unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }

    async fn get(&self, path: &str) -> String {
        self.ask(&format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")).await
    }

    /// Sees all events from now on, until `count` sessions ended.
    async fn events_until_ended(&self, count: usize) -> tokio::task::JoinHandle<Vec<Event>> {
        let mut socket = self.watch().await.unwrap();
        tokio::spawn(async move {
            let (mut follower, mut events, mut ended) = (Follower::default(), Vec::<Event>::new(), 0);
            while ended < count {
                let message = timeout(LONG, socket.next()).await.unwrap().unwrap().unwrap();
                let look = |arrival: Arrival<'_>| {
                    if let Arrival::Newest(state) = arrival {
                        ended += state.events().iter().filter(|event| event.kind == EventKind::SessionEnded).count();
                        events.extend(state.events().iter().cloned());
                    }
                };
                follower.take(&message.into_data(), look).unwrap();
            }
            events
        })
    }
}

// ---- its client

struct Client {
    session_id: String,
    socket: Socket,
}

async fn next(socket: &mut (impl StreamExt<Item = Result<Message, tungstenite::Error>> + Unpin)) -> Option<Message> {
    timeout(LONG, socket.next()).await.unwrap().and_then(Result::ok)
}

fn read(message: &Message) -> Option<ServerMessage> {
    let Message::Text(text) = message else { return None };
    let envelope: Envelope<'_> = serde_json::from_str(text).unwrap();
    Some(envelope.message.into_owned())
}

impl Client {
    async fn say(&mut self, message: Message) {
        timeout(LONG, self.socket.send(message)).await.unwrap().unwrap();
    }

    async fn send_audio(&mut self, pieces: usize) {
        for _ in 0..pieces {
            self.say(Message::binary([b"EP\x01\x00", &PIECE[..]].concat())).await;
        }
    }

    /// Reads until such a message comes.
    async fn hear(&mut self, is_it: impl Fn(&ServerMessage) -> bool) -> ServerMessage {
        let heard = async {
            loop {
                let message = next(&mut self.socket).await.unwrap();
                if let Some(message) = read(&message).filter(&is_it) {
                    return message;
                }
            }
        };
        timeout(LONG, heard).await.unwrap()
    }

    /// How it was ended: the fatal error, and the code of the close.
    async fn ended(mut self) -> (ErrorMessage, u16) {
        let fatal = |message: &ServerMessage| matches!(message, ServerMessage::Error(error) if error.fatal);
        let ServerMessage::Error(error) = self.hear(fatal).await else { unreachable!() };
        loop {
            if let Message::Close(close) = next(&mut self.socket).await.unwrap() {
                return (error, close.unwrap().code.into());
            }
        }
    }

    async fn stop(mut self) -> Receipt {
        self.say(Message::text(ClientMessage::encode_stop(&self.session_id))).await;
        match self.hear(|message| matches!(message, ServerMessage::FinalSummary(_))).await {
            ServerMessage::FinalSummary(FinalSummary { json, .. }) => json,
            _ => unreachable!(),
        }
    }
}

/// All that a client hears until its receipt.
struct Heard {
    messages: Vec<ServerMessage>,
    pongs: usize,
    receipt: Receipt,
}

async fn hear_all(mut stream: SplitStream<Socket>) -> Heard {
    let (mut messages, mut pongs) = (Vec::new(), 0);
    loop {
        let message = next(&mut stream).await.unwrap();
        pongs += usize::from(message.is_pong());
        match read(&message) {
            Some(ServerMessage::FinalSummary(FinalSummary { json, .. })) => {
                return Heard { messages, pongs, receipt: json };
            }
            heard => messages.extend(heard),
        }
    }
}

impl Heard {
    fn warnings(&self) -> Vec<&str> {
        let warning = |message| match message {
            &ServerMessage::Status(Status { state: StatusState::Warning, ref message, .. }) => Some(&**message),
            _ => None,
        };
        self.messages.iter().filter_map(warning).collect()
    }

    fn figures(&self) -> impl Iterator<Item = &Metrics> {
        self.messages.iter().filter_map(|message| match message {
            ServerMessage::Metrics(figures) => Some(&**figures),
            _ => None,
        })
    }

    /// That its ticks came once a second all the while.
    fn assert_ticks(&self) {
        let times: Vec<f64> = self.figures().map(|figures| figures.timestamp).collect();
        assert!(times.len() >= 3, "{times:?}");
        assert!(times.windows(2).all(|pair| pair[1] - pair[0] < 3.0), "{times:?}");
    }
}

/// That nothing which was received is unaccounted for.
fn assert_accounted(receipt: &Receipt) {
    for source in &receipt.sources {
        for tally in [source.frames, source.bytes] {
            assert_eq!(tally.received, tally.processed + tally.dropped, "{receipt:?}");
            assert_eq!(tally.queued, 0, "{receipt:?}");
        }
    }
}
