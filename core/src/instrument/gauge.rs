use alloc::vec::Vec;
use core::fmt;

use super::Reading;
use crate::memory::handle::Handle;
use crate::memory::pages::Place;
use crate::memory::process;
use crate::registry::Aggregation;
use crate::snapshot::{GaugeSnapshot, Value};
use crate::sync::{AtomicU64, Ordering};

/// Kept in a cell in place of a figure's own bits, so that a cell of zeros is one never set.
const UNSET: u64 = f64::NAN.to_bits();

/// A figure that goes up and down. It is always finite: a value that is not is refused and counted.
///
/// ```
/// use tachograph_core::registry::{Descriptor, Registry};
///
/// let registry = Registry::new();
/// let depth = registry.gauge(&Descriptor::new("depth", "Frames waiting"))?.bind(&[])?;
/// depth.set(4.0);
/// depth.add(-1.0);
/// depth.set(f64::NAN);
/// assert_eq!(depth.value(), 3.0);
/// assert_eq!(registry.refused_values(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[repr(transparent)]
pub struct Gauge(Handle);

impl Gauge {
    /// Takes on `value`.
    #[inline]
    pub fn set(&self, value: f64) {
        if value.is_finite() {
            process::gauge(self.0.place).store(value.to_bits() ^ UNSET, Ordering::Relaxed);
        } else {
            self.refuse();
        }
    }

    #[cold]
    #[inline(never)]
    fn refuse(&self) {
        self.0.owner.storage.refuse();
    }

    /// Moves by `amount`, which may be negative; refused if the sum is not finite.
    pub fn add(&self, amount: f64) {
        let moved = |held: u64| {
            let sum = figure(held).unwrap_or(0.0) + amount;
            sum.is_finite().then_some(sum.to_bits() ^ UNSET)
        };
        let cell = process::gauge(self.0.place);
        if cell.fetch_update(Ordering::Relaxed, Ordering::Relaxed, moved).is_err() {
            self.refuse();
        }
    }

    /// The present figure: its own, and those of its parts, as the descriptor's [`Aggregation`] says.
    pub fn value(&self) -> f64 {
        let mut parts = Vec::new();
        self.0.owner.storage.parts_into(&mut parts);
        self.aggregated(&parts)
    }

    /// A part of the figure for one holder, such as one session: what the gauge shows is all parts
    /// together, as the descriptor's [`Aggregation`] says. A part that was never set, or is gone,
    /// does not count. With [`Aggregation::Last`] all parts are the gauge itself.
    ///
    /// ```
    /// use tachograph_core::registry::{Aggregation, Descriptor, Registry};
    ///
    /// let registry = Registry::new();
    /// let descriptor = Descriptor::new("lag", "How late the newest result is").aggregation(Aggregation::Max);
    /// let lag = registry.gauge(&descriptor)?.bind(&[])?;
    /// let (one, other) = (lag.part(), lag.part());
    /// one.set(0.2);
    /// other.set(1.5);
    /// assert_eq!(lag.value(), 1.5);
    /// drop(other);
    /// assert_eq!(lag.value(), 0.2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn part(&self) -> GaugePart {
        let Handle { owner, place } = &self.0;
        let is_apart = self.aggregation() != Aggregation::Last;
        let own = is_apart.then(|| owner.storage.take_part(*place)).flatten();
        let gauge = Self(Handle { place: own.unwrap_or(*place), ..self.0.clone() });
        GaugePart { own, gauge, series: *place }
    }

    fn aggregation(&self) -> Aggregation {
        self.0.owner.descriptor.aggregation_rule()
    }

    fn aggregated(&self, parts: &[(Place, Place)]) -> f64 {
        let series = self.0.place;
        let first = parts.partition_point(|(held, _)| *held < series);
        let own_parts = parts[first..].iter().take_while(|(held, _)| *held == series);
        let places = core::iter::once(series).chain(own_parts.map(|(_, part)| *part));
        let figures = places.filter_map(|place| figure(process::gauge(place).load(Ordering::Relaxed)));
        figures.reduce(|one, other| self.aggregation().of(one, other)).unwrap_or(0.0)
    }

    pub(super) fn read_into(&self, reading: &mut Reading, value: &mut Value) {
        reading.bytes += size_of::<AtomicU64>() as u64;
        *value = Value::Gauge(GaugeSnapshot::new(self.aggregated(&reading.parts), reading.at));
    }
}

/// None when it was never set.
fn figure(held: u64) -> Option<f64> {
    (held != 0).then(|| f64::from_bits(held ^ UNSET))
}

/// One holder's part of a [`Gauge`]; it counts until it is dropped.
///
/// ```
/// use tachograph_core::registry::{Descriptor, Registry};
///
/// let registry = Registry::new();
/// let waiting = registry.gauge(&Descriptor::new("waiting", "Frames that wait"))?.bind(&[])?;
/// let (one, other) = (waiting.part(), waiting.part());
/// one.set(3.0);
/// other.set(4.0);
/// assert_eq!(waiting.value(), 7.0);
/// drop(other);
/// assert_eq!(waiting.value(), 3.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct GaugePart {
    gauge: Gauge,
    series: Place,
    /// None when it is the gauge itself.
    own: Option<Place>,
}

impl GaugePart {
    /// Takes on `value`; refused and counted if it is not finite.
    pub fn set(&self, value: f64) {
        self.gauge.set(value);
    }
}

impl Drop for GaugePart {
    fn drop(&mut self) {
        if let Some(own) = self.own {
            self.gauge.0.owner.storage.give_part(self.series, own);
        }
    }
}

impl fmt::Debug for GaugePart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GaugePart").field("series", &self.series).finish_non_exhaustive()
    }
}
