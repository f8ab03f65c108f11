use alloc::collections::VecDeque;

use bytes::Bytes;

use crate::time::Moment;

/// Frames and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Amount {
    pub(super) frames: u64,
    pub(super) bytes: u64,
}

impl Amount {
    /// One frame.
    pub(super) fn of(audio: &Bytes) -> Self {
        Self { frames: 1, bytes: audio.len() as u64 }
    }
}

impl core::ops::AddAssign for Amount {
    fn add_assign(&mut self, other: Self) {
        self.frames += other.frames;
        self.bytes += other.bytes;
    }
}

impl core::ops::Sub for Amount {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self { frames: self.frames - other.frames, bytes: self.bytes - other.bytes }
    }
}

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
    waiting_since: Option<Moment>,
}

impl Queue {
    pub(super) fn new(bytes_max: usize, frames_max: usize) -> Self {
        Self { pieces: VecDeque::new(), bytes: 0, bytes_max, frames_max, waiting_since: None }
    }

    /// Queues a piece no longer than the queue; returns what had to go, the oldest first.
    pub(super) fn push(&mut self, audio: Bytes, now: Moment) -> Amount {
        let mut dropped = Amount::default();
        while self.bytes + audio.len() > self.bytes_max || self.pieces.len() >= self.frames_max {
            let Some(oldest) = self.pieces.pop_front() else { break };
            self.bytes -= oldest.audio.len();
            dropped += Amount::of(&oldest.audio);
        }
        self.bytes += audio.len();
        self.pieces.push_back(Piece { audio, arrived: now });
        // What was dropped does not count as served: the wait goes on.
        self.waiting_since.get_or_insert(now);
        dropped
    }

    pub(super) fn take(&mut self) -> Option<Piece> {
        let piece = self.pieces.pop_front()?;
        self.bytes -= piece.audio.len();
        if self.pieces.is_empty() {
            self.waiting_since = None;
        }
        Some(piece)
    }

    /// Empties the queue.
    pub(super) fn clear(&mut self) {
        self.pieces.clear();
        self.bytes = 0;
        self.waiting_since = None;
    }

    pub(super) fn waiting(&self) -> Amount {
        Amount { frames: self.pieces.len() as u64, bytes: self.bytes as u64 }
    }

    /// Since when some audio has waited without a break.
    pub(super) fn waiting_since(&self) -> Option<Moment> {
        self.waiting_since
    }

    pub(super) fn fill_ratio(&self) -> f64 {
        let by_bytes = self.bytes as f64 / self.bytes_max as f64;
        by_bytes.max(self.pieces.len() as f64 / self.frames_max as f64)
    }

    pub(super) fn bytes_max(&self) -> usize {
        self.bytes_max
    }

    pub(super) fn frames_max(&self) -> usize {
        self.frames_max
    }
}
