use tachograph_core::session::Level;
use tachograph_core::wire::{Metrics, ProviderState};

use super::RowKey;

const FILL_HIGH: f64 = 0.85;
const FALLS_BEHIND: f64 = 1.0;
/// A session ticks once a second; figures older than this at a frame were not renewed.
const FIGURES_OLD_SECONDS: f64 = 3.0;

/// Why a source needs attention.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Trouble {
    /// Its provider failed for good.
    ProviderFailed,
    /// Its provider is being made anew.
    ProviderRestarting,
    /// Its provider does not get on.
    ProviderStalled,
    /// Audio was dropped in the last 10 s.
    Dropping,
    /// Processing takes longer than the audio lasts.
    FallsBehind,
    /// Its queue is above 85 %.
    QueueNearlyFull,
    /// Its ladder is above NORMAL.
    Degraded(Level),
    /// Its session stopped metering it.
    FiguresOld,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// It may come to harm.
    Caution,
    /// Audio is lost, late or not processed.
    Alarm,
}

impl Trouble {
    /// The trouble in a few words.
    pub fn words(self) -> &'static str {
        match self {
            Self::ProviderFailed => "provider failed",
            Self::ProviderRestarting => "provider restarting",
            Self::ProviderStalled => "provider stalled",
            Self::Dropping => "dropping audio",
            Self::FallsBehind => "slower than real time",
            Self::QueueNearlyFull => "queue nearly full",
            Self::Degraded(Level::Normal | Level::Warning) => "degraded: warning",
            Self::Degraded(Level::Degrade) => "degraded: quality reduced",
            Self::Degraded(Level::Emergency) => "degraded: emergency",
            Self::Degraded(Level::Failover) => "degraded: failover",
            Self::FiguresOld => "figures not renewed",
        }
    }

    /// How bad it is.
    pub fn severity(self) -> Severity {
        match self {
            Self::ProviderRestarting | Self::QueueNearlyFull | Self::FiguresOld => Severity::Caution,
            Self::Degraded(level) if level < Level::Emergency => Severity::Caution,
            _ => Severity::Alarm,
        }
    }
}

impl Severity {
    /// The severity in a word of the machine's.
    pub fn key(self) -> &'static str {
        match self {
            Self::Caution => "caution",
            Self::Alarm => "alarm",
        }
    }
}

/// All that is wrong with a source at a frame of this timestamp.
pub fn troubles(metrics: &Metrics, frame_timestamp: f64) -> Vec<Trouble> {
    let provider = match metrics.provider_state {
        ProviderState::Failed => Some(Trouble::ProviderFailed),
        ProviderState::Restarting => Some(Trouble::ProviderRestarting),
        ProviderState::Stalled => Some(Trouble::ProviderStalled),
        ProviderState::Idle | ProviderState::Running => None,
    };
    let when = |holds: bool, trouble| holds.then_some(trouble);
    let found = [
        provider,
        when(metrics.dropped_chunks_last_10s > 0, Trouble::Dropping),
        when(metrics.realtime_factor >= FALLS_BEHIND, Trouble::FallsBehind),
        when(metrics.queue_fill_ratio > FILL_HIGH, Trouble::QueueNearlyFull),
        metrics.degrade_level.filter(|level| *level > Level::Normal).map(Trouble::Degraded),
        when(frame_timestamp - metrics.timestamp > FIGURES_OLD_SECONDS, Trouble::FiguresOld),
    ];
    found.into_iter().flatten().collect()
}

/// The worst of them; among equals the first.
pub fn worst(troubles: &[Trouble]) -> Option<Trouble> {
    let alarm = |trouble: &&Trouble| trouble.severity() == Severity::Alarm;
    troubles.iter().find(alarm).or(troubles.first()).copied()
}

/// A source in trouble, as the summary names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attention {
    /// Its row.
    pub key: RowKey,
    /// Its session's name.
    pub session: String,
    /// Its worst trouble.
    pub trouble: Trouble,
}

#[cfg(test)]
mod tests {
    use super::super::samples::metrics;
    use super::*;

    fn found(change: impl FnOnce(&mut Metrics)) -> Vec<Trouble> {
        let mut metrics = metrics("mic");
        change(&mut metrics);
        troubles(&metrics, metrics.timestamp)
    }

    #[test]
    fn a_source_that_keeps_up_has_none() {
        assert_eq!(found(|_| ()), []);
        assert_eq!(found(|metrics| metrics.queue_fill_ratio = 0.85), []);
        assert_eq!(found(|metrics| metrics.realtime_factor = 0.99), []);
    }

    #[test]
    fn each_limit_is_told_by_itself() {
        assert_eq!(found(|metrics| metrics.queue_fill_ratio = 0.86), [Trouble::QueueNearlyFull]);
        assert_eq!(found(|metrics| metrics.realtime_factor = 1.0), [Trouble::FallsBehind]);
        assert_eq!(found(|metrics| metrics.dropped_chunks_last_10s = 1), [Trouble::Dropping]);
        assert_eq!(found(|metrics| metrics.provider_state = ProviderState::Stalled), [Trouble::ProviderStalled]);
        let warned = |metrics: &mut Metrics| metrics.degrade_level = Some(Level::Warning);
        assert_eq!(found(warned), [Trouble::Degraded(Level::Warning)]);
    }

    #[test]
    fn the_worst_is_an_alarm_if_there_is_one() {
        let both = [Trouble::ProviderRestarting, Trouble::QueueNearlyFull, Trouble::Dropping];
        assert_eq!(worst(&both), Some(Trouble::Dropping));
        assert_eq!(worst(&both[..2]), Some(Trouble::ProviderRestarting));
        assert_eq!(worst(&[]), None);
    }

    #[test]
    fn figures_that_are_not_renewed_are_told() {
        let metrics = metrics("mic");
        assert_eq!(troubles(&metrics, metrics.timestamp + 3.5), [Trouble::FiguresOld]);
    }
}
