//! A source's figures as a row of cells, each of which is written only when it is not as foreseen.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use serde_json::Value;

use super::codec::{Codec, Reader, finite, put_signed, put_text, put_varint};
use super::float::{put_float, read_float};
use super::value::memory_of;
use super::{FrameError, Reason};
use crate::session::Level;
use crate::wire::{Metrics, ProviderState, SourceName, rounded};

/// Unix milliseconds as a frame and its rows have them: seconds with three decimals.
pub(super) fn seconds_of(wall_ms: u64) -> f64 {
    rounded(wall_ms as f64 / 1_000.0, 3)
}

/// How a cell is foreseen, and how what differs is written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    /// Grows by as much as the tick before; what differs is a zigzag number.
    Steady,
    /// Stays; what differs is a zigzag number.
    Whole,
    /// Stays; what differs is a float, and nothing is not a number.
    Float,
    /// Stays; one of so many values.
    Choice(u8),
}

/// The bits of a float cell that holds nothing: a NaN.
const NOTHING: u64 = 0x7FF8_0000_0000_0000;

/// A cell's type: how its value becomes the 64 bits of a cell and back.
trait CellType: Sized {
    const CODING: Coding;
    fn pack(&self) -> u64;
    fn unpack(bits: u64) -> Self;
}

/// A number that mostly grows evenly.
struct Steady(u64);
/// A number that mostly stays.
struct Whole(u64);
struct Float(f64);
struct MaybeFloat(Option<f64>);
struct Flag(bool);
struct State(ProviderState);
struct MaybeLevel(Option<Level>);

impl CellType for Steady {
    const CODING: Coding = Coding::Steady;
    fn pack(&self) -> u64 {
        self.0
    }
    fn unpack(bits: u64) -> Self {
        Self(bits)
    }
}

impl CellType for Whole {
    const CODING: Coding = Coding::Whole;
    fn pack(&self) -> u64 {
        self.0
    }
    fn unpack(bits: u64) -> Self {
        Self(bits)
    }
}

impl CellType for Float {
    const CODING: Coding = Coding::Float;
    fn pack(&self) -> u64 {
        finite(self.0).to_bits()
    }
    fn unpack(bits: u64) -> Self {
        Self(finite(f64::from_bits(bits)))
    }
}

impl CellType for MaybeFloat {
    const CODING: Coding = Coding::Float;
    fn pack(&self) -> u64 {
        self.0.filter(|value| value.is_finite()).map_or(NOTHING, f64::to_bits)
    }
    fn unpack(bits: u64) -> Self {
        Self(Some(f64::from_bits(bits)).filter(|value| value.is_finite()))
    }
}

impl CellType for Flag {
    const CODING: Coding = Coding::Choice(2);
    fn pack(&self) -> u64 {
        u64::from(self.0)
    }
    fn unpack(bits: u64) -> Self {
        Self(bits == 1)
    }
}

const STATES: [ProviderState; 5] = [
    ProviderState::Idle,
    ProviderState::Running,
    ProviderState::Stalled,
    ProviderState::Restarting,
    ProviderState::Failed,
];

impl CellType for State {
    const CODING: Coding = Coding::Choice(STATES.len() as u8);
    fn pack(&self) -> u64 {
        self.0 as u64
    }
    fn unpack(bits: u64) -> Self {
        Self(STATES.get(bits as usize).copied().unwrap_or_default())
    }
}

impl CellType for MaybeLevel {
    const CODING: Coding = Coding::Choice(Level::ALL.len() as u8 + 1);
    fn pack(&self) -> u64 {
        self.0.map_or(0, |level| level as u64 + 1)
    }
    fn unpack(bits: u64) -> Self {
        Self(bits.checked_sub(1).and_then(|level| Level::ALL.get(level as usize)).copied())
    }
}

