use std::collections::HashMap;
use std::io::{self, Write};

use tachograph_core::registry::Kind;
use tachograph_core::snapshot::Value;
use tachograph_core::wire::frame::{Filter, State};
use tachograph_core::wire::{Event, EventKind, Metrics, SessionState};

use super::super::shown;

/// Frames as lines for a person.
pub(super) struct Text {
    shows_metrics: bool,
    shows_sessions: bool,
    filter: Filter,
    /// The figure of each series when it was printed.
    printed: HashMap<String, f64>,
    last: Option<(u64, u64)>,
}

impl Text {
    pub(super) fn new(shows_metrics: bool, shows_sessions: bool, filter: Filter) -> Self {
        Self { shows_metrics, shows_sessions, filter, printed: HashMap::new(), last: None }
    }

    /// Another start of the server: all counts began anew.
    pub(super) fn restart(&mut self) {
        self.printed.clear();
        self.last = None;
    }

    pub(super) fn print(&mut self, out: &mut impl Write, state: &State) -> io::Result<()> {
        self.print_missing(out, state)?;
        let (head, server) = (state.head(), state.server());
        let sessions =
            if self.shows_sessions { format!("  sessions {}", state.sessions().len()) } else { String::new() };
        writeln!(
            out,
            "{}  tick {}{sessions}  viewers {}  lag {:.1} ms",
            clock(head.wall_ms),
            head.tick,
            server.viewers,
            server.tick_lag_ms
        )?;
        if self.shows_sessions {
            state.events().iter().try_for_each(|event| print_event(out, event))?;
            state.sessions().try_for_each(|session| print_session(out, &session))?;
        }
        if self.shows_metrics {
            self.print_metrics(out, state)?;
        }
        out.flush()
    }

    /// Ticks that the server missed, and frames that did not come.
    fn print_missing(&mut self, out: &mut impl Write, state: &State) -> io::Result<()> {
        let head = state.head();
        let before = self.last.replace((head.seq, head.tick));
        let Some((seq, tick)) = before.filter(|(seq, tick)| *seq < head.seq && *tick < head.tick) else {
            return Ok(());
        };
        let (frames, ticks) = (head.seq - seq - 1, head.tick - tick - 1);
        if frames > 0 {
            writeln!(out, "-- {frames} frames did not come")?;
        }
        if ticks > frames {
            writeln!(out, "-- the server missed {} ticks", ticks - frames)?;
        }
        Ok(())
    }

    /// The series that changed, with what they changed by.
    fn print_metrics(&mut self, out: &mut impl Write, state: &State) -> io::Result<()> {
        let registry = state.registry();
        for (family, series) in registry.all_series() {
            if !self.filter.takes(&family.descriptor, &series.labels) {
                continue;
            }
            let labels: Vec<String> = family.labels(series).map(|(name, value)| format!("{name}={value:?}")).collect();
            let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
            let name = format!("{}{labels}", shown::text(family.name()));
            let figure = figure(&series.value);
            let before = self.printed.insert(name.clone(), figure);
            if before == Some(figure) {
                continue;
            }
            let unit = family.descriptor.unit_name();
            let unit = shown::text(if unit.is_empty() || family.kind == Kind::Histogram { "" } else { unit });
            let change = before.map(|before| format!("  {:+}", round(figure - before))).unwrap_or_default();
            writeln!(out, "  {name} {} {unit}{change}{}", round(figure), quantiles(&series.value))?;
        }
        Ok(())
    }
}

/// A histogram's count stands for it.
fn figure(value: &Value) -> f64 {
    match value {
        Value::Counter(total) => *total as f64,
        Value::Gauge(gauge) => gauge.value(),
        Value::Histogram(histogram) => histogram.count() as f64,
    }
}

fn quantiles(value: &Value) -> String {
    let Some(histogram) = value.histogram().filter(|histogram| histogram.count() > 0) else { return String::new() };
    let [p50, p99] = [0.5, 0.99].map(|share| round(histogram.quantile(share)));
    format!("  p50 {p50}  p99 {p99}")
}

fn round(figure: f64) -> f64 {
    // Zero has no sign.
    (figure * 1e6).round() / 1e6 + 0.0
}

