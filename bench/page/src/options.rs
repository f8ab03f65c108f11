//! The command line.

use std::path::PathBuf;

use lexopt::prelude::*;

pub const HELP: &str = "\
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
    pub profile: Option<PathBuf>,
    pub write: Option<PathBuf>,
}

/// How long and how often is measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Effort {
    #[default]
    Full,
    Quick,
}

impl Effort {
    pub fn of<T>(self, full: T, quick: T) -> T {
        match self {
            Self::Full => full,
            Self::Quick => quick,
        }
    }
}

/// A part of the measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Frames,
    Memory,
    First,
    Peer,
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
            Long("profile") => options.profile = Some(parser.value()?.into()),
            Long("write") => options.write = Some(parser.value()?.into()),
            Long("help") | Short('h') => return Ok(Request::Help),
            other => return Err(other.unexpected()),
        }
    }
    Ok(Request::Measure(options))
}

fn part(name: &str) -> Result<Part, &'static str> {
    match name {
        "frames" => Ok(Part::Frames),
        "memory" => Ok(Part::Memory),
        "first" => Ok(Part::First),
        "peer" => Ok(Part::Peer),
        _ => Err("there is no such part"),
    }
}
