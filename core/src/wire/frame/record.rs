//! A stream's records: each behind its kind and length, so that one of an unknown kind is passed over.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use super::codec::{Codec, Reader, put_text, put_varint, read_varint};
use super::{FrameError, Reason};

const MAGIC: &[u8; 4] = b"TACH";
/// The version of the format that is written and read here.
pub const VERSION: u8 = 1;

/// Names one start of a server: all of its counts began then.
///
/// ```
/// use tachograph_core::wire::frame::Epoch;
///
/// let epoch = Epoch::from_bytes([0xA5; 16]);
/// assert_eq!(epoch.to_string(), "a5a5a5a5-a5a5-a5a5-a5a5-a5a5a5a5a5a5");
/// assert_eq!(epoch.to_string().parse(), Ok(epoch));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Epoch([u8; 16]);

impl Epoch {
    /// An epoch of these bytes, such as a random UUID's.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub const fn to_bytes(self) -> [u8; 16] {
        self.0
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, byte) in self.0.iter().enumerate() {
            let dash = if matches!(place, 4 | 6 | 8 | 10) { "-" } else { "" };
            write!(f, "{dash}{byte:02x}")?;
        }
        Ok(())
    }
}

impl FromStr for Epoch {
    type Err = FrameError;

    /// # Errors
    /// The text is not 32 hexadecimal digits, with dashes or without.
    fn from_str(text: &str) -> Result<Self, FrameError> {
        let wrong = FrameError::new("epoch", Reason::OutOfRange);
        let mut digits = text.chars().filter(|letter| *letter != '-').map(|letter| letter.to_digit(16));
        let mut bytes = [0; 16];
        for byte in &mut bytes {
            let mut digit = || digits.next().flatten().ok_or(wrong);
            *byte = (digit()? << 4 | digit()?) as u8;
        }
        if digits.next().is_none() { Ok(Self(bytes)) } else { Err(wrong) }
    }
}

/// One record of a stream.
///
/// ```
/// use tachograph_core::wire::frame::{Record, RecordKind};
///
/// let record = Record { kind: RecordKind::Delta, payload: b"what changed" };
/// let mut stream = Vec::new();
/// record.write(&mut stream);
/// assert_eq!(Record::split(&stream), Some((record, stream.len())));
/// assert_eq!(Record::split(&stream[..5]), None, "more is to come");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// What it is.
    pub kind: RecordKind,
    /// What it holds.
    pub payload: &'a [u8],
}

/// What a record is.
///
/// ```
/// use tachograph_core::wire::frame::{Record, RecordKind, write_skipped};
///
/// let mut stream = Vec::new();
/// write_skipped(3, &mut stream);
/// assert!(Record::split(&stream).is_some_and(|(record, _)| record.kind == RecordKind::Skipped));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordKind {
    /// Where the stream comes from; the first one.
    Hello,
    /// The whole schema.
    Schema,
    /// The state at a tick, by itself.
    Keyframe,
    /// What changed since the frame before.
    Delta,
    /// A reader that was too slow missed frames here.
    Skipped,
    /// Of a later version: it is passed over.
    Unknown(u8),
}

impl RecordKind {
    const fn number(self) -> u8 {
        match self {
            Self::Hello => 1,
            Self::Schema => 2,
            Self::Keyframe => 3,
            Self::Delta => 4,
            Self::Skipped => 5,
            Self::Unknown(number) => number,
        }
    }

    const fn of(number: u8) -> Self {
        match number {
            1 => Self::Hello,
            2 => Self::Schema,
            3 => Self::Keyframe,
            4 => Self::Delta,
            5 => Self::Skipped,
            _ => Self::Unknown(number),
        }
    }
}

impl<'a> Record<'a> {
    /// The first record of `bytes` and how many bytes it takes; None while some of it is missing, as
    /// where a file or a pipe is read piece by piece.
    ///
    /// ```
    /// use tachograph_core::wire::frame::{Record, RecordKind};
    ///
    /// let bytes = [9, 2, 0xAB, 0xCD, 4];
    /// let (record, length) = Record::split(&bytes).unwrap();
    /// assert_eq!((record.kind, record.payload, length), (RecordKind::Unknown(9), &bytes[2..4], 4));
    /// assert_eq!(Record::split(&bytes[4..]), None);
    /// ```
    pub fn split(bytes: &'a [u8]) -> Option<(Self, usize)> {
        let (number, rest) = bytes.split_first()?;
        let (length, used) = read_varint(rest)?;
        let begin = 1 + used;
        let end = usize::try_from(length).ok()?.checked_add(begin)?;
        let payload = bytes.get(begin..end)?;
        Some((Self { kind: RecordKind::of(*number), payload }, end))
    }

