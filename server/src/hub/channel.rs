use std::sync::atomic::{AtomicBool, Ordering};

use bytes::{BufMut, Bytes, BytesMut};
use parking_lot::Mutex;
use tachograph_core::wire::frame::{Epoch, Hello, Outcome, Request, write_skipped};
use tokio::sync::watch;

use super::history::{Entry, History, HistoryLimits};

/// Frames that a reader may be behind before it skips to the newest state.
const OWED_FRAMES_MAX: u64 = 10;
/// Records that are put together into one message. A socket keeps room for its longest message, for each
/// reader: longer ones would cost more memory than they save time.
pub(super) const BATCH_BYTES_MAX: usize = 2 * 1024;

/// A stream with its past, for any number of readers: each of them has a place in it and nothing else, so
/// that none can delay another one or the tick.
#[derive(Debug)]
pub(crate) struct Channel {
    history: Mutex<History>,
    newest: watch::Sender<u64>,
    /// A reader that is too slow waits for a frame to begin with.
    wants_keyframe: AtomicBool,
}

/// What a reader gets next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Batch {
    pub(crate) bytes: Bytes,
    /// The number of its first frame.
    pub(crate) first_seq: u64,
    /// Frames that were left out before it, because the reader was too slow.
    pub(crate) skipped: u64,
}

impl Channel {
    pub(crate) fn new(limits: HistoryLimits) -> Self {
        Self {
            history: Mutex::new(History::new(limits)),
            newest: watch::Sender::new(0),
            wants_keyframe: AtomicBool::new(false),
        }
    }

    /// Adds the newest frame and wakes all readers. Returns how many old ones had to go.
    pub(crate) fn publish(&self, entry: Entry, schema: Option<Bytes>) -> u64 {
        let seq = entry.seq;
        let gone = self.history.lock().push(entry, schema);
        self.newest.send_replace(seq);
        gone
    }

    /// Whether a reader asked for a keyframe since the last time this was asked.
    pub(crate) fn takes_keyframe_wish(&self) -> bool {
        self.wants_keyframe.swap(false, Ordering::Relaxed)
    }

    /// Reads the past; nobody else can meanwhile.
    pub(crate) fn with_history<T>(&self, read: impl FnOnce(&History) -> T) -> T {
        read(&self.history.lock())
    }

    /// A receiver of the newest frame's number.
    pub(crate) fn subscribe(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }

    /// The frames from `next` on, as many as make a message, or what a reader that is too slow gets instead.
    /// Frames up to `owed` are owed however far behind it is. None while there is nothing.
    pub(crate) fn read(&self, next: u64, owed: u64, is_self_contained: bool) -> Option<(Batch, u64)> {
        let history = self.history.lock();
        let (oldest, newest) = (history.oldest()?.seq, history.newest()?.seq);
        if next > newest {
            return None;
        }
        let behind = newest - next.max(owed).min(newest);
        if next < oldest || behind >= OWED_FRAMES_MAX {
            return self.skip(&history, next, is_self_contained);
        }
        let mut bytes = BytesMut::new();
        let mut frames = history.from(next).map(|entry| &entry.frame).peekable();
        let mut after = next;
        while let Some(frame) = frames.next() {
            after += 1;
            // A lone one is shared, not copied.
            if bytes.is_empty() && frames.peek().is_none_or(|frame| frame.len() > BATCH_BYTES_MAX) {
                return Some((Batch { bytes: frame.clone(), first_seq: next, skipped: 0 }, after));
            }
            bytes.put_slice(frame);
            if frames.peek().is_none_or(|frame| bytes.len() + frame.len() > BATCH_BYTES_MAX) {
                break;
            }
        }
        Some((Batch { bytes: bytes.freeze(), first_seq: next, skipped: 0 }, after))
    }

    /// The newest keyframe, if it is new enough; else one is wished for.
    fn skip(&self, history: &History, next: u64, is_self_contained: bool) -> Option<(Batch, u64)> {
        let recent = history.from(next.max(history.newest()?.seq.saturating_sub(OWED_FRAMES_MAX / 2)));
        let Some((seq, keyframe)) = recent.rev().find_map(|entry| Some((entry.seq, entry.keyframe.clone()?))) else {
            self.wants_keyframe.store(true, Ordering::Relaxed);
            return None;
        };
        let skipped = seq - next;
        let mut bytes = Vec::new();
        if !is_self_contained {
            write_skipped(skipped, &mut bytes);
            bytes.extend_from_slice(history.schema_since(next).map_or(&[], |schema| schema));
        }
        bytes.extend_from_slice(&keyframe);
        Some((Batch { bytes: bytes.into(), first_seq: seq, skipped }, seq + 1))
    }
}

/// Where a reader begins, and how that answers what it asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Begin {
    pub(crate) outcome: Outcome,
    /// The first frame that the reader is to get.
    pub(crate) seq: u64,
    /// Whether it needs a keyframe first.
    pub(crate) needs_keyframe: bool,
}

