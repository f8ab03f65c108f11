//! Where settings come from: flags before the environment before a file before defaults. Each is defined once, as a
//! flag; the file's keys are the flags' names.

mod error;
mod file;
mod live;
mod reload;
mod settings;
#[cfg(test)]
mod tests;
mod text;

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::{fmt, fs};

use clap::builder::{OsStr as ClapOsStr, Resettable};
use clap::parser::ValueSource;
use clap::{ArgMatches, Args, Command, CommandFactory, FromArgMatches};

use super::token::{is_readable_by_others, shown};
use super::{Cli, one_line, run_server};
use error::{ConfigError, Place, printable};
use settings::{Setting, Settings};
use text::Parsed;

pub(super) use live::{Change, Live};
pub(super) use reload::{Reload, Start, watch};
pub(super) use settings::{names_secret, repeats};

/// What the server is run by, to name one of its flags.
const SERVE: &str = "serve";

/// Which file there is.
#[derive(Debug, Args)]
pub(super) struct ConfigArgs {
    /// A file of settings in TOML, named as the flags are: listen = "127.0.0.1:7117". Flags and the environment go
    /// before it. SIGHUP has it read again. `tachograph check` tells what is wrong in it.
    #[arg(long, env = "TACHOGRAPH_CONFIG", value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
}

/// What of the settings do not go together, of which one is to be changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Complaint {
    /// A flag's name.
    pub(super) setting: String,
    /// What is wrong; what to do.
    pub(super) what: String,
}

/// A command line with all that it and its file say.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) cli: Cli,
    /// To be logged.
    pub(super) warnings: Vec<String>,
    /// How many settings the file has.
    pub(super) file_settings: usize,
    pub(super) values: Values,
}

/// Why there are no settings to work by.
#[derive(Debug)]
pub(super) enum Refused {
    /// The command line alone is wrong, or asks for help.
    CommandLine(clap::Error),
    /// All that is wrong, a line each.
    Settings(Vec<String>),
}

/// The values of all settings, wherever they are from.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Values(BTreeMap<String, Vec<OsString>>);

impl Values {
    fn of(settings: &Settings, matches: &ArgMatches) -> Self {
        let value = |setting: Setting<'_>| raw(matches, setting).map(OsStr::to_owned).collect();
        Self(settings.all().map(|setting| (setting.name().to_owned(), value(setting))).collect())
    }

    /// Takes over what is in force there now.
    fn take(&mut self, others: &Self, names: &[&str]) {
        let taken = names.iter().filter_map(|name| others.0.get_key_value(*name));
        self.0.extend(taken.map(|(name, value)| (name.clone(), value.clone())));
    }

    /// Names of the settings that are others there.
    fn changed<'a>(&'a self, others: &Self) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(|(name, value)| others.0.get(*name) != Some(*value)).map(|(name, _)| &**name)
    }
}

/// Values can be secrets.
impl fmt::Debug for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

fn raw<'a>(matches: &'a ArgMatches, setting: Setting<'_>) -> impl Iterator<Item = &'a OsStr> {
    matches.try_get_raw(setting.id()).ok().flatten().into_iter().flatten()
}

/// Reads a command line, and the file that it or the environment names.
///
/// # Errors
/// All that is wrong with either.
pub(super) fn load(arguments: &[OsString]) -> Result<Loaded, Refused> {
    // What is wrong in it comes to light when it is read together with the file.
    let asked = Cli::command().ignore_errors(true).try_get_matches_from(arguments).map_err(Refused::CommandLine)?;
    let server = asked.subcommand().map(|(_, server)| server);
    let server = server.filter(|server| server.try_contains_id("config").unwrap_or(false));
    match server.and_then(|server| Some((server, server.get_one::<PathBuf>("config")?))) {
        Some((server, path)) => from_file(arguments, server, path),
        None => from_flags(arguments),
    }
}

fn from_flags(arguments: &[OsString]) -> Result<Loaded, Refused> {
    let matches = Cli::command().try_get_matches_from(arguments).map_err(Refused::CommandLine)?;
    let (loaded, complaints) = finish(&matches)?;
    let told: Vec<String> = complaints.iter().map(Complaint::told_of_flag).collect();
    if told.is_empty() { Ok(loaded) } else { Err(Refused::Settings(told)) }
}

fn from_file(arguments: &[OsString], asked: &ArgMatches, path: &Path) -> Result<Loaded, Refused> {
    let file = path.display().to_string();
    let text = file::read(path).map_err(|error| Refused::Settings(vec![error.told_of(&file)]))?;
    let settings = settings();
    let parsed = text::read(&text, &settings);
    let mut told: Vec<String> = parsed.errors.iter().map(|error| error.told_of(&file)).collect();
    // Of what is no TOML it is not known what it lacks.
    if !parsed.is_toml {
        return Err(Refused::Settings(told));
    }
    let said = said(&parsed, &settings, asked);
    let matches = Cli::command().try_get_matches_from(arguments.iter().cloned().chain(said));
    match matches.map_err(Refused::CommandLine).and_then(|matches| finish(&matches)) {
        Ok((mut loaded, complaints)) => {
            let place = |name: &str| parsed.given.get(name).filter(|_| !is_said_elsewhere(&settings, asked, name));
            told.extend(complaints.iter().map(|complaint| match place(&complaint.setting) {
                Some(given) => complaint.at(Some(given.place)).told_of(&file),
                None => complaint.told_of_flag(),
            }));
            loaded.file_settings = parsed.given.len();
            loaded.warnings = warnings(&parsed, &settings, path);
            if told.is_empty() { Ok(loaded) } else { Err(Refused::Settings(told)) }
        }
        Err(Refused::CommandLine(error)) if error.use_stderr() => {
            told.push(one_line(&error));
            Err(Refused::Settings(told))
        }
        Err(refused) => Err(refused),
    }
}

