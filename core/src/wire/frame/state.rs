use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::string::ToString;
use alloc::vec::Vec;

use super::codec::{Reader, finite, put_signed, put_varint};
use super::float::{put_float, read_float};
use super::row::seconds_of;
use super::schema::{Extent, Schema, SeriesEntry};
use super::sessions::Sessions;
use super::view::SessionView;
use super::{Epoch, FrameError, Reason};
use crate::registry::Kind;
use crate::snapshot::{FamilySnapshot, GaugeSnapshot, HistogramSnapshot, RegistrySnapshot, SeriesSnapshot, Value};
use crate::wire::{Event, ServerState, SessionState, StreamFrame, rounded};

/// The number of the first frame of all.
pub(super) const FIRST: u64 = 1;

/// When a frame is of.
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
/// let state = decoder.state();
/// assert_eq!((state.head().seq, state.head().tick), (1, 1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// The frame's number, from 1, without a hole.
    pub seq: u64,
    /// The server's tick; those left out were missed.
    pub tick: u64,
    /// Microseconds since the server's start.
    pub monotonic_us: u64,
    /// Unix milliseconds.
    pub wall_ms: u64,
}

/// What a server says of itself each tick.
///
/// ```
/// use tachograph_core::registry::Registry;
/// use tachograph_core::wire::frame::{ServerFigures, Tick};
///
/// let server = ServerFigures { viewers: 2, tick_lag_ms: 0.3, ticks_missed: 0 };
/// let snapshot = Registry::new().snapshot();
/// assert_eq!(Tick { server, ..Tick::of(&snapshot) }.server.viewers, 2);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ServerFigures {
    /// Pages connected.
    pub viewers: u64,
    /// How late the tick was, in ms.
    pub tick_lag_ms: f64,
    /// Ticks missed since the server's start.
    pub ticks_missed: u64,
}

/// What a registry says of itself, as in [`RegistrySnapshot`].
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
/// let state = decoder.state();
/// assert_eq!((state.totals().refused_values, state.totals().bytes_held), (0, snapshot.bytes_held));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct RegistryTotals {
    /// Values refused because they were not finite.
    pub refused_values: u64,
    /// Bindings that went to an overflow series because their family was full.
    pub overflowed_series: u64,
    /// Memory that the registry holds.
    pub bytes_held: u64,
    /// Threads until now that count with locked operations.
    pub threads_sharing: u64,
    /// How long the taking of the snapshot took.
    pub snapshot_seconds: f64,
}

/// The figures of all series, a column a kind, by slot.
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
/// let state = decoder.state();
/// let columns = state.columns();
/// assert_eq!((columns.counters.as_slice(), columns.gauges.len()), ([3].as_slice(), 0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Columns {
    /// Totals.
    pub counters: Vec<u64>,
    /// Figures.
    pub gauges: Vec<f64>,
    /// Buckets.
    pub histograms: Vec<HistogramSnapshot>,
}

/// Everything at one frame.
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
/// let state = decoder.state();
/// assert_eq!(state.registry().counter("orders", &[]), Some(3));
/// assert_eq!((state.sessions().len(), state.events().len()), (0, 0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct State {
    pub(super) head: Head,
    pub(super) server: ServerFigures,
    pub(super) totals: RegistryTotals,
    pub(super) extent: Extent,
    pub(super) schema: Schema,
    pub(super) columns: Columns,
    pub(super) sessions: Sessions,
    pub(super) events: Vec<Event>,
    pub(super) events_dropped: u64,
}

impl State {
    /// When it is of.
    pub fn head(&self) -> Head {
        self.head
    }

    /// What the server says of itself.
    pub fn server(&self) -> ServerFigures {
        self.server
    }

    /// What the registry says of itself.
    pub fn totals(&self) -> RegistryTotals {
        self.totals
    }

    /// Which series there are; of those, the frame knows as many as its [`extent`](Self::extent) says.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// How much of the schema the frame is about.
    pub fn extent(&self) -> Extent {
        self.extent
    }

    /// All figures.
    pub fn columns(&self) -> &Columns {
        &self.columns
    }

    /// The live sessions, oldest first.
    pub fn sessions(&self) -> impl ExactSizeIterator<Item = SessionState> {
        self.sessions.states(self.head.wall_ms)
    }

