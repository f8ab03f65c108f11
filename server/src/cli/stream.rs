use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use clap::builder::FalseyValueParser;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use tachograph_core::wire::{FinalSummary, ServerMessage, SourceName, Tally};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::address::socket_url;
use super::audio_file;
use super::client::{Playback, Watcher};
use super::run_server::parse_within;
use super::trust::TrustArgs;
use super::{CliError, print_line};

/// More sessions than this share one line of progress.
const BARS_MAX: usize = 8;
const ENDPOINT: &str = "/ws/live-listener";

#[derive(Debug, Args)]
pub(super) struct StreamArgs {
    /// WAV files of any rate and width; each is a session, unless --sessions says otherwise.
    #[arg(required = true, value_name = "FILE.wav")]
    files: Vec<PathBuf>,

    /// The server.
    #[arg(long, env = "TACHOGRAPH_URL", default_value = "http://127.0.0.1:7117", value_parser = parse_url)]
    url: String,

    /// What the audio is sent as: system, mic or another name. Several, with commas between them, are sent side by
    /// side in each session.
    #[arg(long, env = "TACHOGRAPH_SOURCE", default_value = "system", value_delimiter = ',', value_parser = parse_source)]
    source: Vec<SourceName>,

    /// How many sessions; they take the files in turn. [default: one a file]
    #[arg(long, env = "TACHOGRAPH_SESSIONS", value_name = "N", value_parser = clap::value_parser!(u16).range(1..=10_000))]
    sessions: Option<u16>,

    /// How much faster than real time: 0.1 to 100.
    #[arg(long, env = "TACHOGRAPH_SPEED", default_value = "1", value_name = "X", value_parser = parse_speed, allow_negative_numbers = true)]
    speed: f64,

    /// Begin again at the end of the file, until Ctrl-C.
    #[arg(long = "loop", env = "TACHOGRAPH_LOOP", value_parser = FalseyValueParser::new())]
    repeat: bool,

    #[command(flatten)]
    trust: TrustArgs,
}

fn parse_speed(text: &str) -> Result<f64, String> {
    parse_within(text, 0.1, 100.0)
}

fn parse_source(text: &str) -> Result<SourceName, String> {
    SourceName::parse(text).map_err(|_| "1 to 32 of a-z, 0-9, _ and -".into())
}

fn parse_url(text: &str) -> Result<String, String> {
    socket_url(text, ENDPOINT)
}

/// Plays the files, then prints the receipts.
pub(super) async fn run(args: StreamArgs, stop: CancellationToken) -> Result<(), CliError> {
    let playbacks = args.playbacks()?;
    let all = playbacks.len();
    let progress = Progress::new(&playbacks);
    let mut sessions = JoinSet::new();
    for playback in playbacks {
        let (stop, mut bar) = (stop.clone(), progress.bar(&playback));
        sessions.spawn(async move { playback.play(stop, &mut bar).await });
    }
    let mut summaries = Vec::new();
    let mut failed = 0;
    while let Some(ended) = sessions.join_next().await {
        match ended {
            Ok(Ok(summary)) => summaries.push(summary),
            Ok(Err(error)) => {
                failed += 1;
                progress.bars.suspend(|| eprintln!("error: {error}"));
            }
            Err(_) => failed += 1,
        }
    }
    progress.finish();
    print_receipts(&summaries);
    if failed > 0 { Err(CliError::Sessions { failed, all }) } else { Ok(()) }
}

impl StreamArgs {
    fn playbacks(&self) -> Result<Vec<Playback>, CliError> {
        let audio = self.files.iter().map(|path| audio_file::load(path)).collect::<Result<Vec<_>, _>>()?;
        let connector = self.trust.connector(&self.url)?;
        let sessions = self.sessions.map_or(audio.len(), usize::from);
        let playback = |number: usize| Playback {
            url: self.url.clone(),
            connector: connector.clone(),
            session_id: session_id(&self.files[number % audio.len()]),
            sources: self.source.clone(),
            pcm: audio[number % audio.len()].clone(),
            speed: self.speed,
            repeat: self.repeat,
        };
        Ok((0..sessions).map(playback).collect())
    }
}

