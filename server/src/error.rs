//! How what went wrong with a request is answered. Answers never carry internal text.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// A request that is not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ApiError {
    /// No such address.
    NotFound,
    /// The address does not take this method.
    MethodNotAllowed,
    /// The address takes WebSockets only.
    NotAWebSocket,
    /// The body is not what the address takes.
    #[cfg(feature = "live")]
    InvalidBody(&'static str),
    /// The query is not what the address takes.
    InvalidQuery(&'static str),
    /// There are as many different subscriptions as there may be.
    TooManySubscriptions,
    /// As many read a long answer as may at once.
    Busy,
    /// There is no frame yet.
    NotYet,
    /// A fault of the server.
    Internal,
    /// The server has no simulated provider.
    #[cfg(feature = "live")]
    NotSimulated,
}

#[derive(Serialize)]
struct Body {
    error: Reason,
}

#[derive(Serialize)]
struct Reason {
    code: &'static str,
    message: &'static str,
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (status, code, message) = match self {
            Self::NotFound => (StatusCode::NOT_FOUND, "not_found", "there is nothing at this address"),
            Self::MethodNotAllowed => {
                (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "this address does not take this method")
            }
            Self::NotAWebSocket => {
                (StatusCode::UPGRADE_REQUIRED, "not_a_websocket", "open a WebSocket at this address")
            }
            #[cfg(feature = "live")]
            Self::InvalidBody(message) => (StatusCode::UNPROCESSABLE_ENTITY, "invalid_body", message),
            Self::InvalidQuery(message) => (StatusCode::BAD_REQUEST, "invalid_query", message),
            Self::TooManySubscriptions => (
                StatusCode::SERVICE_UNAVAILABLE,
                "too_many_subscriptions",
                "too many different filters are in use; ask for all of the stream, or for what others ask for",
            ),
            Self::Busy => {
                (StatusCode::SERVICE_UNAVAILABLE, "busy", "too many read this at once; try again in a moment")
            }
            Self::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "internal", "the server failed; its log says why"),
            Self::NotYet => (StatusCode::SERVICE_UNAVAILABLE, "not_yet", "the first tick is not over; try again"),
            #[cfg(feature = "live")]
            Self::NotSimulated => {
                (StatusCode::NOT_FOUND, "not_simulated", "start the server with --provider simulated to rehearse")
            }
        };
        answer(status, code, message)
    }
}

/// What is not done, and why, in the form of all such answers.
pub(crate) fn answer(status: StatusCode, code: &'static str, message: &'static str) -> Response {
    (status, Json(Body { error: Reason { code, message } })).into_response()
}
