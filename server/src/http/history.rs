//! The past as a table: a row a tick, a column a figure, as JSON or CSV.

use std::fmt::Write as _;
use std::io;

use axum::extract::{Extension, RawQuery, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Serialize;
use tachograph_core::registry::Kind;
use tachograph_core::snapshot::{HistogramSnapshot, Value};
use tachograph_core::wire::frame::{Decoder, SeriesEntry, State as Frame};
use tokio::runtime::Handle;
use tokio::task::spawn_blocking;

use super::pieces::{PIECE_BYTES, Pieces, pieces};
use crate::access::Admission;
use crate::app::App;
use crate::clock::unix_millis;
use crate::error::ApiError;
use crate::hub::parse_span;

/// Frames that are taken from the past at once.
const FRAMES_AT_ONCE: usize = 64;
/// Metrics that can be asked for at once.
const METRICS_MAX: usize = 32;
const QUANTILES: [(&str, f64); 3] = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99)];

/// What is asked for.
#[derive(Debug)]
struct Query {
    from_ms: u64,
    to_ms: u64,
    /// Names; with a star at the end, beginnings of names. All if there are none.
    metrics: Vec<String>,
    is_csv: bool,
}

impl Query {
    fn parse(text: &str, headers: &HeaderMap) -> Result<Self, ApiError> {
        let now_ms = unix_millis();
        let accepted = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let mut query =
            Self { from_ms: 0, to_ms: u64::MAX, metrics: Vec::new(), is_csv: accepted.contains("text/csv") };
        for (name, value) in form_urlencoded::parse(text.as_bytes()) {
            match &*name {
                "from" => query.from_ms = moment(&value, now_ms)?,
                "to" => query.to_ms = moment(&value, now_ms)?,
                "metric" => query.metrics.extend(value.split(',').filter(|part| !part.is_empty()).map(Into::into)),
                "format" => query.is_csv = is_csv(&value)?,
                _ => return Err(ApiError::InvalidQuery("the query takes from, to, metric and format")),
            }
        }
        if query.metrics.len() > METRICS_MAX {
            return Err(ApiError::InvalidQuery("at most 32 `metric` can be asked for at once"));
        }
        Ok(query)
    }

    fn takes(&self, name: &str) -> bool {
        let fits = |wanted: &String| wanted.strip_suffix('*').map_or(name == wanted, |begin| name.starts_with(begin));
        self.metrics.is_empty() || self.metrics.iter().any(fits)
    }
}

fn is_csv(format: &str) -> Result<bool, ApiError> {
    match format {
        "csv" => Ok(true),
        "json" => Ok(false),
        _ => Err(ApiError::InvalidQuery("`format` is json or csv")),
    }
}

/// Unix seconds, or a time before now such as `-15m`, in milliseconds.
fn moment(text: &str, now_ms: u64) -> Result<u64, ApiError> {
    let ago = text.strip_prefix('-').map(|span| parse_span(span).map(|span| u64::from(span) * 1_000));
    let parsed = match ago {
        Some(ago) => ago.map(|ago| now_ms.saturating_sub(ago)),
        None => text.parse::<f64>().ok().filter(|seconds| *seconds >= 0.0).map(|seconds| (seconds * 1_000.0) as u64),
    };
    parsed.ok_or(ApiError::InvalidQuery("`from` and `to` are Unix seconds, or a time before now such as -15m"))
}

/// The figures of a span, a row a tick.
pub(super) async fn history(
    State(app): State<App>,
    admission: Option<Extension<Admission>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let query = Query::parse(&query.unwrap_or_default(), &headers)?;
    let begin = Begin::find(&app, &query).ok_or(ApiError::NotYet)?;
    let permit = app.place(&app.history_readers)?;
    let content_type = if query.is_csv { "text/csv; charset=utf-8" } else { "application/json" };
    let Extension(admission) = admission.unwrap_or_default();
    let (pieces, body) = pieces(admission);
    spawn_blocking(move || {
        let _permit = permit;
        let mut out = Out { pieces, held: String::new() };
        if let Err(error) = write(&app, &query, &begin, &mut out).and_then(|()| out.end()) {
            tracing::debug!(%error, "a table of the past was not written to its end");
        }
    });
    let head = [(header::CONTENT_TYPE, content_type), (header::CACHE_CONTROL, "no-store")];
    Ok((head, body).into_response())
}

