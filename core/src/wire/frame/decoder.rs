use alloc::vec::Vec;

use super::codec::Reader;
use super::columns::{read_counters, read_gauges};
use super::events::{memory_of_events, read_events};
use super::histogram::read_histogram;
use super::record::{Record, RecordKind};
use super::schema::Extent;
use super::sessions::Sessions;
use super::state::{Columns, FIRST, Head, RegistryTotals, ServerFigures, State};
use super::{EXTENT, FrameError, Reason, section};
use crate::snapshot::HistogramSnapshot;
use crate::wire::Event;

/// Memory that what was decoded may take, unless said otherwise: 256 MiB.
pub const DECODED_BYTES_MAX: usize = 256 << 20;

/// Follows a stream: takes one record after another and holds what the newest frame says.
///
/// Whatever the bytes are, it does not panic, and it keeps no more than its limit and, while it reads a
/// record, 256 bytes for each of the record's own and 1 MiB. After an error it waits for the next
/// keyframe; after [`TooMuch`](Reason::TooMuch), or with series of its own that are not the stream's, for
/// a whole schema before that.
///
/// ```
/// use tachograph_core::registry::{Descriptor, Registry};
/// use tachograph_core::wire::frame::{Decoder, Encoder, Tick};
///
/// let registry = Registry::new();
/// registry.counter(&Descriptor::new("orders", "Orders"))?.bind(&[])?.add(3);
/// let (snapshot, mut stream) = (registry.snapshot(), Vec::new());
/// Encoder::new().encode(&Tick { tick: 1, ..Tick::of(&snapshot) }, &mut stream);
/// let mut decoder = Decoder::default();
/// decoder.decode(&stream)?;
/// assert_eq!(decoder.state().registry().counter("orders", &[]), Some(3));
/// assert!(decoder.decode(&stream[..3]).is_err(), "it is cut off");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Decoder {
    state: State,
    /// The newest frame was taken whole, so that the one after it can follow.
    follows: bool,
    limit: usize,
    schema_bytes: usize,
    column_bytes: usize,
    event_bytes: usize,
}

/// What a record brought.
///
/// ```
/// use tachograph_core::registry::Registry;
/// use tachograph_core::wire::frame::{Applied, Decoder, Encoder, Record, Tick};
///
/// let (snapshot, mut stream) = (Registry::new().snapshot(), Vec::new());
/// Encoder::new().encode(&Tick::of(&snapshot), &mut stream);
/// let (record, _length) = Record::split(&stream).ok_or("it is cut off")?;
/// assert_eq!(Decoder::default().apply(&record)?, Applied::Frame);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// Nothing that the state holds.
    Nothing,
    /// The schema.
    Schema,
    /// A frame; the state is of its tick.
    Frame,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::with_limit(DECODED_BYTES_MAX)
    }
}

impl Decoder {
    /// A decoder that keeps at most so many bytes.
    pub fn with_limit(limit: usize) -> Self {
        Self { state: State::default(), follows: false, limit, schema_bytes: 0, column_bytes: 0, event_bytes: 0 }
    }

    /// What the newest frame says.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Whether the state is that of a frame.
    pub fn has_frame(&self) -> bool {
        self.follows
    }

    /// Takes whole records, one after another. Returns how many frames they were.
    ///
    /// # Errors
    /// The first record that is not as it should be; those before it were taken.
    pub fn decode(&mut self, bytes: &[u8]) -> Result<u64, FrameError> {
        let mut frames = 0;
        for record in Record::all(bytes) {
            frames += u64::from(self.apply(&record?)? == Applied::Frame);
        }
        Ok(frames)
    }

    /// Takes one record.
    ///
    /// # Errors
    /// The record is not as it should be. A frame that was begun leaves a state that only a keyframe mends.
    pub fn apply(&mut self, record: &Record<'_>) -> Result<Applied, FrameError> {
        let applied = self.read(record);
        if applied.is_err_and(|error| error.reason == Reason::TooMuch) {
            *self = Self::with_limit(self.limit);
        }
        applied
    }

    fn read(&mut self, record: &Record<'_>) -> Result<Applied, FrameError> {
        let from = &mut Reader::new(record.payload);
        match record.kind {
            RecordKind::Schema => self.read_whole_schema(from).map(|()| Applied::Schema),
            RecordKind::Keyframe => self.read_frame(from, true).map(|()| Applied::Frame),
            RecordKind::Delta => self.read_frame(from, false).map(|()| Applied::Frame),
            RecordKind::Hello | RecordKind::Skipped | RecordKind::Unknown(_) => Ok(Applied::Nothing),
        }
    }

    /// Of another stream's schema nothing stays.
    fn read_whole_schema(&mut self, from: &mut Reader<'_>) -> Result<(), FrameError> {
        if !self.state.schema.goes_with(from.rest()) {
            *self = Self::with_limit(self.limit);
        }
        self.read_schema(from)
    }

    fn read_schema(&mut self, from: &mut Reader<'_>) -> Result<(), FrameError> {
        // Each byte of an entry takes some of memory, so that a schema is refused before it is read.
        if self.bytes().saturating_add(from.rest().len()) > self.limit {
            return Err(FrameError::new("schema", Reason::TooMuch));
        }
        self.schema_bytes += self.state.schema.read(from)?;
        self.check_memory("schema")
    }

    /// Memory of all that is kept, at most.
    fn bytes(&self) -> usize {
        let parts = [self.schema_bytes, self.column_bytes, self.event_bytes, self.state.sessions.bytes()];
        parts.into_iter().fold(0, usize::saturating_add)
    }

