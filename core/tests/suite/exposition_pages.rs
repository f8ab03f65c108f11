//! Registries as some bytes have them, written in each format and read back by readers that know only the
//! specifications: value by value the same. The fuzzer and the suite run the same.

#![allow(clippy::panic, reason = "a test fails by it")]

use std::collections::BTreeSet;

use arbitrary::{Result, Unstructured};
use tachograph_core::exposition::{EXEMPLAR_LABEL, Exemplars, Format, Page};
use tachograph_core::registry::{CounterFamily, Descriptor, GaugeFamily, HistogramFamily, Kind, Registry};
use tachograph_core::snapshot::{FamilySnapshot, HistogramSnapshot, RegistrySnapshot, SeriesSnapshot};

use crate::exposition_messages::{self as messages, LabelPair, Metric, MetricFamily};
use crate::exposition_text::{self as text, Dialect, ReadExemplar, ReadFamily, Sample};

const STEPS_MAX: usize = 200;
/// Many of them would be called as others.
const NAMES: [&str; 14] = [
    "a",
    "a_total",
    "a_sum",
    "a_count",
    "a_bucket",
    "a_created",
    "a_total_total",
    "_total",
    "b_seconds",
    "b_ms",
    "b_bytes",
    "b_seconds_total",
    "le",
    "Z9",
];
const UNITS: [&str; 9] = ["", "s", "ms", "B", "seconds", "total", "sum", "%", "\n"];
const LABELS: [&str; 7] = ["le", "by", "session_id", "quantile", "a", "_", "LE"];
const VALUES: [&str; 12] =
    ["", "mic", "\"", "\\", "\n", "\\n", "a\\\"b", "} 1", "seven\\7", "\u{0}\r\t", "\u{1f600}", "__overflow__"];
const FIGURES: [f64; 18] = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.1,
    50.0,
    1e6,
    -1e6,
    1e21,
    1e-7,
    5e-324,
    f64::MIN_POSITIVE,
    f64::MAX,
    f64::MIN,
    f64::NAN,
    f64::INFINITY,
    f64::NEG_INFINITY,
    1.0 / 3.0,
];

/// Makes a registry as the bytes have it, writes it and reads it.
///
/// # Panics
/// What is read is not what the registry holds.
pub(crate) fn run(bytes: &[u8]) {
    let mut choices = Unstructured::new(bytes);
    if let Ok(made) = make(&mut choices) {
        check(&made);
    }
}

struct Made {
    registry: Registry,
    families: Vec<Family>,
    exemplars: Exemplars,
    recorded: Vec<Recorded>,
    /// Bytes that are written at once.
    piece: usize,
}

struct Family {
    descriptor: Descriptor,
    instruments: Instruments,
}

enum Instruments {
    Counter(CounterFamily),
    Gauge(GaugeFamily),
    Histogram(HistogramFamily),
}

/// An exemplar that was taken.
struct Recorded {
    family: String,
    labels: Labels,
    value: f64,
    session_id: String,
    at: u64,
}

type Labels = BTreeSet<(String, String)>;

fn make(choices: &mut Unstructured<'_>) -> Result<Made> {
    let limit = *choices.choose(&[1, 2, 2_000])?;
    let mut made = Made {
        registry: Registry::with_series_limit(limit),
        families: Vec::new(),
        exemplars: Exemplars::with_series_limit(limit),
        recorded: Vec::new(),
        piece: *choices.choose(&[1, 40, 1_000, usize::MAX])?,
    };
    for _ in 0..STEPS_MAX {
        // What is left out for want of bytes leaves a registry, too.
        if choices.is_empty() || made.step(choices).is_err() {
            break;
        }
    }
    Ok(made)
}

