//! The document: tables in Markdown.

mod tables;
mod targets;

use std::fmt::Write;

use bench_shared::machine;
use bench_shared::table::grouped;
use tachograph_tests::Failure;

use crate::Findings;
use crate::shown::{Case, HEIGHT, WIDTH};
use bench_shared::command::Effort;

/// All of it.
pub fn document(findings: &Findings, effort: Effort) -> String {
    let mut sections = vec![format!("# Page benchmarks\n\n{}", introduction(findings, effort))];
    sections.push(format!("## Targets\n\n{}", targets::table(findings).render()));
    sections.extend(section("Frame to paint", findings.frames.as_ref(), |found| tables::frames(found)));
    sections.extend(section("Memory", findings.memory.as_ref(), |found| tables::memory(found)));
    sections.extend(section("First figures", findings.first.as_ref(), tables::first));
    sections.extend(section("Charts beside uPlot's", findings.peer.as_ref(), tables::peer));
    sections.join("\n\n") + "\n"
}

fn introduction(findings: &Findings, effort: Effort) -> String {
    let [processor, date] = [machine::processor(), machine::date()];
    let (cores, browser) = (machine::cores(), &findings.browser);
    let mut text = format!(
        "The built page in a browser, measured by `bench/page` on {date}: {processor}, {cores} cores, {browser}, \
         headless, drawing without a graphics card, {WIDTH} by {HEIGHT} pixels. The service behind it is simulated \
         in the bench's own process, which shares the cores with the browser. Times are noisy where a machine is \
         shared: medians and ratios hold from run to run, what is beyond p99 does not.",
    );
    if effort == Effort::Quick {
        let _always_ok = write!(text, " Quick: figures to look at, not to publish.");
    }
    text
}

/// Of a part that was asked for.
fn section<T>(title: &str, found: Option<&Result<T, Failure>>, text: impl FnOnce(&T) -> String) -> Option<String> {
    let text = match found? {
        Ok(found) => text(found),
        Err(error) => format!("Not measured: {error}."),
    };
    Some(format!("## {title}\n\n{text}"))
}

fn name(case: Case) -> String {
    match case.page {
        "sessions" => format!("{} sessions, {} series", grouped(case.sessions), grouped(case.series)),
        _ => format!("{} series", grouped(case.series)),
    }
}

fn megabytes(bytes: f64) -> f64 {
    bytes / 1e6
}
