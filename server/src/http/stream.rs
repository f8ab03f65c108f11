//! The stream for people and scripts: lines of JSON, server-sent events, or the frames themselves.

use std::io;

use axum::body::Body;
use axum::extract::{Extension, RawQuery, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use bytes::{BufMut, Bytes, BytesMut};
use futures_util::stream;
use tachograph_core::wire::frame::{Epoch, Outcome, Request};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::SendTimeoutError;

use crate::access::Admission;
use crate::app::App;
use crate::error::ApiError;
use crate::hub::{self, Batch, Cursor, Form, Subscription, Viewer, WRITE_MAX, gap_line};

const LAST_EVENT_ID: &str = "last-event-id";

/// How the stream is written over HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    /// A line of JSON a frame.
    Lines,
    /// The same as server-sent events, each with its frame's number.
    Events,
    /// The frames as a WebSocket carries them.
    Binary,
}

impl Framing {
    fn accepted(headers: &HeaderMap) -> Self {
        let accepted = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let accepts =
            |kind: &str| accepted.split(',').any(|entry| entry.split(';').next().unwrap_or("").trim() == kind);
        match () {
            () if accepts("text/event-stream") => Self::Events,
            () if accepts("application/octet-stream") => Self::Binary,
            () => Self::Lines,
        }
    }

    const fn content_type(self) -> &'static str {
        match self {
            Self::Lines => "application/x-ndjson",
            Self::Events => "text/event-stream",
            Self::Binary => "application/octet-stream",
        }
    }

    const fn form(self) -> Form {
        match self {
            Self::Lines | Self::Events => Form::Plain,
            Self::Binary => Form::Binary,
        }
    }
}

