use alloc::boxed::Box;
use alloc::collections::BinaryHeap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::marker::PhantomData;

use super::descriptor::{Descriptor, Kind, RegisterError};
use super::index::Index;
use crate::instrument::{Counter, Gauge, Histogram, Reading, read_into};
use crate::label::{LABEL_BYTES_MAX, LABELS_MAX, LabelSet, LabelValues, Packed, Values, fold};
use crate::memory::handle::{Handle, Instrument, Owner};
use crate::memory::once::OnceBox;
use crate::memory::pages::Pages;
use crate::memory::storage::Storage;
use crate::snapshot::{FamilySnapshot, SeriesSnapshot, Value};
use crate::sync::{AtomicBool, AtomicU64, Lock, Ordering};

/// The value of every label of the series that takes what a full family has no room for.
pub const OVERFLOW: &str = "__overflow__";

/// A family of counters.
pub type CounterFamily = Family<Counter>;
/// A family of gauges.
pub type GaugeFamily = Family<Gauge>;
/// A family of histograms.
pub type HistogramFamily = Family<Histogram>;

/// The series of one name, found by their labels. Clones share the same series.
///
/// ```
/// use tachograph_core::registry::{Descriptor, Registry};
///
/// let registry = Registry::new();
/// let frames = registry.counter(&Descriptor::new("frames", "Frames received").label("source"))?;
/// frames.with(&[("source", "mic")])?.inc();
/// frames.clone().bind(&[("source", "mic")])?.add(2);
/// assert_eq!(registry.snapshot().counter("frames", &[("source", "mic")]), Some(3));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Family<I> {
    shared: Arc<Shared>,
    instrument: PhantomData<fn() -> I>,
}

/// A family of any kind.
pub(super) struct Shared {
    owner: Arc<Owner>,
    limit: usize,
    /// Of the labels; one of more than 16 bytes never matches here, and takes the longer way.
    names: Box<[Packed]>,
    /// Of the hashes; an address, so that a client cannot foresee them.
    seed: u64,
    index: Index,
    /// In the order in which they were made; they stay.
    series: SeriesPages,
    count: AtomicU64,
    making: Lock<()>,
    overflow: Series,
    has_overflowed: AtomicBool,
}

type SeriesPages = Pages<OnceBox<Series>, 18, 1, 4>;

struct Series {
    labels: LabelValues,
    handle: Handle,
}

#[expect(private_bounds, reason = "what an instrument is made of is this crate's own")]
impl<I: Instrument> Family<I> {
    /// None if the family is of another kind.
    pub(super) fn of(shared: &Arc<Shared>) -> Option<Self> {
        (shared.kind() == I::KIND).then(|| Self { shared: Arc::clone(shared), instrument: PhantomData })
    }

    /// The series with these labels, in any order; it begins at zero when it is new.
    ///
    /// A series found costs no lock and no allocation. Beyond the registry's limit all new label sets
    /// share the series whose labels read [`OVERFLOW`], as do those with a value that reads so or is longer than
    /// [`LABEL_BYTES_MAX`]; each such call is counted.
    ///
    /// # Errors
    /// A label missing, unknown or named twice.
    #[inline(always)]
    pub fn with(&self, labels: &[(&str, &str)]) -> Result<&I, LabelError> {
        self.shared.with(labels).map(I::of)
    }

    /// A handle of the series with these labels, to be kept: [`with`](Self::with), cloned.
    ///
    /// # Errors
    /// A label missing, unknown or named twice.
    pub fn bind(&self, labels: &[(&str, &str)]) -> Result<I, LabelError> {
        self.shared.with_unhurried(labels).map(I::of).cloned()
    }

    /// A handle of the one series of a family without labels, to be kept.
    ///
    /// ```
    /// use tachograph_core::registry::{Descriptor, RegisterError, Registry};
    ///
    /// let registry = Registry::new();
    /// registry.counter(&Descriptor::new("turns", "Turns taken"))?.unlabelled()?.inc();
    /// assert_eq!(registry.snapshot().counter("turns", &[]), Some(1));
    /// let labelled = registry.counter(&Descriptor::new("frames", "Frames received").label("source"))?;
    /// assert_eq!(labelled.unlabelled().err(), Some(RegisterError::Conflict));
    /// # Ok::<(), RegisterError>(())
    /// ```
    ///
    /// # Errors
    /// The family has labels.
    pub fn unlabelled(&self) -> Result<I, RegisterError> {
        self.bind(&[]).map_err(|_| RegisterError::Conflict)
    }

