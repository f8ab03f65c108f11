//! The command line.

use std::path::PathBuf;

use lexopt::prelude::*;

pub const HELP: &str = "\
Measures Tachograph's stream beside other formats and prints the tables as Markdown.

Usage: stream [--quick] [--only PART] [--write PATH]

  --quick        Fewer ticks, rounds and seconds: figures to look at, not to publish
  --only PART    One of: bytes, speed, viewers, arrival
  --write PATH   Write the document to PATH as well
  --help         Print this

viewers and arrival need the built program (make build), arrival and the wasm part of speed Chromium with its
driver, and the latter what scripts/bench.sh builds.";

/// What is asked for.
pub enum Request {
    Measure(Options),
    Help,
}

#[derive(Default)]
pub struct Options {
    pub effort: Effort,
    /// All if there is none.
    pub only: Option<Part>,
    pub write: Option<PathBuf>,
}

/// How long and how often is measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Effort {
    #[default]
    Full,
    Quick,
}

/// A part of the measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Bytes,
    Speed,
    Viewers,
    Arrival,
}

impl Options {
    pub fn wants(&self, part: Part) -> bool {
        self.only.is_none_or(|only| only == part)
    }
}

pub fn parse() -> Result<Request, lexopt::Error> {
    let mut options = Options::default();
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("quick") => options.effort = Effort::Quick,
            Long("only") => options.only = Some(parser.value()?.parse_with(part)?),
            Long("write") => options.write = Some(parser.value()?.into()),
            Long("help") | Short('h') => return Ok(Request::Help),
            other => return Err(other.unexpected()),
        }
    }
    Ok(Request::Measure(options))
}

fn part(name: &str) -> Result<Part, &'static str> {
    match name {
        "bytes" => Ok(Part::Bytes),
        "speed" => Ok(Part::Speed),
        "viewers" => Ok(Part::Viewers),
        "arrival" => Ok(Part::Arrival),
        _ => Err("there is no such part"),
    }
}
