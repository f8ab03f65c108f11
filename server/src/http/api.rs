use std::io;

use axum::extract::{Extension, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use tokio::task::spawn_blocking;

use super::pieces::{PIECE_BYTES, Pieces, written};
use crate::access::Admission;
use crate::app::App;
use crate::error::ApiError;
use crate::hub;

/// The process lives.
pub(super) async fn healthz() -> &'static str {
    "ok"
}

/// The server is not shutting down.
pub(super) async fn readyz(State(app): State<App>) -> (StatusCode, &'static str) {
    if app.shutdown.is_cancelled() {
        (StatusCode::SERVICE_UNAVAILABLE, "shutting down")
    } else {
        (StatusCode::OK, "ready")
    }
}

/// The newest frame in the stream's plain form.
pub(super) async fn snapshot(
    State(app): State<App>,
    admission: Option<Extension<Admission>>,
) -> Result<Response, ApiError> {
    // So many at most, until each is read; they wait for each other where they are made, of some frames and all that
    // the newest one says.
    let place = app.place(&app.snapshots_asked)?;
    let permit = app.snapshot_readers.clone().acquire_owned().await.map_err(|_| ApiError::Busy)?;
    let asked = App::clone(&app);
    let newest = spawn_blocking(move || {
        let _permit = permit;
        hub::newest_plain(&asked)
    });
    let json = Bytes::from(newest.await.map_err(|_| ApiError::Internal)??);
    let headers = [
        (header::CONTENT_TYPE, "application/json".to_owned()),
        (header::CACHE_CONTROL, "no-store".to_owned()),
        (header::CONTENT_LENGTH, json.len().to_string()),
    ];
    let Extension(admission) = admission.unwrap_or_default();
    Ok((headers, written(app, admission, place, move |_, pieces| write(json, pieces))).into_response())
}

async fn write(mut json: Bytes, pieces: Pieces) -> io::Result<()> {
    while !json.is_empty() {
        // A copy: a part of it would keep all of it until it is sent.
        let piece = json.split_to(json.len().min(PIECE_BYTES));
        pieces.send(Bytes::copy_from_slice(&piece)).await?;
    }
    pieces.end().await
}
