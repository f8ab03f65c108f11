use std::collections::VecDeque;

use tachograph_core::label::LabelValues;
use tachograph_core::registry::Kind;
use tachograph_core::snapshot::HistogramSnapshot;
use tachograph_core::wire::frame::{Cell, State};

use super::grid::Grid;
use super::session::SessionKey;
use super::subject::{FamilyReading, Overall, Reading, Split, Subject};
use super::survey::Standing;

/// Lines of one chart; of more series than that the largest are shown, the others counted.
pub const LINES_MAX: usize = 12;
/// Of a family with more series than that the sum is shown where nothing else is asked for.
const LINES_AUTO: usize = 8;
/// Buckets an octave of a heatmap: 2^3.
const HEAT_SCALE: u8 = 3;

/// The columns of one chart: what it shows of each row, figure by figure.
#[derive(Debug)]
pub struct Track {
    subject: Subject,
    lines: Vec<Line>,
    heat: VecDeque<HeatRow>,
    /// Series that have no line.
    unlisted: usize,
    unit: String,
    reading: Reading,
    kind: Option<Kind>,
}

/// A line of a chart.
#[derive(Clone, Debug)]
pub struct Line {
    /// What tells it from the others.
    pub name: String,
    /// Its column.
    block: usize,
}

/// The values of a histogram in one tick, by bucket.
#[derive(Clone, Debug)]
pub struct HeatRow {
    /// The row.
    pub row: u64,
    /// Lower and upper bound, and how many.
    pub buckets: Box<[(f32, f32, u32)]>,
}

/// What goes along while a track takes rows in their order. What grew over rows that were not received is
/// shared out over their time.
#[derive(Debug, Default)]
pub(super) struct Run {
    /// The row before that was received, with its time.
    before: Option<(u64, u64)>,
    tag: u32,
    /// The series of the family, when they were found.
    series: usize,
    links: Vec<Link>,
}

/// A series, the line it counts to, and what it had recorded at the row before.
#[derive(Debug)]
struct Link {
    line: usize,
    slot: usize,
    total: u64,
    values: HistogramSnapshot,
}

/// Where a row stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct At {
    pub(super) row: u64,
    pub(super) tag: u32,
}

impl Track {
    pub(super) fn new(subject: Subject) -> Self {
        Self {
            subject,
            lines: Vec::new(),
            heat: VecDeque::new(),
            unlisted: 0,
            unit: String::new(),
            reading: Reading::Figure,
            kind: None,
        }
    }

    /// What it shows.
    pub fn subject(&self) -> &Subject {
        &self.subject
    }

    /// Its lines.
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// Series that have no line because they are too many.
    pub fn unlisted(&self) -> usize {
        self.unlisted
    }

    /// The unit of its figures.
    pub fn unit(&self) -> &str {
        &self.unit
    }

    /// What of its values is shown.
    pub fn reading(&self) -> Reading {
        self.reading
    }

    /// The kind of its family, once that is known.
    pub fn kind(&self) -> Option<Kind> {
        self.kind
    }

    /// The values of a histogram, tick by tick; rows without any are left out.
    pub fn heat(&self) -> &VecDeque<HeatRow> {
        &self.heat
    }

    pub(super) fn heat_bytes(&self) -> usize {
        self.heat.iter().map(|row| size_of_val(&*row.buckets) + size_of::<HeatRow>()).sum()
    }

    pub(super) fn value(&self, line: usize, row: u64, grid: &Grid) -> Option<f64> {
        grid.get(self.lines.get(line)?.block, 0, row)
    }

    pub(super) fn values(&self, line: usize, first: u64, last: u64, grid: &Grid) -> Vec<f64> {
        self.lines.get(line).map(|line| grid.copy(line.block, first, last)).unwrap_or_default()
    }

    pub(super) fn remove(self, grid: &mut Grid) {
        self.lines.iter().for_each(|line| grid.remove(line.block));
    }