impl Made {
    fn step(&mut self, choices: &mut Unstructured<'_>) -> Result<()> {
        if self.families.is_empty() || choices.ratio(1, 6)? {
            return self.register(choices);
        }
        let Family { descriptor, instruments } = &self.families[choices.choose_index(self.families.len())?];
        let labels = labels(descriptor, choices)?;
        let labels: Vec<_> = labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        match instruments {
            Instruments::Counter(family) => family.with(&labels).unwrap().add(amount(choices)?),
            Instruments::Gauge(family) => family.with(&labels).unwrap().set(figure(choices)?),
            Instruments::Histogram(family) => {
                let value = figure(choices)?;
                family.with(&labels).unwrap().record(value);
                if choices.ratio(1, 2)? {
                    let (session_id, at) = (hostile(choices)?, choices.arbitrary()?);
                    if self.exemplars.record(family, &labels, value, &session_id, at).is_ok() {
                        let labels = labels.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
                        let family = descriptor.name().into();
                        self.recorded.push(Recorded { family, labels, value, session_id, at });
                    }
                }
            }
        }
        Ok(())
    }

    fn register(&mut self, choices: &mut Unstructured<'_>) -> Result<()> {
        let name = if choices.ratio(1, 8)? { choices.arbitrary()? } else { *choices.choose(&NAMES)? };
        let mut descriptor = Descriptor::new(name, &hostile(choices)?).unit(choices.choose(&UNITS)?);
        for _ in 0..choices.int_in_range(0..=3)? {
            descriptor = descriptor.label(choices.choose(&LABELS)?);
        }
        let kind = choices.int_in_range(0..=3)?;
        if kind >= 2 {
            descriptor = descriptor.bounds(&bounds(choices)?).scale(choices.int_in_range(0..=6)?);
        }
        let registry = &self.registry;
        let instruments = match kind {
            0 => registry.counter(&descriptor).map(Instruments::Counter),
            1 => registry.gauge(&descriptor).map(Instruments::Gauge),
            _ => registry.histogram(&descriptor).map(Instruments::Histogram),
        };
        // A description that is not allowed is refused.
        self.families.extend(instruments.map(|instruments| Family { descriptor, instruments }));
        Ok(())
    }
}

fn amount(choices: &mut Unstructured<'_>) -> Result<u64> {
    if choices.ratio(1, 4)? { choices.arbitrary() } else { choices.int_in_range(0..=100) }
}

fn figure(choices: &mut Unstructured<'_>) -> Result<f64> {
    if choices.ratio(1, 3)? { choices.arbitrary() } else { Ok(*choices.choose(&FIGURES)?) }
}

fn hostile(choices: &mut Unstructured<'_>) -> Result<String> {
    match choices.int_in_range(0..=7)? {
        0 => Ok(choices.arbitrary::<&str>()?.into()),
        1 => Ok(choices.choose(&VALUES)?.repeat(choices.int_in_range(1..=70)?)),
        _ => Ok((*choices.choose(&VALUES)?).into()),
    }
}

fn labels(descriptor: &Descriptor, choices: &mut Unstructured<'_>) -> Result<Vec<(String, String)>> {
    descriptor.label_names().iter().map(|name| Ok((name.clone(), hostile(choices)?))).collect()
}

/// Mostly such as are allowed.
fn bounds(choices: &mut Unstructured<'_>) -> Result<Vec<f64>> {
    let count = choices.int_in_range(0..=4)?;
    let mut bounds: Vec<_> = (0..count).map(|_| figure(choices)).collect::<Result<_>>()?;
    if choices.ratio(7, 8)? {
        bounds.retain(|bound| bound.is_finite());
        bounds.sort_by(f64::total_cmp);
        bounds.dedup();
    }
    Ok(bounds)
}

// ---- written and read

fn check(made: &Made) {
    let snapshot = made.registry.snapshot();
    for (format, dialect) in [(Format::OpenMetrics, Dialect::OpenMetrics), (Format::Prometheus, Dialect::Prometheus)] {
        let (page, left_out) = written(made, format, usize::MAX);
        assert_eq!(written(made, format, made.piece).0, page, "it is the same page in pieces");
        let families =
            text::read(&page, dialect).unwrap_or_else(|why| panic!("{why}\n{}", String::from_utf8_lossy(&page)));
        let names: Vec<_> = families.iter().map(|family| family.name.as_str()).collect();
        let held = left_in(&snapshot, left_out, &names, |family| text_name(family, dialect));
        for (family, held) in families.iter().zip(held) {
            Comparison { made, dialect, held }.family(family);
        }
    }
    for piece in [usize::MAX, made.piece] {
        let (page, left_out) = written(made, Format::Protobuf, piece);
        check_messages(made, &snapshot, left_out, messages::read(&page).unwrap());
    }
}