    /// All records of `bytes`, which hold whole ones; an error at the end where they do not.
    pub fn all(bytes: &'a [u8]) -> impl Iterator<Item = Result<Self, FrameError>> {
        let mut rest = bytes;
        core::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            let Some((record, length)) = Self::split(rest) else {
                rest = &[];
                return Some(Err(FrameError::new("record", Reason::CutOff)));
            };
            rest = rest.get(length..).unwrap_or_default();
            Some(Ok(record))
        })
    }

    /// Appends the record as it goes on the wire.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.push(self.kind.number());
        put_varint(out, self.payload.len() as u64);
        out.extend_from_slice(self.payload);
    }
}

/// The first record of a stream: where it comes from, and how it goes on from what its reader has.
///
/// ```
/// use tachograph_core::wire::frame::{Epoch, Hello, Outcome, Record};
///
/// let (epoch, outcome) = (Epoch::from_bytes([7; 16]), Outcome::Fresh);
/// let hello = Hello { epoch, server_version: "0.1.0".into(), outcome, first_seq: 1 };
/// let mut stream = Vec::new();
/// hello.write(&mut stream);
/// let (record, _length) = Record::split(&stream).ok_or("it is cut off")?;
/// assert_eq!(Hello::read(record.payload)?, hello);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// The server's start.
    pub epoch: Epoch,
    /// The server's version.
    pub server_version: String,
    /// How the stream answers what its reader asked for.
    pub outcome: Outcome,
    /// The number of the first frame that follows.
    pub first_seq: u64,
}

/// How a stream goes on from what its reader has.
///
/// ```
/// use tachograph_core::wire::frame::Outcome;
///
/// let begins_anew = |outcome| outcome != Outcome::Resumed;
/// assert!(begins_anew(Outcome::Restarted));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The reader had nothing: a keyframe comes first.
    Fresh,
    /// With the frame after the reader's newest one.
    Resumed,
    /// Frames that the reader missed are gone: a keyframe comes first, and before it is a gap.
    Gone,
    /// The server was restarted since: a keyframe comes first.
    Restarted,
}

impl Hello {
    /// Appends it as a record.
    pub fn write(&self, out: &mut Vec<u8>) {
        let mut payload = Vec::new();
        payload.extend_from_slice(MAGIC);
        payload.push(VERSION);
        payload.extend_from_slice(&self.epoch.0);
        put_text(&mut payload, &self.server_version);
        self.outcome.write(&mut payload);
        put_varint(&mut payload, self.first_seq);
        Record { kind: RecordKind::Hello, payload: &payload }.write(out);
    }

    /// Reads a hello's payload; what follows its fields is of a later version, and passed over.
    ///
    /// # Errors
    /// It is not of a stream, or of another version, or cut off.
    pub fn read(payload: &[u8]) -> Result<Self, FrameError> {
        let mut from = Reader::new(payload);
        let magic = from.array("hello.magic").map_err(|_| FrameError::new("hello.magic", Reason::NotAStream))?;
        if magic != *MAGIC {
            return Err(FrameError::new("hello.magic", Reason::NotAStream));
        }
        let version = from.byte("hello.version")?;
        if version != VERSION {
            return Err(FrameError::new("hello.version", Reason::UnknownVersion(version)));
        }
        Ok(Self {
            epoch: Epoch(from.array("hello.epoch")?),
            server_version: from.text("hello.server_version")?.into(),
            outcome: Outcome::read(&mut from, "hello.outcome")?,
            first_seq: from.varint("hello.first_seq")?,
        })
    }
}

impl Codec for Outcome {
    fn write(&self, out: &mut Vec<u8>) {
        out.push(*self as u8);
    }

    fn read(from: &mut Reader<'_>, field: &'static str) -> Result<Self, FrameError> {
        let outcomes = [Self::Fresh, Self::Resumed, Self::Gone, Self::Restarted];
        let number = from.byte(field)?;
        outcomes.get(usize::from(number)).copied().ok_or(FrameError::new(field, Reason::OutOfRange))
    }
}

/// Appends a record that says how many frames a slow reader missed; a keyframe follows.
///
/// ```
/// use tachograph_core::wire::frame::{Record, read_skipped, write_skipped};
///
/// let mut stream = Vec::new();
/// write_skipped(3, &mut stream);
/// let (record, _length) = Record::split(&stream).ok_or("it is cut off")?;
/// assert_eq!(read_skipped(record.payload)?, 3);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn write_skipped(frames: u64, out: &mut Vec<u8>) {
    let mut payload = Vec::new();
    put_varint(&mut payload, frames);
    Record { kind: RecordKind::Skipped, payload: &payload }.write(out);
}

/// Reads how many frames were skipped.
///
/// # Errors
/// The payload is cut off.
///
/// ```
/// use tachograph_core::wire::frame::{Record, read_skipped, write_skipped};
///
/// let mut stream = Vec::new();
/// write_skipped(3, &mut stream);
/// let (record, _length) = Record::split(&stream).ok_or("it is cut off")?;
/// assert_eq!(read_skipped(record.payload)?, 3);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn read_skipped(payload: &[u8]) -> Result<u64, FrameError> {
    Reader::new(payload).varint("skipped.frames")
}
