//! The page to sign in at: a form, no script, in the colours of the other page.

use std::sync::LazyLock;
use std::time::Duration;

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use super::refusal::Refusal;

const STYLE: &str = include_str!("page.css");
const LOGO: &str = r#"<svg viewBox="0 0 32 32" aria-hidden="true"><circle cx="16" cy="16" r="14"/><path d="M6 18l4-1 3-8 4 14 3-9 2 4h4"/></svg>"#;
/// Deeper addresses than the server has lead to its root.
const DEPTH_MAX: usize = 8;

/// Its own style and its own form, nothing else.
static POLICY: LazyLock<Option<HeaderValue>> = LazyLock::new(|| {
    let hash = STANDARD.encode(Sha256::digest(STYLE));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{hash}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    );
    HeaderValue::try_from(policy).ok()
});

/// What the page says above its form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    Nothing,
    NotSignedIn,
    WrongToken,
    WrongRole,
    Limited,
    SignedOut,
}

impl Said {
    const fn of(refusal: Refusal) -> Self {
        match refusal {
            Refusal::WrongToken => Self::WrongToken,
            Refusal::WrongRole => Self::WrongRole,
            Refusal::Limited(_) => Self::Limited,
            Refusal::NoToken | Refusal::Host | Refusal::Forwarded | Refusal::Origin => Self::NotSignedIn,
        }
    }

    /// Of a [reason](Refusal::reason), which anybody can have written.
    pub(super) fn of_reason(reason: &str) -> Self {
        let refusals = [Refusal::WrongToken, Refusal::WrongRole, Refusal::Limited(Duration::ZERO), Refusal::NoToken];
        refusals.into_iter().find(|refusal| refusal.reason() == reason).map_or(Self::Nothing, Self::of)
    }

    const fn text(self) -> &'static str {
        match self {
            Self::Nothing => "",
            Self::NotSignedIn => "You are not signed in, or no longer.",
            Self::WrongToken => "The server does not know this token.",
            Self::WrongRole => "This token is for feeding sessions. To look, take one for viewing.",
            Self::Limited => "Too many wrong tokens came from your address. Try again in a minute.",
            Self::SignedOut => "You are signed out.",
        }
    }
}

/// Whether a person waits for the answer.
pub(super) fn is_wanted(request: &Request) -> bool {
    let accepted = |headers: &HeaderMap| {
        headers
            .get(header::ACCEPT)
            .and_then(|value| value.to_str().ok())
            .is_some_and(|value| value.contains("text/html"))
    };
    matches!(*request.method(), Method::GET | Method::HEAD) && accepted(request.headers())
}

/// The form, with why it is needed; `path` is where it is shown.
pub(super) fn refused(refusal: Refusal, path: &str) -> Response {
    let mut answer = form(refusal.status(), Said::of(refusal), path);
    refusal.guard(&mut answer);
    answer
}

/// The form, shown at `path`.
pub(super) fn form(status: StatusCode, said: Said, path: &str) -> Response {
    let above = match said {
        Said::Nothing => String::new(),
        said => format!("<p class=\"notice\" role=\"alert\">{}</p>", said.text()),
    };
    let main = format!(
        "<h2>Sign in</h2>{above}<form method=\"post\" action=\"{}sign-in\"><label for=\"token\">Token</label>\
         <input id=\"token\" name=\"token\" type=\"password\" autocomplete=\"current-password\" required autofocus>\
         <button>Sign in</button></form><p class=\"aside\">Whoever runs this server has it, or a link with it.</p>",
        root(path)
    );
    page(status, "Sign in", &main)
}

/// For who is signed in already; shown where the form is.
pub(super) fn signed_in() -> Response {
    let main = "<h2>You are signed in</h2><p><a href=\"./\">Go to the figures</a></p>\
                <form method=\"post\" action=\"sign-out\"><button>Sign out</button></form>";
    page(StatusCode::OK, "Signed in", main)
}

fn page(status: StatusCode, title: &str, main: &str) -> Response {
    let html = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width\"><title>{title} · Tachograph</title><style>{STYLE}</style></head><body><header>\
         {LOGO}<h1>Tachograph</h1></header><main>{main}</main></body></html>\n"
    );
    let head = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        // Under no-referrer a browser would send the form without its origin.
        (header::REFERRER_POLICY, "same-origin"),
    ];
    let mut answer = (status, head, html).into_response();
    insert(&mut answer, header::CONTENT_SECURITY_POLICY, POLICY.clone());
    answer
}

fn insert(answer: &mut Response, name: HeaderName, value: Option<HeaderValue>) {
    if let Some(value) = value {
        answer.headers_mut().insert(name, value);
    }
}

/// The way up from an address to where the routes begin, wherever a proxy put them. Nothing of the address itself.
fn root(path: &str) -> String {
    match path.bytes().filter(|byte| *byte == b'/').count() {
        0 => "/".into(),
        slashes if slashes > DEPTH_MAX => "/".into(),
        slashes => "../".repeat(slashes - 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_up_is_as_long_as_the_address_is_deep() {
        assert_eq!((root("/"), root("/sign-in"), root("/api/v1/history")), ("".into(), "".into(), "../../".into()));
        assert_eq!((root(""), root(&"/".repeat(9))), ("/".into(), "/".into()));
    }
}
