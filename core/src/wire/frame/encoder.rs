use alloc::vec::Vec;

use super::codec::{put_section, put_signed, put_varint};
use super::columns::{put_counters, put_gauges};
use super::events::put_events;
use super::histogram::put_histogram;
use super::record::{Record, RecordKind};
use super::schema::Extent;
use super::state::{Head, ServerFigures, State, Totals, empty_histogram};
use super::{EXTENT, section};
use crate::registry::Kind;
use crate::snapshot::{FamilySnapshot, HistogramSnapshot, RegistrySnapshot, Value};
use crate::wire::{Event, SessionState};

/// Frames since a keyframe, by length and by number, until the next one is due.
const KEYFRAME_SHARE: usize = 8;
const KEYFRAME_FRAMES_MAX: u64 = 300;
/// Entries that are written into one record of the schema.
const SCHEMA_RECORD_BYTES: usize = 2_000;

/// Everything that a server knows at one tick.
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
    /// Bytes of the frames since the newest keyframe, and of that.
    since_keyframe: usize,
    keyframe_bytes: usize,
    keyframe_seq: Option<u64>,
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
    pub(super) totals: Totals,
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
            totals: Totals::of(tick.registry),
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
            self.since_keyframe += self.body.len();
        }
    }

    /// Whether it is time for a keyframe: there was none, or what a reader that begins with the newest one has
    /// to take in is eight times as long as it, or five minutes. So keyframes never cost more than an eighth of
    /// the frames.
    pub fn is_keyframe_due(&self) -> bool {
        let is_much = self.since_keyframe >= KEYFRAME_SHARE * self.keyframe_bytes;
        is_much || self.keyframe_seq.is_none_or(|seq| self.state.head.seq.saturating_sub(seq) >= KEYFRAME_FRAMES_MAX)
    }

    /// Appends the newest frame's state by itself, a record.
    pub fn write_keyframe(&mut self, out: &mut Vec<u8>) {
        let state = &self.state;
        let body = &mut self.body;
        body.clear();
        body.push(EXTENT);
        state.head.put_since(&Head::default(), body);
        put_extent(body, state);
        let mut section = |id, put: &mut dyn FnMut(&mut Vec<u8>)| {
            self.section.clear();
            put(&mut self.section);
            put_section(body, id, &self.section);
        };
        section(section::SERVER, &mut |out| state.server.put(out));
        section(section::TOTALS, &mut |out| state.totals.put_since(&Totals::default(), out));
        let columns = &state.columns;
        section(section::COUNTERS, &mut |out| {
            put_counters(out, &alloc::vec![0; columns.counters.len()], &columns.counters);
        });
        section(section::GAUGES, &mut |out| {
            put_gauges(out, &alloc::vec![0.0; columns.gauges.len()], &columns.gauges);
        });
        section(section::HISTOGRAMS, &mut |out| {
            let mut last = 0;
            for (slot, histogram) in columns.histograms.iter().enumerate() {
                put_slot(out, &mut last, slot as u32, &empty_histogram(&state.schema, slot), histogram);
            }
        });
        section(section::SESSIONS, &mut |out| {
            if state.sessions.len() > 0 {
                state.sessions.put_whole(out);
            }
        });
        section(section::EVENTS, &mut |out| {
            put_events(out, &state.events, state.events_dropped, state.head.wall_ms);
        });
        Record { kind: RecordKind::Keyframe, payload: &self.body }.write(out);
        (self.keyframe_bytes, self.since_keyframe) = (self.body.len(), 0);
        self.keyframe_seq = Some(self.state.head.seq);
    }

    /// Appends the whole schema: records of at most 2 KB, but for longer entries, so that it can be sent
    /// in small messages.
    pub fn write_schema(&self, out: &mut Vec<u8>) {
        let (mut payload, mut next) = (Vec::new(), 0);
        loop {
            payload.clear();
            next = self.state.schema.write(next, SCHEMA_RECORD_BYTES, &mut payload);
            Record { kind: RecordKind::Schema, payload: &payload }.write(out);
            if next >= self.state.schema.extent().entries {
                return;
            }
        }
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
            put_extent(body, state);
        }
        state.columns.grow(extent, &state.schema);
        let mut end = |id, section: &mut Vec<u8>| {
            put_section(body, id, section);
            section.clear();
        };
        section.clear();
        if known < extent.entries {
            state.schema.write(known, usize::MAX, section);
            end(section::SCHEMA, section);
        }
        update.server.put(section);
        end(section::SERVER, section);
        update.totals.put_since(&state.totals, section);
        end(section::TOTALS, section);
        put_counters(section, &state.columns.counters, counters);
        end(section::COUNTERS, section);
        put_gauges(section, &state.columns.gauges, gauges);
        end(section::GAUGES, section);
        let mut last = 0;
        for (slot, histogram) in histograms {
            let Some(held) = state.columns.histograms.get_mut(slot as usize) else { continue };
            if put_slot(section, &mut last, slot, held, histogram) {
                held.copy_from(histogram);
            }
        }
        end(section::HISTOGRAMS, section);
        if state.sessions.len() + update.sessions.len() > 0 {
            state.sessions.put(section, update.sessions, update.head.wall_ms);
        }
        end(section::SESSIONS, section);
        put_events(section, update.events, update.events_dropped, update.head.wall_ms);
        end(section::EVENTS, section);
        core::mem::swap(&mut state.columns.counters, counters);
        core::mem::swap(&mut state.columns.gauges, gauges);
        (state.head, state.server, state.totals) = (update.head, update.server, update.totals);
        state.events.clear();
        state.events.extend_from_slice(update.events);
        state.events_dropped = update.events_dropped;
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

