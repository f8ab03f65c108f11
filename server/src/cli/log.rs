use std::io::IsTerminal;

use clap::{Args, ValueEnum};
use tracing_subscriber::EnvFilter;

use super::lines::Lines;

#[derive(Debug, Args)]
pub(super) struct LogArgs {
    /// What is logged: error, warn, info, debug, trace, or a filter such as tachograph=debug.
    #[arg(long, global = true, help_heading = "Logging", env = "TACHOGRAPH_LOG", default_value = "warn,tachograph=info", value_parser = parse_filter)]
    log: String,

    /// How a log line looks. Logs go to standard error.
    #[arg(long, global = true, help_heading = "Logging", env = "TACHOGRAPH_LOG_FORMAT", default_value = "text")]
    log_format: LogFormat,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

fn parse_filter(text: &str) -> Result<String, String> {
    EnvFilter::try_new(text).map(|_| text.to_owned()).map_err(|error| error.to_string())
}

impl LogArgs {
    /// Logs from now on; keeps a logger that is there already.
    pub(super) fn init(&self) {
        let lines = match Lines::start() {
            Ok(lines) => lines,
            Err(error) => return eprintln!("nothing is logged: {error}"),
        };
        let log = tracing_subscriber::fmt()
            .with_env_filter(EnvFilter::new(&self.log))
            .with_ansi(std::io::stderr().is_terminal())
            // What cannot be logged would be told by a panic.
            .log_internal_errors(false)
            .with_writer(lines);
        let _kept = match self.log_format {
            LogFormat::Text => log.with_target(false).try_init(),
            LogFormat::Json => log.json().flatten_event(true).try_init(),
        };
    }
}
