use core::time::Duration;

use crate::wire::PCM_BYTES_PER_SECOND;

/// The bounds and choices of a session.
#[derive(Clone, Debug, PartialEq)]
pub struct SessionConfig {
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

impl Default for SessionConfig {
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
