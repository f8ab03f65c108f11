use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::SourceName;
use crate::session::Level;

/// What the client's own audio path does.
///
/// ```
/// use tachograph_core::wire::ClientFeatures;
///
/// let features = ClientFeatures { client_vad_enabled: true, ..ClientFeatures::default() };
/// assert!(!features.clock_drift_compensation_enabled);
/// # assert!(features.client_vad_enabled);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ClientFeatures {
    /// It corrects the drift between its audio clocks.
    pub clock_drift_compensation_enabled: bool,
    /// It detects voice activity itself.
    pub client_vad_enabled: bool,
    /// It reports the drift.
    pub clock_drift_telemetry_enabled: bool,
    /// It reports its voice activity.
    pub client_vad_telemetry_enabled: bool,
}

/// What a source's provider is doing.
///
/// ```
/// use tachograph_core::wire::ProviderState;
///
/// assert_eq!(serde_json::to_string(&ProviderState::Stalled)?, "\"stalled\"");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProviderState {
    /// No chunk is inside.
    #[default]
    Idle,
    /// A chunk is inside.
    Running,
    /// Audio waits, and no chunk ended for 3 s or three mean chunk times, whichever is longer.
    Stalled,
    /// It failed and is being made anew.
    Restarting,
    /// It failed, and restarts did not help; it is tried again from time to time.
    Failed,
}

/// The figures of one source at one tick of its session.
///
/// Frames are pieces of at most 100 ms, as queued. No figure is ever NaN or infinite; one without
/// data is 0. At every moment, in bytes:
/// `received = processed + dropped + queue_bytes + in_provider`.
///
/// ```
/// use tachograph_core::registry::{DefaultMetrics, Registry};
/// use tachograph_core::session::{Amount, Session};
/// use tachograph_core::wire::MIC;
///
/// let metrics = DefaultMetrics::register(&Registry::new())?;
/// let mut session = Session::new(1, metrics, Default::default(), Default::default());
/// session.open_source(MIC, Default::default())?;
/// session.enqueued(MIC, Amount::new(2, 6_400), Amount::default(), Default::default());
/// let figures = &session.tick(1, Default::default(), 1_767_225_600.0)[0];
/// assert_eq!((figures.source, figures.tick, figures.queue_bytes), (MIC, 1, 6_400));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// The source.
    pub source: SourceName,
    /// The session's tick, the same for its sources.
    pub tick: u64,
    /// PCM waiting.
    pub queue_bytes: u64,
    /// The most PCM that may wait.
    pub queue_bytes_max: u64,
    /// Frames waiting.
    pub queue_depth: u64,
    /// The most frames that may wait.
    pub queue_max_frames: u64,
    /// The same, under the name that clients decode.
    pub queue_max: u64,
    /// The larger of bytes by bound and frames by bound; 2 decimals.
    pub queue_fill_ratio: f64,
    /// Audio waiting, in seconds; 2 decimals.
    pub backlog_seconds: f64,
    /// The most audio that may wait, in seconds; 2 decimals.
    pub max_backlog_seconds: f64,
    /// Frames dropped since start.
    pub dropped_total: u64,
    /// Frames dropped since the previous tick.
    pub dropped_recent: u64,
    /// Frames dropped in a sliding 10 s.
    pub dropped_chunks_last_10s: u64,
    /// Mean time inside the provider over the last 10 chunks, in ms; 1 decimal.
    pub avg_infer_ms: f64,
    /// Mean time from a chunk's last frame arriving to its result over the same chunks, in ms; 1 decimal.
    pub avg_processing_ms: f64,
    /// Median time inside the provider over the last 100 chunks, by nearest rank, in ms; 1 decimal.
    #[serde(default)]
    pub infer_p50_ms: f64,
    /// The time that 99 % of the same chunks did not exceed, by nearest rank, in ms; 1 decimal.
    #[serde(default)]
    pub infer_p99_ms: f64,
    /// Time inside the provider by audio time, summed over the last 10 chunks; 2 decimals.
    pub realtime_factor: f64,
    /// The provider in force.
    pub provider: String,
    /// The model in force.
    pub model_id: String,
    /// Whether voice detection is in force.
    pub vad_enabled: bool,
    /// What the provider is doing.
    pub provider_state: ProviderState,
    /// What the provider says of itself, shared by all that tell it; null when it did not answer.
    pub provider_health: Option<Arc<Value>>,
    /// Chunks with voice by chunks that voice detection judged; 2 decimals.
    pub speech_ratio: f64,
    /// Chunks in which voice detection found voice.
    pub speech_chunks_emitted: u64,
    /// Chunks that the provider ended well.
    pub total_chunks_processed: u64,
    /// The share of voice in the newest chunk; null before the first one or with voice detection off; 2 decimals.
    pub voice_ratio: Option<f64>,
    /// As in [`ClientFeatures`].
    pub client_clock_drift_compensation_enabled: bool,
    /// As in [`ClientFeatures`].
    pub client_vad_enabled: bool,
    /// As in [`ClientFeatures`].
    pub client_clock_drift_telemetry_enabled: bool,
    /// As in [`ClientFeatures`].
    pub client_vad_telemetry_enabled: bool,
    /// Spread of the audio positions reached by the session's sources, in ms; 1 decimal.
    pub source_clock_spread_ms: f64,
    /// Its maximum since start, in ms; 1 decimal.
    pub max_source_clock_spread_ms: f64,
    /// The sources that have sent audio, sorted.
    pub sources_active: Vec<SourceName>,
    /// The source's degrade level; absent when its status cannot be had.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub degrade_level: Option<Level>,
    /// The same as a number, 0 to 4.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub degrade_level_num: Option<u8>,
    /// Mean realtime factor of the last 10 s; 2 decimals.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rtf_avg_10s: Option<f64>,
    /// PCM received since start.
    pub bytes_received: u64,
    /// PCM that the provider took in since start.
    pub bytes_processed: u64,
    /// PCM dropped since start.
    pub bytes_dropped: u64,
    /// PCM in the provider's hands: in a chunk that is being filled or processed.
    pub bytes_in_provider: u64,
    /// Unix seconds at the tick.
    pub timestamp: f64,
}

/// `value` with so many decimals, as it goes on the wire; 0 if it is not finite.
///
/// ```
/// use tachograph_core::wire::rounded;
///
/// assert_eq!(rounded(0.126, 2), 0.13);
/// assert_eq!(rounded(f64::NAN, 2), 0.0);
/// ```
pub fn rounded(value: f64, decimals: u32) -> f64 {
    if !value.is_finite() {
        return 0.0;
    }
    let scale = 10_u32.pow(decimals.min(9));
    let half = if value < 0.0 { -0.5 } else { 0.5 };
    // Float to integer saturates.
    (value * f64::from(scale) + half) as i64 as f64 / f64::from(scale)
}
