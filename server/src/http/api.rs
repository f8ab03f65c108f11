use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use tokio::task::spawn_blocking;

use crate::app::App;
use crate::error::ApiError;
use crate::hub;
use crate::provider::{Fault, SimulatedControl};

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
    // They wait for each other: each reads some frames and writes all of the newest one.
    let permit = app.snapshot_readers.clone().acquire_owned().await.map_err(|_| ApiError::Busy)?;
    let newest = spawn_blocking(move || {
        let _permit = permit;
        hub::newest_plain(&app)
    });
    let json = newest.await.map_err(|_| ApiError::Internal)??;
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
    Ok((headers, json).into_response())
}

/// What the simulated provider does.
pub(super) async fn simulated(State(app): State<App>) -> Result<Json<SimulatedControl>, ApiError> {
    let simulated = app.simulated.as_ref().ok_or(ApiError::NotSimulated)?;
    Ok(Json(simulated.control()))
}

/// What is left out stays as it is.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ControlChange {
    rtf: Option<f64>,
    fault: Option<Fault>,
}

/// Tells the simulated provider what to do from its next chunk on.
pub(super) async fn set_simulated(
    State(app): State<App>,
    change: Result<Json<ControlChange>, JsonRejection>,
) -> Result<Json<SimulatedControl>, ApiError> {
    let simulated = app.simulated.as_ref().ok_or(ApiError::NotSimulated)?;
    let expected = ApiError::InvalidBody(
        "send JSON with `rtf`, 0 to 1000, and `fault`, one of none, error, hang and panic, or one of the two",
    );
    let Json(change) = change.map_err(|_| expected)?;
    let before = simulated.control();
    let control =
        SimulatedControl { rtf: change.rtf.unwrap_or(before.rtf), fault: change.fault.unwrap_or(before.fault) };
    if !control.is_valid() {
        return Err(expected);
    }
    simulated.set_control(control);
    tracing::info!(?control, "the simulated provider was told what to do");
    Ok(Json(control))
}
