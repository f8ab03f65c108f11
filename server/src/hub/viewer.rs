use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket};
use tokio::time::timeout;

use super::Cursor;
use crate::app::App;
use crate::http::SocketFault;

/// A viewer that does not take a message for so long is gone.
pub(crate) const WRITE_MAX: Duration = Duration::from_secs(30);
const GOODBYE_MAX: Duration = Duration::from_secs(1);
/// A viewer has nothing to say but pings, of each of which the answer is kept until it is written.
const HEARD_MAX: u32 = 100;
const GOING_AWAY: u16 = 1001;
const POLICY: u16 = 1008;

/// Gives one page what its cursor reads; what a page sends is not read.
pub(crate) async fn view(app: App, mut cursor: Box<Cursor>, mut socket: Box<WebSocket>) {
    let _viewer = Viewer::enter(&app);
    let close = match send_frames(&app, &mut cursor, &mut socket).await {
        Ended::Gone => None,
        // The answer to its close goes out as it is read on.
        Ended::Closed => return until_gone(&mut socket).await,
        Ended::Faulty(fault) => fault.close(),
        Ended::Talkative => Some((POLICY, "too many messages; a viewer has nothing to say")),
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
    Talkative,
    Shutdown,
}

async fn send_frames(app: &App, cursor: &mut Cursor, socket: &mut WebSocket) -> Ended {
    // Since the frame before.
    let mut heard = 0;
    loop {
        let batch = tokio::select! {
            batch = cursor.next() => match batch {
                Some(batch) => batch,
                None => return Ended::Gone,
            },
            // Read on, so that pings are answered and a close is noticed.
            received = socket.recv() => match received {
                Some(Ok(Message::Close(_))) => return Ended::Closed,
                Some(Ok(_)) if heard >= HEARD_MAX => return Ended::Talkative,
                Some(Ok(_)) => {
                    heard += 1;
                    continue;
                }
                Some(Err(error)) => return Ended::Faulty(SocketFault::of(error)),
                None => return Ended::Gone,
            },
            () = app.shutdown.cancelled() => return Ended::Shutdown,
        };
        heard = 0;
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

/// Counts a viewer for as long as it is connected.
pub(crate) struct Viewer(App);

impl Viewer {
    pub(crate) fn enter(app: &App) -> Self {
        app.metrics.viewers.add(1.0);
        Self(app.clone())
    }
}

impl Drop for Viewer {
    fn drop(&mut self) {
        self.0.metrics.viewers.add(-1.0);
    }
}
