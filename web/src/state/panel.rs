use tachograph_core::registry::Kind;
use tachograph_core::snapshot::{FamilySnapshot, HistogramSnapshot, RegistrySnapshot, Value};

use super::Columns;
use super::format::{count, measure, rate};

/// The series that are kept and shown of one family.
const SERIES_MAX: usize = 50;
/// The families that are kept and shown.
const FAMILIES_MAX: usize = 100;

/// What tells a family's series apart: names and values, in the family's order.
pub type Labels = Vec<(String, String)>;

/// The registry as the page shows it.
#[derive(Clone, Debug, Default)]
pub struct Panel {
    /// As the registry orders them, by name.
    pub families: Vec<Family>,
    /// Families beyond the bound or named twice, not shown.
    pub unlisted: usize,
    /// Values that the registry refused.
    pub refused_values: u64,
    /// Series that the registry folded into an overflow series.
    pub overflowed_series: u64,
    /// Series of all families, listed or not.
    pub series: u64,
    /// Memory that the registry holds.
    pub bytes_held: u64,
    /// How long its snapshot took.
    pub snapshot_seconds: f64,
}

/// One family.
#[derive(Clone, Debug)]
pub struct Family {
    /// Its name.
    pub name: String,
    /// What it counts in.
    pub kind: Kind,
    /// The unit of its values; may be empty.
    pub unit: String,
    /// What it means.
    pub help: String,
    /// As the registry orders them, by labels.
    pub series: Vec<Series>,
    /// Series beyond the bound or named twice, not shown.
    pub unlisted: usize,
}

/// One series.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// What tells it from its family's other series.
    pub labels: Labels,
    /// What was recorded.
    pub value: Value,
    /// A counter's growth a second since the row before; of other kinds, and before two rows, none.
    pub rate: Option<f64>,
}

impl Panel {
    /// The registry of the newest frame, which `columns` took.
    pub fn of(registry: &RegistrySnapshot, columns: &Columns) -> Self {
        let mut panel = Self {
            families: Vec::new(),
            unlisted: 0,
            refused_values: registry.refused_values,
            overflowed_series: registry.overflowed_series,
            series: registry.series,
            bytes_held: registry.bytes_held,
            snapshot_seconds: registry.snapshot_seconds,
        };
        for family in &registry.families {
            if panel.families.len() < FAMILIES_MAX && panel.family(family.name()).is_none() {
                panel.families.push(Family::of(family, columns));
            } else {
                panel.unlisted += 1;
            }
        }
        panel
    }

    /// One family.
    pub fn family(&self, name: &str) -> Option<&Family> {
        self.families.iter().find(|family| family.name == name)
    }
}

impl Family {
    /// One series.
    pub fn series(&self, labels: &[(String, String)]) -> Option<&Series> {
        self.series.iter().find(|series| series.labels == labels)
    }

    /// What it counts, in what.
    pub fn kind_text(&self) -> String {
        let kind = match self.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        if self.unit.is_empty() { kind.into() } else { format!("{kind}, {}", self.unit) }
    }

    fn of(snapshot: &FamilySnapshot, columns: &Columns) -> Self {
        let mut family = Self {
            name: snapshot.name().into(),
            kind: snapshot.kind,
            unit: snapshot.descriptor.unit_name().into(),
            help: snapshot.descriptor.help_text().into(),
            series: Vec::new(),
            unlisted: snapshot.series.len().saturating_sub(SERIES_MAX),
        };
        for series in snapshot.series.iter().take(SERIES_MAX) {
            let labels = snapshot.labels(series).map(|(name, value)| (name.into(), value.into())).collect();
            let rate = columns.rate(snapshot.name(), &series.labels);
            family.add(Series { labels, value: series.value.clone(), rate });
        }
        family
    }

    /// Takes a series unless it is there already.
    fn add(&mut self, series: Series) {
        if self.series(&series.labels).is_none() {
            self.series.push(series);
        } else {
            self.unlisted += 1;
        }
    }
}

impl Series {
    /// The value as the frame has it: a counter's total, a gauge's figure, a histogram's count.
    pub fn raw(&self) -> String {
        match &self.value {
            Value::Counter(total) => total.to_string(),
            Value::Gauge(gauge) => format!("{:?}", gauge.value()),
            Value::Histogram(buckets) => buckets.count().to_string(),
        }
    }

    /// The same for a person.
    pub fn text(&self, unit: &str) -> String {
        match &self.value {
            Value::Counter(total) if unit == "bytes" => measure(*total as f64, unit),
            Value::Counter(total) => count(*total),
            Value::Gauge(gauge) => measure(gauge.value(), unit),
            Value::Histogram(buckets) => count(buckets.count()),
        }
    }