    pub(crate) fn descriptor(&self) -> &Descriptor {
        self.shared.descriptor()
    }

    /// The values of these labels in the descriptor's order, whether there is such a series or not.
    pub(crate) fn label_values(&self, labels: &[(&str, &str)]) -> Result<LabelValues, LabelError> {
        let mut values = [""; LABELS_MAX];
        let count = order(self.descriptor().label_names(), labels, &mut values)?;
        Ok(LabelValues::new(values[..count].iter().copied()))
    }
}

impl Shared {
    /// # Errors
    /// An invalid descriptor, or no room in the process.
    pub(super) fn new(
        kind: Kind,
        descriptor: &Descriptor,
        limit: usize,
        storage: &Arc<Storage>,
    ) -> Result<Self, RegisterError> {
        descriptor.validate(kind)?;
        let (descriptor, storage) = (Arc::new(descriptor.clone()), Arc::clone(storage));
        let owner = Arc::new(Owner { kind, descriptor, storage });
        let names: Box<[Packed]> =
            owner.descriptor.label_names().iter().map(|name| Packed::of(name.as_bytes())).collect();
        let labels = LabelValues::new(names.iter().map(|_| OVERFLOW));
        let overflow = Series { labels, handle: Handle::new(&owner).ok_or(RegisterError::NoRoom)? };
        Ok(Self {
            limit,
            names,
            seed: Packed::of(owner.descriptor.name().as_bytes()).fold_into(Arc::as_ptr(&owner) as u64),
            index: Index::new(),
            series: Pages::new(),
            count: AtomicU64::new(0),
            making: Lock::default(),
            overflow,
            has_overflowed: AtomicBool::new(false),
            owner,
        })
    }

    pub(super) fn kind(&self) -> Kind {
        self.owner.kind
    }

    pub(super) fn descriptor(&self) -> &Descriptor {
        &self.owner.descriptor
    }

    pub(super) fn empty_snapshot(&self) -> FamilySnapshot {
        FamilySnapshot { kind: self.kind(), descriptor: Arc::clone(&self.owner.descriptor), series: Vec::new() }
    }

    /// The hash of the values, if the labels are the descriptor's, in its order.
    #[inline(always)]
    fn hash_in_order(&self, labels: &[(&str, &str)]) -> Option<u64> {
        if self.names.len() != labels.len() {
            return None;
        }
        let mut hash = self.seed;
        // By place: where the labels are literals, the compiler unrolls this and knows their names.
        for (place, (label, value)) in labels.iter().enumerate() {
            let name = self.names.get(place)?;
            if *name != Packed::of(label.as_bytes()) || !name.is_whole() {
                return None;
            }
            hash = fold(hash, value);
        }
        Some(hash)
    }

