//! Whether a browser may have sent a request for another's page.

use axum::extract::Request;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, Method, header};

use super::refusal::Refusal;
use super::{HostName, Origin, is_among};

/// Browsers that know it say by it what no page can forge; they send it where addresses can be trusted: to https, and
/// to this machine.
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");

/// What is known of where a request was sent to.
pub(super) struct Own<'a> {
    pub(super) host: Option<&'a HostName>,
    pub(super) is_encrypted: bool,
    pub(super) allowed: &'a [Origin],
}

/// Lets in the server's own pages, those that are allowed, what is no browser, and people who follow a link.
///
/// # Errors
/// It is another's page.
pub(super) fn check(method: &Method, headers: &HeaderMap, own: &Own<'_>) -> Result<(), Refusal> {
    let is_let_in = match text(headers, FETCH_SITE) {
        Some("same-origin" | "none") => true,
        Some(_) => is_allowed(headers, own) || is_link(method, headers),
        None => !headers.contains_key(header::ORIGIN) || is_own(headers, own) || is_allowed(headers, own),
    };
    if is_let_in { Ok(()) } else { Err(Refusal::Origin) }
}

/// For routes within an application, which decides itself who may look: WebSockets and what changes something are for
/// its own pages. Where it says what names it goes by, nothing is for a page that came by another one.
///
/// # Errors
/// It is another's page, or was sent to another name.
pub(crate) fn check_nested(request: &Request, hosts: &[HostName], allowed: &[Origin]) -> Result<(), Refusal> {
    let (method, headers) = (request.method(), request.headers());
    let named = request.uri().authority().map(Authority::as_str).or_else(|| text(headers, header::HOST));
    let host = named.and_then(|name| name.parse().ok());
    // Whether the application encrypts is not known: what is usual either way is its own.
    let is_own = |host: &HostName| [false, true].iter().any(|encrypted| is_among(host, hosts, *encrypted));
    if !hosts.is_empty() && !host.as_ref().is_some_and(is_own) && !is_probe(request) {
        return Err(Refusal::Host);
    }
    if method.is_safe() && !headers.contains_key(header::UPGRADE) {
        return Ok(());
    }
    check(method, headers, &Own { host: host.as_ref(), is_encrypted: false, allowed })
}

/// Whether it asks for what says nothing but that the server lives: who restarts it when it does not asks by any name.
pub(super) fn is_probe(request: &Request) -> bool {
    request.method().is_safe() && ["/healthz", "/readyz"].contains(&request.uri().path())
}

/// Whether a browser says that its own user opened it, or a page of the server's.
pub(super) fn is_ones_own(headers: &HeaderMap) -> bool {
    matches!(text(headers, FETCH_SITE), Some("same-origin" | "none"))
}

/// A page that a person opens; a page within another's is none.
fn is_link(method: &Method, headers: &HeaderMap) -> bool {
    method.is_safe() && text(headers, FETCH_MODE) == Some("navigate") && text(headers, FETCH_DEST) == Some("document")
}

fn is_own(headers: &HeaderMap, own: &Own<'_>) -> bool {
    let Some(origin) = origin(headers) else { return false };
    own.host.is_some_and(|host| origin.is_of(host, own.is_encrypted))
}

fn is_allowed(headers: &HeaderMap, own: &Own<'_>) -> bool {
    origin(headers).is_some_and(|origin| own.allowed.contains(&origin))
}

/// The only one that is said, if it names a place.
fn origin(headers: &HeaderMap) -> Option<Origin> {
    text(headers, header::ORIGIN)?.parse().ok()
}

/// The value of a header that is there once; of others nothing, which is no origin of anybody's.
fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    Some(if values.next().is_some() { "" } else { value.to_str().unwrap_or_default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_let_in(method: &Method, headers: &[(&'static str, &'static str)], is_encrypted: bool) -> bool {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), header::HeaderValue::from_static(value))
        };
        let host = "h:7117".parse().unwrap();
        let allowed = ["https://wiki.example".parse().unwrap()];
        let mut map = HeaderMap::new();
        for (name, value) in headers.iter().map(pair) {
            map.append(name, value);
        }
        check(method, &map, &Own { host: Some(&host), is_encrypted, allowed: &allowed }).is_ok()
    }

    #[test]
    fn only_the_servers_own_pages_and_allowed_ones_are_let_in() {
        let by_origin = |origin| is_let_in(&Method::GET, &[("origin", origin)], false);
        assert!(by_origin("http://h:7117") && by_origin("https://wiki.example"));
        for origin in ["http://evil.example", "http://h:7118", "http://h", "null", "http://h:7117.evil.example", ""] {
            assert!(!by_origin(origin), "{origin}");
        }
        assert!(!is_let_in(&Method::GET, &[("origin", "http://h:7117")], true), "it was not encrypted");
        assert!(!is_let_in(&Method::GET, &[("origin", "http://h:7117"), ("origin", "http://evil.example")], false));
        assert!(is_let_in(&Method::PUT, &[], false), "no browser");
    }

    #[test]
    fn a_browsers_own_word_counts_more() {
        let by_site = |site| is_let_in(&Method::POST, &[("sec-fetch-site", site), ("origin", "null")], false);
        assert!(by_site("same-origin") && by_site("none"));
        assert!(!by_site("cross-site") && !by_site("same-site") && !by_site("anything"));
        let allowed = [("sec-fetch-site", "cross-site"), ("origin", "https://wiki.example")];
        assert!(is_let_in(&Method::GET, &allowed, false));
        assert!(!is_let_in(&Method::GET, &[("sec-fetch-site", "cross-site")], false), "such as an image");
    }

    #[test]
    fn a_link_from_elsewhere_can_be_followed_but_not_framed_or_sent() {
        let link = |method, mode, dest| {
            let headers = [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", mode), ("sec-fetch-dest", dest)];
            is_let_in(&method, &headers, false)
        };
        assert!(link(Method::GET, "navigate", "document"));
        assert!(!link(Method::GET, "navigate", "iframe") && !link(Method::POST, "navigate", "document"));
        assert!(!link(Method::GET, "no-cors", "document") && !link(Method::GET, "websocket", "websocket"));
    }
}
