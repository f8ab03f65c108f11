//! The frames that were made, and where each viewer is among them.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use tachograph_core::wire::frame::{Epoch, Outcome, Request, write_skipped};

use super::super::recording::put_frame;
use super::super::{Frame, hello};
use super::query::Query;

/// Bytes of frames that are put together into one message.
const MESSAGE_BYTES: usize = 64 * 1024;

/// The frames of one start of the service, all of them until it is told to let go, and its schema.
#[derive(Debug)]
pub(super) struct Past {
    epoch: Epoch,
    frames: VecDeque<Frame>,
    schema: Bytes,
    /// Frames that viewers did not get.
    holes: Vec<Hole>,
    readers: u64,
}

/// Frames that the viewers of that time did not get, and what they go on with.
#[derive(Debug)]
struct Hole {
    first: u64,
    last: u64,
    /// A keyframe of the last one.
    keyframe: Bytes,
    /// Viewers from this one on connected later.
    readers: u64,
}

/// Where a viewer is.
#[derive(Debug)]
pub(super) struct Reader {
    number: u64,
    /// The next frame.
    next: u64,
    opening: Option<Bytes>,
    /// Whether it gets all keyframes there are.
    keyframes: bool,
}

/// Where a viewer begins, and how that answers what it asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Begin {
    outcome: Outcome,
    seq: u64,
    needs_keyframe: bool,
}

impl Past {
    pub(super) fn new(epoch: Epoch) -> Self {
        Self { epoch, frames: VecDeque::new(), schema: Bytes::new(), holes: Vec::new(), readers: 0 }
    }

    pub(super) fn push(&mut self, frame: Frame) {
        if let Some(schema) = &frame.schema {
            self.schema = schema.clone();
        }
        self.frames.push_back(frame);
    }

    pub(super) fn newest(&self) -> u64 {
        self.frames.back().map_or(0, |frame| frame.seq)
    }

    /// Forgets all but the newest frames.
    pub(super) fn keep(&mut self, frames: usize) {
        self.frames.drain(..self.frames.len().saturating_sub(frames));
    }

    /// The viewers that are connected do not get the frames from this one on.
    pub(super) fn skip_from(&mut self, first: u64, keyframe: Bytes) {
        self.holes.push(Hole { first, last: self.newest(), keyframe, readers: self.readers });
    }

    /// All of it, as a recording.
    pub(super) fn recording(&self) -> Vec<u8> {
        let mut frames = self.frames.iter().skip_while(|frame| frame.keyframe.is_none());
        let Some((first, keyframe)) = frames.next().and_then(|first| Some((first, first.keyframe.as_ref()?))) else {
            return Vec::new();
        };
        let mut recording = hello(self.epoch, Outcome::Fresh, first.seq);
        recording.extend_from_slice(&self.schema);
        recording.extend_from_slice(keyframe);
        frames.for_each(|frame| put_frame(frame, &mut recording));
        recording
    }

    // ---- viewers

    pub(super) fn open(&mut self, query: Query) -> Reader {
        let begin = self.answer(query.request);
        let keyframe = self.keyframe_for(begin.seq).filter(|_| begin.needs_keyframe);
        let first = keyframe.map_or(begin.seq, |frame| frame.seq);
        let mut opening = hello(self.epoch, begin.outcome, first);
        if let Some(keyframe) = keyframe.and_then(|frame| frame.keyframe.as_ref()) {
            opening.extend_from_slice(&self.schema);
            opening.extend_from_slice(keyframe);
        }
        let next = first + u64::from(keyframe.is_some());
        self.readers += 1;
        Reader { number: self.readers - 1, next, opening: Some(opening.into()), keyframes: query.keyframes }
    }

    /// As `Begin::answer` of `server/src/hub/channel.rs`.
    fn answer(&self, request: Request) -> Begin {
        let newest = self.newest();
        let oldest = self.frames.front().map_or(1, |frame| frame.seq);
        let readable = self.frames.iter().find(|frame| frame.keyframe.is_some()).map_or(oldest, |frame| frame.seq);
        let whole = |outcome, seq| Begin { outcome, seq, needs_keyframe: true };
        match request {
            Request::Window { seconds } => whole(Outcome::Fresh, self.first_within(seconds.into())),
            Request::After { epoch, .. } | Request::Since { epoch, .. } if epoch != self.epoch => {
                whole(Outcome::Restarted, readable)
            }
            Request::After { seq, .. } if (oldest..=newest + 1).contains(&(seq + 1)) => {
                Begin { outcome: Outcome::Resumed, seq: seq + 1, needs_keyframe: false }
            }
            Request::Since { seq, .. } if (readable..=newest + 1).contains(&(seq + 1)) => {
                whole(Outcome::Resumed, seq + 1)
            }
            Request::After { .. } | Request::Since { .. } => whole(Outcome::Gone, readable),
        }
    }

    /// The number of the first of the frames of the last `seconds`.
    fn first_within(&self, seconds: u64) -> u64 {
        let newest = self.frames.back().map_or(0, |frame| frame.tick);
        let wanted = |frame: &&Frame| frame.tick.saturating_add(seconds) > newest;
        self.frames.iter().find(wanted).or(self.frames.back()).map_or(1, |frame| frame.seq)
    }

    /// The newest frame to begin with of those up to `seq`; where there is none, the oldest there is.
    fn keyframe_for(&self, seq: u64) -> Option<&Frame> {
        let has_keyframe = |frame: &&Frame| frame.keyframe.is_some();
        let up_to = self.frames.iter().rev().skip_while(|frame| frame.seq > seq).find(has_keyframe);
        up_to.or_else(|| self.frames.iter().find(has_keyframe))
    }

