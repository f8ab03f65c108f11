use alloc::vec::Vec;

use super::codec::{put_section, put_signed, put_varint};
use super::columns::{put_counters, put_gauges};
use super::events::put_events;
use super::histogram::put_histogram;
use super::record::{Record, RecordKind};
use super::schema::{Extent, Schema};
use super::state::{Head, RegistryTotals, ServerFigures, State, empty_histogram};
use super::{EXTENT, section};
use crate::registry::Kind;
use crate::snapshot::{FamilySnapshot, HistogramSnapshot, RegistrySnapshot, Value};
use crate::wire::{Event, SessionState};

/// Everything that a server knows at one tick.
///
/// ```
/// use tachograph_core::registry::Registry;
/// use tachograph_core::wire::frame::Tick;
///
/// let snapshot = Registry::new().snapshot();
/// let tick = Tick { tick: 7, monotonic_us: 7_000_000, ..Tick::of(&snapshot) };
/// assert!(tick.sessions.is_empty() && tick.events.is_empty());
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Tick<'a> {
    /// The tick's number on its schedule; those left out were missed.
    pub tick: u64,
    /// Microseconds since the server's start.
    pub monotonic_us: u64,
    /// Unix milliseconds.
    pub wall_ms: u64,
    /// What the server says of itself.
    pub server: ServerFigures,
    /// All metrics: each tick of the same registry.
    pub registry: &'a RegistrySnapshot,
    /// The live sessions, by id.
    pub sessions: &'a [SessionState],
    /// What happened since the tick before.
    pub events: &'a [Event],
    /// Events since the tick before that there was no room for.
    pub events_dropped: u64,
}

impl<'a> Tick<'a> {
    /// A tick with metrics alone.
    pub fn of(registry: &'a RegistrySnapshot) -> Self {
        Self {
            tick: 0,
            monotonic_us: 0,
            wall_ms: registry.at,
            server: ServerFigures::default(),
            registry,
            sessions: &[],
            events: &[],
            events_dropped: 0,
        }
    }
}

/// Writes a frame a tick: what changed since the tick before.
///
/// ```
/// use tachograph_core::registry::{Descriptor, Registry};
/// use tachograph_core::wire::frame::{Decoder, Encoder, Tick};
///
/// let registry = Registry::new();
/// let frames = registry.counter(&Descriptor::new("frames", "Frames seen"))?.bind(&[])?;
/// let (mut encoder, mut decoder) = (Encoder::new(), Decoder::default());
/// for tick in 1..=3 {
///     frames.add(7);
///     let (mut record, snapshot) = (Vec::new(), registry.snapshot());
///     encoder.encode(&Tick { tick, ..Tick::of(&snapshot) }, &mut record);
///     decoder.decode(&record)?;
///     assert_eq!(decoder.state().registry().counter("frames", &[]), Some(7 * tick));
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Default)]
pub struct Encoder {
    state: State,
    /// For each family of the registry, in its order, the slots of its series.
    slots: Vec<FamilySlots>,
    counters: Vec<u64>,
    gauges: Vec<f64>,
    /// The frame and one of its sections, while they are written.
    body: Vec<u8>,
    section: Vec<u8>,
    /// A frame was begun and not ended: who reads on cannot know what it would have said.
    torn: bool,
}

/// Where the series of a family stand.
#[derive(Debug)]
struct FamilySlots {
    kind: Kind,
    family: usize,
    slots: Vec<u32>,
}

/// What a frame says beside the columns.
pub(super) struct Update<'a, S> {
    pub(super) head: Head,
    pub(super) server: ServerFigures,
    pub(super) totals: RegistryTotals,
    pub(super) sessions: S,
    pub(super) events: &'a [Event],
    pub(super) events_dropped: u64,
}

impl Encoder {
    /// An encoder whose first frame is number 1.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends the next frame, a record: what changed since the one before. Where that one was not
    /// ended, by a panic, it appends the schema and a keyframe instead.
    pub fn encode(&mut self, tick: &Tick<'_>, out: &mut Vec<u8>) {
        let torn = core::mem::replace(&mut self.torn, true);
        let known = self.state.schema.extent().entries;
        self.describe(tick.registry);
        self.gather(tick.registry);
        let head = Head {
            seq: self.state.head.seq + 1,
            tick: tick.tick,
            monotonic_us: tick.monotonic_us,
            wall_ms: tick.wall_ms,
        };
        let update = Update {
            head,
            server: tick.server,
            totals: RegistryTotals::of(tick.registry),
            sessions: tick.sessions,
            events: tick.events,
            events_dropped: tick.events_dropped,
        };
        let slots = core::mem::take(&mut self.slots);
        self.put_frame(known, &update, histograms(tick.registry, &slots));
        self.slots = slots;
        self.torn = false;
        if torn {
            self.write_schema(out);
            self.write_keyframe(out);
        } else {
            self.write_delta(out);
        }
    }

