//! The command line that the programs share, and where their documents go.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use lexopt::prelude::*;

/// A program that measures and writes a document about it.
pub struct Command<P: 'static> {
    pub name: &'static str,
    pub help: &'static str,
    /// What `--only` takes.
    pub parts: &'static [(&'static str, P)],
    /// Whether it takes `--profile`.
    pub has_profile: bool,
}

/// What is asked for.
pub struct Options<P> {
    pub effort: Effort,
    /// All parts if there is none.
    pub only: Option<P>,
    pub profile: Option<PathBuf>,
    write: Option<PathBuf>,
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

impl<P: Copy + PartialEq> Options<P> {
    pub fn wants(&self, part: P) -> bool {
        self.only.is_none_or(|only| only == part)
    }
}

impl<P: Copy> Command<P> {
    /// Does what the command line asks for; `measure` returns the document.
    pub fn run(&self, measure: impl FnOnce(&Options<P>) -> String) -> ExitCode {
        match self.parse() {
            Ok(Some(options)) => self.publish(&measure(&options), options.write.as_deref()),
            Ok(None) => {
                println!("{}", self.help);
                ExitCode::SUCCESS
            }
            Err(error) => {
                eprintln!("{}: {error}\n\n{}", self.name, self.help);
                ExitCode::from(2)
            }
        }
    }

    /// None where help is asked for.
    fn parse(&self) -> Result<Option<Options<P>>, lexopt::Error> {
        let mut options = Options { effort: Effort::Full, only: None, profile: None, write: None };
        let mut parser = lexopt::Parser::from_env();
        while let Some(argument) = parser.next()? {
            match argument {
                Long("quick") => options.effort = Effort::Quick,
                Long("only") if !self.parts.is_empty() => {
                    options.only = Some(parser.value()?.parse_with(|name| self.part(name))?);
                }
                Long("profile") if self.has_profile => options.profile = Some(parser.value()?.into()),
                Long("write") => options.write = Some(parser.value()?.into()),
                Long("help") | Short('h') => return Ok(None),
                other => return Err(other.unexpected()),
            }
        }
        Ok(Some(options))
    }

    fn part(&self, name: &str) -> Result<P, &'static str> {
        let found = self.parts.iter().find(|(held, _)| *held == name);
        found.map(|(_, part)| *part).ok_or("there is no such part")
    }

    fn publish(&self, document: &str, write: Option<&Path>) -> ExitCode {
        print!("{document}");
        let Some(path) = write else { return ExitCode::SUCCESS };
        match std::fs::write(path, document) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{}: cannot write {}: {error}", self.name, path.display());
                ExitCode::FAILURE
            }
        }
    }
}
