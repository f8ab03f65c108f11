//! The facade of the crate `metrics`, into a registry.

mod handles;
mod kept;
mod names;

use std::collections::HashMap;
use std::sync::Arc;

use metrics::{Key, KeyName, Metadata, SharedString, Unit};
use parking_lot::Mutex;
use tachograph_core::instrument::{Counter, Gauge, Histogram};
use tachograph_core::label::LabelValue;
use tachograph_core::registry::{Descriptor, Kind, RegisterError, Registry, TypedFamily};

use self::kept::Kept;
use self::names::{Names, Rules};

tachograph_core::labels! {
    /// Why something of the facade did not come into the registry.
    enum Reason {
        Kind = "kind",
        Name = "name",
        NameTaken = "name_taken",
        TooManyNames = "too_many_names",
        Label = "label",
        TooManyLabels = "too_many_labels",
        TooManyLabelSets = "too_many_label_sets",
        NoRoom = "no_room",
        Description = "description",
    }
}

tachograph_core::labels! {
    struct Refused { reason: Reason }
}

/// Takes what other code counts through the facade of the crate `metrics` (0.24) into a
/// [`Registry`]: counters, gauges and histograms, under their own names. Clones are the same recorder.
///
/// # Names
/// A character that the registry does not take becomes `_`, and so does what a leading digit lacks: `http.requests` is
/// `http_requests`, `2xx` is `_2xx`. No two names become one: the first to use a name has it, another that would
/// have the same one is refused. Names of labels likewise.
///
/// # Labels
/// A family of a registry has fixed labels, calls of the facade have any. So:
///
/// - A family has the labels of its first use, or those that [`RecorderBuilder::labels`] says.
/// - Where a later call lacks some of them, they are empty, which for Prometheus is the same.
/// - Where a call has others, it goes to a family beside, whose name tells its labels: `requests_by_route_status`.
///   A name has 8 families at most.
/// - A value above 1,024 bytes, and label sets beyond the registry's limit, go to the family's overflow series.
///
/// # Descriptions
/// The newest `describe_…!` before a name's first use counts; a family keeps what it has then, since a descriptor
/// is fixed. A description that comes later and says something else is refused. Without one, the facade's name is
/// the help.
///
/// # What is refused
/// Nothing panics and nothing is lost silently. `tachograph_facade_refused` counts every update, or description,
/// that did not come into the registry, by `reason`; the log names each metric that this happened to once.
///
/// | reason | what was refused |
/// | --- | --- |
/// | `kind` | the name was used as another kind before |
/// | `name` | an empty name, or one above 256 bytes |
/// | `name_taken` | another metric has the name that this one would have |
/// | `too_many_names` | more than 4,096 names |
/// | `label` | a label without a name, with one above 256 bytes, or named twice |
/// | `too_many_labels` | more than 16 labels |
/// | `too_many_label_sets` | the labels are others than in the 8 families of the name |
/// | `no_room` | the process has no room for more series |
/// | `description` | it came after the first use |
///
/// Values that are not finite are refused by the registry itself, which counts them in
/// `tachograph_registry_refused_values`.
///
/// # Cost
/// A macro's call looks its handle up, without a lock or an allocation of the recorder's, in a table of 8,192 slots
/// a kind. A key that finds no room there is served all the same, more slowly; `tachograph_facade_uncached` counts
/// those calls. An update through a handle is one of the registry's instruments. `absolute` takes a lock.
///
/// ```
/// use tachograph::bridge::Recorder;
/// use tachograph::registry::Registry;
///
/// let registry = Registry::new();
/// let recorder = Recorder::new(&registry)?;
/// metrics::with_local_recorder(&recorder, || {
///     metrics::describe_counter!("http.requests", "Requests served");
///     metrics::counter!("http.requests", "route" => "/").increment(3);
/// });
/// assert_eq!(registry.snapshot().counter("http_requests", &[("route", "/")]), Some(3));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Recorder {
    shared: Arc<Shared>,
}

/// What clones share.
#[derive(Debug)]
struct Shared {
    registry: Registry,
    names: Mutex<Names>,
    refused: TypedFamily<Counter, Refused>,
    uncached: Counter,
    /// Held while a counter takes on an absolute value.
    absolutes: Arc<Mutex<()>>,
    counters: Kept<Counter>,
    gauges: Kept<Gauge>,
    histograms: Kept<Histogram>,
}

impl Recorder {
    /// A recorder into `registry`, without rules for single metrics.
    ///
    /// # Errors
    /// The recorder's own names are taken by other descriptions.
    pub fn new(registry: &Registry) -> Result<Self, RegisterError> {
        Self::builder().build(registry)
    }

    /// A recorder with rules for single metrics.
    pub fn builder() -> RecorderBuilder {
        RecorderBuilder::default()
    }

