use std::collections::VecDeque;
use std::sync::Arc;

use tachograph_core::registry::Kind;
use tachograph_core::snapshot::HistogramSnapshot;
use tachograph_core::wire::frame::{Cell, State};

use super::family::{Fold, Links, Reader};
use super::grid::Grid;
use super::session::SessionKey;
use super::subject::{FamilyReading, Overall, Reading, Subject};
use super::survey::Standing;

/// Lines of one chart; of more series than that the largest are shown, the others counted.
pub const LINES_MAX: usize = 12;
/// Buckets an octave of a heatmap: 2^3.
const HEAT_SCALE: u8 = 3;
/// The lines over a heatmap.
const QUANTILES: [(&str, f64); 3] = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99)];

/// The columns of one chart: what it shows of each row, figure by figure.
#[derive(Debug)]
pub struct Track {
    subject: Arc<Subject>,
    lines: Vec<Line>,
    heat: VecDeque<HeatRow>,
    heat_bytes: usize,
    /// Series that have no line.
    unlisted: usize,
    unit: String,
    reading: Reading,
    /// How series become one line, since that was known.
    fold: Option<Fold>,
    /// What it shows of earlier rows does not hold any more.
    is_outdated: bool,
}

/// A line of a chart.
#[derive(Clone, Debug)]
pub struct Line {
    /// What it is called.
    pub name: String,
    /// What tells it from the others.
    key: String,
    /// Its column.
    block: usize,
}

/// The values of a histogram in one tick, by bucket.
#[derive(Clone, Debug)]
pub struct HeatRow {
    /// The row.
    pub row: u64,
    /// What the lowest is above, and what the highest is at most.
    pub bounds: (f32, f32),
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
    links: Links,
    /// It takes earlier rows, which are shown as the newest are.
    is_past: bool,
}

/// Where a row stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct At {
    pub(super) row: u64,
    pub(super) tag: u32,
}

impl Run {
    /// One over earlier rows.
    pub(super) fn over_the_past() -> Self {
        Self { is_past: true, ..Self::default() }
    }
}

