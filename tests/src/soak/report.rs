use std::fmt::{self, Write};
use std::time::Duration;

use tachograph_core::snapshot::RegistrySnapshot;
use tachograph_core::wire::ErrorCode;

use super::auditor::{Audited, Missed};
use super::canary::Stall;
use super::ledger::{Books, Ledger};
use super::log::Complaints;
use super::resources::Resources;
use super::{ADMITTED, Options, READERS, SESSIONS, TOLD_WITHIN, VIEWERS};
use crate::client::quantile;

/// Counters that must be 0 in the end: nothing of the server's own failed, and nothing was left out that the books
/// need.
const ZERO: [&str; 4] = [
    "tachograph_observer_failures",
    "tachograph_events_dropped",
    "tachograph_receipts_left_out",
    "tachograph_ticks_stuck",
];
/// Whose restarts are rehearsed.
const RESTARTS_REHEARSED: &str = "tachograph_provider_restarts";
/// From rest after the warm-up to rest after the end. The history (8 MB) is as full as it gets both times, but not of
/// the same frames; and the allocator gives back to the system only what is free at the end of an arena, of which
/// each thread that ever ran has one.
const GROWTH_MAX_BYTES: u64 = 16_000_000;
/// A stall is no excuse unless it was at least half of the second that a missed tick is late by.
const STALL_THAT_EXCUSES: Duration = Duration::from_millis(500);
const MEGABYTE: f64 = 1e6;

/// What came out, and whether it is as it must be.
#[derive(Debug)]
pub struct Report {
    title: String,
    figures: Vec<(&'static str, String)>,
    checks: Vec<Check>,
}

#[derive(Debug)]
struct Check {
    law: &'static str,
    holds: bool,
    evidence: String,
}

impl Report {
    pub(super) fn new(options: Options, ledger: &Ledger, audited: &Audited) -> Self {
        let Options { duration, seed } = options;
        let title = format!("{:.1} minutes, seed {seed}", duration.as_secs_f64() / 60.0);
        let books = ledger.books();
        let deeds: Vec<String> = books.deeds.iter().map(|(deed, count)| format!("{deed} {count}")).collect();
        let received: u64 = audited.totals.values().map(|totals| totals.bytes_received).sum();
        let figures = vec![
            (
                "at once",
                format!(
                    "{ADMITTED} sessions that stay, {SESSIONS} that come and go, {VIEWERS} viewers, {READERS} readers"
                ),
            ),
            ("sessions", format!("{} started, {} receipts", audited.sessions_started, audited.receipts)),
            ("audio received", format!("{:.1} MB", received as f64 / MEGABYTE)),
            ("frames of the stream", audited.frames.to_string()),
            ("what was done", deeds.join(", ")),
        ];
        drop(books);
        Self { title, figures, checks: Vec::new() }
    }

    /// Notes that something must be so.
    pub(super) fn check(&mut self, law: &'static str, holds: bool, evidence: String) {
        self.checks.push(Check { law, holds, evidence });
    }

    fn check_same(&mut self, law: &'static str, pairs: &[(String, u64, u64)]) {
        let wrong: Vec<String> =
            pairs.iter().filter(|(_, a, b)| a != b).map(|(what, a, b)| format!("{what}: {a} and {b}")).collect();
        let same = || pairs.iter().map(|(what, a, _)| format!("{what} {a}")).collect::<Vec<_>>().join(", ");
        self.check(law, wrong.is_empty(), if wrong.is_empty() { same() } else { wrong.join("; ") });
    }

    pub(super) fn check_ledger(&mut self, ledger: &Ledger, audited: &Audited, registry: &RegistrySnapshot) {
        let books = ledger.books();
        let counter = |name| registry.counter(name, &[]).unwrap_or_default();
        let gauge = |name| registry.gauge(name, &[]).unwrap_or_default();
        self.check(
            "what clients sent is what their receipts say, and all of it was processed or dropped",
            books.failures.is_empty() && books.receipts > 0,
            match &*books.failures {
                [] => format!("{} receipts, {:.1} MB", books.receipts, books.bytes_compared as f64 / MEGABYTE),
                failures => failures.join("; "),
            },
        );
        self.check(
            "every session's receipt in the stream balances, and none is missing",
            audited.faults.is_empty()
                && audited.events_dropped == 0
                && audited.sessions_started > 0
                && audited.sessions_started == audited.receipts,
            match &*audited.faults {
                [] => format!("{} sessions, {} receipts", audited.sessions_started, audited.receipts),
                faults => faults.join("; "),
            },
        );
        let mut pairs = Vec::new();
        for (source, totals) in &audited.totals {
            for (name, total) in totals.by_counter() {
                let counted = registry.counter(name, &[("source", source.as_str())]).unwrap_or_default();
                pairs.push((format!("{name}{{{source}}}"), total, counted));
            }
        }
        self.check_same("all receipts together are what the registry counted", &pairs);
        self.check_connections(&books, &counter);
        let left =
            ["active_sessions", "tachograph_viewers", "tachograph_subscriptions"].map(|name| (name, gauge(name)));
        self.check("nobody is left", left.iter().all(|(_, count)| *count == 0.0), format!("{left:?}"));
        self.check_refusals(&books, registry);
        let conflated = counter("tachograph_metrics_conflated");
        self.check(
            "numbers of messages are left out only where metrics were conflated",
            books.skipped <= conflated,
            format!("{} left out of those read, {conflated} conflated", books.skipped),
        );
        self.check_zero(registry);
    }

