use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::hash::BuildHasher;
use core::marker::PhantomData;

use foldhash::fast::RandomState;

use super::descriptor::{Descriptor, RegisterError};
use super::index::Index;
use crate::instrument::{Counter, Gauge, Histogram, Instrument, Reading};
use crate::label::{LABEL_BYTES_MAX, LABELS_MAX, LabelSet, LabelValues, Packed, Values};
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
pub struct Family<I>(Arc<Shared<I>>);

struct Shared<I> {
    descriptor: Arc<Descriptor>,
    limit: usize,
    storage: Arc<Storage>,
    /// Of the labels; one of more than 16 bytes never matches here, and takes the longer way.
    names: Box<[Packed]>,
    /// Makes hashes that nobody can foresee.
    seed: u64,
    /// For values of more than 16 bytes.
    hasher: RandomState,
    index: Index,
    /// In the order in which they were made; they stay.
    series: Pages<OnceBox<Series<I>>, 18, 1, 4>,
    count: AtomicU64,
    making: Lock<()>,
    overflow: Series<I>,
    has_overflowed: AtomicBool,
}

struct Series<I> {
    labels: LabelValues,
    instrument: I,
}

#[expect(private_bounds, reason = "what an instrument is made of is this crate's own")]
impl<I: Instrument> Family<I> {
    /// # Errors
    /// An invalid descriptor, or no room in the process.
    pub(super) fn new(descriptor: &Descriptor, limit: usize, storage: &Arc<Storage>) -> Result<Self, RegisterError> {
        descriptor.validate(I::KIND)?;
        let overflow = Series {
            labels: LabelValues::new(descriptor.label_names().iter().map(|_| OVERFLOW)),
            instrument: I::make(storage, descriptor).ok_or(RegisterError::NoRoom)?,
        };
        let hasher = RandomState::default();
        Ok(Self(Arc::new(Shared {
            descriptor: Arc::new(descriptor.clone()),
            limit,
            storage: Arc::clone(storage),
            names: descriptor.label_names().iter().map(|name| Packed::of(name.as_bytes())).collect(),
            seed: hasher.hash_one(0_u64),
            hasher,
            index: Index::new(),
            series: Pages::new(),
            count: AtomicU64::new(0),
            making: Lock::default(),
            overflow,
            has_overflowed: AtomicBool::new(false),
        })))
    }

    /// The series with these labels, in any order; it begins at zero when it is new.
    ///
    /// A series found costs no lock and no allocation. Beyond the registry's limit all new label sets
    /// share the series whose labels read [`OVERFLOW`], as do those with a value longer than
    /// [`LABEL_BYTES_MAX`]; each such call is counted.
    ///
    /// # Errors
    /// A label missing, unknown or named twice.
    #[inline]
    pub fn with(&self, labels: &[(&str, &str)]) -> Result<&I, LabelError> {
        let shared = &*self.0;
        match shared.hash_in_order(labels) {
            Some(hash) => Ok(shared.find_or_make(hash, labels)),
            None => shared.with_reordered(labels),
        }
    }

    /// A handle of the series with these labels, to be kept: [`with`](Self::with), cloned.
    ///
    /// # Errors
    /// A label missing, unknown or named twice.
    pub fn bind(&self, labels: &[(&str, &str)]) -> Result<I, LabelError> {
        self.with(labels).cloned()
    }

    pub(super) fn descriptor(&self) -> &Descriptor {
        &self.0.descriptor
    }

    pub(super) fn read_into(&self, reading: &mut Reading, places: &mut Places, family: &mut FamilySnapshot) {
        self.0.read_into(reading, places, family);
    }

    pub(super) fn empty_snapshot(&self) -> FamilySnapshot {
        FamilySnapshot { kind: I::KIND, descriptor: Arc::clone(&self.0.descriptor), series: Vec::new() }
    }
}

impl<I: Instrument> Shared<I> {
    /// The hash of the values, if the labels are the descriptor's, in its order.
    #[inline]
    fn hash_in_order(&self, labels: &[(&str, &str)]) -> Option<u64> {
        if self.names.len() != labels.len() {
            return None;
        }
        let mut hash = self.seed;
        for (name, (label, value)) in self.names.iter().zip(labels) {
            let is_name = *name == Packed::of(label.as_bytes()) && name.is_whole();
            if !is_name {
                return None;
            }
            hash = self.fold(hash, value);
        }
        Some(hash)
    }

    #[inline(always)]
    fn fold(&self, hash: u64, value: &str) -> u64 {
        let packed = Packed::of(value.as_bytes());
        if packed.is_whole() { packed.fold_into(hash) } else { self.fold_long(hash, value) }
    }

    #[cold]
    #[inline(never)]
    fn fold_long(&self, hash: u64, value: &str) -> u64 {
        self.hasher.hash_one((hash, value))
    }

    #[cold]
    fn with_reordered(&self, labels: &[(&str, &str)]) -> Result<&I, LabelError> {
        let mut values = [""; LABELS_MAX];
        let count = self.order(labels, &mut values)?;
        Ok(self.find_or_make_values(&values[..count]))
    }