/// The cells of a row, in their order: a variant of [`Cell`], a field of [`Metrics`] and its type. Those
/// that change most come first, which keeps masks short.
macro_rules! cells {
    ($($variant:ident $field:ident: $cell:ident,)+) => {
        const CODINGS: &[Coding] = &[$(<$cell as CellType>::CODING),+];
        const CELLS: usize = CODINGS.len();

        /// A figure of a source that is a number, in the order of a row.
        ///
        /// ```
        /// use tachograph_core::wire::frame::Cell;
        ///
        /// assert_eq!(Cell::ProviderState.name(), "provider_state");
        /// ```
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Cell {
            $(
                #[doc = concat!("[`", stringify!($field), "`](Metrics::", stringify!($field), ")")]
                $variant,
            )+
        }

        impl Cell {
            /// All of them, in their order.
            pub const ALL: [Self; CELLS] = [$(Self::$variant),+];

            /// The name of its field on the wire.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => stringify!($field),)+
                }
            }
        }

        fn pack(metrics: &Metrics) -> [u64; CELLS] {
            [$($cell(metrics.$field).pack()),+]
        }

        /// All but what is told twice.
        fn unpack(cells: &[u64; CELLS], rest: Rest<'_>) -> Metrics {
            let [$($field),+] = *cells;
            $(let $field = <$cell as CellType>::unpack($field).0;)+
            Metrics {
                source: rest.source,
                queue_max: 0,
                sources_active: rest.sources_active.to_vec(),
                degrade_level_num: None,
                provider: rest.row.provider.clone(),
                model_id: rest.row.model_id.clone(),
                provider_health: rest.row.health.clone(),
                timestamp: rest.timestamp,
                $($field,)+
            }
        }
    };
}

cells! {
    Tick tick: Steady,
    BytesReceived bytes_received: Steady,
    QueueBytes queue_bytes: Whole,
    QueueDepth queue_depth: Whole,
    BacklogSeconds backlog_seconds: Float,
    QueueFillRatio queue_fill_ratio: Float,
    BytesInProvider bytes_in_provider: Whole,
    BytesProcessed bytes_processed: Steady,
    TotalChunksProcessed total_chunks_processed: Steady,
    AvgInferMs avg_infer_ms: Float,
    AvgProcessingMs avg_processing_ms: Float,
    InferP50Ms infer_p50_ms: Float,
    InferP99Ms infer_p99_ms: Float,
    RealtimeFactor realtime_factor: Float,
    SpeechRatio speech_ratio: Float,
    SpeechChunksEmitted speech_chunks_emitted: Steady,
    VoiceRatio voice_ratio: MaybeFloat,
    RtfAvg10s rtf_avg_10s: MaybeFloat,
    SourceClockSpreadMs source_clock_spread_ms: Float,
    DroppedRecent dropped_recent: Whole,
    DroppedTotal dropped_total: Steady,
    DroppedChunksLast10s dropped_chunks_last_10s: Whole,
    BytesDropped bytes_dropped: Steady,
    ProviderState provider_state: State,
    DegradeLevel degrade_level: MaybeLevel,
    MaxSourceClockSpreadMs max_source_clock_spread_ms: Float,
    QueueBytesMax queue_bytes_max: Whole,
    QueueMaxFrames queue_max_frames: Whole,
    MaxBacklogSeconds max_backlog_seconds: Float,
    VadEnabled vad_enabled: Flag,
    ClientClockDriftCompensationEnabled client_clock_drift_compensation_enabled: Flag,
    ClientVadEnabled client_vad_enabled: Flag,
    ClientClockDriftTelemetryEnabled client_clock_drift_telemetry_enabled: Flag,
    ClientVadTelemetryEnabled client_vad_telemetry_enabled: Flag,
}

/// Bits of a row's mask behind those of its cells.
const PROVIDER: u64 = 1 << CELLS;
const MODEL: u64 = PROVIDER << 1;
const HEALTH: u64 = MODEL << 1;
const LATE: u64 = HEALTH << 1;

/// What a row does not keep itself.
#[derive(Clone, Copy)]
struct Rest<'a> {
    row: &'a Row,
    source: SourceName,
    sources_active: &'a [SourceName],
    timestamp: f64,
}

/// A source at a frame, with what foresees the next one.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row {
    cells: [u64; CELLS],
    /// By how much steady cells grew.
    steps: [u64; CELLS],
    provider: String,
    model_id: String,
    health: Option<Arc<Value>>,
    /// Memory of the health, where it was read.
    health_bytes: usize,
    /// By how many milliseconds the figures are older than the frame.
    late_ms: i64,
}

