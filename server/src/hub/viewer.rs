use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket};
use futures_util::{Sink, SinkExt, Stream, StreamExt};
use tachograph_core::instrument::Gauge;
use tokio::time::timeout;

use crate::app::App;

/// A page that takes nothing for so long is gone.
const WRITE_MAX: Duration = Duration::from_secs(30);
const GOODBYE_MAX: Duration = Duration::from_secs(1);
const GOING_AWAY: u16 = 1001;

/// Gives one page the newest frame at once and then each second; what a page sends is not read.
pub(crate) async fn view(app: App, socket: WebSocket) {
    let _viewer = Viewer::enter(&app.metrics.viewers);
    let (mut sink, mut stream) = socket.split();
    tokio::select! {
        () = send_frames(&app, &mut sink) => return,
        () = until_gone(&mut stream) => return,
        () = app.shutdown.cancelled() => {}
    }
    let close = Message::Close(Some(CloseFrame { code: GOING_AWAY, reason: "server is shutting down".into() }));
    if timeout(GOODBYE_MAX, sink.send(close)).await.is_ok_and(|sent| sent.is_ok()) {
        let _gone_or_too_slow = timeout(GOODBYE_MAX, until_gone(&mut stream)).await;
    }
}

/// Returns when the page cannot be written to.
async fn send_frames(app: &App, sink: &mut (impl Sink<Message> + Unpin)) {
    let mut frames = app.hub.subscribe();
    frames.mark_changed();
    let mut expected = frames.borrow().index;
    while frames.changed().await.is_ok() {
        let frame = frames.borrow_and_update().clone();
        app.metrics.viewer_frames_skipped.add(frame.index.saturating_sub(expected));
        expected = frame.index + 1;
        if !timeout(WRITE_MAX, sink.send(Message::Text(frame.text))).await.is_ok_and(|sent| sent.is_ok()) {
            return;
        }
    }
}

/// Reads on, so that pings are answered and a close is noticed.
async fn until_gone(stream: &mut (impl Stream<Item = Result<Message, axum::Error>> + Unpin)) {
    while let Some(Ok(_)) = stream.next().await {}
}

/// Counts a page for as long as it is connected.
struct Viewer<'a>(&'a Gauge);

impl<'a> Viewer<'a> {
    fn enter(viewers: &'a Gauge) -> Self {
        viewers.add(1.0);
        Self(viewers)
    }
}

impl Drop for Viewer<'_> {
    fn drop(&mut self) {
        self.0.add(-1.0);
    }
}
