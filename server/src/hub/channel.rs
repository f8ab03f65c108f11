use std::sync::atomic::{AtomicBool, Ordering};

use bytes::{BufMut, Bytes, BytesMut};
use parking_lot::Mutex;
use tachograph_core::wire::frame::{Epoch, Hello, Outcome, Request};
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
    /// Nobody writes any more.
    is_closed: AtomicBool,
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
            is_closed: AtomicBool::new(false),
        }
    }

    /// Adds the newest frame, the schema where it described something new, and a keyframe that was wished
    /// for; then wakes all readers. Returns how many old ones had to go.
    pub(crate) fn publish(&self, entry: Entry, schema: Option<Bytes>, wished: Option<Bytes>) -> u64 {
        let seq = entry.seq;
        let gone = {
            let mut history = self.history.lock();
            let gone = history.push(entry, schema);
            wished.into_iter().for_each(|keyframe| history.wish(keyframe));
            gone
        };
        self.newest.send_replace(seq);
        gone
    }

    /// Whether a reader asked for a keyframe since the last time this was asked.
    pub(crate) fn takes_keyframe_wish(&self) -> bool {
        self.wants_keyframe.swap(false, Ordering::Relaxed)
    }

    /// Ends the stream for all of its readers.
    pub(crate) fn close(&self) {
        self.is_closed.store(true, Ordering::Release);
        self.newest.send_modify(|_| {});
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::Acquire)
    }

    /// Reads the past; nobody else can meanwhile.
    pub(crate) fn with_history<T>(&self, read: impl FnOnce(&History) -> T) -> T {
        read(&self.history.lock())
    }

    /// The newest frame's number; 0 before there is one.
    pub(crate) fn newest(&self) -> u64 {
        *self.newest.borrow()
    }

    /// A receiver of the newest frame's number.
    pub(crate) fn subscribe(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }

    /// What comes for a reader at `next`. Frames up to `owed` are owed however far behind it is.
    pub(crate) fn read(&self, next: u64, owed: u64, keyframes: KeyframesWanted) -> Read {
        let history = self.history.lock();
        let (Some(oldest), Some(newest)) = (history.oldest(), history.newest()) else { return Read::Nothing };
        let is_too_slow = next > owed && newest.seq.saturating_sub(next) >= OWED_FRAMES_MAX;
        match () {
            () if next > newest.seq => Read::Nothing,
            () if next < oldest.seq || is_too_slow => self.skip(&history, next),
            () => read_frames(&history, next, keyframes),
        }
    }

    /// What a reader begins with that is at none of the frames: the next keyframe.
    pub(crate) fn read_keyframe(&self, next: u64) -> Read {
        self.skip(&self.history.lock(), next)
    }

    /// The newest keyframe, if it is new enough; else one is wished for.
    fn skip(&self, history: &History, next: u64) -> Read {
        let newest = history.newest().map_or(0, |entry| entry.seq);
        let recent = next.max(newest.saturating_sub(OWED_FRAMES_MAX / 2));
        let Some((seq, keyframe)) = history.newest_keyframe().filter(|(seq, _)| *seq >= recent) else {
            self.wants_keyframe.store(true, Ordering::Relaxed);
            return Read::Nothing;
        };
        Read::Skip { skipped: seq - next, schema: history.schema_since(next), keyframe, next: seq + 1 }
    }
}

/// What comes next for a reader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Read {
    /// Nothing yet.
    Nothing,
    /// Frames.
    Frames {
        batch: Batch,
        /// Of the last one of them, for a reader that wants it.
        keyframe: Option<Bytes>,
        /// The number of the frame after.
        next: u64,
    },
    /// It is too slow: it goes on with a keyframe.
    Skip {
        /// The frames that it does not get.
        skipped: u64,
        /// What they described, if anything.
        schema: Option<Bytes>,
        keyframe: Bytes,
        /// The number of the frame after.
        next: u64,
    },
}

/// Which keyframes of the past a reader gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyframesWanted {
    /// Those that it needs.
    Needed,
    /// All there are, each behind its frame: what it keeps can be entered there.
    All,
}

