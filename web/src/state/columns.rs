use std::collections::BTreeMap;
use std::sync::Arc;

use tachograph_core::label::LabelValues;
use tachograph_core::registry::{Descriptor, Kind};
use tachograph_core::wire::frame::{Epoch, State};

use super::grid::{Cell, Grid};
use super::{TICKS_MAX, Ticks};

/// Memory that the values of all series may take.
const BYTES_MAX: usize = 32 << 20;

/// What every series recorded in the last minutes, a column a series, over the [rows](Ticks) of the frames.
///
/// A series is known by its family and its labels, so that after a restart of the server its column goes
/// on. Where there are very many series fewer rows are [held](Self::rows_held).
#[derive(Debug)]
pub struct Columns {
    ticks: Ticks,
    grid: Grid<f64>,
    families: Vec<Family>,
    /// The families' series.
    blocks: BTreeMap<SeriesKey, usize>,
    /// Where each series of the newest start's schema stands.
    links: Vec<Link>,
    /// The start whose schema that is.
    linked: u32,
    /// The row at which columns without a value were removed last.
    pruned: u64,
}

/// A series: the place of its family, and its labels.
type SeriesKey = (usize, LabelValues);

#[derive(Debug)]
struct Family {
    kind: Kind,
    descriptor: Arc<Descriptor>,
}

#[derive(Clone, Copy, Debug)]
struct Link {
    kind: Kind,
    slot: usize,
    /// Nothing where there was no room.
    block: Option<usize>,
}

/// What a series recorded up to a row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Recorded {
    /// A counter's total.
    Counter(f64),
    /// A gauge's figure.
    Gauge(f64),
    /// A histogram's values.
    Histogram {
        /// How many.
        count: f64,
        /// Their sum.
        sum: f64,
    },
}

impl Default for Columns {
    fn default() -> Self {
        Self {
            ticks: Ticks::default(),
            grid: Grid::new(TICKS_MAX, BYTES_MAX),
            families: Vec::new(),
            blocks: BTreeMap::new(),
            links: Vec::new(),
            linked: 0,
            pruned: 0,
        }
    }
}

impl Columns {
    /// Takes a frame. Returns its row; nothing if it was there already or is too old.
    pub(super) fn take(&mut self, epoch: Epoch, state: &State) -> Option<u64> {
        let row = self.ticks.add(epoch, state.head())?;
        if self.linked != self.ticks.starts() {
            self.links.clear();
            self.linked = self.ticks.starts();
        }
        self.grid.advance(self.ticks.newest());
        let series = state.extent().series();
        self.link(state, series);
        let values = state.columns();
        for Link { kind, slot, block } in self.links.iter().take(series) {
            let Some(block) = *block else { continue };
            let cells = match kind {
                Kind::Counter => [values.counters.get(*slot).map_or(f64::NOTHING, |total| *total as f64), f64::NOTHING],
                Kind::Gauge => [values.gauges.get(*slot).copied().unwrap_or(f64::NOTHING), f64::NOTHING],
                Kind::Histogram => {
                    let histogram = values.histograms.get(*slot);
                    histogram.map_or([f64::NOTHING; 2], |held| [held.count() as f64, held.sum()])
                }
            };
            self.grid.set(block, row, &cells);
        }
        Some(row)
    }

    /// The rows of the frames.
    pub fn ticks(&self) -> &Ticks {
        &self.ticks
    }

    /// The newest rows of which values are held.
    pub fn rows_held(&self) -> usize {
        self.grid.rows()
    }

    /// Series of the newest start of which none are, because they are too many.
    pub fn unkept(&self) -> usize {
        self.links.iter().filter(|link| link.block.is_none()).count()
    }

    /// What a series recorded up to a row; nothing where that is not known.
    pub fn value(&self, family: &str, labels: &LabelValues, row: u64) -> Option<Recorded> {
        let place = self.families.iter().rposition(|held| held.descriptor.name() == family)?;
        let block = *self.blocks.get(&(place, labels.clone()))?;
        let value = |column| self.grid.get(block, column, row);
        Some(match self.families.get(place)?.kind {
            Kind::Counter => Recorded::Counter(value(0)?),
            Kind::Gauge => Recorded::Gauge(value(0)?),
            Kind::Histogram => Recorded::Histogram { count: value(0)?, sum: value(1)? },
        })
    }