impl Default for Row {
    fn default() -> Self {
        Self {
            cells: [0; CELLS],
            steps: [0; CELLS],
            provider: String::new(),
            model_id: String::new(),
            health: None,
            health_bytes: 0,
            late_ms: 0,
        }
    }
}

/// The figures to which a row is to change.
pub(super) struct Figures<'a> {
    cells: [u64; CELLS],
    provider: &'a str,
    model_id: &'a str,
    health: &'a Option<Arc<Value>>,
    late_ms: i64,
}

impl<'a> Figures<'a> {
    /// At a frame of this time.
    pub(super) fn of(metrics: &'a Metrics, wall_ms: u64) -> Self {
        let at_ms = rounded(metrics.timestamp * 1_000.0, 0) as u64;
        Self {
            cells: pack(metrics),
            provider: &metrics.provider,
            model_id: &metrics.model_id,
            health: &metrics.provider_health,
            late_ms: wall_ms.wrapping_sub(at_ms) as i64,
        }
    }
}

impl Row {
    /// The figures of this row.
    pub(super) fn metrics(&self, source: SourceName, sources_active: &[SourceName], wall_ms: u64) -> Metrics {
        let at = wall_ms.wrapping_sub(self.late_ms as u64);
        let once = unpack(&self.cells, Rest { row: self, source, sources_active, timestamp: seconds_of(at) });
        let degrade_level_num = once.degrade_level.map(Level::number);
        Metrics { queue_max: once.queue_max_frames, degrade_level_num, ..once }
    }

    /// By how many milliseconds the figures are older than the frame.
    pub(super) fn late_ms(&self) -> i64 {
        self.late_ms
    }

    /// Memory beyond the row itself, at most.
    pub(super) fn bytes(&self) -> usize {
        self.provider.capacity() + self.model_id.capacity() + self.health_bytes
    }

    /// Writes that all is as foreseen, and takes that on.
    pub(super) fn put_foreseen(&mut self, out: &mut Vec<u8>) {
        put_varint(out, 0);
        self.foresee();
    }

    /// Writes how `now` differs from what this row foresees. Returns whether it does.
    pub(super) fn put(&self, out: &mut Vec<u8>, now: &Figures<'_>) -> bool {
        let mask = self.differing(now);
        put_varint(out, mask);
        for (place, cell) in now.cells.iter().enumerate().filter(|(place, _)| mask >> place & 1 == 1) {
            self.put_cell(out, place, *cell);
        }
        if mask & PROVIDER != 0 {
            put_text(out, now.provider);
        }
        if mask & MODEL != 0 {
            put_text(out, now.model_id);
        }
        if mask & HEALTH != 0 {
            now.health.write(out);
        }
        if mask & LATE != 0 {
            put_signed(out, now.late_ms);
        }
        mask != 0
    }

    /// Writes all of it, with what it foresees: a reader that begins there foresees as all others do.
    pub(super) fn put_whole(&self, out: &mut Vec<u8>) {
        let Self { cells, provider, model_id, health, late_ms, .. } = self;
        let now = Figures { cells: *cells, provider, model_id, health, late_ms: *late_ms };
        Self::default().put(out, &now);
        steady().for_each(|place| put_signed(out, self.steps[place] as i64));
    }

    fn differing(&self, now: &Figures<'_>) -> u64 {
        let cells = now.cells.iter().enumerate();
        let mask = cells.fold(0, |mask, (place, cell)| mask | u64::from(self.foreseen(place) != *cell) << place);
        let texts = [
            (PROVIDER, self.provider != now.provider),
            (MODEL, self.model_id != now.model_id),
            (HEALTH, self.health != *now.health),
            (LATE, self.late_ms != now.late_ms),
        ];
        texts.iter().fold(mask, |mask, (bit, differs)| mask | if *differs { *bit } else { 0 })
    }

    fn put_cell(&self, out: &mut Vec<u8>, place: usize, cell: u64) {
        match CODINGS[place] {
            Coding::Steady | Coding::Whole => put_signed(out, cell.wrapping_sub(self.foreseen(place)) as i64),
            Coding::Float => put_float(out, f64::from_bits(self.cells[place]), f64::from_bits(cell)),
            Coding::Choice(_) => out.push(cell as u8),
        }
    }