fn written(made: &Made, format: Format, piece: usize) -> (Vec<u8>, u64) {
    let mut page = Page::new(&made.registry, format, 0).with_exemplars(&made.exemplars);
    let mut out = Vec::new();
    while page.write(&mut out, piece) {}
    (out, page.left_out())
}

/// The registry's families that are on the page, in its order. Each of the others has series, and a name that is
/// taken or a label that its buckets have.
fn left_in<'a>(
    snapshot: &'a RegistrySnapshot,
    left_out: u64,
    names: &[&str],
    name_of: impl Fn(&FamilySnapshot) -> String,
) -> Vec<&'a FamilySnapshot> {
    let mut taken = BTreeSet::new();
    let (on_page, others): (Vec<_>, Vec<_>) =
        snapshot.families.iter().filter(|family| !family.series.is_empty()).partition(|family| {
            let own = sample_names(family);
            let has_bound = family.kind == Kind::Histogram && family.descriptor.label_names().iter().any(|l| l == "le");
            let is_free = !has_bound && own.is_disjoint(&taken);
            if is_free {
                taken.extend(own);
            }
            is_free
        });
    assert_eq!(others.len() as u64, left_out);
    assert_eq!(on_page.iter().map(|family| name_of(family)).collect::<Vec<_>>(), names);
    on_page
}

/// All that OpenMetrics keeps for a family of this type.
fn sample_names(family: &FamilySnapshot) -> BTreeSet<String> {
    let base = base(family);
    let suffixes: &[&str] = match family.kind {
        Kind::Counter => &["", "_total", "_created"],
        Kind::Gauge => &[""],
        Kind::Histogram => &["", "_bucket", "_count", "_sum", "_created"],
    };
    suffixes.iter().map(|suffix| format!("{base}{suffix}")).collect()
}

fn base(family: &FamilySnapshot) -> &str {
    match family.kind {
        Kind::Counter if family.name() != "_total" => family.name().strip_suffix("_total").unwrap_or(family.name()),
        _ => family.name(),
    }
}

/// Prometheus calls a counter as its samples.
fn text_name(family: &FamilySnapshot, dialect: Dialect) -> String {
    let is_sample = family.kind == Kind::Counter && dialect == Dialect::Prometheus;
    format!("{}{}", base(family), if is_sample { "_total" } else { "" })
}

fn held_labels(family: &FamilySnapshot, series: &SeriesSnapshot) -> Labels {
    family.labels(series).map(|(name, value)| (name.into(), value.into())).collect()
}

struct Comparison<'a> {
    made: &'a Made,
    dialect: Dialect,
    held: &'a FamilySnapshot,
}