/// A frame that is to come is not there any more.
pub(super) fn let_go() -> io::Error {
    io::Error::other("it was read slower than the server lets go of it")
}

/// Text that goes out piece by piece, no faster than it is read.
struct Out {
    pieces: Pieces,
    held: String,
}

impl Out {
    fn pass_on(&mut self, at_least: usize) -> io::Result<()> {
        if self.held.len() < at_least || self.held.is_empty() {
            return Ok(());
        }
        let piece = std::mem::take(&mut self.held);
        Handle::current().block_on(self.pieces.send(piece.into()))
    }

    fn end(self) -> io::Result<()> {
        Handle::current().block_on(self.pieces.end())
    }

    fn push(&mut self, text: &str) {
        self.held.push_str(text);
    }

    fn push_json(&mut self, value: &impl Serialize) -> io::Result<()> {
        self.held.push_str(&serde_json::to_string(value)?);
        Ok(())
    }
}

/// A column of the table.
#[derive(Debug, Serialize)]
struct Column {
    /// Such as `audio_bytes_received{source="mic"}`.
    name: String,
    unit: String,
    #[serde(skip)]
    series: SeriesEntry,
    #[serde(skip)]
    reading: Reading,
}

/// What of a series a column shows.
#[derive(Clone, Copy, Debug)]
enum Reading {
    Figure,
    Count,
    Sum,
    /// Of the values recorded since the row before.
    Quantile(f64),
}

/// What the past is read from, and until where: what comes meanwhile is not of it.
struct Begin {
    schema: Bytes,
    keyframe: Bytes,
    seq: u64,
    /// The last frame's. By number: where the clock was set forth and back again, later frames are of an earlier time.
    last: u64,
}

impl Begin {
    fn find(app: &App, query: &Query) -> Option<Self> {
        app.hub.whole().with_history(|history| {
            let entry = history.keyframe_for(history.first_at(query.from_ms))?;
            let last = history.last_at(query.to_ms);
            Some(Self { schema: history.schema(), keyframe: entry.keyframe.clone()?, seq: entry.seq, last })
        })
    }
}

fn write(app: &App, query: &Query, begin: &Begin, out: &mut Out) -> io::Result<()> {
    let mut decoder = Decoder::default();
    for part in [&begin.schema, &begin.keyframe] {
        decoder.decode(part).map_err(io::Error::other)?;
    }
    let columns = columns(&decoder, query);
    write_head(app, &columns, query, out)?;
    let mut table = Table { columns, before: Vec::new(), rows: 0 };
    table.write_row(decoder.state(), query, out)?;
    let mut next = begin.seq + 1;
    while next <= begin.last {
        let frames = frames(app, next, begin.last).ok_or_else(let_go)?;
        for (frame, _) in &frames {
            decoder.decode(frame).map_err(io::Error::other)?;
            table.write_row(decoder.state(), query, out)?;
            out.pass_on(PIECE_BYTES)?;
        }
        next += frames.len() as u64;
    }
    if !query.is_csv {
        out.push("\n]}\n");
    }
    out.pass_on(0)
}