    fn hash<'a>(&self, values: impl IntoIterator<Item = &'a str>) -> u64 {
        values.into_iter().fold(self.seed, fold)
    }

    #[inline(always)]
    fn with(&self, labels: &[(&str, &str)]) -> Result<&Handle, LabelError> {
        match self.hash_in_order(labels) {
            Some(hash) => Ok(self.find_or_make(hash, labels)),
            None => self.with_reordered(labels),
        }
    }

    /// Where a few nanoseconds do not count: the same, once in the program.
    #[inline(never)]
    fn with_unhurried(&self, labels: &[(&str, &str)]) -> Result<&Handle, LabelError> {
        self.with(labels)
    }

    #[cold]
    fn with_reordered(&self, labels: &[(&str, &str)]) -> Result<&Handle, LabelError> {
        let mut values = [""; LABELS_MAX];
        let count = order(self.descriptor().label_names(), labels, &mut values)?;
        Ok(self.find_or_make_values(&values[..count]))
    }

    fn find_or_make_values(&self, values: &[&str]) -> &Handle {
        self.find_or_make_any(self.hash(values.iter().copied()), &values)
    }

    #[inline(always)]
    fn find_or_make(&self, hash: u64, labels: &[(&str, &str)]) -> &Handle {
        match self.find(hash, labels) {
            Some(handle) => handle,
            None => self.find_or_make_any(hash, &labels),
        }
    }

    #[inline(never)]
    fn find_or_make_any(&self, hash: u64, values: &dyn Values) -> &Handle {
        match self.find_any(hash, values) {
            Some(handle) => handle,
            None => self.make(hash, values),
        }
    }

    #[inline(never)]
    fn find_any(&self, hash: u64, values: &dyn Values) -> Option<&Handle> {
        self.find(hash, values)
    }

    #[inline(always)]
    fn find(&self, hash: u64, values: &(impl Values + ?Sized)) -> Option<&Handle> {
        let is_it = |number| self.series(number).is_some_and(|series| series.labels.are(values));
        let number = self.index.find(hash, is_it)?;
        Some(&self.series(number)?.handle)
    }

    #[inline(always)]
    fn series(&self, number: usize) -> Option<&Series> {
        self.series.get(SeriesPages::place(number)?)?.get()
    }

    #[cold]
    fn make(&self, hash: u64, values: &dyn Values) -> &Handle {
        let _one_at_a_time = self.making.lock();
        if let Some(handle) = self.find_any(hash, values) {
            return handle;
        }
        // A series of its own that reads as the overflow series would be there twice.
        let is_own = |value: &str| value.len() <= LABEL_BYTES_MAX && value != OVERFLOW;
        let are_own = (0..values.count()).all(|place| is_own(values.value(place)));
        let made = if are_own { self.make_series(hash, values) } else { None };
        made.unwrap_or_else(|| {
            self.has_overflowed.store(true, Ordering::Relaxed);
            self.owner.storage.overflow();
            &self.overflow.handle
        })
    }

    /// None when there is no room.
    fn make_series(&self, hash: u64, values: &dyn Values) -> Option<&Handle> {
        let number = self.count.load(Ordering::Relaxed) as usize;
        let place = SeriesPages::place(number).filter(|_| number < self.limit)?;
        let handle = Handle::new(&self.owner)?;
        let labels = LabelValues::new((0..values.count()).map(|place| values.value(place)));
        self.owner.storage.hold(labels.bytes() + size_of::<Series>());
        let series = self.series.get_or_make(place).get_or_make(|| Series { labels, handle });
        self.index.insert(hash, number, |number| self.hash_of(number));
        self.count.store(number as u64 + 1, Ordering::Release);
        Some(&series.handle)
    }

    fn hash_of(&self, number: usize) -> u64 {
        self.hash(self.series(number).into_iter().flat_map(|series| series.labels.iter()))
    }

    // ---- reading

    pub(super) fn read_into(&self, reading: &mut Reading, places: &mut Places, family: &mut FamilySnapshot) {
        let (made, has_overflowed) = self.count();
        let overflow = has_overflowed.then_some(&self.overflow);
        let count = made + usize::from(overflow.is_some());
        if places.0.len() != count {
            self.list(made, count, places, family);
        }
        let series = (0..made).filter_map(|number| self.series(number)).chain(overflow);
        for (series, place) in series.zip(&places.0) {
            read_into(&series.handle, reading, &mut family.series[*place as usize].value);
        }
        reading.bytes += (self.series.bytes() + self.index.bytes() + size_of::<Self>()) as u64;
    }

    /// Series made until now, and whether there is one of what there was no room for.
    pub(super) fn count(&self) -> (usize, bool) {
        (self.count.load(Ordering::Acquire) as usize, self.has_overflowed.load(Ordering::Relaxed))
    }

    /// Reads the series of a number, in the order in which they were made; the overflow series if there is no
    /// number. Returns its labels.
    #[inline]
    pub(super) fn read_one(
        &self,
        number: Option<usize>,
        reading: &mut Reading,
        value: &mut Value,
    ) -> Option<&LabelValues> {
        let series = number.map_or(Some(&self.overflow), |number| self.series(number))?;
        read_into(&series.handle, reading, value);
        Some(&series.labels)
    }

    /// Lists by their labels the `made` series and, to make `count`, the overflow series.
    fn list(&self, made: usize, count: usize, places: &mut Places, family: &mut FamilySnapshot) {
        let made = |number: usize| if number < made { self.series(number) } else { None };
        let labels = (0..count).map(|number| made(number).unwrap_or(&self.overflow).labels.clone());
        places.list(labels, family);
    }
}

