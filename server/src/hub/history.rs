use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;

/// How much of the past is kept; whichever is reached first.
///
/// ```
/// use std::time::Duration;
/// use tachograph::{HistoryLimits, Tachograph};
///
/// let limits = HistoryLimits { span: Duration::from_secs(900), ..HistoryLimits::default() };
/// let tacho = Tachograph::builder().history(limits).build()?;
/// # let _ = tacho;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HistoryLimits {
    /// For how long a frame is kept.
    pub span: Duration,
    /// Bytes of all frames.
    pub bytes: usize,
}

impl Default for HistoryLimits {
    /// An hour, in at most 64 MiB.
    fn default() -> Self {
        Self { span: Duration::from_secs(3_600), bytes: 64 << 20 }
    }
}

/// A frame of the past, as it goes out; clones share the bytes.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) seq: u64,
    pub(crate) tick: u64,
    pub(crate) wall_ms: u64,
    /// What readers get that have the frame before.
    pub(crate) frame: Bytes,
    /// What readers can begin with, at intervals.
    pub(crate) keyframe: Option<Bytes>,
}

impl Entry {
    fn bytes(&self) -> usize {
        let keyframe = self.keyframe.as_ref().map_or(0, Bytes::len);
        self.frame.len() + keyframe + size_of::<Self>()
    }
}

/// The newest frames, without a hole, within limits: the oldest go first.
#[derive(Debug)]
pub(crate) struct History {
    limits: HistoryLimits,
    entries: VecDeque<Entry>,
    bytes: usize,
    /// The whole schema, as far as the newest frame knows it.
    schema: Bytes,
    /// The newest frame that described something new.
    described: u64,
    /// One that a slow reader wished for: it is not part of the past, which would be the shorter for it.
    wished: Option<(u64, Bytes)>,
}

impl History {
    pub(crate) fn new(limits: HistoryLimits) -> Self {
        Self { limits, entries: VecDeque::new(), bytes: 0, schema: Bytes::new(), described: 0, wished: None }
    }

    /// A keyframe of the newest frame, for readers that are too slow.
    pub(crate) fn wish(&mut self, keyframe: Bytes) {
        self.wished = self.newest().map(|entry| (entry.seq, keyframe));
    }

    /// Adds the newest frame. Returns how many had to go: with those too old or too much, all before a hole,
    /// so that none is ever in it.
    pub(crate) fn push(&mut self, entry: Entry, schema: Option<Bytes>) -> u64 {
        if let Some(schema) = schema {
            (self.schema, self.described) = (schema, entry.seq);
        }
        let oldest_tick = entry.tick.saturating_sub(self.limits.span.as_secs());
        let mut gone = 0;
        if self.newest().is_some_and(|newest| newest.seq + 1 != entry.seq) {
            gone = self.entries.len() as u64;
            self.entries.clear();
            self.bytes = 0;
        }
        self.bytes += entry.bytes();
        self.entries.push_back(entry);
        while self.entries.len() > 1 && self.must_let_go(oldest_tick) {
            self.bytes -= self.entries.pop_front().map_or(0, |entry| entry.bytes());
            gone += 1;
        }
        gone
    }

    fn must_let_go(&self, oldest_tick: u64) -> bool {
        self.bytes > self.limits.bytes || self.entries.front().is_some_and(|entry| entry.tick < oldest_tick)
    }

    pub(crate) fn schema(&self) -> Bytes {
        self.schema.clone()
    }

    /// The whole schema, for a reader that has not read the frames from this one on; None if they described
    /// nothing new.
    pub(crate) fn schema_since(&self, seq: u64) -> Option<Bytes> {
        (self.described >= seq && !self.schema.is_empty()).then(|| self.schema())
    }

    /// The number of the oldest frame to begin with.
    pub(crate) fn oldest_keyframe(&self) -> Option<u64> {
        self.entries.iter().find(|entry| entry.keyframe.is_some()).map(|entry| entry.seq)
    }

