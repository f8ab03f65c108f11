//! Reads the registry, series by series, into requests.

use std::sync::Arc;

use tachograph_core::registry::{Kind, Registry, Walked};
use tokio::task::yield_now;

use super::Temporality;
use super::ledger::{Delta, Ledger};
use super::outbox::Outbox;
use super::point::{Point, Span};
use super::request::Draft;
use crate::clock::unix_millis;

/// So many series are read before others of the runtime get their turn.
const SERIES_AT_ONCE: usize = 500;

/// A reading takes what there is room for in the outbox; the next one goes on where it ended, so that each series
/// gets its turn. What was not read is owed: totals are told later, and deltas then span longer.
pub(super) struct Reader {
    registry: Registry,
    outbox: Arc<Outbox>,
    ledger: Ledger,
    /// Unix nanoseconds.
    started: u64,
    /// The newest reading: its number and its time.
    cut: u64,
    now: u64,
    /// The newest that reached the last series.
    whole: u64,
    /// The last series that was read, where a reading ended before its end.
    put_off_after: Option<Place>,
    /// What of the newest reading is not handed on yet.
    draft: Draft,
}

/// A series' family and its number there, as the registry lists them.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    family: String,
    number: usize,
}

impl Place {
    fn step_to(&mut self, series: &Walked<'_>) {
        if series.is_first {
            self.family = series.descriptor.name().into();
            self.number = 0;
        }
        self.number += 1;
    }
}

impl Reader {
    pub(super) fn new(registry: Registry, outbox: Arc<Outbox>) -> Self {
        let started = unix_millis() * 1_000_000;
        let (ledger, now, whole) = (Ledger::default(), started, started);
        Self { registry, outbox, ledger, started, cut: 0, now, whole, put_off_after: None, draft: Draft::default() }
    }

    /// Whether the newest reading ended before its end.
    pub(super) fn is_put_off(&self) -> bool {
        self.put_off_after.is_some()
    }

    /// Reads everything, or what there is room for.
    pub(super) async fn read(&mut self) {
        // A reading that broke off had taken this from the ledger.
        self.hand_on();
        self.cut += 1;
        // A clock that was set back does not turn a span around.
        self.now = (unix_millis() * 1_000_000).max(self.now + 1);
        let begin = self.put_off_after.take().unwrap_or_default();
        let mut walk = self.registry.walk(self.now / 1_000_000);
        let (mut place, mut series_read) = (Place::default(), 0);
        loop {
            if self.draft.is_empty() && !self.outbox.has_room(self.cut) {
                return self.put_off(place.max(begin));
            }
            let Some(series) = walk.next() else { break };
            place.step_to(&series);
            if place > begin {
                self.add(&series);
            }
            series_read += 1;
            if self.draft.is_full() {
                self.hand_on();
            }
            if series_read % SERIES_AT_ONCE == 0 {
                self.put_off_after = Some(place.clone().max(begin.clone()));
                yield_now().await;
            }
        }
        self.hand_on();
        self.put_off_after = None;
        self.whole = self.now;
    }

    /// Gives up what a reading that was put off, or broke off, did not hand on. Returns how many points that would have
    /// been.
    pub(super) fn give_up(&mut self) -> u64 {
        let mut points = std::mem::take(&mut self.draft).points();
        let Some(begin) = self.put_off_after.take() else { return points };
        let (mut walk, mut place) = (self.registry.walk(self.now / 1_000_000), Place::default());
        while let Some(series) = walk.next() {
            place.step_to(&series);
            if place > begin {
                points += u64::from(self.point(&series).is_some());
            }
        }
        points
    }

    fn put_off(&mut self, after: Place) {
        self.outbox.counts.readings_put_off.inc();
        self.put_off_after = Some(after);
    }

    fn add(&mut self, series: &Walked<'_>) {
        if let Some(point) = self.point(series) {
            self.draft.add(series, point, &self.outbox.envelope);
        }
    }

