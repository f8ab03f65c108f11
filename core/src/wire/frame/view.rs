//! Sessions and their sources as a state holds them, for whoever looks at many of them often.

use alloc::sync::Arc;

use serde_json::Value;

use super::row::{Cell, Row};
use super::sessions::Entry;
use crate::wire::{Identity, Metrics, SessionPhase, SourceName};

/// A live session at a frame; each figure is that of [`SessionState`](crate::wire::SessionState).
///
/// ```
/// # use tachograph_core::registry::{DefaultMetrics, Registry};
/// # use tachograph_core::session::{Amount, Session};
/// # use tachograph_core::wire::frame::{Decoder, Encoder, Tick};
/// # use tachograph_core::wire::{MIC, SessionPhase, SessionState};
/// # let registry = Registry::new();
/// # let metrics = DefaultMetrics::register(&registry)?;
/// # let mut session = Session::new(1, metrics, Default::default(), Default::default());
/// # session.open_source(MIC, Default::default())?;
/// # session.enqueued(MIC, Amount::new(2, 6_400), Amount::default(), Default::default());
/// # let live = SessionState {
/// #     id: 7,
/// #     identity: Default::default(),
/// #     phase: SessionPhase::Streaming,
/// #     age_seconds: 1.0,
/// #     ticks_sent: 1,
/// #     ticks_conflated: 0,
/// #     ticks_missed: 0,
/// #     sources: session.figures(1, Default::default(), 0.0),
/// # };
/// # let (snapshot, mut stream, mut decoder) = (registry.snapshot(), Vec::new(), Decoder::default());
/// # Encoder::new().encode(&Tick { sessions: &[live], ..Tick::of(&snapshot) }, &mut stream);
/// # decoder.decode(&stream)?;
/// let view = decoder.state().session_view(7).ok_or("no such session")?;
/// assert_eq!((view.phase(), view.age_seconds(), view.sources().len()), (SessionPhase::Streaming, 1.0, 1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct SessionView<'a> {
    entry: &'a Entry,
    wall_ms: u64,
}

impl<'a> SessionView<'a> {
    pub(super) fn new(entry: &'a Entry, wall_ms: u64) -> Self {
        Self { entry, wall_ms }
    }

    /// The server's own number for it.
    pub fn id(&self) -> u64 {
        self.entry.id
    }

    /// Whose it is.
    pub fn identity(&self) -> &'a Identity {
        &self.entry.identity
    }

    /// Where it is in its life.
    pub fn phase(&self) -> SessionPhase {
        self.entry.phase()
    }

    /// Seconds since its start; 1 decimal.
    pub fn age_seconds(&self) -> f64 {
        self.entry.age_seconds
    }

    /// Ticks whose metrics were sent to its client.
    pub fn ticks_sent(&self) -> u64 {
        self.entry.ticks_sent
    }

    /// Ticks whose metrics, or some of them, were replaced by newer ones before its client took them.
    pub fn ticks_conflated(&self) -> u64 {
        self.entry.ticks_conflated
    }

    /// Ticks that it skipped.
    pub fn ticks_missed(&self) -> u64 {
        self.entry.ticks_missed
    }

    /// Its sources, by name.
    pub fn sources(&self) -> impl ExactSizeIterator<Item = SourceView<'a>> + use<'a> {
        let Self { entry, wall_ms } = *self;
        let rows = entry.names.iter().zip(&entry.rows);
        rows.map(move |(source, row)| SourceView { source: *source, row, entry, wall_ms })
    }
}

/// A source of a live session at a frame; each figure is that of [`Metrics`].
///
/// ```
/// # use tachograph_core::registry::{DefaultMetrics, Registry};
/// # use tachograph_core::session::{Amount, Session};
/// # use tachograph_core::wire::frame::{Cell, Decoder, Encoder, Tick};
/// # use tachograph_core::wire::{MIC, SessionPhase, SessionState};
/// # let registry = Registry::new();
/// # let metrics = DefaultMetrics::register(&registry)?;
/// # let mut session = Session::new(1, metrics, Default::default(), Default::default());
/// # session.open_source(MIC, Default::default())?;
/// # session.enqueued(MIC, Amount::new(2, 6_400), Amount::default(), Default::default());
/// # let live = SessionState {
/// #     id: 7,
/// #     identity: Default::default(),
/// #     phase: SessionPhase::Streaming,
/// #     age_seconds: 1.0,
/// #     ticks_sent: 1,
/// #     ticks_conflated: 0,
/// #     ticks_missed: 0,
/// #     sources: session.figures(1, Default::default(), 0.0),
/// # };
/// # let (snapshot, mut stream, mut decoder) = (registry.snapshot(), Vec::new(), Decoder::default());
/// # Encoder::new().encode(&Tick { sessions: &[live], ..Tick::of(&snapshot) }, &mut stream);
/// # decoder.decode(&stream)?;
/// let view = decoder.state().session_view(7).ok_or("no such session")?;
/// let mic = view.sources().next().ok_or("no source")?;
/// assert_eq!((mic.source(), mic.cell(Cell::QueueDepth)), (MIC, Some(2.0)));
/// assert_eq!(mic.metrics().queue_bytes, 6_400);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct SourceView<'a> {
    source: SourceName,
    row: &'a Row,
    entry: &'a Entry,
    wall_ms: u64,
}

impl<'a> SourceView<'a> {
    /// The source.
    pub fn source(&self) -> SourceName {
        self.source
    }

    /// The provider in force.
    pub fn provider(&self) -> &'a str {
        self.row.provider()
    }

    /// The model in force.
    pub fn model_id(&self) -> &'a str {
        self.row.model_id()
    }

    /// What the provider says of itself.
    pub fn health(&self) -> Option<&'a Arc<Value>> {
        self.row.health()
    }

    /// The figure of a cell; None where it holds nothing. A flag is 0 or 1; a choice is its number on the
    /// wire: of [`Cell::ProviderState`] 0 idle to 4 failed, of [`Cell::DegradeLevel`] 0 none, 1 NORMAL to
    /// 5 FAILOVER.
    pub fn cell(&self, cell: Cell) -> Option<f64> {
        self.row.cell(cell)
    }

    /// By how many milliseconds its figures are older than the frame.
    pub fn late_ms(&self) -> i64 {
        self.row.late_ms()
    }

    /// All of its figures.
    pub fn metrics(&self) -> Metrics {
        self.row.metrics(self.source, &self.entry.names, self.wall_ms)
    }
}
