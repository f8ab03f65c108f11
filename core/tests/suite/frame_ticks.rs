//! A server that does at random whatever it may, as some bytes have it, and the laws of its stream: who
//! reads it from the start, who joins at a keyframe, and who reads through a sieve all hold what it said.
//! The fuzzer and the suite run the same.

use arbitrary::{Result, Unstructured};
use serde_json::Value;
use tachograph_core::registry::{Aggregation, CounterFamily, Descriptor, GaugeFamily, HistogramFamily};
use tachograph_core::session::{Action, Level};
use tachograph_core::wire::frame::{Decoder, Filter, Record, ServerFigures, Sieve};
use tachograph_core::wire::{
    ClientFeatures, ErrorCode, ErrorMessage, Event, EventKind, Identity, Metrics, ProviderState, SessionPhase,
    SessionState, SourceName, Status, StatusState, rounded,
};

use crate::frame_support::{Said, Server, add_source, assert_views, json, session, silent, text};

const TICKS_MAX: usize = 40;
const NAMES: [&str; 8] = ["frames", "a", "zz", "lag", "time", "_", "Depth", "frames_total"];
const SOURCES: [&str; 6] = ["mic", "system", "a", "radio-2", "0", "z_z"];

/// Runs a server as the bytes have it. Without bytes left it does nothing.
///
/// # Panics
/// A law does not hold.
pub(crate) fn run(bytes: &[u8]) {
    let mut choices = Unstructured::new(bytes);
    let _ran_out = Run::new().ticks(&mut choices);
}

struct Run {
    server: Server,
    families: Vec<Family>,
    last_session: u64,
    /// From the start, and from some keyframe on.
    readers: Vec<Decoder>,
    /// One that lets all through, with who reads it.
    open: (Sieve, Decoder),
    /// Two of one filter, from the start and from some keyframe on.
    narrow: Vec<Sieve>,
    filter: Filter,
}

