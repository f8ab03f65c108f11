use std::fmt;

use super::Values;
use crate::cli::log::LogArgs;
use crate::cli::run_server::ServeArgs;

/// Settings that are checked as a whole.
#[derive(Clone, Copy, Debug)]
pub(in crate::cli) struct Settled<'a> {
    pub(in crate::cli) log: &'a LogArgs,
    pub(in crate::cli) serve: &'a ServeArgs,
}

/// What makes a change that is ready, and cannot fail any more.
pub(in crate::cli) type Change = Box<dyn FnOnce() + Send>;

/// Makes a change ready, without any effect yet.
type Prepare = Box<dyn Fn(Settled<'_>) -> Result<Change, String> + Send>;

/// What can change while the server runs, part by part.
#[derive(Default)]
pub(in crate::cli) struct Live(Vec<Part>);

struct Part {
    settings: &'static [&'static str],
    prepare: Prepare,
}

impl Live {
    /// A part of the server that takes new values of `settings` while it runs. `prepare` does all that can fail, as
    /// reading files, and gives back what only puts the result in place: either all parts change or none. It is called
    /// on each reload, as a file that a setting names can be another one under the same name.
    pub(in crate::cli) fn part(
        &mut self,
        settings: &'static [&'static str],
        prepare: impl Fn(Settled<'_>) -> Result<Change, String> + Send + 'static,
    ) {
        self.0.push(Part { settings, prepare: Box::new(prepare) });
    }

    /// Makes all parts ready.
    ///
    /// # Errors
    /// What those say that cannot take it.
    pub(super) fn prepare(&self, settled: Settled<'_>) -> Result<Vec<Change>, Vec<String>> {
        let (mut changes, mut refusals) = (Vec::new(), Vec::new());
        for part in &self.0 {
            match (part.prepare)(settled) {
                Ok(change) => changes.push(change),
                Err(refusal) => refusals.push(format!("{}: {refusal}", part.settings.join(", "))),
            }
        }
        if refusals.is_empty() { Ok(changes) } else { Err(refusals) }
    }

    /// Names of the settings that are others now: those that some part takes, and those that none does.
    pub(super) fn changed<'a>(&self, before: &Values, now: &'a Values) -> (Vec<&'a str>, Vec<&'a str>) {
        now.changed(before).partition(|name| self.0.iter().any(|part| part.settings.contains(name)))
    }
}

impl fmt::Debug for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|part| part.settings)).finish()
    }
}
