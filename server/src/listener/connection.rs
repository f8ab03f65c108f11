use std::borrow::Cow;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{Message, WebSocket};
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use tachograph_core::session::ErrorBudget;
use tachograph_core::wire::{
    AudioHeader, ClientMessage, DecodeError, ErrorCode, ErrorMessage, Identity, ServerMessage, Start, Status,
    StatusState, decode_client_message,
};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::error::Elapsed;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, Span, field};
use uuid::Uuid;

use super::Listener;
use super::arriving::{Arriving, length};
use super::listened::Listened;
use super::outbox::Outbox;
use super::pace::{Pace, Paced};
use super::writer::write;
use crate::access::Admission;
use crate::app::App;
use crate::http::SocketFault;
use crate::memory::Account;
use crate::serve::Arrived;
use crate::session::OpenError;

/// A client that says nothing for so long, not even to a ping, is gone.
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// How long the closing handshake may take.
const GOODBYE_MAX: Duration = Duration::from_secs(1);
/// A server that ends gives its sessions less time than a client that stops.
const SHUTDOWN_DRAIN_MAX: Duration = Duration::from_secs(5);
/// A connection without a session is not kept for long.
const START_MAX: Duration = Duration::from_secs(30);
/// A client that was slow but allowed for still gets its receipt.
const RECEIPT_MAX: Duration = Duration::from_secs(10);
const LOST: &str = "the connection was lost";
const NORMAL: u16 = 1000;
const GOING_AWAY: u16 = 1001;
const PROTOCOL_ERROR: u16 = 1002;

/// Speaks the live-listener protocol on one socket, until either side ends it.
pub(crate) async fn handle(
    app: App,
    listener: Listener,
    admission: Admission,
    arrived: Option<Arrived>,
    socket: WebSocket,
) {
    let span = tracing::info_span!(
        "connection",
        session_id = field::Empty,
        connection_id = field::Empty,
        attempt_id = field::Empty
    );
    let (sink, stream) = socket.split();
    let outbox = Arc::new(Outbox::new(app.metrics.metrics_conflated.clone(), Account::open(&app.memory)));
    let stream = Arriving::new(stream, arrived, outbox.account.hold(0));
    let writer = tokio::spawn(write(App::clone(&app), sink, Arc::clone(&outbox)));
    Connection::open(app, listener, admission, outbox, stream, writer).run().instrument(span).await;
}

struct Connection<S> {
    app: App,
    listener: Listener,
    admission: Admission,
    outbox: Arc<Outbox>,
    stream: Arriving<S>,
    writer: Option<JoinHandle<()>>,
    errors: ErrorBudget,
    pace: Pace,
    session: Option<Arc<Listened>>,
    opened: Instant,
}

/// Why nothing more is read.
enum Ending {
    Stopped,
    ShuttingDown,
    ClosedByClient,
    /// By a frame that is against WebSocket's own rules.
    AgainstProtocol,
    Gone(&'static str),
    Fatal(DecodeError),
}

impl<S: Stream<Item = Result<Message, axum::Error>> + Unpin> Connection<S> {
    fn open(
        app: App,
        listener: Listener,
        admission: Admission,
        outbox: Arc<Outbox>,
        stream: Arriving<S>,
        writer: JoinHandle<()>,
    ) -> Self {
        app.metrics.defaults.connections.inc();
        let (errors, pace, writer) = (ErrorBudget::default(), Pace::default(), Some(writer));
        Self { app, listener, admission, outbox, stream, writer, errors, pace, session: None, opened: Instant::now() }
    }

    async fn run(mut self) {
        self.outbox.push(ServerMessage::Status(Status::new(StatusState::Connected, "Connected")));
        let ending = self.read().await;
        let is_gone = matches!(ending, Ending::Gone(_));
        let goodbye_max = if matches!(ending, Ending::Stopped) { RECEIPT_MAX } else { GOODBYE_MAX };
        self.end(ending).await;
        if let Some(writer) = self.writer.take() {
            end_writer(writer, if is_gone { Duration::ZERO } else { goodbye_max }).await;
        }
        if !is_gone {
            self.say_goodbye().await;
        }
    }

