//! The command line.

use bench_shared::command::Command;

pub const COMMAND: Command<()> = Command { name: "bench", help: HELP, parts: &[], has_profile: false };

const HELP: &str = "\
Measures Tachograph beside other metrics libraries and prints the tables as Markdown.

Usage: bench [--quick] [--write PATH]

  --quick        Fewer and shorter rounds: figures to look at, not to publish
  --write PATH   Write the document to PATH as well
  --help         Print this";
