//! The past as a file: what `tachograph tail` and the page read again.

use std::io;

use axum::extract::{Extension, RawQuery, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bytes::{BufMut, Bytes, BytesMut};
use tachograph_core::wire::frame::{Hello, Outcome};

use super::history::{frames, let_go};
use super::pieces::{PIECE_BYTES, Pieces, written};
use crate::access::Admission;
use crate::app::App;
use crate::clock::utc_compact;
use crate::error::ApiError;
use crate::hub::{WINDOW_ALL, parse_window};

/// The past, or so much of it, up to the newest frame.
pub(super) async fn recording(
    State(app): State<App>,
    admission: Option<Extension<Admission>>,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let window = parse(&query.unwrap_or_default())?;
    let begin = Begin::find(&app, window).ok_or(ApiError::NotYet)?;
    let permit = app.place(&app.history_readers)?;
    let name = format!("tachograph-{}.tacho", utc_compact(begin.until_ms / 1_000));
    let head = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    let Extension(admission) = admission.unwrap_or_default();
    let body = written(app, admission, permit, move |app, pieces| write(app, begin, pieces));
    Ok((head, body).into_response())
}

fn parse(query: &str) -> Result<u32, ApiError> {
    let mut window = WINDOW_ALL;
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        if name != "window" {
            return Err(ApiError::InvalidQuery("the query takes window"));
        }
        let wrong = ApiError::InvalidQuery("`window` is a time such as 90s, 15m or 1h, or all");
        window = parse_window(&value).ok_or(wrong)?;
    }
    Ok(window)
}

/// Where a recording begins and ends.
struct Begin {
    /// Hello, schema and keyframe.
    head: Vec<Bytes>,
    /// The first frame after the keyframe, and the last one.
    next: u64,
    until: u64,
    /// When the last one is of.
    until_ms: u64,
}

impl Begin {
    fn find(app: &App, window: u32) -> Option<Self> {
        app.hub.whole().with_history(|history| {
            let entry = history.keyframe_for(history.first_within(window.into()))?;
            let newest = history.newest()?;
            let server_version = env!("CARGO_PKG_VERSION").into();
            let mut hello = Vec::new();
            Hello { epoch: app.epoch, server_version, outcome: Outcome::Fresh, first_seq: entry.seq }.write(&mut hello);
            Some(Self {
                head: vec![hello.into(), history.schema(), entry.keyframe.clone()?],
                next: entry.seq + 1,
                until: newest.seq,
                until_ms: newest.wall_ms,
            })
        })
    }
}

async fn write(app: App, begin: Begin, pieces: Pieces) -> io::Result<()> {
    let Begin { head, mut next, until, .. } = begin;
    let mut piece = BytesMut::new();
    head.iter().for_each(|part| piece.put_slice(part));
    while next <= until {
        let frames = frames(&app, next, until).ok_or_else(let_go)?;
        next += frames.len() as u64;
        for (frame, keyframe) in &frames {
            piece.put_slice(frame);
            keyframe.iter().for_each(|keyframe| piece.put_slice(keyframe));
            if piece.len() >= PIECE_BYTES {
                pieces.send(piece.split().freeze()).await?;
            }
        }
    }
    pieces.send(piece.freeze()).await?;
    pieces.end().await
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;
    use tachograph_core::wire::frame::Record;

    use super::*;
    use crate::app::Shared;
    use crate::hub::{Entry, HistoryLimits};
    use crate::options::Options;

    const FRAME_BYTES: usize = 4_096;

    /// A server that does not tick and keeps so many frames.
    fn server(frames: usize) -> App {
        let bytes = frames * (FRAME_BYTES + size_of::<Entry>());
        let history = HistoryLimits { bytes, ..HistoryLimits::default() };
        let options = Options { history, ..Options::default() };
        App::new(Shared::new(Default::default(), options).unwrap())
    }

    /// Frames that nobody can decode, every tenth with a keyframe.
    fn publish(app: &App, seqs: std::ops::RangeInclusive<u64>) {
        for seq in seqs {
            let mut frame = vec![9, 0xFD, 0x1F];
            frame.resize(FRAME_BYTES, 0);
            let keyframe = (seq % 10 == 1).then(|| Bytes::from_static(&[3, 0]));
            let entry = Entry { seq, tick: seq, wall_ms: 1_795_568_523_000, frame: frame.into(), keyframe };
            app.hub.whole().publish(entry, None, None);
        }
    }

    #[tokio::test]
    async fn a_recording_is_all_of_the_past_in_order() {
        let app = server(1_000);
        publish(&app, 1..=200);
        let answer = recording(State(app.clone()), None, RawQuery(None)).await.unwrap();
        let name = "attachment; filename=\"tachograph-20261125T010203Z.tacho\"";
        assert_eq!(answer.headers()[header::CONTENT_DISPOSITION], name);
        let body = to_bytes(answer.into_body(), usize::MAX).await.unwrap();
        let kinds: Vec<_> = Record::all(&body).map(|record| record.unwrap().payload.len()).collect();
        let frames = kinds.iter().filter(|bytes| **bytes == FRAME_BYTES - 3).count();
        assert_eq!((frames, kinds.len()), (199, 1 + 199 + 20), "the first one as its keyframe");
        let answer = recording(State(app), None, RawQuery(Some("window=15s".into()))).await.unwrap();
        let body = to_bytes(answer.into_body(), usize::MAX).await.unwrap();
        assert_eq!(Record::all(&body).count(), 1 + 19 + 2, "from 181 on");
    }

    #[tokio::test]
    async fn a_recording_that_is_read_too_slowly_is_cut_off() {
        let app = server(300);
        publish(&app, 1..=300);
        let answer = recording(State(app.clone()), None, RawQuery(None)).await.unwrap();
        tokio::task::yield_now().await;
        publish(&app, 301..=700);
        assert!(to_bytes(answer.into_body(), usize::MAX).await.is_err());
    }

    #[tokio::test]
    async fn no_more_are_written_at_once_than_may_be() {
        let app = server(300);
        let refused = recording(State(app.clone()), None, RawQuery(None)).await;
        assert_eq!(refused.err(), Some(ApiError::NotYet));
        publish(&app, 1..=300);
        let mut unread = Vec::new();
        let refused = loop {
            match recording(State(app.clone()), None, RawQuery(None)).await {
                Ok(answer) => unread.push(answer),
                Err(error) => break error,
            }
        };
        assert_eq!((unread.len(), refused), (4, ApiError::Busy));
        app.shutdown.cancel();
        assert!(to_bytes(unread.remove(0).into_body(), usize::MAX).await.is_err(), "an end is told");
    }

    #[tokio::test]
    async fn a_recording_ends_when_its_reader_is_not_let_in_any_more() {
        let app = server(300);
        publish(&app, 1..=300);
        let revoked = tokio_util::sync::CancellationToken::new();
        let admission = Some(Extension(Admission::until(revoked.clone())));
        let answer = recording(State(app.clone()), admission, RawQuery(None)).await.unwrap();
        tokio::task::yield_now().await;
        revoked.cancel();
        assert!(to_bytes(answer.into_body(), usize::MAX).await.is_err());
    }

    #[test]
    fn a_query_is_understood() {
        assert_eq!((parse(""), parse("window=15m")), (Ok(WINDOW_ALL), Ok(900)));
        for query in ["window=long", "from=1"] {
            assert!(matches!(parse(query), Err(ApiError::InvalidQuery(_))), "{query}");
        }
    }
}
