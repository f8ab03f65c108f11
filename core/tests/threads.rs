//! Threads that come, count and go while a collector reads. ThreadSanitizer runs the same in
//! `scripts/tsan.sh`.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;

use tachograph_core::instrument::{Counter, Gauge, Histogram};
use tachograph_core::registry::{CounterFamily, Descriptor, Registry};
use tachograph_core::snapshot::{RegistrySnapshot, Value};

const THREADS: u64 = 16;
const WAVES: u64 = 20;
const ROUNDS: u64 = 400;
const BOUNDS: [f64; 3] = [1.0, 10.5, 100.0];

/// What a thread counts with; everything in it is shared by all.
#[derive(Clone)]
struct Work {
    total: Counter,
    by_thread: CounterFamily,
    depth: Gauge,
    times: Histogram,
    bounded: Histogram,
}

impl Work {
    fn new(registry: &Registry) -> Self {
        let plain = |name| Descriptor::new(name, "");
        Self {
            total: registry.counter(&plain("total")).unwrap().bind(&[]).unwrap(),
            by_thread: registry.counter(&plain("by_thread").label("thread")).unwrap(),
            depth: registry.gauge(&plain("depth")).unwrap().bind(&[]).unwrap(),
            times: registry.histogram(&plain("times")).unwrap().bind(&[]).unwrap(),
            bounded: registry.histogram(&plain("bounded").bounds(&BOUNDS)).unwrap().bind(&[]).unwrap(),
        }
    }

    fn do_it(&self, thread: u64) {
        let thread = thread.to_string();
        for round in 0..ROUNDS {
            self.total.add(2);
            self.by_thread.with(&[("thread", &thread)]).unwrap().inc();
            self.depth.add(if round % 2 == 0 { 1.0 } else { -1.0 });
            let value = (round % 200) as f64 - 20.0;
            self.times.record(value);
            self.bounded.record(value);
        }
    }
}

/// One wave of threads after the other, each thread new.
fn run_waves(work: &Work) {
    for _ in 0..WAVES {
        thread::scope(|scope| {
            (0..THREADS).for_each(|thread| drop(scope.spawn(move || work.do_it(thread))));
        });
    }
}

/// Checks each snapshot by itself and against the one before, until told to stop.
fn watch(registry: &Registry, stop: &AtomicBool) -> u64 {
    let mut collector = registry.collector();
    let (mut before, mut looks) = (RegistrySnapshot::default(), 0);
    while !stop.load(Ordering::Relaxed) {
        let snapshot = collector.collect(looks);
        assert_consistent(snapshot);
        assert_not_back(&before, snapshot);
        before.clone_from(snapshot);
        looks += 1;
    }
    looks
}

fn assert_consistent(snapshot: &RegistrySnapshot) {
    for (family, series) in snapshot.all_series() {
        if let Value::Histogram(histogram) = &series.value {
            let between: u64 = histogram.buckets().iter().sum();
            assert!(histogram.bounds().is_empty() || between == histogram.count(), "{}", family.name());
        }
    }
}

fn assert_not_back(before: &RegistrySnapshot, after: &RegistrySnapshot) {
    let since = after.since(before);
    assert!(since.is_ok(), "{since:?}: {before:?}, then {after:?}");
    let most = THREADS * WAVES * ROUNDS;
    assert!(after.counter("total", &[]).is_none_or(|total| total <= 2 * most));
}

#[test]
fn sixteen_threads_that_come_and_go_lose_nothing_while_a_collector_reads() {
    let registry = Registry::new();
    let work = Work::new(&registry);
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let watcher = scope.spawn(|| watch(&registry, &stop));
        run_waves(&work);
        stop.store(true, Ordering::Relaxed);
        assert!(watcher.join().unwrap() > 0);
    });
    assert_totals(&registry.snapshot());
}

fn assert_totals(snapshot: &RegistrySnapshot) {
    let rounds = THREADS * WAVES * ROUNDS;
    assert_eq!(snapshot.counter("total", &[]), Some(2 * rounds));
    assert_eq!(snapshot.gauge("depth", &[]), Some(0.0));
    for thread in 0..THREADS {
        let of_thread = snapshot.counter("by_thread", &[("thread", &thread.to_string())]);
        assert_eq!(of_thread, Some(WAVES * ROUNDS));
    }
    let expected_sum: f64 = (0..ROUNDS).map(|round| (round % 200) as f64 - 20.0).sum();
    for name in ["times", "bounded"] {
        let histogram = snapshot.histogram(name, &[]).unwrap();
        assert_eq!(histogram.count(), rounds, "{name}");
        assert_eq!(histogram.sum(), expected_sum * (THREADS * WAVES) as f64, "{name}");
        assert_eq!(histogram.zero(), THREADS * WAVES * ROUNDS / 200, "{name}");
    }
    assert_eq!(snapshot.histogram("bounded", &[]).unwrap().buckets(), expected_between(rounds));
    assert_eq!(snapshot.refused_values, 0);
}