    /// A counter's growth a second up to the newest row, since the row before that was received from the
    /// same start of the server.
    pub fn rate(&self, family: &str, labels: &LabelValues) -> Option<f64> {
        let newest = self.ticks.newest();
        let (before, earlier) = self.ticks.before(newest)?;
        let total = |row| match self.value(family, labels, row)? {
            Recorded::Counter(total) => Some(total),
            _ => None,
        };
        let growth = total(newest)? - total(before)?;
        let span = self.ticks.head(newest)?.monotonic_us.checked_sub(earlier.monotonic_us)?;
        (growth >= 0.0 && span > 0).then(|| growth * 1e6 / span as f64)
    }

    /// Finds the places of the series that came with this frame.
    fn link(&mut self, state: &State, series: usize) {
        let schema = state.schema();
        let mut known = None;
        for number in self.links.len()..series {
            let Some(entry) = schema.series().get(number) else { return };
            let Some(family) = schema.families().get(entry.family as usize) else { return };
            // Series mostly come a family at once.
            let place = match known {
                Some((number, place)) if number == entry.family => place,
                _ => self.family(family.kind, &family.descriptor),
            };
            known = Some((entry.family, place));
            let block = self.block((place, entry.labels.clone()), family.kind);
            self.links.push(Link { kind: family.kind, slot: entry.slot as usize, block });
        }
    }

    /// A family's place, which it keeps over restarts of the server.
    fn family(&mut self, kind: Kind, descriptor: &Arc<Descriptor>) -> usize {
        let same = |held: &Family| {
            let other = &held.descriptor;
            held.kind == kind && other.name() == descriptor.name() && other.label_names() == descriptor.label_names()
        };
        self.families.iter().rposition(same).unwrap_or_else(|| {
            self.families.push(Family { kind, descriptor: Arc::clone(descriptor) });
            self.families.len() - 1
        })
    }

    /// A series' place, which it keeps over restarts of the server.
    fn block(&mut self, key: SeriesKey, kind: Kind) -> Option<usize> {
        if let Some(block) = self.blocks.get(&key) {
            return Some(*block);
        }
        let width = if kind == Kind::Histogram { 2 } else { 1 };
        let mut block = self.grid.add(width);
        if block.is_none() && self.prune() {
            block = self.grid.add(width);
        }
        self.blocks.insert(key, block?);
        block
    }

