use alloc::vec::Vec;
use core::fmt;

use super::record::{Hello, Outcome, Record, RecordKind, read_skipped};
use super::{Applied, Decoder, Epoch, FrameError, Reason, State};

/// Stretches that are remembered; of more, the oldest holes are given up.
const STRETCHES_MAX: usize = 64;

/// A viewer's side of a stream, over as many connections as it takes: what to ask for on each, which
/// frames are new, and what is missing.
///
/// ```
/// use tachograph_core::wire::frame::{Follower, Request};
///
/// let follower = Follower::default();
/// assert_eq!(follower.request(900), Request::Window { seconds: 900 });
/// assert_eq!(follower.request(900).to_string(), "window=900");
/// ```
#[derive(Debug, Default)]
pub struct Follower {
    decoder: Decoder,
    hello: Option<Hello>,
    stretches: Stretches,
}

/// What a viewer asks for when it connects: as text, the query of the stream's address.
///
/// ```
/// use tachograph_core::wire::frame::{Epoch, Request};
///
/// let epoch = Epoch::from_bytes([7; 16]);
/// assert_eq!(Request::After { epoch, seq: 60 }.to_string(), format!("epoch={epoch}&after=60"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// It has nothing: the last seconds, then what comes.
    Window {
        /// How many.
        seconds: u32,
    },
    /// It has the state of a frame, and wants those after it.
    After {
        /// The server's start.
        epoch: Epoch,
        /// The frame.
        seq: u64,
    },
    /// It has the frames up to this one, but not that one's state any more: those after it, and before
    /// them a keyframe.
    Since {
        /// The server's start.
        epoch: Epoch,
        /// The frame.
        seq: u64,
    },
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Window { seconds } => write!(f, "window={seconds}"),
            Self::After { epoch, seq } => write!(f, "epoch={epoch}&after={seq}"),
            Self::Since { epoch, seq } => write!(f, "epoch={epoch}&since={seq}"),
        }
    }
}

