//! Which families and series there are. A schema only grows: an entry keeps its number, and the hash of
//! the entries so far names all of them.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::codec::{Reader, put_text, put_varint};
use super::record::{Record, RecordKind};
use super::{FrameError, Reason};
use crate::label::{LABELS_MAX, LabelValues};
use crate::registry::{Aggregation, Descriptor, Kind};

/// Entries that are written into one record.
const RECORD_BYTES: usize = 2_000;
const FAMILY: u8 = 1;
const SERIES: u8 = 2;
/// Memory that an entry takes beside its texts, at most, and that each byte of it takes.
const ENTRY_BYTES: usize = 512;
const ENTRY_BYTES_PER_BYTE: usize = 8;

/// The families and series of a stream, in the order in which they came.
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
/// let schema = state.schema();
/// let orders = &schema.families()[schema.family("orders").ok_or("no such family")?];
/// assert_eq!((orders.descriptor.name(), orders.series.as_slice()), ("orders", [0].as_slice()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Schema {
    families: Vec<FamilyEntry>,
    series: Vec<SeriesEntry>,
    /// The entries as they are written.
    bytes: Vec<u8>,
    /// For each entry what stands up to its end.
    ends: Vec<End>,
    extent: Extent,
    /// The families of the histograms, by slot.
    histograms: Vec<u32>,
    /// The families whose series are not in the order of their labels.
    unsorted: Vec<u32>,
}

/// All entries up to one.
#[derive(Clone, Copy, Debug)]
struct End {
    /// Where they end.
    at: usize,
    hash: u64,
    extent: Extent,
}

/// How much of a schema a frame is about.
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
/// let extent = state.extent();
/// assert_eq!((extent.entries, extent.counters, extent.gauges), (2, 1, 0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extent {
    /// Families and series.
    pub entries: u32,
    /// Series that are counters, gauges and histograms.
    pub counters: u32,
    /// Those that are gauges.
    pub gauges: u32,
    /// Those that are histograms.
    pub histograms: u32,
}

/// A family of a stream.
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
/// let orders = &state.schema().families()[0];
/// assert_eq!((orders.descriptor.help_text(), orders.series.len()), ("Orders", 1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct FamilyEntry {
    /// What it counts in.
    pub kind: Kind,
    /// Its name, unit, help and labels.
    pub descriptor: Arc<Descriptor>,
    /// The numbers of its series; by their labels, unless some came since the newest frame.
    pub series: Vec<u32>,
    is_sorted: bool,
}

/// A series of a stream.
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
/// let series = &state.schema().series()[0];
/// assert_eq!(state.columns().counters[series.slot as usize], 3);
/// assert_eq!(state.value(series).and_then(|value| value.counter()), Some(3));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SeriesEntry {
    /// Its family's number.
    pub family: u32,
    /// Its place in the column of its kind.
    pub slot: u32,
    /// The values of its labels.
    pub labels: LabelValues,
}

impl Schema {
    /// The families, in the order in which they came.
    pub fn families(&self) -> &[FamilyEntry] {
        &self.families
    }

    /// The series, in the order in which they came.
    pub fn series(&self) -> &[SeriesEntry] {
        &self.series
    }

    /// All of it.
    pub fn extent(&self) -> Extent {
        self.extent
    }

    /// The name of the first `entries` entries: FNV-1a, 64 bits, of them as they are written.
    pub fn hash(&self, entries: u32) -> Option<u64> {
        match entries.checked_sub(1) {
            None => Some(FNV_BASIS),
            Some(last) => self.ends.get(last as usize).map(|end| end.hash),
        }
    }

    /// What the first `entries` entries describe.
    pub(super) fn extent_of(&self, entries: u32) -> Option<Extent> {
        match entries.checked_sub(1) {
            None => Some(Extent::default()),
            Some(last) => self.ends.get(last as usize).map(|end| end.extent),
        }
    }

    /// Whether a whole schema, as it is written, begins as this one or is its beginning.
    pub(super) fn goes_with(&self, payload: &[u8]) -> bool {
        let mut from = Reader::new(payload);
        let is_whole = from.varint("schema.first") == Ok(0);
        !is_whole || from.rest().starts_with(&self.bytes) || self.bytes.starts_with(from.rest())
    }

    /// The number of the family of this name.
    pub fn family(&self, name: &str) -> Option<usize> {
        self.families.iter().position(|family| family.descriptor.name() == name)
    }

    /// What the histogram at a slot is described as.
    pub(super) fn histogram(&self, slot: usize) -> Option<&Descriptor> {
        let family = self.histograms.get(slot)?;
        self.families.get(*family as usize).map(|family| &*family.descriptor)
    }

