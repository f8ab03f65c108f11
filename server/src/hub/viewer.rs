use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket};
use tokio::time::{Instant, sleep_until, timeout};

use super::Cursor;
use crate::access::Admission;
use crate::app::App;
use crate::error::ApiError;
use crate::http::SocketFault;
use crate::pace::Bucket;

/// A viewer that does not take a message for so long is gone.
pub(crate) const WRITE_MAX: Duration = Duration::from_secs(30);
const GOODBYE_MAX: Duration = Duration::from_secs(1);
const GOING_AWAY: u16 = 1001;
const UNAUTHORIZED: u16 = 1008;
const INTERNAL: u16 = 1011;

/// Gives one page what its cursor reads; what a page sends is not read.
pub(crate) async fn view(viewer: Viewer, mut cursor: Box<Cursor>, admission: Admission, mut socket: Box<WebSocket>) {
    let ended = tokio::select! {
        ended = send_frames(&viewer.0, &mut cursor, &mut socket) => ended,
        () = admission.revoked() => Ended::Revoked,
    };
    let close = match ended {
        Ended::Gone => None,
        // The answer to its close goes out as it is read on.
        Ended::Closed => return until_gone(&mut socket).await,
        Ended::Faulty(fault) => fault.close(),
        Ended::Revoked => Some((UNAUTHORIZED, "unauthorized")),
        Ended::Failed => Some((INTERNAL, "the stream failed; connect again")),
        Ended::Shutdown => Some((GOING_AWAY, "server is shutting down")),
    };
    let Some((code, reason)) = close else { return };
    let close = Message::Close(Some(CloseFrame { code, reason: reason.into() }));
    if timeout(GOODBYE_MAX, socket.send(close)).await.is_ok_and(|sent| sent.is_ok()) {
        until_gone(&mut socket).await;
    }
}

async fn until_gone(socket: &mut WebSocket) {
    let gone = async { while let Some(Ok(_)) = socket.recv().await {} };
    let _gone_or_too_slow = timeout(GOODBYE_MAX, gone).await;
}

#[derive(PartialEq, Eq)]
enum Ended {
    /// The page went, or takes nothing any more.
    Gone,
    /// The page said so.
    Closed,
    Faulty(SocketFault),
    Shutdown,
    /// What it looked at cannot be told any more.
    Failed,
    /// It may look no more.
    Revoked,
}

async fn send_frames(app: &App, cursor: &mut Cursor, socket: &mut WebSocket) -> Ended {
    let (mut pace, mut read_at) = (Bucket::default(), Instant::now());
    loop {
        let batch = tokio::select! {
            batch = cursor.next() => match batch {
                Some(batch) => batch,
                None if app.shutdown.is_cancelled() => return Ended::Shutdown,
                None => return Ended::Failed,
            },
            // Read on, so that pings are answered and a close is noticed; no faster than may be.
            received = read(socket, read_at) => match received {
                Some(Ok(Message::Close(_))) => return Ended::Closed,
                Some(Ok(_)) => {
                    let wait = pace.take(1, app.limits.now().messages_per_second.into(), app.clock.now());
                    read_at = Instant::now() + wait;
                    if !wait.is_zero() {
                        app.metrics.messages_paced.inc();
                    }
                    continue;
                }
                Some(Err(error)) => return Ended::Faulty(SocketFault::of(error)),
                None => return Ended::Gone,
            },
            () = app.shutdown.cancelled() => return Ended::Shutdown,
        };
        app.metrics.viewer_frames_skipped.add(batch.skipped);
        let sent = tokio::select! {
            sent = timeout(WRITE_MAX, socket.send(Message::Binary(batch.bytes))) => sent,
            () = app.shutdown.cancelled() => return Ended::Shutdown,
        };
        match sent {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return Ended::Gone,
            Err(_too_long) => {
                app.metrics.viewers_cut_off.inc();
                return Ended::Gone;
            }
        }
    }
}

async fn read(socket: &mut WebSocket, at: Instant) -> Option<Result<Message, axum::Error>> {
    sleep_until(at).await;
    socket.recv().await
}

/// The place of a viewer, for as long as it is connected.
pub(crate) struct Viewer(App);

impl Viewer {
    /// Takes a place, if there is one.
    pub(crate) fn enter(app: &App) -> Result<Self, ApiError> {
        let viewers_max = app.limits.now().viewers;
        let has_room = |viewers: usize| (viewers < viewers_max).then_some(viewers + 1);
        if app.viewers.fetch_update(Ordering::Relaxed, Ordering::Relaxed, has_room).is_err() {
            app.metrics.viewers_refused.inc();
            return Err(ApiError::TooManyViewers);
        }
        app.metrics.viewers.add(1.0);
        Ok(Self(App::clone(app)))
    }
}

impl Drop for Viewer {
    fn drop(&mut self) {
        self.0.viewers.fetch_sub(1, Ordering::Relaxed);
        self.0.metrics.viewers.add(-1.0);
    }
}
