//! What the page means to reach, and whether it does.

use bench_shared::distribution::Distribution;
use bench_shared::table::{Table, figure, grouped};

use super::{megabytes, name};
use crate::memory::Sample;
use crate::shown::{CASES, Case, HISTORY};
use crate::{Findings, frames};

/// The first load's limit is that of scripts/page-pack.mjs.
const LOAD_BYTES_MAX: f64 = 120_000.0;

/// A figure against its limit.
struct Target {
    aim: String,
    /// The figure with its unit, and whether it is within the limit; None if it was not measured.
    reached: Option<(String, bool)>,
    /// What else is known of it.
    remark: String,
}

pub(super) fn table(findings: &Findings) -> Table {
    let mut table = Table::of_text("target", ["reached", "met", "remark"].map(str::to_owned));
    let paintings = [(CASES[1], 8.0), (CASES[2], 16.0)].map(|(case, limit)| painting(findings, case, limit));
    let others = [long_tasks(findings), memory(findings), first(findings), bytes(findings)];
    for Target { aim, reached, remark } in paintings.into_iter().chain(others) {
        let (reached, met) = match reached {
            Some((reached, met)) => (reached, if met { "yes" } else { "no" }),
            None => ("–".to_owned(), "not measured"),
        };
        table.row(aim, [reached, met.to_owned(), remark]);
    }
    table
}

fn of_frames(findings: &Findings, case: Case) -> Option<&frames::Findings> {
    findings.frames.iter().flatten().flatten().find(|found| found.case == case)
}

fn painting(findings: &Findings, case: Case, limit: f64) -> Target {
    let found = of_frames(findings, case);
    let remark = |found: &frames::Findings| {
        let times = &found.times;
        let [median, most] = [times.work.quantile(0.5), times.work.most()].map(figure);
        let [painted, rendered] = [&times.painted, &times.rendered].map(|times| figure(times.quantile(0.99)));
        format!(
            "taking and painting, of {} frames with {} charts in sight; p50 {median}, worst {most}. With the wait for \
             the screen's next refresh, which is up to 16.7 ms, p99 is {painted} ms, and {rendered} ms until the \
             browser has rendered it",
            found.times.work.count(),
            found.charts,
        )
    };
    Target {
        aim: format!("frame to paint ≤ {limit:.0} ms at {}, p99", name(case)),
        reached: found.map(|found| at_most(found.times.work.quantile(0.99), limit, "ms")),
        remark: found.map_or_else(String::new, remark),
    }
}

fn long_tasks(findings: &Findings) -> Target {
    let all: Vec<&Distribution> = findings.frames.iter().flatten().flatten().map(|found| &found.long_tasks).collect();
    let count = all.iter().map(|tasks| tasks.count()).sum::<usize>();
    let longest = all.iter().map(|tasks| tasks.most()).fold(0.0, f64::max);
    Target {
        aim: "no task over 50 ms while frames come".to_owned(),
        reached: (!all.is_empty()).then(|| (count.to_string(), count == 0)),
        remark: if count > 0 { format!("the longest {longest:.0} ms") } else { String::new() },
    }
}

fn memory(findings: &Findings) -> Target {
    let found = findings.memory.iter().flatten().flatten().find(|found| found.case == CASES[2]);
    let window = found.and_then(|found| found.samples.iter().rfind(|sample| sample.frames <= HISTORY));
    let remark = |found: &[Sample]| {
        let most = found.iter().map(|sample| sample.wasm).fold(0.0, f64::max);
        let last = found.last().map_or(0, |sample| sample.frames);
        format!("at most {} MB over {} frames", figure(megabytes(most)), grouped(last as usize))
    };
    Target {
        aim: "≤ 40 MB of wasm memory at 10,000 series over 15 minutes".to_owned(),
        reached: window.map(|sample| at_most(megabytes(sample.wasm), 40.0, "MB")),
        remark: found.map_or_else(String::new, |found| remark(&found.samples)),
    }
}

fn first(findings: &Findings) -> Target {
    let found = findings.first.iter().flatten().next();
    Target {
        aim: "first figures with the history ≤ 500 ms, 15 minutes of 1,000 series, worst".to_owned(),
        reached: found.map(|found| at_most(found.whole.most(), 500.0, "ms")),
        remark: found.map_or_else(String::new, |found| {
            let [first, whole] = [&found.first, &found.whole].map(|times| figure(times.quantile(0.5)));
            let loads = found.first.count();
            format!("of {loads} loads; median {whole} ms with all the history, {first} ms to the first figures")
        }),
    }
}

fn bytes(findings: &Findings) -> Target {
    let found = findings.first.iter().flatten().next();
    let reached = |bytes: u64| (format!("{} bytes", grouped(bytes as usize)), bytes as f64 <= LOAD_BYTES_MAX);
    Target {
        aim: format!("first load ≤ {} bytes in Brotli", grouped(LOAD_BYTES_MAX as usize)),
        reached: found.map(|found| reached(found.bytes)),
        remark: String::new(),
    }
}

fn at_most(value: f64, limit: f64, unit: &str) -> (String, bool) {
    (format!("{} {unit}", figure(value)), value <= limit)
}
