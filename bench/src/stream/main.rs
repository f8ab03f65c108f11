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

use bench_shared::command::Options;
use bench_shared::random;

use options::{COMMAND, Part};

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
    COMMAND.run(|options| report::document(&measure(options), options.effort))
}

/// Speed first, while little memory was used.
fn measure(options: &Options<Part>) -> Findings {
    let effort = options.effort;
    Findings {
        speed: options.wants(Part::Speed).then(|| speed::measure(effort)),
        bytes: options.wants(Part::Bytes).then(|| bytes::measure(effort)),
        viewers: options.wants(Part::Viewers).then(|| viewers::measure(effort)),
        arrival: options.wants(Part::Arrival).then(|| arrival::measure(effort)),
    }
}