    /// Appends the newest frame's state by itself, a record.
    pub fn write_keyframe(&mut self, out: &mut Vec<u8>) {
        let Self { state, body, section, .. } = self;
        let State { head, server, totals, schema, columns, sessions, events, events_dropped, .. } = state;
        body.clear();
        body.push(EXTENT);
        head.put_since(&Head::default(), body);
        put_extent(body, schema, state.extent);
        let mut sections = Sections { body, section };
        sections.add(section::SERVER, |out| server.put(out));
        sections.add(section::TOTALS, |out| totals.put_since(&RegistryTotals::default(), out));
        let nothing = alloc::vec![0; columns.counters.len()];
        sections.add(section::COUNTERS, |out| put_counters(out, &nothing, &columns.counters));
        let nothing = alloc::vec![0.0; columns.gauges.len()];
        sections.add(section::GAUGES, |out| put_gauges(out, &nothing, &columns.gauges));
        sections.add(section::HISTOGRAMS, |out| put_histograms(out, schema, &columns.histograms));
        if sessions.len() > 0 {
            sections.add(section::SESSIONS, |out| sessions.put_whole(out));
        }
        sections.add(section::EVENTS, |out| put_events(out, events, *events_dropped, head.wall_ms));
        Record { kind: RecordKind::Keyframe, payload: &self.body }.write(out);
    }

    /// Appends the whole schema; see [`Schema::write_records`].
    pub fn write_schema(&self, out: &mut Vec<u8>) {
        self.state.schema.write_records(out);
    }

    /// What the newest frame said.
    pub fn state(&self) -> &State {
        &self.state
    }

    pub(super) fn state_mut(&mut self) -> &mut State {
        &mut self.state
    }

    /// The columns of the frame that is to be written.
    pub(super) fn next_columns(&mut self) -> (&mut Vec<u64>, &mut Vec<f64>) {
        (&mut self.counters, &mut self.gauges)
    }

    pub(super) fn write_delta(&self, out: &mut Vec<u8>) {
        Record { kind: RecordKind::Delta, payload: &self.body }.write(out);
    }

    // ---- the series and their places

    /// Describes the families and series that are new.
    fn describe(&mut self, registry: &RegistrySnapshot) {
        // A panic may have left series where they do not belong.
        self.state.schema.sort();
        if registry.families.len() != self.slots.len() {
            self.place_families(registry);
        }
        let mut slots = core::mem::take(&mut self.slots);
        for (family, slots) in registry.families.iter().zip(&mut slots) {
            if family.series.len() != slots.slots.len() {
                self.place_series(family, slots);
            }
        }
        self.slots = slots;
        self.state.schema.sort();
    }

    fn place_families(&mut self, registry: &RegistrySnapshot) {
        let place = |family: &FamilySnapshot| {
            let schema = &mut self.state.schema;
            let known = schema.family(family.name());
            let number = known.unwrap_or_else(|| schema.add_family(family.kind, &family.descriptor));
            FamilySlots { kind: family.kind, family: number, slots: Vec::new() }
        };
        self.slots = registry.families.iter().map(place).collect();
    }

    /// Finds the slot of each series, by its labels; those that are new get the next ones.
    fn place_series(&mut self, family: &FamilySnapshot, places: &mut FamilySlots) {
        let schema = &mut self.state.schema;
        let held = schema.families()[places.family].series.clone();
        places.slots.clear();
        for series in &family.series {
            let entries = schema.series();
            let found = held.binary_search_by(|number| entries[*number as usize].labels.cmp(&series.labels));
            let slot = match found {
                Ok(place) => Some(entries[held[place] as usize].slot),
                Err(_) => schema.add_series(places.family, &series.labels),
            };
            places.slots.extend(slot);
        }
    }

    fn gather(&mut self, registry: &RegistrySnapshot) {
        let extent = self.state.schema.extent();
        self.counters.resize(extent.counters as usize, 0);
        self.gauges.resize(extent.gauges as usize, 0.0);
        for (family, slots) in registry.families.iter().zip(&self.slots) {
            for (series, slot) in family.series.iter().zip(&slots.slots) {
                match &series.value {
                    Value::Counter(total) => set(&mut self.counters, *slot, *total),
                    Value::Gauge(gauge) => set(&mut self.gauges, *slot, gauge.value()),
                    Value::Histogram(_) => {}
                }
            }
        }
    }

    // ---- the frame

