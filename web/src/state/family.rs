use tachograph_core::label::LabelValues;
use tachograph_core::registry::{Aggregation, Kind};
use tachograph_core::snapshot::HistogramSnapshot;
use tachograph_core::wire::frame::{FamilyEntry, SeriesEntry, State};

use super::LINES_MAX;
use super::subject::{FamilyReading, Reading, Split};

/// Of a family with more series than that they are put together where nothing else is asked for.
const LINES_AUTO: usize = 8;

/// How series become lines, and how those of one line are put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fold {
    is_each: bool,
    rule: Aggregation,
}

/// Reads a family's series at a frame.
pub(super) struct Reader<'a> {
    pub(super) kind: Kind,
    pub(super) reading: Reading,
    pub(super) fold: Fold,
    family: &'a FamilyReading,
    entry: &'a FamilyEntry,
    state: &'a State,
}

/// The series of a family that count, as a track goes along.
#[derive(Debug, Default)]
pub(super) struct Links {
    held: Vec<Link>,
    /// By slot, whether it was looked at.
    is_known: Vec<bool>,
    /// The family's series when that was done.
    series: usize,
    unlisted: usize,
    /// A row was taken: what is new after it began at nothing.
    has_row: bool,
}

/// A series, the line it counts to, and what it had recorded at the row before; nothing while it has no
/// such row.
#[derive(Debug)]
struct Link {
    line: usize,
    slot: usize,
    total: Option<u64>,
    values: Option<HistogramSnapshot>,
}

impl<'a> Reader<'a> {
    /// A reader of this family; `fold` where it is known already.
    pub(super) fn of(entry: &'a FamilyEntry, family: &'a FamilyReading, fold: Option<Fold>, state: &'a State) -> Self {
        let reading = reading_for(entry.kind, family.reading);
        let fold = fold.unwrap_or_else(|| Fold::of(entry, family, state));
        Self { kind: entry.kind, reading, fold, family, entry, state }
    }
}

impl Fold {
    fn of(entry: &FamilyEntry, family: &FamilyReading, state: &State) -> Self {
        let (kind, descriptor) = (entry.kind, &entry.descriptor);
        let is_few = || {
            let series = entry.series.iter().filter_map(|number| state.schema().series().get(*number as usize));
            let counted = series.filter(|series| counts(descriptor.label_names(), &series.labels, &family.only));
            counted.take(LINES_AUTO + 1).count() <= LINES_AUTO
        };
        let own = if kind == Kind::Gauge { descriptor.aggregation_rule() } else { Aggregation::Sum };
        let (is_each, rule) = match family.split {
            Split::Auto => (is_few(), own),
            Split::Each => (true, own),
            Split::Sum => (false, Aggregation::Sum),
            Split::Max => (false, Aggregation::Max),
            Split::By(_) => (false, own),
        };
        Self { is_each, rule }
    }
}

impl<'a> Reader<'a> {
    pub(super) fn unit(&self) -> String {
        let unit = self.entry.descriptor.unit_name();
        match (self.kind, self.reading) {
            (Kind::Counter, Reading::Rate) => [unit, "/s"].concat(),
            (Kind::Histogram, Reading::Rate) => "/s".into(),
            (Kind::Histogram, Reading::Total) => String::new(),
            _ => unit.into(),
        }
    }

    fn names(&self) -> &'a [String] {
        self.entry.descriptor.label_names()
    }

    /// What tells the line of a series from others, and what it is called.
    fn line(&self, labels: &LabelValues) -> (String, String) {
        let values = || labels.iter().collect::<Vec<&str>>();
        if self.fold.is_each {
            return (values().join("\u{1f}"), values().join(", "));
        }
        if let Split::By(label) = &self.family.split {
            let mut pairs = self.names().iter().zip(labels.iter());
            let value = pairs.find(|(name, _)| *name == label).map_or("", |(_, value)| value);
            return (value.into(), value.into());
        }
        let name = match self.fold.rule {
            Aggregation::Sum => "sum",
            Aggregation::Max => "max",
            Aggregation::Min => "min",
            _ => "newest",
        };
        (name.into(), name.into())
    }

    fn size(&self, slot: usize) -> f64 {
        let columns = self.state.columns();
        let size = match self.kind {
            Kind::Counter => columns.counters.get(slot).map(|total| *total as f64),
            Kind::Gauge => columns.gauges.get(slot).copied(),
            Kind::Histogram => columns.histograms.get(slot).map(|held| held.count() as f64),
        };
        size.unwrap_or_default()
    }

    fn fold(&self, one: f64, other: f64) -> f64 {
        match self.fold.rule {
            _ if one.is_nan() => other,
            Aggregation::Sum => one + other,
            Aggregation::Max => one.max(other),
            Aggregation::Min => one.min(other),
            _ => other,
        }
    }

    fn figure_of(&self, got: &HistogramSnapshot, seconds: f64) -> f64 {
        match (self.reading, self.reading.share()) {
            (_, Some(share)) => got.quantile(share),
            (Reading::Mean, _) => got.sum() / got.count() as f64,
            (Reading::Rate, _) => got.count() as f64 / seconds,
            _ => f64::NAN,
        }
    }
}

impl Links {
    /// Whether all series that a family has now were looked at.
    pub(super) fn are_of(&self, entry: &FamilyEntry) -> bool {
        self.series == entry.series.len()
    }

