use std::fmt::Debug;
use std::sync::Arc;

use metrics::{CounterFn, GaugeFn, HistogramFn};
use parking_lot::Mutex;
use tachograph_core::instrument::{Counter, Gauge, Histogram};
use tachograph_core::registry::{Descriptor, Family, Kind, LabelError, RegisterError, Registry};

use super::Shared;

/// An instrument of the registry, as the facade has one.
pub(super) trait Instrument: Sized {
    const KIND: Kind;
    type Handle: Clone + Debug;

    fn register(registry: &Registry, descriptor: &Descriptor) -> Result<Family<Self>, RegisterError>;
    fn bind(family: &Family<Self>, labels: &[(&str, &str)]) -> Result<Self, LabelError>;
    fn into_handle(self, shared: &Shared) -> Self::Handle;
    /// What only counts that there was an update.
    fn into_refused(refused: Counter) -> Self::Handle;
}

impl Instrument for Counter {
    const KIND: Kind = Kind::Counter;
    type Handle = metrics::Counter;

    fn register(registry: &Registry, descriptor: &Descriptor) -> Result<Family<Self>, RegisterError> {
        registry.counter(descriptor)
    }

    fn bind(family: &Family<Self>, labels: &[(&str, &str)]) -> Result<Self, LabelError> {
        family.bind(labels)
    }

    fn into_handle(self, shared: &Shared) -> Self::Handle {
        metrics::Counter::from_arc(Arc::new(Counting { counter: self, absolutes: Arc::clone(&shared.absolutes) }))
    }

    fn into_refused(refused: Counter) -> Self::Handle {
        metrics::Counter::from_arc(Arc::new(Refusing(refused)))
    }
}

impl Instrument for Gauge {
    const KIND: Kind = Kind::Gauge;
    type Handle = metrics::Gauge;

    fn register(registry: &Registry, descriptor: &Descriptor) -> Result<Family<Self>, RegisterError> {
        registry.gauge(descriptor)
    }

    fn bind(family: &Family<Self>, labels: &[(&str, &str)]) -> Result<Self, LabelError> {
        family.bind(labels)
    }

    fn into_handle(self, _: &Shared) -> Self::Handle {
        metrics::Gauge::from_arc(Arc::new(Gauging(self)))
    }

    fn into_refused(refused: Counter) -> Self::Handle {
        metrics::Gauge::from_arc(Arc::new(Refusing(refused)))
    }
}

impl Instrument for Histogram {
    const KIND: Kind = Kind::Histogram;
    type Handle = metrics::Histogram;

    fn register(registry: &Registry, descriptor: &Descriptor) -> Result<Family<Self>, RegisterError> {
        registry.histogram(descriptor)
    }

    fn bind(family: &Family<Self>, labels: &[(&str, &str)]) -> Result<Self, LabelError> {
        family.bind(labels)
    }

    fn into_handle(self, _: &Shared) -> Self::Handle {
        metrics::Histogram::from_arc(Arc::new(Recording(self)))
    }

    fn into_refused(refused: Counter) -> Self::Handle {
        metrics::Histogram::from_arc(Arc::new(Refusing(refused)))
    }
}

struct Counting {
    counter: Counter,
    /// One at a time compares and adds; the recorder's, since several keys can be of one series.
    absolutes: Arc<Mutex<()>>,
}

impl CounterFn for Counting {
    fn increment(&self, value: u64) {
        self.counter.add(value);
    }

    fn absolute(&self, value: u64) {
        let _one_at_a_time = self.absolutes.lock();
        self.counter.add(value.saturating_sub(self.counter.value()));
    }
}

struct Gauging(Gauge);

impl GaugeFn for Gauging {
    fn increment(&self, value: f64) {
        self.0.add(value);
    }

    fn decrement(&self, value: f64) {
        self.0.add(-value);
    }

    fn set(&self, value: f64) {
        self.0.set(value);
    }
}

struct Recording(Histogram);

impl HistogramFn for Recording {
    fn record(&self, value: f64) {
        self.0.record(value);
    }
}

/// Counts updates that have no place.
struct Refusing(Counter);

impl CounterFn for Refusing {
    fn increment(&self, _: u64) {
        self.0.inc();
    }

    fn absolute(&self, _: u64) {
        self.0.inc();
    }
}

impl GaugeFn for Refusing {
    fn increment(&self, _: f64) {
        self.0.inc();
    }

    fn decrement(&self, _: f64) {
        self.0.inc();
    }

    fn set(&self, _: f64) {
        self.0.inc();
    }
}

impl HistogramFn for Refusing {
    fn record(&self, _: f64) {
        self.0.inc();
    }

    fn record_many(&self, _: f64, count: usize) {
        self.0.add(count as u64);
    }
}