    /// Removes the columns without a value that no series of the newest start has, once a row at most.
    /// Returns whether it did.
    fn prune(&mut self) -> bool {
        if self.pruned == self.ticks.newest() {
            return false;
        }
        self.pruned = self.ticks.newest();
        let mut linked = Vec::new();
        for block in self.links.iter().filter_map(|link| link.block) {
            linked.resize(linked.len().max(block + 1), false);
            linked[block] = true;
        }
        for (key, block) in core::mem::take(&mut self.blocks) {
            if linked.get(block) == Some(&true) || !self.grid.is_empty(block) {
                self.blocks.insert(key, block);
            } else {
                self.grid.remove(block);
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use tachograph_core::registry::Registry;

    use super::super::samples::{Sample, epoch};
    use super::super::{Mark, Row};
    use super::*;

    fn mic() -> LabelValues {
        LabelValues::new(["mic"])
    }

    fn received(columns: &Columns) -> Vec<Option<f64>> {
        let value = |row: Row| match columns.value("audio_bytes_received", &mic(), row.number)? {
            Recorded::Counter(total) => Some(total),
            _ => None,
        };
        columns.ticks().rows().map(value).collect()
    }

    /// Columns that took these frames of a server, in this order; a second a frame.
    fn after(seqs: &[u64]) -> Columns {
        let mut columns = Columns::default();
        let states = Sample::new().states(*seqs.iter().max().unwrap(), &[]);
        for seq in seqs {
            columns.take(epoch(1), &states[*seq as usize - 1]);
        }
        columns
    }

    #[test]
    fn every_kind_is_held() {
        let registry = Registry::new();
        registry.counter(&Descriptor::new("count", "")).unwrap().bind(&[]).unwrap().add(3);
        registry.gauge(&Descriptor::new("gauge", "")).unwrap().bind(&[]).unwrap().set(0.5);
        let times = registry.histogram(&Descriptor::new("times", "")).unwrap().bind(&[]).unwrap();
        [1.5, 2.0].into_iter().for_each(|time| times.record(time));
        let mut columns = Columns::default();
        assert_eq!(columns.take(epoch(1), &Sample::with(registry).next(&[])), Some(1));
        let value = |family| columns.value(family, &LabelValues::default(), 1).unwrap();
        assert_eq!(value("count"), Recorded::Counter(3.0));
        assert_eq!(value("gauge"), Recorded::Gauge(0.5));
        assert_eq!(value("times"), Recorded::Histogram { count: 2.0, sum: 3.5 });
    }

    #[test]
    fn a_hole_is_filled_and_nothing_is_written_twice() {
        let mut columns = after(&[1, 2, 5]);
        assert_eq!(received(&columns), [Some(32e3), Some(64e3), None, None, Some(160e3)]);
        let states = Sample::new().states(5, &[]);
        assert_eq!(columns.take(epoch(1), &states[3]), Some(4));
        assert_eq!(columns.take(epoch(1), &states[3]), None);
        assert_eq!(received(&columns)[2..], [None, Some(128e3), Some(160e3)]);
    }

    #[test]
    fn a_column_goes_on_after_a_restart_with_a_mark() {
        let mut columns = after(&[1, 2]);
        columns.take(epoch(2), &Sample::new().next(&[]));
        assert_eq!(received(&columns), [Some(32e3), Some(64e3), Some(32e3)]);
        assert_eq!(columns.ticks().mark(3), Mark::Restart);
        assert_eq!(columns.rate("audio_bytes_received", &mic()), None);
    }

    #[test]
    fn a_rate_is_growth_by_time() {
        assert_eq!(after(&[1, 2]).rate("audio_bytes_received", &mic()), Some(32_000.0));
        assert_eq!(after(&[1, 4]).rate("audio_bytes_received", &mic()), Some(32_000.0));
        assert_eq!(after(&[1]).rate("audio_bytes_received", &mic()), None);
    }

    #[test]
    fn a_family_that_changed_its_kind_has_other_columns() {
        let with = |register: fn(&Registry)| {
            let registry = Registry::new();
            register(&registry);
            Sample::with(registry).next(&[])
        };
        let mut columns = Columns::default();
        let counter = with(|registry| registry.counter(&Descriptor::new("it", "")).unwrap().bind(&[]).unwrap().add(3));
        columns.take(epoch(1), &counter);
        let gauge = with(|registry| registry.gauge(&Descriptor::new("it", "")).unwrap().bind(&[]).unwrap().set(0.5));
        columns.take(epoch(2), &gauge);
        let value = |row| columns.value("it", &LabelValues::default(), row);
        assert_eq!((value(1), value(2)), (None, Some(Recorded::Gauge(0.5))));
    }

    #[test]
    fn series_that_are_gone_make_room() {
        let many = |first: usize| {
            let registry = Registry::new();
            let family = registry.gauge(&Descriptor::new("many", "").label("n")).unwrap();
            for number in first..first + 8 {
                family.with(&[("n", &number.to_string())]).unwrap().set(1.0);
            }
            Sample::with(registry)
        };
        let mut columns = Columns { grid: Grid::new(60, 60 * 8 * 10), ..Columns::default() };
        columns.take(epoch(1), &many(0).next(&[]));
        let mut second = many(8);
        columns.take(epoch(2), &second.next(&[]));
        assert_eq!(columns.unkept(), 6, "the ring still holds values of the others");
        for _ in 0..60 {
            columns.take(epoch(2), &second.next(&[]));
        }
        columns.take(epoch(3), &many(16).next(&[]));
        assert_eq!(columns.unkept(), 0);
    }
}