    /// Makes it the one that the whole process counts through.
    ///
    /// ```no_run
    /// use tachograph::bridge::Recorder;
    /// use tachograph::registry::Registry;
    ///
    /// let registry = Registry::new();
    /// Recorder::new(&registry)?.install()?;
    /// metrics::counter!("frames").increment(1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The process has one already.
    pub fn install(self) -> Result<(), AlreadyInstalled> {
        metrics::set_global_recorder(self).map_err(|_| AlreadyInstalled)
    }
}

/// The process counts through another recorder.
///
/// ```
/// use tachograph::bridge::{AlreadyInstalled, Recorder};
/// use tachograph::registry::Registry;
///
/// let (one, other) = (Registry::new(), Registry::new());
/// Recorder::new(&one)?.install()?;
/// assert_eq!(Recorder::new(&other)?.install(), Err(AlreadyInstalled));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the process has a recorder already; install one, or use metrics::with_local_recorder for parts of a program")]
pub struct AlreadyInstalled;

/// Rules for single metrics of a [`Recorder`], by their names in the facade.
///
/// ```
/// use tachograph::bridge::Recorder;
/// use tachograph::registry::Registry;
///
/// let registry = Registry::new();
/// let recorder = Recorder::builder()
///     .bounds("request.seconds", &[0.1, 1.0])
///     .labels("request.seconds", &["route", "status"])
///     .build(&registry)?;
/// metrics::with_local_recorder(&recorder, || {
///     metrics::histogram!("request.seconds", "route" => "/").record(0.2);
/// });
/// let snapshot = registry.snapshot();
/// let times = snapshot.histogram("request_seconds", &[("route", "/"), ("status", "")]);
/// assert_eq!(times.map(|times| times.buckets().to_vec()), Some(vec![0, 1, 0]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "it makes a recorder once it is built"]
pub struct RecorderBuilder {
    rules: HashMap<String, Rules>,
}

impl RecorderBuilder {
    /// Upper bounds, inclusive, between which this histogram's values are counted exactly, beside its exponential
    /// buckets.
    pub fn bounds(mut self, name: &str, bounds: &[f64]) -> Self {
        self.rules.entry(name.to_owned()).or_default().bounds = bounds.to_vec();
        self
    }

    /// The labels of this metric's family, whichever the first use has.
    pub fn labels(mut self, name: &str, labels: &[&str]) -> Self {
        self.rules.entry(name.to_owned()).or_default().labels = labels.iter().map(|&label| label.into()).collect();
        self
    }

    /// The recorder into `registry`.
    ///
    /// # Errors
    /// Bounds that are not finite and ascending, labels that a family cannot have, or the recorder's own names are
    /// taken by other descriptions.
    pub fn build(self, registry: &Registry) -> Result<Recorder, RegisterError> {
        self.rules.iter().try_for_each(|(name, rules)| rules.validate(name))?;
        let refused = Descriptor::new(
            "tachograph_facade_refused",
            "Updates and descriptions of the metrics facade that the registry has no place for",
        );
        let uncached =
            Descriptor::new("tachograph_facade_uncached", "Calls of the metrics facade that were looked up slowly");
        let shared = Shared {
            registry: registry.clone(),
            names: Mutex::new(Names::new(self.rules)),
            refused: registry.counter_of(&refused)?,
            uncached: registry.counter(&uncached)?.unlabelled()?,
            absolutes: Arc::default(),
            counters: Kept::new(),
            gauges: Kept::new(),
            histograms: Kept::new(),
        };
        Ok(Recorder { shared: Arc::new(shared) })
    }
}

impl Shared {
    fn describe(&self, kind: Kind, name: &KeyName, unit: Option<Unit>, help: &SharedString) {
        let described = self.names.lock().describe(kind, name.as_str(), unit, help);
        if let Err(reason) = described {
            self.refused(reason).inc();
            self.tell_once(name.as_str(), reason);
        }
    }

    fn refused(&self, reason: Reason) -> &Counter {
        self.refused.at(&Refused { reason })
    }

    /// After the names' lock, since a log may count through this recorder.
    fn tell_once(&self, name: &str, reason: Reason) {
        let is_first = self.names.lock().tells_of(name);
        if is_first {
            tracing::warn!(
                name = names::cut(name),
                reason = reason.as_label(),
                "a metric of the facade has no place in the registry"
            );
        }
    }
}

impl metrics::Recorder for Recorder {
    fn describe_counter(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        self.shared.describe(Kind::Counter, &key, unit, &description);
    }

    fn describe_gauge(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        self.shared.describe(Kind::Gauge, &key, unit, &description);
    }

    fn describe_histogram(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        self.shared.describe(Kind::Histogram, &key, unit, &description);
    }

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> metrics::Counter {
        self.shared.counters.handle(&self.shared, key)
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> metrics::Gauge {
        self.shared.gauges.handle(&self.shared, key)
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> metrics::Histogram {
        self.shared.histograms.handle(&self.shared, key)
    }
}

#[cfg(test)]
mod tests;