fn settings() -> Settings {
    Settings::of(&Cli::command(), SERVE)
}

/// What the file says that neither flags nor the environment do, as flags.
fn said<'a>(
    parsed: &'a Parsed,
    settings: &'a Settings,
    asked: &'a ArgMatches,
) -> impl Iterator<Item = OsString> + use<'a> {
    let files = parsed.given.iter().filter(|(name, _)| !is_said_elsewhere(settings, asked, name));
    files.flat_map(|(_, given)| given.arguments.iter().cloned())
}

fn is_said_elsewhere(settings: &Settings, asked: &ArgMatches, name: &str) -> bool {
    let Some(setting) = settings.named(name) else { return false };
    let is_there = asked.try_contains_id(setting.id()).unwrap_or(false);
    // The environment is asked itself: of a variable with a bad value the matches do not know.
    is_there && asked.value_source(setting.id()) == Some(ValueSource::CommandLine) || setting.is_in_environment()
}

fn warnings(parsed: &Parsed, settings: &Settings, path: &Path) -> Vec<String> {
    let secrets = settings.all().filter(|setting| setting.is_secret() && parsed.given.contains_key(setting.name()));
    let names: Vec<_> = secrets.map(|setting| format!("`{}`", setting.name())).collect();
    if names.is_empty() || !fs::metadata(path).is_ok_and(|metadata| is_readable_by_others(&metadata)) {
        return Vec::new();
    }
    let file = printable(&path.display().to_string());
    vec![format!(
        "{file} holds {} and can be read by all users; take that from others with chmod o-r",
        names.join(", ")
    )]
}

/// The command, with what of its settings do not go together.
fn finish(matches: &ArgMatches) -> Result<(Loaded, Vec<Complaint>), Refused> {
    let cli = Cli::from_arg_matches(matches).map_err(Refused::CommandLine)?;
    let mut loaded = Loaded { cli, warnings: Vec::new(), file_settings: 0, values: Values::default() };
    let (Some(serve), Some((_, server))) = (loaded.cli.server(), matches.subcommand()) else {
        return Ok((loaded, Vec::new()));
    };
    let settings = settings();
    let mut complaints = serve.complaints();
    complaints.extend(unreadable_files(&settings, server));
    loaded.values = Values::of(&settings, server);
    Ok((loaded, complaints))
}

/// Files that settings name are to be there when the server begins.
fn unreadable_files(settings: &Settings, matches: &ArgMatches) -> Vec<Complaint> {
    let files = settings.all().filter(|setting| setting.is_file());
    let named = files.flat_map(|setting| raw(matches, setting).map(move |path| (setting.name(), Path::new(path))));
    let unreadable = named.filter_map(|(name, path)| {
        let error = file::open(path).err()?;
        let shown = if names_secret(name) { shown(path) } else { path.to_string_lossy() };
        Some(Complaint::new(name, format!("{shown} {}", file::told(&error))))
    });
    unreadable.collect()
}

impl Complaint {
    pub(super) fn new(setting: &str, what: impl Into<String>) -> Self {
        Self { setting: setting.to_owned(), what: what.into() }
    }

    fn at(&self, place: Option<Place>) -> ConfigError {
        ConfigError::new(place, &format!("`{}`: {}", self.setting, self.what))
    }

    /// Of a setting that is not in the file.
    fn told_of_flag(&self) -> String {
        format!("error: --{}: {}", self.setting, printable(&self.what))
    }
}

/// All that is wrong in the text of a file, taken by itself: without flags, the environment and other files.
pub(super) fn check_text(text: &str) -> Vec<ConfigError> {
    let root = without_environment(Cli::command());
    let settings = Settings::of(&root, SERVE);
    let Parsed { given, mut errors, is_toml } = text::read(text, &settings);
    if !is_toml {
        return errors;
    }
    let said = given.values().flat_map(|given| given.arguments.iter().cloned());
    let command_line = ["tachograph".into(), SERVE.into()].into_iter().chain(said);
    match root.try_get_matches_from(command_line).and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => {
            let complaints = cli.server().map(run_server::ServeArgs::complaints).unwrap_or_default();
            let place = |complaint: &Complaint| given.get(&complaint.setting).map(|given| given.place);
            errors.extend(complaints.iter().map(|complaint| complaint.at(place(complaint))));
        }
        Err(error) => errors.push(ConfigError::new(None, &one_line(&error))),
    }
    errors
}

fn without_environment(root: Command) -> Command {
    let without = |arg: clap::Arg| arg.env(Resettable::<ClapOsStr>::Reset);
    root.mut_args(without).mut_subcommand(SERVE, |serve| serve.mut_args(without))
}
