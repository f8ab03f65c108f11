use tachograph_core::session::Level;
use tachograph_core::wire::Metrics;

use super::format::{bytes, count, millis, percent, seconds};
use super::{Column, SourceView};

/// A figure of a source: a column of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Figure {
    /// How full its queue is.
    Fill,
    /// How much audio waits.
    Backlog,
    /// How long its provider takes.
    Inference,
    /// The same by the audio's own time.
    Realtime,
    /// What was dropped.
    Drops,
    /// What it does without to keep up.
    Level,
    /// Whether somebody speaks.
    Voice,
    /// What was received.
    Received,
}

impl Figure {
    /// All of them, in the table's order.
    pub const ALL: [Self; 8] = [
        Self::Fill,
        Self::Backlog,
        Self::Inference,
        Self::Realtime,
        Self::Drops,
        Self::Level,
        Self::Voice,
        Self::Received,
    ];

    /// The column's heading.
    pub fn heading(self) -> &'static str {
        match self {
            Self::Fill => "Queue fill",
            Self::Backlog => "Backlog",
            Self::Inference => "Inference",
            Self::Realtime => "Realtime factor",
            Self::Drops => "Drops",
            Self::Level => "Degrade level",
            Self::Voice => "Voice",
            Self::Received => "Received",
        }
    }

    /// What it means, in a sentence.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Fill => "The larger of bytes and frames waiting, each by its bound",
            Self::Backlog => "Audio waiting in the queue",
            Self::Inference => "Mean time inside the provider over the last 10 chunks; in all: with waiting for it",
            Self::Realtime => "Time inside the provider by audio time; from 1 on it falls behind",
            Self::Drops => "Frames dropped since start",
            Self::Level => "How much the source does without to keep up",
            Self::Voice => "Share of voice in the newest chunk; below: chunks with voice",
            Self::Received => "Audio received since start; below: chunks processed",
        }
    }

    /// Its field in a message; the voice column shows `voice_ratio`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fill => "queue_fill_ratio",
            Self::Backlog => "backlog_seconds",
            Self::Inference => "avg_infer_ms",
            Self::Realtime => "realtime_factor",
            Self::Drops => "dropped_total",
            Self::Level => "degrade_level",
            Self::Voice => "voice",
            Self::Received => "bytes_received",
        }
    }

    /// The value as the message has it, strings without quotes; nothing where the field is absent.
    pub fn raw(self, metrics: &Metrics) -> Option<String> {
        // `{:?}` writes the shortest digits that read back the same, and always a point, as JSON does.
        match self {
            Self::Fill => Some(format!("{:?}", metrics.queue_fill_ratio)),
            Self::Backlog => Some(format!("{:?}", metrics.backlog_seconds)),
            Self::Inference => Some(format!("{:?}", metrics.avg_infer_ms)),
            Self::Realtime => Some(format!("{:?}", metrics.realtime_factor)),
            Self::Drops => Some(metrics.dropped_total.to_string()),
            Self::Level => metrics.degrade_level.map(|level| level.as_str().into()),
            Self::Voice => Some(metrics.voice_ratio.map_or_else(|| "null".into(), |ratio| format!("{ratio:?}"))),
            Self::Received => Some(metrics.bytes_received.to_string()),
        }
    }

    /// The value for a person.
    pub fn value(self, metrics: &Metrics) -> String {
        match self {
            Self::Fill => percent(metrics.queue_fill_ratio),
            Self::Backlog => seconds(metrics.backlog_seconds),
            Self::Inference => millis(metrics.avg_infer_ms),
            Self::Realtime => format!("{:.2}", metrics.realtime_factor),
            Self::Drops => count(metrics.dropped_total),
            Self::Level => metrics.degrade_level.map_or_else(|| "unknown".into(), |level| level.as_str().into()),
            Self::Voice => voice(metrics),
            Self::Received => bytes(metrics.bytes_received as f64),
        }
    }

    /// What stands beside the value.
    pub fn note(self, metrics: &Metrics) -> String {
        match self {
            Self::Fill => format!("{} frames", count(metrics.queue_depth)),
            Self::Backlog => format!("of {}", seconds(metrics.max_backlog_seconds)),
            Self::Inference => format!("{} in all", millis(metrics.avg_processing_ms)),
            Self::Realtime => metrics.rtf_avg_10s.map(|mean| format!("{mean:.2} over 10 s")).unwrap_or_default(),
            Self::Drops => format!("{} in 10 s", count(metrics.dropped_chunks_last_10s)),
            Self::Level => metrics.degrade_level.map(sacrifice).unwrap_or_default().into(),
            Self::Voice => format!("{} of chunks", percent(metrics.speech_ratio)),
            Self::Received => format!("{} chunks", count(metrics.total_chunks_processed)),
        }
    }

    /// What its sparkline draws, if it has one.
    pub fn column(self) -> Option<Column> {
        match self {
            Self::Fill => Some(Column::Fill),
            Self::Backlog => Some(Column::Backlog),
            Self::Inference => Some(Column::Inference),
            Self::Realtime => Some(Column::Realtime),
            Self::Drops => Some(Column::Drops),
            Self::Level | Self::Voice | Self::Received => None,
        }
    }

    /// The value from which on it means trouble, where the sparkline marks one.
    pub fn limit(self) -> Option<f32> {
        match self {
            Self::Fill => Some(0.85),
            Self::Realtime => Some(1.0),
            _ => None,
        }
    }

    /// The value at a sparkline's upper edge: the bound where there is one, else a round number
    /// that holds all of its values.
    pub fn top(self, source: &SourceView) -> f32 {
        match self {
            Self::Fill => 1.0,
            Self::Backlog => (source.metrics.max_backlog_seconds as f32).max(0.1),
            Self::Realtime => round_up(self.peak(source).max(1.25)),
            _ => round_up(self.peak(source).max(5.0)),
        }
    }

    /// What a sparkline's height stands for.
    pub fn scale_text(self, source: &SourceView) -> String {
        let top = f64::from(self.top(source));
        let top = match self {
            Self::Fill => percent(top),
            Self::Backlog => seconds(top),
            Self::Inference => millis(top),
            Self::Drops => format!("{top:.0} a second"),
            _ => format!("{top:.1}"),
        };
        format!("Last 5 minutes; full height is {top}")
    }

    fn peak(self, source: &SourceView) -> f32 {
        let values = self.column().map(|column| source.history.values(column));
        values.into_iter().flatten().map(|(_, value)| value).fold(0.0, f32::max)
    }
}

