//! What is measured of each subject.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use crate::allocator::counted;
use crate::harness::{Effort, OPERATIONS_PER_ITERATION, Pool, Summary, Trial};
use crate::subjects::{Operation, QUANTILES, Role, SeriesSet, Site, Subject, Text, Work, Worker, user};
use crate::values;

/// Counter series in a snapshot and in the count of bytes.
pub const COUNTER_SERIES: usize = 100_000;
/// Histogram series in the count of bytes.
pub const HISTOGRAM_SERIES: usize = 200;
/// Values that the error of quantiles is measured with.
pub const QUANTILE_VALUES: usize = 1_000_000;

/// All that was measured of one subject.
pub struct Entry {
    pub name: &'static str,
    pub role: Role,
    pub package: Option<&'static str>,
    pub remarks: &'static [&'static str],
    /// Nanoseconds an operation.
    pub times: HashMap<(Operation, Setting), Summary>,
    /// Milliseconds, for [`COUNTER_SERIES`].
    pub snapshot: Option<Summary>,
    pub snapshot_means: &'static str,
    /// Nanoseconds a line of text, of [`COUNTER_SERIES`].
    pub text: Option<Summary>,
    /// Nanoseconds a series as protobuf, of [`COUNTER_SERIES`].
    pub protobuf: Option<Summary>,
    pub counter_bytes: Option<Bytes>,
    pub histogram_bytes: Option<Bytes>,
    /// An increment by borrowed strings.
    pub allocations: Option<f64>,
    /// Relative, for each of [`QUANTILES`].
    pub quantile_errors: Option<[f64; 4]>,
}

impl Entry {
    fn new(subject: &dyn Subject) -> Self {
        Self {
            name: subject.name(),
            role: subject.role(),
            package: subject.package(),
            remarks: subject.remarks(),
            times: HashMap::new(),
            snapshot: None,
            snapshot_means: "",
            text: None,
            protobuf: None,
            counter_bytes: None,
            histogram_bytes: None,
            allocations: None,
            quantile_errors: None,
        }
    }
}

/// How many threads work, and on what.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Setting {
    OneThread,
    SameSeries,
    DifferentSeries,
}

impl Setting {
    pub const ALL: [Self; 3] = [Self::OneThread, Self::SameSeries, Self::DifferentSeries];

    fn sites(self, threads: usize) -> Vec<Site> {
        match self {
            Self::OneThread => vec![Site { thread: 0, series: 0 }],
            Self::SameSeries => (0..threads).map(|thread| Site { thread, series: 0 }).collect(),
            Self::DifferentSeries => (0..threads).map(|thread| Site { thread, series: thread }).collect(),
        }
    }
}

/// Bytes of one series.
#[derive(Clone, Copy)]
pub struct Bytes {
    /// Touched by one thread.
    pub first: f64,
    /// What a second thread adds; none if it would need a lock.
    pub further: Option<f64>,
}

/// Measures all of it.
pub fn all(subjects: &[Box<dyn Subject>], pool: &Pool, effort: Effort) -> Vec<Entry> {
    let mut entries: Vec<Entry> = subjects.iter().map(|subject| Entry::new(&**subject)).collect();
    memory_and_snapshots(subjects, &mut entries, pool, effort);
    for (subject, entry) in subjects.iter().zip(&mut entries) {
        entry.allocations = allocations(&**subject, pool);
        entry.quantile_errors = quantile_errors(&**subject);
    }
    for operation in Operation::ALL {
        times(operation, subjects, &mut entries, pool, effort);
    }
    entries
}

/// First of all, and with all families kept: no library can build on what it has freed before.
fn memory_and_snapshots(subjects: &[Box<dyn Subject>], entries: &mut [Entry], pool: &Pool, effort: Effort) {
    let mut families = Vec::new();
    let mut histograms = Vec::new();
    for (subject, entry) in subjects.iter().zip(&mut *entries) {
        eprintln!("memory: {}", entry.name);
        let counters = sized(COUNTER_SERIES, pool, || subject.counters(COUNTER_SERIES));
        entry.counter_bytes = counters.as_ref().map(|(bytes, _)| *bytes);
        families.push(counters.map(|(_, family)| family));
        let measured = sized(HISTOGRAM_SERIES, pool, || subject.histograms(HISTOGRAM_SERIES, values::sweep()));
        entry.histogram_bytes = measured.as_ref().map(|(bytes, _)| *bytes);
        histograms.push(measured);
    }
    eprintln!("snapshots");
    snapshots(&mut families, entries, pool, effort);
    eprintln!("text");
    let texts = per_series(&mut families, pool, effort, |family| match &mut family.text {
        Text::None => None,
        Text::Snapshot => Some(&mut family.snapshot),
        Text::Own(text) => Some(text),
    });
    entries.iter_mut().zip(texts).for_each(|(entry, text)| entry.text = text);
    eprintln!("protobuf");
    let messages = per_series(&mut families, pool, effort, |family| family.protobuf.as_mut());
    entries.iter_mut().zip(messages).for_each(|(entry, protobuf)| entry.protobuf = protobuf);
}

/// A family and what it takes, touched by one thread and then by another.
fn sized(series: usize, pool: &Pool, build: impl FnOnce() -> Option<SeriesSet>) -> Option<(Bytes, SeriesSet)> {
    let (set, built) = counted(build);
    let mut set = set?;
    let touch = Arc::new(set.touch);
    let first = built.bytes + touched(&touch, pool, 0);
    let further = set.shared.then(|| touched(&touch, pool, 1));
    set.touch = Box::new(move || touch());
    let per_series = |bytes: i64| bytes as f64 / series as f64;
    Some((Bytes { first: per_series(first), further: further.map(per_series) }, set))
}

