//! The built program with thousands of viewers, and with a page.

use bench_shared::distribution::Distribution;
use bench_shared::table::{Table, figure};

use super::grouped;
use crate::viewers::{SERIES, Viewing};
use crate::{Failure, arrival, viewers};

pub(super) fn viewers(findings: &Result<viewers::Findings, Failure>) -> String {
    let findings = match findings {
        Ok(findings) => findings,
        Err(error) => return format!("## Viewers\n\nNot measured: {error}."),
    };
    let mut parts = vec![format!("## Viewers\n\n{}", explanation(findings))];
    let viewings: Vec<&Viewing> = findings.viewings.iter().filter_map(|viewing| viewing.as_ref().ok()).collect();
    if !viewings.is_empty() {
        parts.push(viewer_table(&viewings).render());
    }
    let failures = findings.viewings.iter().filter_map(|viewing| viewing.as_ref().err());
    parts.extend(failures.map(|error| format!("One of them was not measured: {error}.")));
    parts.join("\n\n")
}

fn explanation(findings: &viewers::Findings) -> String {
    let seconds = findings.seconds;
    let series =
        if findings.rehearsed { format!("about {SERIES} series beside its own") } else { "its own series".to_owned() };
    format!(
        "The built program with {series}, and viewers on loopback connections, all in one thread of the bench on the \
         same cores. Over {seconds} s, from 5 s after the last one is connected.\n\n\
         - Delivery is from the tick's time in the frame, in whole ms, to when the bench has read the frame; over all \
         viewers and ticks, and of each tick the last viewer's.\n\
         - CPU is user and system time in per cent of one core. What the viewers take is the bench's own.\n\
         - Memory is the server's resident memory after less that before, by viewers: it is without what the kernel \
         holds for their sockets.",
    )
}

fn viewer_table(viewings: &[&Viewing]) -> Table {
    let titles = [
        "p50 (ms)",
        "p99 (ms)",
        "worst (ms)",
        "last viewer, median tick (ms)",
        "missing",
        "bytes a tick",
        "server CPU (%)",
        "viewers' CPU (%)",
        "bytes of memory a viewer",
    ];
    let mut table = Table::new("viewers", titles.map(str::to_owned));
    for viewing in viewings {
        let Viewing { delivery, last, .. } = viewing;
        let delays = [delivery.quantile(0.5), delivery.quantile(0.99), delivery.most(), last.quantile(0.5)];
        let rest = [viewing.tick_bytes, viewing.server_cpu, viewing.bench_cpu];
        let missing = grouped(viewing.missing);
        let cells = delays.map(figure).into_iter().chain([missing]).chain(rest.map(figure));
        let cells = cells.chain([grouped(viewing.bytes_each.max(0.0).round() as usize)]);
        table.row(format!("{}, {}", grouped(viewing.viewers), viewing.transport.name()), cells.collect::<Vec<_>>());
    }
    table
}

pub(super) fn arrival(findings: &Result<arrival::Findings, Failure>) -> String {
    match findings {
        Ok(findings) => {
            let text = arrival_explanation(findings);
            format!("## Arrival\n\n{text}\n\n{}", arrival_table(&findings.delays).render())
        }
        Err(error) => format!("## Arrival\n\nNot measured: {error}."),
    }
}

fn arrival_explanation(findings: &arrival::Findings) -> String {
    format!(
        "From a session's start or end to when the page has it, in ms: {} s of sessions that come and go at random \
         moments, in {}. A tick is a second, so that half a second is what waiting for it takes on average, and a \
         second at most.",
        findings.seconds, findings.browser,
    )
}

fn arrival_table(delays: &Distribution) -> Table {
    let mut table = Table::new("events", ["p50", "p99", "worst"].map(str::to_owned));
    let cells = [0.5, 0.99, 1.0].map(|q| figure(delays.quantile(q)));
    table.row(grouped(delays.count()), cells);
    table
}
