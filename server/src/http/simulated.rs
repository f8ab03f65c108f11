use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::routing::{MethodRouter, get};
use serde::Deserialize;

use crate::app::App;
use crate::error::ApiError;
use crate::provider::{Fault, Simulated, SimulatedControl};

/// What is asked for has few words.
const BODY_BYTES_MAX: usize = 4_096;

pub(super) fn route() -> MethodRouter<App> {
    get(simulated).put(set_simulated).layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
}

/// What the simulated provider does.
async fn simulated(State(app): State<App>) -> Result<Json<SimulatedControl>, ApiError> {
    let simulated = control_of(&app)?;
    Ok(Json(simulated.control()))
}

/// What is left out stays as it is.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ControlChange {
    rtf: Option<f64>,
    fault: Option<Fault>,
}

/// Tells the simulated provider what to do from its next chunk on.
async fn set_simulated(
    State(app): State<App>,
    change: Result<Json<ControlChange>, JsonRejection>,
) -> Result<Json<SimulatedControl>, ApiError> {
    let simulated = control_of(&app)?;
    let expected = ApiError::InvalidBody(
        "send JSON with `rtf`, 0 to 1000, and `fault`, one of none, error, hang and panic, or one of the two",
    );
    let Json(change) = change.map_err(|rejection| match rejection {
        JsonRejection::BytesRejection(bytes) if bytes.status() == StatusCode::PAYLOAD_TOO_LARGE => ApiError::TooLarge,
        JsonRejection::BytesRejection(_) => ApiError::NotWhole,
        _ => expected,
    })?;
    let control = simulated.change(|before| {
        let rtf = change.rtf.unwrap_or(before.rtf);
        let control = SimulatedControl { rtf, fault: change.fault.unwrap_or(before.fault) };
        if control.is_valid() { Ok(control) } else { Err(expected) }
    })?;
    tracing::info!(?control, "the simulated provider was told what to do");
    Ok(Json(control))
}

fn control_of(app: &App) -> Result<&Simulated, ApiError> {
    app.listener.as_ref().and_then(|listener| listener.simulated.as_ref()).ok_or(ApiError::NotSimulated)
}
