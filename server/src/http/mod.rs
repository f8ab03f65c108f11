//! The addresses of a server.

mod api;
mod page;

use axum::Router;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::{State, WebSocketUpgrade};
use axum::response::Response;
use axum::routing::{any, get};

use crate::app::App;
use crate::error::ApiError;
use crate::{hub, session};

/// A WebSocket message above this ends its connection before it is read whole.
const SOCKET_MESSAGE_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Viewers have nothing to say.
const VIEWER_MESSAGE_BYTES_MAX: usize = 64 * 1024;

/// The routes of a server, to be served by itself or nested into another router.
///
/// The server ticks only while [`serve`](crate::serve) runs.
pub fn router(app: App) -> Router {
    Router::new()
        .route("/ws/live-listener", any(live_listener))
        .route("/ws/stream", any(stream))
        .route("/healthz", get(api::healthz))
        .route("/readyz", get(api::readyz))
        .route("/api/v1/snapshot", get(api::snapshot))
        .route("/api/v1/simulated", get(api::simulated).put(api::set_simulated))
        .method_not_allowed_fallback(async || ApiError::MethodNotAllowed)
        .fallback(page::serve)
        .with_state(app)
}

type Upgrade = Result<WebSocketUpgrade, WebSocketUpgradeRejection>;

async fn live_listener(State(app): State<App>, upgrade: Upgrade) -> Result<Response, ApiError> {
    let connections = app.connections.clone();
    let upgrade = upgrade.map_err(|_| ApiError::NotAWebSocket)?;
    Ok(upgrade
        .max_message_size(SOCKET_MESSAGE_BYTES_MAX)
        .max_frame_size(SOCKET_MESSAGE_BYTES_MAX)
        .on_upgrade(move |socket| connections.track_future(session::handle(app, socket))))
}

async fn stream(State(app): State<App>, upgrade: Upgrade) -> Result<Response, ApiError> {
    let connections = app.connections.clone();
    let upgrade = upgrade.map_err(|_| ApiError::NotAWebSocket)?;
    Ok(upgrade
        .max_message_size(VIEWER_MESSAGE_BYTES_MAX)
        .max_frame_size(VIEWER_MESSAGE_BYTES_MAX)
        .on_upgrade(move |socket| connections.track_future(hub::view(app, socket))))
}
