use std::net::SocketAddr;
use std::time::Duration;

use clap::builder::FalseyValueParser;
use clap::{Args, ValueEnum};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::access::{AccessArgs, sign_in_link};
use super::config::{Complaint, ConfigArgs, Reload, Start, watch};
use super::{CliError, LOG_FLUSH_MAX, changing, lines, print_line, rehearsal, service};
use crate::access::Token;
use crate::listener::Listener;
use crate::provider::{Fault, Providers, Simulated, SimulatedControl, Vad};
use crate::{Limits, Tachograph, Tls};

/// After a signal the process ends within 10 s, even if nothing else in it gets to run.
const WATCHDOG: Duration = Duration::from_millis(9_500);

#[derive(Debug, Args)]
pub(super) struct ServeArgs {
    /// Where to listen; port 0 takes any free one.
    #[arg(long, env = "TACHOGRAPH_LISTEN", default_value = "127.0.0.1:7117", value_name = "ADDR",
          value_parser = parse_listen)]
    listen: SocketAddr,

    /// What processes the audio.
    #[arg(long, env = "TACHOGRAPH_PROVIDER", default_value = "vad")]
    provider: ProviderKind,

    /// What takes over when the provider fails.
    #[arg(long, env = "TACHOGRAPH_FALLBACK", value_name = "PROVIDER")]
    fallback: Option<ProviderKind>,

    /// Time that the simulated provider takes, as a multiple of the audio's own: 0 to 1000.
    #[arg(long, env = "TACHOGRAPH_SIMULATED_RTF", default_value = "0.5", value_name = "FACTOR", value_parser = parse_rtf, allow_negative_numbers = true)]
    simulated_rtf: f64,

    /// How the simulated provider misbehaves. Can be changed while it works: PUT /api/v1/simulated.
    #[arg(long, env = "TACHOGRAPH_SIMULATED_FAULT", default_value = "none", value_name = "FAULT")]
    simulated_fault: Fault,

    /// Audio that is processed at once, in seconds: 0.1 to 8.
    #[arg(long, env = "TACHOGRAPH_CHUNK_SECONDS", default_value = "2", value_name = "SECONDS", value_parser = parse_chunk, allow_negative_numbers = true)]
    chunk_seconds: f64,

    /// How long a chunk may take before its provider counts as failed, in seconds.
    #[arg(long, env = "TACHOGRAPH_CHUNK_TIMEOUT_SECONDS", default_value = "60", value_name = "SECONDS",
          value_parser = clap::value_parser!(u64).range(1..=3600))]
    chunk_timeout_seconds: u64,

    /// Fill the registry with so many more series that change each second, to see how all bears them.
    #[arg(long, env = "TACHOGRAPH_REHEARSE_SERIES", default_value = "0", value_name = "N",
          value_parser = clap::value_parser!(u32).range(0..=200_000))]
    rehearse_series: u32,

    /// Keep full quality whatever the load; figures then carry no degrade level.
    #[arg(long, env = "TACHOGRAPH_NO_LADDER", value_parser = FalseyValueParser::new())]
    no_ladder: bool,

    #[command(flatten)]
    pub(super) access: AccessArgs,

    #[command(flatten)]
    pub(super) transport: super::transport::TransportArgs,

    #[command(flatten)]
    otlp: super::otlp::OtlpArgs,

    #[command(flatten)]
    pub(super) limits: super::limits::LimitArgs,

    #[command(flatten)]
    config: ConfigArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ProviderKind {
    /// Voice activity detection on the audio.
    Vad,
    /// Takes a set time for each chunk, for rehearsing overload and faults.
    Simulated,
}

fn parse_listen(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "must be an IP address and a port, such as 127.0.0.1:7117".into())
}

fn parse_rtf(text: &str) -> Result<f64, String> {
    parse_within(text, 0.0, 1_000.0)
}

fn parse_chunk(text: &str) -> Result<f64, String> {
    parse_within(text, 0.1, 8.0)
}

/// A number within bounds.
pub(super) fn parse_within(text: &str, min: f64, max: f64) -> Result<f64, String> {
    let value: f64 = text.parse().map_err(|_| String::from("not a number"))?;
    if (min..=max).contains(&value) { Ok(value) } else { Err(format!("must be from {min} to {max}")) }
}

