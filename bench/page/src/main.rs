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

use options::{Options, Part, Request};
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
    match options::parse() {
        Ok(Request::Measure(options)) => run(&options),
        Ok(Request::Help) => {
            println!("{}", options::HELP);
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("page: {error}\n\n{}", options::HELP);
            ExitCode::from(2)
        }
    }
}

fn run(options: &Options) -> ExitCode {
    let findings = measure(options);
    let document = report::document(&findings, options.effort);
    print!("{document}");
    let Some(path) = &options.write else { return ExitCode::SUCCESS };
    match std::fs::write(path, document) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("page: cannot write {}: {error}", path.display());
            ExitCode::FAILURE
        }
    }
}

#[tokio::main(worker_threads = 2)]
async fn measure(options: &Options) -> Findings {
    let effort = options.effort;
    let mut findings = Findings { browser: shown::browser_version().await.unwrap_or_default(), ..Findings::default() };
    if options.wants(Part::First) {
        findings.first = Some(first::measure(effort).await);
    }
    if options.wants(Part::Peer) {
        findings.peer = Some(peer::measure(effort).await);
    }
    if options.wants(Part::Frames) {
        findings.frames = Some(frames::measure(effort, options.profile.as_deref()).await);
    }
    if options.wants(Part::Memory) {
        findings.memory = Some(memory::measure(effort).await);
    }
    findings
}
