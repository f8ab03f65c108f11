use std::fmt;
use std::io::IsTerminal;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::reload::Handle;

use super::lines::Lines;

#[derive(Debug, Args)]
pub(super) struct LogArgs {
    /// What is logged: error, warn, info, debug, trace, or a filter such as tachograph=debug.
    #[arg(long, global = true, help_heading = "Logging", env = "TACHOGRAPH_LOG", default_value = "warn,tachograph=info", value_parser = parse_filter)]
    pub(super) log: String,

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

/// What is logged, to be changed.
#[derive(Clone)]
pub(super) struct LogFilter(Arc<dyn Fn(EnvFilter) + Send + Sync>);

impl LogFilter {
    fn of<S: 'static>(handle: Handle<EnvFilter, S>) -> Self {
        // Without effect if another logger was there first.
        Self(Arc::new(move |filter| drop(handle.reload(filter))))
    }

    /// From now on.
    pub(super) fn set(&self, filter: EnvFilter) {
        (self.0)(filter);
    }
}

impl fmt::Debug for LogFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LogFilter")
    }
}

fn parse_filter(text: &str) -> Result<String, String> {
    EnvFilter::try_new(text).map(|_| text.to_owned()).map_err(|error| error.to_string())
}

impl LogArgs {
    /// Logs from now on; keeps a logger that is there already.
    pub(super) fn init(&self) -> std::io::Result<LogFilter> {
        let log = tracing_subscriber::fmt()
            .with_env_filter(EnvFilter::new(&self.log))
            .with_ansi(std::io::stderr().is_terminal())
            // What cannot be logged would be told by a panic.
            .log_internal_errors(false)
            .with_writer(Lines::start()?);
        let (filter, _kept) = match self.log_format {
            LogFormat::Text => {
                let log = log.with_target(false).with_filter_reloading();
                (LogFilter::of(log.reload_handle()), log.try_init())
            }
            LogFormat::Json => {
                let log = log.json().flatten_event(true).with_filter_reloading();
                (LogFilter::of(log.reload_handle()), log.try_init())
            }
        };
        log_panics();
        Ok(filter)
    }
}

/// A panic is a line of the log as any other: Rust's own way writes to standard error itself, and would hold up its
/// thread where nobody reads that.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let payload = panic.payload();
        let text = payload.downcast_ref::<&str>().copied();
        let why = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or_default();
        let place = panic.location().map(ToString::to_string);
        tracing::error!(why, place, "a task panicked");
    }));
}