    /// What stands beside it: a counter's rate, a histogram's mean and 99th percentile.
    pub fn note(&self, unit: &str) -> String {
        match &self.value {
            Value::Counter(_) => rate(self.rate, unit),
            Value::Gauge(_) => String::new(),
            Value::Histogram(buckets) => mean_and_p99(buckets, unit),
        }
    }

    /// The buckets of a histogram with bounds.
    pub fn buckets(&self) -> Option<&HistogramSnapshot> {
        self.value.histogram().filter(|buckets| !buckets.bounds().is_empty())
    }
}

fn mean_and_p99(buckets: &HistogramSnapshot, unit: &str) -> String {
    match buckets.count() {
        0 => "mean –".into(),
        count => {
            let (mean, p99) = (measure(buckets.sum() / count as f64, unit), measure(buckets.quantile(0.99), unit));
            format!("mean {mean}, p99 {p99}")
        }
    }
}

/// A histogram's buckets in words: `up to 50 ms: 12, up to 100 ms: 3, above: 0`.
pub fn bucket_text(histogram: &HistogramSnapshot, unit: &str) -> String {
    let bounds = histogram.bounds().iter().map(|bound| format!("up to {bound} {unit}"));
    let names = bounds.chain(["above".into()]);
    let told: Vec<String> = names.zip(histogram.buckets()).map(|(name, held)| format!("{name}: {held}")).collect();
    told.join(", ")
}

/// Labels in one line: `route=/,source=mic`.
pub fn label_text(labels: &[(String, String)]) -> String {
    let pairs: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
    pairs.join(",")
}

#[cfg(test)]
mod tests {
    use tachograph_core::registry::{Descriptor, Registry};

    use super::*;

    fn mic() -> Labels {
        vec![("source".into(), "mic".into())]
    }

    fn panel(families: Vec<FamilySnapshot>) -> Panel {
        Panel::of(&RegistrySnapshot { families, ..RegistrySnapshot::default() }, &Columns::default())
    }

    fn counters(name: &str, sources: impl Iterator<Item = String>) -> FamilySnapshot {
        let registry = Registry::new();
        let family = registry.counter(&Descriptor::new(name, "").label("source")).unwrap();
        sources.for_each(|source| family.with(&[("source", &source)]).unwrap().inc());
        registry.snapshot().families.remove(0)
    }

    #[test]
    fn series_beyond_the_bound_are_counted() {
        let panel = panel(vec![counters("many", (0..61).map(|number| format!("s{number}")))]);
        let family = panel.family("many").unwrap();
        assert_eq!((family.series.len(), family.unlisted), (SERIES_MAX, 11));
    }

    #[test]
    fn what_is_named_twice_is_shown_once() {
        let mut family = counters("twice", ["mic".into()].into_iter());
        family.series.push(family.series[0].clone());
        let panel = panel(vec![family.clone(), family]);
        assert_eq!((panel.families.len(), panel.unlisted), (1, 1));
        assert_eq!((panel.families[0].series.len(), panel.families[0].unlisted), (1, 1));
    }

    #[test]
    fn labels_are_one_line() {
        let labels = [("source".into(), "mic".into()), ("route".into(), "/".into())];
        assert_eq!(label_text(&labels), "source=mic,route=/");
        assert_eq!(label_text(&[]), "");
    }

    #[test]
    fn a_histogram_is_its_count_its_mean_its_p99_and_its_buckets() {
        let registry = Registry::new();
        let family = registry.histogram(&Descriptor::new("time", "").bounds(&[50.0, 100.0])).unwrap();
        let times = family.with(&[]).unwrap();
        [40.0, 60.0, 100.0, 120.0].into_iter().for_each(|ms| times.record(ms));
        let buckets = registry.snapshot().histogram("time", &[]).unwrap().clone();
        let told = bucket_text(&buckets, "ms");
        let series = Series { labels: mic(), value: Value::Histogram(Box::new(buckets)), rate: None };
        assert_eq!((series.raw(), series.text("ms")), ("4".into(), "4".into()));
        assert_eq!(series.note("ms").replace('\u{202f}', " "), "mean 80.0 ms, p99 121 ms", "0.5 % off");
        assert_eq!(told, "up to 50 ms: 1, up to 100 ms: 2, above: 1");
    }

    #[test]
    fn a_gauge_keeps_its_digits() {
        let series = Series { labels: mic(), value: Value::Gauge(3.0.into()), rate: None };
        assert_eq!((series.raw(), series.text("frames")), ("3.0".into(), "3".into()));
    }
}
