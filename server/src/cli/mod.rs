//! The command line.

mod access;
mod address;
mod audio_file;
mod bearer;
mod client;
mod demo;
mod log;
mod otlp;
mod rehearsal;
mod run_server;
mod shown;
mod stream;
mod tail;
mod token;

use std::io::Write;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tokio_util::sync::CancellationToken;

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
    #[error("{failed} of {all} sessions failed")]
    Sessions { failed: usize, all: usize },
}

/// Writes a line to standard output; whoever closed it does not want it.
fn print_line(line: impl std::fmt::Display) {
    let _closed = writeln!(std::io::stdout(), "{line}");
}

/// Runs the command line of this process. A value that is wrong ends with 2, a command that fails with 1.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return explain(&error),
    };
    cli.log.init();
    match run(cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // What a server said can be in it.
            eprintln!("error: {}", shown::lines(&error.to_string()));
            ExitCode::FAILURE
        }
    }
}

/// Help goes out as it is; an error in one line.
fn explain(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() || error.kind() == clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        error.exit();
    }
    let text = error.to_string();
    let lines =
        text.lines().map(str::trim).take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more"));
    let line = lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ");
    eprintln!("{line} (see --help)");
    ExitCode::from(2)
}

fn run(command: Command) -> Result<(), CliError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let stop = run_server::stop_on_signal();
    let result = runtime.block_on(dispatch(command, stop));
    // A provider that blocks its thread must not keep the process.
    runtime.shutdown_timeout(std::time::Duration::from_millis(200));
    result
}

async fn dispatch(command: Command, stop: CancellationToken) -> Result<(), CliError> {
    match command {
        Command::Serve(args) => run_server::serve(args, stop, |_| Ok(())).await,
        Command::Stream(args) => stream::run(args, stop).await,
        Command::Tail(args) => tail::run(args, stop).await,
        Command::Demo(args) => demo::run(args, stop).await,
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