impl ServeArgs {
    fn tachograph(&self) -> Result<Tachograph, CliError> {
        let simulated = Simulated::new(SimulatedControl { rtf: self.simulated_rtf, fault: self.simulated_fault });
        // The control rehearses the provider that is to fail; a simulated fallback is a sound one.
        let sound = Simulated::new(SimulatedControl { rtf: self.simulated_rtf, fault: Fault::None });
        let mut providers = match self.provider {
            ProviderKind::Vad => Providers::only(Vad::default()),
            ProviderKind::Simulated => Providers::only(simulated.clone()),
        };
        providers.fallback = self.fallback.map(|kind| match kind {
            ProviderKind::Vad => Providers::only(Vad::default()).primary,
            ProviderKind::Simulated => Providers::only(sound).primary,
        });
        let mut listener = self.listener(providers);
        listener.simulated = (self.provider == ProviderKind::Simulated).then_some(simulated);
        self.limits.bound(&mut listener);
        let builder = Tachograph::builder().limits(self.limits()).history(self.limits.history());
        Ok(builder.registry(self.limits.registry()).listener(listener).build()?)
    }

    pub(super) fn limits(&self) -> Limits {
        self.transport.limits(self.limits.limits(Limits::default()))
    }

    /// What does not go together, found without any effect: each part that has such rules adds its own.
    pub(super) fn complaints(&self) -> Vec<Complaint> {
        [self.access.complaints(), self.transport.complaints(), self.otlp.complaints()].concat()
    }

    fn listener(&self, providers: Providers) -> Listener {
        let mut listener = Listener::new(providers);
        listener.chunk_timeout = Duration::from_secs(self.chunk_timeout_seconds);
        listener.audio.chunk = Duration::from_secs_f64(self.chunk_seconds);
        listener.audio.ladder = !self.no_ladder;
        listener
    }
}

/// A server that accepts connections.
pub(super) struct Ready {
    pub(super) address: SocketAddr,
    /// What encrypts, if anything does.
    pub(super) tls: Option<Tls>,
    /// Whether it wants tokens.
    pub(super) is_guarded: bool,
    /// One that may feed, if there is any.
    pub(super) feed: Option<Token>,
}

/// Serves until `stop`; `ready` is told once connections are accepted.
pub(super) async fn serve(
    args: ServeArgs,
    start: Start,
    stop: CancellationToken,
    ready: impl FnOnce(Ready) -> Result<(), CliError>,
) -> Result<(), CliError> {
    let tacho = args.tachograph()?;
    let (gate, tls) = (args.access.gate(args.listen.ip())?, args.transport.tls()?);
    let server = args.transport.server(&tacho, tls.as_ref()).access(gate.access.clone());
    let live = changing::parts(&tacho, &gate, tls.as_ref(), &start);
    watch(Reload::new(start, live, tacho.registry())?, stop.clone());
    lines::count_lost(tacho.registry())?;
    let listen_error = |cause| CliError::Listen { address: args.listen.to_string(), cause };
    let listener = TcpListener::bind(args.listen).await.map_err(listen_error)?;
    let address = listener.local_addr().map_err(listen_error)?;
    let scheme = args.transport.scheme();
    print_line(format_args!("listening on {scheme}://{address}"));
    if let Some(token) = &gate.made {
        print_line(format_args!("sign in at {}", sign_in_link(scheme, address, token)));
    }
    ready(Ready { address, tls, is_guarded: !gate.access.is_closed_to_others(), feed: gate.feed })?;
    rehearsal::begin(&tacho, args.rehearse_series)?;
    let pushing = args.otlp.start(&tacho)?;
    let shutdown = tacho.shutdown().clone();
    service::watch(&tacho);
    service::ready();
    tokio::spawn(async move {
        stop.cancelled().await;
        tracing::info!("shutting down");
        service::stopping();
        shutdown.cancel();
    });
    let served = server.serve(listener).await;
    pushing.end().await;
    Ok(served?)
}

/// Cancelled by SIGINT or SIGTERM. A second signal, or too long a shutdown, ends the process at once. Runs on
/// a thread of its own, so that a provider that blocks the server's threads cannot keep it.
pub(super) fn stop_on_signal() -> CancellationToken {
    let stop = CancellationToken::new();
    let told = stop.clone();
    std::thread::spawn(move || match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(watch_signals(told)),
        Err(error) => tracing::error!(%error, "signals are not handled"),
    });
    stop
}

async fn watch_signals(stop: CancellationToken) {
    signal().await;
    stop.cancel();
    tokio::select! {
        () = signal() => {}
        () = tokio::time::sleep(WATCHDOG) => tracing::error!("the shutdown took too long"),
    }
    lines::flush(LOG_FLUSH_MAX);
    std::process::exit(1);
}

#[cfg(unix)]
async fn signal() {
    use tokio::signal::unix::{SignalKind, signal};

    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
        }
        Err(error) => {
            tracing::error!(%error, "SIGTERM is not handled");
            let _interrupted = tokio::signal::ctrl_c().await;
        }
    }
}

#[cfg(not(unix))]
async fn signal() {
    let _interrupted = tokio::signal::ctrl_c().await;
}