    /// What there is to say of a series now.
    fn point(&mut self, series: &Walked<'_>) -> Option<Point> {
        let end = self.now;
        if self.outbox.temporality == Temporality::Cumulative || series.kind == Kind::Gauge {
            return Some(Point::new(series, series.value, Span { start: self.started, end }));
        }
        let Delta { value, start } = self.ledger.take(series, end)?;
        Some(Point::new(series, &value, Span { start: start.unwrap_or(self.whole), end }))
    }

    fn hand_on(&mut self) {
        if !self.draft.is_empty() {
            self.outbox.push(self.draft.finish(&self.outbox.envelope, self.cut));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use tachograph_core::registry::Descriptor;

    use super::super::buffer::{Limits, Next};
    use super::super::message::{AggregationTemporality, Data, Metric, Number};
    use super::super::request::tests::{envelope, metrics_of};
    use super::*;

    /// Of three requests, one is being sent and two wait.
    const LIMITS: Limits = Limits { bytes: 64 << 20, requests: 3 };

    fn reader(registry: &Registry, temporality: Temporality) -> Reader {
        let mut envelope = envelope();
        envelope.temporality = temporality.as_message();
        // Its own counts are in another registry, so that a test reads its own families only.
        let outbox = Outbox::new(&Registry::new(), LIMITS, temporality, envelope).unwrap();
        Reader::new(registry.clone(), Arc::new(outbox))
    }

    /// Takes all that waits.
    fn sent(reader: &Reader) -> Vec<Metric> {
        let mut metrics = Vec::new();
        while let Next::Request(request) = reader.outbox.buffer.lock().next() {
            metrics.extend(metrics_of(&request));
        }
        reader.outbox.let_go();
        metrics
    }

    fn counts(metrics: &[Metric]) -> impl Iterator<Item = (String, i64)> {
        metrics.iter().flat_map(|metric| {
            let Some(Data::Sum(sum)) = &metric.data else { return Vec::new() };
            let read = |number: Option<Number>| if let Some(Number::AsInt(count)) = number { count } else { -1 };
            let name = |at: &super::super::message::NumberDataPoint| format!("{}{:?}", metric.name, at.attributes);
            sum.data_points.iter().map(|point| (name(point), read(point.value))).collect()
        })
    }

    fn add_to_all(registry: &Registry, series: usize) {
        for name in ["a", "b", "c"] {
            let family = registry.counter(&Descriptor::new(name, "Seen").label("by")).unwrap();
            (0..series).for_each(|by| family.with(&[("by", &by.to_string())]).unwrap().add(by as u64 + 1));
        }
    }

    #[tokio::test]
    async fn requests_are_bounded_and_hold_every_series_once() {
        let registry = Registry::new();
        add_to_all(&registry, 1_500);
        let mut reader = reader(&registry, Temporality::Cumulative);
        reader.read().await;
        assert_eq!(reader.outbox.buffer.lock().len(), 3, "4,500 points");
        let metrics = sent(&reader);
        let read: BTreeMap<_, _> = counts(&metrics).collect();
        assert_eq!((counts(&metrics).count(), read.len()), (4_500, 4_500));
        assert_eq!(read.values().sum::<i64>(), 3 * 1_500 * 1_501 / 2);
        assert!(metrics.iter().all(|metric| matches!(&metric.data, Some(Data::Sum(sum))
            if sum.is_monotonic && sum.aggregation_temporality == AggregationTemporality::Cumulative as i32)));
    }

    #[tokio::test]
    async fn a_span_begins_where_the_one_before_ended() {
        let registry = Registry::new();
        let mut reader = reader(&registry, Temporality::Delta);
        let mut spans = Vec::new();
        for _ in 0..4 {
            add_to_all(&registry, 1);
            reader.read().await;
            let Some(Data::Sum(sum)) = sent(&reader).swap_remove(0).data else { panic!("no sum") };
            assert_eq!(sum.aggregation_temporality, AggregationTemporality::Delta as i32);
            spans.push((sum.data_points[0].start_time_unix_nano, sum.data_points[0].time_unix_nano));
        }
        assert!(spans.iter().all(|(start, end)| start < end));
        assert!(spans.windows(2).all(|pair| pair[0].1 == pair[1].0), "{spans:?}");
    }

    /// While nothing is taken, and with a registry that is larger than the buffer.
    #[tokio::test]
    async fn deltas_add_up_whatever_there_is_room_for() {
        let registry = Registry::new();
        let mut reader = reader(&registry, Temporality::Delta);
        let mut totals: BTreeMap<String, i64> = BTreeMap::new();
        for round in 0..40 {
            add_to_all(&registry, 2_000);
            reader.read().await;
            if round % 5 == 0 {
                counts(&sent(&reader)).for_each(|(name, count)| *totals.entry(name).or_default() += count);
            }
            let held = reader.outbox.buffer.lock().len();
            assert!(held <= LIMITS.requests, "{held}");
        }
        assert!(reader.outbox.counts.readings_put_off.value() > 10);
        for _ in 0..4 {
            reader.read().await;
            counts(&sent(&reader)).for_each(|(name, count)| *totals.entry(name).or_default() += count);
        }
        assert!(!reader.is_put_off());
        assert_eq!(totals.len(), 6_000);
        assert_eq!(totals.values().sum::<i64>(), 40 * 3 * 2_000 * 2_001 / 2);
    }

    #[tokio::test]
    async fn each_series_gets_its_turn_when_the_registry_is_larger_than_the_buffer() {
        for temporality in [Temporality::Cumulative, Temporality::Delta] {
            let registry = Registry::with_series_limit(4_000);
            add_to_all(&registry, 4_000);
            let mut reader = reader(&registry, temporality);
            let mut seen = BTreeMap::new();
            for _ in 0..2 {
                reader.read().await;
                seen.extend(counts(&sent(&reader)));
            }
            assert_eq!(seen.len(), 12_000, "{temporality:?}");
        }
    }

    #[tokio::test]
    async fn what_is_given_up_is_all_that_was_not_read() {
        let registry = Registry::with_series_limit(4_000);
        add_to_all(&registry, 4_000);
        let mut reader = reader(&registry, Temporality::Delta);
        assert_eq!(reader.give_up(), 0, "nothing is put off");
        reader.read().await;
        assert!(reader.is_put_off());
        let read = counts(&sent(&reader)).count() as u64;
        assert_eq!((read + reader.give_up(), reader.give_up()), (12_000, 0));
    }

    #[tokio::test]
    async fn a_reading_that_breaks_off_loses_nothing() {
        let registry = Registry::with_series_limit(4_000);
        add_to_all(&registry, 600);
        let mut reader = reader(&registry, Temporality::Delta);
        // It yields on the way.
        assert!(futures_util::FutureExt::now_or_never(reader.read()).is_none());
        assert!(reader.outbox.buffer.lock().len() == 0 && !reader.draft.is_empty());
        let mut seen = BTreeMap::new();
        for _ in 0..2 {
            reader.read().await;
            counts(&sent(&reader)).for_each(|(name, count)| *seen.entry(name).or_default() += count);
        }
        assert_eq!((seen.len(), seen.values().sum::<i64>()), (1_800, 3 * 600 * 601 / 2));
    }

    #[tokio::test]
    async fn the_newest_totals_are_kept() {
        let registry = Registry::new();
        let mut reader = reader(&registry, Temporality::Cumulative);
        for _ in 0..10 {
            add_to_all(&registry, 1);
            reader.read().await;
        }
        let kept: Vec<_> = counts(&sent(&reader)).map(|(_, total)| total).collect();
        assert_eq!(kept, [8, 8, 8, 9, 9, 9, 10, 10, 10]);
        assert_eq!(reader.outbox.counts.readings_put_off.value(), 0);
    }
}