    fn check_memory(&self, field: &'static str) -> Result<(), FrameError> {
        if self.bytes() <= self.limit { Ok(()) } else { Err(FrameError::new(field, Reason::TooMuch)) }
    }

    fn read_frame(&mut self, from: &mut Reader<'_>, is_keyframe: bool) -> Result<(), FrameError> {
        let flags = from.byte("frame.flags")?;
        let before = if is_keyframe { Head::default() } else { self.state.head };
        let head = Head::read_since(&before, from)?;
        // The first frame of all changes nothing else, so that it follows from nothing.
        let begins = is_keyframe || head.seq == FIRST;
        if !begins && (!self.follows || head.seq != self.state.head.seq.wrapping_add(1)) {
            return Err(FrameError::new("head.seq", Reason::OutOfOrder));
        }
        self.follows = false;
        if begins {
            self.restart();
        }
        let extent = if flags & EXTENT != 0 { Some(Named::read(from)?) } else { None };
        self.state.head = head;
        (self.state.events, self.state.events_dropped, self.event_bytes) = (Vec::new(), 0, 0);
        self.read_sections(from, extent)?;
        // Once for all of a schema, which can come in many records.
        self.state.schema.sort();
        self.follows = true;
        Ok(())
    }

    fn restart(&mut self) {
        let state = &mut self.state;
        (state.columns, state.sessions) = (Columns::default(), Sessions::default());
        (state.extent, state.totals, state.server) =
            (Extent::default(), RegistryTotals::default(), ServerFigures::default());
        self.column_bytes = 0;
    }

    fn read_sections(&mut self, from: &mut Reader<'_>, mut extent: Option<Named>) -> Result<(), FrameError> {
        while !from.is_empty() {
            let id = from.byte("section")?;
            let mut body = from.block("section")?;
            // A schema comes before what needs it.
            if id != section::SCHEMA {
                self.take_extent(extent.take())?;
            }
            self.read_section(id, &mut body)?;
        }
        self.take_extent(extent)
    }

    /// Of the figures so many are there from now on; those that are new begin at zero.
    fn take_extent(&mut self, named: Option<Named>) -> Result<(), FrameError> {
        let Some(Named { extent, hash }) = named else { return Ok(()) };
        let state = &mut self.state;
        let is_described = state.schema.extent_of(extent.entries) == Some(extent);
        if !is_described || extent.entries < state.extent.entries {
            return Err(FrameError::new("frame.extent", Reason::UnknownSchema));
        }
        if state.schema.hash(extent.entries) != Some(hash) {
            return Err(FrameError::new("frame.schema_hash", Reason::OtherSchema));
        }
        let bytes = state.columns.bytes_to_grow(extent, &state.schema);
        self.column_bytes = self.column_bytes.saturating_add(bytes);
        state.extent = extent;
        self.check_memory("frame.extent")?;
        self.state.columns.grow(extent, &self.state.schema);
        Ok(())
    }

    fn read_section(&mut self, id: u8, body: &mut Reader<'_>) -> Result<(), FrameError> {
        let state = &mut self.state;
        match id {
            section::SCHEMA => self.read_schema(body)?,
            section::SERVER => state.server = ServerFigures::read(body)?,
            section::TOTALS => state.totals = RegistryTotals::read_since(&state.totals, body)?,
            section::COUNTERS => read_counters(body, &mut state.columns.counters)?,
            section::GAUGES => read_gauges(body, &mut state.columns.gauges)?,
            section::HISTOGRAMS => self.read_histograms(body)?,
            section::SESSIONS => {
                let others = self.schema_bytes.saturating_add(self.column_bytes).saturating_add(self.event_bytes);
                state.sessions.read(body, self.limit.saturating_sub(others))?;
            }
            section::EVENTS => {
                self.event_bytes = body.rest().len();
                (state.events, state.events_dropped) = read_events(body, state.head.wall_ms)?;
                self.event_bytes += state.events.capacity() * size_of::<Event>() + memory_of_events(&state.events);
                self.check_memory("events")?;
            }
            // Of a later version.
            _ => {}
        }
        Ok(())
    }

    fn read_histograms(&mut self, body: &mut Reader<'_>) -> Result<(), FrameError> {
        let mut next = 0_i64;
        while !body.is_empty() {
            let slot = next.wrapping_add(body.signed("histogram.slot")?);
            let state = &mut self.state;
            let held = usize::try_from(slot).ok().and_then(|slot| state.columns.histograms.get_mut(slot));
            let histogram = held.ok_or(FrameError::new("histogram.slot", Reason::OutOfRange))?;
            let before = buckets_of(histogram);
            read_histogram(body, histogram)?;
            let after = buckets_of(histogram);
            self.column_bytes = self.column_bytes.saturating_sub(before * BUCKET_BYTES) + after * BUCKET_BYTES;
            self.check_memory("histograms")?;
            next = slot + 1;
        }
        Ok(())
    }
}

/// Memory of a bucket: of a list that grew, and while it grows.
const BUCKET_BYTES: usize = 3 * size_of::<(i32, u64)>();

fn buckets_of(histogram: &HistogramSnapshot) -> usize {
    histogram.positive().len() + histogram.negative().len()
}

/// How much of a schema a frame is about, and that schema's hash.
#[derive(Clone, Copy)]
struct Named {
    extent: Extent,
    hash: u64,
}

impl Named {
    fn read(from: &mut Reader<'_>) -> Result<Self, FrameError> {
        let mut count = || from.small("frame.extent");
        let extent = Extent { entries: count()?, counters: count()?, gauges: count()?, histograms: count()? };
        Ok(Self { extent, hash: u64::from_le_bytes(from.array("frame.schema_hash")?) })
    }
}
