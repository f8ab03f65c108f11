use tachograph_core::session::Level;
use tachograph_core::wire::ProviderState;
use tachograph_core::wire::frame::{Cell, SourceView};

const FILL_HIGH: f64 = 0.85;
const FALLS_BEHIND: f64 = 1.0;
/// A session ticks once a second; figures older than this at a frame were not renewed.
const FIGURES_OLD_MS: i64 = 3_000;

/// Why a source needs attention.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Trouble {
    /// Its provider failed for good.
    ProviderFailed,
    /// Frames were dropped in the last 10 s.
    Dropping,
    /// Processing takes longer than the audio lasts.
    FallsBehind,
    /// Its provider does not get on.
    ProviderStalled,
    /// Its ladder is above NORMAL.
    Degraded(Level),
    /// Its provider is being made anew.
    ProviderRestarting,
    /// Its queue is above 85 %.
    QueueNearlyFull,
    /// Its session stopped metering it.
    FiguresOld,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Nothing is wrong.
    #[default]
    Well,
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
            Self::Dropping => "dropping frames",
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
            Self::Well => "well",
            Self::Caution => "caution",
            Self::Alarm => "alarm",
        }
    }
}

/// All that is wrong with a source, the worst first of each severity.
pub fn troubles(source: &SourceView<'_>) -> impl Iterator<Item = Trouble> + use<> {
    let figure = |cell| source.cell(cell).unwrap_or_default();
    let provider = figure(Cell::ProviderState) as u8;
    let is = |state: ProviderState| provider == state as u8;
    let level = source.cell(Cell::DegradeLevel).and_then(level_of);
    let when = |holds: bool, trouble| holds.then_some(trouble);
    let found = [
        when(is(ProviderState::Failed), Trouble::ProviderFailed),
        when(figure(Cell::DroppedChunksLast10s) > 0.0, Trouble::Dropping),
        when(figure(Cell::RealtimeFactor) >= FALLS_BEHIND, Trouble::FallsBehind),
        when(is(ProviderState::Stalled), Trouble::ProviderStalled),
        level.filter(|level| *level > Level::Normal).map(Trouble::Degraded),
        when(is(ProviderState::Restarting), Trouble::ProviderRestarting),
        when(figure(Cell::QueueFillRatio) > FILL_HIGH, Trouble::QueueNearlyFull),
        when(is_old(source), Trouble::FiguresOld),
    ];
    found.into_iter().flatten()
}

/// Whether its session does not meter it any more.
pub(super) fn is_old(source: &SourceView<'_>) -> bool {
    source.late_ms() > FIGURES_OLD_MS
}

/// The worst of what is wrong with a source; among equals the first.
pub fn worst(source: &SourceView<'_>) -> Option<Trouble> {
    let mut worst: Option<Trouble> = None;
    for trouble in troubles(source) {
        if worst.is_none_or(|held| held.severity() < trouble.severity()) {
            worst = Some(trouble);
        }
    }
    worst
}

/// The ladder's level of a cell.
pub fn level_of(cell: f64) -> Option<Level> {
    Level::ALL.get((cell as usize).checked_sub(1)?).copied()
}