    pub(super) fn add_family(&mut self, kind: Kind, descriptor: &Arc<Descriptor>) -> usize {
        let begin = self.bytes.len();
        put_family(&mut self.bytes, kind, descriptor);
        self.families.push(FamilyEntry {
            kind,
            descriptor: Arc::clone(descriptor),
            series: Vec::new(),
            is_sorted: true,
        });
        self.close_entry(begin);
        self.families.len() - 1
    }

    /// Returns the new series' slot; None if there is no such family.
    pub(super) fn add_series(&mut self, family: usize, labels: &LabelValues) -> Option<u32> {
        let begin = self.bytes.len();
        let held = self.families.get_mut(family)?;
        let slot = self.extent.take(held.kind);
        if held.kind == Kind::Histogram {
            self.histograms.push(family as u32);
        }
        let newest = held.series.last().and_then(|last| self.series.get(*last as usize));
        if held.is_sorted && newest.is_some_and(|newest| newest.labels > *labels) {
            held.is_sorted = false;
            self.unsorted.push(family as u32);
        }
        held.series.push(self.series.len() as u32);
        self.series.push(SeriesEntry { family: family as u32, slot, labels: labels.clone() });
        put_series(&mut self.bytes, family, labels);
        self.close_entry(begin);
        Some(slot)
    }

    fn close_entry(&mut self, begin: usize) {
        let before = self.ends.last().map_or(FNV_BASIS, |end| end.hash);
        self.extent.entries += 1;
        let hash = fnv(before, &self.bytes[begin..]);
        self.ends.push(End { at: self.bytes.len(), hash, extent: self.extent });
    }

    /// Brings each family's series into the order of their labels.
    pub(super) fn sort(&mut self) {
        let series = &self.series;
        let labels = |number: &u32| &series[*number as usize].labels;
        for number in self.unsorted.drain(..) {
            if let Some(family) = self.families.get_mut(number as usize) {
                family.series.sort_by(|one, other| labels(one).cmp(labels(other)));
                family.is_sorted = true;
            }
        }
    }

    /// Appends all of it, as a reader begins with it: records of at most 2 KB, but for longer entries, so
    /// that it can be sent in small messages.
    pub fn write_records(&self, out: &mut Vec<u8>) {
        let (mut payload, mut next) = (Vec::new(), 0);
        loop {
            payload.clear();
            next = self.write(next, RECORD_BYTES, &mut payload);
            Record { kind: RecordKind::Schema, payload: &payload }.write(out);
            if next >= self.extent.entries {
                return;
            }
        }
    }

    /// The entries from `first` on, as they are written: their number, then they. As many as fit into
    /// `bytes_max`, and at least one; returns the number of the one after.
    pub(super) fn write(&self, first: u32, bytes_max: usize, out: &mut Vec<u8>) -> u32 {
        let begin = first.checked_sub(1).and_then(|last| self.ends.get(last as usize)).map_or(0, |end| end.at);
        let rest = self.ends.get(first as usize..).unwrap_or_default();
        let fitting = rest.partition_point(|end| end.at - begin <= bytes_max).max(1).min(rest.len());
        let end = fitting.checked_sub(1).map_or(begin, |last| rest[last].at);
        put_varint(out, u64::from(first));
        out.extend_from_slice(&self.bytes[begin..end]);
        first + fitting as u32
    }

    /// Takes in entries; those that it knows already are passed over. Returns the memory that the new
    /// ones take.
    pub(super) fn read(&mut self, from: &mut Reader<'_>) -> Result<usize, FrameError> {
        let mut number = from.small("schema.first")?;
        if number > self.extent.entries {
            return Err(FrameError::new("schema.first", Reason::UnknownSchema));
        }
        let mut memory = 0;
        while !from.is_empty() {
            let known = number < self.extent.entries;
            let bytes = from.rest().len();
            match Entry::read(from)? {
                _ if known => {}
                Entry::Family(kind, descriptor) => drop(self.add_family(kind, &descriptor)),
                Entry::Series(family, labels) => {
                    self.check_series(family, &labels)?;
                    self.add_series(family, &labels);
                }
            }
            if !known {
                memory += ENTRY_BYTES_PER_BYTE * (bytes - from.rest().len()) + ENTRY_BYTES;
            }
            number = number.saturating_add(1);
        }
        Ok(memory)
    }

    fn check_series(&self, family: usize, labels: &LabelValues) -> Result<(), FrameError> {
        let held = self.families.get(family).ok_or(FrameError::new("series.family", Reason::OutOfRange))?;
        let fits = labels.iter().count() == held.descriptor.label_names().len();
        if fits { Ok(()) } else { Err(FrameError::new("series.labels", Reason::OutOfRange)) }
    }
}

