use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::error;

/// Why a request is not let in. Its answer is the same whatever there is at the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It calls the server by a name that is not the server's.
    Host,
    /// What it says of where it comes from contradicts itself.
    Forwarded,
    /// Another's page sent it.
    Origin,
    /// It shows no token, or a cookie that opens nothing any more.
    NoToken,
    /// It shows a token that is none.
    WrongToken,
    /// Its token is for something else.
    WrongRole,
    /// Too many wrong tokens came from its address; so long no other is looked at.
    Limited(Duration),
}

/// How long no token is looked at is said in seconds.
const SECOND: Duration = Duration::from_secs(1);

impl Refusal {
    /// As the counter calls it.
    pub(crate) const fn reason(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Forwarded => "forwarded",
            Self::Origin => "origin",
            Self::NoToken => "no_token",
            Self::WrongToken => "wrong_token",
            Self::WrongRole => "wrong_role",
            Self::Limited(_) => "limited",
        }
    }

    pub(super) const fn status(self) -> StatusCode {
        match self {
            Self::Host | Self::Origin | Self::WrongRole => StatusCode::FORBIDDEN,
            Self::Forwarded => StatusCode::BAD_REQUEST,
            Self::NoToken | Self::WrongToken => StatusCode::UNAUTHORIZED,
            Self::Limited(_) => StatusCode::TOO_MANY_REQUESTS,
        }
    }

    const fn code_and_message(self) -> (&'static str, &'static str) {
        match self {
            Self::Host => (
                "host_not_allowed",
                "the server does not go by this name; start it with --allowed-host NAME if it should",
            ),
            Self::Forwarded => (
                "forwarded_contradicts",
                "`Forwarded` and `X-Forwarded-For` differ; a proxy must set or remove each of them",
            ),
            Self::Origin => (
                "origin_not_allowed",
                "another site's page sent this; start the server with --allowed-origin ORIGIN if it may",
            ),
            Self::NoToken | Self::WrongToken => (
                "unauthorized",
                "send `Authorization: Bearer TOKEN` with a token of this server's, or sign in at /sign-in",
            ),
            Self::WrongRole => {
                ("forbidden", "this token is for something else: one may be for viewing, another for feeding")
            }
            Self::Limited(_) => ("too_many_attempts", "too many wrong tokens came from this address; try again later"),
        }
    }

    /// The headers that a refusal has, whatever its body is.
    pub(super) fn guard(self, answer: &mut Response) {
        let headers = answer.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        match self {
            Self::NoToken | Self::WrongToken => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            Self::Limited(wait) => {
                let seconds = wait.saturating_add(SECOND).as_secs();
                headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            }
            Self::Host | Self::Forwarded | Self::Origin | Self::WrongRole => {}
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (code, message) = self.code_and_message();
        let mut answer = error::answer(self.status(), code, message);
        self.guard(&mut answer);
        answer
    }
}
