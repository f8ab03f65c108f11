use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::{self, Write};

use serde::{Deserialize, Serialize};

use super::{Identity, SourceName};
use crate::session::{Action, Level};

/// What became of what was received. `received = processed + dropped + queued`.
///
/// ```
/// use tachograph_core::wire::Tally;
///
/// let tally = Tally { received: 5, processed: 3, dropped: 2, queued: 0 };
/// assert_eq!(tally.received, tally.processed + tally.dropped + tally.queued);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// All that came.
    pub received: u64,
    /// What the provider took in.
    pub processed: u64,
    /// What was lost, with what was left at the end.
    pub dropped: u64,
    /// What waits or is in the provider's hands; 0 after the end.
    pub queued: u64,
}

/// A change of a source's degrade level.
///
/// ```
/// use tachograph_core::session::{Action, Level};
/// use tachograph_core::wire::LadderChange;
///
/// let (from, to) = (Level::Normal, Level::Warning);
/// let change = LadderChange { at_seconds: 12.0, from, to, action: Action::ExtendChunk };
/// assert!(serde_json::to_string(&change)?.contains(r#""to":"WARNING""#));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LadderChange {
    /// Seconds since the session's start; 1 decimal.
    pub at_seconds: f64,
    /// The level left.
    pub from: Level,
    /// The level reached.
    pub to: Level,
    /// What the step did.
    pub action: Action,
}

/// One source's part of a receipt.
///
/// ```
/// use tachograph_core::registry::{DefaultMetrics, Registry};
/// use tachograph_core::session::{Amount, Session};
/// use tachograph_core::wire::MIC;
///
/// let metrics = DefaultMetrics::register(&Registry::new())?;
/// let mut session = Session::new(1, metrics, Default::default(), Default::default());
/// session.open_source(MIC, Default::default())?;
/// session.enqueued(MIC, Amount::new(2, 6_400), Amount::default(), Default::default());
/// let mic = session.end(Default::default(), Default::default(), Default::default()).sources.remove(0);
/// assert_eq!((mic.source, mic.frames.dropped, mic.bytes_left), (MIC, 2, 6_400));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SourceReceipt {
    /// The source.
    pub source: SourceName,
    /// Frames: pieces of at most 100 ms, as queued.
    pub frames: Tally,
    /// PCM.
    pub bytes: Tally,
    /// Frames, among those dropped, that were left when the drain ended.
    pub frames_left: u64,
    /// PCM, among what was dropped, that was left when the drain ended.
    pub bytes_left: u64,
    /// Chunks that the provider ended well.
    pub chunks_processed: u64,
    /// Chunks that it failed on.
    pub chunks_failed: u64,
    /// Median time inside the provider, in ms; within 0.55 %, 1 decimal, like the other two quantiles.
    pub infer_ms_p50: f64,
    /// The time that 90 % of the chunks stayed below.
    pub infer_ms_p90: f64,
    /// The time that 99 % of the chunks stayed below.
    pub infer_ms_p99: f64,
    /// The longest, exact; 1 decimal.
    pub infer_ms_max: f64,
    /// The highest realtime factor over 10 chunks; 2 decimals.
    pub worst_realtime_factor: f64,
    /// Every change of the degrade level, the newest 1,000.
    pub degrade_timeline: Vec<LadderChange>,
    /// Older changes that the timeline has no room for.
    pub degrade_timeline_cut: u64,
}

/// What a session did, told once at its end.
///
/// ```
/// use tachograph_core::registry::{DefaultMetrics, Registry};
/// use tachograph_core::session::{Amount, Session};
/// use tachograph_core::wire::MIC;
///
/// let metrics = DefaultMetrics::register(&Registry::new())?;
/// let mut session = Session::new(1, metrics, Default::default(), Default::default());
/// session.open_source(MIC, Default::default())?;
/// session.enqueued(MIC, Amount::new(2, 6_400), Amount::default(), Default::default());
/// let receipt = session.end(Default::default(), Default::default(), Default::default());
/// assert!(receipt.to_markdown().contains("mic"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Receipt {
    /// Whose it is.
    #[serde(flatten)]
    pub identity: Identity,
    /// From start to the end of the drain, in seconds; 1 decimal.
    pub duration_seconds: f64,
    /// Per source, by name.
    pub sources: Vec<SourceReceipt>,
    /// Ticks whose metrics were sent.
    pub ticks_sent: u64,
    /// Ticks whose metrics, or some of them, were replaced by newer ones before the client took them.
    pub ticks_conflated: u64,
    /// Ticks skipped because the next one was due already.
    pub ticks_missed: u64,
}

impl Receipt {
    /// The receipt for a person.
    pub fn to_markdown(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _always_ok = self.write(&mut text);
        text
    }

    fn write(&self, out: &mut impl Write) -> fmt::Result {
        writeln!(out, "# Session receipt\n")?;
        writeln!(
            out,
            "{:.1} s, {} ticks sent, {} conflated, {} missed\n",
            self.duration_seconds, self.ticks_sent, self.ticks_conflated, self.ticks_missed
        )?;
        self.sources.iter().try_for_each(|source| source.write(out))
    }
}

impl SourceReceipt {
    fn write(&self, out: &mut impl Write) -> fmt::Result {
        writeln!(out, "## {}\n", self.source)?;
        writeln!(out, "| | received | processed | dropped | queued |\n| --- | ---: | ---: | ---: | ---: |")?;
        for (unit, Tally { received, processed, dropped, queued }) in [("frames", self.frames), ("bytes", self.bytes)] {
            writeln!(out, "| {unit} | {received} | {processed} | {dropped} | {queued} |")?;
        }
        if self.frames_left > 0 {
            writeln!(out, "\nLeft when the drain ended: {} frames, {} bytes.", self.frames_left, self.bytes_left)?;
        }
        writeln!(
            out,
            "\n{} chunks, {} failed. Inference p50 {:.1} ms, p90 {:.1} ms, p99 {:.1} ms, max {:.1} ms. \
             Worst realtime factor {:.2}.",
            self.chunks_processed,
            self.chunks_failed,
            self.infer_ms_p50,
            self.infer_ms_p90,
            self.infer_ms_p99,
            self.infer_ms_max,
            self.worst_realtime_factor
        )?;
        self.degrade_timeline.iter().try_for_each(|change| {
            writeln!(out, "- {:.1} s: {} to {}", change.at_seconds, change.from.as_str(), change.to.as_str())
        })?;
        if self.degrade_timeline_cut > 0 {
            writeln!(out, "\n{} older changes of the level are not listed.", self.degrade_timeline_cut)?;
        }
        writeln!(out)
    }
}
