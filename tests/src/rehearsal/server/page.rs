//! The built page, from the files that trunk wrote.

use std::path::{Component, Path, PathBuf};

use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};

const INDEX: &str = "index.html";
const NOT_BUILT: &str = "The page is not built; build it with `make page`.\n";

/// The file at this path, compressed where the browser takes that.
pub(super) async fn serve(uri: Uri, headers: HeaderMap) -> Response {
    let path = uri.path().trim_start_matches('/');
    let path = Path::new(if path.is_empty() { INDEX } else { path });
    let file = crate::root().join("server/dist").join(path);
    if !path.components().all(|part| matches!(part, Component::Normal(_))) || !file.is_file() {
        return (StatusCode::NOT_FOUND, NOT_BUILT).into_response();
    }
    let accepted = headers.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let compressed = compressed(&file).filter(|compressed| accepts_brotli(accepted) && compressed.is_file());
    let encoding = compressed.is_some().then_some([(header::CONTENT_ENCODING, "br")]);
    let Ok(bytes) = std::fs::read(compressed.as_ref().unwrap_or(&file)) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    // Another build of the page must not be hidden by this one.
    let head = [(header::CONTENT_TYPE, content_type(path)), (header::CACHE_CONTROL, "no-store")];
    match encoding {
        Some(encoding) => (head, encoding, bytes).into_response(),
        None => (head, bytes).into_response(),
    }
}

fn compressed(file: &Path) -> Option<PathBuf> {
    let name = file.file_name()?.to_str()?;
    Some(file.with_file_name(format!("{name}.br")))
}

fn accepts_brotli(accepted: &str) -> bool {
    accepted.split(',').any(|entry| entry.split(';').next().unwrap_or_default().trim() == "br")
}

fn content_type(path: &Path) -> &'static str {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("wasm") => "application/wasm",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    }
}