/// The file's name, for a person, and something that no other session has.
fn session_id(path: &std::path::Path) -> String {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let stem: String = stem.chars().take(200).collect();
    format!("{stem}-{:.8}", Uuid::new_v4().simple())
}

fn print_receipts(summaries: &[FinalSummary]) {
    for summary in summaries {
        let name = summary.json.identity.session_id.as_deref().unwrap_or_default();
        print_line(format_args!("{name}\n\n{}", summary.markdown));
    }
    let frames = |of: fn(Tally) -> u64| -> u64 {
        summaries.iter().flat_map(|summary| &summary.json.sources).map(|source| of(source.frames)).sum()
    };
    print_line(format_args!(
        "{} sessions: {} frames received, {} processed, {} dropped",
        summaries.len(),
        frames(|tally| tally.received),
        frames(|tally| tally.processed),
        frames(|tally| tally.dropped)
    ));
}

/// Lines of progress on the terminal: one a session, or one for all.
struct Progress {
    bars: MultiProgress,
    shared: Option<ProgressBar>,
}

impl Progress {
    fn new(playbacks: &[Playback]) -> Self {
        let bars = MultiProgress::new();
        let shared = (playbacks.len() > BARS_MAX).then(|| {
            let total: Duration = playbacks.iter().map(Playback::duration).sum();
            let bar = bars.add(styled(total, playbacks.iter().any(|playback| playback.repeat)));
            bar.set_prefix(format!("{} sessions", playbacks.len()));
            bar
        });
        Self { bars, shared }
    }

    fn bar(&self, playback: &Playback) -> Bar {
        let bar = self.shared.clone().unwrap_or_else(|| {
            let bar = self.bars.add(styled(playback.duration(), playback.repeat));
            bar.set_prefix(playback.session_id.clone());
            bar
        });
        Bar { bar, shared: self.shared.is_some() }
    }

    fn finish(&self) {
        if let Err(error) = self.bars.clear() {
            tracing::debug!(%error, "the progress could not be cleared");
        }
    }
}

/// Counts milliseconds of audio.
fn styled(total: Duration, repeat: bool) -> ProgressBar {
    let (bar, template) = if repeat {
        (ProgressBar::new_spinner(), "{spinner} {prefix} {elapsed_precise} {wide_msg}")
    } else {
        (ProgressBar::new(total.as_millis() as u64), "{prefix} {bar:24} {percent:>3}% {wide_msg}")
    };
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

struct Bar {
    bar: ProgressBar,
    shared: bool,
}

impl Watcher for Bar {
    fn sent(&mut self, audio: Duration) {
        self.bar.inc(audio.as_millis() as u64);
    }

    fn said(&mut self, message: &ServerMessage) {
        let ServerMessage::Metrics(figures) = message else { return };
        if !self.shared {
            self.bar.set_message(format!(
                "{}: fill {:.0} %, realtime factor {:.2}, dropped {}, {}",
                figures.source,
                figures.queue_fill_ratio * 100.0,
                figures.realtime_factor,
                figures.dropped_total,
                figures.degrade_level.unwrap_or_default().as_str()
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_leads_to_the_endpoint() {
        let endpoint = Ok("ws://localhost:7117/ws/live-listener".to_owned());
        for given in ["http://localhost:7117", "localhost:7117/", "ws://localhost:7117/ws/live-listener"] {
            assert_eq!(parse_url(given), endpoint, "{given}");
        }
        assert_eq!(parse_url("https://example.org"), Ok("wss://example.org/ws/live-listener".to_owned()));
        assert!(parse_url("ftp://example.org").is_err());
        assert!(parse_url("http://").is_err());
    }
}