impl Comparison<'_> {
    fn family(&self, read: &ReadFamily) {
        let Self { held, dialect, .. } = *self;
        assert_eq!(read.help, held.descriptor.help_text());
        assert_eq!(read.kind, ["counter", "gauge", "histogram"][held.kind as usize]);
        assert_eq!(read.unit, if dialect == Dialect::OpenMetrics { unit(held) } else { "" });
        assert_eq!(read.series().count(), held.series.len());
        for samples in read.series() {
            let labels: Labels = read.labels_of(&samples[0]).into_iter().map(|(n, v)| (n.into(), v.into())).collect();
            let series = held.series.iter().find(|series| held_labels(held, series) == labels).unwrap();
            self.series(samples, series, &labels);
        }
    }

    fn series(&self, samples: &[Sample], held: &SeriesSnapshot, labels: &Labels) {
        if let Some(total) = held.value.counter() {
            assert_eq!(samples[0].value, total.to_string());
        } else if let Some(figure) = held.value.gauge() {
            assert_same(samples[0].value.parse().unwrap(), figure);
        } else if let Some(histogram) = held.value.histogram() {
            self.histogram(samples, histogram, labels);
        }
    }

    fn histogram(&self, samples: &[Sample], held: &HistogramSnapshot, labels: &Labels) {
        let ending = |suffix: &'static str| samples.iter().filter(move |sample| sample.name.ends_with(suffix));
        let buckets: Vec<_> = ending("_bucket").map(|sample| text::bucket(sample).unwrap()).collect();
        assert_buckets(&buckets, held);
        for sum in ending("_sum") {
            assert_same(sum.value.parse().unwrap(), held.sum());
        }
        // Where a value is below zero there is no sum that only goes up, which OpenMetrics' must.
        let goes_up =
            held.negative().is_empty() && held.sum() >= 0.0 && held.bounds().first().is_none_or(|bound| *bound >= 0.0);
        let has_sum = goes_up || self.dialect == Dialect::Prometheus;
        assert_eq!(ending("_sum").count(), usize::from(has_sum));
        let mut below = f64::NEG_INFINITY;
        for (sample, (bound, _)) in ending("_bucket").zip(&buckets) {
            if let Some(read) = &sample.exemplar {
                self.exemplar(read, labels, below, *bound);
            }
            below = *bound;
        }
        let newest =
            self.made.recorded.iter().rev().find(|one| one.family == self.held.name() && one.labels == *labels);
        let is_there = newest.is_none_or(|newest| {
            ending("_bucket").any(|sample| sample.exemplar.as_ref().is_some_and(|read| is_of(read, newest)))
        });
        assert!(is_there || self.dialect == Dialect::Prometheus, "the newest exemplar is at its bucket");
    }

    /// It was recorded for this series, and its value is one of its bucket's.
    fn exemplar(&self, read: &ReadExemplar, labels: &Labels, below: f64, bound: f64) {
        // Without bounds, values closer to zero than 2^-1022 are counted as zeros.
        let is_zero = bound == 0.0 && read.value <= f64::MIN_POSITIVE;
        assert!(is_zero || (below < read.value && read.value <= bound), "{read:?} is not in its bucket");
        let mut own = self.made.recorded.iter().filter(|one| one.family == self.held.name() && one.labels == *labels);
        assert!(own.any(|one| is_of(read, one)), "{read:?} was not recorded");
    }
}

fn is_of(read: &ReadExemplar, recorded: &Recorded) -> bool {
    let at = format!("{}.{:03}", recorded.at / 1_000, recorded.at % 1_000);
    let label = [(EXEMPLAR_LABEL.to_owned(), recorded.session_id.clone())];
    read.labels == label && read.value.to_bits() == recorded.value.to_bits() && read.at == at
}

fn assert_same(read: f64, held: f64) {
    assert_eq!(read.to_bits(), held.to_bits(), "{read} {held}");
}

/// The unit that the name ends with.
fn unit(family: &FamilySnapshot) -> &str {
    let unit = family.descriptor.unit_name();
    let long = match unit {
        "s" => "seconds",
        "ms" => "milliseconds",
        "B" => "bytes",
        other => other,
    };
    let ends = |unit: &str| !unit.is_empty() && base(family).ends_with(&format!("_{unit}"));
    [long, unit].into_iter().find(|unit| ends(unit)).unwrap_or_default()
}

/// Each bucket counts what the registry holds up to its bound.
fn assert_buckets(read: &[(f64, u64)], held: &HistogramSnapshot) {
    let (all, finite) = read.split_last().unwrap();
    assert_eq!(*all, (f64::INFINITY, held.count()));
    if !held.bounds().is_empty() {
        let below = held.buckets().iter().scan(0, |sum, count| {
            *sum += count;
            Some(*sum)
        });
        assert!(finite.iter().copied().eq(held.bounds().iter().copied().zip(below)));
        return;
    }
    for (bound, count) in finite {
        let negative: u64 = held.negative().iter().map(|(_, count)| count).sum();
        let positive = held.positive().iter().filter(|(index, _)| held.lower_bound(index + 1) <= *bound);
        assert_eq!(*count, negative + held.zero() + positive.map(|(_, count)| count).sum::<u64>(), "{bound}");
    }
    assert_eq!(finite.last().map_or(0, |(_, count)| *count), held.count(), "no value is above the last power of two");
}