    /// The live sessions as they are held, oldest first: nothing is copied.
    ///
    /// ```
    /// use tachograph_core::wire::frame::{Cell, State};
    ///
    /// fn dropped(state: &State) -> f64 {
    ///     let sources = state.session_views().flat_map(|session| session.sources());
    ///     sources.filter_map(|source| source.cell(Cell::DroppedTotal)).sum()
    /// }
    /// assert_eq!(dropped(&State::default()), 0.0);
    /// ```
    pub fn session_views(&self) -> impl ExactSizeIterator<Item = SessionView<'_>> {
        self.sessions.entries().iter().map(|entry| SessionView::new(entry, self.head.wall_ms))
    }

    /// The live session of this id.
    pub fn session_view(&self, id: u64) -> Option<SessionView<'_>> {
        self.sessions.entry(id).map(|entry| SessionView::new(entry, self.head.wall_ms))
    }

    /// What happened since the frame before.
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// Events since the frame before that there was no room for.
    pub fn events_dropped(&self) -> u64 {
        self.events_dropped
    }

    /// The figure of a series, if the frame knows it.
    pub fn value(&self, series: &SeriesEntry) -> Option<Value> {
        let family = self.schema.families().get(series.family as usize)?;
        let slot = series.slot as usize;
        Some(match family.kind {
            Kind::Counter => Value::Counter(*self.columns.counters.get(slot)?),
            Kind::Gauge => Value::Gauge(GaugeSnapshot::new(*self.columns.gauges.get(slot)?, self.head.wall_ms)),
            Kind::Histogram => Value::Histogram(Box::new(self.columns.histograms.get(slot)?.clone())),
        })
    }

    /// The registry as it was collected; a sum is the nearest float.
    pub fn registry(&self) -> RegistrySnapshot {
        let mut families: Vec<FamilySnapshot> = self.families().collect();
        families.sort_by(|one, other| one.name().cmp(other.name()));
        RegistrySnapshot {
            at: self.head.wall_ms,
            series: self.extent.series() as u64,
            families,
            refused_values: self.totals.refused_values,
            overflowed_series: self.totals.overflowed_series,
            bytes_held: self.totals.bytes_held,
            threads_sharing: self.totals.threads_sharing,
            snapshot_seconds: self.totals.snapshot_seconds,
        }
    }

    fn families(&self) -> impl Iterator<Item = FamilySnapshot> {
        self.schema.families().iter().take(self.extent.families()).map(|family| {
            let series = family.series.iter().filter_map(|number| {
                let entry = self.schema.series().get(*number as usize)?;
                Some(SeriesSnapshot { labels: entry.labels.clone(), value: self.value(entry)? })
            });
            FamilySnapshot {
                kind: family.kind,
                descriptor: alloc::sync::Arc::clone(&family.descriptor),
                series: series.collect(),
            }
        })
    }

    /// The same in the stream's plain form.
    pub fn to_plain(&self, epoch: Epoch, server_version: &str) -> StreamFrame<'static> {
        StreamFrame {
            epoch: epoch.to_string(),
            seq: self.head.seq,
            tick: self.head.tick,
            timestamp: seconds_of(self.head.wall_ms),
            server: self.server_state(server_version),
            registry: Cow::Owned(self.registry()),
            sessions: self.sessions().collect(),
            events: self.events.clone(),
            events_dropped: self.events_dropped,
        }
    }

    /// What the server says of itself, in the stream's plain form.
    pub fn server_state(&self, server_version: &str) -> ServerState {
        ServerState {
            version: server_version.into(),
            uptime_seconds: rounded(self.head.monotonic_us as f64 / 1e6, 1),
            viewers: self.server.viewers,
            tick_lag_ms: self.server.tick_lag_ms,
            ticks_missed: self.server.ticks_missed,
        }
    }
}

impl Head {
    /// Writes it as it differs from a tick that came a second after `before`.
    pub(super) fn put_since(&self, before: &Self, out: &mut Vec<u8>) {
        let elapsed_us = self.monotonic_us.wrapping_sub(before.monotonic_us);
        let elapsed_ms = self.wall_ms.wrapping_sub(before.wall_ms);
        put_varint(out, self.seq);
        put_varint(out, self.tick.wrapping_sub(before.tick).wrapping_sub(1));
        put_varint(out, elapsed_us);
        put_signed(out, elapsed_ms.wrapping_sub(elapsed_us / 1_000) as i64);
    }