/// The stream for as long as it is read.
pub(super) async fn stream(
    State(app): State<App>,
    admission: Option<Extension<Admission>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let framing = Framing::accepted(&headers);
    let mut subscription = Subscription::parse(&query.unwrap_or_default())?;
    if let Some(request) = last_event(&headers) {
        subscription.request = request;
    }
    let viewer = Viewer::enter(&app)?;
    let cursor = hub::open(&app, &subscription, framing.form())?;
    let head = [
        (header::CONTENT_TYPE, framing.content_type()),
        (header::CACHE_CONTROL, "no-store"),
        // Proxies that gather an answer before they pass it on would hold it forever.
        (header::HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    let Extension(admission) = admission.unwrap_or_default();
    let watching = Watching { viewer, admission };
    Ok((head, body(app, watching, cursor, framing)).into_response())
}

/// Where an EventSource that lost its connection goes on.
fn last_event(headers: &HeaderMap) -> Option<Request> {
    let (epoch, seq) = headers.get(LAST_EVENT_ID)?.to_str().ok()?.split_once('/')?;
    Some(Request::After { epoch: epoch.parse().ok()?, seq: seq.parse().ok().filter(|seq| *seq < u64::MAX)? })
}

/// Who reads, for as long as they may.
struct Watching {
    viewer: Viewer,
    admission: Admission,
}

/// The stream as a body: what is read waits in it, and its reader is cut off when it takes nothing.
fn body(app: App, watching: Watching, cursor: Cursor, framing: Framing) -> Body {
    let (sender, mut waiting) = mpsc::channel(1);
    tokio::spawn(async move {
        tokio::select! {
            () = send_frames(app, cursor, framing, sender) => {}
            () = watching.admission.revoked() => {}
        }
        drop(watching.viewer);
    });
    Body::from_stream(stream::poll_fn(move |context| waiting.poll_recv(context)))
}

async fn send_frames(app: App, mut cursor: Cursor, framing: Framing, sender: mpsc::Sender<io::Result<Bytes>>) {
    let mut next = opening_gap(framing, cursor.outcome());
    loop {
        if let Some(bytes) = next.take() {
            let sent = tokio::select! {
                sent = sender.send_timeout(Ok(bytes), WRITE_MAX) => sent,
                () = app.shutdown.cancelled() => return,
            };
            match sent {
                Ok(()) => {}
                Err(SendTimeoutError::Timeout(_)) => return app.metrics.viewers_cut_off.inc(),
                Err(SendTimeoutError::Closed(_)) => return,
            }
        }
        let batch = tokio::select! {
            batch = cursor.next() => batch,
            () = sender.closed() => return,
            () = app.shutdown.cancelled() => return,
        };
        let Some(batch) = batch else { return };
        app.metrics.viewer_frames_skipped.add(batch.skipped);
        next = Some(written(framing, app.epoch, &batch));
    }
}

/// What a reader of lines is told that asked to go on from a frame and cannot.
fn opening_gap(framing: Framing, outcome: Outcome) -> Option<Bytes> {
    let reason = match outcome {
        Outcome::Gone => "gone",
        Outcome::Restarted => "restarted",
        Outcome::Fresh | Outcome::Resumed => return None,
    };
    gap(framing, reason, None)
}

fn gap(framing: Framing, reason: &'static str, frames: Option<u64>) -> Option<Bytes> {
    let line = gap_line(reason, frames).ok()?;
    match framing {
        Framing::Lines => Some(line),
        Framing::Events => Some([b"event: gap\ndata: ", &line[..], b"\n"].concat().into()),
        Framing::Binary => None,
    }
}

fn written(framing: Framing, epoch: Epoch, batch: &Batch) -> Bytes {
    let skipped = (batch.skipped > 0).then(|| gap(framing, "skipped", Some(batch.skipped))).flatten();
    if skipped.is_none() && framing != Framing::Events {
        return batch.bytes.clone();
    }
    let mut bytes = BytesMut::from(skipped.unwrap_or_default());
    if framing == Framing::Events {
        let lines = batch.bytes.split_inclusive(|byte| *byte == b'\n');
        for (line, seq) in lines.zip(batch.first_seq..) {
            bytes.put_slice(format!("id: {epoch}/{seq}\ndata: ").as_bytes());
            bytes.put_slice(line);
            bytes.put_slice(b"\n");
        }
    } else {
        bytes.put_slice(&batch.bytes);
    }
    bytes.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(header::HeaderName::from_static(name), header::HeaderValue::from_static(value))])
    }

    #[test]
    fn the_accept_header_chooses() {
        let accepted = |value| Framing::accepted(&headers("accept", value));
        assert_eq!(accepted("text/event-stream"), Framing::Events);
        assert_eq!(accepted("text/html, text/event-stream;q=0.9"), Framing::Events);
        assert_eq!(accepted("application/octet-stream"), Framing::Binary);
        assert_eq!(accepted("*/*"), Framing::Lines);
        assert_eq!(Framing::accepted(&HeaderMap::new()), Framing::Lines);
    }

    #[test]
    fn an_event_source_goes_on_after_its_last_event() {
        let epoch = Epoch::from_bytes([1; 16]);
        let last = last_event(&headers("last-event-id", "01010101-0101-0101-0101-010101010101/7"));
        assert_eq!(last, Some(Request::After { epoch, seq: 7 }));
        assert_eq!(last_event(&headers("last-event-id", "7")), None);
    }

    #[test]
    fn each_line_is_an_event_with_its_number() {
        let epoch = Epoch::from_bytes([0; 16]);
        let batch = Batch { bytes: Bytes::from_static(b"{1}\n{2}\n"), first_seq: 4, skipped: 2 };
        let told = written(Framing::Events, epoch, &batch);
        let expected = format!(
            "event: gap\ndata: {{\"gap\":{{\"reason\":\"skipped\",\"frames\":2}}}}\n\n\
             id: {epoch}/4\ndata: {{1}}\n\nid: {epoch}/5\ndata: {{2}}\n\n"
        );
        assert_eq!(String::from_utf8_lossy(&told), expected);
    }
}
