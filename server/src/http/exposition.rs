//! All metrics for Prometheus and whoever reads its formats.

use std::io;

use axum::extract::{Extension, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use tachograph_core::exposition::{Format, Page};

use super::accepted::{GZIP, accepts, weight_of};
use super::gzip::Gzip;
use super::pieces::{PIECE_BYTES, Pieces, written};
use crate::access::Admission;
use crate::app::App;
use crate::clock::unix_millis;
use crate::error::ApiError;

/// Everything that is registered, as it is when it is written.
pub(super) async fn metrics(
    State(app): State<App>,
    admission: Option<Extension<Admission>>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let permit = app.place(&app.scrapers)?;
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let format = format_for(accepted);
    let gzip = accepts(&headers, GZIP).then(Gzip::new);
    let encoding = gzip.is_some().then_some([(header::CONTENT_ENCODING, GZIP)]);
    let page = Page::new(&app.registry, format, unix_millis()).with_exemplars(&app.metrics.exemplars);
    let Extension(admission) = admission.unwrap_or_default();
    let body = written(app, admission, permit, move |app, pieces| write(app, page, gzip, pieces));
    let head = [
        (header::CONTENT_TYPE, format.media_type()),
        (header::CACHE_CONTROL, "no-store"),
        (header::VARY, "accept, accept-encoding"),
    ];
    Ok(match encoding {
        Some(encoding) => (head, encoding, body).into_response(),
        None => (head, body).into_response(),
    })
}

/// Its memory is that of a piece, however many series there are.
async fn write(app: App, mut page: Page, mut gzip: Option<Gzip>, pieces: Pieces) -> io::Result<()> {
    let mut has_more = true;
    while has_more {
        let mut piece = Vec::with_capacity(PIECE_BYTES + PIECE_BYTES / 8);
        has_more = page.write(&mut piece, PIECE_BYTES);
        match &mut gzip {
            Some(gzip) => pieces.send(gzip.add(&piece)?).await?,
            None => pieces.send(piece.into()).await?,
        }
    }
    app.metrics.families_left_out.set(page.left_out() as f64);
    if let Some(gzip) = gzip {
        pieces.send(gzip.end()?).await?;
    }
    pieces.end().await
}

/// The format that is liked best of those that there are; Prometheus' text where none is.
fn format_for<'a>(accepted: impl Iterator<Item = &'a str>) -> Format {
    let ranges = accepted.flat_map(|value| value.split(','));
    let liked =
        ranges.filter_map(|range| Some((format_of(range)?, weight_of(range)))).filter(|(_, weight)| *weight > 0);
    // Of formats that are liked alike the one that was named first.
    liked
        .reduce(|best, next| if next.1 > best.1 { next } else { best })
        .map_or(Format::Prometheus, |(format, _)| format)
}

fn format_of(range: &str) -> Option<Format> {
    let kind = range.split(';').next()?.trim().to_ascii_lowercase();
    let version = parameter(range, "version");
    match (&*kind, version) {
        ("application/openmetrics-text", None | Some("1.0.0")) => Some(Format::OpenMetrics),
        ("text/plain", None | Some("0.0.4")) | ("text/*" | "*/*", None) => Some(Format::Prometheus),
        ("application/vnd.google.protobuf", None) => {
            let is_ours = parameter(range, "proto") == Some("io.prometheus.client.MetricFamily")
                && parameter(range, "encoding") == Some("delimited");
            is_ours.then_some(Format::Protobuf)
        }
        _ => None,
    }
}