    /// Takes what a row's state says into its columns, as it follows what the run took before.
    pub(super) fn take(&mut self, run: &mut Run, at: At, state: &State, grid: &mut Grid) {
        if run.tag != at.tag {
            *run = Run { tag: at.tag, ..Run::default() };
        }
        let follows = run.before.filter(|(row, _)| *row < at.row);
        let head = state.head();
        let seconds = follows.map(|(_, earlier)| head.monotonic_us.saturating_sub(earlier) as f64 / 1e6);
        match self.subject.clone() {
            Subject::Family(family) => self.take_family(run, at.row, &family, seconds, state, grid),
            Subject::Session(key, cell) => self.take_session(at, key, cell, state, grid),
            Subject::Overall(overall) => self.take_overall(at.row, overall, state, grid),
        }
        run.before = Some((at.row, head.monotonic_us));
    }

    fn take_family(
        &mut self,
        run: &mut Run,
        row: u64,
        family: &FamilyReading,
        seconds: Option<f64>,
        state: &State,
        grid: &mut Grid,
    ) {
        self.link(run, family, state, grid);
        let Some(kind) = self.kind else { return };
        let mut sums = [f64::NAN; LINES_MAX];
        let is_max = family.split == Split::Max;
        let mut add = |line: usize, figure: f64| {
            let Some(sum) = sums.get_mut(line) else { return };
            *sum = match () {
                () if sum.is_nan() => figure,
                () if is_max => sum.max(figure),
                () => *sum + figure,
            };
        };
        let seconds = seconds.filter(|seconds| *seconds > 0.0);
        if kind == Kind::Histogram {
            return self.take_histograms(run, row, is_max, seconds, state, grid);
        }
        for link in &mut run.links {
            match kind {
                Kind::Counter => {
                    let Some(total) = state.columns().counters.get(link.slot).copied() else { continue };
                    let grown = total.checked_sub(link.total).map(|grown| grown as f64);
                    link.total = total;
                    match (self.reading, grown.zip(seconds)) {
                        (Reading::Total, _) => add(link.line, total as f64),
                        (_, Some((grown, seconds))) => add(link.line, grown / seconds),
                        (_, None) => {}
                    }
                }
                Kind::Gauge => {
                    if let Some(figure) = state.columns().gauges.get(link.slot) {
                        add(link.line, *figure);
                    }
                }
                Kind::Histogram => {}
            }
        }
        for (line, sum) in self.lines.iter().zip(sums) {
            grid.set(line.block, row, &[sum]);
        }
    }

    fn take_histograms(
        &mut self,
        run: &mut Run,
        row: u64,
        is_max: bool,
        seconds: Option<f64>,
        state: &State,
        grid: &mut Grid,
    ) {
        // What each line got since the row before.
        let mut got: Vec<Option<HistogramSnapshot>> = vec![None; self.lines.len()];
        let mut figures = [f64::NAN; LINES_MAX];
        for link in &mut run.links {
            let Some(now) = state.columns().histograms.get(link.slot) else { continue };
            let Some(held) = got.get_mut(link.line) else { continue };
            if now.count() != link.values.count() {
                let since = now.since(&link.values).ok().filter(|_| seconds.is_some());
                link.values = now.clone();
                let Some(since) = since else { continue };
                let figure = self.figure_of(&since, seconds);
                if is_max && self.reading != Reading::Heat {
                    figures[link.line] = figures[link.line].max(figure);
                    continue;
                }
                match held {
                    // Of one family all have the same bounds.
                    Some(sum) => drop(sum.merge(&since)),
                    None => *held = Some(since),
                }
            }
        }
        if self.reading == Reading::Total {
            for link in &run.links {
                let total = figures[link.line.min(LINES_MAX - 1)];
                figures[link.line] = if total.is_nan() { 0.0 } else { total } + link.values.count() as f64;
            }
        } else if !is_max || self.reading == Reading::Heat {
            for (figure, got) in figures.iter_mut().zip(&got) {
                *figure = match got {
                    Some(got) => self.figure_of(got, seconds),
                    None if self.reading == Reading::Rate && seconds.is_some() => 0.0,
                    None => f64::NAN,
                };
            }
        }
        if self.reading == Reading::Heat {
            return self.take_heat(row, got.first().and_then(Option::as_ref), grid);
        }
        for (line, figure) in self.lines.iter().zip(figures) {
            grid.set(line.block, row, &[figure]);
        }
    }

