//! `tachograph tail`: the stream in a terminal.

mod source;
mod text;

use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;
use clap::builder::FalseyValueParser;
use tachograph_core::wire::frame::{Arrival, Filter, Follower, FrameError, Hello, Outcome, State};
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

use super::CliError;
use super::address::socket_url;
use super::trust::TrustArgs;
use crate::hub;
use source::Server;
use text::Text;

const ENDPOINT: &str = "/ws/stream";

#[derive(Debug, Args)]
pub(super) struct TailArgs {
    /// A server's address, a file with a recorded stream, or - for one on standard input.
    #[arg(value_name = "URL|FILE|-", default_value = "http://127.0.0.1:7117", env = "TACHOGRAPH_URL")]
    from: String,

    /// Begin with so much of a server's past: 90s, 15m, 1h, or all.
    #[arg(long, env = "TACHOGRAPH_WINDOW", default_value = "0s", value_name = "TIME", value_parser = parse_window)]
    window: u32,

    /// Show the metrics whose names begin so, with what they changed by; several with commas between them.
    #[arg(long, env = "TACHOGRAPH_METRICS", value_name = "PREFIX", value_delimiter = ',')]
    metrics: Vec<String>,

    /// Of those only the series with this label; several have to match all.
    #[arg(long, env = "TACHOGRAPH_LABEL", value_name = "NAME:VALUE", value_parser = parse_label)]
    label: Vec<(String, String)>,

    /// Leave the sessions and their events out.
    #[arg(long, env = "TACHOGRAPH_NO_SESSIONS", value_parser = FalseyValueParser::new())]
    no_sessions: bool,

    /// Print each frame as a line of JSON; of a recording all of it, whatever the other flags say.
    #[arg(long, env = "TACHOGRAPH_JSON", value_parser = FalseyValueParser::new())]
    json: bool,

    #[command(flatten)]
    trust: TrustArgs,
}

fn parse_window(text: &str) -> Result<u32, String> {
    hub::parse_window(text).ok_or_else(|| "must be a time such as 90s, 15m or 1h, or all".into())
}

fn parse_label(text: &str) -> Result<(String, String), String> {
    hub::parse_label(text).ok_or_else(|| "must be a name and a value, such as source:mic".into())
}

/// Why a stream cannot be shown.
#[derive(Debug, thiserror::Error)]
pub(super) enum TailError {
    #[error("cannot read {path}: {cause}")]
    File { path: PathBuf, cause: io::Error },
    #[error("cannot show the stream: {0}")]
    Stream(#[from] FrameError),
    #[error("the stream ends within a record")]
    CutOff,
    #[error("cannot write what is shown: {0}")]
    Output(io::Error),
    #[error("{0}; give a server's address, or a file with a recorded stream")]
    Address(String),
    #[error("cannot connect to {url}: {cause}; is the server running?")]
    Connect { url: String, cause: String },
}

/// Shows a stream until its end or `stop`.
pub(super) async fn run(args: TailArgs, stop: CancellationToken) -> Result<(), CliError> {
    let filter = args.filter();
    let mut shown = Shown::new(&args);
    if let Some(path) = source::recorded(&args.from) {
        // A read can wait for ever: nobody waits for it.
        let reading = spawn_blocking(move || {
            source::read_recorded(&path, &mut shown)?;
            shown.check()
        });
        tokio::select! {
            read = reading => read.map_err(|_| TailError::CutOff)??,
            () = stop.cancelled() => {}
        }
    } else {
        let url = socket_url(&args.from, ENDPOINT).map_err(TailError::Address)?;
        let server = Server { connector: args.trust.connector(&url)?, url };
        source::follow(&server, args.window, &filter, &mut shown, stop).await?;
        shown.check()?;
    }
    Ok(())
}

impl TailArgs {
    fn filter(&self) -> Filter {
        Filter { sessions: !self.no_sessions, prefixes: self.metrics.clone(), labels: self.label.clone() }
    }
}

/// What was read, and how it is shown.
struct Shown {
    follower: Follower,
    text: Text,
    json: bool,
    /// Nobody reads any more what is printed, or it cannot be written.
    is_closed: bool,
    /// Why it cannot, other than that nobody reads.
    unwritable: Option<io::Error>,
}

impl Shown {
    fn new(args: &TailArgs) -> Self {
        let text = Text::new(!args.metrics.is_empty() || !args.label.is_empty(), !args.no_sessions, args.filter());
        Self { follower: Follower::default(), text, json: args.json, is_closed: false, unwritable: None }
    }

    /// Whether all that was to be shown could be.
    fn check(&mut self) -> Result<(), TailError> {
        self.unwritable.take().map_or(Ok(()), |cause| Err(TailError::Output(cause)))
    }

    fn take(&mut self, message: &[u8]) -> Result<(), FrameError> {
        let Self { follower, text, json, is_closed, unwritable } = self;
        let mut out = io::stdout().lock();
        let mut origin = follower.hello().cloned();
        follower.take(message, |arrival| {
            let printed = match arrival {
                Arrival::Hello(hello) => {
                    if origin.replace(hello.clone()).is_some_and(|before| before.epoch != hello.epoch) {
                        text.restart();
                    }
                    tell_outcome(hello);
                    Ok(())
                }
                Arrival::Newest(state) if *json => print_json(&mut out, state, origin.as_ref()),
                Arrival::Newest(state) => text.print(&mut out, state),
                // The past was printed; what fills it comes too late for a terminal.
                Arrival::Fills(_) => Ok(()),
                Arrival::Skipped(frames) => {
                    eprintln!("-- {frames} frames were skipped: this reader was too slow");
                    Ok(())
                }
            };
            if let Err(error) = printed {
                *is_closed = true;
                *unwritable = Some(error).filter(|error| error.kind() != io::ErrorKind::BrokenPipe);
            }
        })
    }
}

fn tell_outcome(hello: &Hello) {
    match hello.outcome {
        Outcome::Gone => eprintln!("-- frames are missing here: the server does not have them any more"),
        Outcome::Restarted => eprintln!("-- the server was restarted"),
        Outcome::Fresh | Outcome::Resumed => {}
    }
}

fn print_json(out: &mut impl Write, state: &State, origin: Option<&Hello>) -> io::Result<()> {
    let Some(origin) = origin else { return Ok(()) };
    serde_json::to_writer(&mut *out, &state.to_plain(origin.epoch, &origin.server_version))?;
    writeln!(out)
}