    /// Reads on until the closing handshake is done, so that the client does not meet a reset instead.
    /// Reading also sends the answer to a close of the client's own.
    async fn say_goodbye(&mut self) {
        self.stream.end();
        let stream = &mut self.stream;
        let answer = async { while let Some(Ok(_)) = stream.next().await {} };
        if timeout(GOODBYE_MAX, answer).await.is_err() {
            tracing::debug!("the client did not answer the close");
        }
    }

    // ---- reading

    async fn read(&mut self) -> Ending {
        loop {
            let message = tokio::select! {
                () = self.app.shutdown.cancelled() => return Ending::ShuttingDown,
                () = self.admission.revoked() => return revoked(),
                () = self.outbox.not_read.cancelled() => return self.cut_off(),
                () = self.outbox.lost.cancelled() => return Ending::Gone(LOST),
                () = self.outbox.shed.cancelled() => return no_memory(),
                () = start_overdue(self.session.is_none(), self.opened) => return start_too_late(),
                message = next(&mut self.stream, self.pace.read_at()) => message,
            };
            let outcome = match message {
                Ok(Some(Ok(message))) => {
                    self.keep_pace(&message);
                    self.take(message)
                }
                Ok(Some(Err(error))) => return self.transport_ending(error),
                Ok(None) => return Ending::Gone(LOST),
                Err(_) => return Ending::Gone("the client was silent for too long"),
            };
            match outcome {
                Ok(None) => {}
                Ok(Some(ending)) => return ending,
                Err(error) => {
                    if let Some(ending) = self.refuse(error) {
                        return ending;
                    }
                }
            }
        }
    }

    /// What comes faster than may be is taken, and what comes after it waits: for the client by its connection.
    fn keep_pace(&mut self, message: &Message) {
        let Some(paced) = self.pace.take(length(message), &self.app.limits.now(), self.app.clock.now()) else {
            return;
        };
        self.app.metrics.messages_paced.inc();
        if let Paced::Newly(warning) = paced {
            let status = Status { message: warning.into(), ..Status::new(StatusState::Warning, "") };
            match &self.session {
                Some(session) => session.session.tell(status),
                None => self.outbox.push(ServerMessage::Status(status)),
            }
        }
    }

    fn cut_off(&self) -> Ending {
        self.app.metrics.clients_cut_off.inc();
        Ending::Gone("the client does not read")
    }

    fn take(&mut self, message: Message) -> Result<Option<Ending>, DecodeError> {
        match message {
            Message::Text(text) if text.len() > self.listener.message_bytes_max => Ok(Some(self.too_large())),
            Message::Binary(frame) if frame.len() > self.listener.message_bytes_max => Ok(Some(self.too_large())),
            Message::Text(text) => self.take_text(&text),
            Message::Binary(frame) => self.take_binary(&frame).map(|()| None),
            Message::Close(_) => Ok(Some(Ending::ClosedByClient)),
            Message::Ping(_) | Message::Pong(_) => Ok(None),
        }
    }

    fn transport_ending(&self, error: axum::Error) -> Ending {
        match SocketFault::of(error) {
            SocketFault::TooLarge => self.too_large(),
            SocketFault::NotUtf8 => {
                Ending::Fatal(DecodeError::new(ErrorCode::InvalidJson, "a text message must be UTF-8"))
            }
            SocketFault::Protocol => Ending::AgainstProtocol,
            SocketFault::Lost => Ending::Gone(LOST),
        }
    }

    fn too_large(&self) -> Ending {
        Ending::Fatal(DecodeError::new(
            ErrorCode::TooLarge,
            match self.session {
                Some(_) => "the message is longer than the server reads",
                None => "the message is longer than the server reads before a session; send start first",
            },
        ))
    }