fn print_session(out: &mut impl Write, session: &SessionState) -> io::Result<()> {
    let name = session.identity.session_id.as_deref().unwrap_or("unnamed");
    for source in &session.sources {
        let Metrics { backlog_seconds, realtime_factor, avg_infer_ms, dropped_total, provider, .. } = source;
        let fill = source.queue_fill_ratio * 100.0;
        let level = source.degrade_level.map_or("no level", |level| level.as_str());
        writeln!(
            out,
            "  {name:?} {}  fill {fill:.0} %  backlog {backlog_seconds:.2} s  rtf {realtime_factor:.2}  \
             inference {avg_infer_ms:.1} ms  drops {dropped_total}  {level}  {} {}",
            source.source,
            shown::text(provider),
            format!("{:?}", source.provider_state).to_lowercase(),
        )?;
    }
    Ok(())
}

/// Names that clients chose are quoted and escaped: they must not move a terminal's cursor.
fn print_event(out: &mut impl Write, event: &Event) -> io::Result<()> {
    let whose = event.session_id.as_ref().map(|name| format!("{name:?} ")).unwrap_or_default();
    let what = match &event.kind {
        EventKind::SessionStarted => "session started".into(),
        EventKind::SessionEnded => "session ended".into(),
        EventKind::Status(status) => {
            let source = status.source.map(|source| format!("{source}: ")).unwrap_or_default();
            let drops = status.dropped_frames.map(|frames| format!(" ({frames} frames)")).unwrap_or_default();
            format!("{source}{}{drops}", shown::text(&status.message))
        }
        EventKind::Fault(fault) => format!("{}: {}", fault.code, shown::text(&fault.message)),
        EventKind::CollectorRestarted => "the server's collector failed and was restarted".into(),
        _ => "something that this version does not know".into(),
    };
    writeln!(out, "  ! {} {whose}{what}", clock((event.timestamp * 1_000.0).round() as u64))
}

/// The time of day in UTC.
fn clock(wall_ms: u64) -> String {
    let (seconds, millis) = (wall_ms / 1_000 % 86_400, wall_ms % 1_000);
    format!("{:02}:{:02}:{:02}.{millis:03}Z", seconds / 3_600, seconds / 60 % 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tachograph_core::registry::{Descriptor, Registry};
    use tachograph_core::wire::frame::{Decoder, Encoder, Tick};

    fn printed(text: &mut Text, decoder: &Decoder) -> String {
        let mut out = Vec::new();
        text.print(&mut out, decoder.state()).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_frame_is_a_line_and_what_changed() {
        let registry = Registry::new();
        let frames = registry.counter(&Descriptor::new("frames", "Frames").unit("frames").label("source")).unwrap();
        let frames = frames.bind(&[("source", "mic")]).unwrap();
        let (mut encoder, mut decoder) = (Encoder::new(), Decoder::default());
        let mut text = Text::new(true, true, Filter::default());
        let mut told = Vec::new();
        for tick in [1, 2, 5] {
            frames.add(7);
            let (snapshot, mut record) = (registry.snapshot(), Vec::new());
            let event = Event {
                timestamp: 3_661.5,
                session: Some(1),
                session_id: Some("a\u{1b}[2J".into()),
                kind: EventKind::SessionStarted,
                receipt: None,
            };
            let input = Tick { tick, wall_ms: 3_661_500 + tick * 1_000, events: &[event], ..Tick::of(&snapshot) };
            encoder.encode(&input, &mut record);
            decoder.decode(&record).unwrap();
            told.push(printed(&mut text, &decoder));
        }
        assert_eq!(
            told[1],
            "01:01:03.500Z  tick 2  sessions 0  viewers 0  lag 0.0 ms\n  ! 01:01:01.500Z \"a\\u{1b}[2J\" session \
             started\n  frames{source=\"mic\"} 14 frames  +7\n"
        );
        assert!(told[2].starts_with("-- the server missed 2 ticks\n"), "{}", told[2]);
    }

    #[test]
    fn nothing_that_a_recording_holds_moves_the_cursor_or_makes_a_line() {
        use tachograph_core::wire::{ErrorCode, ErrorMessage, Status, StatusState};

        const HOSTILE: &str = "gone\u{1b}[2J\u{9b}1A\r\n01:01:03.500Z  tick 9\u{202e}";
        let mut out = Vec::new();
        let fault = ErrorMessage { code: ErrorCode::Internal, message: HOSTILE.into(), fatal: false };
        let status = Status::new(StatusState::Warning, HOSTILE);
        for kind in [EventKind::Fault(fault), EventKind::Status(status)] {
            let session_id = Some(HOSTILE.into());
            print_event(&mut out, &Event { timestamp: 0.0, session: None, session_id, kind, receipt: None }).unwrap();
        }
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text.lines().count(), 2, "{text:?}");
        assert!(!text.contains(['\u{1b}', '\u{9b}', '\r', '\u{202e}']), "{text:?}");
    }
}
