use std::collections::BTreeMap;

use tachograph_core::instrument::HistogramSnapshot;
use tachograph_core::registry::{FamilySnapshot, Kind, RegistrySnapshot, SeriesSnapshot, Value};

use super::format::{count, measure, rate};

/// The series that are kept and shown of one family.
const SERIES_MAX: usize = 50;
/// The families that are kept and shown.
const FAMILIES_MAX: usize = 100;

/// What tells a family's series apart.
pub type Labels = BTreeMap<String, String>;

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
    /// A counter's growth a second since the frame before; of other kinds, and before two frames, none.
    pub rate: Option<f64>,
}

impl Panel {
    /// The registry of the next frame, `elapsed` seconds after this one's, if that can be told.
    #[must_use]
    pub fn next(&self, registry: RegistrySnapshot, elapsed: Option<f64>) -> Self {
        let RegistrySnapshot { families, refused_values, overflowed_series } = registry;
        let mut next = Self { families: Vec::new(), unlisted: 0, refused_values, overflowed_series };
        for family in families {
            if next.families.len() < FAMILIES_MAX && next.family(&family.name).is_none() {
                next.families.push(Family::after(self, family, elapsed));
            } else {
                next.unlisted += 1;
            }
        }
        next
    }

    /// One family.
    pub fn family(&self, name: &str) -> Option<&Family> {
        self.families.iter().find(|family| family.name == name)
    }
}

impl Family {
    /// One series.
    pub fn series(&self, labels: &Labels) -> Option<&Series> {
        self.series.iter().find(|series| series.labels == *labels)
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

    /// The family after one frame, now that it is as `snapshot` says.
    fn after(before: &Panel, snapshot: FamilySnapshot, elapsed: Option<f64>) -> Self {
        let FamilySnapshot { name, kind, unit, help, series } = snapshot;
        let before = before.family(&name);
        let mut family = Self { name, kind, unit, help, series: Vec::new(), unlisted: 0 };
        for SeriesSnapshot { labels, value } in series {
            let growth = before.and_then(|family| family.series(&labels)?.growth_to(&value));
            let rate = growth.zip(elapsed).map(|(growth, span)| growth as f64 / span);
            family.add(Series { labels, value, rate });
        }
        family
    }

    /// Takes a series unless it is one too many or there already.
    fn add(&mut self, series: Series) {
        if self.series.len() < SERIES_MAX && self.series(&series.labels).is_none() {
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
            Value::Gauge(figure) => format!("{figure:?}"),
            Value::Histogram(buckets) => buckets.count().to_string(),
        }
    }

    /// The same for a person.
    pub fn text(&self, unit: &str) -> String {
        match &self.value {
            Value::Counter(total) if unit == "bytes" => measure(*total as f64, unit),
            Value::Counter(total) => count(*total),
            Value::Gauge(figure) => measure(*figure, unit),
            Value::Histogram(buckets) => count(buckets.count()),
        }
    }

    /// What stands beside it: a counter's rate, a histogram's mean.
    pub fn note(&self, unit: &str) -> String {
        match &self.value {
            Value::Counter(_) => rate(self.rate, unit),
            Value::Gauge(_) => String::new(),
            Value::Histogram(buckets) => format!("mean {}", mean(buckets, unit)),
        }
    }

    /// How much a counter grew up to `value`.
    fn growth_to(&self, value: &Value) -> Option<u64> {
        match (&self.value, value) {
            (Value::Counter(before), Value::Counter(now)) => now.checked_sub(*before),
            _ => None,
        }
    }

    /// A histogram's buckets.
    pub fn buckets(&self) -> Option<&HistogramSnapshot> {
        if let Value::Histogram(buckets) = &self.value { Some(buckets) } else { None }
    }
}

fn mean(buckets: &HistogramSnapshot, unit: &str) -> String {
    match buckets.count() {
        0 => "–".into(),
        count => measure(buckets.sum / count as f64, unit),
    }
}

/// A histogram's buckets in words: `up to 50 ms: 12, up to 100 ms: 3, above: 0`.
pub fn bucket_text(histogram: &HistogramSnapshot, unit: &str) -> String {
    let bounds = histogram.bounds.iter().map(|bound| format!("up to {bound} {unit}"));
    let names = bounds.chain(["above".into()]);
    let told: Vec<String> = names.zip(&histogram.buckets).map(|(name, held)| format!("{name}: {held}")).collect();
    told.join(", ")
}

/// Labels in one line: `route=/,source=mic`.
pub fn label_text(labels: &Labels) -> String {
    let pairs: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
    pairs.join(",")
}

#[cfg(test)]
mod tests {
    use super::super::samples::frame;
    use super::*;