/// Some of the frames up to `last`, each with its keyframe; None where the next one was let go.
pub(super) fn frames(app: &App, next: u64, last: u64) -> Option<Vec<(Bytes, Option<Bytes>)>> {
    // In parts, so that the tick does not wait.
    app.hub.whole().with_history(|history| {
        history.oldest().filter(|oldest| oldest.seq <= next)?;
        let frames = history.from(next).take_while(|entry| entry.seq <= last).take(FRAMES_AT_ONCE);
        let frames: Vec<_> = frames.map(|entry| (entry.frame.clone(), entry.keyframe.clone())).collect();
        (!frames.is_empty()).then_some(frames)
    })
}

fn columns(decoder: &Decoder, query: &Query) -> Vec<Column> {
    let schema = decoder.state().schema();
    let mut families: Vec<_> =
        schema.families().iter().filter(|family| query.takes(family.descriptor.name())).collect();
    families.sort_by(|one, other| one.descriptor.name().cmp(other.descriptor.name()));
    let mut columns = Vec::new();
    for family in families {
        for series in family.series.iter().filter_map(|number| schema.series().get(*number as usize)) {
            let labels = family.descriptor.label_names().iter().map(String::as_str).zip(series.labels.iter());
            let labels = label_text(labels);
            let unit = family.descriptor.unit_name();
            let name = family.descriptor.name();
            let column = |suffix: &str, unit: &str, reading| Column {
                name: format!("{name}{suffix}{labels}"),
                unit: unit.into(),
                series: series.clone(),
                reading,
            };
            if family.kind == Kind::Histogram {
                columns.extend([column("_count", "", Reading::Count), column("_sum", unit, Reading::Sum)]);
                let quantiles =
                    QUANTILES.map(|(name, share)| column(&format!("_{name}"), unit, Reading::Quantile(share)));
                columns.extend(quantiles);
            } else {
                columns.push(column("", unit, Reading::Figure));
            }
        }
    }
    columns
}

fn label_text<'a>(labels: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let mut text = String::new();
    for (name, value) in labels {
        text.push(if text.is_empty() { '{' } else { ',' });
        let escaped = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        // A String takes everything.
        let _never_fails = write!(text, "{name}=\"{escaped}\"");
    }
    if !text.is_empty() {
        text.push('}');
    }
    text
}

fn write_head(app: &App, columns: &[Column], query: &Query, out: &mut Out) -> io::Result<()> {
    if query.is_csv {
        out.push("timestamp,seq,tick");
        for column in columns {
            out.push(",");
            out.push(&csv_text(&column.name));
        }
        out.push("\n");
    } else {
        out.push("{\"epoch\":");
        out.push_json(&app.epoch.to_string())?;
        out.push(",\"columns\":[{\"name\":\"timestamp\",\"unit\":\"s\"},{\"name\":\"seq\",\"unit\":\"\"},{\"name\":\"tick\",\"unit\":\"\"}");
        for column in columns {
            out.push(",");
            out.push_json(column)?;
        }
        out.push("],\"rows\":[");
    }
    Ok(())
}

/// A text as a cell in quotes, in one line. What a spreadsheet would take for a formula is marked as text, also by one that
/// separates cells by semicolons and finds no quotes where it looks for them.
fn csv_text(text: &str) -> String {
    let line = text.replace(char::is_control, " ");
    let marked = line.split(';').map(|cell| if is_formula(cell) { format!("'{cell}") } else { cell.to_owned() });
    format!("\"{}\"", marked.collect::<Vec<_>>().join(";").replace('"', "\"\""))
}

fn is_formula(cell: &str) -> bool {
    cell.trim_start_matches([' ', '"']).starts_with(['=', '+', '-', '@'])
}

/// The rows, and what quantiles need of the one before.
struct Table {
    columns: Vec<Column>,
    /// For each column of a quantile, its histogram at the row before.
    before: Vec<Option<HistogramSnapshot>>,
    rows: u64,
}

