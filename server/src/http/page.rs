use axum::Router;
use axum::extract::OriginalUri;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use rust_embed::{Embed, EmbeddedFile};

use super::accepted::{GZIP, accepts};
use crate::app::App;

const INDEX: &str = "index.html";
const NOT_BUILT: &str = "The page is not part of this build. Build it with `make build` and start the server again.\n";

/// What trunk built, with a compressed copy beside each file.
#[derive(Embed)]
#[folder = "dist"]
#[allow_missing = true]
struct Page;

/// What the page may load and do: its own files, its own server, images that it draws.
const POLICY: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; \
    img-src 'self' data: blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'";
const GUARDS: [(HeaderName, HeaderValue); 4] = [
    (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("SAMEORIGIN")),
];

/// Encodings that a file may be stored in, best first.
const ENCODINGS: [(&str, &str); 2] = [("br", ".br"), (GZIP, ".gz")];

/// The page's files, each at its path. Where the page is not part of the build, its address says so.
pub(super) fn routes() -> Router<App> {
    // What is compressed is served under the name of what it is; the build's own notes are not served.
    let is_other = |name: &str| name.starts_with('.') || ENCODINGS.iter().any(|(_, ending)| name.ends_with(ending));
    let names = Page::iter().filter(|name| !is_other(name));
    let router = Router::new().route("/", get(index));
    names.fold(router, |router, name| {
        let path = format!("/{name}");
        router.route(&path, get(async move |headers: HeaderMap| file(&name, &headers)))
    })
}

/// Whether one of its files is at the path.
pub(super) fn is_at(path: &str) -> bool {
    path == "/" || path.strip_prefix('/').is_some_and(|name| Page::get(name).is_some())
}

/// Nested at a path that does not end in a slash, the page would look for its files beside that path: it is
/// looked at below it, wherever that is.
async fn index(OriginalUri(uri): OriginalUri, headers: HeaderMap) -> Response {
    match uri.path().rsplit('/').next() {
        Some(place) if !place.is_empty() && Page::get(INDEX).is_some() => {
            // By the dot it is a path, whatever the place is called.
            let below = format!("./{place}/{INDEX}");
            (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, below)]).into_response()
        }
        _ => file(INDEX, &headers),
    }
}

/// Compressed as the browser likes it.
fn file(path: &str, headers: &HeaderMap) -> Response {
    let Some(plain) = Page::get(path) else { return not_built() };
    let (encoding, file) = compressed(path, headers).map_or((None, plain), |(name, file)| (Some(name), file));
    respond(path, encoding, file, headers.get(header::IF_NONE_MATCH))
}

fn not_built() -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, GUARDS, NOT_BUILT).into_response()
}

fn compressed(path: &str, headers: &HeaderMap) -> Option<(&'static str, EmbeddedFile)> {
    ENCODINGS.iter().find_map(|(name, ending)| {
        let file = accepts(headers, name).then(|| Page::get(&format!("{path}{ending}")))??;
        Some((*name, file))
    })
}

fn respond(path: &str, encoding: Option<&'static str>, file: EmbeddedFile, known: Option<&HeaderValue>) -> Response {
    let etag = etag(&file);
    // All but the index carry a hash in their name.
    let caching = if path == INDEX { "no-cache" } else { "public, max-age=31536000, immutable" };
    let headers = [
        (header::CACHE_CONTROL, caching.to_owned()),
        (header::ETAG, etag.clone()),
        (header::VARY, "accept-encoding".to_owned()),
    ];
    if known.is_some_and(|known| known.as_bytes() == etag.as_bytes()) {
        return (StatusCode::NOT_MODIFIED, GUARDS, headers).into_response();
    }
    let kind = [(header::CONTENT_TYPE, content_type(path))];
    let encoding = encoding.map(|encoding| [(header::CONTENT_ENCODING, encoding)]);
    match encoding {
        Some(encoding) => (GUARDS, headers, kind, encoding, file.data).into_response(),
        None => (GUARDS, headers, kind, file.data).into_response(),
    }
}

fn etag(file: &EmbeddedFile) -> String {
    let hash = file.metadata.sha256_hash();
    let digits: String = hash[..16].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("\"{digits}\"")
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("wasm") => "application/wasm",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::{Request, header};
    use tower::ServiceExt;

    use crate::{Tachograph, router};

    /// Whether the page is part of the build or not.
    #[tokio::test]
    async fn the_page_may_load_and_do_what_it_is_made_for_and_no_more() {
        let tacho = Tachograph::new().unwrap();
        let answer =
            router(&tacho).with_state(()).oneshot(Request::get("/").body(Body::empty()).unwrap()).await.unwrap();
        let told = |name| answer.headers().get(name).and_then(|value| value.to_str().ok());
        let expected = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' data: \
                        blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'";
        assert_eq!(told(header::CONTENT_SECURITY_POLICY), Some(expected));
        assert_eq!(told(header::X_CONTENT_TYPE_OPTIONS), Some("nosniff"));
        assert_eq!(told(header::REFERRER_POLICY), Some("no-referrer"));
    }
}
