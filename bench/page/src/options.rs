//! The command line.

use bench_shared::command::Command;

pub const COMMAND: Command<Part> = Command {
    name: "page",
    help: HELP,
    parts: &[("frames", Part::Frames), ("memory", Part::Memory), ("first", Part::First), ("peer", Part::Peer)],
    has_profile: true,
};

const HELP: &str = "\
Measures how fast the page shows what arrives, what it takes for it, and its charts beside uPlot's; prints the
tables as Markdown.

Usage: page [--quick] [--only PART] [--profile FOLDER] [--write PATH]

  --quick           Fewer frames, loads and rounds: figures to look at, not to publish
  --only PART       One of: frames, memory, first, peer
  --profile FOLDER  After the frames of each size, write a profile of some more there, which Chromium's
                    developer tools open, and print where the time went
  --write PATH      Write the document to PATH as well
  --help            Print this

Needs the built page (make page), Chromium with its driver, and for peer what scripts/bench.sh builds.";

/// A part of the measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Frames,
    Memory,
    First,
    Peer,
}