    /// The first frame of all is one after nothing.
    pub(super) fn read_since(before: &Self, from: &mut Reader<'_>) -> Result<Self, FrameError> {
        let seq = from.varint("head.seq")?;
        let before = if seq == FIRST { Self::default() } else { *before };
        let tick = before.tick.wrapping_add(from.varint("head.tick")?).wrapping_add(1);
        let elapsed_us = from.varint("head.monotonic")?;
        let elapsed_ms = (elapsed_us / 1_000).wrapping_add(from.signed("head.wall")? as u64);
        Ok(Self {
            seq,
            tick,
            monotonic_us: before.monotonic_us.wrapping_add(elapsed_us),
            wall_ms: before.wall_ms.wrapping_add(elapsed_ms),
        })
    }
}

impl ServerFigures {
    pub(super) fn put(&self, out: &mut Vec<u8>) {
        put_varint(out, self.viewers);
        put_float(out, 0.0, finite(self.tick_lag_ms));
        put_varint(out, self.ticks_missed);
    }

    pub(super) fn read(from: &mut Reader<'_>) -> Result<Self, FrameError> {
        let viewers = from.varint("server.viewers")?;
        let tick_lag_ms = read_finite(from, 0.0, "server.tick_lag")?;
        Ok(Self { viewers, tick_lag_ms, ticks_missed: from.varint("server.ticks_missed")? })
    }
}

impl RegistryTotals {
    pub(super) fn of(registry: &RegistrySnapshot) -> Self {
        Self {
            refused_values: registry.refused_values,
            overflowed_series: registry.overflowed_series,
            bytes_held: registry.bytes_held,
            threads_sharing: registry.threads_sharing,
            snapshot_seconds: finite(registry.snapshot_seconds),
        }
    }

    pub(super) fn put_since(&self, before: &Self, out: &mut Vec<u8>) {
        for (now, before) in self.counts().into_iter().zip(before.counts()) {
            put_signed(out, now.wrapping_sub(before) as i64);
        }
        put_float(out, before.snapshot_seconds, self.snapshot_seconds);
    }

    pub(super) fn read_since(before: &Self, from: &mut Reader<'_>) -> Result<Self, FrameError> {
        let mut counts = before.counts();
        for count in &mut counts {
            *count = count.wrapping_add(from.signed("registry.totals")? as u64);
        }
        let [refused_values, overflowed_series, bytes_held, threads_sharing] = counts;
        let snapshot_seconds = read_finite(from, before.snapshot_seconds, "registry.snapshot_seconds")?;
        Ok(Self { refused_values, overflowed_series, bytes_held, threads_sharing, snapshot_seconds })
    }

    fn counts(&self) -> [u64; 4] {
        [self.refused_values, self.overflowed_series, self.bytes_held, self.threads_sharing]
    }
}

fn read_finite(from: &mut Reader<'_>, before: f64, field: &'static str) -> Result<f64, FrameError> {
    let value = read_float(from, before, field)?;
    if value.is_finite() { Ok(value) } else { Err(FrameError::new(field, Reason::OutOfRange)) }
}

impl Columns {
    /// Memory of so many more figures as `extent` has, at most: each of a list takes twice its own where
    /// that grew, and once more while it grows.
    pub(super) fn bytes_to_grow(&self, extent: Extent, schema: &Schema) -> usize {
        let new = |count: u32, held: usize| (count as usize).saturating_sub(held);
        let figures = new(extent.counters, self.counters.len()) + new(extent.gauges, self.gauges.len());
        let histograms = (self.histograms.len()..extent.histograms as usize).map(|slot| {
            let bounds = schema.histogram(slot).map_or(0, |descriptor| descriptor.bucket_bounds().len());
            3 * size_of::<HistogramSnapshot>() + size_of::<u64>() * (2 * bounds + 1)
        });
        histograms.fold(3 * size_of::<u64>() * figures, usize::saturating_add)
    }

    /// Room for as many figures as a frame has; new ones begin at zero.
    pub(super) fn grow(&mut self, extent: Extent, schema: &Schema) {
        self.counters.resize(extent.counters as usize, 0);
        self.gauges.resize(extent.gauges as usize, 0.0);
        for slot in self.histograms.len()..extent.histograms as usize {
            self.histograms.push(empty_histogram(schema, slot));
        }
    }
}

pub(super) fn empty_histogram(schema: &Schema, slot: usize) -> HistogramSnapshot {
    let described = schema.histogram(slot);
    described.map_or_else(HistogramSnapshot::default, |descriptor| {
        HistogramSnapshot::empty(descriptor.bucket_scale(), descriptor.bucket_bounds())
    })
}
