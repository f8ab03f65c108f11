//! Each limit of sessions and viewers, reached over real sockets: what is answered, what is counted, and that all
//! is well again after.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by it")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, join_all};
use futures_util::stream::SplitStream;
use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tachograph::listener::Listener;
use tachograph::provider::{
    Fault, Provider, ProviderError, ProviderFactory, Providers, Quality, Simulated, SimulatedControl,
};
use tachograph::registry::{Descriptor, Registry};
use tachograph::session::{Amount, OpenError, SourceConfig};
use tachograph::{Builder, Limits, Tachograph, serve};
use tachograph_core::session::{Chunk, ProviderInForce, Voice};
use tachograph_core::wire::frame::{Arrival, Follower};
use tachograph_core::wire::{
    ClientMessage, Envelope, ErrorCode, ErrorMessage, Event, EventKind, FinalSummary, MIC, Metrics, Receipt, SYSTEM,
    ServerMessage, SourceName, Start, Status, StatusState,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep, timeout};
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
        let tacho = builder.build().unwrap();
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        tokio::spawn(serve(socket, tacho.clone()));
        Self { tacho, address }
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

// ---- sessions

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_session_more_than_may_be_is_refused_until_another_ends() {
    let server = Server::start(builder(Limits { sessions: 2, ..Limits::default() })).await;
    let (first, _second) = (server.admitted("first").await, server.admitted("second").await);
    let (error, close) = server.refused("third").await;
    assert_eq!((error.code, close), (ErrorCode::AtCapacity, 1013));
    assert!(error.message.contains("try again later"), "{error:?}");
    assert_eq!(server.counter("tachograph_sessions_refused"), 1);
    first.stop().await;
    server.admitted("third").await;
    server.tacho.set_limits(Limits { sessions: 3, ..server.tacho.limits() });
    server.admitted("fourth").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_source_more_than_may_be_is_refused_and_the_session_goes_on() {
    let server = Server::start(builder(Limits::default())).await;
    let mut client = server.admitted("sources").await;
    for source in ["one", "two", "three"] {
        let source = SourceName::parse(source).unwrap();
        client.say(Message::text(ClientMessage::encode_audio(source, &PIECE))).await;
    }
    let error = client.hear(|message| matches!(message, ServerMessage::Error(_))).await;
    let ServerMessage::Error(ErrorMessage { code, fatal, .. }) = error else { unreachable!() };
    assert_eq!((code, fatal), (ErrorCode::TooManySources, false));
    assert_eq!(client.stop().await.sources.len(), 2);
}

// ---- their memory

/// Sessions whose provider hangs: what they send stays.
async fn hanging(sessions_bytes: usize) -> Server {
    let limits = Limits { sessions_bytes, ..Limits::default() };
    Server::start(Tachograph::builder().limits(limits).listener(simulated(1.0, Fault::Hang))).await
}

/// What a session holds whose provider hangs: its queue of 2 s, a chunk in the provider's hands and one that is ready.
const FULL_PIECES: usize = 40;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn beyond_their_memory_the_newest_sessions_are_ended_and_all_is_accounted_for() {
    const SESSIONS: usize = 12;
    let server = hanging(256_000_000).await;
    let events = server.events_until_ended(SESSIONS).await;
    let mut clients = Vec::new();
    for place in 0..SESSIONS {
        let mut client = server.admitted(&place.to_string()).await;
        client.send_audio(FULL_PIECES).await;
        clients.push(client);
    }
    let received = (SESSIONS * FULL_PIECES) as u64;
    server
        .until("all is received", |server| {
            let received_now =
                server.tacho.registry().snapshot().counter("audio_frames_received", &[("source", "system")]);
            received_now == Some(received)
        })
        .await;
    sleep(Duration::from_millis(2_500)).await;
    let held = server.tacho.metrics().sessions_bytes.value();
    assert!(held > SESSIONS as f64 * 64_000.0, "at least the queues: {held}");

    // Room for two thirds of it: at least a third of the sessions goes, and no more than to nine tenths of that.
    let most = held * 2.0 / 3.0;
    let lowered = Instant::now();
    server.tacho.set_limits(Limits { sessions_bytes: most as usize, ..server.tacho.limits() });
    let shed_expected = (SESSIONS as f64 * (1.0 - 0.9 * 2.0 / 3.0)).ceil() as usize;
    let kept = clients.len() - shed_expected;
    for (client, place) in clients.split_off(kept).into_iter().zip(kept..) {
        assert_eq!(client.session_id, place.to_string());
        let (error, close) = client.ended().await;
        assert_eq!((error.code, close), (ErrorCode::AtCapacity, 1013), "{place}");
        assert!(error.message.contains("connect again later"), "{error:?}");
    }
    assert!(lowered.elapsed() < Duration::from_secs(10), "{:?}", lowered.elapsed());
    sleep(Duration::from_millis(2_500)).await;
    assert_eq!(server.counter("tachograph_sessions_shed"), shed_expected as u64, "it does not go on");
    let held = server.tacho.metrics().sessions_bytes.value();
    assert!(held <= 0.9 * most && held > 0.6 * most, "{held} of {most}");

    // There is room again, and the others did not notice.
    server.admitted("late").await.stop().await;
    for client in clients {
        drop(client);
    }
    let events = events.await.unwrap();
    let receipts: Vec<Receipt> = events
        .iter()
        .filter_map(|event| serde_json::from_value(event.receipt.as_deref()?.clone()).ok())
        .filter(|receipt: &Receipt| !receipt.sources.is_empty())
        .collect();
    assert!(receipts.len() >= SESSIONS - 1, "{}", receipts.len());
    receipts.iter().for_each(assert_accounted);
    for receipt in &receipts {
        let bytes = receipt.sources[0].bytes;
        assert_eq!((bytes.received, bytes.dropped), ((FULL_PIECES * PIECE.len()) as u64, bytes.received));
    }
    let faults: Vec<_> = events
        .iter()
        .filter(|event| matches!(&event.kind, EventKind::Fault(fault) if fault.code == ErrorCode::AtCapacity))
        .collect();
    let told: Vec<_> =
        faults.iter().map(|event| event.session_id.as_deref().unwrap().parse::<usize>().unwrap()).collect();
    assert_eq!(told, (kept..SESSIONS).rev().collect::<Vec<_>>(), "the newest first, for all to see");
    server.until("nothing is held any more", |server| server.tacho.metrics().sessions_bytes.value() == 0.0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_flood_of_sessions_beyond_the_memory_neither_flaps_nor_harms_the_oldest() {
    let server = hanging(1_500_000).await;
    let mut oldest = server.admitted("oldest").await;
    oldest.send_audio(FULL_PIECES).await;
    let flood = (0..60).map(async |place: usize| {
        let mut client = server.client(&format!("flood {place}")).await;
        for _ in 0..FULL_PIECES {
            // It may be ended meanwhile.
            if client.socket.send(Message::binary(&PIECE[..])).await.is_err() {
                return None;
            }
        }
        Some(client)
    });
    let admitted = join_all(flood).await;
    sleep(Duration::from_secs(2)).await;
    let (shed, refused) = (server.counter("tachograph_sessions_shed"), server.counter("tachograph_sessions_refused"));
    assert!(shed > 0 && shed + refused <= 60, "{shed} ended, {refused} refused");
    sleep(Duration::from_secs(2)).await;
    assert_eq!(server.counter("tachograph_sessions_shed"), shed, "it does not go on");
    assert!(server.tacho.metrics().sessions_bytes.value() <= 1_500_000.0);
    let ServerMessage::Metrics(figures) = oldest.hear(|message| matches!(message, ServerMessage::Metrics(_))).await
    else {
        unreachable!()
    };
    assert_eq!(figures.bytes_received, (FULL_PIECES * PIECE.len()) as u64);
    drop(admitted);
    drop(oldest);
    server.until("nothing is held any more", |server| server.tacho.metrics().sessions_bytes.value() == 0.0).await;
    server.admitted("after").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_refused_fills_no_memory_and_shuts_nobody_out() {
    let server = Server::start(builder(Limits::default())).await;
    let mut sessions = Vec::new();
    for number in 0..25 {
        sessions.push(server.admitted(&number.to_string()).await);
    }
    let held = || server.tacho.metrics().sessions_bytes.value();
    server.until("all are counted", |_| held() > 600_000.0).await;
    // They hold more than is kept once there was too much, and there is room for one more.
    let sessions_bytes = held() as usize + 40_000;
    server.tacho.set_limits(Limits { sessions_bytes, ..Limits::default() });
    for _ in 0..5 {
        sessions[0].say(Message::binary(vec![0; 500_000])).await;
        let too_large = |message: &ServerMessage| matches!(message, ServerMessage::Error(error) if error.code == ErrorCode::TooLarge);
        sessions[0].hear(too_large).await;
    }
    sessions.push(server.admitted("one more").await);
    assert_eq!((server.counter("tachograph_sessions_shed"), server.counter("tachograph_sessions_refused")), (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_session_that_fills_the_memory_alone_goes_before_those_that_came_after_it() {
    let mut listener = simulated(1.0, Fault::Hang);
    listener.audio.queue_bytes_max = 30 * 32_000;
    let limits = Limits { sessions_bytes: 900_000, ..Limits::default() };
    let server = Server::start(Tachograph::builder().limits(limits).listener(listener)).await;
    let mut greedy = server.admitted("greedy").await;
    let mut modest = Vec::new();
    for place in 0..4 {
        let mut client = server.admitted(&format!("modest {place}")).await;
        client.send_audio(5).await;
        modest.push(client);
    }
    for _ in 0..300 {
        if greedy.socket.send(Message::binary(&PIECE[..])).await.is_err() {
            break;
        }
    }
    let (error, close) = greedy.ended().await;
    assert_eq!((error.code, close), (ErrorCode::AtCapacity, 1013));
    assert_eq!(server.counter("tachograph_sessions_shed"), 1);
    for client in &mut modest {
        client.hear(|message| matches!(message, ServerMessage::Metrics(_))).await;
    }
}

#[tokio::test]
async fn a_session_of_the_application_counts_with_its_state_and_is_refused_while_there_is_no_memory() {
    let limits = Limits { sessions_bytes: 14_000, ..Limits::default() };
    let tacho = Tachograph::builder().limits(limits).build().unwrap();
    let session = tacho.session("told").open().unwrap();
    // Its queue is its own.
    let queued = session.source("video", SourceConfig::default()).unwrap().enqueue(Amount::new(1, 1 << 40));
    let other = tacho.session("other").open().unwrap();
    let error = {
        other.source("video", SourceConfig::default()).unwrap();
        tacho.session("late").open().unwrap_err()
    };
    assert_eq!(error, OpenError::MemoryFull);
    assert!(error.to_string().contains("Limits::sessions_bytes"), "{error}");
    assert_eq!(tacho.metrics().sessions_refused.value(), 1);
    sleep(Duration::from_millis(200)).await;
    queued.begin().done();
    assert_eq!(session.end().sources[0].frames.processed, 1, "it was not ended for it");
    assert_eq!(tacho.metrics().sessions_shed.value(), 0);
    drop((session, other));
    // Their tasks end by and by.
    let opened = async {
        while tacho.session("late").open().is_err() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(LONG, opened).await.unwrap();
}

// ---- how fast they send

/// Sends in one go, then asks for the receipt; beside it another session goes on as if nothing was.
async fn paced(limits: Limits, messages: Vec<Message>) -> (Server, Heard) {
    let server = Server::start(builder(limits)).await;
    let mut other = server.admitted("other").await;
    let beside = tokio::spawn(async move {
        for _ in 0..30 {
            other.send_audio(1).await;
            sleep(Duration::from_millis(100)).await;
        }
        let (mut sink, stream) = other.socket.split();
        sink.send(Message::text(ClientMessage::encode_stop("other"))).await.unwrap();
        hear_all(stream).await
    });
    let (mut sink, stream) = server.admitted("fast").await.socket.split();
    let heard = tokio::spawn(hear_all(stream));
    for message in messages {
        sink.send(message).await.unwrap();
    }
    sink.send(Message::text(ClientMessage::encode_stop("fast"))).await.unwrap();
    let heard = heard.await.unwrap();
    let beside = beside.await.unwrap();
    beside.assert_ticks();
    assert_eq!(beside.receipt.sources[0].bytes.processed, 30 * PIECE.len() as u64, "{:?}", beside.receipt);
    assert_eq!(beside.warnings(), [""; 0]);
    (server, heard)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_that_come_too_fast_are_read_at_the_pace_and_none_is_lost() {
    let limits = Limits { messages_per_second: 40, ..Limits::default() };
    let began = Instant::now();
    let piece = Message::binary(&PIECE[..]);
    let (server, heard) = paced(limits, vec![piece; 240]).await;
    assert!(began.elapsed() >= Duration::from_millis(4_500), "200 beyond the first second's: {:?}", began.elapsed());
    assert_eq!(heard.receipt.sources[0].bytes.received, 240 * PIECE.len() as u64);
    assert_accounted(&heard.receipt);
    heard.assert_ticks();
    assert_eq!(heard.warnings(), ["messages come faster than 40 a second and are read at that pace"]);
    let paced = server.counter("tachograph_messages_paced");
    assert!((150..=242).contains(&paced), "{paced}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_that_come_too_fast_are_read_at_the_pace() {
    let limits = Limits { bytes_per_second: 64_000, ..Limits::default() };
    let began = Instant::now();
    let (server, heard) = paced(limits, vec![Message::binary(vec![1; 32_000]); 10]).await;
    assert!(
        began.elapsed() >= Duration::from_millis(3_500),
        "256,000 beyond the first second's: {:?}",
        began.elapsed()
    );
    assert_eq!(heard.receipt.sources[0].bytes.received, 320_000);
    assert_accounted(&heard.receipt);
    assert_eq!(heard.warnings(), ["more than 64000 bytes a second come and are read at that pace"]);
    assert!(server.counter("tachograph_messages_paced") > 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pings_are_messages_too_and_are_answered_at_the_pace() {
    let limits = Limits { messages_per_second: 40, ..Limits::default() };
    let mut messages = vec![Message::Ping("?".into()); 200];
    messages.push(Message::binary(&PIECE[..]));
    let (server, heard) = paced(limits, messages).await;
    assert!(heard.pongs > 0);
    assert_eq!(heard.receipt.sources[0].frames.processed, 1);
    assert!(server.counter("tachograph_messages_paced") > 100);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_paced_still_hears_of_the_end() {
    let limits = Limits { messages_per_second: 10, ..Limits::default() };
    let server = Server::start(builder(limits)).await;
    let (mut sink, stream) = server.admitted("fast").await.socket.split();
    let heard = tokio::spawn(hear_all(stream));
    for _ in 0..600 {
        sink.send(Message::binary(&PIECE[..])).await.unwrap();
    }
    server.until("it is paced", |server| server.counter("tachograph_messages_paced") > 0).await;
    let told = Instant::now();
    server.tacho.shutdown().cancel();
    let heard = heard.await.unwrap();
    assert!(told.elapsed() < Duration::from_secs(8), "a minute of messages was waiting: {:?}", told.elapsed());
    assert_accounted(&heard.receipt);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_is_too_long_ends_its_connection_with_an_answer() {
    let mut listener = simulated(0.01, Fault::None);
    listener.message_bytes_max = 10_000;
    let server = Server::start(Tachograph::builder().listener(listener)).await;
    for length in [10_001, 1_000_000] {
        let mut client = server.admitted("long").await;
        client.say(Message::text(" ".repeat(length))).await;
        let (error, close) = client.ended().await;
        assert_eq!((error.code, close), (ErrorCode::TooLarge, 1009), "{length}");
    }
    let mut client = server.admitted("fits").await;
    client.say(Message::binary(vec![1; 10_000])).await;
    assert_eq!(client.stop().await.sources[0].bytes.received, 10_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_bound_of_a_queue_is_told_and_kept() {
    let mut listener = simulated(1.0, Fault::Hang);
    (listener.audio.queue_bytes_max, listener.audio.queue_frames_max) = (16_000, 125);
    let server = Server::start(Tachograph::builder().listener(listener)).await;
    let mut client = server.admitted("queue").await;
    // A chunk is in the provider's hands and the next one is ready: then the queue fills.
    for _ in 0..10 {
        client.send_audio(6).await;
        sleep(Duration::from_millis(300)).await;
    }
    let full =
        |message: &ServerMessage| matches!(message, ServerMessage::Metrics(figures) if figures.queue_bytes == 16_000);
    let ServerMessage::Metrics(figures) = client.hear(full).await else { unreachable!() };
    assert_eq!((figures.queue_bytes_max, figures.queue_max_frames, figures.queue_max), (16_000, 125, 125));
    assert_eq!((figures.max_backlog_seconds, figures.queue_fill_ratio), (0.5, 1.0));
    assert!(figures.dropped_total > 0);
    client.say(Message::binary(vec![1; 16_002])).await;
    let error = client.hear(|message| matches!(message, ServerMessage::Error(_))).await;
    assert!(matches!(error, ServerMessage::Error(error) if error.code == ErrorCode::TooLarge && !error.fatal));
}

// ---- viewers

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_viewers_at_once_exactly_as_many_are_let_in_as_may_be() {
    let server = Server::start(builder(Limits { viewers: 7, ..Limits::default() })).await;
    for round in 1..=3_u64 {
        let (let_in, refused): (Vec<_>, Vec<_>) =
            join_all((0..60).map(|_| server.watch())).await.into_iter().partition(Result::is_ok);
        assert_eq!((let_in.len(), refused.len()), (7, 53));
        assert_eq!(server.tacho.metrics().viewers.value(), 7.0);
        assert_eq!(server.counter("tachograph_viewers_refused"), 53 * round);
        for answer in refused {
            let Err(tungstenite::Error::Http(response)) = answer else { panic!("{answer:?}") };
            assert_eq!(response.status(), 503);
            assert_eq!(response.headers()["retry-after"], "5");
            let body: Value = serde_json::from_slice(response.body().as_deref().unwrap()).unwrap();
            assert_eq!(body["error"]["code"], "at_capacity");
        }
        drop(let_in);
        server.until("they are gone", |server| server.tacho.metrics().viewers.value() == 0.0).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn viewers_over_http_have_their_places_among_the_others() {
    let server = Server::start(builder(Limits { viewers: 2, ..Limits::default() })).await;
    let socket = server.watch().await.unwrap();
    let mut lines = TcpStream::connect(server.address).await.unwrap();
    lines.write_all(b"GET /api/v1/stream HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    lines.read_exact(&mut [0; 16]).await.unwrap();
    let refused = server.get("/api/v1/stream").await;
    assert!(refused.starts_with("HTTP/1.1 503 ") && refused.contains("\"at_capacity\""), "{refused}");
    assert!(refused.contains("retry-after: 5"), "{refused}");
    drop(lines);
    server.until("one is gone", |server| server.tacho.metrics().viewers.value() == 1.0).await;
    let second = server.watch().await.unwrap();
    server.tacho.set_limits(Limits { viewers: 3, ..server.tacho.limits() });
    server.watch().await.unwrap();
    drop((socket, second));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_filter_more_than_may_be_is_refused() {
    let server = Server::start(builder(Limits { subscriptions: 2, ..Limits::default() })).await;
    let filtered = async |name: &str| connect_async(format!("ws://{}/ws/stream?metrics={name}", server.address)).await;
    let _held = [filtered("a").await.unwrap(), filtered("b").await.unwrap(), filtered("a").await.unwrap()];
    let Err(tungstenite::Error::Http(refused)) = filtered("c").await else { panic!("it was not refused") };
    let body = String::from_utf8_lossy(refused.body().as_deref().unwrap()).into_owned();
    assert!(refused.status() == 503 && body.contains("too_many_subscriptions"), "{body}");
    assert_eq!(server.counter("tachograph_subscriptions_refused"), 1);
    server.until("whoever is refused is no viewer", |server| server.tacho.metrics().viewers.value() == 3.0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_viewer_that_floods_is_read_slowly_and_served_on() {
    let server = Server::start(builder(Limits { messages_per_second: 10, ..Limits::default() })).await;
    let (mut sink, mut stream) = server.watch().await.unwrap().split();
    tokio::spawn(async move { while sink.send(Message::binary(vec![0; 1_000])).await.is_ok() {} });
    for _ in 0..3 {
        assert!(next(&mut stream).await.unwrap().is_binary());
    }
}

// ---- readers, series

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_beyond_those_that_may_wait_are_told_to_come_again() {
    let server = Server::start(builder(Limits::default())).await;
    let family = server.tacho.registry().counter(&Descriptor::new("many", "Many").label("place")).unwrap();
    let _held: Vec<_> = (0..1_900).map(|place| family.bind(&[("place", &place.to_string())]).unwrap()).collect();
    server.until("they are in the newest frame", |server| server.tacho.metrics().history_frames.value() > 2.0).await;
    let answers = join_all((0..300).map(|_| server.get("/api/v1/snapshot"))).await;
    let busy = answers.iter().filter(|answer| answer.starts_with("HTTP/1.1 503 ")).count();
    assert_eq!(server.counter("tachograph_readers_refused"), busy as u64);
    assert!(
        answers
            .iter()
            .filter(|answer| answer.starts_with("HTTP/1.1 503 "))
            .all(|answer| answer.contains("\"busy\"") && answer.contains("retry-after: 1"))
    );
    assert!(answers.iter().any(|answer| answer.starts_with("HTTP/1.1 200 ")));
    assert!(server.get("/api/v1/snapshot").await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn series_beyond_those_that_may_be_share_one_and_that_is_told() {
    let server = Server::start(builder(Limits::default()).registry(Registry::with_series_limit(10))).await;
    let family = server.tacho.registry().counter(&Descriptor::new("many", "Many").label("place")).unwrap();
    (0..15).for_each(|place| family.bind(&[("place", &place.to_string())]).unwrap().inc());
    server.until("it is told", |server| server.counter("tachograph_registry_overflowed_series") == 5).await;
    let page = server.get("/metrics").await;
    assert!(page.contains("many_total{place=\"__overflow__\"} 5"), "{page}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let mut listener = simulated(0.01, Fault::None);
    listener.simulated = Some(Simulated::new(SimulatedControl::default()));
    let server = Server::start(Tachograph::builder().listener(listener)).await;
    let request = "PUT /api/v1/simulated HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\n\
                   content-length: 11\r\n\r\n{\"rtf\"";
    let answer = server.ask(request).await;
    assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("\"not_whole\""), "{answer}");
}

// ---- providers

/// Blocks its thread when it is told how well to work, the first time.
#[derive(Clone, Default)]
struct Blocking {
    opened: Arc<std::sync::atomic::AtomicUsize>,
    blocks: bool,
}

impl ProviderFactory for Blocking {
    fn name(&self) -> &'static str {
        "blocking"
    }

    fn open(&self, _: SourceName) -> BoxFuture<'_, Result<Arc<dyn Provider>, ProviderError>> {
        let is_first = self.opened.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == 0;
        let provider = Self { blocks: is_first, ..self.clone() };
        Box::pin(async { Ok(Arc::new(provider) as Arc<dyn Provider>) })
    }
}

impl Provider for Blocking {
    fn in_force(&self) -> ProviderInForce {
        ProviderInForce { provider: "blocking".into(), model_id: "none".into(), vad_enabled: false }
    }

    fn process(&self, _: Chunk) -> BoxFuture<'_, Result<Option<Voice>, ProviderError>> {
        Box::pin(async { Ok(None) })
    }

    fn health(&self) -> BoxFuture<'_, Result<Value, ProviderError>> {
        Box::pin(async { Ok(Value::Null) })
    }

    fn set_quality(&self, _: Quality) {
        if self.blocks {
            std::thread::sleep(Duration::from_secs(12));
        }
    }
}

/// One thread for all: a blocked one would hold up everything.
#[tokio::test]
async fn a_provider_that_blocks_its_thread_is_made_anew_and_delays_nobody() {
    let listener = Listener::new(Providers::only(Blocking::default()));
    let server = Server::start(Tachograph::builder().listener(listener)).await;
    let mut client = server.admitted("blocked").await;
    client.say(Message::text(ClientMessage::encode_audio(MIC, &PIECE))).await;
    client.say(Message::text(ClientMessage::encode_audio(SYSTEM, &PIECE))).await;
    let began = Instant::now();
    for tick in 1..=3 {
        client.hear(|message| matches!(message, ServerMessage::Metrics(figures) if figures.tick == tick)).await;
    }
    assert!(began.elapsed() < Duration::from_secs(6), "the ticks go on: {:?}", began.elapsed());
    let restarted = |server: &Server| server.counter("tachograph_provider_restarts") == 1;
    server.until("it is made anew", restarted).await;
    let receipt = client.stop().await;
    let processed: u64 = receipt.sources.iter().map(|source| source.frames.processed).sum();
    assert_eq!(processed, 2, "{receipt:?}");
}