    fn check_connections(&mut self, books: &Books, counter: &impl Fn(&'static str) -> u64) {
        let (connected, disconnected) = (counter("ws_connections_total"), counter("ws_disconnects_total"));
        self.check(
            "every connection was counted, and its end",
            connected == disconnected && books.connections <= connected && connected <= books.upgrades,
            format!(
                "{connected} connections, {disconnected} ends; clients made {} and heard of {}",
                books.upgrades, books.connections
            ),
        );
    }

    fn check_refusals(&mut self, books: &Books, registry: &RegistrySnapshot) {
        let counted = |code: ErrorCode| match code {
            ErrorCode::AtCapacity => registry.counter("tachograph_sessions_refused", &[]),
            code => registry.counter("tachograph_protocol_errors", &[("code", code.as_str())]),
        };
        // The others were told by a session, not by its connection.
        let told = books.errors.iter().filter(|(code, _)| **code != ErrorCode::ProviderFailed);
        let all: Vec<_> =
            told.map(|(code, heard)| (code.as_str(), *heard, counted(*code).unwrap_or_default())).collect();
        // Who goes before the answer does not hear it.
        let holds = !all.is_empty() && all.iter().all(|(_, heard, counted)| heard <= counted);
        let evidence = all.iter().map(|(code, heard, counted)| format!("{code} {heard} heard, {counted} counted"));
        self.check("every refusal was counted", holds, evidence.collect::<Vec<_>>().join(", "));
    }

    fn check_zero(&mut self, registry: &RegistrySnapshot) {
        let is_to_be_zero =
            |name: &str| ZERO.contains(&name) || (name.ends_with("_restarts") && name != RESTARTS_REHEARSED);
        let counted =
            registry.all_series().filter(|(family, _)| is_to_be_zero(family.name())).map(|(family, series)| {
                let labels: Vec<_> = family.labels(series).collect();
                (format!("{}{labels:?}", family.name()), series.value.counter().unwrap_or_default())
            });
        let counted: Vec<(String, u64)> = counted.collect();
        let holds = counted.len() >= ZERO.len() && counted.iter().all(|(_, count)| *count == 0);
        self.check("nothing of the server's own was restarted, stuck or left out", holds, format!("{counted:?}"));
    }

    pub(super) fn check_ticks(&mut self, ledger: &Ledger, audited: &Audited, stalls: &[Stall]) {
        let books = ledger.books();
        let mut columns =
            [0, 1].map(|column| books.tick_errors.iter().map(|errors| errors[column]).collect::<Vec<_>>());
        let [by_time, by_arrival] = columns.each_mut().map(|errors| {
            let [p50, p99, max] = [0.5, 0.99, 1.0].map(|share| quantile(errors, share) * 1e3);
            format!("p50 {p50:.1}, p99 {p99:.1}, max {max:.1} ms")
        });
        let ticks = books.tick_errors.len();
        self.figures.push((
            "ticks of those that stay, off from a second",
            format!("{ticks} ticks: {by_time}; as they arrive: {by_arrival}"),
        ));
        self.figures.push(("longest stall of the machine", longest(stalls)));
        self.check("those that stay got their ticks", ticks > ADMITTED, format!("{ticks} gaps between ticks"));
        let (mut excused, mut unexcused) = (Vec::new(), Vec::new());
        for missed in &audited.missed {
            let Missed { counter, ticks, .. } = missed;
            match excuse(missed, stalls) {
                Some(stall) => excused.push(format!("{counter} +{ticks}, the machine stood for {:?}", stall.length)),
                None => unexcused.push(format!("{counter} +{ticks}")),
            }
        }
        let evidence = match (&*unexcused, &*excused) {
            ([], []) => "none was missed".to_owned(),
            ([], excused) => excused.join("; "),
            (unexcused, _) => format!("{}; longest stall: {}", unexcused.join("; "), longest(stalls)),
        };
        self.check("no tick was missed that the machine did not cause", unexcused.is_empty(), evidence);
    }

    pub(super) fn check_resources(&mut self, [fresh, warm, rest]: &[Resources; 3], under_load: &[u64]) {
        let row = |what: &dyn Fn(&Resources) -> u64| format!("{}, {}, {}", what(fresh), what(warm), what(rest));
        let megabytes = [fresh, warm, rest].map(|at| format!("{:.1}", at.resident_bytes as f64 / MEGABYTE)).join(", ");
        self.figures.push(("memory in MB: fresh, at rest after the warm-up, at rest after the end", megabytes));
        let quarter = under_load.len().div_ceil(4);
        let median =
            |samples: &[u64]| quantile(&mut samples.iter().map(|bytes| *bytes as f64).collect::<Vec<_>>(), 0.5);
        let (first, last) = (
            median(&under_load[..quarter.min(under_load.len())]),
            median(&under_load[under_load.len().saturating_sub(quarter)..]),
        );
        self.figures.push((
            "memory under load, medians of the first and the last quarter",
            format!("{:.1} and {:.1} MB", first / MEGABYTE, last / MEGABYTE),
        ));
        let rests = [
            ("tasks are back at their start", row(&|at| at.tasks), rest.tasks <= fresh.tasks),
            ("threads are back at their start", row(&|at| at.threads), rest.threads <= fresh.threads),
            ("descriptors are back at their start", row(&|at| at.descriptors), rest.descriptors <= fresh.descriptors),
        ];
        for (law, counts, is_back) in rests {
            self.check(law, is_back, format!("{counts}: fresh, after the warm-up, after the end"));
        }
        let growth = rest.resident_bytes.saturating_sub(warm.resident_bytes);
        self.check(
            "memory is back at what it was after the warm-up, and level under load",
            growth <= GROWTH_MAX_BYTES && last - first <= GROWTH_MAX_BYTES as f64,
            format!("{:.1} MB more, {:.1} MB more under load", growth as f64 / MEGABYTE, (last - first) / MEGABYTE),
        );
    }

    pub(super) fn check_log(&mut self, log: &Complaints) {
        let Complaints { lines, panics_rehearsed, unexpected } = log;
        self.figures
            .push(("lines of the log", format!("{lines:?}, {panics_rehearsed} panics rehearsed by the provider")));
        let evidence = if unexpected.is_empty() { "none".to_owned() } else { unexpected.join("; ") };
        self.check("no panic, no error in the log that was not rehearsed", unexpected.is_empty(), evidence);
    }

    /// Whether all is as it must be.
    pub fn holds(&self) -> bool {
        self.checks.iter().all(|check| check.holds)
    }

    /// As a section of a document.
    pub fn to_markdown(&self, date: &str) -> String {
        let separator = if date.is_empty() { "" } else { ", " };
        let mut text = format!("{date}{separator}{}.\n\n| figure | value |\n| --- | --- |\n", self.title);
        // Writing to a string cannot fail.
        let _always_ok = self.write_rows(&mut text);
        text
    }

    fn write_rows(&self, out: &mut impl Write) -> fmt::Result {
        self.figures.iter().try_for_each(|(name, value)| writeln!(out, "| {name} | {value} |"))?;
        writeln!(out, "\n| must hold | holds | evidence |\n| --- | --- | --- |")?;
        self.checks.iter().try_for_each(|Check { law, holds, evidence }| {
            writeln!(out, "| {law} | {} | {evidence} |", if *holds { "yes" } else { "NO" })
        })
    }
}

fn excuse<'a>(missed: &Missed, stalls: &'a [Stall]) -> Option<&'a Stall> {
    let is_near = |stall: &&Stall| {
        stall.end <= missed.heard + STALL_THAT_EXCUSES && missed.heard.duration_since(stall.end) <= TOLD_WITHIN
    };
    stalls.iter().filter(is_near).find(|stall| stall.length >= STALL_THAT_EXCUSES)
}

fn longest(stalls: &[Stall]) -> String {
    let longest = stalls.iter().map(|stall| stall.length).max();
    longest.map_or_else(|| "none above 100 ms".into(), |length| format!("{:.0} ms", length.as_secs_f64() * 1e3))
}