fn expected_between(rounds: u64) -> Vec<u64> {
    let mut between = vec![0; BOUNDS.len() + 1];
    for round in 0..200 {
        between[BOUNDS.partition_point(|bound| *bound < f64::from(round) - 20.0)] += rounds / 200;
    }
    between
}

/// Counts when its thread is torn down, after or before the thread gave its memory back.
struct CountsAtTheEnd(Option<Counter>);

impl Drop for CountsAtTheEnd {
    fn drop(&mut self) {
        self.0.iter().for_each(Counter::inc);
    }
}

thread_local! {
    static FIRST: std::cell::RefCell<CountsAtTheEnd> = const { std::cell::RefCell::new(CountsAtTheEnd(None)) };
    static LAST: std::cell::RefCell<CountsAtTheEnd> = const { std::cell::RefCell::new(CountsAtTheEnd(None)) };
}

#[test]
fn what_is_counted_while_a_thread_is_torn_down_is_counted() {
    let registry = Registry::new();
    let counter = registry.counter(&Descriptor::new("ends", "")).unwrap().bind(&[]).unwrap();
    for _ in 0..50 {
        let counter = counter.clone();
        let thread = thread::spawn(move || {
            FIRST.with(|ends| ends.borrow_mut().0 = Some(counter.clone()));
            counter.inc();
            LAST.with(|ends| ends.borrow_mut().0 = Some(counter));
        });
        thread.join().unwrap();
    }
    assert_eq!(counter.value(), 150);
}

#[test]
fn more_threads_than_have_memory_of_their_own_lose_nothing() {
    const MANY: usize = 300;
    let registry = Registry::new();
    let counter = registry.counter(&Descriptor::new("many", "")).unwrap().bind(&[]).unwrap();
    let times = registry.histogram(&Descriptor::new("times", "")).unwrap().bind(&[]).unwrap();
    let all_there = Arc::new(Barrier::new(MANY));
    let threads: Vec<_> = (0..MANY)
        .map(|_| {
            let (counter, times, all_there) = (counter.clone(), times.clone(), Arc::clone(&all_there));
            let work = move || {
                counter.inc();
                all_there.wait();
                (0..100).for_each(|value| {
                    counter.inc();
                    times.record(f64::from(value));
                });
            };
            thread::Builder::new().stack_size(128 * 1024).spawn(work).unwrap()
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(counter.value(), 101 * MANY as u64);
    let snapshot = registry.snapshot();
    let times = snapshot.histogram("times", &[]).unwrap();
    assert_eq!((times.count(), times.sum()), (100 * MANY as u64, 4_950.0 * MANY as f64));
    assert!(snapshot.threads_sharing >= MANY as u64 - 256);
}

#[test]
fn series_are_made_once_however_many_threads_ask_for_them() {
    let registry = Registry::new();
    let family = registry.counter(&Descriptor::new("asked", "").label("name")).unwrap();
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                (0..300).for_each(|name: u32| family.with(&[("name", &name.to_string())]).unwrap().inc());
            });
        }
    });
    let snapshot = registry.snapshot();
    let counts: BTreeMap<&str, u64> = snapshot.families[0]
        .series
        .iter()
        .map(|series| (series.labels.iter().next().unwrap(), series.value.counter().unwrap()))
        .collect();
    assert_eq!(counts.len(), 300);
    assert!(counts.values().all(|count| *count == 8));
}

#[test]
fn registries_that_come_and_go_in_many_threads_never_mix() {
    thread::scope(|scope| {
        for seed in 0..8_u64 {
            scope.spawn(move || {
                for round in 0..50 {
                    let registry = Registry::new();
                    let work = Work::new(&registry);
                    assert_eq!(work.total.value(), 0);
                    work.total.add(seed + round);
                    work.times.record(1.5);
                    let snapshot = registry.snapshot();
                    assert_eq!(snapshot.counter("total", &[]), Some(seed + round));
                    assert_eq!(snapshot.histogram("times", &[]).unwrap().count(), 1);
                }
            });
        }
    });
}
