use tachograph_core::wire::frame::State;

use super::archive::{Past, Player};
use super::grid::Grid;
use super::session::tag;
use super::subject::Subject;
use super::track::{At, Run, Track};
use super::{TICKS_MAX, Ticks};

/// Memory that the columns of all charts may take.
const BYTES_MAX: usize = 10 << 20;
/// Memory that their heatmaps may take.
const HEAT_BYTES_MAX: usize = 6 << 20;
/// Charts that are kept; of more, those not looked at for longest are let go.
const TRACKS_MAX: usize = 96;

/// The columns of the charts that are looked at. A chart that is wanted anew gets its past from the
/// archive, bit by bit, so that the page never stands still for it.
#[derive(Debug)]
pub struct Tracks {
    held: Vec<Held>,
    grid: Grid,
    numbers_given: u64,
    /// Counts what is painted.
    painting: u64,
    /// Those whose past is wanted, and the work on others'.
    waiting: Vec<u64>,
    work: Option<Work>,
}

#[derive(Debug)]
struct Held {
    number: u64,
    track: Track,
    live: Run,
    /// The last painting that wanted it.
    wanted: u64,
}

#[derive(Debug)]
struct Work {
    player: Player,
    next: u64,
    until: u64,
    runs: Vec<(u64, Run)>,
}

impl Default for Tracks {
    fn default() -> Self {
        Self {
            held: Vec::new(),
            grid: Grid::new(TICKS_MAX, BYTES_MAX),
            numbers_given: 0,
            painting: 0,
            waiting: Vec::new(),
            work: None,
        }
    }
}

impl Tracks {
    /// The columns of a chart, if it is kept.
    pub fn track(&self, subject: &Subject) -> Option<&Track> {
        self.held.iter().map(|held| &held.track).find(|track| track.subject() == subject)
    }

    /// What a line of a track shows of a row.
    pub fn value(&self, track: &Track, line: usize, row: u64) -> Option<f64> {
        track.value(line, row, &self.grid)
    }

    /// What a line of a track shows from one row to another, a value a row; NaN where there is none.
    pub fn values(&self, track: &Track, line: usize, first: u64, last: u64) -> Vec<f64> {
        track.values(line, first, last, &self.grid)
    }

    /// A painting begins; what is not wanted in it can be let go.
    pub(super) fn begin_painting(&mut self) {
        self.painting += 1;
        while self.held.len() > TRACKS_MAX || self.heat_bytes() > HEAT_BYTES_MAX {
            let stale = self.held.iter().enumerate().filter(|(_, held)| held.wanted + 1 < self.painting);
            let Some((place, _)) = stale.min_by_key(|(_, held)| held.wanted) else { break };
            self.held.swap_remove(place).track.clear(&mut self.grid);
        }
        while self.heat_bytes() > HEAT_BYTES_MAX {
            let largest = self.held.iter_mut().max_by_key(|held| held.track.heat_bytes());
            largest.into_iter().for_each(|held| held.track.thin_heat());
        }
        // With fewer charts there is room for rows that were given up.
        if self.grid.takes_growth() {
            self.fill();
        }
    }

    /// A chart is looked at. `state` is what the newest row says.
    pub(super) fn want(&mut self, subject: &Subject, ticks: &Ticks, state: &State) {
        let painting = self.painting;
        if let Some(held) = self.held.iter_mut().find(|held| held.track.subject() == subject) {
            held.wanted = painting;
            return;
        }
        self.numbers_given += 1;
        let mut held = Held {
            number: self.numbers_given,
            track: Track::new(subject.clone()),
            live: Run::default(),
            wanted: painting,
        };
        // So that the next row has one before it.
        if let Some(at) = newest(ticks).filter(|at| ticks.head(at.row) == Some(state.head())) {
            held.track.take(&mut held.live, at, state, &mut self.grid);
        }
        self.waiting.push(held.number);
        self.held.push(held);
    }

    /// The newest row came.
    pub(super) fn take(&mut self, ticks: &Ticks, state: &State) {
        let Some(at) = newest(ticks) else { return };
        self.grid.advance(at.row);
        for held in &mut self.held {
            held.track.take(&mut held.live, at, state, &mut self.grid);
            if held.track.takes_outdated() && !self.waiting.contains(&held.number) {
                self.waiting.push(held.number);
            }
        }
    }

    /// Rows that were missing came: all charts are made anew.
    pub(super) fn fill(&mut self) {
        self.waiting = self.held.iter().map(|held| held.number).collect();
    }

    /// Whether the past of a chart is still to be made.
    pub fn is_busy(&self) -> bool {
        self.work.is_some() || !self.waiting.is_empty()
    }

    /// Goes on with the past of what is wanted, for as long as `has_time` says so. Returns whether it did
    /// anything.
    pub(super) fn work(&mut self, ticks: &Ticks, past: &Past<'_>, mut has_time: impl FnMut() -> bool) -> bool {
        let begun = self.work.take().or_else(|| self.begin_work(ticks, past));
        let Some(mut work) = begun else { return false };
        // However little time there is, it gets on.
        while work.next <= work.until {
            self.take_past(&mut work, ticks, past);
            work.next += 1;
            if !has_time() {
                break;
            }
        }
        self.work = (work.next <= work.until).then_some(work);
        true
    }

    fn begin_work(&mut self, ticks: &Ticks, past: &Past<'_>) -> Option<Work> {
        if self.waiting.is_empty() {
            return None;
        }
        // While nothing can be made again, they wait.
        let next = past.archive.oldest()?;
        let runs = self.waiting.drain(..).map(|number| (number, Run::over_the_past())).collect();
        Some(Work { player: Player::default(), next, until: ticks.newest(), runs })
    }

    fn take_past(&mut self, work: &mut Work, ticks: &Ticks, past: &Past<'_>) {
        let Some(row) = ticks.row(work.next) else { return };
        if !work.player.seek(work.next, past) {
            return;
        }
        let at = At { row: work.next, tag: tag(row.epoch) };
        for (number, run) in &mut work.runs {
            if let Some(held) = self.held.iter_mut().find(|held| held.number == *number) {
                held.track.take(run, at, work.player.state(), &mut self.grid);
            }
        }
    }

    fn heat_bytes(&self) -> usize {
        self.held.iter().map(|held| held.track.heat_bytes()).sum()
    }
}

fn newest(ticks: &Ticks) -> Option<At> {
    let row = ticks.newest();
    Some(At { row, tag: tag(ticks.row(row)?.epoch) })
}