    fn figure_of(&self, got: &HistogramSnapshot, seconds: Option<f64>) -> f64 {
        match (self.reading, self.reading.share()) {
            (_, Some(share)) => got.quantile(share),
            (Reading::Mean, _) => got.sum() / got.count() as f64,
            (Reading::Rate, _) => seconds.map_or(f64::NAN, |seconds| got.count() as f64 / seconds),
            _ => f64::NAN,
        }
    }

    fn take_heat(&mut self, row: u64, got: Option<&HistogramSnapshot>, grid: &mut Grid) {
        let shares = [0.5, 0.9, 0.99];
        for (line, share) in self.lines.iter().zip(shares) {
            grid.set(line.block, row, &[got.map_or(f64::NAN, |got| got.quantile(share))]);
        }
        let Some(got) = got else { return };
        let mut coarse = got.clone();
        coarse.coarsen(HEAT_SCALE);
        let bound = |index| coarse.lower_bound(index) as f32;
        let zero = (coarse.zero() > 0).then_some((0.0, 0.0, coarse.zero()));
        let positive = coarse.positive().iter().map(|(index, held)| (bound(*index), bound(*index + 1), *held));
        let buckets = zero.into_iter().chain(positive);
        let buckets = buckets.map(|(low, high, held)| (low, high, u32::try_from(held).unwrap_or(u32::MAX))).collect();
        let place = self.heat.partition_point(|held| held.row < row);
        let heat = HeatRow { row, buckets };
        match self.heat.get_mut(place) {
            Some(held) if held.row == row => *held = heat,
            _ => self.heat.insert(place, heat),
        }
        let oldest = (grid.newest() + 1).saturating_sub(grid.rows() as u64);
        while self.heat.front().is_some_and(|held| held.row < oldest) {
            self.heat.pop_front();
        }
    }

    fn take_session(&mut self, at: At, key: SessionKey, cell: Cell, state: &State, grid: &mut Grid) {
        let session = state.session_view(key.id).filter(|_| key.tag == at.tag);
        self.unit = unit_of(cell).into();
        for source in session.into_iter().flat_map(|session| session.sources()) {
            let name = source.source();
            let line = self.line(name.as_str(), grid);
            if let (Some(line), Some(figure)) = (line, source.cell(cell)) {
                grid.set(self.lines[line].block, at.row, &[figure]);
            }
        }
    }

    fn take_overall(&mut self, row: u64, overall: Overall, state: &State, grid: &mut Grid) {
        self.unit = overall.title().1.into();
        let figures: &[(&str, f64)] = match overall {
            Overall::Sessions => {
                let standing = Standing::of(state);
                &[
                    ("keep up", standing.well as f64),
                    ("caution", standing.cautions as f64),
                    ("alarm", standing.alarms as f64),
                ]
            }
            Overall::Drops => &[("frames", Standing::of(state).dropped as f64)],
            Overall::TickLag => &[("lag", state.server().tick_lag_ms)],
            Overall::Viewers => &[("pages", state.server().viewers as f64)],
        };
        for (name, figure) in figures {
            if let Some(line) = self.line(name, grid) {
                grid.set(self.lines[line].block, row, &[*figure]);
            }
        }
    }

    /// Finds the family's series, if that was not done since there are more of them.
    fn link(&mut self, run: &mut Run, family: &FamilyReading, state: &State, grid: &mut Grid) {
        let schema = state.schema();
        let Some(entry) = schema.family(&family.name).and_then(|number| schema.families().get(number)) else { return };
        if run.series == entry.series.len() {
            return;
        }
        let descriptor = &entry.descriptor;
        self.kind = Some(entry.kind);
        self.reading = reading_for(entry.kind, family.reading);
        self.unit = unit_for(entry.kind, self.reading, descriptor.unit_name());
        let is_new = |slot: usize| run.links.iter().all(|link| link.slot != slot);
        let names = descriptor.label_names();
        let series = entry.series.iter().filter_map(|number| schema.series().get(*number as usize));
        let counted: Vec<_> = series.filter(|series| counts(names, &series.labels, &family.only)).collect();
        let split = match family.split {
            Split::Auto if counted.len() > LINES_AUTO => &Split::Sum,
            Split::Auto => &Split::Each,
            ref split => split,
        };
        let mut found: Vec<(String, usize)> = counted
            .iter()
            .filter(|series| is_new(series.slot as usize))
            .map(|series| (line_name(self.reading, split, names, &series.labels), series.slot as usize))
            .collect();
        if found.len() > LINES_MAX {
            // The largest come first, so that it is they who get a line.
            found.sort_by(|one, other| size(entry.kind, state, other.1).total_cmp(&size(entry.kind, state, one.1)));
        }
        if self.reading == Reading::Heat {
            for name in ["p50", "p90", "p99"] {
                self.line(name, grid);
            }
        }
        self.unlisted = 0;
        for (name, slot) in found {
            let line = if self.reading == Reading::Heat { Some(0) } else { self.line(&name, grid) };
            let Some(line) = line else {
                self.unlisted += 1;
                continue;
            };
            run.links.push(Link { line, slot, total: 0, values: HistogramSnapshot::default() });
        }
        run.series = entry.series.len();
    }