// ---- protobuf

fn check_messages(made: &Made, snapshot: &RegistrySnapshot, left_out: u64, read: Vec<MetricFamily>) {
    let mut families: Vec<MetricFamily> = Vec::new();
    for message in read {
        match families.last_mut().filter(|family| family.name == message.name) {
            Some(family) => {
                let metrics = core::mem::take(&mut family.metric);
                assert_eq!(*family, MetricFamily { metric: Vec::new(), ..message.clone() });
                family.metric = [metrics, message.metric].concat();
            }
            None => families.push(message),
        }
    }
    let names: Vec<_> = families.iter().map(|family| family.name.as_str()).collect();
    let held = left_in(snapshot, left_out, &names, |family| text_name(family, Dialect::Prometheus));
    for (read, held) in families.iter().zip(held) {
        assert_eq!((read.help.as_str(), read.unit.as_str()), (held.descriptor.help_text(), unit(held)));
        assert_eq!(read.kind, Some([0, 1, 4][held.kind as usize]));
        assert_eq!(read.metric.len(), held.series.len());
        for metric in &read.metric {
            let labels = pairs(&metric.label);
            let series = held.series.iter().find(|series| held_labels(held, series) == labels).unwrap();
            assert_metric(metric, series);
            let own = |one: &&Recorded| one.family == held.name() && one.labels == labels;
            assert_message_exemplars(metric, &made.recorded.iter().filter(own).collect::<Vec<_>>());
        }
    }
}

fn pairs(read: &[LabelPair]) -> Labels {
    read.iter().map(|pair| (pair.name().into(), pair.value().into())).collect()
}

fn assert_metric(read: &Metric, held: &SeriesSnapshot) {
    if let Some(total) = held.value.counter() {
        assert_same(read.counter.unwrap().value.unwrap(), total as f64);
    } else if let Some(figure) = held.value.gauge() {
        assert_same(read.gauge.unwrap().value.unwrap(), figure);
    } else if let (Some(held), Some(read)) = (held.value.histogram(), &read.histogram) {
        assert_eq!(read.sample_count, Some(held.count()));
        assert_same(read.sample_sum.unwrap(), held.sum());
        assert_eq!(read.schema, Some(held.scale().into()));
        assert_eq!((read.zero_threshold, read.zero_count), (Some(f64::MIN_POSITIVE), Some(held.zero())));
        // The registry numbers a bucket by its lower bound.
        let by_upper_bound =
            |buckets: &[(i32, u64)]| buckets.iter().map(|(index, count)| (index + 1, *count)).collect::<Vec<_>>();
        assert_eq!(read.native(), [held.positive(), held.negative()].map(by_upper_bound));
        let buckets: Vec<_> =
            read.bucket.iter().map(|bucket| (bucket.upper_bound(), bucket.cumulative_count())).collect();
        match held.bounds() {
            [] => assert!(buckets.is_empty()),
            _ => assert_buckets(&buckets, held),
        }
    } else {
        panic!("{read:?} is of another kind");
    }
}

fn assert_message_exemplars(metric: &Metric, recorded: &[&Recorded]) {
    let Some(histogram) = &metric.histogram else { return };
    let read: Vec<_> = histogram
        .exemplars
        .iter()
        .chain(histogram.bucket.iter().filter_map(|bucket| bucket.exemplar.as_ref()))
        .collect();
    let told = |one: &Recorded| {
        let time = ((one.at / 1_000) as i64, (one.at % 1_000 * 1_000_000) as i32);
        (Labels::from([(EXEMPLAR_LABEL.into(), one.session_id.clone())]), one.value.to_bits(), time)
    };
    let heard: Vec<_> = read
        .iter()
        .map(|read| {
            let time = read.timestamp.unwrap();
            (pairs(&read.label), read.value().to_bits(), (time.seconds(), time.nanos()))
        })
        .collect();
    assert!(heard.iter().all(|read| recorded.iter().any(|one| told(one) == *read)), "one was not recorded");
    assert!(recorded.last().is_none_or(|newest| heard.contains(&told(newest))), "the newest is there");
}
