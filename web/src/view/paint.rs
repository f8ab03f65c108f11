//! What all charts of one painting share.

use core::ops::Range;

use crate::plot::{Gap, GapKind, HeatColumn, PlotMark};
use crate::state::{Mark, Noted, Place, SessionKey, Subject, Track, View};

/// Events that are marked on a chart; of more, the newest.
const MARKS_MAX: usize = 200;

/// What all charts of a painting have in common.
pub(super) struct Paint<'a> {
    pub(super) view: &'a View<'a>,
    pub(super) place: &'a Place,
    /// The rows that are shown, with their times in Unix milliseconds.
    pub(super) rows: Vec<u64>,
    pub(super) times: Vec<f64>,
    pub(super) from_ms: f64,
    pub(super) until_ms: f64,
    pub(super) gaps: Vec<Gap>,
    pub(super) eye: Eye,
}

/// How the reader looks at all charts.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Eye {
    /// The moment under the pointer, in Unix milliseconds.
    pub(super) cursor_ms: Option<f64>,
    /// A span that is being dragged out.
    pub(super) dragged_ms: Option<(f64, f64)>,
    /// By how much the reader's clock is ahead of UTC.
    pub(super) zone_minutes: i32,
    /// How old the figures are, while that is worth telling.
    pub(super) age_seconds: Option<u64>,
}

impl<'a> Paint<'a> {
    pub(super) fn new(view: &'a View<'a>, place: &'a Place, eye: Eye) -> Self {
        let ticks = view.ticks;
        let newest_ms = ticks.head(view.row).map_or(0.0, |head| head.wall_ms as f64);
        // While nothing comes, time goes on all the same.
        let live_ms = newest_ms + eye.age_seconds.unwrap_or_default() as f64 * 1_000.0;
        let until_ms = place.span.until_ms.map_or(live_ms, |until| until as f64);
        let from_ms = until_ms - f64::from(place.span.seconds) * 1_000.0;
        // A tick more on both sides, so that lines go on to the edges.
        let begin = ticks.row_at((from_ms - 1_500.0).max(0.0) as u64).unwrap_or(1).min(view.row);
        let (mut rows, mut times) = (Vec::new(), Vec::new());
        for row in begin..=ticks.newest() {
            let Some(head) = ticks.head(row) else { continue };
            let at = head.wall_ms as f64;
            if at > until_ms + 1_500.0 && row > view.row {
                break;
            }
            // Where the server's clock was set back, what came after that holds.
            while times.last().is_some_and(|before| *before >= at) {
                times.pop();
                rows.pop();
            }
            rows.push(row);
            times.push(at);
        }
        let mut gaps = gaps_of(view, begin, rows.last().copied().unwrap_or(begin));
        if place.span.until_ms.is_none() && live_ms > newest_ms {
            gaps.push(Gap { from_ms: newest_ms, to_ms: live_ms, kind: GapKind::Stale });
        }
        Self { view, place, rows, times, from_ms, until_ms, gaps, eye }
    }

    /// The places of the rows inside of the span.
    pub(super) fn inside(&self) -> Range<usize> {
        let begin = self.times.partition_point(|time| *time < self.from_ms);
        begin..self.times.partition_point(|time| *time <= self.until_ms).max(begin)
    }

    /// The place of the row whose figures are told: the nearest to the pointer, else the one that is shown.
    pub(super) fn told(&self) -> Option<usize> {
        let Some(at) = self.eye.cursor_ms else { return self.rows.binary_search(&self.view.row).ok() };
        let after = self.times.partition_point(|time| *time <= at);
        let before = after.checked_sub(1);
        let is_after_nearer =
            |before: usize| self.times.get(after).is_some_and(|next| next - at < at - self.times[before]);
        match before {
            Some(before) if !is_after_nearer(before) => Some(before),
            _ => Some(after).filter(|after| *after < self.times.len()),
        }
    }

    /// What a line of a track shows, a figure a row; NaN where there is none.
    pub(super) fn figures(&self, track: &Track, line: usize) -> Vec<f64> {
        let (Some(first), Some(last)) = (self.rows.first(), self.rows.last()) else { return Vec::new() };
        let figures = self.view.tracks.values(track, line, *first, *last);
        if figures.len() == self.rows.len() {
            return figures;
        }
        // Without the rows that were not received.
        self.rows.iter().map(|row| figures.get((row - first) as usize).copied().unwrap_or(f64::NAN)).collect()
    }

    pub(super) fn heat<'t>(&self, track: &'t Track) -> Vec<HeatColumn<'t>> {
        let (Some(first), Some(last)) = (self.rows.first(), self.rows.last()) else { return Vec::new() };
        let held = track.heat();
        let begin = held.partition_point(|column| column.row < *first);
        let columns = held.range(begin..).take_while(|column| column.row <= *last);
        let columns = columns.filter_map(|column| {
            let place = self.rows.binary_search(&column.row).ok()?;
            Some(HeatColumn { at_ms: self.times[place], bounds: column.bounds, buckets: &column.buckets })
        });
        columns.collect()
    }

    /// The events of a chart's session, or those of the server where it has none.
    pub(super) fn marks(&self, subject: &Subject) -> Vec<PlotMark> {
        let events = self.view.events.newest().take_while(|noted| noted.timestamp * 1_000.0 >= self.from_ms);
        let fits = |key: Option<SessionKey>| match subject {
            Subject::Session(session, _) => key == Some(*session),
            _ => key.is_none(),
        };
        let of_chart = events.filter(|noted| fits(noted.key)).take(MARKS_MAX);
        of_chart.map(mark_of).collect()
    }
}

/// Where there are no figures between two rows.
pub(super) fn gaps_of(view: &View<'_>, first: u64, last: u64) -> Vec<Gap> {
    let ticks = view.ticks;
    let mut gaps = Vec::new();
    let (mut before, mut is_missing) = (None, false);
    for row in first..=last {
        let Some(head) = ticks.head(row) else {
            is_missing = true;
            continue;
        };
        let to_ms = head.wall_ms as f64;
        let kind = match ticks.mark(row) {
            Mark::Restart => Some(GapKind::Restart),
            _ if is_missing => Some(GapKind::NotReceived),
            Mark::Missed(_) => Some(GapKind::Missed),
            _ => None,
        };
        if let (Some(from_ms), Some(kind)) = (before, kind) {
            gaps.push(Gap { from_ms, to_ms, kind });
        }
        (before, is_missing) = (Some(to_ms), false);
    }
    gaps
}

/// An event as a mark.
pub(super) fn mark_of(noted: &Noted) -> PlotMark {
    PlotMark { at_ms: noted.timestamp * 1_000.0, severity: noted.severity() as u8 }
}
