//! The command line.

use bench_shared::command::Command;

pub const COMMAND: Command<Part> = Command {
    name: "stream",
    help: HELP,
    parts: &[("bytes", Part::Bytes), ("speed", Part::Speed), ("viewers", Part::Viewers), ("arrival", Part::Arrival)],
    has_profile: false,
};

const HELP: &str = "\
Measures Tachograph's stream beside other formats and prints the tables as Markdown.

Usage: stream [--quick] [--only PART] [--write PATH]

  --quick        Fewer ticks, rounds and seconds: figures to look at, not to publish
  --only PART    One of: bytes, speed, viewers, arrival
  --write PATH   Write the document to PATH as well
  --help         Print this

viewers and arrival need the built program (make build), arrival and the wasm part of speed Chromium with its
driver, and the latter what scripts/bench.sh builds.";

/// A part of the measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Bytes,
    Speed,
    Viewers,
    Arrival,
}