fn put_extent(out: &mut Vec<u8>, state: &State) {
    let Extent { entries, counters, gauges, histograms } = state.extent;
    [entries, counters, gauges, histograms].into_iter().for_each(|count| put_varint(out, count.into()));
    out.extend_from_slice(&state.schema.hash(entries).unwrap_or_default().to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::{Descriptor, Registry};
    use crate::wire::frame::{Applied, Decoder};

    /// Where a panic may have left it: series described that no frame told of, out of their order, and
    /// places lost.
    #[test]
    fn after_a_panic_the_schema_and_a_keyframe_come() {
        let registry = Registry::new();
        let frames = registry.counter(&Descriptor::new("frames", "").label("source")).unwrap();
        let (mut encoder, mut reader, mut sieve) = (
            Encoder::new(),
            Decoder::default(),
            crate::wire::frame::Sieve::new(crate::wire::frame::Filter {
                prefixes: alloc::vec!["f".into()],
                ..Default::default()
            }),
        );
        let mut sifted = Decoder::default();
        for source in ["m", "a", "z", "b"] {
            frames.with(&[("source", source)]).unwrap().inc();
            let snapshot = registry.snapshot();
            if source == "z" {
                encoder.state.schema.add_series(0, &snapshot.families[0].series[2].labels);
                encoder.slots.clear();
                encoder.torn = true;
            }
            let mut records = Vec::new();
            encoder.encode(&Tick::of(&snapshot), &mut records);
            let kinds: Vec<_> = Record::all(&records).map(|record| record.unwrap().kind).collect();
            if source == "z" {
                assert_eq!(kinds, [RecordKind::Schema, RecordKind::Keyframe]);
            } else {
                assert_eq!(kinds, [RecordKind::Delta]);
            }
            reader.decode(&records).unwrap();
            let mut left = Vec::new();
            let taken = Record::all(&records).map(|record| sieve.take(&record.unwrap(), &mut left).unwrap());
            assert_eq!(taken.last(), Some(Applied::Frame));
            sifted.decode(&left).unwrap();
            for decoder in [&reader, &sifted] {
                assert_eq!(decoder.state().registry().families, snapshot.families);
            }
        }
    }
}
