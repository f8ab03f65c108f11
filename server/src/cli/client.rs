use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use tachograph_core::wire::{
    ClientMessage, Envelope, ErrorMessage, FinalSummary, PIECE_BYTES_MAX, ServerMessage, SourceName, Start,
    encode_audio_header,
};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{Connector, MaybeTlsStream, WebSocketStream, connect_async_tls_with_config};
use tokio_util::sync::CancellationToken;

const CONNECT_MAX: Duration = Duration::from_secs(10);
/// The server drains for at most 8 s, once it has read what was sent before, which it does at a pace.
const RECEIPT_MAX: Duration = Duration::from_secs(30);
const FRAME: Duration = Duration::from_millis(100);

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// One session to play.
#[derive(Clone)]
pub(super) struct Playback {
    pub(super) url: String,
    pub(super) connector: Connector,
    pub(super) session_id: String,
    pub(super) sources: Vec<SourceName>,
    pub(super) pcm: Bytes,
    pub(super) speed: f64,
    pub(super) repeat: bool,
}

/// Why a session could not be played to its end.
#[derive(Debug, thiserror::Error)]
pub(super) enum ClientError {
    #[error("cannot connect to {url}: {cause}; is the server running?")]
    Connect { url: String, cause: String },
    #[error("the connection to the server was lost")]
    Lost,
    #[error("the server refused: {0}")]
    Refused(String),
    #[error("the server sent no receipt")]
    NoReceipt,
}

/// What happens while a session plays, for whoever watches.
pub(super) trait Watcher: Send {
    /// So much audio was sent.
    fn sent(&mut self, audio: Duration);
    /// The server said something.
    fn said(&mut self, message: &ServerMessage);
}

impl Playback {
    /// How long one pass takes on the audio's own clock.
    pub(super) fn duration(&self) -> Duration {
        FRAME * u32::try_from(self.pcm.len().div_ceil(PIECE_BYTES_MAX)).unwrap_or(u32::MAX)
    }

    /// Plays the audio in real time until its end or `stop`, then asks for the receipt.
    pub(super) async fn play(
        &self,
        stop: CancellationToken,
        watcher: &mut impl Watcher,
    ) -> Result<FinalSummary, ClientError> {
        let socket = self.connect().await?;
        let (mut sink, mut stream) = socket.split();
        let start = Start { session_id: self.session_id.clone(), ..Start::default() };
        send(&mut sink, Message::text(start.encode())).await?;
        self.send_audio(&mut sink, &mut stream, stop, watcher).await?;
        send(&mut sink, Message::text(ClientMessage::encode_stop(&self.session_id))).await?;
        timeout(RECEIPT_MAX, receipt(&mut stream, watcher)).await.map_err(|_| ClientError::NoReceipt)?
    }

    async fn connect(&self) -> Result<Socket, ClientError> {
        let error = |cause| ClientError::Connect { url: self.url.clone(), cause };
        let connecting = connect_async_tls_with_config(&self.url, None, false, Some(self.connector.clone()));
        match timeout(CONNECT_MAX, connecting).await {
            Ok(Ok((socket, _))) => Ok(socket),
            Ok(Err(cause)) => Err(error(cause.to_string())),
            Err(_) => Err(error("no answer".into())),
        }
    }

    async fn send_audio(
        &self,
        sink: &mut SplitSink<Socket, Message>,
        stream: &mut SplitStream<Socket>,
        stop: CancellationToken,
        watcher: &mut impl Watcher,
    ) -> Result<(), ClientError> {
        let began = Instant::now();
        let mut frames = self.frames();
        let mut number = 0_u64;
        let Some(mut frame) = frames.next() else { return Ok(()) };
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                message = stream.next() => hear(message, watcher)?,
                () = sleep_until(began + FRAME.mul_f64(number as f64 / self.speed)) => {
                    self.send_frame(sink, &frame).await?;
                    watcher.sent(FRAME);
                    number += 1;
                    match frames.next() {
                        Some(next) => frame = next,
                        None => return Ok(()),
                    }
                }
            }
        }
    }

    /// The audio in frames of 100 ms, once or for ever.
    fn frames(&self) -> impl Iterator<Item = Bytes> {
        let pass = (0..self.pcm.len().div_ceil(PIECE_BYTES_MAX)).map(|at| {
            let from = at * PIECE_BYTES_MAX;
            self.pcm.slice(from..(from + PIECE_BYTES_MAX).min(self.pcm.len()))
        });
        let passes = if self.repeat { usize::MAX } else { 1 };
        std::iter::repeat_n(pass, passes).flatten()
    }

    /// Sources that have a byte go binary, others as JSON.
    async fn send_frame(&self, sink: &mut SplitSink<Socket, Message>, pcm: &Bytes) -> Result<(), ClientError> {
        for source in &self.sources {
            let message = match encode_audio_header(*source) {
                Some(header) => Message::binary([&header[..], pcm].concat()),
                None => Message::text(ClientMessage::encode_audio(*source, pcm)),
            };
            send(sink, message).await?;
        }
        Ok(())
    }
}

async fn send(sink: &mut SplitSink<Socket, Message>, message: Message) -> Result<(), ClientError> {
    sink.send(message).await.map_err(|_| ClientError::Lost)
}

async fn receipt(stream: &mut SplitStream<Socket>, watcher: &mut impl Watcher) -> Result<FinalSummary, ClientError> {
    loop {
        if let Some(ServerMessage::FinalSummary(summary)) = listen(stream.next().await, watcher)? {
            return Ok(summary);
        }
    }
}

type Heard = Option<Result<Message, tokio_tungstenite::tungstenite::Error>>;

fn hear(heard: Heard, watcher: &mut impl Watcher) -> Result<(), ClientError> {
    listen(heard, watcher).map(|_| ())
}

/// What the server said, if it was a message; an error that ends the session is this client's own.
fn listen(heard: Heard, watcher: &mut impl Watcher) -> Result<Option<ServerMessage>, ClientError> {
    let text = match heard {
        Some(Ok(Message::Text(text))) => text,
        Some(Ok(Message::Close(_)) | Err(_)) | None => return Err(ClientError::Lost),
        Some(Ok(_)) => return Ok(None),
    };
    let Ok(Envelope { message, .. }) = serde_json::from_str(&text) else { return Ok(None) };
    watcher.said(&message);
    match message.into_owned() {
        ServerMessage::Error(ErrorMessage { fatal: true, message, .. }) => {
            Err(ClientError::Refused(message.into_owned()))
        }
        message => Ok(Some(message)),
    }
}
