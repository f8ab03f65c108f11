use std::time::Duration;

use clap::Args;
use tachograph_core::registry::Registry;
use tachograph_core::wire::PCM_BYTES_PER_SECOND;

use super::run_server::parse_within;
use crate::listener::Listener;
use crate::{HistoryLimits, Limits};

/// Frames that may wait for each second of audio that may: with the defaults the protocol's 500 for 2 s.
const QUEUE_FRAMES_PER_SECOND: f64 = 250.0;
const MEGABYTE: usize = 1_000_000;

#[derive(Debug, Args)]
#[command(next_help_heading = "Limits")]
pub(super) struct LimitArgs {
    /// Sessions at once; one more is refused.
    #[arg(long, env = "TACHOGRAPH_MAX_SESSIONS", default_value = "1000", value_name = "N",
          value_parser = clap::value_parser!(u32).range(1..=100_000))]
    max_sessions: u32,

    /// Memory that all sessions may take together, in MB: 16 to 65536. Beyond it the newest are ended.
    #[arg(long, env = "TACHOGRAPH_SESSIONS_MEGABYTES", default_value = "256", value_name = "MB",
          value_parser = clap::value_parser!(u32).range(16..=65_536))]
    sessions_megabytes: u32,

    /// Sources a session may have; audio of one more is refused.
    #[arg(long, env = "TACHOGRAPH_MAX_SOURCES", default_value = "2", value_name = "N",
          value_parser = clap::value_parser!(u32).range(1..=16))]
    max_sources: u32,

    /// Audio of a source that may wait, in seconds: 0.2 to 30, and 250 frames for each. Beyond it the oldest is
    /// dropped.
    #[arg(long, env = "TACHOGRAPH_QUEUE_SECONDS", default_value = "2", value_name = "SECONDS",
          value_parser = parse_queue, allow_negative_numbers = true)]
    queue_seconds: f64,

    /// The longest message of a client, in bytes: 4096 to 8388608. A longer one ends its connection.
    #[arg(long, env = "TACHOGRAPH_MAX_MESSAGE_BYTES", default_value = "1048576", value_name = "BYTES",
          value_parser = clap::value_parser!(u32).range(4_096..=8_388_608))]
    max_message_bytes: u32,

    /// Messages a second that are read of one client: 10 to 100000. What comes faster waits.
    #[arg(long, env = "TACHOGRAPH_MESSAGES_PER_SECOND", default_value = "500", value_name = "N",
          value_parser = clap::value_parser!(u32).range(10..=100_000))]
    messages_per_second: u32,

    /// Bytes a second that are read of one client: 64000 to 1000000000. What comes faster waits.
    #[arg(long, env = "TACHOGRAPH_BYTES_PER_SECOND", default_value = "4000000", value_name = "BYTES",
          value_parser = clap::value_parser!(u32).range(64_000..=1_000_000_000))]
    bytes_per_second: u32,

    /// Viewers of the stream at once, pages and others; one more is refused.
    #[arg(long, env = "TACHOGRAPH_MAX_VIEWERS", default_value = "1000", value_name = "N",
          value_parser = clap::value_parser!(u32).range(1..=100_000))]
    max_viewers: u32,

    /// Different filters that they may ask for; one more is refused.
    #[arg(long, env = "TACHOGRAPH_MAX_SUBSCRIPTIONS", default_value = "64", value_name = "N",
          value_parser = clap::value_parser!(u32).range(1..=1_000))]
    max_subscriptions: u32,

    /// Series of one metric; further values of its labels share one that is called __overflow__.
    #[arg(long, env = "TACHOGRAPH_MAX_SERIES", default_value = "2000", value_name = "N",
          value_parser = clap::value_parser!(u32).range(1..=100_000))]
    max_series: u32,

    /// How long the past is kept for viewers, in minutes: 1 to 1440.
    #[arg(long, env = "TACHOGRAPH_HISTORY_MINUTES", default_value = "60", value_name = "MINUTES",
          value_parser = clap::value_parser!(u32).range(1..=1440))]
    history_minutes: u32,

    /// The most memory that it takes, in MB: 1 to 16384. What is older goes first.
    #[arg(long, env = "TACHOGRAPH_HISTORY_MEGABYTES", default_value = "64", value_name = "MB",
          value_parser = clap::value_parser!(u32).range(1..=16_384))]
    history_megabytes: u32,
}

