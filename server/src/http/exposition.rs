//! All metrics as text for Prometheus and whoever reads its formats.

use std::io;

use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use tachograph_core::exposition::{TextFormat, TextPage};

use super::pieces::{PIECE_BYTES, Pieces, written};
use crate::app::App;
use crate::clock::unix_millis;
use crate::error::ApiError;

/// Everything that is registered, as it is when it is written.
pub(super) async fn metrics(State(app): State<App>, headers: HeaderMap) -> Result<Response, ApiError> {
    let permit = app.scrapers.clone().try_acquire_owned().map_err(|_| ApiError::Busy)?;
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let format = format_for(accepted);
    let page = TextPage::new(&app.registry, format, unix_millis());
    let body = written(app, permit, move |app, pieces| write(app, page, pieces));
    let head =
        [(header::CONTENT_TYPE, format.media_type()), (header::CACHE_CONTROL, "no-store"), (header::VARY, "accept")];
    Ok((head, body).into_response())
}

/// Its memory is that of a piece, however many series there are.
async fn write(app: App, mut page: TextPage, pieces: Pieces) -> io::Result<()> {
    let mut has_more = true;
    while has_more {
        let mut piece = Vec::with_capacity(PIECE_BYTES + PIECE_BYTES / 8);
        has_more = page.write(&mut piece, PIECE_BYTES);
        pieces.send(piece.into()).await?;
    }
    app.metrics.families_left_out.set(page.left_out() as f64);
    pieces.end().await
}

/// The format that is liked best of those that there are; Prometheus' text where none is.
fn format_for<'a>(accepted: impl Iterator<Item = &'a str>) -> TextFormat {
    let ranges = accepted.flat_map(|value| value.split(','));
    let liked =
        ranges.filter_map(|range| Some((format_of(range)?, weight_of(range)))).filter(|(_, weight)| *weight > 0);
    // Of formats that are liked alike the one that was named first.
    liked
        .reduce(|best, next| if next.1 > best.1 { next } else { best })
        .map_or(TextFormat::Prometheus, |(format, _)| format)
}

fn format_of(range: &str) -> Option<TextFormat> {
    let mut parts = range.split(';').map(str::trim);
    let kind = parts.next()?.to_ascii_lowercase();
    let version = parts.find_map(|part| part.strip_prefix("version="));
    match (&*kind, version) {
        ("application/openmetrics-text", None | Some("1.0.0")) => Some(TextFormat::OpenMetrics),
        ("text/plain", None | Some("0.0.4")) | ("text/*" | "*/*", None) => Some(TextFormat::Prometheus),
        _ => None,
    }
}

/// In thousandths; 1 where nothing is said.
fn weight_of(range: &str) -> u32 {
    let weight = range.split(';').find_map(|part| part.trim().strip_prefix("q="));
    weight.map_or(1_000, |text| text.parse::<f32>().map_or(0, |weight| (weight.clamp(0.0, 1.0) * 1_000.0) as u32))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn format(accepted: &str) -> TextFormat {
        format_for([accepted].into_iter())
    }

    #[test]
    fn scrapers_get_the_format_that_they_like_best() {
        use TextFormat::{OpenMetrics, Prometheus};
        let prometheus = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
            text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        assert_eq!(format(prometheus), OpenMetrics);
        assert_eq!(format("text/plain;version=0.0.4;q=0.5, application/openmetrics-text; q=0.4"), Prometheus);
        assert_eq!(format("application/openmetrics-text;version=0.0.1"), Prometheus, "of versions that are not spoken");
        assert_eq!((format(""), format("*/*"), format("text/html,*/*;q=0.8")), (Prometheus, Prometheus, Prometheus));
        assert_eq!(format("application/openmetrics-text;q=0, text/plain;q=0.1"), Prometheus);
        assert_eq!(format("application/openmetrics-text;q=many"), Prometheus);
    }
}
