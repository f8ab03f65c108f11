use std::fmt;

use crate::cli::shown;

/// Errors of a file that are told one by one; beyond it only their number is.
const ERRORS_MAX: usize = 100;
/// Of a message no more characters are told: keys and values can be of any length.
const CHARACTERS_MAX: usize = 300;

/// What is wrong in a configuration, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) struct ConfigError {
    /// Nowhere, if it is not of one place.
    pub(super) place: Option<Place>,
    what: String,
}

/// Counted from 1, as editors do; columns are characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) line: usize,
    pub(super) column: usize,
}

impl ConfigError {
    pub(super) fn new(place: Option<Place>, what: &str) -> Self {
        Self { place, what: printable(what) }
    }

    /// As it is told: `FILE:LINE:COLUMN: what is wrong; what to do`.
    pub(super) fn told_of(&self, file: &str) -> String {
        format!("{}{self}", printable(file))
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, what } = self;
        match place {
            Some(Place { line, column }) => write!(f, ":{line}:{column}: {what}"),
            None => write!(f, ": {what}"),
        }
    }
}

/// Nothing that a terminal would obey, and not too much of it.
pub(super) fn printable(text: &str) -> String {
    match text.char_indices().nth(CHARACTERS_MAX) {
        Some((end, _)) => format!("{}…", shown::text(&text[..end])),
        None => shown::text(text).to_string(),
    }
}

/// Errors by where in the text they are, as bytes from its begin.
#[derive(Debug, Default)]
pub(super) struct Errors {
    listed: Vec<(usize, String)>,
    more: usize,
}

impl Errors {
    pub(super) fn push(&mut self, at: usize, what: impl Into<String>) {
        if self.is_full() {
            self.more += 1;
        } else {
            self.listed.push((at, what.into()));
        }
    }

    /// Whether what comes now is only counted.
    pub(super) fn is_full(&self) -> bool {
        self.listed.len() >= ERRORS_MAX
    }

    /// In the order of the text.
    pub(super) fn told(mut self, lines: &Lines<'_>) -> Vec<ConfigError> {
        self.listed.sort_by_key(|(at, _)| *at);
        let told = self.listed.iter().map(|(at, what)| ConfigError::new(Some(lines.place(*at)), what));
        let more = (self.more > 0).then(|| {
            let more = self.more;
            ConfigError::new(None, &format!("{more} more errors; mend these first"))
        });
        told.chain(more).collect()
    }
}

/// Where the lines of a text begin.
pub(super) struct Lines<'a> {
    text: &'a str,
    begins: Vec<usize>,
}

impl<'a> Lines<'a> {
    pub(super) fn of(text: &'a str) -> Self {
        let begins = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { text, begins }
    }

    /// Counted from 1.
    pub(super) fn line(&self, at: usize) -> usize {
        self.begins.partition_point(|begin| *begin <= at)
    }

    pub(super) fn place(&self, at: usize) -> Place {
        let line = self.line(at);
        let begin = line.checked_sub(1).and_then(|before| self.begins.get(before)).copied().unwrap_or(0);
        let within = self.text.get(begin..).unwrap_or_default().char_indices();
        let column = 1 + within.take_while(|(offset, _)| begin + offset < at).count();
        Place { line, column }
    }
}
