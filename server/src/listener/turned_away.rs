use std::borrow::Cow;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket};
use tachograph_core::wire::{Envelope, ErrorCode, ErrorMessage, Identity, ServerMessage};
use tokio::time::timeout;

use crate::access::TurnedAway;
use crate::app::App;

/// How long a client may take to hear that it may not feed.
const GOODBYE_MAX: Duration = Duration::from_secs(2);
const MESSAGE: &str =
    "this needs a token for feeding: as `Authorization: Bearer TOKEN`, or as ?token=TOKEN in the address";

/// Tells a client that it may not feed, as the protocol says it, and closes. It has no session, and what it says is not
/// listened to. `turned_away` is its place among those that are told so at once.
pub(crate) async fn turn_away(app: App, turned_away: TurnedAway, mut socket: WebSocket) {
    app.metrics.count_error(ErrorCode::Unauthorized);
    let close = CloseFrame { code: ErrorCode::Unauthorized.close_code(), reason: "unauthorized".into() };
    let goodbye = async {
        socket.send(Message::text(refusal())).await?;
        socket.send(Message::Close(Some(close))).await?;
        while let Some(Ok(_)) = socket.recv().await {}
        Ok::<(), axum::Error>(())
    };
    if !matches!(timeout(GOODBYE_MAX, goodbye).await, Ok(Ok(()))) {
        tracing::debug!("a client did not wait to hear that it may not feed");
    }
    drop(turned_away);
}

fn refusal() -> String {
    let message =
        ServerMessage::Error(ErrorMessage { code: ErrorCode::Unauthorized, message: MESSAGE.into(), fatal: true });
    let envelope = Envelope { message: Cow::Borrowed(&message), identity: Cow::Owned(Identity::default()), seq: 1 };
    serde_json::to_string(&envelope).unwrap_or_default()
}
