//! Labels: as a family's series hold them, and as types whose names and values are known when a
//! program is compiled.

use alloc::string::String;
use core::cmp::Ordering;
use core::fmt;

use ecow::EcoString;

/// Labels that a family can have.
pub const LABELS_MAX: usize = 16;
/// Bytes that a label's value can have; a longer one goes to its family's overflow series.
pub const LABEL_BYTES_MAX: usize = 1_024;

/// The values of a series' labels, in the descriptor's order. Up to 15 bytes need no memory of their
/// own, more are shared by clones.
///
/// ```
/// use tachograph_core::label::LabelValues;
///
/// let labels = LabelValues::new(["mic", "asr"]);
/// assert_eq!(labels.iter().collect::<Vec<_>>(), ["mic", "asr"]);
/// ```
// Each value behind a character whose number is its length in bytes.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct LabelValues(EcoString);

impl LabelValues {
    /// Values above [`LABEL_BYTES_MAX`] are cut off there.
    pub fn new<'a>(values: impl IntoIterator<Item = &'a str>) -> Self {
        let mut held = EcoString::new();
        for value in values {
            let value = cut(value);
            held.push(char::from_u32(value.len() as u32).unwrap_or_default());
            held.push_str(value);
        }
        Self(held)
    }

    /// The values.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        let mut rest = self.0.as_str();
        core::iter::from_fn(move || {
            let length = rest.chars().next()?;
            let (value, others) = rest.get(length.len_utf8()..)?.split_at_checked(length as usize)?;
            rest = others;
            Some(value)
        })
    }

    /// Whether these are the values.
    #[inline(always)]
    pub(crate) fn are(&self, values: &(impl Values + ?Sized)) -> bool {
        let mut rest = self.0.as_bytes();
        for place in 0..values.count() {
            let value = values.value(place).as_bytes();
            let Some((length, text)) = rest.split_first() else { return false };
            if value.len() > Packed::WHOLE {
                return self.are_long(values);
            }
            if usize::from(*length) != value.len() || text.len() < value.len() {
                return false;
            }
            let (held, others) = text.split_at(value.len());
            if Packed::of(held) != Packed::of(value) {
                return false;
            }
            rest = others;
        }
        rest.is_empty()
    }

    #[cold]
    #[inline(never)]
    fn are_long(&self, values: &(impl Values + ?Sized)) -> bool {
        self.iter().eq((0..values.count()).map(|place| values.value(place)))
    }

    /// Memory beyond the 16 bytes of the value itself.
    pub(crate) fn bytes(&self) -> usize {
        if self.0.len() > EcoString::INLINE_LIMIT { self.0.len() + 2 * size_of::<usize>() } else { 0 }
    }
}

/// At most [`LABEL_BYTES_MAX`] bytes of a text, whole characters.
fn cut(value: &str) -> &str {
    let ends = (0..=LABEL_BYTES_MAX.min(value.len())).rev();
    ends.into_iter().find_map(|end| value.get(..end)).unwrap_or_default()
}

/// A text as numbers, which for up to 16 bytes are the text: a few loads, where comparing or hashing
/// so few bytes by a call would take several times as long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Packed {
    length: usize,
    low: u64,
    high: u64,
}

impl Packed {
    const WHOLE: usize = 16;

    #[inline(always)]
    pub(crate) fn of(text: &[u8]) -> Self {
        let length = text.len();
        if let (Some(first), Some(last)) = (text.first_chunk(), text.last_chunk()) {
            return Self { length, low: u64::from_le_bytes(*first), high: u64::from_le_bytes(*last) };
        }
        if let (Some(first), Some(last)) = (text.first_chunk(), text.last_chunk()) {
            let (first, last) = (u32::from_le_bytes(*first), u32::from_le_bytes(*last));
            return Self { length, low: u64::from(first), high: u64::from(last) };
        }
        let (Some(first), Some(last)) = (text.first(), text.last()) else { return Self { length, low: 0, high: 0 } };
        let middle = text.get(1).copied().unwrap_or_default();
        Self { length, low: u64::from(*first) | u64::from(middle) << 8, high: u64::from(*last) }
    }