/// As many as make a message; none behind one whose keyframe is wanted.
fn read_frames(history: &History, next: u64, keyframes: KeyframesWanted) -> Read {
    let mut bytes = BytesMut::new();
    let mut entries = history.from(next).peekable();
    let (mut after, mut keyframe) = (next, None);
    while let Some(Entry { frame, keyframe: held, .. }) = entries.next() {
        after += 1;
        keyframe = held.clone().filter(|_| keyframes == KeyframesWanted::All);
        let mut fits =
            |length: usize| entries.peek().is_some_and(|entry| length + entry.frame.len() <= BATCH_BYTES_MAX);
        let is_last = keyframe.is_some() || !fits(bytes.len() + frame.len());
        // A lone one is shared, not copied.
        if bytes.is_empty() && is_last {
            let batch = Batch { bytes: frame.clone(), first_seq: next, skipped: 0 };
            return Read::Frames { batch, keyframe, next: after };
        }
        bytes.put_slice(frame);
        if is_last {
            break;
        }
    }
    Read::Frames { batch: Batch { bytes: bytes.freeze(), first_seq: next, skipped: 0 }, keyframe, next: after }
}

/// Where the past of a reader is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    AsItIs,
    WrittenAnew,
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
    /// Answers a request from this past. Whoever writes it in another form needs a keyframe before what it
    /// writes, also for a reader that needs none.
    pub(crate) fn answer(request: Request, epoch: Epoch, history: &History, form: Origin) -> Self {
        let newest = history.newest().map_or(0, |entry| entry.seq);
        let oldest = history.oldest().map_or(1, |entry| entry.seq);
        let readable = history.oldest_keyframe().unwrap_or(oldest);
        let whole = |outcome, seq| Self { outcome, seq, needs_keyframe: true };
        match request {
            Request::Window { seconds } => whole(Outcome::Fresh, history.first_within(seconds.into())),
            Request::After { epoch: asked, .. } | Request::Since { epoch: asked, .. } if asked != epoch => {
                whole(Outcome::Restarted, readable)
            }
            // A number that is not there yet is no frame of this start.
            Request::After { seq, .. } | Request::Since { seq, .. } if seq > newest => whole(Outcome::Gone, readable),
            Request::After { seq, .. } if form == Origin::AsItIs && seq + 1 >= oldest => {
                Self { outcome: Outcome::Resumed, seq: seq + 1, needs_keyframe: false }
            }
            Request::After { seq, .. } if form == Origin::WrittenAnew && seq + 1 >= readable => {
                Self { outcome: Outcome::Resumed, seq: seq + 1, needs_keyframe: false }
            }
            Request::Since { seq, .. } if seq + 1 >= readable => whole(Outcome::Resumed, seq + 1),
            Request::After { .. } | Request::Since { .. } => whole(Outcome::Gone, readable),
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
            channel.publish(entry(seq, seq == 1), None, None);
        }
        channel
    }

    fn frames(channel: &Channel, next: u64, owed: u64) -> Option<(Vec<u8>, u64)> {
        match channel.read(next, owed, KeyframesWanted::Needed) {
            Read::Frames { batch, next, .. } => Some((batch.bytes.to_vec(), next)),
            _ => None,
        }
    }

    fn skip(skipped: u64, schema: Option<&'static [u8]>, next: u64) -> Read {
        Read::Skip { skipped, schema: schema.map(Bytes::from_static), keyframe: Bytes::from_static(b"K"), next }
    }

    #[test]
    fn a_reader_gets_what_it_has_not() {
        let channel = channel(5);
        assert_eq!(frames(&channel, 3, 0), Some((vec![3, 4, 5], 6)));
        assert_eq!(frames(&channel, 5, 0), Some((vec![5], 6)));
        assert_eq!(channel.read(6, 0, KeyframesWanted::Needed), Read::Nothing);
    }

    #[test]
    fn a_keyframe_follows_its_frame_for_a_reader_that_wants_all() {
        let channel = Channel::new(HistoryLimits::default());
        for seq in 1..=5 {
            channel.publish(entry(seq, seq == 3), None, None);
        }
        let (mut next, mut got) = (1, Vec::new());
        while let Read::Frames { batch, keyframe, next: after } = channel.read(next, 0, KeyframesWanted::All) {
            got.extend(batch.bytes);
            got.extend(keyframe.unwrap_or_default());
            next = after;
        }
        assert_eq!((got, next), (vec![1, 2, 3, b'K', 4, 5], 6));
    }

    #[test]
    fn a_reader_too_far_behind_skips_to_the_next_keyframe() {
        let channel = channel(30);
        assert_eq!(channel.read(5, 0, KeyframesWanted::Needed), Read::Nothing);
        assert!(channel.takes_keyframe_wish() && !channel.takes_keyframe_wish());
        channel.publish(entry(31, true), None, None);
        assert_eq!(channel.read(5, 0, KeyframesWanted::Needed), skip(26, None, 32));
    }

    #[test]
    fn a_reader_that_skips_what_was_described_is_told_it() {
        let channel = channel(20);
        channel.publish(entry(21, false), Some(Bytes::from_static(b"S")), None);
        (22..=40).for_each(|seq| {
            channel.publish(entry(seq, seq == 40), None, None);
        });
        assert_eq!(channel.read(21, 0, KeyframesWanted::Needed), skip(19, Some(b"S"), 41));
        assert_eq!(channel.read(22, 0, KeyframesWanted::Needed), skip(18, None, 41));
    }

    #[test]
    fn a_reader_is_owed_the_past_it_asked_for() {
        let channel = channel(50);
        assert_eq!(frames(&channel, 5, 30).map(|(_, next)| next), Some(51));
        assert_eq!(frames(&channel, 31, 30), None, "what came meanwhile is not owed");
    }

    #[test]
    fn a_stream_that_has_a_hole_begins_anew_behind_it() {
        let channel = channel(10);
        channel.publish(entry(15, true), None, None);
        assert_eq!(channel.read(11, 0, KeyframesWanted::Needed), skip(4, None, 16));
        assert_eq!(frames(&channel, 15, 0), Some((vec![15], 16)));
    }

    #[test]
    fn what_is_asked_for_is_answered() {
        let epoch = Epoch::from_bytes([1; 16]);
        let other = Epoch::from_bytes([2; 16]);
        let span = std::time::Duration::from_secs(20);
        let channel = Channel::new(HistoryLimits { span, ..HistoryLimits::default() });
        for seq in 1..=50 {
            channel.publish(entry(seq, seq % 10 == 1), None, None);
        }
        let answer_from =
            |request, origin| channel.with_history(|history| Begin::answer(request, epoch, history, origin));
        let answer = |request| answer_from(request, Origin::AsItIs);
        let begin = |outcome, seq, needs_keyframe| Begin { outcome, seq, needs_keyframe };
        assert_eq!(answer(Request::Window { seconds: 5 }), begin(Outcome::Fresh, 46, true));
        assert_eq!(answer(Request::After { epoch, seq: 40 }), begin(Outcome::Resumed, 41, false));
        assert_eq!(answer(Request::After { epoch, seq: 50 }), begin(Outcome::Resumed, 51, false));
        assert_eq!(answer(Request::Since { epoch, seq: 40 }), begin(Outcome::Resumed, 41, true));
        assert_eq!(answer(Request::After { epoch, seq: 29 }), begin(Outcome::Resumed, 30, false));
        // The oldest frame is 30, the oldest keyframe 31.
        let anew = answer_from(Request::After { epoch, seq: 29 }, Origin::WrittenAnew);
        assert_eq!(anew, begin(Outcome::Gone, 31, true));
        assert_eq!(answer(Request::Since { epoch, seq: 29 }), begin(Outcome::Gone, 31, true));
        assert_eq!(answer(Request::After { epoch, seq: 10 }), begin(Outcome::Gone, 31, true));
        assert_eq!(answer(Request::After { epoch, seq: 51 }), begin(Outcome::Gone, 31, true));
        assert_eq!(answer(Request::After { epoch: other, seq: 40 }), begin(Outcome::Restarted, 31, true));
    }
}
