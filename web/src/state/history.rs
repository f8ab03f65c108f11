use tachograph_core::wire::Metrics;

use super::grid::Grid;
use super::{RowKey, TICKS_MAX, Ticks};

/// The ticks that a sparkline shows: five minutes of them.
pub const HISTORY_TICKS: usize = 300;
/// Memory that the figures of all sources may take.
const BYTES_MAX: usize = 16 << 20;
/// Sources whose figures are kept.
const SOURCES_MAX: usize = 2_000;
const WIDTH: usize = 5;

/// A figure of a source that is kept for each tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    /// Queue fill, 0 to 1.
    Fill,
    /// Audio waiting, in seconds.
    Backlog,
    /// Mean time inside the provider, in ms.
    Inference,
    /// Realtime factor.
    Realtime,
    /// Frames dropped since the tick before.
    Drops,
}

/// The figures of all sources in the last minutes, over the [rows](Ticks) of the frames.
#[derive(Debug)]
pub(super) struct Histories {
    grid: Grid<f32>,
    /// By key.
    tracks: Vec<Track>,
}

#[derive(Clone, Copy, Debug)]
struct Track {
    key: RowKey,
    block: usize,
    /// The newest row that has its figures.
    newest: u64,
}

/// The last minutes of one source.
#[derive(Clone, Copy, Debug)]
pub struct History<'a> {
    ticks: &'a Ticks,
    grid: &'a Grid<f32>,
    block: usize,
    /// The row at the right edge.
    last: u64,
}

impl Default for Histories {
    fn default() -> Self {
        Self { grid: Grid::new(TICKS_MAX, BYTES_MAX), tracks: Vec::new() }
    }
}

impl Histories {
    /// Makes a row the newest one.
    pub(super) fn advance(&mut self, row: u64) {
        self.grid.advance(row);
    }

    /// Writes a source's figures of a row.
    pub(super) fn record(&mut self, key: RowKey, row: u64, metrics: &Metrics) {
        let Some(block) = self.track(key, row) else { return };
        let figures = [
            metrics.queue_fill_ratio,
            metrics.backlog_seconds,
            metrics.avg_infer_ms,
            metrics.realtime_factor,
            metrics.dropped_recent as f64,
        ];
        self.grid.set(block, row, &figures.map(|figure| figure as f32));
    }

    /// Lets the sources go of which this does not hold.
    pub(super) fn retain(&mut self, keep: impl Fn(RowKey) -> bool) {
        let grid = &mut self.grid;
        self.tracks.retain(|track| {
            let stays = keep(track.key);
            if !stays {
                grid.remove(track.block);
            }
            stays
        });
    }

    /// The last minutes of a source: up to the newest row, or up to its own newest one if it ended.
    pub(super) fn of<'a>(&'a self, key: RowKey, ticks: &'a Ticks, ended: bool) -> Option<History<'a>> {
        let Track { block, newest, .. } = *self.tracks.get(self.place(key).ok()?)?;
        let last = if ended { newest } else { ticks.newest() };
        Some(History { ticks, grid: &self.grid, block, last })
    }

    fn track(&mut self, key: RowKey, row: u64) -> Option<usize> {
        match self.place(key) {
            Ok(place) => {
                let track = self.tracks.get_mut(place)?;
                track.newest = track.newest.max(row);
                Some(track.block)
            }
            Err(_) if self.tracks.len() >= SOURCES_MAX => None,
            Err(place) => {
                let block = self.grid.add(WIDTH)?;
                self.tracks.insert(place, Track { key, block, newest: row });
                Some(block)
            }
        }
    }

    fn place(&self, key: RowKey) -> Result<usize, usize> {
        self.tracks.binary_search_by(|track| track.key.cmp(&key))
    }
}

impl History<'_> {
    /// What a figure was, each with the tick it was at: from 0 to [`HISTORY_TICKS`], oldest first. A tick
    /// that the server missed or that was not received has none.
    pub fn values(&self, column: Column) -> impl Iterator<Item = (usize, f32)> {
        let last = self.ticks.head(self.last).map_or(0, |head| head.tick);
        let first = (self.last + 1).saturating_sub(HISTORY_TICKS as u64);
        (first..=self.last).filter_map(move |row| {
            let age = usize::try_from(last.checked_sub(self.ticks.head(row)?.tick)?).ok()?;
            let place = HISTORY_TICKS.checked_sub(age + 1)?;
            Some((place, self.grid.get(self.block, column as usize, row)?))
        })
    }
}
