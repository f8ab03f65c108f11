use std::ffi::OsString;
use std::panic::{AssertUnwindSafe, catch_unwind};

use tachograph_core::instrument::Counter;
use tachograph_core::registry::{Descriptor, RegisterError, Registry};
use tokio_util::sync::CancellationToken;

use super::live::{Live, Settled};
use super::{Loaded, Refused, Values, load};
use crate::cli::log::LogFilter;
use crate::cli::{one_line, service};

/// By what the process began.
#[derive(Debug)]
pub(in crate::cli) struct Start {
    /// The command line.
    pub(in crate::cli) arguments: Vec<OsString>,
    /// What is in force.
    pub(in crate::cli) values: Values,
    /// What else the logs can be of.
    pub(in crate::cli) log: LogFilter,
}

/// Reads the settings again, and has the server take them.
#[derive(Debug)]
pub(in crate::cli) struct Reload {
    start: Start,
    live: Live,
    counts: Counts,
}

#[derive(Debug)]
struct Counts {
    applied: Counter,
    failed: Counter,
}

impl Counts {
    fn register(registry: &Registry) -> Result<Self, RegisterError> {
        let reloads = Descriptor::new("tachograph_config_reloads", "Configurations read again, by what became of it");
        let reloads = registry.counter(&reloads.label("result"))?;
        let count = |result| reloads.bind(&[("result", result)]).map_err(|_| RegisterError::Conflict);
        Ok(Self { applied: count("applied")?, failed: count("failed")? })
    }
}

impl Reload {
    /// # Errors
    /// The registry has no room for its counts.
    pub(in crate::cli) fn new(start: Start, live: Live, registry: &Registry) -> Result<Self, RegisterError> {
        Ok(Self { start, live, counts: Counts::register(registry)? })
    }

    /// Either all that can change does, or nothing: then the log says all that is wrong.
    pub(super) fn run(&mut self) {
        service::reloading();
        let reloaded = catch_unwind(AssertUnwindSafe(|| self.reloaded()));
        match reloaded.unwrap_or(Ok(Outcome::Panicked)) {
            Ok(Outcome::Applied) => self.counts.applied.inc(),
            Ok(Outcome::Panicked) => {
                tracing::error!("a part of the server failed as it was to take its settings: restart it soon");
                self.counts.failed.inc();
            }
            Err(errors) => {
                errors.iter().for_each(|error| tracing::error!("{error}"));
                tracing::error!(errors = errors.len(), "the configuration is not good: nothing changes");
                self.counts.failed.inc();
            }
        }
        service::ready();
    }

    fn reloaded(&mut self) -> Result<Outcome, Vec<String>> {
        let Loaded { cli, warnings, values, file_settings } = load(&self.start.arguments).map_err(told)?;
        let Some(serve) = cli.server() else { return Ok(Outcome::Applied) };
        let changes = self.live.prepare(Settled { log: &cli.log, serve })?;
        changes.into_iter().for_each(|change| change());
        warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
        let (changed, waiting) = self.live.changed(&self.start.values, &values);
        tracing::info!(settings = file_settings, changed = changed.join(", "), "the configuration was read again");
        if !waiting.is_empty() {
            tracing::warn!(settings = waiting.join(", "), "these settings changed, but take a restart");
        }
        self.start.values.take(&values, &changed);
        Ok(Outcome::Applied)
    }
}

enum Outcome {
    Applied,
    /// Part of it may be in force.
    Panicked,
}

fn told(refused: Refused) -> Vec<String> {
    match refused {
        Refused::CommandLine(error) => vec![one_line(&error)],
        Refused::Settings(told) => told,
    }
}

/// Reloads at each SIGHUP, until the process ends. If the terminal that the server was started in is gone, that ends
/// it instead. Runs on a thread of its own, so that reading files holds up nothing, and no other signal.
#[cfg(unix)]
pub(in crate::cli) fn watch(reload: Reload, stop: CancellationToken) {
    let (registered, waited) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let hangups = runtime.and_then(|runtime| {
            let _inside = runtime.enter();
            let hangups = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup())?;
            Ok((hangups, runtime))
        });
        let _nobody_waits = registered.send(());
        match hangups {
            Ok((hangups, runtime)) => runtime.block_on(follow(hangups, reload, stop)),
            Err(error) => tracing::error!(%error, "SIGHUP is not handled"),
        }
    });
    // From now on the signal does not end the process.
    let _no_thread = waited.recv();
}

#[cfg(not(unix))]
pub(in crate::cli) fn watch(_: Reload, _: CancellationToken) {}

#[cfg(unix)]
async fn follow(mut hangups: tokio::signal::unix::Signal, mut reload: Reload, stop: CancellationToken) {
    use std::io::IsTerminal;

    let began_in_terminal = std::io::stdin().is_terminal();
    while hangups.recv().await.is_some() {
        if began_in_terminal && !std::io::stdin().is_terminal() {
            tracing::info!("the terminal is gone");
            stop.cancel();
            return;
        }
        // What ends reads nothing again.
        if !stop.is_cancelled() {
            reload.run();
        }
    }
}