    /// Finds the series that came since; `line` gives the line of a key and a name, if there is room for it.
    /// Returns how many have none.
    pub(super) fn find(&mut self, reader: &Reader<'_>, mut line: impl FnMut(&str, &str) -> Option<usize>) -> usize {
        if self.are_of(reader.entry) {
            return self.unlisted;
        }
        self.series = reader.entry.series.len();
        let schema = reader.state.schema();
        let series = reader.entry.series.iter().filter_map(|number| schema.series().get(*number as usize));
        let mut found: Vec<&SeriesEntry> = Vec::new();
        for series in series {
            let slot = series.slot as usize;
            self.is_known.resize(self.is_known.len().max(slot + 1), false);
            let is_known = std::mem::replace(&mut self.is_known[slot], true);
            if !is_known && counts(reader.names(), &series.labels, &reader.family.only) {
                found.push(series);
            }
        }
        if found.len() > LINES_MAX {
            // The largest come first, so that it is they who get a line.
            found.sort_unstable_by(|one, other| {
                reader
                    .size(other.slot as usize)
                    .total_cmp(&reader.size(one.slot as usize))
                    .then(one.slot.cmp(&other.slot))
            });
        }
        for series in found {
            let (key, name) = reader.line(&series.labels);
            match line(&key, &name) {
                Some(line) => {
                    self.held.push(Link { line, slot: series.slot as usize, total: None, values: None });
                }
                None => self.unlisted += 1,
            }
        }
        self.unlisted
    }

    /// What counters or gauges show, a figure a line. `seconds` have gone by since the row before.
    pub(super) fn figures(&mut self, reader: &Reader<'_>, seconds: Option<f64>, lines: usize) -> Vec<f64> {
        let mut figures = vec![f64::NAN; lines];
        let columns = reader.state.columns();
        let (seconds, has_row) = (seconds.filter(|seconds| *seconds > 0.0), self.has_row);
        for link in &mut self.held {
            let figure = if reader.kind == Kind::Gauge {
                columns.gauges.get(link.slot).copied()
            } else {
                columns.counters.get(link.slot).and_then(|total| {
                    let before = link.total.replace(*total).or(has_row.then_some(0));
                    let grown = before.and_then(|before| total.checked_sub(before));
                    match reader.reading {
                        Reading::Total => Some(*total as f64),
                        _ => Some(grown? as f64 / seconds?),
                    }
                })
            };
            if let (Some(figure), Some(held)) = (figure, figures.get_mut(link.line)) {
                *held = reader.fold(*held, figure);
            }
        }
        self.has_row = true;
        figures
    }

    /// What histograms show, a figure a line, and what the first line's values were since the row before.
    pub(super) fn histograms(
        &mut self,
        reader: &Reader<'_>,
        seconds: Option<f64>,
        lines: usize,
    ) -> (Vec<f64>, Option<HistogramSnapshot>) {
        let mut got: Vec<Option<HistogramSnapshot>> = vec![None; lines];
        let mut figures = vec![f64::NAN; lines];
        let (seconds, has_row) = (seconds.filter(|seconds| *seconds > 0.0), self.has_row);
        let is_folded_by_figure = reader.fold.rule == Aggregation::Max && reader.reading != Reading::Heat;
        for link in &mut self.held {
            let Some(now) = reader.state.columns().histograms.get(link.slot) else { continue };
            let (Some(figure), Some(held)) = (figures.get_mut(link.line), got.get_mut(link.line)) else { continue };
            if reader.reading == Reading::Total {
                *figure = reader.fold(*figure, now.count() as f64);
                continue;
            }
            let since = link.since(now, has_row).filter(|_| seconds.is_some());
            match (since, seconds) {
                (Some(since), Some(seconds)) if is_folded_by_figure => {
                    *figure = reader.fold(*figure, reader.figure_of(&since, seconds));
                }
                (Some(since), _) => match held {
                    // Of one family all have the same bounds.
                    Some(sum) => drop(sum.merge(&since)),
                    None => *held = Some(since),
                },
                (None, _) => {}
            }
        }
        self.has_row = true;
        if let Some(seconds) = seconds.filter(|_| reader.reading != Reading::Total) {
            for (figure, got) in figures.iter_mut().zip(&got) {
                match got {
                    Some(got) => *figure = reader.figure_of(got, seconds),
                    None if reader.reading == Reading::Rate && figure.is_nan() => *figure = 0.0,
                    None => {}
                }
            }
        }
        (figures, got.into_iter().next().flatten())
    }
}

impl Link {
    /// What a histogram got since the row before, if anything. One that is new began at nothing.
    fn since(&mut self, now: &HistogramSnapshot, has_row: bool) -> Option<HistogramSnapshot> {
        let got = match &self.values {
            Some(before) => now.since(before).ok().filter(|got| got.count() > 0),
            None => Some(now.clone()).filter(|now| has_row && now.count() > 0),
        };
        self.values = Some(now.clone());
        got
    }
}

/// What is shown of a family of this kind.
fn reading_for(kind: Kind, wanted: Option<Reading>) -> Reading {
    wanted.filter(|reading| Reading::of_kind(kind).contains(reading)).unwrap_or(Reading::of_kind(kind)[0])
}

/// Whether a series has all of the values that are asked for; an empty one is not asked for.
fn counts(names: &[String], labels: &LabelValues, only: &[(String, String)]) -> bool {
    let has =
        |name: &String, value: &String| names.iter().zip(labels.iter()).any(|(held, has)| held == name && has == value);
    only.iter().all(|(name, value)| value.is_empty() || has(name, value))
}