    /// Writes the frame into the body, and takes it on.
    pub(super) fn put_frame<'a>(
        &mut self,
        known: u32,
        update: &Update<'_, &[SessionState]>,
        histograms: impl Iterator<Item = (u32, &'a HistogramSnapshot)>,
    ) {
        let Self { state, body, section, counters, gauges, .. } = self;
        let extent = state.schema.extent();
        body.clear();
        body.push(if extent == state.extent { 0 } else { EXTENT });
        update.head.put_since(&state.head, body);
        if extent != state.extent {
            state.extent = extent;
            put_extent(body, &state.schema, extent);
        }
        let State { schema, columns, sessions, totals, .. } = state;
        columns.grow(extent, schema);
        let mut sections = Sections { body, section };
        if known < extent.entries {
            sections.add(section::SCHEMA, |out| {
                schema.write(known, usize::MAX, out);
            });
        }
        sections.add(section::SERVER, |out| update.server.put(out));
        sections.add(section::TOTALS, |out| update.totals.put_since(totals, out));
        sections.add(section::COUNTERS, |out| put_counters(out, &columns.counters, counters));
        sections.add(section::GAUGES, |out| put_gauges(out, &columns.gauges, gauges));
        sections.add(section::HISTOGRAMS, |out| put_grown(out, &mut columns.histograms, histograms));
        if sessions.len() + update.sessions.len() > 0 {
            sections.add(section::SESSIONS, |out| sessions.put(out, update.sessions, update.head.wall_ms));
        }
        let events = |out: &mut Vec<u8>| put_events(out, update.events, update.events_dropped, update.head.wall_ms);
        sections.add(section::EVENTS, events);
        self.take_on(update);
    }

    /// What the sections did not take on themselves.
    fn take_on(&mut self, update: &Update<'_, &[SessionState]>) {
        let state = &mut self.state;
        core::mem::swap(&mut state.columns.counters, &mut self.counters);
        core::mem::swap(&mut state.columns.gauges, &mut self.gauges);
        (state.head, state.server, state.totals) = (update.head, update.server, update.totals);
        state.events.clear();
        state.events.extend_from_slice(update.events);
        state.events_dropped = update.events_dropped;
    }
}

/// A frame's sections, one behind the other.
struct Sections<'a> {
    body: &'a mut Vec<u8>,
    section: &'a mut Vec<u8>,
}

impl Sections<'_> {
    /// Adds what is put, unless that is nothing.
    fn add(&mut self, id: u8, put: impl FnOnce(&mut Vec<u8>)) {
        self.section.clear();
        put(self.section);
        put_section(self.body, id, self.section);
    }
}

/// All histograms, from nothing.
fn put_histograms(out: &mut Vec<u8>, schema: &Schema, histograms: &[HistogramSnapshot]) {
    let mut last = 0;
    for (slot, histogram) in histograms.iter().enumerate() {
        put_slot(out, &mut last, slot as u32, &empty_histogram(schema, slot), histogram);
    }
}

/// Those that grew; they are taken on.
fn put_grown<'a>(
    out: &mut Vec<u8>,
    held: &mut [HistogramSnapshot],
    now: impl Iterator<Item = (u32, &'a HistogramSnapshot)>,
) {
    let mut last = 0;
    for (slot, histogram) in now {
        let Some(before) = held.get_mut(slot as usize) else { continue };
        if put_slot(out, &mut last, slot, before, histogram) {
            before.copy_from(histogram);
        }
    }
}

fn set<T>(column: &mut [T], slot: u32, value: T) {
    if let Some(cell) = column.get_mut(slot as usize) {
        *cell = value;
    }
}

/// The registry's histograms with their slots.
fn histograms<'a>(
    registry: &'a RegistrySnapshot,
    slots: &'a [FamilySlots],
) -> impl Iterator<Item = (u32, &'a HistogramSnapshot)> {
    let families = registry.families.iter().zip(slots).filter(|(_, slots)| slots.kind == Kind::Histogram);
    let series = families.flat_map(|(family, slots)| family.series.iter().zip(&slots.slots));
    series.filter_map(|(series, slot)| Some((*slot, series.value.histogram()?)))
}

/// A histogram behind how far its slot is from the one after the last. Returns whether it is written: one
/// that did not change is not.
fn put_slot(out: &mut Vec<u8>, last: &mut i64, slot: u32, before: &HistogramSnapshot, now: &HistogramSnapshot) -> bool {
    let begin = out.len();
    put_signed(out, i64::from(slot) - *last);
    let is_written = put_histogram(out, before, now);
    if is_written {
        *last = i64::from(slot) + 1;
    } else {
        out.truncate(begin);
    }
    is_written
}

fn put_extent(out: &mut Vec<u8>, schema: &Schema, extent: Extent) {
    let Extent { entries, counters, gauges, histograms } = extent;
    [entries, counters, gauges, histograms].into_iter().for_each(|count| put_varint(out, count.into()));
    out.extend_from_slice(&schema.hash(entries).unwrap_or_default().to_le_bytes());
}
