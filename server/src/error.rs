//! How what went wrong with a request is answered. Answers never carry internal text.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
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
    /// The body is longer than the address takes.
    #[cfg(feature = "live")]
    TooLarge,
    /// The body did not come whole, or not in time.
    #[cfg(feature = "live")]
    NotWhole,
    /// The query is not what the address takes.
    InvalidQuery(&'static str),
    /// There are as many different subscriptions as there may be.
    TooManySubscriptions,
    /// As many read a long answer as may at once.
    Busy,
    /// There are as many viewers as there may be.
    TooManyViewers,
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
            #[cfg(feature = "live")]
            Self::TooLarge => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "too_large",
                "the body is longer than this address takes; send only what is to change",
            ),
            #[cfg(feature = "live")]
            Self::NotWhole => {
                (StatusCode::REQUEST_TIMEOUT, "not_whole", "the body did not come whole and in time; send it at once")
            }
            Self::InvalidQuery(message) => (StatusCode::BAD_REQUEST, "invalid_query", message),
            Self::TooManySubscriptions => (
                StatusCode::SERVICE_UNAVAILABLE,
                "too_many_subscriptions",
                "too many different filters are in use; ask for all of the stream, or for what others ask for",
            ),
            Self::Busy => {
                (StatusCode::SERVICE_UNAVAILABLE, "busy", "too many read this at once; try again in a moment")
            }
            Self::TooManyViewers => (
                StatusCode::SERVICE_UNAVAILABLE,
                "at_capacity",
                "as many watch the stream as may; try again later, or have the server allow more viewers",
            ),
            Self::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "internal", "the server failed; its log says why"),
            Self::NotYet => (StatusCode::SERVICE_UNAVAILABLE, "not_yet", "the first tick is not over; try again"),
            #[cfg(feature = "live")]
            Self::NotSimulated => {
                (StatusCode::NOT_FOUND, "not_simulated", "start the server with --provider simulated to rehearse")
            }
        };
        let mut response = answer(status, code, message);
        if let Some(seconds) = self.retry_after_seconds() {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        if self == Self::NotAWebSocket {
            // What to upgrade to, and its only version there is.
            response.headers_mut().insert(header::UPGRADE, HeaderValue::from_static("websocket"));
            response.headers_mut().insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        }
        response
    }
}

impl ApiError {
    /// After how long it is worth to ask again; None where the same is answered then.
    const fn retry_after_seconds(self) -> Option<u64> {
        match self {
            Self::Busy | Self::NotYet => Some(1),
            Self::TooManySubscriptions | Self::TooManyViewers => Some(5),
            _ => None,
        }
    }
}

/// What is not done, and why, in the form of all such answers.
pub(crate) fn answer(status: StatusCode, code: &'static str, message: &'static str) -> Response {
    (status, Json(Body { error: Reason { code, message } })).into_response()
}
