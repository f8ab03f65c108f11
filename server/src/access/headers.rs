use axum::http::{HeaderName, HeaderValue, header};
use axum::response::Response;

const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// What every answer says to browsers, unless it says something else itself: it is no page, belongs into no other's, and
/// nobody is told whence one came.
const GUARDS: [(HeaderName, HeaderValue); 5] = [
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (RESOURCE_POLICY, HeaderValue::from_static("same-origin")),
];
const ENCRYPTED_ONLY: HeaderValue = HeaderValue::from_static("max-age=31536000");

/// Adds what is missing.
pub(super) fn complete(answer: &mut Response, speaks_for_host: bool) {
    let headers = answer.headers_mut();
    for (name, value) in GUARDS {
        headers.entry(name).or_insert(value);
    }
    if speaks_for_host {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, ENCRYPTED_ONLY);
    }
}