impl Table {
    fn write_row(&mut self, frame: &Frame, query: &Query, out: &mut Out) -> io::Result<()> {
        let head = frame.head();
        let is_wanted = (query.from_ms..=query.to_ms).contains(&head.wall_ms);
        self.before.resize_with(self.columns.len(), || None);
        let (begin, end) = if query.is_csv { ("", "\n") } else { (if self.rows == 0 { "\n[" } else { ",\n[" }, "]") };
        let mut row = format!("{begin}{:?},{},{}", head.wall_ms as f64 / 1_000.0, head.seq, head.tick);
        for (column, before) in self.columns.iter().zip(&mut self.before) {
            row.push(',');
            match cell(frame, column, before) {
                Some(text) => row.push_str(&text),
                None if query.is_csv => {}
                None => row.push_str("null"),
            }
        }
        row.push_str(end);
        if is_wanted {
            self.rows += 1;
            out.push(&row);
        }
        Ok(())
    }
}

/// A figure as text that both JSON and CSV take; None where there is none.
fn cell(frame: &Frame, column: &Column, before: &mut Option<HistogramSnapshot>) -> Option<String> {
    let text = |figure: f64| figure.is_finite().then(|| format!("{figure:?}"));
    match (frame.value(&column.series)?, column.reading) {
        (Value::Counter(total), _) => Some(total.to_string()),
        (Value::Gauge(gauge), _) => text(gauge.value()),
        (Value::Histogram(histogram), Reading::Count) => Some(histogram.count().to_string()),
        (Value::Histogram(histogram), Reading::Sum) => text(histogram.sum()),
        (Value::Histogram(histogram), Reading::Quantile(share)) => {
            let since = before.as_ref().and_then(|before| histogram.since(before).ok());
            *before = Some(*histogram);
            since.filter(|since| since.count() > 0).and_then(|since| text(since.quantile(share)))
        }
        (Value::Histogram(_), Reading::Figure) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_spreadsheet_takes_a_cell_for_a_formula_or_a_row() {
        for text in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"] {
            assert!(csv_text(text).starts_with("\"'"), "{text:?}");
        }
        let labels = label_text([("source", "=cmd|' /C calc'!A0\"\r\n=1,\t2\u{1b}")].into_iter());
        let cell = csv_text(&format!("frames{labels}"));
        assert_eq!(cell, "\"frames{source=\"\"=cmd|' /C calc'!A0\\\"\" \\n=1, 2 \"\"}\"");
        assert_eq!(csv_text("a,b"), "\"a,b\"");
    }

    #[tokio::test]
    async fn a_table_ends_when_its_reader_is_not_let_in_any_more() {
        let tacho = crate::Tachograph::new().unwrap();
        let app = App::clone(&tacho.0);
        crate::hub::keep_ticking(&app);
        let revoked = tokio_util::sync::CancellationToken::new();
        let asked = async || {
            let admission = Some(Extension(Admission::until(revoked.clone())));
            history(State(app.clone()), admission, RawQuery(None), HeaderMap::new()).await
        };
        let read = async |answer: Response| axum::body::to_bytes(answer.into_body(), usize::MAX).await;
        for _ in 0..200 {
            if asked().await.is_ok() {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        assert!(read(asked().await.unwrap()).await.is_ok());
        revoked.cancel();
        assert!(read(asked().await.unwrap()).await.is_err());
    }

    #[test]
    fn no_spreadsheet_that_separates_by_semicolons_takes_a_cell_for_a_formula() {
        for value in ["x;=1+1;y", "x; +1;@SUM(A1)", "x;\t-1", "x;\"=1+1\";", ";;=1"] {
            for text in [value.to_owned(), label_text([("by", value)].into_iter())] {
                let line = format!("timestamp,seq,tick,{}", csv_text(&text));
                let cells: Vec<_> = line.split(';').map(|cell| cell.trim_matches([' ', '"'])).collect();
                assert!(cells.len() > 1 && !cells.iter().any(|cell| cell.starts_with(['=', '+', '-', '@'])), "{line}");
            }
        }
        assert_eq!(csv_text("a;b"), "\"a;b\"");
    }
}
