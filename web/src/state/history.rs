use std::collections::VecDeque;

use tachograph_core::wire::Metrics;

/// The ticks that a history keeps: five minutes of them.
pub const HISTORY_TICKS: usize = 300;

/// The figures of one source at one tick, as far as they are drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// Queue fill, 0 to 1.
    pub fill: f32,
    /// Audio waiting, in seconds.
    pub backlog: f32,
    /// Mean time inside the provider, in ms.
    pub inference: f32,
    /// Realtime factor.
    pub realtime: f32,
    /// Frames dropped since the tick before.
    pub drops: f32,
}

impl From<&Metrics> for Sample {
    fn from(metrics: &Metrics) -> Self {
        Self {
            fill: metrics.queue_fill_ratio as f32,
            backlog: metrics.backlog_seconds as f32,
            inference: metrics.avg_infer_ms as f32,
            realtime: metrics.realtime_factor as f32,
            drops: metrics.dropped_recent as f32,
        }
    }
}

/// The last [`HISTORY_TICKS`] ticks of one source. A tick without figures is kept as a gap.
#[derive(Clone, Debug, Default)]
pub struct History {
    ticks: VecDeque<Option<Sample>>,
}

impl History {
    /// One more tick.
    pub fn push(&mut self, sample: Option<Sample>) {
        if self.ticks.len() >= HISTORY_TICKS {
            self.ticks.pop_front();
        }
        self.ticks.push_back(sample);
    }

    /// So many ticks that were not received.
    pub fn skip(&mut self, ticks: u64) {
        let gaps = usize::try_from(ticks).unwrap_or(HISTORY_TICKS).min(HISTORY_TICKS);
        for _ in 0..gaps {
            self.push(None);
        }
    }

    /// All ticks, oldest first.
    pub fn ticks(&self) -> impl ExactSizeIterator<Item = Option<&Sample>> {
        self.ticks.iter().map(Option::as_ref)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: Sample = Sample { fill: 0.5, backlog: 1.0, inference: 80.0, realtime: 0.4, drops: 0.0 };

    #[test]
    fn never_longer_than_its_bound() {
        let mut history = History::default();
        for _ in 0..HISTORY_TICKS + 50 {
            history.push(Some(SAMPLE));
        }
        assert_eq!(history.ticks().len(), HISTORY_TICKS);
    }

    #[test]
    fn skipped_ticks_stay_gaps() {
        let mut history = History::default();
        history.push(Some(SAMPLE));
        history.skip(2);
        history.push(Some(SAMPLE));
        let held: Vec<bool> = history.ticks().map(|tick| tick.is_some()).collect();
        assert_eq!(held, [true, false, false, true]);
    }

    #[test]
    fn a_gap_of_any_length_is_bounded() {
        let mut history = History::default();
        history.skip(u64::MAX);
        assert_eq!(history.ticks().len(), HISTORY_TICKS);
    }
}