    fn take_text(&mut self, text: &str) -> Result<Option<Ending>, DecodeError> {
        match decode_client_message(text, self.listener.audio.queue_bytes_max)? {
            ClientMessage::Start(start) => return self.start(&start),
            ClientMessage::Audio { source, pcm } => self.started()?.receive(source, pcm)?,
            ClientMessage::Stop { session_id } => return self.stop(&session_id).map(Some),
        }
        Ok(None)
    }

    fn take_binary(&mut self, frame: &[u8]) -> Result<(), DecodeError> {
        let session = self.started()?;
        let header = AudioHeader::decode(frame)?;
        // A copy: what came shares the memory of everything that was read with it.
        session.receive(header.source, Bytes::copy_from_slice(&frame[header.length..]))
    }

    fn started(&self) -> Result<&Arc<Listened>, DecodeError> {
        self.session.as_ref().ok_or_else(|| DecodeError::new(ErrorCode::NotStarted, "send start first"))
    }

    fn start(&mut self, start: &Start) -> Result<Option<Ending>, DecodeError> {
        if self.session.is_some() {
            let message = "this connection has its session; open another connection for another session";
            return Err(DecodeError::new(ErrorCode::AlreadyStarted, message));
        }
        let connection_id = start.connection_id.clone().unwrap_or_else(|| Uuid::new_v4().to_string());
        let identity = Identity {
            session_id: Some(start.session_id.clone()),
            attempt_id: start.attempt_id.clone(),
            connection_id: Some(connection_id),
        };
        name_span(&identity);
        self.outbox.set_identity(identity.clone());
        match Listened::start(&self.app, &self.listener, start, &identity, &self.outbox) {
            Ok(listened) => {
                self.session = Some(listened);
                self.stream.start();
            }
            Err(error) => return Ok(Some(Ending::Fatal(refused(&error)))),
        }
        Ok(None)
    }

    fn stop(&self, session_id: &str) -> Result<Ending, DecodeError> {
        let session = self.started()?;
        if session.session.identity().session_id.as_deref() == Some(session_id) {
            return Ok(Ending::Stopped);
        }
        Err(DecodeError::new(ErrorCode::SessionMismatch, "`session_id` is not the one that this connection started"))
    }

    /// Tells the client what was wrong; the session stays as it was, unless that was the last straw.
    fn refuse(&mut self, error: DecodeError) -> Option<Ending> {
        let is_last_straw = self.errors.spend(self.app.clock.now());
        if is_last_straw || error.code.is_fatal() {
            return Some(Ending::Fatal(error));
        }
        self.tell_error(error, false);
        None
    }

    fn tell_error(&self, DecodeError { code, message }: DecodeError, fatal: bool) {
        tracing::info!(%code, fatal, "refused: {message}");
        self.app.metrics.count_error(code);
        self.outbox.push(ServerMessage::Error(ErrorMessage { code, message, fatal }));
    }

    // ---- ending