enum Family {
    Counter(CounterFamily, Vec<&'static str>),
    Gauge(GaugeFamily, Vec<&'static str>),
    Histogram(HistogramFamily, Vec<&'static str>),
}

impl Run {
    fn new() -> Self {
        let everything = Filter { prefixes: vec![String::new()], ..Filter::default() };
        Self {
            server: Server::new(),
            families: Vec::new(),
            last_session: 0,
            readers: vec![Decoder::default()],
            open: (Sieve::new(everything), Decoder::default()),
            narrow: Vec::new(),
            filter: Filter::default(),
        }
    }

    fn ticks(&mut self, choices: &mut Unstructured<'_>) -> Result<()> {
        self.filter = filter(choices)?;
        self.narrow.push(Sieve::new(self.filter.clone()));
        for _ in 0..TICKS_MAX {
            if choices.is_empty() {
                break;
            }
            self.change(choices)?;
            let said = self.server.say();
            self.check(&said);
            if choices.ratio(1, 6)? {
                self.join();
            }
        }
        Ok(())
    }

    fn join(&mut self) {
        let records = self.server.join();
        let mut late = Decoder::default();
        late.decode(&records).unwrap();
        assert_eq!(text(&late), text(&self.readers[0]));
        self.readers.push(late);
        let mut sieve = Sieve::new(self.filter.clone());
        for record in Record::all(&records) {
            sieve.take(&record.unwrap(), &mut Vec::new()).unwrap();
        }
        let [early, late] = [&mut self.narrow[0], &mut sieve].map(|sieve| {
            let mut records = Vec::new();
            sieve.encoder().write_schema(&mut records);
            sieve.encoder().write_keyframe(&mut records);
            records
        });
        assert_eq!(early, late, "keyframes of two sieves");
        self.narrow.push(sieve);
        if self.readers.len() > 4 {
            self.readers.remove(1);
            self.narrow.remove(1);
        }
    }

    fn check(&mut self, said: &Said) {
        for reader in &mut self.readers {
            assert_eq!(reader.decode(&said.record), Ok(1));
        }
        let (sieve, reader) = &mut self.open;
        let mut left = Vec::new();
        for record in Record::all(&said.record) {
            sieve.take(&record.unwrap(), &mut left).unwrap();
        }
        assert_eq!(reader.decode(&left), Ok(1));
        // The text tells every bit, and takes its time: of the first reader, and of one of the others.
        let expected = json(&said.plain);
        assert_eq!(text(&self.readers[0]), expected);
        assert_views(self.readers[0].state());
        let others = self.readers[1..].iter().chain([&*reader]);
        let other = others.cycle().nth(self.server.tick as usize % self.readers.len());
        assert_eq!(other.map(text), Some(expected));
        let left = self.narrow.iter_mut().map(|sieve| {
            let mut left = Vec::new();
            for record in Record::all(&said.record) {
                sieve.take(&record.unwrap(), &mut left).unwrap();
            }
            left
        });
        let left: Vec<_> = left.collect();
        assert!(left.iter().all(|late| *late == left[0]), "deltas of two sieves");
    }

    // ---- what happens between two ticks

    fn change(&mut self, choices: &mut Unstructured<'_>) -> Result<()> {
        let server = &mut self.server;
        if choices.ratio(1, 8)? {
            server.tick += choices.int_in_range(0..=3)?;
            server.monotonic_us += choices.int_in_range(0..=5_000_000)?;
            server.wall_ms = server.wall_ms.saturating_add_signed(choices.int_in_range(-100_000..=100_000)?);
            server.server = ServerFigures {
                viewers: choices.arbitrary()?,
                tick_lag_ms: float(choices)?,
                ticks_missed: choices.arbitrary()?,
            };
            server.snapshot_seconds = float(choices)?;
        }
        for _ in 0..choices.int_in_range(0..=4)? {
            self.count(choices)?;
        }
        if choices.ratio(1, 3)? {
            self.change_sessions(choices)?;
        }
        for _ in 0..choices.int_in_range(0..=2)? {
            let event = self.event(choices)?;
            self.server.events.push(event);
        }
        if choices.ratio(1, 8)? {
            self.server.events_dropped = choices.arbitrary()?;
        }
        Ok(())
    }

    fn count(&mut self, choices: &mut Unstructured<'_>) -> Result<()> {
        if self.families.is_empty() || choices.ratio(1, 5)? {
            return self.register(choices);
        }
        let place = choices.choose_index(self.families.len())?;
        let family = &self.families[place];
        let (Family::Counter(_, names) | Family::Gauge(_, names) | Family::Histogram(_, names)) = family;
        let mut labels = Vec::new();
        for name in names {
            labels.push((*name, label(choices)?));
        }
        let labels: Vec<(&str, &str)> = labels.iter().map(|(name, value)| (*name, &**value)).collect();
        match family {
            Family::Counter(counter, _) => {
                if let Ok(series) = counter.with(&labels) {
                    series.add(number(choices)?);
                }
            }
            Family::Gauge(gauge, _) => {
                if let Ok(series) = gauge.with(&labels) {
                    series.set(float(choices)?);
                }
            }
            Family::Histogram(histogram, _) => {
                let Ok(series) = histogram.with(&labels) else { return Ok(()) };
                for _ in 0..choices.int_in_range(0..=5)? {
                    series.record(if choices.ratio(1, 20)? { f64::NAN } else { float(choices)? });
                }
            }
        }
        Ok(())
    }

    fn register(&mut self, choices: &mut Unstructured<'_>) -> Result<()> {
        let mut descriptor = Descriptor::new(choices.choose(&NAMES)?, choices.choose(&["", "Wäit"])?);
        let names: Vec<&str> = ["source", "kind"][..choices.int_in_range(0..=2)?].to_vec();
        for name in &names {
            descriptor = descriptor.label(name);
        }
        let registry = &self.server.registry;
        self.families.extend(match choices.int_in_range(0..=2)? {
            0 => registry.counter(&descriptor).ok().map(|family| Family::Counter(family, names)),
            1 => {
                let rule =
                    choices.choose(&[Aggregation::Sum, Aggregation::Max, Aggregation::Min, Aggregation::Last])?;
                let descriptor = descriptor.unit("s").aggregation(*rule);
                registry.gauge(&descriptor).ok().map(|family| Family::Gauge(family, names))
            }
            _ => {
                let bounds: &[f64] = choices.choose(&[&[][..], &[0.0], &[-1.5, 1.0, 2.5e10]])?;
                let descriptor = descriptor.bounds(bounds).scale(choices.int_in_range(0..=6)?);
                registry.histogram(&descriptor).ok().map(|family| Family::Histogram(family, names))
            }
        });
        Ok(())
    }

    fn change_sessions(&mut self, choices: &mut Unstructured<'_>) -> Result<()> {
        let sessions = &mut self.server.sessions;
        if !sessions.is_empty() && choices.ratio(1, 8)? {
            sessions.remove(choices.choose_index(sessions.len())?);
        }
        if sessions.len() < 70 && choices.ratio(1, 4)? {
            for _ in 0..if choices.ratio(1, 20)? { 66 } else { 1 } {
                self.last_session += choices.int_in_range(1..=300)?;
                let mut new = session(self.last_session);
                new.identity = Identity {
                    session_id: maybe(choices, label)?,
                    attempt_id: maybe(choices, label)?,
                    connection_id: maybe(choices, label)?,
                };
                sessions.push(new);
            }
        }
        let now = self.server.wall_ms;
        for (place, held) in self.server.sessions.iter_mut().enumerate() {
            // Many sessions take their time, and few of them show all that sources do.
            change_session(held, now, place % 16 < 3, choices)?;
        }
        Ok(())
    }

    fn event(&mut self, choices: &mut Unstructured<'_>) -> Result<Event> {
        let mut receipt = None;
        let kind = match choices.int_in_range(0..=4)? {
            0 => EventKind::SessionStarted,
            1 => {
                receipt = maybe(choices, |choices| value(choices, 4))?.map(Into::into);
                EventKind::SessionEnded
            }
            2 => EventKind::Status(status(choices)?),
            3 => EventKind::Fault(ErrorMessage {
                code: *choices.choose(&[ErrorCode::InvalidJson, ErrorCode::ProviderFailed, ErrorCode::Internal])?,
                message: label(choices)?.into(),
                fatal: choices.arbitrary()?,
            }),
            _ => EventKind::CollectorRestarted,
        };
        let session = maybe(choices, |choices| Ok(number(choices)? >> 1))?;
        let timestamp = moment(self.server.wall_ms, choices)?;
        Ok(Event { timestamp, session, session_id: maybe(choices, label)?, kind, receipt })
    }
}

fn change_session(
    held: &mut SessionState,
    wall_ms: u64,
    gains_sources: bool,
    choices: &mut Unstructured<'_>,
) -> Result<()> {
    if !choices.ratio(1, 3)? {
        // As is foreseen.
        held.age_seconds = rounded(held.age_seconds + 1.0, 1);
    } else {
        held.age_seconds = float(choices)?;
        held.ticks_sent = number(choices)?;
        (held.ticks_conflated, held.ticks_missed) = (number(choices)?, number(choices)?);
        held.phase = if choices.arbitrary()? { SessionPhase::Draining } else { SessionPhase::Streaming };
    }
    if gains_sources && choices.ratio(1, 4)? {
        let source = SourceName::parse(choices.choose(&SOURCES)?).map_err(|_| arbitrary::Error::IncorrectFormat)?;
        if held.sources.iter().all(|metrics| metrics.source != source) {
            add_source(held, silent(source, rounded(wall_ms as f64 / 1_000.0, 3)));
        }
    }
    for metrics in &mut held.sources {
        metrics.timestamp = moment(wall_ms, choices)?;
        metrics.tick = metrics.tick.saturating_add(1);
        metrics.bytes_received = metrics.bytes_received.saturating_add(32_000);
        if choices.ratio(1, 3)? {
            change_figures(metrics, choices)?;
        }
    }
    Ok(())
}

fn change_figures(metrics: &mut Metrics, choices: &mut Unstructured<'_>) -> Result<()> {
    let m = metrics;
    let counts: [&mut u64; 14] = [
        &mut m.tick,
        &mut m.queue_bytes,
        &mut m.queue_bytes_max,
        &mut m.queue_depth,
        &mut m.queue_max_frames,
        &mut m.dropped_total,
        &mut m.dropped_recent,
        &mut m.dropped_chunks_last_10s,
        &mut m.speech_chunks_emitted,
        &mut m.total_chunks_processed,
        &mut m.bytes_received,
        &mut m.bytes_processed,
        &mut m.bytes_dropped,
        &mut m.bytes_in_provider,
    ];
    for count in counts {
        if choices.ratio(1, 4)? {
            *count = number(choices)?;
        }
    }
    m.queue_max = m.queue_max_frames;
    let figures: [&mut f64; 11] = [
        &mut m.queue_fill_ratio,
        &mut m.backlog_seconds,
        &mut m.max_backlog_seconds,
        &mut m.avg_infer_ms,
        &mut m.avg_processing_ms,
        &mut m.infer_p50_ms,
        &mut m.infer_p99_ms,
        &mut m.realtime_factor,
        &mut m.speech_ratio,
        &mut m.source_clock_spread_ms,
        &mut m.max_source_clock_spread_ms,
    ];
    for figure in figures {
        if choices.ratio(1, 4)? {
            *figure = float(choices)?;
        }
    }
    m.voice_ratio = maybe(choices, float)?;
    m.rtf_avg_10s = maybe(choices, float)?;
    let flags: [&mut bool; 5] = [
        &mut m.vad_enabled,
        &mut m.client_clock_drift_compensation_enabled,
        &mut m.client_vad_enabled,
        &mut m.client_clock_drift_telemetry_enabled,
        &mut m.client_vad_telemetry_enabled,
    ];
    let bits: u8 = choices.arbitrary()?;
    flags.into_iter().enumerate().for_each(|(bit, flag)| *flag = bits >> bit & 1 == 1);
    let states = [ProviderState::Idle, ProviderState::Running, ProviderState::Stalled, ProviderState::Failed];
    m.provider_state = *choices.choose(&states)?;
    m.degrade_level = maybe(choices, level)?;
    m.degrade_level_num = m.degrade_level.map(Level::number);
    if choices.ratio(1, 6)? {
        (m.provider, m.model_id) = (label(choices)?, label(choices)?);
    }
    if choices.ratio(1, 6)? {
        m.provider_health = maybe(choices, |choices| value(choices, 4))?.map(Into::into);
    }
    Ok(())
}

fn status(choices: &mut Unstructured<'_>) -> Result<Status> {
    let mut status = Status::new(
        *choices.choose(&[StatusState::Connected, StatusState::Backpressure, StatusState::Reconnecting])?,
        choices.choose(&["", "Audio was dropped"])?,
    );
    status.source = maybe(choices, |choices| {
        SourceName::parse(choices.choose(&SOURCES)?).map_err(|_| arbitrary::Error::IncorrectFormat)
    })?;
    status.backlog_seconds = maybe(choices, float)?;
    status.dropped_frames = maybe(choices, number)?;
    status.dropped_seconds = maybe(choices, float)?;
    status.dropped_total = maybe(choices, number)?;
    status.degrade_level = maybe(choices, level)?;
    status.action = maybe(choices, |choices| Ok(*choices.choose(&[Action::ExtendChunk, Action::LeaveFallback])?))?;
    status.client_features = maybe(choices, |choices| {
        Ok(ClientFeatures {
            clock_drift_compensation_enabled: choices.arbitrary()?,
            client_vad_enabled: choices.arbitrary()?,
            clock_drift_telemetry_enabled: choices.arbitrary()?,
            client_vad_telemetry_enabled: choices.arbitrary()?,
        })
    })?;
    Ok(status)
}

fn filter(choices: &mut Unstructured<'_>) -> Result<Filter> {
    let prefixes = maybe(choices, |choices| Ok((*choices.choose(&["f", "", "time", "Z"])?).into()))?;
    let labels = maybe(choices, |choices| Ok(("source".to_string(), label(choices)?)))?;
    let sessions = choices.ratio(2, 3)?;
    Ok(Filter { sessions, prefixes: prefixes.into_iter().collect(), labels: labels.into_iter().collect() })
}

// ---- values

/// Any finite float: decimals as figures are, and any bits.
fn float(choices: &mut Unstructured<'_>) -> Result<f64> {
    Ok(match choices.int_in_range(0..=4)? {
        0 => 0.0,
        1 => rounded(f64::from(choices.arbitrary::<i16>()?) / 100.0, 2),
        2 => f64::from(choices.arbitrary::<i32>()?) * 1e-6,
        3 => choices.arbitrary::<i64>()? as f64,
        _ => Some(f64::from_bits(choices.arbitrary()?)).filter(|value| value.is_finite()).unwrap_or(-0.0),
    })
}

/// Any number, mostly a small one.
fn number(choices: &mut Unstructured<'_>) -> Result<u64> {
    let number: u64 = choices.arbitrary()?;
    Ok(number >> choices.choose(&[0, 30, 50, 58, 63])?)
}

fn label(choices: &mut Unstructured<'_>) -> Result<String> {
    Ok(match choices.int_in_range(0..=4)? {
        0 => "mic".into(),
        1 => "system".into(),
        2 => "ä".repeat(choices.int_in_range(0..=200)?),
        3 => choices.int_in_range(0..=40_u8)?.to_string(),
        _ => choices.arbitrary::<&str>()?.chars().take(100).collect(),
    })
}

/// Unix seconds around a frame's.
fn moment(wall_ms: u64, choices: &mut Unstructured<'_>) -> Result<f64> {
    let late = if choices.ratio(1, 4)? { choices.int_in_range(-3_000..=10_000_i64)? } else { 0 };
    Ok(rounded(wall_ms.saturating_add_signed(-late) as f64 / 1_000.0, 3))
}

fn level(choices: &mut Unstructured<'_>) -> Result<Level> {
    Ok(*choices.choose(&[Level::Normal, Level::Warning, Level::Degrade, Level::Emergency, Level::Failover])?)
}

fn maybe<'a, T>(
    choices: &mut Unstructured<'a>,
    value: impl FnOnce(&mut Unstructured<'a>) -> Result<T>,
) -> Result<Option<T>> {
    if choices.arbitrary()? { value(choices).map(Some) } else { Ok(None) }
}

/// Any JSON, so deep at most.
fn value(choices: &mut Unstructured<'_>, depth: u32) -> Result<Value> {
    Ok(match choices.int_in_range(0..=if depth == 0 { 5 } else { 7 })? {
        0 => Value::Null,
        1 => choices.arbitrary::<bool>()?.into(),
        2 => choices.arbitrary::<i64>()?.into(),
        3 => choices.arbitrary::<u64>()?.into(),
        // One zero: JSON's numbers compare as floats do.
        4 => (float(choices)? + 0.0).into(),
        5 => label(choices)?.into(),
        6 => {
            let mut values = Vec::new();
            for _ in 0..choices.int_in_range(0..=4)? {
                values.push(value(choices, depth - 1)?);
            }
            values.into()
        }
        _ => {
            let mut fields = serde_json::Map::new();
            for _ in 0..choices.int_in_range(0..=4)? {
                fields.insert(label(choices)?, value(choices, depth - 1)?);
            }
            fields.into()
        }
    })
}
