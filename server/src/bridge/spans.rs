//! The times of spans, by a layer of `tracing_subscriber`.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tachograph_core::instrument::Counter;
use tachograph_core::registry::{CounterFamily, Descriptor, HistogramFamily, RegisterError, Registry};
use tracing::span::{Attributes, Id};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::{LookupSpan, SpanRef};

/// Tells the layers of a process apart.
static LAYERS: AtomicU64 = AtomicU64::new(0);

/// Times spans by their names: a [`Layer`] beside those that a program has.
///
/// | family | kind | what |
/// | --- | --- | --- |
/// | `span_duration_seconds` | histogram | from a span's making to its end, when its last handle is gone |
/// | `span_busy_seconds` | histogram | of that, the time in which it was entered, by one thread or several |
/// | `span_errors` | counter | events of level ERROR in it, those of the spans within it left out |
///
/// - All have the labels `span`, its name, and `target`. Both stand in the program's text, so that a client makes no
///   series; beyond the registry's limit they share the overflow series.
/// - A span that is open does not count yet.
/// - A filter of this layer ([`Layer::with_filter`]) says which spans are timed.
/// - Making a span takes the extension that holds its times. Entering and leaving it reads the clock and allocates
///   nothing.
/// - One layer times a span. Another on the same subscriber leaves it to that one, and counts it in
///   `span_times_left_out`.
///
/// ```
/// use tachograph::bridge::SpanTimes;
/// use tachograph::registry::Registry;
/// use tracing_subscriber::layer::SubscriberExt;
///
/// let registry = Registry::new();
/// let subscriber = tracing_subscriber::registry().with(SpanTimes::new(&registry)?);
/// tracing::subscriber::with_default(subscriber, || {
///     tracing::info_span!(target: "shop", "checkout").in_scope(|| tracing::error!("no stock"));
/// });
/// let (snapshot, labels) = (registry.snapshot(), [("span", "checkout"), ("target", "shop")]);
/// assert_eq!(snapshot.histogram("span_duration_seconds", &labels).map(|times| times.count()), Some(1));
/// assert_eq!(snapshot.counter("span_errors", &labels), Some(1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct SpanTimes {
    layer: u64,
    durations: HistogramFamily,
    busy: HistogramFamily,
    errors: CounterFamily,
    left_out: Counter,
}

impl SpanTimes {
    /// A layer that times into `registry`.
    ///
    /// # Errors
    /// One of the names is taken by another description.
    pub fn new(registry: &Registry) -> Result<Self, RegisterError> {
        let of_span = |name, help| Descriptor::new(name, help).label("span").label("target");
        let left_out = Descriptor::new("span_times_left_out", "Spans left to another layer that times them");
        Ok(Self {
            layer: LAYERS.fetch_add(1, Ordering::Relaxed),
            durations: registry
                .histogram(&of_span("span_duration_seconds", "From a span's making to its end").unit("s"))?,
            busy: registry.histogram(&of_span("span_busy_seconds", "Time in which a span was entered").unit("s"))?,
            errors: registry.counter(&of_span("span_errors", "Events of level ERROR in a span"))?,
            left_out: registry.counter(&left_out)?.unlabelled()?,
        })
    }

    /// Does something with the times of a span, if it is this layer that times it.
    fn with_times<S>(&self, span: Option<SpanRef<'_, S>>, then: impl FnOnce(&mut Times))
    where
        S: for<'a> LookupSpan<'a>,
    {
        let Some(span) = span else { return };
        let mut extensions = span.extensions_mut();
        if let Some(times) = extensions.get_mut::<Times>().filter(|times| times.layer == self.layer) {
            then(times);
        }
    }

    fn record(&self, metadata: &Metadata<'_>, times: &Times) {
        let labels = labels(metadata);
        if let (Ok(durations), Ok(busy)) = (self.durations.with(&labels), self.busy.with(&labels)) {
            durations.record(times.made.elapsed().as_secs_f64());
            busy.record(times.busy.as_secs_f64());
        }
    }
}

impl<S> Layer<S> for SpanTimes
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_new_span(&self, _: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut extensions = span.extensions_mut();
        if extensions.get_mut::<Times>().is_some() {
            self.left_out.inc();
        } else {
            extensions.insert(Times::begin(self.layer));
        }
    }

    fn on_enter(&self, id: &Id, context: Context<'_, S>) {
        self.with_times(context.span(id), Times::enter);
    }

    fn on_exit(&self, id: &Id, context: Context<'_, S>) {
        self.with_times(context.span(id), Times::exit);
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        if *event.metadata().level() == Level::ERROR
            && let Some(span) = context.event_span(event)
            && let Ok(errors) = self.errors.with(&labels(span.metadata()))
        {
            errors.inc();
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let Some(span) = context.span(&id) else { return };
        let metadata = span.metadata();
        self.with_times(Some(span), |times| self.record(metadata, times));
    }
}

fn labels<'a>(metadata: &Metadata<'a>) -> [(&'static str, &'a str); 2] {
    [("span", metadata.name()), ("target", metadata.target())]
}

/// A span's extension.
#[derive(Debug)]
struct Times {
    layer: u64,
    made: Instant,
    busy: Duration,
    /// Threads, or calls of one thread, that are in it.
    inside: u32,
    /// When the first of them came.
    entered: Instant,
}

impl Times {
    fn begin(layer: u64) -> Self {
        let now = Instant::now();
        Self { layer, made: now, busy: Duration::ZERO, inside: 0, entered: now }
    }

    fn enter(&mut self) {
        if self.inside == 0 {
            self.entered = Instant::now();
        }
        self.inside = self.inside.saturating_add(1);
    }

    fn exit(&mut self) {
        self.inside = self.inside.saturating_sub(1);
        if self.inside == 0 {
            self.busy += self.entered.elapsed();
        }
    }
}

#[cfg(test)]
mod tests;
