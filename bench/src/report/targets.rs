//! What Tachograph means to reach, and whether it does.

use bench_shared::table::Table;

use super::ratios::best_peer;
use super::{Entry, Operation, Role, Setting, figure, worst_error};
use crate::bridge::Bridge;

/// A figure against its limit.
struct Target {
    aim: String,
    reached: Option<f64>,
    unit: &'static str,
    met: bool,
    reason: String,
}

impl Target {
    fn at_most(aim: &str, reached: Option<f64>, limit: f64, unit: &'static str) -> Self {
        let met = reached.is_some_and(|value| value <= limit);
        let reason = match reached {
            None => "not measured".to_owned(),
            Some(_) if limit == 0.0 => String::new(),
            Some(value) => format!("{} times the limit", figure(value / limit)),
        };
        Self { aim: aim.to_owned(), reached, unit, met, reason }
    }

    fn at_least(aim: &str, reached: Option<f64>, limit: f64, unit: &'static str) -> Self {
        let met = reached.is_some_and(|value| value >= limit);
        let reason = reached.map_or("no peer has it".to_owned(), |_| String::new());
        Self { aim: aim.to_owned(), reached, unit, met, reason }
    }

    /// Why not, if not.
    fn because(self, reason: String) -> Self {
        let reason = if self.reason.is_empty() { reason } else { format!("{}; {reason}", self.reason) };
        Self { reason, ..self }
    }
}

pub(super) fn table(own: &Entry, entries: &[Entry], bridge: &Bridge, threads: usize) -> Table {
    let titles = ["reached", "met", "why not"].map(str::to_owned);
    let mut table = Table::of_text("target", titles);
    let groups = [counter(own, entries), histogram(own, entries), labels(own), sharing(own, threads), sizes(own)];
    for target in groups.into_iter().flatten().chain(bridged(bridge)) {
        let reached = target.reached.map_or("–".to_owned(), |value| format!("{}{}", figure(value), target.unit));
        let reason = if target.met { String::new() } else { target.reason };
        table.row(target.aim, [reached, if target.met { "yes" } else { "no" }.to_owned(), reason]);
    }
    table
}

fn counter(own: &Entry, entries: &[Entry]) -> Vec<Target> {
    let time = |entry: &Entry| median(entry, Operation::CounterInc, Setting::OneThread);
    let floors = floors(entries);
    vec![
        Target::at_most("counter inc ≤ 1.2 ns", time(own), 1.2, " ns").because(floors.clone()),
        cheaper("counter inc ≥ 5 times cheaper than the best peer", own, entries, &time, 5.0).because(floors),
    ]
}

fn histogram(own: &Entry, entries: &[Entry]) -> Vec<Target> {
    let time = |entry: &Entry| median(entry, Operation::HistogramRecord, Setting::OneThread);
    let reason = format!("a record updates at least a bucket and a sum; {}", floors(entries));
    vec![
        Target::at_most("histogram record with sum ≤ 3 ns", time(own), 3.0, " ns").because(reason.clone()),
        cheaper("histogram record ≥ 4 times cheaper than the best peer", own, entries, &time, 4.0).because(reason),
    ]
}

fn labels(own: &Entry) -> Vec<Target> {
    let plain = median(own, Operation::CounterInc, Setting::OneThread);
    let bound = median(own, Operation::BoundLabelled, Setting::OneThread);
    let dynamic = median(own, Operation::DynamicLabels, Setting::OneThread);
    vec![
        Target::at_most("bound labelled inc ≤ 1.15 times a plain one", quotient(bound, plain), 1.15, " times"),
        Target::at_most("inc by two borrowed strings ≤ 20 ns", dynamic, 20.0, " ns")
            .because("both names and both values are compared byte for byte, never by their hash alone".to_owned()),
        Target::at_most("… without an allocation", own.allocations, 0.0, "").because("it allocates".to_owned()),
    ]
}

fn sharing(own: &Entry, threads: usize) -> Vec<Target> {
    let alone = median(own, Operation::CounterInc, Setting::OneThread);
    let together = median(own, Operation::CounterInc, Setting::SameSeries);
    let aim = format!("{threads} threads on one counter: each ≤ 1.3 times one thread alone");
    vec![Target::at_most(&aim, quotient(together, alone), 1.3, " times")]
}

fn sizes(own: &Entry) -> Vec<Target> {
    let [counter, histogram] = [own.counter_bytes, own.histogram_bytes];
    let [snapshot, text] = [own.snapshot, own.text].map(|summary| summary.map(|summary| summary.median));
    vec![
        Target::at_most("relative error of quantiles ≤ 0.55 %", worst_error(own), 0.55, " %"),
        Target::at_most(
            "a counter series ≤ 64 bytes + 8 for the thread that touches it",
            counter.map(|bytes| bytes.first),
            72.0,
            " bytes",
        ),
        Target::at_most(
            "… ≤ 64 bytes + 16 for two such threads",
            counter.and_then(|bytes| Some(bytes.first + bytes.further?)),
            80.0,
            " bytes",
        ),
        Target::at_most("a histogram ≤ 8 KiB over 14 octaves", histogram.map(|bytes| bytes.first), 8192.0, " bytes"),
        Target::at_most("… + 8 KiB a further thread", histogram.and_then(|bytes| bytes.further), 8192.0, " bytes"),
        Target::at_most("snapshot of 100,000 series ≤ 5 ms", snapshot, 5.0, " ms"),
        Target::at_most("text for scrapers ≤ 30 ns a line", text, 30.0, " ns"),
    ]
}

fn bridged(bridge: &Bridge) -> Vec<Target> {
    let middleware = bridge.middleware_ns();
    let least = bridge.facade.iter().map(|call| call.peer.median / call.own.median).fold(f64::INFINITY, f64::min);
    vec![
        Target::at_most("middleware adds ≤ 1 µs to a request", Some(middleware), 1_000.0, " ns"),
        Target::at_least(
            "each call of the facade ≥ 1 times cheaper than with the exporter's recorder",
            Some(least),
            1.0,
            " times",
        ),
    ]
}

/// How many times cheaper than the best peer it is.
fn cheaper(aim: &str, own: &Entry, entries: &[Entry], time: &dyn Fn(&Entry) -> Option<f64>, limit: f64) -> Target {
    let best = best_peer(entries, time);
    let target = Target::at_least(aim, quotient(best.map(|(_, value)| value), time(own)), limit, " times");
    match best {
        Some((peer, value)) => target.because(format!("the best peer, {}, takes {} ns", peer.name, figure(value))),
        None => target,
    }
}

/// What the processor itself took in the same run.
fn floors(entries: &[Entry]) -> String {
    let floors: Vec<_> = entries.iter().filter(|entry| entry.role == Role::Floor).collect();
    let time = |floor: &Entry| median(floor, Operation::CounterInc, Setting::OneThread);
    let list: Vec<_> =
        floors.iter().filter_map(|floor| Some(format!("{} {} ns", floor.name, figure(time(floor)?)))).collect();
    let most = floors.iter().filter_map(|floor| time(floor)).fold(0.0, f64::max);
    let least = floors.iter().filter_map(|floor| time(floor)).fold(f64::INFINITY, f64::min);
    format!("the processor itself takes here: {}, a ratio of {}", list.join(" and "), figure(most / least))
}

fn median(entry: &Entry, operation: Operation, setting: Setting) -> Option<f64> {
    entry.times.get(&(operation, setting)).map(|summary| summary.median)
}

fn quotient(value: Option<f64>, by: Option<f64>) -> Option<f64> {
    Some(value? / by?)
}
