//! A client of the live-listener that keeps books of what it sent and heard, over a socket that it can also break.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use tachograph_core::wire::{
    ClientMessage, Envelope, ErrorCode, Receipt, ServerMessage, SourceName, Start, StatusState, encode_audio_header,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{MissedTickBehavior, interval, sleep_until, timeout, timeout_at};
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::Failure;
use crate::chance::Chance;

/// Connecting, or sending one message, takes no longer while a server works at all.
pub const ANSWER_MAX: Duration = Duration::from_secs(20);
/// A stop drains for 8 s, and the receipt may take 10 s more.
const RECEIPT_MAX: Duration = Duration::from_secs(30);

/// A connection to `/ws/live-listener`.
#[derive(Debug)]
pub struct Client {
    socket: WebSocketStream<TcpStream>,
    session_id: String,
    /// PCM that was sent and is to be accepted, by source.
    pub sent: BTreeMap<SourceName, u64>,
    /// What came back.
    pub heard: Heard,
}

/// What a client was told.
#[derive(Debug, Default)]
pub struct Heard {
    /// The connection was accepted.
    pub is_connected: bool,
    /// The session was.
    pub is_streaming: bool,
    /// Its ticks, by the first of its sources that told one.
    pub ticks: Vec<Tick>,
    /// Numbers of messages that never came.
    pub skipped: u64,
    /// Numbers that came twice or in the wrong order.
    pub disorder: u64,
    /// Errors by their code.
    pub errors: BTreeMap<ErrorCode, u64>,
    /// The receipt of a session that was stopped.
    pub receipt: Option<Receipt>,
    /// The code that the connection was closed with.
    pub close_code: Option<u16>,
    last_seq: u64,
    timed: Option<SourceName>,
}

/// A tick, when it was and when it was heard.
#[derive(Clone, Copy, Debug)]
pub struct Tick {
    /// Its number.
    pub tick: u64,
    /// Unix seconds.
    pub timestamp: f64,
    /// On this side.
    pub arrived: Instant,
}

/// How audio is sent.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// One frame of each source so often.
    pub every: Duration,
    /// PCM in it.
    pub frame_bytes: usize,
    /// As JSON, not as bytes.
    pub as_json: bool,
    /// Whether what comes back is read.
    pub reads: bool,
}

impl Pace {
    /// Speech as it is spoken, ten frames a second.
    pub const SPEECH: Self =
        Self { every: Duration::from_millis(100), frame_bytes: 3_200, as_json: false, reads: true };
}

impl Client {
    /// Connects; the system holds `receive_bytes` of what is not read, or as much as it likes.
    ///
    /// # Errors
    /// There is no WebSocket.
    pub async fn connect(address: &str, receive_bytes: Option<u32>) -> Result<Self, Failure> {
        let socket = open_socket(address, "/ws/live-listener", receive_bytes).await?;
        Ok(Self { socket, session_id: String::new(), sent: BTreeMap::new(), heard: Heard::default() })
    }

    /// Asks for a session.
    ///
    /// # Errors
    /// It could not be sent.
    pub async fn start(&mut self, session_id: &str) -> Result<(), Failure> {
        session_id.clone_into(&mut self.session_id);
        let start = Start { session_id: session_id.to_owned(), ..Start::default() };
        self.send(Message::text(start.encode())).await
    }

    /// Sends any message.
    ///
    /// # Errors
    /// The connection is gone, or takes nothing.
    pub async fn send(&mut self, message: Message) -> Result<(), Failure> {
        Ok(timeout(ANSWER_MAX, self.socket.send(message)).await??)
    }

