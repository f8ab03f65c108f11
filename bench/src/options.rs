//! The command line.

use std::path::PathBuf;

use lexopt::prelude::*;

use crate::harness::Effort;

pub const HELP: &str = "\
Measures Tachograph beside other metrics libraries and prints the tables as Markdown.

Usage: bench [--quick] [--write PATH]

  --quick        Fewer and shorter rounds: figures to look at, not to publish
  --write PATH   Write the document to PATH as well
  --help         Print this";

/// What is asked for.
pub enum Request {
    Measure(Options),
    Help,
}

pub struct Options {
    pub effort: Effort,
    pub write: Option<PathBuf>,
}

pub fn parse() -> Result<Request, lexopt::Error> {
    let mut options = Options { effort: Effort::FULL, write: None };
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("quick") => options.effort = Effort::QUICK,
            Long("write") => options.write = Some(parser.value()?.into()),
            Long("help") | Short('h') => return Ok(Request::Help),
            other => return Err(other.unexpected()),
        }
    }
    Ok(Request::Measure(options))
}