impl Begin {
    /// Answers a request from this past.
    pub(crate) fn answer(request: Request, epoch: Epoch, history: &History) -> Self {
        let oldest = history.oldest().map_or(1, |entry| entry.seq);
        let newest = history.newest().map_or(0, |entry| entry.seq);
        let whole = |outcome, seq| Self { outcome, seq, needs_keyframe: true };
        match request {
            Request::Window { seconds } => whole(Outcome::Fresh, history.first_within(seconds.into())),
            Request::After { epoch: asked, .. } | Request::Since { epoch: asked, .. } if asked != epoch => {
                whole(Outcome::Restarted, oldest)
            }
            // A number that is not there yet is no frame of this start.
            Request::After { seq, .. } | Request::Since { seq, .. } if seq > newest || seq + 1 < oldest => {
                whole(Outcome::Gone, oldest)
            }
            Request::After { seq, .. } => Self { outcome: Outcome::Resumed, seq: seq + 1, needs_keyframe: false },
            Request::Since { seq, .. } => whole(Outcome::Resumed, seq + 1),
        }
    }

    /// What a stream begins with.
    pub(crate) fn hello(&self, epoch: Epoch, first_seq: u64) -> Hello {
        let server_version = env!("CARGO_PKG_VERSION").into();
        Hello { epoch, server_version, outcome: self.outcome, first_seq }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(seq: u64, keyframe: bool) -> Entry {
        let frame = Bytes::from(vec![seq as u8]);
        let keyframe = keyframe.then(|| Bytes::from_static(b"K"));
        Entry { seq, tick: seq, wall_ms: seq * 1_000, frame, keyframe }
    }

    fn channel(frames: u64) -> Channel {
        let channel = Channel::new(HistoryLimits::default());
        for seq in 1..=frames {
            channel.publish(entry(seq, seq == 1), None);
        }
        channel
    }

    fn read(channel: &Channel, next: u64, owed: u64) -> Option<(Vec<u8>, u64, u64)> {
        channel.read(next, owed, false).map(|(batch, next)| (batch.bytes.to_vec(), batch.skipped, next))
    }

    #[test]
    fn a_reader_gets_what_it_has_not() {
        let channel = channel(5);
        assert_eq!(read(&channel, 3, 0), Some((vec![3, 4, 5], 0, 6)));
        assert_eq!(read(&channel, 5, 0), Some((vec![5], 0, 6)));
        assert_eq!(read(&channel, 6, 0), None);
    }

    #[test]
    fn a_reader_too_far_behind_skips_to_the_next_keyframe() {
        let channel = channel(30);
        assert_eq!(read(&channel, 5, 0), None);
        assert!(channel.takes_keyframe_wish() && !channel.takes_keyframe_wish());
        channel.publish(entry(31, true), None);
        // 26 frames skipped, then the keyframe of the 31st.
        assert_eq!(read(&channel, 5, 0), Some((vec![5, 1, 26, b'K'], 26, 32)));
    }

    #[test]
    fn a_reader_that_skips_what_was_described_is_told_it() {
        let channel = channel(20);
        channel.publish(entry(21, false), Some(Bytes::from_static(b"S")));
        (22..=40).for_each(|seq| {
            channel.publish(entry(seq, seq == 40), None);
        });
        assert_eq!(read(&channel, 21, 0), Some((vec![5, 1, 19, b'S', b'K'], 19, 41)));
        assert_eq!(read(&channel, 22, 0), Some((vec![5, 1, 18, b'K'], 18, 41)));
    }

    #[test]
    fn a_reader_is_owed_the_past_it_asked_for() {
        let channel = channel(30);
        assert_eq!(read(&channel, 5, 30).map(|(_, skipped, next)| (skipped, next)), Some((0, 31)));
    }

    #[test]
    fn what_is_asked_for_is_answered() {
        let epoch = Epoch::from_bytes([1; 16]);
        let other = Epoch::from_bytes([2; 16]);
        let span = std::time::Duration::from_secs(20);
        let channel = Channel::new(HistoryLimits { span, ..HistoryLimits::default() });
        for seq in 1..=50 {
            channel.publish(entry(seq, seq % 10 == 1), None);
        }
        let answer = |request| channel.with_history(|history| Begin::answer(request, epoch, history));
        let begin = |outcome, seq, needs_keyframe| Begin { outcome, seq, needs_keyframe };
        assert_eq!(answer(Request::Window { seconds: 5 }), begin(Outcome::Fresh, 46, true));
        assert_eq!(answer(Request::After { epoch, seq: 40 }), begin(Outcome::Resumed, 41, false));
        assert_eq!(answer(Request::After { epoch, seq: 50 }), begin(Outcome::Resumed, 51, false));
        assert_eq!(answer(Request::Since { epoch, seq: 40 }), begin(Outcome::Resumed, 41, true));
        assert_eq!(answer(Request::After { epoch, seq: 10 }), begin(Outcome::Gone, 30, true));
        assert_eq!(answer(Request::After { epoch, seq: 51 }), begin(Outcome::Gone, 30, true));
        assert_eq!(answer(Request::After { epoch: other, seq: 40 }), begin(Outcome::Restarted, 30, true));
    }
}
