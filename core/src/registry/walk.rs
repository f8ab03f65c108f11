use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use super::family::Shared;
use super::{Descriptor, Kind, Registry};
use crate::instrument::Reading;
use crate::label::LabelValues;
use crate::snapshot::Value;

/// Reads one series after another: what exporters write from. Each series is as it is when it is read; a
/// family's come in the order in which they were made.
///
/// It holds the list of families, the places of gauges' parts, and one series, however many there are.
///
/// ```
/// use tachograph_core::registry::{Descriptor, Registry};
///
/// let registry = Registry::new();
/// let served = registry.counter(&Descriptor::new("served", "Requests served").label("route"))?;
/// served.with(&[("route", "/")])?.add(3);
/// let mut walk = registry.walk(1_767_225_600_000);
/// let first = walk.next().ok_or("no series")?;
/// assert_eq!((first.descriptor.name(), first.value.counter()), ("served", Some(3)));
/// assert!(walk.next().is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Walk {
    /// By name, the last first.
    families: Vec<Arc<Shared>>,
    current: Option<Current>,
    reading: Reading,
    value: Value,
}

/// The family that is read.
struct Current {
    family: Arc<Shared>,
    /// Of the series that is next.
    number: usize,
    /// When its reading began: the series, and whether there was one of what there was no room for.
    made: usize,
    has_overflowed: bool,
}

/// A series of a [`Walk`].
///
/// ```
/// use tachograph_core::registry::{Descriptor, Kind, Registry};
///
/// let registry = Registry::new();
/// registry.counter(&Descriptor::new("orders", "Orders taken"))?.bind(&[])?.add(3);
/// let mut walk = registry.walk(1_767_225_600_000);
/// let walked = walk.next().ok_or("nothing is registered")?;
/// assert_eq!((walked.kind, walked.descriptor.name(), walked.is_first), (Kind::Counter, "orders", true));
/// assert_eq!(walked.value.counter(), Some(3));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct Walked<'a> {
    /// What its family counts in.
    pub kind: Kind,
    /// Its family.
    pub descriptor: &'a Descriptor,
    /// Whether it is its family's first.
    pub is_first: bool,
    /// In the order of the descriptor's labels.
    pub labels: &'a LabelValues,
    /// What was recorded.
    pub value: &'a Value,
}

impl Current {
    fn is_over(&self) -> bool {
        self.number >= self.made + usize::from(self.has_overflowed)
    }
}

impl Walk {
    /// Of the families that there are now; `at` is now in Unix milliseconds.
    pub(super) fn new(registry: &Registry, at: u64) -> Self {
        let mut families: Vec<_> = registry.families.lock().clone();
        families.reverse();
        let mut reading = Reading::default();
        reading.restart(at);
        registry.storage.parts_into(&mut reading.parts);
        Self { families, current: None, reading, value: Value::Counter(0) }
    }

    /// The next series; none at the end. Families without series are passed over.
    #[inline]
    #[expect(clippy::should_implement_trait, reason = "what it returns is lent")]
    pub fn next(&mut self) -> Option<Walked<'_>> {
        while self.current.as_ref().is_none_or(Current::is_over) {
            let family = self.families.pop()?;
            let (made, has_overflowed) = family.count();
            self.current = Some(Current { family, number: 0, made, has_overflowed });
        }
        let Current { family, number, made, .. } = self.current.as_mut()?;
        let made = Some(*number).filter(|number| number < made);
        let labels = family.read_one(made, &mut self.reading, &mut self.value)?;
        *number += 1;
        Some(Walked {
            kind: family.kind(),
            descriptor: family.descriptor(),
            is_first: *number == 1,
            labels,
            value: &self.value,
        })
    }
}

impl fmt::Debug for Walk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Walk").field("families_left", &self.families.len()).finish_non_exhaustive()
    }
}
