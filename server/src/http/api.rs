use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use tokio::task::spawn_blocking;

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
pub(super) async fn snapshot(State(app): State<App>) -> Result<Response, ApiError> {
    // They wait for each other, so many at most: each reads some frames and writes all of the newest one.
    let asked = app.place(&app.snapshots_asked)?;
    let permit = app.snapshot_readers.clone().acquire_owned().await.map_err(|_| ApiError::Busy)?;
    let newest = spawn_blocking(move || {
        let _places = (permit, asked);
        hub::newest_plain(&app)
    });
    let json = newest.await.map_err(|_| ApiError::Internal)??;
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
    Ok((headers, json).into_response())
}
