use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::time::Duration;

use bytes::Bytes;

use super::queue::{Amount, Piece};
use crate::time::Moment;
use crate::wire::PCM_BYTES_PER_SECOND;

/// Chunks over which means are taken.
const RECENT: usize = 10;

/// Audio in the provider's hands, in order.
#[derive(Clone, Debug, Default)]
pub struct Chunk {
    pieces: Vec<Bytes>,
    amount: Amount,
    last_arrived: Moment,
}

impl Chunk {
    pub(super) fn add(&mut self, piece: Piece) {
        self.amount += Amount::of(&piece.audio);
        self.last_arrived = piece.arrived;
        self.pieces.push(piece.audio);
    }

    pub(super) fn amount(&self) -> Amount {
        self.amount
    }

    /// The PCM, PCM16LE at 16 kHz, in pieces of whole samples.
    pub fn pieces(&self) -> &[Bytes] {
        &self.pieces
    }

    /// When the last frame of it was received.
    pub fn last_arrived(&self) -> Moment {
        self.last_arrived
    }

    /// How long the audio is.
    pub fn duration(&self) -> Duration {
        audio_time(self.amount.bytes)
    }
}

/// A whole number: no rounding.
const NANOS_PER_BYTE: u64 = 1_000_000_000 / PCM_BYTES_PER_SECOND as u64;

/// How long so much PCM is.
pub(super) fn audio_time(pcm_bytes: u64) -> Duration {
    Duration::from_nanos(pcm_bytes.saturating_mul(NANOS_PER_BYTE))
}

/// What a provider found and how long it took.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ChunkResult {
    /// Time inside the provider.
    pub inference: Duration,
    /// What voice detection found; None when it was off.
    pub voice: Option<Voice>,
}

/// What voice detection found in a chunk.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Voice {
    /// The share of the chunk that is voice, 0 to 1.
    pub ratio: f64,
    /// Whether that is enough to call it speech.
    pub is_speech: bool,
}

/// The last 10 chunks that a provider ended well.
#[derive(Debug, Default)]
pub(super) struct RecentChunks(VecDeque<Timing>);

#[derive(Debug)]
struct Timing {
    inference: Duration,
    processing: Duration,
    audio: Duration,
}

impl RecentChunks {
    pub(super) fn add(&mut self, inference: Duration, processing: Duration, audio: Duration) {
        if self.0.len() >= RECENT {
            self.0.pop_front();
        }
        self.0.push_back(Timing { inference, processing, audio });
    }

    pub(super) fn mean_inference(&self) -> Duration {
        self.mean(|chunk| chunk.inference)
    }

    pub(super) fn mean_processing(&self) -> Duration {
        self.mean(|chunk| chunk.processing)
    }

    /// Time inside the provider by audio time; 0 without chunks.
    pub(super) fn realtime_factor(&self) -> f64 {
        let (audio, inference) = (self.total(|chunk| chunk.audio), self.total(|chunk| chunk.inference));
        // By whole nanoseconds, so that a factor at one of the ladder's thresholds is exactly that.
        if audio.is_zero() { 0.0 } else { inference.as_nanos() as f64 / audio.as_nanos() as f64 }
    }

    fn mean(&self, time: fn(&Timing) -> Duration) -> Duration {
        self.total(time).checked_div(self.0.len() as u32).unwrap_or_default()
    }

    fn total(&self, time: fn(&Timing) -> Duration) -> Duration {
        self.0.iter().map(time).fold(Duration::ZERO, Duration::saturating_add)
    }
}