/// Puts the values in the order of the names, and says how many they are.
fn order<'a>(
    names: &[String],
    labels: &[(&str, &'a str)],
    values: &mut [&'a str; LABELS_MAX],
) -> Result<usize, LabelError> {
    for (value, name) in values.iter_mut().zip(names) {
        let label = labels.iter().find(|(label, _)| label == name);
        *value = label.ok_or(LabelError::Missing)?.1;
    }
    if labels.len() == names.len() { Ok(names.len()) } else { Err(LabelError::Unknown) }
}

/// For each series of a family, in the order in which they were made, its place by labels.
#[derive(Debug, Default)]
pub(super) struct Places(Vec<u32>);

impl Places {
    /// Makes the family's series anew, of these labels.
    fn list(&mut self, labels: impl Iterator<Item = LabelValues>, family: &mut FamilySnapshot) {
        // A heap sorts in a fraction of the code that the slices' own sort takes.
        let by_labels: BinaryHeap<(LabelValues, u32)> = labels.zip(0..).collect();
        self.0.resize(by_labels.len(), 0);
        family.series.clear();
        for (place, (labels, number)) in by_labels.into_sorted_vec().into_iter().enumerate() {
            self.0[number as usize] = place as u32;
            family.series.push(SeriesSnapshot { labels, value: Value::Counter(0) });
        }
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Family").field(self.descriptor()).finish()
    }
}

impl<I> Clone for Family<I> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), instrument: PhantomData }
    }
}

impl<I> fmt::Debug for Family<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shared.fmt(f)
    }
}

/// The series of one name, found by a type that holds their labels; see [`labels!`](crate::labels).
///
/// ```
/// use tachograph_core::instrument::Counter;
/// use tachograph_core::registry::{Descriptor, Registry, TypedFamily};
///
/// tachograph_core::labels! {
///     pub struct Cache { pub hit: bool }
/// }
/// let registry = Registry::new();
/// let reads: TypedFamily<Counter, Cache> = registry.counter_of(&Descriptor::new("reads", "Reads"))?;
/// reads.at(&Cache { hit: true }).inc();
/// assert_eq!(registry.snapshot().counter("reads", &[("hit", "true")]), Some(1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct TypedFamily<I, L> {
    family: Family<I>,
    /// By number, if all label sets are known.
    known: Box<[I]>,
    labels: PhantomData<fn(&L)>,
}

#[expect(private_bounds, reason = "what an instrument is made of is this crate's own")]
impl<I: Instrument, L: LabelSet> TypedFamily<I, L> {
    /// # Errors
    /// More label sets are known than the family has room for.
    pub(super) fn new(family: Family<I>) -> Result<Self, RegisterError> {
        if L::CARDINALITY > family.shared.limit {
            return Err(RegisterError::TooManySeries);
        }
        let known = (0..L::CARDINALITY)
            .map(|number| I::of(family.shared.find_or_make_values(&known_values::<L>(number))).clone());
        Ok(Self { known: known.collect(), family, labels: PhantomData })
    }

    /// The series with these labels. What there is no room for goes to the series whose labels read
    /// [`OVERFLOW`], as in [`Family::with`].
    #[inline]
    pub fn at(&self, labels: &L) -> &I {
        match self.known.get(labels.index()) {
            Some(instrument) if L::CARDINALITY > 0 => instrument,
            _ => I::of(self.family.shared.find_or_make_values(labels.values().as_ref())),
        }
    }
}

/// The values of the label set of this number.
fn known_values<L: LabelSet>(mut number: usize) -> Vec<&'static str> {
    let mut values: Vec<&str> = Vec::with_capacity(L::VALUES.len());
    for known in L::VALUES.iter().rev() {
        values.push(known[number % known.len()]);
        number /= known.len();
    }
    values.reverse();
    values
}

impl<I: Clone, L> Clone for TypedFamily<I, L> {
    fn clone(&self) -> Self {
        Self { family: self.family.clone(), known: self.known.clone(), labels: PhantomData }
    }
}

impl<I, L> fmt::Debug for TypedFamily<I, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TypedFamily").field(self.family.shared.descriptor()).finish()
    }
}

/// Why no series was bound.
///
/// ```
/// use tachograph_core::registry::{Descriptor, LabelError, Registry};
///
/// let frames = Registry::new().counter(&Descriptor::new("frames", "Frames").label("source"))?;
/// assert_eq!(frames.bind(&[]).unwrap_err(), LabelError::Missing);
/// assert_eq!(frames.bind(&[("source", "mic"), ("room", "7")]).unwrap_err(), LabelError::Unknown);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LabelError {
    /// A label of the family has no value.
    Missing,
    /// A label that the family does not have, or one named twice.
    Unknown,
}

impl fmt::Display for LabelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "every label of the family needs a value",
            Self::Unknown => "a label that the family does not have, or one named twice",
        })
    }
}

impl core::error::Error for LabelError {}