/// What a message brought.
///
/// ```
/// use tachograph_core::registry::Registry;
/// use tachograph_core::wire::frame::{Arrival, Encoder, Epoch, Follower, Hello, Outcome, Tick};
///
/// let (snapshot, mut message) = (Registry::new().snapshot(), Vec::new());
/// let (epoch, outcome) = (Epoch::from_bytes([7; 16]), Outcome::Fresh);
/// Hello { epoch, server_version: "0.1.0".into(), outcome, first_seq: 1 }.write(&mut message);
/// Encoder::new().encode(&Tick::of(&snapshot), &mut message);
/// let mut seqs = Vec::new();
/// Follower::default().take(&message, |arrival| {
///     if let Arrival::Newest(state) = arrival {
///         seqs.push(state.head().seq);
///     }
/// })?;
/// assert_eq!(seqs, [1]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub enum Arrival<'a> {
    /// A connection begins.
    Hello(&'a Hello),
    /// The newest frame so far.
    Newest(&'a State),
    /// A frame that was missing, older than the newest one.
    Fills(&'a State),
    /// The server left frames out because this viewer was too slow.
    Skipped(u64),
}

impl Follower {
    /// What to ask for on the next connection; `window` seconds if there is nothing yet.
    pub fn request(&self, window: u32) -> Request {
        let epoch = self.hello.as_ref().map(|hello| hello.epoch);
        match (epoch, self.stretches.before_hole(), self.stretches.newest()) {
            (Some(epoch), Some(seq), _) => Request::Since { epoch, seq },
            (Some(epoch), None, Some(seq)) if self.decoder.has_frame() => Request::After { epoch, seq },
            (Some(epoch), None, Some(seq)) => Request::Since { epoch, seq },
            _ => Request::Window { seconds: window },
        }
    }

    /// Whether frames are missing that the server may still have.
    pub fn has_hole(&self) -> bool {
        self.stretches.before_hole().is_some()
    }

    /// Where the stream comes from, once it said so.
    pub fn hello(&self) -> Option<&Hello> {
        self.hello.as_ref()
    }

    /// What the newest frame that was taken says.
    pub fn state(&self) -> &State {
        self.decoder.state()
    }

    /// Takes a message: whole records. A frame that was there before is not told again.
    ///
    /// # Errors
    /// A record is not as it should be: the connection is of no more use, a new one mends it.
    pub fn take(&mut self, message: &[u8], mut tell: impl FnMut(Arrival<'_>)) -> Result<(), FrameError> {
        for record in Record::all(message) {
            self.take_record(&record?, &mut tell)?;
        }
        Ok(())
    }

    fn take_record(&mut self, record: &Record<'_>, tell: &mut impl FnMut(Arrival<'_>)) -> Result<(), FrameError> {
        match record.kind {
            RecordKind::Hello => self.begin(Hello::read(record.payload)?, tell),
            _ if self.hello.is_none() => return Err(FrameError::new("hello", Reason::NotAStream)),
            RecordKind::Skipped => tell(Arrival::Skipped(read_skipped(record.payload)?)),
            _ if self.decoder.apply(record)? == Applied::Frame => self.tell_frame(tell),
            _ => {}
        }
        Ok(())
    }

    fn begin(&mut self, hello: Hello, tell: &mut impl FnMut(Arrival<'_>)) {
        let same = self.hello.as_ref().is_some_and(|before| before.epoch == hello.epoch);
        if !same {
            self.stretches = Stretches::default();
            self.decoder = Decoder::default();
        } else if hello.outcome == Outcome::Gone {
            self.stretches.give_up_before(hello.first_seq);
        }
        tell(Arrival::Hello(&hello));
        self.hello = Some(hello);
    }

    fn tell_frame(&mut self, tell: &mut impl FnMut(Arrival<'_>)) {
        let state = self.decoder.state();
        let seq = state.head().seq;
        let is_newest = self.stretches.newest().is_none_or(|newest| seq > newest);
        if self.stretches.add(seq) {
            tell(if is_newest { Arrival::Newest(state) } else { Arrival::Fills(state) });
        }
    }
}

/// The frames that were taken, as stretches without a hole, ascending.
#[derive(Debug, Default)]
struct Stretches(Vec<(u64, u64)>);

impl Stretches {
    fn newest(&self) -> Option<u64> {
        self.0.last().map(|(_, last)| *last)
    }

    /// The frame before the oldest hole.
    fn before_hole(&self) -> Option<u64> {
        (self.0.len() > 1).then(|| self.0.first().map(|(_, last)| *last))?
    }

    /// Adds a frame. Returns whether it was missing; what is before all that was taken was not asked for.
    fn add(&mut self, seq: u64) -> bool {
        let place = self.0.partition_point(|(_, last)| *last < seq);
        if self.0.get(place).is_some_and(|(first, _)| *first <= seq) || (place == 0 && !self.0.is_empty()) {
            return false;
        }
        self.0.insert(place, (seq, seq));
        self.join(place);
        if place > 0 {
            self.join(place - 1);
        }
        if self.0.len() > STRETCHES_MAX {
            self.0.remove(0);
        }
        true
    }

    /// Joins a stretch with the next one where nothing is between them.
    fn join(&mut self, place: usize) {
        if let [(_, last), (next, end), ..] = self.0[place..]
            && last.saturating_add(1) == next
        {
            self.0[place].1 = end;
            self.0.remove(place + 1);
        }
    }

    /// What is missing before this frame stays so.
    fn give_up_before(&mut self, seq: u64) {
        self.0.retain(|(_, last)| last.saturating_add(1) >= seq);
        if self.0.first().is_none_or(|(first, _)| *first > seq) {
            self.0.insert(0, (seq.saturating_sub(1), seq.saturating_sub(1)));
            self.join(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(seqs: &[u64]) -> Stretches {
        let mut stretches = Stretches::default();
        for seq in seqs {
            stretches.add(*seq);
        }
        stretches
    }

    #[test]
    fn a_hole_is_known_until_it_is_filled() {
        let mut stretches = after(&[5, 6, 9, 10]);
        assert_eq!((stretches.before_hole(), stretches.newest()), (Some(6), Some(10)));
        assert!(!stretches.add(6) && stretches.add(8) && stretches.add(7));
        assert_eq!((stretches.before_hole(), stretches.newest()), (None, Some(10)));
        assert!(!stretches.add(2), "nobody asked for it");
    }

    #[test]
    fn what_is_gone_is_no_hole_any_more() {
        let mut stretches = after(&[5, 9, 10]);
        stretches.give_up_before(8);
        assert_eq!(stretches.before_hole(), Some(7), "8 can still come");
        let mut stretches = after(&[5, 9, 10]);
        stretches.give_up_before(9);
        assert_eq!(stretches.before_hole(), None);
        let mut stretches = after(&[5]);
        stretches.give_up_before(20);
        assert!(stretches.add(20));
        assert_eq!((stretches.before_hole(), stretches.newest()), (None, Some(20)));
    }

    #[test]
    fn stretches_are_bounded() {
        let every_other: Vec<u64> = (1..1_000).map(|number| 2 * number).collect();
        assert_eq!(after(&every_other).0.len(), STRETCHES_MAX);
    }
}