/// The bytes that a touch by this thread takes.
fn touched(touch: &Arc<Box<dyn Fn() + Send + Sync>>, pool: &Pool, thread: usize) -> i64 {
    let touch = Arc::clone(touch);
    pool.run(thread, move || counted(|| touch()).1.bytes)
}

fn snapshots(families: &mut [Option<SeriesSet>], entries: &mut [Entry], pool: &Pool, effort: Effort) {
    let mut samples = vec![Vec::new(); families.len()];
    check(families, entries);
    // The first one fills the buffers that are reused.
    for round in 0..=effort.rounds {
        for (family, samples) in families.iter_mut().zip(&mut samples) {
            let elapsed = family.as_mut().map(|family| timed(&mut family.snapshot, pool));
            samples.extend(elapsed.filter(|_| round > 0));
        }
    }
    for ((entry, samples), family) in entries.iter_mut().zip(samples).zip(families) {
        entry.snapshot = (!samples.is_empty()).then(|| Summary::of(samples));
        entry.snapshot_means = family.as_ref().map_or("", |family| family.means);
    }
}

/// Nanoseconds a series of each family's work, if it has such.
fn per_series(
    families: &mut [Option<SeriesSet>],
    pool: &Pool,
    effort: Effort,
    work: fn(&mut SeriesSet) -> Option<&mut Work>,
) -> Vec<Option<Summary>> {
    let mut samples = vec![Vec::new(); families.len()];
    for round in 0..=effort.rounds {
        for (family, samples) in families.iter_mut().zip(&mut samples) {
            let elapsed = family.as_mut().and_then(work).map(|work| timed(work, pool));
            samples.extend(elapsed.filter(|_| round > 0).map(|millis| millis * 1e6 / COUNTER_SERIES as f64));
        }
    }
    samples.into_iter().map(|samples| (!samples.is_empty()).then(|| Summary::of(samples))).collect()
}

/// A snapshot that lacks series would be fast for the wrong reason.
fn check(families: &mut [Option<SeriesSet>], entries: &[Entry]) {
    for (family, entry) in families.iter_mut().zip(entries) {
        let Some(family) = family else { continue };
        let complete = [0, COUNTER_SERIES - 1].map(user).iter().all(|user| (family.holds)(user));
        assert!(complete, "{} does not report all series", entry.name);
    }
}

/// Milliseconds of one call.
fn timed(work: &mut Work, pool: &Pool) -> f64 {
    let mut taken = std::mem::replace(work, Box::new(|| ()));
    let (returned, elapsed) = pool.run(0, move || {
        let start = Instant::now();
        taken();
        let elapsed = start.elapsed();
        (taken, elapsed)
    });
    *work = returned;
    elapsed.as_secs_f64() * 1e3
}

/// By one increment of a series that exists.
fn allocations(subject: &dyn Subject, pool: &Pool) -> Option<f64> {
    const ITERATIONS: u64 = 1_000;
    let mut worker = subject.worker(Operation::DynamicLabels, Site { thread: 0, series: 0 })?;
    Some(pool.run(0, move || {
        worker(ITERATIONS);
        let ((), tally) = counted(|| worker(ITERATIONS));
        tally.allocations as f64 / (ITERATIONS as f64 * OPERATIONS_PER_ITERATION)
    }))
}

fn quantile_errors(subject: &dyn Subject) -> Option<[f64; 4]> {
    let mut values = values::log_normal(QUANTILE_VALUES);
    let estimates = subject.quantiles(&values)?;
    values.sort_by(f64::total_cmp);
    let error = |index: usize| {
        let truth = nearest_rank(&values, QUANTILES[index]);
        ((estimates[index] - truth) / truth).abs()
    };
    Some(std::array::from_fn(error))
}

fn nearest_rank(sorted: &[f64], q: f64) -> f64 {
    let rank = (q * sorted.len() as f64).ceil() as usize;
    sorted[rank.clamp(1, sorted.len()) - 1]
}

/// One operation in all settings, all subjects in turn each round.
fn times(operation: Operation, subjects: &[Box<dyn Subject>], entries: &mut [Entry], pool: &Pool, effort: Effort) {
    eprintln!("time: {operation:?}");
    for setting in Setting::ALL {
        let mut trials: Vec<Option<Trial>> = subjects
            .iter()
            .map(|subject| {
                let trial = workers(&**subject, operation, setting, pool).map(|all| Trial::new(pool, all, effort));
                subject.settle();
                trial
            })
            .collect();
        for _ in 0..effort.rounds {
            for (subject, trial) in subjects.iter().zip(&mut trials) {
                trial.iter_mut().for_each(|trial| trial.round(pool));
                subject.settle();
            }
        }
        for (entry, trial) in entries.iter_mut().zip(trials) {
            entry.times.extend(trial.map(|trial| ((operation, setting), trial.summary())));
        }
    }
}

fn workers(subject: &dyn Subject, operation: Operation, setting: Setting, pool: &Pool) -> Option<Vec<Worker>> {
    setting.sites(pool.threads()).into_iter().map(|site| subject.worker(operation, site)).collect()
}