    /// The newest frame to begin with, also one that was only wished for.
    pub(crate) fn newest_keyframe(&self) -> Option<(u64, Bytes)> {
        let held = self.entries.iter().rev().find_map(|entry| Some((entry.seq, entry.keyframe.clone()?)));
        held.into_iter().chain(self.wished.clone()).max_by_key(|(seq, _)| *seq)
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn oldest(&self) -> Option<&Entry> {
        self.entries.front()
    }

    pub(crate) fn newest(&self) -> Option<&Entry> {
        self.entries.back()
    }

    /// The frames from this one on.
    pub(crate) fn from(&self, seq: u64) -> impl DoubleEndedIterator<Item = &Entry> {
        let first = self.oldest().map_or(0, |entry| entry.seq);
        let place = usize::try_from(seq.saturating_sub(first)).unwrap_or(usize::MAX).min(self.entries.len());
        self.entries.range(place..)
    }

    /// The newest frame to begin with of those up to `seq`; where there is none, the oldest there is.
    pub(crate) fn keyframe_for(&self, seq: u64) -> Option<&Entry> {
        let has_keyframe = |entry: &&Entry| entry.keyframe.is_some();
        let up_to = self.entries.iter().rev().skip_while(|entry| entry.seq > seq).find(has_keyframe);
        up_to.or_else(|| self.entries.iter().find(has_keyframe))
    }

    /// The number of the first frame that is not older than `wall_ms`; of the newest one if all are.
    pub(crate) fn first_at(&self, wall_ms: u64) -> u64 {
        let found = self.entries.iter().find(|entry| entry.wall_ms >= wall_ms).or(self.newest());
        found.map_or(0, |entry| entry.seq)
    }

    /// The number of the newest frame that is not younger than `wall_ms`; 0 if all are.
    pub(crate) fn last_at(&self, wall_ms: u64) -> u64 {
        self.entries.iter().rev().find(|entry| entry.wall_ms <= wall_ms).map_or(0, |entry| entry.seq)
    }

    /// The number of the first of the frames of the last `seconds`.
    pub(crate) fn first_within(&self, seconds: u64) -> u64 {
        let newest = self.newest().map_or(0, |entry| entry.tick);
        let wanted = |entry: &&Entry| entry.tick.saturating_add(seconds) > newest;
        self.entries.iter().find(wanted).or(self.newest()).map_or(0, |entry| entry.seq)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(seq: u64, tick: u64, size: usize) -> Entry {
        let keyframe = (seq % 10 == 1).then(|| Bytes::from_static(b"key"));
        Entry { seq, tick, wall_ms: tick * 1_000, frame: vec![0; size].into(), keyframe }
    }

    fn filled(limits: HistoryLimits, frames: u64) -> History {
        let mut history = History::new(limits);
        for seq in 1..=frames {
            history.push(entry(seq, seq, 100), None);
        }
        history
    }

    #[test]
    fn what_is_older_than_the_span_goes() {
        let history = filled(HistoryLimits { span: Duration::from_secs(30), bytes: usize::MAX }, 100);
        assert_eq!(history.oldest().map(|entry| entry.seq), Some(70));
        assert_eq!(history.first_within(5), 96);
        assert_eq!((history.first_within(1_000), history.first_within(0)), (70, 100));
        assert_eq!(history.first_at(80_500), 81);
    }

    #[test]
    fn a_clock_that_is_set_forth_and_back_hides_nothing() {
        let mut history = filled(HistoryLimits::default(), 10);
        let astray = |seq| Entry { wall_ms: 3_600_000 + seq * 1_000, ..entry(seq, seq, 100) };
        (11..=20).for_each(|seq| {
            history.push(astray(seq), None);
        });
        (21..=30).for_each(|seq| {
            history.push(entry(seq, seq, 100), None);
        });
        assert_eq!((history.first_at(5_000), history.last_at(25_500)), (5, 25));
        assert_eq!(history.last_at(0), 0);
    }

    #[test]
    fn what_does_not_fit_goes_and_the_newest_stays() {
        let limits = HistoryLimits { span: Duration::from_secs(1_000), bytes: 2_000 };
        let mut history = filled(limits, 100);
        assert!(history.bytes() <= 2_000 && history.len() > 5);
        assert_eq!(history.push(entry(101, 101, 5_000), None), history.len() as u64 + 9);
        assert_eq!(history.len(), 1);
    }

    #[test]
    fn readers_begin_with_the_keyframe_at_or_before_what_they_want() {
        let history = filled(HistoryLimits::default(), 35);
        assert_eq!(history.keyframe_for(30).map(|entry| entry.seq), Some(21));
        assert_eq!(history.keyframe_for(21).map(|entry| entry.seq), Some(21));
        assert_eq!(history.keyframe_for(0).map(|entry| entry.seq), Some(1));
        assert_eq!(history.from(33).map(|entry| entry.seq).collect::<Vec<_>>(), [33, 34, 35]);
        assert_eq!(history.from(36).count(), 0);
    }
}
