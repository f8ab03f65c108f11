use alloc::string::String;
use alloc::vec::Vec;

use super::encoder::{Encoder, Update};
use super::record::{Record, RecordKind};
use super::schema::Extent;
use super::{Applied, Decoder, FrameError};
use crate::label::LabelValues;
use crate::registry::{Descriptor, Kind};

/// What of a stream somebody wants: sessions or not, and of the metrics those whose name begins in one
/// of these ways and whose labels have these values.
///
/// ```
/// use tachograph_core::wire::frame::Filter;
///
/// let filter = Filter { sessions: false, prefixes: vec!["audio_".into()], ..Filter::default() };
/// assert!(!filter.is_everything());
/// assert!(Filter::default().is_everything());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Filter {
    /// The live sessions, and what happened to them.
    pub sessions: bool,
    /// Beginnings of names; with none, every name will do.
    pub prefixes: Vec<String>,
    /// Labels and their values, all of which a series must have.
    pub labels: Vec<(String, String)>,
}

impl Default for Filter {
    fn default() -> Self {
        Self { sessions: true, prefixes: Vec::new(), labels: Vec::new() }
    }
}

impl Filter {
    /// Whether nothing is left out.
    pub fn is_everything(&self) -> bool {
        *self == Self::default()
    }

    /// Whether a series of this family with these labels is wanted.
    pub fn takes(&self, descriptor: &Descriptor, values: &LabelValues) -> bool {
        self.takes_family(descriptor) && self.takes_series(descriptor, values)
    }

    fn takes_family(&self, descriptor: &Descriptor) -> bool {
        let has_labels = self.labels.iter().all(|(name, _)| descriptor.label_names().contains(name));
        let begins = |prefix: &String| descriptor.name().starts_with(&**prefix);
        has_labels && (self.prefixes.is_empty() || self.prefixes.iter().any(begins))
    }

    fn takes_series(&self, descriptor: &Descriptor, values: &LabelValues) -> bool {
        self.labels.iter().all(|(name, wanted)| {
            let mut labels = descriptor.label_names().iter().zip(values.iter());
            labels.any(|(label, value)| label == name && value == wanted)
        })
    }
}

/// Takes a stream and writes what of it a filter leaves.
///
/// What it writes follows from the stream and the filter alone, so that whoever read on up to some frame
/// goes on with what another sieve of the same filter writes after it.
///
/// ```
/// use tachograph_core::registry::{Descriptor, Registry};
/// use tachograph_core::wire::frame::{Decoder, Encoder, Filter, Record, Sieve, Tick};
///
/// let registry = Registry::new();
/// registry.counter(&Descriptor::new("orders", "Orders"))?.bind(&[])?.add(3);
/// registry.counter(&Descriptor::new("returns", "Returns"))?.bind(&[])?.add(1);
/// let (snapshot, mut stream, mut sieved) = (registry.snapshot(), Vec::new(), Vec::new());
/// Encoder::new().encode(&Tick::of(&snapshot), &mut stream);
/// let mut sieve = Sieve::new(Filter { prefixes: vec!["ord".into()], ..Filter::default() });
/// for record in Record::all(&stream) {
///     sieve.take(&record?, &mut sieved)?;
/// }
/// let mut decoder = Decoder::default();
/// decoder.decode(&sieved)?;
/// assert_eq!(decoder.state().registry().families.len(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Sieve {
    filter: Filter,
    decoder: Decoder,
    encoder: Encoder,
    /// The entries of the stream's schema that were looked at.
    seen: Extent,
    /// For each family of the stream its number here.
    families: Vec<Option<usize>>,
    /// For each slot here, by kind, the slot of the stream.
    slots: [Vec<u32>; 3],
}

impl Sieve {
    /// A sieve of a stream whose first records are its schema and a keyframe, or its first frame of all.
    pub fn new(filter: Filter) -> Self {
        Self {
            filter,
            decoder: Decoder::default(),
            encoder: Encoder::new(),
            seen: Extent::default(),
            families: Vec::new(),
            slots: Default::default(),
        }
    }

