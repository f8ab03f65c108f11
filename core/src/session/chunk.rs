use alloc::vec::Vec;
use core::time::Duration;

use bytes::Bytes;

use super::amount::Amount;
use super::queue::Piece;
use super::work::Voice;
use crate::time::Moment;
use crate::wire::PCM_BYTES_PER_SECOND;

/// Audio in the provider's hands, in order.
///
/// ```
/// use tachograph_core::session::Chunk;
///
/// let empty = Chunk::default();
/// assert!(empty.duration().is_zero() && empty.pieces().is_empty());
/// ```
#[derive(Clone, Debug, Default)]
pub struct Chunk {
    pieces: Vec<Bytes>,
    amount: Amount,
    last_arrived: Moment,
}

impl Chunk {
    pub(super) fn add(&mut self, piece: Piece) {
        self.amount += piece_of(&piece.audio);
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

    pub(super) fn last_arrived(&self) -> Moment {
        self.last_arrived
    }

    /// How long the audio is.
    pub fn duration(&self) -> Duration {
        self.amount.media()
    }
}

/// A whole number: no rounding.
const NANOS_PER_BYTE: u64 = 1_000_000_000 / PCM_BYTES_PER_SECOND as u64;

/// How long so much PCM is.
pub(super) fn audio_nanos(pcm_bytes: u64) -> u64 {
    pcm_bytes.saturating_mul(NANOS_PER_BYTE)
}

/// A piece of PCM as an amount.
pub(super) fn piece_of(audio: &Bytes) -> Amount {
    let bytes = audio.len() as u64;
    Amount { frames: 1, bytes, media_nanos: audio_nanos(bytes) }
}

/// What a provider found and how long it took.
///
/// ```
/// use core::time::Duration;
/// use tachograph_core::session::ChunkResult;
///
/// let result = ChunkResult { inference: Duration::from_millis(80), voice: None };
/// assert_eq!(result.inference.as_millis(), 80);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ChunkResult {
    /// Time inside the provider.
    pub inference: Duration,
    /// What voice detection found; None when it was off.
    pub voice: Option<Voice>,
}
