use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket};
use tokio::time::timeout;

use super::Cursor;
use crate::access::Admission;
use crate::app::App;

/// A viewer that does not take a message for so long is gone.
pub(crate) const WRITE_MAX: Duration = Duration::from_secs(30);
const GOODBYE_MAX: Duration = Duration::from_secs(1);
const GOING_AWAY: u16 = 1001;
const UNAUTHORIZED: u16 = 1008;

/// Gives one page what its cursor reads; what a page sends is not read.
pub(crate) async fn view(app: App, mut cursor: Box<Cursor>, admission: Admission, mut socket: Box<WebSocket>) {
    let _viewer = Viewer::enter(&app);
    let ended = tokio::select! {
        ended = send_frames(&app, &mut cursor, &mut socket) => ended,
        () = admission.revoked() => Ended::Revoked,
    };
    let (code, reason) = match ended {
        Ended::Gone => return,
        Ended::Shutdown => (GOING_AWAY, "server is shutting down"),
        Ended::Revoked => (UNAUTHORIZED, "unauthorized"),
    };
    let close = Message::Close(Some(CloseFrame { code, reason: reason.into() }));
    if timeout(GOODBYE_MAX, socket.send(close)).await.is_ok_and(|sent| sent.is_ok()) {
        let until_gone = async { while let Some(Ok(_)) = socket.recv().await {} };
        let _gone_or_too_slow = timeout(GOODBYE_MAX, until_gone).await;
    }
}

enum Ended {
    /// The page went, or takes nothing any more.
    Gone,
    Shutdown,
    /// It may look no more.
    Revoked,
}

async fn send_frames(app: &App, cursor: &mut Cursor, socket: &mut WebSocket) -> Ended {
    loop {
        let batch = tokio::select! {
            batch = cursor.next() => match batch {
                Some(batch) => batch,
                None => return Ended::Gone,
            },
            // Read on, so that pings are answered and a close is noticed.
            received = socket.recv() => match received {
                Some(Ok(_)) => continue,
                Some(Err(_)) | None => return Ended::Gone,
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
