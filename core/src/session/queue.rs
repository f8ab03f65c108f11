use alloc::collections::VecDeque;

use bytes::Bytes;

use super::amount::Amount;
use super::chunk::piece_of;
use crate::time::Moment;

/// A queued piece of audio.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    pub(super) audio: Bytes,
    pub(super) arrived: Moment,
}

/// Pieces that wait, bounded in bytes and in frames.
#[derive(Debug)]
pub(super) struct Queue {
    pieces: VecDeque<Piece>,
    bytes: usize,
    bytes_max: usize,
    frames_max: usize,
}

impl Queue {
    pub(super) fn new(bytes_max: usize, frames_max: usize) -> Self {
        Self { pieces: VecDeque::new(), bytes: 0, bytes_max, frames_max }
    }

    /// Queues a piece no longer than the queue; returns what had to go, the oldest first.
    pub(super) fn push(&mut self, audio: Bytes, now: Moment) -> Amount {
        let mut dropped = Amount::default();
        while self.bytes + audio.len() > self.bytes_max || self.pieces.len() >= self.frames_max {
            let Some(oldest) = self.take() else { break };
            dropped += piece_of(&oldest.audio);
        }
        self.bytes += audio.len();
        self.pieces.push_back(Piece { audio, arrived: now });
        dropped
    }

    pub(super) fn take(&mut self) -> Option<Piece> {
        let piece = self.pieces.pop_front()?;
        self.bytes -= piece.audio.len();
        Some(piece)
    }
}
