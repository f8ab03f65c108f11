use super::canvas;
use super::screen::title_of;
use crate::plot::{count, short};
use crate::state::{Board, Chart, Page, Place};
use crate::transport::Feed;

/// Ticks with figures inside of a threshold that end a crossing.
const CALM_TICKS: u8 = 3;

/// Looks which charts of the kept board are beyond their threshold now, whatever the reader looks at.
#[derive(Debug, Default)]
pub(super) struct Watch {
    crossed: Vec<Crossed>,
    /// The newest row that was looked at.
    row: u64,
}

/// A chart whose newest figure is beyond its threshold.
#[derive(Clone, Debug)]
pub(super) struct Crossed {
    chart: Chart,
    pub(super) title: String,
    pub(super) figure: String,
    pub(super) target: String,
    /// Ticks in a row that were inside of it.
    calm: u8,
}

impl Watch {
    pub(super) fn crossed(&self) -> &[Crossed] {
        &self.crossed
    }

    /// The charts that are watched are kept.
    pub(super) fn want(&self, board: &Board, feed: &mut Feed) {
        let watched = board.charts.iter().filter(|chart| chart.threshold.is_some());
        watched.for_each(|chart| feed.want(&chart.subject));
    }

    /// Looks at the newest row, if that is new. Returns what is to be told: a title and words each.
    pub(super) fn look(&mut self, board: &Board, feed: &mut Feed, place: &Place) -> Vec<(String, String)> {
        self.want(board, feed);
        let row = feed.store().ticks().newest();
        if std::mem::replace(&mut self.row, row) == row {
            return Vec::new();
        }
        self.crossed.retain(|crossed| board.charts.contains(&crossed.chart));
        let mut news = Vec::new();
        for chart in &board.charts {
            let Some((figure, is_beyond)) = state_of(chart, feed, row) else { continue };
            let held = self.crossed.iter_mut().find(|crossed| crossed.chart == *chart);
            match (held, is_beyond) {
                (Some(held), true) => (held.figure, held.calm) = (figure, 0),
                (Some(held), false) => held.calm += 1,
                (None, true) => {
                    let title = title_of(chart);
                    news.push((title.clone(), ["Beyond its threshold: ", &figure].concat()));
                    let target = place.with(Page::Chart(chart.clone())).fragment();
                    self.crossed.push(Crossed { chart: chart.clone(), title, figure, target, calm: 0 });
                }
                (None, false) => {}
            }
        }
        self.crossed.retain(|crossed| crossed.calm < CALM_TICKS);
        let mark = match self.crossed.len() {
            0 => String::new(),
            some => ["(", &count(some as u64), "!) "].concat(),
        };
        canvas::set_title(&[&mark, "Tachograph"].concat());
        news
    }
}

/// A chart's figure that is furthest beyond its threshold, or its first, and whether it is beyond; nothing
/// where it has none in this row.
fn state_of(chart: &Chart, feed: &Feed, row: u64) -> Option<(String, bool)> {
    let threshold = chart.threshold?;
    let tracks = feed.store().tracks();
    let track = tracks.track(&chart.subject)?;
    let figures: Vec<f64> = (0..track.lines().len()).filter_map(|line| tracks.value(track, line, row)).collect();
    let beyond = figures.iter().copied().find(|figure| threshold.is_crossed(*figure));
    let told = beyond.or(figures.first().copied())?;
    Some((short(told, track.unit()), beyond.is_some()))
}
