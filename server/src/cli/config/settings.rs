use std::error::Error;
use std::ffi::OsString;
use std::num::{ParseFloatError, ParseIntError};

use clap::builder::Resettable;
use clap::error::{ContextKind, ContextValue};
use clap::{Arg, ArgAction, Command, ValueHint};

/// Flags that are no settings: they say what to do, or where the settings are.
pub(super) const NO_SETTINGS: [&str; 3] = ["config", "help", "version"];
/// A key is taken for a misspelt setting if they are as alike as this, of 1.
const ALIKE: f64 = 0.8;
/// The name under which a value is tried.
const PROBE: &str = "value";

/// What a configuration file can say: the flags of a command, found in its definition, so that each is a setting as
/// soon as it is a flag.
#[derive(Debug)]
pub(super) struct Settings(Vec<Arg>);

impl Settings {
    /// The flags of `root`'s subcommand, and those that all of its commands have.
    pub(super) fn of(root: &Command, subcommand: &str) -> Self {
        let of_all = root.get_arguments();
        let its_own = root.find_subcommand(subcommand).into_iter().flat_map(Command::get_arguments);
        let is_setting = |arg: &&Arg| arg.get_long().is_some_and(|long| !NO_SETTINGS.contains(&long));
        Self(its_own.chain(of_all).filter(is_setting).cloned().collect())
    }

    pub(super) fn all(&self) -> impl Iterator<Item = Setting<'_>> {
        self.0.iter().map(Setting)
    }

    pub(super) fn named(&self, name: &str) -> Option<Setting<'_>> {
        self.all().find(|setting| setting.name() == name)
    }

    /// The one that `key` may be meant for.
    pub(super) fn nearest(&self, key: &str) -> Option<&str> {
        let key = key.to_ascii_lowercase().replace(['_', ' ', '.'], "-");
        let alike = |setting: Setting<'_>| strsim::jaro_winkler(&key, setting.name());
        let names = self.0.iter().map(|arg| (arg, alike(Setting(arg)))).filter(|(_, alike)| *alike >= ALIKE);
        let (nearest, _) = names.max_by(|(_, one), (_, other)| one.total_cmp(other))?;
        nearest.get_long()
    }
}

/// One of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Setting<'a>(&'a Arg);

impl<'a> Setting<'a> {
    /// The flag's, without dashes before it.
    pub(super) fn name(self) -> &'a str {
        self.0.get_long().unwrap_or_default()
    }

    /// As clap names it.
    pub(super) fn id(self) -> &'a str {
        self.0.get_id().as_str()
    }

    /// Whether its environment variable is set.
    pub(super) fn is_in_environment(self) -> bool {
        self.0.get_env().is_some_and(|name| std::env::var_os(name).is_some())
    }

    /// Whether it has a value; else it is only true or false.
    pub(super) fn takes_values(self) -> bool {
        self.0.get_action().takes_values()
    }

    /// Whether it can have several.
    pub(super) fn is_list(self) -> bool {
        matches!(self.0.get_action(), ArgAction::Append)
    }

    /// Whether it names a file that is read.
    pub(super) fn is_file(self) -> bool {
        matches!(self.0.get_value_hint(), ValueHint::AnyPath | ValueHint::FilePath)
    }

    /// Whether its value is not to be seen. The name of a file that holds it may be.
    pub(super) fn is_secret(self) -> bool {
        names_secret(self.name()) && !self.is_file()
    }

    /// What it is where nobody says.
    #[cfg(test)]
    pub(super) fn defaults(self) -> impl Iterator<Item = &'a str> {
        self.0.get_default_values().iter().filter_map(|value| value.to_str())
    }

    /// Holds a value to what the flag takes. The reason why not never repeats a secret.
    pub(super) fn check(self, value: &str) -> Result<(), String> {
        let probe = Arg::new(PROBE)
            .long(PROBE)
            .action(self.0.get_action().clone())
            .value_parser(self.0.get_value_parser().clone())
            .ignore_case(self.0.is_ignore_case_set())
            .value_delimiter(self.0.get_value_delimiter().map_or(Resettable::Reset, Resettable::Value));
        let command = Command::new("setting").no_binary_name(true).disable_help_flag(true).arg(probe);
        let Err(error) = command.try_get_matches_from([format!("--{PROBE}={value}")]) else { return Ok(()) };
        let reason = reason(&error);
        if self.is_secret() && repeats(&reason, value) {
            return Err("is not accepted; its value is not shown, as it may be a secret".into());
        }
        Err(reason)
    }

    /// As it is said on a command line.
    pub(super) fn argument(self, value: &str) -> OsString {
        format!("--{}={value}", self.name()).into()
    }
}

/// Whether a flag of this name has a value that is not to be seen.
pub(in crate::cli) fn names_secret(flag: &str) -> bool {
    ["token", "header", "password", "secret"].iter().any(|word| flag.contains(word))
}

/// Whether some part of a value is in a text.
pub(in crate::cli) fn repeats(text: &str, value: &str) -> bool {
    let parts = value.split(|c: char| !c.is_alphanumeric());
    parts.chain([value]).any(|part| part.len() >= 3 && text.contains(part))
}

/// What clap says of a value, without the value.
fn reason(error: &clap::Error) -> String {
    match (error.source(), error.get(ContextKind::ValidValue)) {
        (Some(source), _) if source.is::<ParseIntError>() => "must be a whole number".into(),
        (Some(source), _) if source.is::<ParseFloatError>() => "must be a number".into(),
        (Some(source), _) => source.to_string(),
        (None, Some(ContextValue::Strings(valid))) => format!("must be one of {}", valid.join(", ")),
        (None, _) => "is not accepted".into(),
    }
}