    /// Sends audio of `sources` until a moment, and reads meanwhile if the pace says so.
    ///
    /// # Errors
    /// The connection ended.
    pub async fn play(&mut self, sources: &[SourceName], pace: Pace, until: Instant) -> Result<(), Failure> {
        let frames = sources.iter().map(|source| (*source, frame(*source, pace))).collect::<Vec<_>>();
        let mut frame_due = interval(pace.every);
        // What a stall of the machine held back is not made up for at once.
        frame_due.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = sleep_until(until.into()) => return Ok(()),
                _ = frame_due.tick() => for (source, frame) in &frames {
                    self.send(frame.clone()).await?;
                    *self.sent.entry(*source).or_default() += pace.frame_bytes as u64;
                },
                message = self.socket.next(), if pace.reads => self.heard.take(message)?,
            }
        }
    }

    /// Reads until a moment.
    ///
    /// # Errors
    /// The connection ended.
    pub async fn listen(&mut self, until: Instant) -> Result<(), Failure> {
        while let Ok(message) = timeout_at(until.into(), self.socket.next()).await {
            self.heard.take(message)?;
        }
        Ok(())
    }

    /// Sends what `next` says, as fast as it is taken, and reads until the server closes.
    ///
    /// # Errors
    /// It did not within `limit`, or the connection ended otherwise.
    pub async fn send_to_the_end(&mut self, mut next: impl FnMut() -> Message, limit: Duration) -> Result<(), Failure> {
        let Self { socket, heard, .. } = self;
        let (mut sink, mut stream) = socket.split();
        let hearing = async {
            while heard.close_code.is_none() {
                heard.take(stream.next().await)?;
            }
            Ok::<_, Failure>(())
        };
        let sending = async {
            while sink.send(next()).await.is_ok() {
                // Whoever else runs on this thread gets its turn.
                tokio::task::yield_now().await;
            }
            // What comes back says why.
            std::future::pending::<()>().await;
        };
        tokio::select! {
            heard = timeout(limit, hearing) => heard.map_err(|_| "the server does not close")?,
            () = sending => Ok(()),
        }
    }

    /// Says that nothing more comes, and reads all there is until the server closes.
    ///
    /// # Errors
    /// The connection ended before its close.
    pub async fn stop(&mut self) -> Result<(), Failure> {
        self.send(Message::text(ClientMessage::encode_stop(&self.session_id))).await?;
        self.listen_to_the_end(RECEIPT_MAX).await
    }

    /// Closes without a stop.
    ///
    /// # Errors
    /// The connection ended before its close was answered.
    pub async fn hang_up(&mut self) -> Result<(), Failure> {
        timeout(ANSWER_MAX, self.socket.close(None)).await??;
        self.listen_to_the_end(ANSWER_MAX).await
    }

    /// Reads until the server closes.
    ///
    /// # Errors
    /// It did not within `limit`, or the connection ended otherwise.
    pub async fn listen_to_the_end(&mut self, limit: Duration) -> Result<(), Failure> {
        let end = Instant::now() + limit;
        while self.heard.close_code.is_none() {
            let message = timeout_at(end.into(), self.socket.next()).await;
            self.heard.take(message.map_err(|_| "the server does not close")?)?;
        }
        // The answer to the close is sent by reading on.
        let _gone = timeout(ANSWER_MAX, async { while let Some(Ok(_)) = self.socket.next().await {} }).await;
        Ok(())
    }

    /// Sends bytes that need not be a WebSocket's, and waits until the server ends the connection.
    ///
    /// # Errors
    /// It does not.
    pub async fn send_raw(self, bytes: &[u8]) -> Result<(), Failure> {
        let mut socket = self.socket.into_inner();
        socket.write_all(bytes).await?;
        let mut rest = Vec::new();
        let _reset = timeout(ANSWER_MAX, socket.read_to_end(&mut rest)).await.map_err(|_| "garbage was borne")?;
        Ok(())
    }

    /// Ends the connection by a reset, without a word.
    ///
    /// # Errors
    /// The system does not let it.
    pub fn reset(self) -> Result<(), Failure> {
        Ok(self.socket.get_ref().set_zero_linger()?)
    }
}

/// A WebSocket over a socket of one's own.
///
/// # Errors
/// There is none.
pub async fn open_socket(
    address: &str,
    path: &str,
    receive_bytes: Option<u32>,
) -> Result<WebSocketStream<TcpStream>, Failure> {
    let socket = TcpSocket::new_v4()?;
    if let Some(bytes) = receive_bytes {
        socket.set_recv_buffer_size(bytes)?;
    }
    let stream = timeout(ANSWER_MAX, socket.connect(address.parse()?)).await??;
    stream.set_nodelay(true)?;
    let (socket, _) = timeout(ANSWER_MAX, client_async(format!("ws://{address}{path}"), stream)).await??;
    Ok(socket)
}

fn frame(source: SourceName, pace: Pace) -> Message {
    let pcm: Vec<u8> =
        (0..pace.frame_bytes / 2).flat_map(|at| ((at * 37 % 4_001) as i16 - 2_000).to_le_bytes()).collect();
    match encode_audio_header(source).filter(|_| !pace.as_json) {
        Some(header) => Message::binary([&header[..], &pcm].concat()),
        None => Message::text(ClientMessage::encode_audio(source, &pcm)),
    }
}