    /// The line of this name, which is added if there is room.
    fn line(&mut self, name: &str, grid: &mut Grid) -> Option<usize> {
        if let Some(place) = self.lines.iter().position(|line| line.name == name) {
            return Some(place);
        }
        if self.lines.len() >= LINES_MAX {
            return None;
        }
        let block = grid.add(1)?;
        self.lines.push(Line { name: name.into(), block });
        Some(self.lines.len() - 1)
    }
}

/// What is shown of a family of this kind.
fn reading_for(kind: Kind, wanted: Option<Reading>) -> Reading {
    let fits = |reading: &Reading| match kind {
        Kind::Counter => matches!(reading, Reading::Rate | Reading::Total),
        Kind::Gauge => *reading == Reading::Figure,
        Kind::Histogram => *reading != Reading::Figure,
    };
    wanted.filter(fits).unwrap_or(match kind {
        Kind::Counter => Reading::Rate,
        Kind::Gauge => Reading::Figure,
        Kind::Histogram => Reading::Heat,
    })
}

fn unit_for(kind: Kind, reading: Reading, unit: &str) -> String {
    match (kind, reading) {
        (Kind::Counter, Reading::Rate) => [unit, "/s"].concat(),
        (Kind::Histogram, Reading::Rate) => "/s".into(),
        (Kind::Histogram, Reading::Total) => String::new(),
        _ => unit.into(),
    }
}

/// Whether a series has all of the values that are asked for; an empty one is not asked for.
fn counts(names: &[String], labels: &LabelValues, only: &[(String, String)]) -> bool {
    let has =
        |name: &String, value: &String| names.iter().zip(labels.iter()).any(|(held, has)| held == name && has == value);
    only.iter().all(|(name, value)| value.is_empty() || has(name, value))
}

fn line_name(reading: Reading, split: &Split, names: &[String], labels: &LabelValues) -> String {
    let mut pairs = names.iter().zip(labels.iter());
    match split {
        _ if reading == Reading::Heat => String::new(),
        Split::Sum => "sum".into(),
        Split::Max => "max".into(),
        Split::By(label) => pairs.find(|(name, _)| *name == label).map_or(String::new(), |(_, value)| value.into()),
        Split::Each | Split::Auto => {
            let values: Vec<&str> = pairs.map(|(_, value)| value).collect();
            values.join(", ")
        }
    }
}

fn size(kind: Kind, state: &State, slot: usize) -> f64 {
    let columns = state.columns();
    let size = match kind {
        Kind::Counter => columns.counters.get(slot).map(|total| *total as f64),
        Kind::Gauge => columns.gauges.get(slot).copied(),
        Kind::Histogram => columns.histograms.get(slot).map(|held| held.count() as f64),
    };
    size.unwrap_or_default()
}

/// The unit of a session's figure.
pub fn unit_of(cell: Cell) -> &'static str {
    match cell.name() {
        "queue_fill_ratio" | "speech_ratio" | "voice_ratio" => "ratio",
        name if name.ends_with("_ms") => "ms",
        name if name.ends_with("_seconds") => "s",
        name if name.ends_with("bytes") || name.starts_with("bytes") => "bytes",
        _ => "",
    }
}