    async fn end(&mut self, ending: Ending) {
        let session = self.session.clone();
        match ending {
            Ending::Stopped => {
                drain(session, self.listener.drain, &self.app.shutdown).await;
                self.outbox.close(NORMAL, "session ended");
            }
            Ending::ShuttingDown => {
                let warning = Status::new(StatusState::Warning, "The server is shutting down");
                self.outbox.push(ServerMessage::Status(warning));
                drain(session, self.listener.drain, &self.app.shutdown).await;
                self.outbox.close(GOING_AWAY, "server is shutting down");
            }
            Ending::ClosedByClient => {
                tracing::info!("the client closed the connection");
                abandon(session).await;
                self.outbox.close(NORMAL, "");
            }
            Ending::AgainstProtocol => {
                let message = "a WebSocket frame was against RFC 6455; mend the client";
                self.tell_error(DecodeError::new(ErrorCode::InvalidMessage, message), true);
                self.outbox.close(PROTOCOL_ERROR, "protocol error");
                abandon(session).await;
            }
            Ending::Gone(why) => {
                tracing::info!("{why}");
                abandon(session).await;
            }
            Ending::Fatal(error) => {
                let code = error.code;
                self.tell_error(error, true);
                self.outbox.close(code.close_code(), code.as_str());
                abandon(session).await;
            }
        }
        self.session = None;
    }
}

/// A connection is counted where it ends, however it ends; neither its session nor its writer outlives it.
impl<S> Drop for Connection<S> {
    fn drop(&mut self) {
        self.app.metrics.defaults.disconnects.inc();
        // Nothing is sent after a close: this is for a connection that failed before its own.
        let message = Cow::Borrowed("the server failed; connect again");
        self.outbox.push(ServerMessage::Error(ErrorMessage { code: ErrorCode::Internal, message, fatal: true }));
        self.outbox.close(ErrorCode::Internal.close_code(), ErrorCode::Internal.as_str());
        let Ok(runtime) = Handle::try_current() else { return };
        if let Some(session) = self.session.take() {
            runtime.spawn(async move { session.abandon().await });
        }
        if let Some(writer) = self.writer.take() {
            runtime.spawn(end_writer(writer, GOODBYE_MAX));
        }
    }
}

/// What is to be written still has so long.
async fn end_writer(mut writer: JoinHandle<()>, limit: Duration) {
    if limit.is_zero() || timeout(limit, &mut writer).await.is_err() {
        writer.abort();
    }
}

/// For at most `limit`, and no longer than the server waits once it ends.
async fn drain(session: Option<Arc<Listened>>, limit: Duration, shutdown: &CancellationToken) {
    let Some(session) = session else { return };
    let too_long = async {
        tokio::select! {
            () = sleep(limit) => {}
            () = async { shutdown.cancelled().await; sleep(SHUTDOWN_DRAIN_MAX).await } => {}
        }
    };
    session.drain(too_long).await;
}

async fn abandon(session: Option<Arc<Listened>>) {
    if let Some(session) = session {
        session.abandon().await;
    }
}

/// The next message, read no sooner than `at`.
async fn next<S: Stream + Unpin>(stream: &mut S, at: Option<Instant>) -> Result<Option<S::Item>, Elapsed> {
    if let Some(at) = at {
        sleep_until(at).await;
    }
    timeout(SILENCE_MAX, stream.next()).await
}

/// Never done once the session has started.
async fn start_overdue(waits: bool, opened: Instant) {
    if waits { sleep_until(opened + START_MAX).await } else { pending().await }
}

fn start_too_late() -> Ending {
    Ending::Fatal(DecodeError::new(ErrorCode::NotStarted, "send start within 30 s of connecting"))
}

fn no_memory() -> Ending {
    let message = "the sessions hold more memory than the server allows, and the newest are ended; connect again later";
    Ending::Fatal(DecodeError::new(ErrorCode::AtCapacity, message))
}

fn revoked() -> Ending {
    Ending::Fatal(DecodeError::new(ErrorCode::Unauthorized, "your token was taken back; connect again with another"))
}

fn refused(error: &OpenError) -> DecodeError {
    match error {
        OpenError::AtCapacity(_) => {
            DecodeError::new(ErrorCode::AtCapacity, "the server has as many sessions as it may; try again later")
        }
        OpenError::MemoryFull => {
            DecodeError::new(ErrorCode::AtCapacity, "the server has no memory for more sessions; try again later")
        }
        error => {
            tracing::error!(%error, "a session was not opened");
            DecodeError::new(ErrorCode::Internal, "the session cannot be opened")
        }
    }
}

/// Identifiers are data: they are logged as escaped values.
fn name_span(identity: &Identity) {
    let span = Span::current();
    let names = [
        ("session_id", &identity.session_id),
        ("connection_id", &identity.connection_id),
        ("attempt_id", &identity.attempt_id),
    ];
    for (name, value) in names {
        if let Some(value) = value {
            span.record(name, field::debug(value));
        }
    }
}