impl Heard {
    fn take(&mut self, message: Option<Result<Message, tungstenite::Error>>) -> Result<(), Failure> {
        match message.ok_or("the connection ended without a close")?? {
            Message::Text(text) => self.take_text(&text),
            Message::Close(close) => {
                self.close_code = Some(close.map_or(1005, |close| close.code.into()));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn take_text(&mut self, text: &str) -> Result<(), Failure> {
        let arrived = Instant::now();
        let Envelope { message, seq, .. } = serde_json::from_str(text)?;
        self.disorder += u64::from(seq <= self.last_seq);
        self.skipped += seq.saturating_sub(self.last_seq + 1);
        self.last_seq = seq;
        match message.into_owned() {
            ServerMessage::Status(status) => {
                self.is_connected |= status.state == StatusState::Connected;
                self.is_streaming |= status.state == StatusState::Streaming;
            }
            ServerMessage::Error(error) => *self.errors.entry(error.code).or_default() += 1,
            ServerMessage::Metrics(figures) if *self.timed.get_or_insert(figures.source) == figures.source => {
                self.ticks.push(Tick { tick: figures.tick, timestamp: figures.timestamp, arrived });
            }
            ServerMessage::Metrics(_) => {}
            ServerMessage::FinalSummary(summary) => self.receipt = Some(summary.json),
        }
        Ok(())
    }

    /// By how many seconds each tick that follows the one before was off from a second after it: by its own time,
    /// and by its arrival.
    pub fn tick_errors(&self) -> Vec<[f64; 2]> {
        let pairs = self.ticks.windows(2).filter(|pair| pair[1].tick == pair[0].tick + 1);
        pairs
            .map(|pair| {
                let arrived = pair[1].arrived.duration_since(pair[0].arrived).as_secs_f64();
                [(pair[1].timestamp - pair[0].timestamp - 1.0).abs(), (arrived - 1.0).abs()]
            })
            .collect()
    }
}

/// A message that is refused and taken as audio by nobody; which one, a number says.
pub fn malformed(choice: u64) -> Message {
    const TEXTS: [&str; 14] = [
        "",
        "{",
        "null",
        "[\"start\"]",
        "{\"type\":7}",
        "{\"type\":\"dance\"}",
        "{\"type\":\"start\",\"session_id\":\"\"}",
        "{\"type\":\"start\",\"session_id\":\"another\"}",
        "{\"type\":\"audio\"}",
        "{\"type\":\"audio\",\"data\":\"!!\"}",
        "{\"type\":\"audio\",\"data\":\"AAA=\",\"source\":\"No Such Name\"}",
        "{\"type\":\"audio\",\"data\":\"AA==\"}",
        "{\"type\":\"stop\"}",
        "{\"type\":\"stop\",\"session_id\":\"\\ud800\"}",
    ];
    const HEADERS: [&[u8]; 5] = [b"", b"EP", b"EP\x02\x00\x00\x00", b"EP\x01\x07\x00\x00", b"EP\x01\x00\x00"];
    let mut chance = Chance::new(choice);
    match chance.below(4) {
        0 => Message::binary(chance.one_of(&HEADERS).unwrap_or_default().to_vec()),
        // An odd number of bytes is no PCM, whatever they are.
        1 => Message::binary((0..2 * chance.below(500) + 1).map(|_| chance.number() as u8).collect::<Vec<_>>()),
        2 => Message::text("[".repeat(1 + chance.below(5_000) as usize)),
        _ => Message::text(chance.one_of(&TEXTS).unwrap_or_default()),
    }
}

/// Whether a receipt's books balance: all that was received was processed or dropped.
///
/// # Errors
/// Says where they do not.
pub fn check_receipt(receipt: &Receipt) -> Result<(), String> {
    for source in &receipt.sources {
        for (unit, tally) in [("frames", source.frames), ("bytes", source.bytes)] {
            if tally.received != tally.processed + tally.dropped || tally.queued != 0 {
                return Err(format!("{unit} of {}: {tally:?}", source.source));
            }
        }
    }
    Ok(())
}

/// The value that a share of all values does not exceed.
pub fn quantile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let place = (values.len() as f64 * share).ceil() as usize;
    values.get(place.saturating_sub(1)).copied().unwrap_or_default()
}
