//! A server of the page and of a rehearsed stream, on this machine alone.

mod page;
mod past;
mod query;
mod stage;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;

use axum::Router;
use axum::extract::ws::{Message, WebSocket};
use axum::extract::{RawQuery, State, WebSocketUpgrade};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use bytes::Bytes;
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use self::past::{Past, Reader};
use self::stage::Command;
use super::{Frame, Rehearsal};
use crate::Failure;

pub use stage::Pace;

/// Serves `server/dist/`, and at `/ws/stream` a rehearsal; it ends with the value.
#[derive(Debug)]
pub struct RehearsalServer {
    /// Such as `127.0.0.1:40321`.
    pub address: String,
    commands: mpsc::Sender<Command>,
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

/// What the thread that makes frames and the viewers share.
#[derive(Debug)]
struct Shared {
    past: Mutex<Past>,
    newest: watch::Sender<u64>,
    /// How often all connections were ended.
    cuts: watch::Sender<u64>,
}

impl RehearsalServer {
    /// Listens, and makes frames as `pace` says.
    ///
    /// # Errors
    /// There is no port to listen on.
    pub async fn start(rehearsal: Rehearsal, pace: Pace) -> Result<Self, Failure> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?.to_string();
        let past = Mutex::new(Past::new(rehearsal.epoch()));
        let shared = Arc::new(Shared { past, newest: watch::Sender::new(0), cuts: watch::Sender::new(0) });
        let router = router(Arc::clone(&shared));
        let serving = tokio::spawn(async move {
            let _ended_with_the_test = axum::serve(listener, router).await;
        });
        let (commands, received) = mpsc::channel();
        let shown = Arc::clone(&shared);
        thread::spawn(move || stage::run(rehearsal, pace, &received, &shown));
        Ok(Self { address, commands, shared, serving })
    }

    /// Makes so many frames at once. Returns the newest one's number, once they are made; that they have
    /// arrived anywhere is not waited for.
    ///
    /// # Errors
    /// The thread that makes frames failed.
    pub async fn send(&self, frames: u64) -> Result<u64, Failure> {
        self.ask(|done| Command::Make(frames, done)).await
    }

    /// The same, but that the viewers that are connected are treated as too slow for them: they get how
    /// many they missed, and a keyframe of the last one.
    ///
    /// # Errors
    /// The thread that makes frames failed.
    pub async fn skip(&self, frames: u64) -> Result<u64, Failure> {
        self.ask(|done| Command::Skip(frames, done)).await
    }

    /// Lets so many seconds pass whose ticks the service misses itself: there are no frames of them.
    ///
    /// # Errors
    /// The thread that makes frames failed.
    pub fn miss(&self, ticks: u64) -> Result<(), Failure> {
        Ok(self.commands.send(Command::Miss(ticks))?)
    }

    /// Makes frames as `pace` says from now on.
    ///
    /// # Errors
    /// The thread that makes frames failed.
    pub fn set_pace(&self, pace: Pace) -> Result<(), Failure> {
        Ok(self.commands.send(Command::Pace(pace))?)
    }

    /// Ends all connections, and goes on with another start of the service at the same address.
    ///
    /// # Errors
    /// The thread that makes frames failed.
    pub fn restart(&self, rehearsal: Rehearsal) -> Result<(), Failure> {
        Ok(self.commands.send(Command::Restart(Box::new(rehearsal)))?)
    }

    /// Ends all connections.
    pub fn cut(&self) {
        self.shared.cut();
    }

    /// Lets go of all but so many of the newest frames.
    pub fn keep(&self, frames: usize) {
        self.shared.past().keep(frames);
    }

    /// The number of the newest frame; 0 before the first.
    pub fn newest(&self) -> u64 {
        self.shared.past().newest()
    }

    /// How many are connected to the stream.
    pub fn viewers(&self) -> usize {
        self.shared.newest.receiver_count()
    }

    async fn ask(&self, command: impl FnOnce(oneshot::Sender<u64>) -> Command) -> Result<u64, Failure> {
        let (done, answer) = oneshot::channel();
        self.commands.send(command(done))?;
        Ok(answer.await?)
    }
}

impl Drop for RehearsalServer {
    fn drop(&mut self) {
        self.serving.abort();
        self.shared.cut();
    }
}

impl Shared {
    fn past(&self) -> MutexGuard<'_, Past> {
        self.past.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn publish(&self, frame: Frame) {
        let seq = frame.seq;
        self.past().push(frame);
        self.newest.send_replace(seq);
    }

    /// Adds frames that the viewers do not get, and the keyframe that they get instead.
    fn publish_unseen(&self, frames: Vec<Frame>, keyframe: Bytes) {
        let Some(first) = frames.first().map(|frame| frame.seq) else { return };
        let mut past = self.past();
        frames.into_iter().for_each(|frame| past.push(frame));
        past.skip_from(first, keyframe);
        self.newest.send_replace(past.newest());
    }

    fn begin(&self, past: Past) {
        *self.past() = past;
        self.cut();
    }

    fn cut(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }
}

fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/ws/stream", any(stream))
        .route("/api/v1/recording", any(recording))
        .fallback(page::serve)
        .with_state(shared)
}

async fn recording(State(shared): State<Arc<Shared>>) -> Response {
    ([(header::CONTENT_TYPE, "application/octet-stream")], shared.past().recording()).into_response()
}

async fn stream(State(shared): State<Arc<Shared>>, RawQuery(query): RawQuery, upgrade: WebSocketUpgrade) -> Response {
    let Some(query) = query::parse(&query.unwrap_or_default()) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    // Before it is open, so that a cut ends it, too.
    let cuts = shared.cuts.subscribe();
    let reader = shared.past().open(query);
    upgrade.on_upgrade(move |socket| view(shared, reader, cuts, socket))
}

/// Gives one viewer its frames, until it goes or is cut off.
async fn view(shared: Arc<Shared>, mut reader: Reader, mut cuts: watch::Receiver<u64>, mut socket: WebSocket) {
    let mut newest = shared.newest.subscribe();
    loop {
        let message = shared.past().read(&mut reader);
        let goes_on = tokio::select! {
            biased;
            _cut = cuts.changed() => false,
            goes_on = give(message, &mut newest, &mut socket) => goes_on,
        };
        if !goes_on {
            return;
        }
    }
}

/// Sends what there is; where there is nothing, waits for more. Returns whether the viewer is still there.
async fn give(message: Option<Bytes>, newest: &mut watch::Receiver<u64>, socket: &mut WebSocket) -> bool {
    match message {
        Some(message) => socket.send(Message::Binary(message)).await.is_ok(),
        None => tokio::select! {
            more = newest.changed() => more.is_ok(),
            // Read on, so that pings are answered and a close is noticed.
            received = socket.recv() => matches!(received, Some(Ok(_))),
        },
    }
}