fn parse_queue(text: &str) -> Result<f64, String> {
    parse_within(text, 0.2, 30.0)
}

impl LimitArgs {
    /// Those that can change while all works; the others stay as they are.
    pub(super) fn limits(&self, others: Limits) -> Limits {
        Limits {
            sessions: self.max_sessions as usize,
            sessions_bytes: self.sessions_megabytes as usize * MEGABYTE,
            viewers: self.max_viewers as usize,
            subscriptions: self.max_subscriptions as usize,
            messages_per_second: self.messages_per_second,
            bytes_per_second: self.bytes_per_second,
            ..others
        }
    }

    pub(super) fn history(&self) -> HistoryLimits {
        HistoryLimits {
            span: Duration::from_secs(u64::from(self.history_minutes) * 60),
            bytes: self.history_megabytes as usize * MEGABYTE,
        }
    }

    /// An empty one with room for so many series.
    pub(super) fn registry(&self) -> Registry {
        Registry::with_series_limit(self.max_series as usize)
    }

    /// Those of each session.
    pub(super) fn bound(&self, listener: &mut Listener) {
        listener.message_bytes_max = self.max_message_bytes as usize;
        listener.audio.sources_max = self.max_sources as usize;
        listener.audio.queue_frames_max = (self.queue_seconds * QUEUE_FRAMES_PER_SECOND).round() as usize;
        // Whole samples.
        listener.audio.queue_bytes_max = (self.queue_seconds * PCM_BYTES_PER_SECOND as f64 / 2.0).round() as usize * 2;
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::provider::{Providers, Vad};

    #[derive(Debug, Parser)]
    struct Only {
        #[command(flatten)]
        limits: LimitArgs,
    }

    fn parsed(args: &[&str]) -> Result<LimitArgs, String> {
        let args = ["tachograph"].iter().chain(args);
        Only::try_parse_from(args).map(|only| only.limits).map_err(|error| error.to_string())
    }

    fn listener(args: &[&str]) -> Listener {
        let mut listener = Listener::new(Providers::only(Vad::default()));
        parsed(args).unwrap().bound(&mut listener);
        listener
    }

    #[test]
    fn the_defaults_are_the_librarys() {
        let args = parsed(&[]).unwrap();
        assert_eq!(args.limits(Limits::default()), Limits::default());
        assert_eq!(args.history().span, HistoryLimits::default().span);
        let (bounded, plain) = (listener(&[]), Listener::new(Providers::only(Vad::default())));
        assert_eq!((bounded.audio, bounded.message_bytes_max), (plain.audio, plain.message_bytes_max));
    }

    #[test]
    fn a_flag_changes_its_limit_and_no_other() {
        let others = Limits { connections: 7, ..Limits::default() };
        let args =
            parsed(&["--max-sessions", "3", "--sessions-megabytes", "16", "--bytes-per-second", "64000"]).unwrap();
        let expected = Limits { sessions: 3, sessions_bytes: 16_000_000, bytes_per_second: 64_000, ..others };
        assert_eq!(args.limits(others), expected);
    }

    #[test]
    fn a_queue_is_bounded_in_bytes_and_in_frames() {
        let audio = listener(&["--queue-seconds", "0.50003"]).audio;
        assert_eq!((audio.queue_bytes_max, audio.queue_frames_max), (16_000, 125));
        assert_eq!(listener(&["--queue-seconds", "30"]).audio.queue_bytes_max, 960_000);
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (args, said) in [
            (["--queue-seconds", "0.1"], "from 0.2 to 30"),
            (["--sessions-megabytes", "15"], "16..=65536"),
            (["--messages-per-second", "0"], "10..=100000"),
            (["--max-message-bytes", "1"], "4096..=8388608"),
        ] {
            let error = parsed(&args).unwrap_err();
            assert!(error.contains(said), "{args:?}: {error}");
        }
    }
}