    /// Takes the figures on.
    pub(super) fn take(&mut self, now: &Figures<'_>) {
        for (place, cell) in now.cells.into_iter().enumerate() {
            self.advance(place, cell);
        }
        if self.provider != now.provider {
            self.provider = now.provider.into();
        }
        if self.model_id != now.model_id {
            self.model_id = now.model_id.into();
        }
        if self.health != *now.health {
            self.health.clone_from(now.health);
        }
        self.late_ms = now.late_ms;
    }

    /// Takes on what it foresees.
    pub(super) fn foresee(&mut self) {
        for place in steady() {
            self.cells[place] = self.foreseen(place);
        }
    }

    /// Takes on what was written.
    pub(super) fn read(&mut self, from: &mut Reader<'_>) -> Result<(), FrameError> {
        let mask = from.varint("row.mask")?;
        if mask >= LATE << 1 {
            return Err(FrameError::new("row.mask", Reason::OutOfRange));
        }
        for place in 0..CELLS {
            let cell = if mask >> place & 1 == 1 { self.read_cell(from, place)? } else { self.foreseen(place) };
            self.advance(place, cell);
        }
        self.read_texts(from, mask)
    }

    /// Takes on a whole row.
    pub(super) fn read_whole(&mut self, from: &mut Reader<'_>) -> Result<(), FrameError> {
        *self = Self::default();
        self.read(from)?;
        for place in steady() {
            self.steps[place] = from.signed("row.step")? as u64;
        }
        Ok(())
    }

    fn read_cell(&self, from: &mut Reader<'_>, place: usize) -> Result<u64, FrameError> {
        match CODINGS[place] {
            Coding::Steady | Coding::Whole => Ok(self.foreseen(place).wrapping_add(from.signed("row.cell")? as u64)),
            Coding::Float => read_float(from, f64::from_bits(self.cells[place]), "row.cell").map(f64::to_bits),
            Coding::Choice(count) => {
                let choice = from.byte("row.cell")?;
                if choice < count { Ok(choice.into()) } else { Err(FrameError::new("row.cell", Reason::OutOfRange)) }
            }
        }
    }

    fn read_texts(&mut self, from: &mut Reader<'_>, mask: u64) -> Result<(), FrameError> {
        if mask & PROVIDER != 0 {
            self.provider = from.text("row.provider")?.into();
        }
        if mask & MODEL != 0 {
            self.model_id = from.text("row.model_id")?.into();
        }
        if mask & HEALTH != 0 {
            self.health = Codec::read(from, "row.health")?;
            self.health_bytes = self.health.as_deref().map_or(0, memory_of);
        }
        if mask & LATE != 0 {
            self.late_ms = from.signed("row.late_ms")?;
        }
        Ok(())
    }

    fn foreseen(&self, place: usize) -> u64 {
        self.cells[place].wrapping_add(self.steps[place])
    }

    fn advance(&mut self, place: usize, cell: u64) {
        if CODINGS[place] == Coding::Steady {
            self.steps[place] = cell.wrapping_sub(self.cells[place]);
        }
        self.cells[place] = cell;
    }
}

/// What a reader sees of a row.
impl Row {
    /// The figure of a cell as a number; None where a float holds nothing.
    pub(super) fn cell(&self, cell: Cell) -> Option<f64> {
        let bits = self.cells[cell as usize];
        match CODINGS[cell as usize] {
            Coding::Float => Some(f64::from_bits(bits)).filter(|value| value.is_finite()),
            Coding::Steady | Coding::Whole | Coding::Choice(_) => Some(bits as f64),
        }
    }

    pub(super) fn provider(&self) -> &str {
        &self.provider
    }

    pub(super) fn model_id(&self) -> &str {
        &self.model_id
    }

    pub(super) fn health(&self) -> Option<&Arc<Value>> {
        self.health.as_ref()
    }
}

/// The places of the steady cells.
fn steady() -> impl Iterator<Item = usize> {
    (0..CELLS).filter(|place| CODINGS[*place] == Coding::Steady)
}
