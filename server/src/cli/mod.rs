//! The command line.

mod access;
mod address;
mod audio_file;
mod bearer;
mod changing;
mod check;
mod client;
mod config;
mod demo;
mod health;
mod limits;
mod lines;
mod log;
mod otlp;
mod rehearsal;
mod run_server;
mod service;
mod shown;
mod stream;
mod tail;
mod token;
mod transport;
mod trust;

use std::error::Error;
use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue};
use clap::{Parser, Subcommand};
use tokio_util::sync::CancellationToken;

use config::{Loaded, Refused, Start};
/// A log that is not read must not keep the process.
const LOG_FLUSH_MAX: std::time::Duration = std::time::Duration::from_millis(200);

/// Tachograph: live metrics of streaming sessions, once a second.
#[derive(Debug, Parser)]
#[command(name = "tachograph", version, about, long_about = None, max_term_width = 100)]
struct Cli {
    #[command(flatten)]
    log: log::LogArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server with its dashboard.
    Serve(run_server::ServeArgs),
    /// Play WAV files to a server in real time, as live sessions.
    Stream(stream::StreamArgs),
    /// Show a server's stream in the terminal, or a recorded one.
    Tail(tail::TailArgs),
    /// Run the server with two looping sessions of recorded speech, to look around.
    Demo(run_server::ServeArgs),
    /// Say all that is wrong in a configuration file, as `serve --config` would find it here.
    Check(check::CheckArgs),
    /// Ask a server whether it is alive: for a container's health check.
    Health(health::HealthArgs),
}

impl Cli {
    /// What the server is run by, if it is.
    fn server(&self) -> Option<&run_server::ServeArgs> {
        match &self.command {
            Command::Serve(args) | Command::Demo(args) => Some(args),
            _ => None,
        }
    }
}

/// What ends a command before its time, in one line for a person.
#[derive(Debug, thiserror::Error)]
enum CliError {
    #[error("cannot listen on {address}: {cause}; choose another address with --listen")]
    Listen { address: String, cause: std::io::Error },
    #[error("the server stopped: {0}")]
    Serve(#[from] std::io::Error),
    #[error("{0}")]
    Register(#[from] tachograph_core::registry::RegisterError),
    #[error("{0}")]
    Tls(#[from] crate::TlsError),
    #[error("{0}")]
    Trust(#[from] crate::trust::TrustError),
    #[error("{0}")]
    Token(#[from] token::TokenSourceError),
    #[error("the demo plays sessions to itself: give it a token for feeding, too, by --feed-token-file")]
    DemoCannotFeed,
    #[error("{0}")]
    Otlp(#[from] crate::export::OtlpError),
    #[error("{0}")]
    Audio(#[from] audio_file::AudioError),
    #[error("{0}")]
    Client(#[from] client::ClientError),
    #[error("{0}")]
    Tail(#[from] tail::TailError),
    #[error("{0}")]
    Health(#[from] health::HealthError),
    #[error("nothing can be logged: {0}")]
    Log(std::io::Error),
    #[error("{failed} of {all} sessions failed")]
    Sessions { failed: usize, all: usize },
}

/// Writes a line to standard output; whoever closed it does not want it.
fn print_line(line: impl std::fmt::Display) {
    let _closed = writeln!(std::io::stdout(), "{line}");
}

/// Runs the command line of this process. A value that is wrong ends with 2, a command that fails with 1.
pub fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let Loaded { cli, warnings, values, .. } = match config::load(&arguments) {
        Ok(loaded) => loaded,
        Err(refused) => return explain(&refused),
    };
    let log = match cli.log.init() {
        Ok(log) => log,
        Err(error) => return fail(&CliError::Log(error)),
    };
    warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
    if let Command::Check(args) = &cli.command {
        return args.run();
    }
    let ended = run(cli.command, Start { arguments, values, log });
    lines::flush(LOG_FLUSH_MAX);
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

fn fail(error: &CliError) -> ExitCode {
    // What a server said can be in it. Whoever closed it, or has no room for it, does not want it.
    let _unwritten = writeln!(std::io::stderr(), "error: {}", shown::lines(&error.to_string()));
    ExitCode::FAILURE
}

/// How many errors there are in the text of a configuration file, taken by itself.
pub fn check_config_text(text: &str) -> usize {
    config::check_text(text).len()
}

/// Help goes out as it is; each error in a line.
fn explain(refused: &Refused) -> ExitCode {
    match refused {
        Refused::CommandLine(error) => {
            let is_help = error.kind() == clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand;
            if !error.use_stderr() || is_help {
                error.exit();
            }
            eprintln!("{}", one_line(error));
        }
        Refused::Settings(told) => told.iter().for_each(|line| eprintln!("{line}")),
    }
    ExitCode::from(2)
}

/// An error of the command line, without a value that may be a secret.
fn one_line(error: &clap::Error) -> String {
    let mut text = error.to_string();
    if let (Some(ContextValue::String(flag)), Some(ContextValue::String(value))) =
        (error.get(ContextKind::InvalidArg), error.get(ContextKind::InvalidValue))
        && config::names_secret(flag)
    {
        text = text.replace(&format!("'{value}'"), "(not shown)");
        // Why it is not accepted can hold a part of it.
        if let Some(why) = error.source().map(ToString::to_string).filter(|why| config::repeats(why, value)) {
            text = text.replace(&why, "it is not accepted");
        }
    }
    let lines =
        text.lines().map(str::trim).take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more"));
    let line = lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ");
    format!("{line} (see --help)")
}

fn run(command: Command, start: Start) -> Result<(), CliError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let stop = run_server::stop_on_signal();
    let result = runtime.block_on(dispatch(command, start, stop));
    // A provider that blocks its thread must not keep the process.
    runtime.shutdown_timeout(std::time::Duration::from_millis(200));
    result
}

async fn dispatch(command: Command, start: Start, stop: CancellationToken) -> Result<(), CliError> {
    match command {
        Command::Serve(args) => run_server::serve(args, start, stop, |_| Ok(())).await,
        Command::Stream(args) => stream::run(args, stop).await,
        Command::Tail(args) => tail::run(args, stop).await,
        Command::Demo(args) => demo::run(args, start, stop).await,
        Command::Health(args) => Ok(health::run(&args).await?),
        // It takes no server, and has its own exit code.
        Command::Check(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_flag_has_an_environment_variable() {
        let root = Cli::command();
        let args = root.get_subcommands().chain([&root]).flat_map(clap::Command::get_arguments);
        for arg in args.filter(|arg| arg.get_long().is_some_and(|long| !["help", "version"].contains(&long))) {
            assert!(arg.get_env().is_some(), "--{} has none", arg.get_long().unwrap());
        }
    }
}