    /// What comes next for a viewer; None until there is more.
    pub(super) fn read(&self, reader: &mut Reader) -> Option<Bytes> {
        if let Some(opening) = reader.opening.take() {
            return Some(opening);
        }
        if self.frames.front().is_some_and(|oldest| reader.next < oldest.seq) {
            let oldest = self.keyframe_for(0)?;
            return Some(self.skip(oldest.seq, oldest.keyframe.as_ref()?, reader));
        }
        let is_missed = |hole: &&Hole| reader.number < hole.readers && reader.next <= hole.last;
        let hole = self.holes.iter().find(is_missed);
        match hole {
            Some(hole) if hole.first <= reader.next => Some(self.skip(hole.last, &hole.keyframe, reader)),
            _ => self.read_frames(reader, hole.map_or(u64::MAX, |hole| hole.first)),
        }
    }

    /// Goes on with a keyframe.
    fn skip(&self, seq: u64, keyframe: &[u8], reader: &mut Reader) -> Bytes {
        let mut message = Vec::new();
        write_skipped(seq - reader.next, &mut message);
        message.extend_from_slice(&self.schema);
        message.extend_from_slice(keyframe);
        reader.next = seq + 1;
        message.into()
    }

    /// As many as make a message, none behind one whose keyframe is wanted; a lone one is shared, not copied.
    fn read_frames(&self, reader: &mut Reader, end: u64) -> Option<Bytes> {
        let oldest = self.frames.front()?.seq;
        let place = usize::try_from(reader.next - oldest).ok()?.min(self.frames.len());
        let mut message = BytesMut::new();
        let mut frames = self.frames.range(place..).take_while(|frame| frame.seq < end).peekable();
        while let Some(frame) = frames.next() {
            reader.next = frame.seq + 1;
            let keyframe = frame.keyframe.as_ref().filter(|_| reader.keyframes);
            let length = message.len() + frame.delta.len();
            let fits = frames.peek().is_some_and(|next| length + next.delta.len() <= MESSAGE_BYTES);
            if message.is_empty() && keyframe.is_none() && !fits {
                return Some(frame.delta.clone());
            }
            message.extend_from_slice(&frame.delta);
            keyframe.iter().for_each(|keyframe| message.extend_from_slice(keyframe));
            if keyframe.is_some() || !fits {
                break;
            }
        }
        (!message.is_empty()).then(|| message.freeze())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tachograph_core::wire::frame::{Record, RecordKind};

    fn past(frames: u64) -> Past {
        let mut past = Past::new(Epoch::default());
        for seq in 1..=frames {
            let keyframe = (seq % 10 == 1).then(|| Bytes::from_static(&[3, 0]));
            past.push(Frame { seq, tick: seq, delta: Bytes::from_static(&[4, 0]), schema: None, keyframe });
        }
        past
    }

    fn window(seconds: u32) -> Query {
        Query { request: Request::Window { seconds }, keyframes: false }
    }

    fn kinds(message: &[u8]) -> Vec<RecordKind> {
        Record::all(message).filter_map(|record| Some(record.ok()?.kind)).collect()
    }

    #[test]
    fn a_viewer_that_is_behind_what_is_kept_goes_on_with_a_keyframe() {
        let mut past = past(20);
        let mut reader = past.open(window(0));
        assert_eq!(past.read(&mut reader).map(|opening| kinds(&opening).len()), Some(2));
        assert_eq!(reader.next, 12, "from the keyframe before");
        past.keep(5);
        assert_eq!(past.read(&mut reader), None, "there is none to go on with");
        past.push(Frame { keyframe: Some(Bytes::from_static(&[3, 0])), seq: 21, ..past.frames[0].clone() });
        let message = past.read(&mut reader).unwrap_or_default();
        assert_eq!(kinds(&message), [RecordKind::Skipped, RecordKind::Keyframe]);
        assert_eq!(reader.next, 22);
    }

    #[test]
    fn frames_are_put_together_up_to_a_hole() {
        let mut past = past(20);
        let mut reader = past.open(window(100));
        past.read(&mut reader);
        past.skip_from(15, Bytes::from_static(&[3, 0]));
        assert_eq!(past.read(&mut reader).map(|message| kinds(&message).len()), Some(13));
        let skipped = past.read(&mut reader).unwrap_or_default();
        assert_eq!((kinds(&skipped).len(), reader.next), (2, 21));
        let mut later = past.open(window(100));
        past.read(&mut later);
        assert_eq!(past.read(&mut later).map(|message| kinds(&message).len()), Some(19), "it came later");
    }
    #[test]
    fn who_wants_them_gets_all_keyframes_behind_their_frames() {
        use RecordKind::{Delta, Keyframe};
        let mut past = past(12);
        let mut reader = past.open(Query { keyframes: true, ..window(2) });
        past.read(&mut reader);
        assert_eq!(past.read(&mut reader).map(|message| kinds(&message)), Some(vec![Delta]));
        let mut reader = past.open(Query { keyframes: true, ..window(100) });
        past.read(&mut reader);
        let message = past.read(&mut reader).map(|message| kinds(&message));
        assert_eq!(message.as_ref().and_then(|kinds| kinds.last()), Some(&Keyframe), "of the eleventh");
        assert_eq!(past.read(&mut reader).map(|message| kinds(&message)), Some(vec![Delta]));
    }
}