    fn mic() -> Labels {
        Labels::from([("source".into(), "mic".into())])
    }

    fn rate(before: u64, now: u64, elapsed: Option<f64>) -> Option<f64> {
        let panel = Panel::default().next(frame("e", before, &[]).registry, None);
        let panel = panel.next(frame("e", now, &[]).registry, elapsed);
        panel.family("audio_bytes_received").unwrap().series(&mic()).unwrap().rate
    }

    #[test]
    fn a_rate_is_growth_by_time() {
        assert_eq!(rate(1, 2, Some(1.0)), Some(32_000.0));
        assert_eq!(rate(1, 4, Some(3.0)), Some(32_000.0));
    }

    #[test]
    fn no_rate_without_a_span_or_of_a_counter_that_fell() {
        assert_eq!(rate(1, 2, None), None);
        assert_eq!(rate(2, 1, Some(1.0)), None);
    }

    #[test]
    fn series_beyond_the_bound_are_counted() {
        let mut registry = frame("e", 1, &[]).registry;
        let series = &mut registry.families[0].series;
        for number in 0..60 {
            let labels = Labels::from([("source".into(), format!("s{number}"))]);
            series.push(SeriesSnapshot { labels, value: Value::Counter(number) });
        }
        let panel = Panel::default().next(registry, None);
        let family = panel.family("audio_bytes_received").unwrap();
        assert_eq!((family.series.len(), family.unlisted), (SERIES_MAX, 11));
    }

    #[test]
    fn what_is_named_twice_is_shown_once() {
        let mut registry = frame("e", 1, &[]).registry;
        let family = &mut registry.families[0];
        family.series.push(family.series[0].clone());
        let twice = family.clone();
        registry.families.push(twice);
        let panel = Panel::default().next(registry, None);
        assert_eq!((panel.families.len(), panel.unlisted), (1, 1));
        assert_eq!((panel.families[0].series.len(), panel.families[0].unlisted), (1, 1));
    }

    #[test]
    fn labels_are_one_line() {
        let labels = Labels::from([("source".into(), "mic".into()), ("route".into(), "/".into())]);
        assert_eq!(label_text(&labels), "route=/,source=mic");
        assert_eq!(label_text(&Labels::new()), "");
    }

    #[test]
    fn a_histogram_is_its_count_its_mean_and_its_buckets() {
        let buckets = HistogramSnapshot { bounds: vec![50.0, 100.0], buckets: vec![1, 2, 1], sum: 320.0 };
        let told = bucket_text(&buckets, "ms");
        let series = Series { labels: mic(), value: Value::Histogram(buckets), rate: None };
        assert_eq!((series.raw(), series.text("ms")), ("4".into(), "4".into()));
        assert_eq!(series.note("ms").replace('\u{202f}', " "), "mean 80.0 ms");
        assert_eq!(told, "up to 50 ms: 1, up to 100 ms: 2, above: 1");
    }

    #[test]
    fn a_gauge_keeps_its_digits() {
        let series = Series { labels: mic(), value: Value::Gauge(3.0), rate: None };
        assert_eq!((series.raw(), series.text("frames")), ("3.0".into(), "3".into()));
    }
}
