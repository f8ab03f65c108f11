//! The addresses of a server.

mod api;
mod compression;
mod exposition;
mod history;
mod page;
mod pieces;
mod recording;
mod stream;

use axum::Router;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::{RawQuery, State, WebSocketUpgrade};
use axum::response::Response;
use axum::routing::{any, get};

use crate::app::App;
use crate::error::ApiError;
use crate::hub::{Form, Subscription};
use crate::{hub, session};

/// A WebSocket message above this ends its connection before it is read whole.
const SOCKET_MESSAGE_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Viewers have nothing to say.
const VIEWER_MESSAGE_BYTES_MAX: usize = 1024;
/// What a viewer's connection reads at once: pings and a close.
const VIEWER_READ_BYTES: usize = 256;

/// The routes of a server, to be served by itself or nested into another router.
///
/// The server ticks only while [`serve`](crate::serve) runs.
pub fn router(app: App) -> Router {
    Router::new()
        .route("/ws/live-listener", any(live_listener))
        .route("/ws/stream", any(viewer))
        .route("/metrics", get(exposition::metrics))
        .route("/healthz", get(api::healthz))
        .route("/readyz", get(api::readyz))
        .route("/api/v1/snapshot", get(api::snapshot))
        .route("/api/v1/stream", get(stream::stream))
        .route("/api/v1/history", get(history::history))
        .route("/api/v1/recording", get(recording::recording))
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

async fn viewer(State(app): State<App>, RawQuery(query): RawQuery, upgrade: Upgrade) -> Result<Response, ApiError> {
    let connections = app.connections.clone();
    let upgrade = upgrade.map_err(|_| ApiError::NotAWebSocket)?;
    // Boxed, here and below: what an upgrade passes on, its task keeps room for, several times over.
    let cursor = Box::new(hub::open(&app, &Subscription::parse(&query.unwrap_or_default())?, Form::Binary)?);
    Ok(upgrade
        .max_message_size(VIEWER_MESSAGE_BYTES_MAX)
        .max_frame_size(VIEWER_MESSAGE_BYTES_MAX)
        .read_buffer_size(VIEWER_READ_BYTES)
        // Each message goes out at once, and none is held back.
        .write_buffer_size(0)
        .on_upgrade(move |socket| connections.track_future(Box::pin(hub::view(app, cursor, Box::new(socket))))))
}
