use std::time::Duration;

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequest, Request, State};
use serde::Deserialize;
use tokio::time::timeout;

use crate::app::App;
use crate::error::ApiError;
use crate::provider::{Fault, Simulated, SimulatedControl};

/// A few bytes come at once.
const BODY_MAX: Duration = Duration::from_secs(10);

/// What the simulated provider does.
pub(super) async fn simulated(State(app): State<App>) -> Result<Json<SimulatedControl>, ApiError> {
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
pub(super) async fn set_simulated(
    State(app): State<App>,
    request: Request,
) -> Result<Json<SimulatedControl>, ApiError> {
    let simulated = control_of(&app)?;
    let expected = ApiError::InvalidBody(
        "send JSON with `rtf`, 0 to 1000, and `fault`, one of none, error, hang and panic, or one of the two",
    );
    let change: Result<_, JsonRejection> =
        timeout(BODY_MAX, Json::<ControlChange>::from_request(request, &())).await.map_err(|_| ApiError::TooSlow)?;
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

fn control_of(app: &App) -> Result<&Simulated, ApiError> {
    app.listener.as_ref().and_then(|listener| listener.simulated.as_ref()).ok_or(ApiError::NotSimulated)
}
