//! Measures Tachograph's stream beside other formats, in bytes and in time, and as a whole. See `--help`.

mod arrival;
mod browser;
mod bytes;
mod dataset;
mod loops;
mod options;
mod ours;
mod peers;
mod process;
mod report;
mod speed;
mod viewers;
mod wasm;

use std::process::ExitCode;

use bench_shared::random;

use options::{Options, Part, Request};

/// Anything that is not as it should be.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// What was asked for and measured, or why it could not be.
#[derive(Default)]
struct Findings {
    bytes: Option<bytes::Findings>,
    speed: Option<speed::Findings>,
    viewers: Option<Result<viewers::Findings, Failure>>,
    arrival: Option<Result<arrival::Findings, Failure>>,
}

fn main() -> ExitCode {
    match options::parse() {
        Ok(Request::Measure(options)) => run(&options),
        Ok(Request::Help) => {
            println!("{}", options::HELP);
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("stream: {error}\n\n{}", options::HELP);
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
            eprintln!("stream: cannot write {}: {error}", path.display());
            ExitCode::FAILURE
        }
    }
}

/// Speed first, while little memory was used.
fn measure(options: &Options) -> Findings {
    let effort = options.effort;
    Findings {
        speed: options.wants(Part::Speed).then(|| speed::measure(effort)),
        bytes: options.wants(Part::Bytes).then(|| bytes::measure(effort)),
        viewers: options.wants(Part::Viewers).then(|| viewers::measure(effort)),
        arrival: options.wants(Part::Arrival).then(|| arrival::measure(effort)),
    }
}