    /// What was left of the newest frame.
    pub fn encoder(&mut self) -> &mut Encoder {
        &mut self.encoder
    }

    /// Takes a record; where it is a frame, appends what is left of it. Before a keyframe stands the
    /// schema where that frame knows more of it than the one before.
    ///
    /// # Errors
    /// The record does not belong here.
    pub fn take(&mut self, record: &Record<'_>, out: &mut Vec<u8>) -> Result<Applied, FrameError> {
        let applied = self.decoder.apply(record)?;
        if applied == Applied::Frame {
            let known = self.encoder.state().extent();
            self.describe();
            self.sift();
            if record.kind == RecordKind::Keyframe {
                self.take_foresight();
                if self.encoder.state().extent() != known {
                    self.encoder.write_schema(out);
                }
                self.encoder.write_keyframe(out);
            } else {
                self.encoder.write_delta(out);
            }
        }
        Ok(applied)
    }

    /// Foresees of the sessions what the stream does, whatever was taken before the keyframe.
    fn take_foresight(&mut self) {
        if self.filter.sessions {
            let source = self.decoder.state().sessions.clone();
            self.encoder.state_mut().sessions = source;
        }
    }

    /// Takes over what is wanted of the part of the schema that the frame knows and those before did not,
    /// in the stream's order: it is the same for a sieve that saw the frames before and one that did not.
    fn describe(&mut self) {
        let source = self.decoder.state();
        for entry in self.seen.entries + 1..=source.extent().entries {
            let Some(extent) = source.schema().extent_of(entry) else { continue };
            let own = &mut self.encoder.state_mut().schema;
            if extent.families() > self.seen.families()
                && let Some(family) = source.schema().families().get(self.families.len())
            {
                let wanted = self.filter.takes_family(&family.descriptor);
                self.families.push(wanted.then(|| own.add_family(family.kind, &family.descriptor)));
            } else if let Some(series) = source.schema().series().get(self.seen.series())
                && let Some(Some(place)) = self.families.get(series.family as usize)
                && let Some(family) = source.schema().families().get(series.family as usize)
                && self.filter.takes_series(&family.descriptor, &series.labels)
            {
                own.add_series(*place, &series.labels);
                self.slots[column(family.kind)].push(series.slot);
            }
            self.seen = extent;
        }
        self.encoder.state_mut().schema.sort();
    }

    fn sift(&mut self) {
        let source = self.decoder.state();
        let known = self.encoder.state().extent().entries;
        let [counters, gauges, histograms] = &self.slots;
        let columns = source.columns();
        let (next_counters, next_gauges) = self.encoder.next_columns();
        next_counters.clear();
        let counter = |slot: &u32| columns.counters.get(*slot as usize).copied().unwrap_or_default();
        next_counters.extend(counters.iter().map(counter));
        next_gauges.clear();
        next_gauges.extend(gauges.iter().map(|slot| columns.gauges.get(*slot as usize).copied().unwrap_or_default()));
        let held = histograms.iter().enumerate();
        let histograms = held.filter_map(|(own, slot)| Some((own as u32, columns.histograms.get(*slot as usize)?)));
        let sessions: Vec<_> = if self.filter.sessions { source.sessions().collect() } else { Vec::new() };
        let update = Update {
            head: source.head(),
            server: source.server(),
            totals: source.totals,
            sessions: &*sessions,
            events: if self.filter.sessions { source.events() } else { &[] },
            events_dropped: if self.filter.sessions { source.events_dropped() } else { 0 },
        };
        self.encoder.put_frame(known, &update, histograms);
    }
}

const fn column(kind: Kind) -> usize {
    match kind {
        Kind::Counter => 0,
        Kind::Gauge => 1,
        Kind::Histogram => 2,
    }
}