impl Extent {
    /// The next slot of a kind.
    fn take(&mut self, kind: Kind) -> u32 {
        let next = match kind {
            Kind::Counter => &mut self.counters,
            Kind::Gauge => &mut self.gauges,
            Kind::Histogram => &mut self.histograms,
        };
        *next += 1;
        *next - 1
    }

    /// How many series.
    pub fn series(&self) -> usize {
        [self.counters, self.gauges, self.histograms].into_iter().map(|count| count as usize).sum()
    }

    /// How many families.
    pub fn families(&self) -> usize {
        (self.entries as usize).saturating_sub(self.series())
    }
}

enum Entry {
    Family(Kind, Arc<Descriptor>),
    Series(usize, LabelValues),
}

impl Entry {
    fn read(from: &mut Reader<'_>) -> Result<Self, FrameError> {
        match from.byte("schema.entry")? {
            FAMILY => read_family(from).map(|(kind, descriptor)| Self::Family(kind, Arc::new(descriptor))),
            SERIES => read_series(from).map(|(family, labels)| Self::Series(family, labels)),
            _ => Err(FrameError::new("schema.entry", Reason::OutOfRange)),
        }
    }
}

fn put_family(out: &mut Vec<u8>, kind: Kind, descriptor: &Descriptor) {
    out.extend_from_slice(&[FAMILY, kind as u8, descriptor.aggregation_rule() as u8, descriptor.bucket_scale()]);
    put_text(out, descriptor.name());
    put_text(out, descriptor.unit_name());
    put_text(out, descriptor.help_text());
    put_varint(out, descriptor.label_names().len() as u64);
    descriptor.label_names().iter().for_each(|name| put_text(out, name));
    put_varint(out, descriptor.bucket_bounds().len() as u64);
    descriptor.bucket_bounds().iter().for_each(|bound| out.extend_from_slice(&bound.to_le_bytes()));
}

fn read_family(from: &mut Reader<'_>) -> Result<(Kind, Descriptor), FrameError> {
    let kind = read_kind(from.byte("family.kind")?)?;
    let aggregation = read_aggregation(from.byte("family.aggregation")?)?;
    let scale = from.byte("family.scale")?;
    let (name, unit, help) = (from.text("family.name")?, from.text("family.unit")?, from.text("family.help")?);
    let mut descriptor = Descriptor::new(name, help).unit(unit).aggregation(aggregation).scale(scale);
    for _ in 0..count_of_labels(from)? {
        descriptor = descriptor.label(from.text("family.labels")?);
    }
    let mut bounds = Vec::new();
    for _ in 0..from.size("family.bounds")? {
        bounds.push(f64::from_le_bytes(from.array("family.bounds")?));
    }
    let descriptor = descriptor.bounds(&bounds);
    descriptor.validate(kind).map_err(|_| FrameError::new("family", Reason::OutOfRange))?;
    Ok((kind, descriptor))
}

fn read_kind(byte: u8) -> Result<Kind, FrameError> {
    let kinds = [Kind::Counter, Kind::Gauge, Kind::Histogram];
    kinds.into_iter().find(|kind| *kind as u8 == byte).ok_or(FrameError::new("family.kind", Reason::OutOfRange))
}

fn read_aggregation(byte: u8) -> Result<Aggregation, FrameError> {
    let rules = [Aggregation::Sum, Aggregation::Max, Aggregation::Min, Aggregation::Last];
    rules.into_iter().find(|rule| *rule as u8 == byte).ok_or(FrameError::new("family.aggregation", Reason::OutOfRange))
}

fn put_series(out: &mut Vec<u8>, family: usize, labels: &LabelValues) {
    out.push(SERIES);
    put_varint(out, family as u64);
    put_varint(out, labels.iter().count() as u64);
    labels.iter().for_each(|value| put_text(out, value));
}

fn read_series(from: &mut Reader<'_>) -> Result<(usize, LabelValues), FrameError> {
    let family = from.size("series.family")?;
    let mut values: Vec<&str> = Vec::new();
    for _ in 0..count_of_labels(from)? {
        values.push(from.text("series.labels")?);
    }
    Ok((family, LabelValues::new(values)))
}

fn count_of_labels(from: &mut Reader<'_>) -> Result<usize, FrameError> {
    let count = from.size("labels")?;
    if count <= LABELS_MAX { Ok(count) } else { Err(FrameError::new("labels", Reason::OutOfRange)) }
}

/// The hash of nothing.
const FNV_BASIS: u64 = 0xCBF2_9CE4_8422_2325;
const FNV_PRIME: u64 = 0x0100_0000_01B3;

fn fnv(hash: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(hash, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(FNV_PRIME))
}