/// The next of 1, 2, 5, 10, 20, 50, …: a scale that seldom changes.
fn round_up(value: f32) -> f32 {
    let decades = core::iter::successors(Some(1.0), |decade| Some(decade * 10.0));
    let mut steps = decades.take(38).flat_map(|decade: f32| [decade, decade * 2.0, decade * 5.0]);
    steps.find(|step| *step >= value).unwrap_or(value)
}

fn voice(metrics: &Metrics) -> String {
    match metrics.voice_ratio {
        None if metrics.vad_enabled => "not yet".into(),
        None => "off".into(),
        Some(0.0) => "silence".into(),
        Some(ratio) => format!("speech {}", percent(ratio)),
    }
}

fn sacrifice(level: Level) -> &'static str {
    match level {
        Level::Normal => "",
        Level::Warning => "longer chunks",
        Level::Degrade => "smaller model",
        Level::Emergency => "drops chunks",
        Level::Failover => "fallback provider",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::history::{HISTORY_TICKS, Histories};
    use super::super::samples::{Sample, epoch, metrics, source_name};
    use super::super::{RowKey, SessionKey, Ticks};
    use super::*;

    /// A raw value must be what the message said, digit for digit.
    #[test]
    fn raw_values_are_the_messages_own() {
        for ratio in [0.0, 0.07, 0.5, 1.0, 12.25] {
            let metrics = Metrics { queue_fill_ratio: ratio, voice_ratio: Some(ratio), ..metrics("mic") };
            let message = serde_json::to_value(&metrics).unwrap();
            for figure in Figure::ALL {
                let field = if figure == Figure::Voice { "voice_ratio" } else { figure.name() };
                let expected = match &message[field] {
                    Value::String(text) => text.clone(),
                    other => other.to_string(),
                };
                assert_eq!(figure.raw(&metrics), Some(expected), "{field}");
            }
        }
    }

    #[test]
    fn absent_and_null_differ() {
        let metrics = Metrics { degrade_level: None, voice_ratio: None, ..metrics("mic") };
        assert_eq!(Figure::Level.raw(&metrics), None);
        assert_eq!(Figure::Level.value(&metrics), "unknown");
        assert_eq!(Figure::Voice.raw(&metrics).as_deref(), Some("null"));
    }

    #[test]
    fn voice_is_told_in_words() {
        let told = |ratio, vad| voice(&Metrics { voice_ratio: ratio, vad_enabled: vad, ..metrics("mic") });
        assert_eq!(told(None, true), "not yet");
        assert_eq!(told(None, false), "off");
        assert_eq!(told(Some(0.0), true), "silence");
        assert!(told(Some(0.8), true).starts_with("speech 80"));
    }

    #[test]
    fn a_scale_holds_every_value_that_is_drawn() {
        let metrics = metrics("mic");
        let slow = Metrics { avg_infer_ms: 612.0, ..metrics.clone() };
        let key = RowKey { session: SessionKey { start: 1, id: 1 }, source: source_name("mic") };
        let (mut ticks, mut histories) = (Ticks::default(), Histories::default());
        let states = Sample::new().states(HISTORY_TICKS as u64 + 1, &[]);
        let mut tops = Vec::new();
        for (row, state) in (1..).zip(&states) {
            ticks.add(epoch(1), state.head());
            histories.advance(row);
            histories.record(key, row, if row == 1 { &slow } else { &metrics });
            let history = histories.of(key, &ticks, false).unwrap();
            tops.push(Figure::Inference.top(&SourceView { metrics: &metrics, history }));
        }
        assert_eq!((tops[0], tops[HISTORY_TICKS - 1], tops[HISTORY_TICKS]), (1000.0, 1000.0, 100.0));
    }

    #[test]
    fn scales_are_round() {
        assert_eq!([1.25, 2.0, 3.0, 70.0].map(round_up), [2.0, 2.0, 5.0, 100.0]);
    }
}