    /// Whether it is all of the text.
    #[inline(always)]
    pub(crate) fn is_whole(self) -> bool {
        self.length <= Self::WHOLE
    }

    /// Folds it into a hash, by the upper and the lower half of one product, as foldhash does.
    #[inline(always)]
    pub(crate) fn fold_into(self, hash: u64) -> u64 {
        let product = u128::from(hash ^ self.low) * u128::from(self.high ^ ODD.wrapping_mul(self.length as u64 + 1));
        product as u64 ^ (product >> 64) as u64
    }
}

/// Folds a text into a hash.
#[inline(always)]
pub(crate) fn fold(hash: u64, text: &str) -> u64 {
    let packed = Packed::of(text.as_bytes());
    if packed.is_whole() { packed.fold_into(hash) } else { fold_long(hash, text) }
}

#[cold]
#[inline(never)]
fn fold_long(hash: u64, text: &str) -> u64 {
    let pieces = text.as_bytes().chunks(Packed::WHOLE);
    pieces.fold(hash, |hash, piece| Packed::of(piece).fold_into(hash))
}

/// Spreads the length over all bits: 2^64 by the golden ratio.
const ODD: u64 = 0x9E37_79B9_7F4A_7C15;

impl Ord for LabelValues {
    /// As the values compare, one after the other.
    fn cmp(&self, other: &Self) -> Ordering {
        self.iter().cmp(other.iter())
    }
}

impl PartialOrd for LabelValues {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Debug for LabelValues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// Borrowed label values in the descriptor's order.
pub(crate) trait Values {
    fn count(&self) -> usize;
    fn value(&self, place: usize) -> &str;
}

impl Values for [&str] {
    #[inline]
    fn count(&self) -> usize {
        self.len()
    }

    #[inline]
    fn value(&self, place: usize) -> &str {
        self[place]
    }
}

impl Values for [(&str, &str)] {
    #[inline]
    fn count(&self) -> usize {
        self.len()
    }

    #[inline]
    fn value(&self, place: usize) -> &str {
        self[place].1
    }
}

impl<V: Values + ?Sized> Values for &V {
    fn count(&self) -> usize {
        (**self).count()
    }

    fn value(&self, place: usize) -> &str {
        (**self).value(place)
    }
}

/// A type whose values are values of one label; [`labels!`](crate::labels) makes one of an enum.
///
/// ```
/// use tachograph_core::label::LabelValue;
///
/// assert_eq!((true.as_label(), true.index(), <bool as LabelValue>::VALUES.len()), ("true", 1, 2));
/// ```
pub trait LabelValue {
    /// All values in the order of [`index`](Self::index), if they are known; else none.
    const VALUES: &'static [&'static str];

    /// The label's value.
    fn as_label(&self) -> &str;

    /// Which of [`VALUES`](Self::VALUES) it is; 0 if they are not known.
    fn index(&self) -> usize;
}

impl LabelValue for &str {
    const VALUES: &'static [&'static str] = &[];

    fn as_label(&self) -> &str {
        self
    }

    fn index(&self) -> usize {
        0
    }
}

impl LabelValue for String {
    const VALUES: &'static [&'static str] = &[];

    fn as_label(&self) -> &str {
        self
    }

    fn index(&self) -> usize {
        0
    }
}

impl LabelValue for bool {
    const VALUES: &'static [&'static str] = &["false", "true"];

    fn as_label(&self) -> &str {
        Self::VALUES[self.index()]
    }

    fn index(&self) -> usize {
        usize::from(*self)
    }
}