impl Track {
    pub(super) fn new(subject: Subject) -> Self {
        Self {
            subject: Arc::new(subject),
            lines: Vec::new(),
            heat: VecDeque::new(),
            heat_bytes: 0,
            unlisted: 0,
            unit: String::new(),
            reading: Reading::Figure,
            fold: None,
            is_outdated: false,
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

    /// The values of a histogram, tick by tick; rows without any are left out.
    pub fn heat(&self) -> &VecDeque<HeatRow> {
        &self.heat
    }

    pub(super) fn heat_bytes(&self) -> usize {
        self.heat_bytes
    }

    /// Whether its past has to be made anew, since this was asked last.
    pub(super) fn takes_outdated(&mut self) -> bool {
        std::mem::take(&mut self.is_outdated)
    }

    pub(super) fn value(&self, line: usize, row: u64, grid: &Grid) -> Option<f64> {
        grid.get(self.lines.get(line)?.block, 0, row)
    }

    pub(super) fn values(&self, line: usize, first: u64, last: u64, grid: &Grid) -> Vec<f64> {
        self.lines.get(line).map(|line| grid.copy(line.block, first, last)).unwrap_or_default()
    }

    /// Gives up all of its columns.
    pub(super) fn clear(&mut self, grid: &mut Grid) {
        self.lines.drain(..).for_each(|line| grid.remove(line.block));
        self.heat.clear();
        self.heat_bytes = 0;
    }

    /// Gives up the older half of its heatmap.
    pub(super) fn thin_heat(&mut self) {
        let gone: usize = self.heat.drain(..self.heat.len().div_ceil(2)).map(|row| row.bytes()).sum();
        self.heat_bytes -= gone;
    }

    /// Takes what a row's state says into its columns, as it follows what the run took before.
    pub(super) fn take(&mut self, run: &mut Run, at: At, state: &State, grid: &mut Grid) {
        if run.tag != at.tag {
            *run = Run { tag: at.tag, is_past: run.is_past, ..Run::default() };
        }
        let follows = run.before.filter(|(row, _)| *row < at.row);
        let now_us = state.head().monotonic_us;
        let seconds = follows.map(|(_, earlier)| now_us.saturating_sub(earlier) as f64 / 1e6);
        match &*Arc::clone(&self.subject) {
            Subject::Family(family) => self.take_family(run, at.row, family, seconds, state, grid),
            Subject::Session(key, cell) => self.take_session(at, *key, *cell, state, grid),
            Subject::Overall(overall) => self.take_overall(at.row, *overall, state, grid),
        }
        run.before = Some((at.row, now_us));
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
        let schema = state.schema();
        let found = schema.family(&family.name).and_then(|number| schema.families().get(number));
        let Some(entry) = found else { return };
        // Only new series can make other lines of it.
        let fold = self.fold.filter(|_| run.is_past || run.links.are_of(entry));
        let reader = Reader::of(entry, family, fold, state);
        (self.reading, self.unit) = (reader.reading, reader.unit());
        if self.fold.replace(reader.fold).is_some_and(|before| before != reader.fold) {
            // Other lines than before: there are more series now than lines that tell anything.
            self.clear(grid);
            run.links = Links::default();
            self.is_outdated = true;
        }
        if reader.reading == Reading::Heat {
            for (name, _) in QUANTILES {
                self.line(name, name, grid);
            }
        }
        self.unlisted = run.links.find(&reader, |key, name| {
            let is_heat = reader.reading == Reading::Heat;
            if is_heat { Some(0) } else { self.line(key, name, grid) }
        });
        if reader.kind == Kind::Histogram {
            let (figures, values) = run.links.histograms(&reader, seconds, self.lines.len());
            if reader.reading == Reading::Heat {
                return self.take_heat(row, values.as_ref(), grid);
            }
            return self.set(row, &figures, grid);
        }
        let figures = run.links.figures(&reader, seconds, self.lines.len());
        self.set(row, &figures, grid);
    }

    fn set(&self, row: u64, figures: &[f64], grid: &mut Grid) {
        self.lines.iter().zip(figures).for_each(|(line, figure)| grid.set(line.block, row, &[*figure]));
    }

    fn take_heat(&mut self, row: u64, values: Option<&HistogramSnapshot>, grid: &mut Grid) {
        let quantiles = QUANTILES.map(|(_, share)| values.map_or(f64::NAN, |values| values.quantile(share)));
        self.set(row, &quantiles, grid);
        let place = self.heat.partition_point(|held| held.row < row);
        if self.heat.get(place).is_some_and(|held| held.row == row) {
            self.heat_bytes -= self.heat.remove(place).map_or(0, |held| held.bytes());
        }
        if let Some(values) = values {
            let heat = HeatRow::of(row, values);
            self.heat_bytes += heat.bytes();
            self.heat.insert(place, heat);
        }
        let oldest = (grid.newest() + 1).saturating_sub(grid.rows() as u64);
        while self.heat.front().is_some_and(|held| held.row < oldest) {
            self.heat_bytes -= self.heat.pop_front().map_or(0, |held| held.bytes());
        }
    }

    fn take_session(&mut self, at: At, key: SessionKey, cell: Cell, state: &State, grid: &mut Grid) {
        let session = state.session_view(key.id).filter(|_| key.tag == at.tag);
        self.unit = unit_of(cell).into();
        for source in session.into_iter().flat_map(|session| session.sources()) {
            let name = source.source();
            let line = self.line(name.as_str(), name.as_str(), grid);
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
                let [well, cautions, alarms] =
                    [standing.well, standing.cautions, standing.alarms].map(|held| held as f64);
                &[("keep up", well), ("caution", cautions), ("alarm", alarms)]
            }
            Overall::Drops => &[("frames", Standing::of(state).dropped as f64)],
            Overall::TickLag => &[("lag", state.server().tick_lag_ms)],
            Overall::Viewers => &[("pages", state.server().viewers as f64)],
        };
        for (name, figure) in figures {
            if let Some(line) = self.line(name, name, grid) {
                grid.set(self.lines[line].block, row, &[*figure]);
            }
        }
    }

    /// The line of this key, which is added if there is room.
    fn line(&mut self, key: &str, name: &str, grid: &mut Grid) -> Option<usize> {
        if let Some(place) = self.lines.iter().position(|line| line.key == key) {
            return Some(place);
        }
        if self.lines.len() >= LINES_MAX {
            return None;
        }
        let block = grid.add(1)?;
        self.lines.push(Line { name: name.into(), key: key.into(), block });
        Some(self.lines.len() - 1)
    }
}

impl HeatRow {
    fn of(row: u64, values: &HistogramSnapshot) -> Self {
        let buckets = buckets_of(values);
        let mut bounds = (f32::INFINITY, f32::NEG_INFINITY);
        for (low, high, _) in &buckets {
            bounds = (if *low < bounds.0 { *low } else { bounds.0 }, if *high > bounds.1 { *high } else { bounds.1 });
        }
        Self { row, bounds, buckets }
    }

    fn bytes(&self) -> usize {
        size_of_val(&*self.buckets) + size_of::<Self>()
    }
}

/// The buckets that hold anything, coarser than they were counted.
fn buckets_of(values: &HistogramSnapshot) -> Box<[(f32, f32, u32)]> {
    let mut coarse = values.clone();
    coarse.coarsen(HEAT_SCALE);
    let bound = |index: i32| coarse.lower_bound(index) as f32;
    let held = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
    let zero = (coarse.zero() > 0).then(|| (0.0, 0.0, held(coarse.zero())));
    let negative = coarse.negative().iter().map(|(index, count)| (-bound(*index + 1), -bound(*index), held(*count)));
    let positive = coarse.positive().iter().map(|(index, count)| (bound(*index), bound(*index + 1), held(*count)));
    zero.into_iter().chain(negative).chain(positive).collect()
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