/// In quotes or not.
fn parameter<'a>(range: &'a str, name: &str) -> Option<&'a str> {
    let mut named = range.split(';').skip(1).filter_map(|part| part.trim().split_once('='));
    named.find(|(held, _)| held.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim_matches('"'))
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use axum::Router;
    use axum::body::{Body, to_bytes};
    use axum::http::Request;
    use axum::routing::get;
    use bytes::Bytes;
    use flate2::read::GzDecoder;
    use tachograph_core::registry::Descriptor;
    use tower::ServiceExt;

    use super::*;
    use crate::app::Shared;
    use crate::options::Options;

    fn format(accepted: &str) -> Format {
        format_for([accepted].into_iter())
    }

    /// What Prometheus 2.42 sends with native histograms.
    const NATIVE: &str = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited,\
        application/openmetrics-text;version=1.0.0;q=0.8,application/openmetrics-text;version=0.0.1;q=0.75,\
        text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
    /// What Prometheus 3 sends.
    const NEWER: &str = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;\
        q=0.6,application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,text/plain;version=1.0.0;\
        escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1";

    #[test]
    fn scrapers_get_the_format_that_they_like_best() {
        use Format::{OpenMetrics, Prometheus, Protobuf};
        let prometheus = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
            text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        assert_eq!(format(prometheus), OpenMetrics);
        assert_eq!((format(NATIVE), format(NEWER)), (Protobuf, Protobuf));
        let protobuf = "application/vnd.google.protobuf";
        let quoted = [protobuf, "; proto=\"io.prometheus.client.MetricFamily\"; encoding=\"delimited\""].concat();
        assert_eq!(format(&quoted), Protobuf);
        assert_eq!(format(&[&quoted, ";q=0.3, text/plain;q=0.4"].concat()), Prometheus);
        assert_eq!(format(protobuf), Prometheus, "of a message that is not named");
        let as_text = [protobuf, ";proto=io.prometheus.client.MetricFamily;encoding=text"].concat();
        assert_eq!(format(&as_text), Prometheus, "of an encoding that is not written");
        assert_eq!(format("text/plain;version=0.0.4;q=0.5, application/openmetrics-text; q=0.4"), Prometheus);
        assert_eq!(format("application/openmetrics-text;version=0.0.1"), Prometheus, "of versions that are not spoken");
        assert_eq!((format(""), format("*/*"), format("text/html,*/*;q=0.8")), (Prometheus, Prometheus, Prometheus));
        assert_eq!(format("application/openmetrics-text;q=0, text/plain;q=0.1"), Prometheus);
        assert_eq!(format("application/openmetrics-text;q=many"), Prometheus);
    }

    /// A page's headers of these names, and its body.
    async fn page(app: &App, accept: &str, accept_encoding: &str) -> ([String; 3], Bytes) {
        let request = Request::get("/metrics")
            .header(header::ACCEPT, accept)
            .header(header::ACCEPT_ENCODING, accept_encoding)
            .body(Body::empty())
            .unwrap();
        // Alone, so that no tick changes anything.
        let router = Router::new().route("/metrics", get(metrics)).with_state(App::clone(app));
        let answer = router.oneshot(request).await.unwrap();
        let told = |name| answer.headers().get(name).map_or("", |value| value.to_str().unwrap()).to_owned();
        let head = [header::CONTENT_TYPE, header::CONTENT_ENCODING, header::VARY].map(told);
        (head, to_bytes(answer.into_body(), usize::MAX).await.unwrap())
    }

    #[tokio::test]
    async fn a_page_says_what_it_is_and_is_the_same_compressed() {
        let app = App::new(Shared::new(Default::default(), Options::default()).unwrap());
        let many = app.registry.counter(&Descriptor::new("many", "").label("by")).unwrap();
        (0..1_900).for_each(|by| many.with(&[("by", &format!("somebody-{by:0100}"))]).unwrap().inc());
        let protobuf = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited";
        let openmetrics = "application/openmetrics-text; version=1.0.0; charset=utf-8";
        for (accept, kind) in [(NATIVE, protobuf), ("application/openmetrics-text", openmetrics)] {
            let (head, plain) = page(&app, accept, "gzip;q=0, br").await;
            assert_eq!(head, [kind, "", "accept, accept-encoding"]);
            let (head, compressed) = page(&app, accept, "deflate, gzip").await;
            assert_eq!(head, [kind, "gzip", "accept, accept-encoding"]);
            let mut read = Vec::new();
            GzDecoder::new(&*compressed).read_to_end(&mut read).unwrap();
            assert!(read == plain && plain.len() > 3 * PIECE_BYTES && compressed.len() < plain.len() / 5);
        }
    }
}