/// A type that names the labels of a family and has a value for each; [`labels!`](crate::labels) makes
/// one of a struct.
///
/// ```
/// use tachograph_core::label::LabelSet;
///
/// tachograph_core::labels! {
///     pub struct Cache { pub hit: bool, pub warm: bool }
/// }
/// assert_eq!((Cache::NAMES, Cache::CARDINALITY), (["hit", "warm"].as_slice(), 4));
/// assert_eq!(Cache { hit: true, warm: false }.index(), 2);
/// ```
pub trait LabelSet {
    /// The labels, in order.
    const NAMES: &'static [&'static str];
    /// For each label its values, if they are known; else none.
    const VALUES: &'static [&'static [&'static str]];

    /// How many sets there are; 0 if a label's values are not known.
    const CARDINALITY: usize = {
        let (mut product, mut label) = (1, 0);
        while label < Self::VALUES.len() {
            product *= Self::VALUES[label].len();
            label += 1;
        }
        product
    };

    /// The values, in the order of [`NAMES`](Self::NAMES).
    fn values(&self) -> impl AsRef<[&str]>;

    /// Which of all sets it is; the last label changes fastest.
    fn index(&self) -> usize;
}

/// Makes label types: of an enum the values of one label, of a struct the labels of a family.
///
/// With a struct whose fields are all such enums (or `bool`), every series is there from the start,
/// zero, and is found by its place; with text in a field it is looked up.
///
/// ```
/// use tachograph_core::labels;
/// use tachograph_core::registry::{Descriptor, Registry};
///
/// labels! {
///     /// How a request ended.
///     pub enum Outcome { Ok = "ok", Failed = "failed" }
/// }
/// labels! {
///     /// What requests are told apart by.
///     pub struct Request { pub outcome: Outcome, pub cached: bool }
/// }
///
/// let registry = Registry::new();
/// let requests = registry.counter_of::<Request>(&Descriptor::new("requests", "Requests served"))?;
/// requests.at(&Request { outcome: Outcome::Ok, cached: false }).inc();
/// let snapshot = registry.snapshot();
/// assert_eq!(snapshot.counter("requests", &[("outcome", "ok"), ("cached", "false")]), Some(1));
/// assert_eq!(snapshot.counter("requests", &[("outcome", "failed"), ("cached", "true")]), Some(0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[macro_export]
macro_rules! labels {
    ($(#[$meta:meta])* $vis:vis enum $name:ident {
        $($(#[$value_meta:meta])* $value:ident = $label:literal),+ $(,)?
    }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        $vis enum $name {
            $($(#[$value_meta])* #[doc = concat!("`", $label, "`.")] $value),+
        }

        impl $crate::label::LabelValue for $name {
            const VALUES: &'static [&'static str] = &[$($label),+];

            #[inline]
            fn as_label(&self) -> &str {
                Self::VALUES[self.index()]
            }

            #[inline]
            fn index(&self) -> usize {
                *self as usize
            }
        }
    };
    ($(#[$meta:meta])* $vis:vis struct $name:ident $(<$lifetime:lifetime>)? {
        $($(#[$field_meta:meta])* $field_vis:vis $field:ident: $type:ty),+ $(,)?
    }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        $vis struct $name $(<$lifetime>)? {
            $($(#[$field_meta])* #[doc = concat!("The label `", stringify!($field), "`.")] $field_vis $field: $type),+
        }

        impl $(<$lifetime>)? $crate::label::LabelSet for $name $(<$lifetime>)? {
            const NAMES: &'static [&'static str] = &[$(stringify!($field)),+];
            const VALUES: &'static [&'static [&'static str]] =
                &[$(<$type as $crate::label::LabelValue>::VALUES),+];

            #[inline]
            fn values(&self) -> impl AsRef<[&str]> {
                [$($crate::label::LabelValue::as_label(&self.$field)),+]
            }

            #[inline]
            fn index(&self) -> usize {
                let index = 0;
                $(
                    let index = index * <$type as $crate::label::LabelValue>::VALUES.len()
                        + $crate::label::LabelValue::index(&self.$field);
                )+
                index
            }
        }
    };
}