    /// Puts the values in the descriptor's order, and says how many they are.
    fn order<'a>(&self, labels: &[(&str, &'a str)], values: &mut [&'a str; LABELS_MAX]) -> Result<usize, LabelError> {
        let names = self.descriptor.label_names();
        for (value, name) in values.iter_mut().zip(names) {
            let label = labels.iter().find(|(label, _)| label == name);
            *value = label.ok_or(LabelError::Missing)?.1;
        }
        if labels.len() == names.len() { Ok(names.len()) } else { Err(LabelError::Unknown) }
    }

    #[inline]
    fn find_or_make(&self, hash: u64, values: &(impl Values + ?Sized)) -> &I {
        match self.find(hash, values) {
            Some(instrument) => instrument,
            None => self.make(hash, values),
        }
    }

    #[inline]
    fn find_or_make_values(&self, values: &[&str]) -> &I {
        self.find_or_make(self.hash(values.iter().copied()), values)
    }

    #[inline]
    fn find(&self, hash: u64, values: &(impl Values + ?Sized)) -> Option<&I> {
        let is_it = |number| self.series(number).is_some_and(|series| series.labels.are(values));
        let number = self.index.find(hash, is_it)?;
        Some(&self.series(number)?.instrument)
    }

    #[inline]
    fn hash<'a>(&self, values: impl IntoIterator<Item = &'a str>) -> u64 {
        values.into_iter().fold(self.seed, |hash, value| self.fold(hash, value))
    }

    #[inline]
    fn series(&self, number: usize) -> Option<&Series<I>> {
        self.series.get(Pages::<OnceBox<Series<I>>, 18, 1, 4>::place(number)?)?.get()
    }

    #[cold]
    fn make(&self, hash: u64, values: &(impl Values + ?Sized)) -> &I {
        let _one_at_a_time = self.making.lock();
        if let Some(instrument) = self.find(hash, values) {
            return instrument;
        }
        let is_too_long = (0..values.count()).any(|place| values.value(place).len() > LABEL_BYTES_MAX);
        let made = if is_too_long { None } else { self.make_series(hash, values) };
        made.unwrap_or_else(|| {
            self.has_overflowed.store(true, Ordering::Relaxed);
            self.storage.overflow();
            &self.overflow.instrument
        })
    }

    /// None when there is no room.
    fn make_series(&self, hash: u64, values: &(impl Values + ?Sized)) -> Option<&I> {
        let number = self.count.load(Ordering::Relaxed) as usize;
        let place = Pages::<OnceBox<Series<I>>, 18, 1, 4>::place(number).filter(|_| number < self.limit)?;
        let instrument = I::make(&self.storage, &self.descriptor)?;
        let labels = LabelValues::new((0..values.count()).map(|place| values.value(place)));
        self.storage.hold(labels.bytes() + size_of::<Series<I>>());
        let series = self.series.get_or_make(place).get_or_make(|| Series { labels, instrument });
        self.index.insert(hash, number, |number| self.hash_of(number));
        self.count.store(number as u64 + 1, Ordering::Release);
        Some(&series.instrument)
    }

    fn hash_of(&self, number: usize) -> u64 {
        self.hash(self.series(number).into_iter().flat_map(|series| series.labels.iter()))
    }

    // ---- reading

    fn read_into(&self, reading: &mut Reading, places: &mut Places, family: &mut FamilySnapshot) {
        let made = self.count.load(Ordering::Acquire) as usize;
        let overflow = self.has_overflowed.load(Ordering::Relaxed).then_some(&self.overflow);
        let count = made + usize::from(overflow.is_some());
        if places.0.len() != count {
            self.list(made, count, places, family);
        }
        let series = (0..made).filter_map(|number| self.series(number)).chain(overflow);
        for (series, place) in series.zip(&places.0) {
            series.instrument.read_into(reading, &mut family.series[*place as usize].value);
        }
        reading.bytes += (self.series.bytes() + self.index.bytes() + size_of::<Self>()) as u64;
    }

    /// Lists by their labels the `made` series and, to make `count`, the overflow series.
    fn list(&self, made: usize, count: usize, places: &mut Places, family: &mut FamilySnapshot) {
        let made = |number: usize| if number < made { self.series(number) } else { None };
        let series = |number: &u32| made(*number as usize).unwrap_or(&self.overflow);
        let mut by_labels: Vec<u32> = (0..count as u32).collect();
        by_labels.sort_unstable_by(|one, other| series(one).labels.cmp(&series(other).labels));
        let new = |number| SeriesSnapshot { labels: series(number).labels.clone(), value: Value::Counter(0) };
        family.series = by_labels.iter().map(new).collect();
        places.0.resize(count, 0);
        by_labels.iter().enumerate().for_each(|(place, number)| places.0[*number as usize] = place as u32);
    }
}

/// For each series of a family, in the order in which they were made, its place by labels.
#[derive(Debug, Default)]
pub(super) struct Places(Vec<u32>);

impl<I> Clone for Family<I> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<I> fmt::Debug for Family<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Family").field(&self.0.descriptor).finish()
    }
}

/// The series of one name, found by a type that holds their labels; see [`labels!`](crate::labels).
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
        if L::CARDINALITY > family.0.limit {
            return Err(RegisterError::TooManySeries);
        }
        let known = (0..L::CARDINALITY).map(|number| family.0.find_or_make_values(&known_values::<L>(number)).clone());
        Ok(Self { known: known.collect(), family, labels: PhantomData })
    }

    /// The series with these labels. What there is no room for goes to the series whose labels read
    /// [`OVERFLOW`], as in [`Family::with`].
    #[inline]
    pub fn at(&self, labels: &L) -> &I {
        match self.known.get(labels.index()) {
            Some(instrument) if L::CARDINALITY > 0 => instrument,
            _ => self.family.0.find_or_make_values(labels.values().as_ref()),
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
        f.debug_tuple("TypedFamily").field(&self.family.0.descriptor).finish()
    }
}

/// Why no series was bound.
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
