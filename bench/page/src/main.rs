//! Measures how fast the page shows what arrives, what it takes for it, and its charts beside uPlot's. See
//! `--help`.

mod first;
mod frames;
mod memory;
mod options;
mod peer;
mod profile;
mod report;
mod shown;

use std::process::ExitCode;

use bench_shared::command::Options;
use options::{COMMAND, Part};
use shown::with_browser;
use tachograph_tests::Failure;

/// What was asked for and measured, or why it could not be.
#[derive(Default)]
struct Findings {
    browser: String,
    frames: Option<Result<Vec<frames::Findings>, Failure>>,
    memory: Option<Result<Vec<memory::Findings>, Failure>>,
    first: Option<Result<first::Findings, Failure>>,
    peer: Option<Result<peer::Findings, Failure>>,
}

fn main() -> ExitCode {
    COMMAND.run(|options| report::document(&measure(options), options.effort))
}

#[tokio::main(worker_threads = 2)]
async fn measure(options: &Options<Part>) -> Findings {
    let effort = options.effort;
    let browser = with_browser(shown::version).await.unwrap_or_else(|error| error.to_string());
    let mut findings = Findings { browser, ..Findings::default() };
    if options.wants(Part::First) {
        findings.first = Some(with_browser(async |browser| first::measure(browser, effort).await).await);
    }
    if options.wants(Part::Peer) {
        findings.peer = Some(with_browser(async |browser| peer::measure(browser, effort).await).await);
    }
    if options.wants(Part::Frames) {
        findings.frames = Some(frames::measure(effort, options.profile.as_deref()).await);
    }
    if options.wants(Part::Memory) {
        findings.memory = Some(memory::measure(effort).await);
    }
    findings
}
