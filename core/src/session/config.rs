use core::time::Duration;

use super::chunk::audio_nanos;
use crate::wire::PCM_BYTES_PER_SECOND;

/// The bounds of a source's queue, and how it degrades. A bound of zero is none.
///
/// The queue is the application's: what the bounds are good for is to tell how full it is.
///
/// ```
/// use tachograph_core::session::SourceConfig;
///
/// let tokens = SourceConfig { frames_max: 256, ..SourceConfig::default() };
/// assert_eq!(tokens.bytes_max, 0);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceConfig {
    /// Frames that may wait.
    pub frames_max: u64,
    /// Bytes that may wait.
    pub bytes_max: u64,
    /// Media that may wait, by how long it plays.
    pub media_max: Duration,
    /// Where its degrade level comes from.
    pub degrade: Degrade,
}

/// Where a source's degrade level comes from.
///
/// ```
/// use tachograph_core::session::{Degrade, SourceConfig};
///
/// let speech = SourceConfig { degrade: Degrade::Ladder { fallback: false }, ..SourceConfig::default() };
/// assert_eq!(SourceConfig::default().degrade, Degrade::None);
/// # assert_ne!(speech.degrade, Degrade::None);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Degrade {
    /// It has none.
    #[default]
    None,
    /// From the [`Ladder`](super::Ladder), by the realtime factor of what was processed. Whoever works for the
    /// source is to follow it.
    Ladder {
        /// Whether there is a provider to fall back to.
        fallback: bool,
    },
    /// From whoever works for the source.
    Told,
}

/// The bounds and choices of a session whose sources send PCM.
///
/// ```
/// use core::time::Duration;
/// use tachograph_core::session::AudioConfig;
///
/// let short = AudioConfig { chunk: Duration::from_millis(500), ..AudioConfig::default() };
/// assert_eq!((short.sources_max, short.queue_bytes_max), (2, 64_000));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct AudioConfig {
    /// Sources a session may have.
    pub sources_max: usize,
    /// PCM that may wait, a source.
    pub queue_bytes_max: usize,
    /// Frames that may wait, a source.
    pub queue_frames_max: usize,
    /// Audio in a chunk at level NORMAL.
    pub chunk: Duration,
    /// Whether sources degrade under load.
    pub ladder: bool,
    /// Whether there is a provider to fall back to.
    pub fallback: bool,
}

impl Default for AudioConfig {
    fn default() -> Self {
        Self {
            sources_max: 2,
            queue_bytes_max: 2 * PCM_BYTES_PER_SECOND,
            queue_frames_max: 500,
            chunk: Duration::from_secs(2),
            ladder: true,
            fallback: false,
        }
    }
}

impl AudioConfig {
    /// Of each of its sources.
    pub(super) fn source(&self) -> SourceConfig {
        let bytes_max = self.queue_bytes_max as u64;
        SourceConfig {
            frames_max: self.queue_frames_max as u64,
            bytes_max,
            media_max: Duration::from_nanos(audio_nanos(bytes_max)),
            // Without the ladder nobody tells, and the level cannot be had.
            degrade: if self.ladder { Degrade::Ladder { fallback: self.fallback } } else { Degrade::Told },
        }
    }
}
