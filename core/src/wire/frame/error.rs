use core::fmt;

/// Why bytes are not what they should be: the field that was being read, and what is wrong with it.
///
/// ```
/// use tachograph_core::wire::frame::{FrameError, Hello, Reason};
///
/// let error = FrameError { field: "hello.magic", reason: Reason::NotAStream };
/// assert_eq!(Hello::read(b"GET /"), Err(error));
/// assert!(error.to_string().contains("hello.magic"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameError {
    /// What was being read.
    pub field: &'static str,
    /// What is wrong with it.
    pub reason: Reason,
}

/// What is wrong with bytes.
///
/// ```
/// use tachograph_core::wire::frame::{Reason, read_skipped};
///
/// assert!(read_skipped(&[]).is_err_and(|error| error.reason == Reason::CutOff));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// They end before the field does.
    CutOff,
    /// More follows than the field has.
    Trailing,
    /// A text that is not UTF-8.
    NotUtf8,
    /// A value that the field cannot have.
    OutOfRange,
    /// A stream that does not begin as one.
    NotAStream,
    /// A version of the format that this reader does not know.
    UnknownVersion(u8),
    /// A frame that does not follow the newest one.
    OutOfOrder,
    /// A frame of series that were not described.
    UnknownSchema,
    /// A frame of other series than those described.
    OtherSchema,
    /// More than the decoder may keep.
    TooMuch,
}

impl FrameError {
    pub(super) const fn new(field: &'static str, reason: Reason) -> Self {
        Self { field, reason }
    }
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.reason)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CutOff => "the bytes end before it does",
            Self::Trailing => "more bytes follow than it has",
            Self::NotUtf8 => "the text is not UTF-8",
            Self::OutOfRange => "it cannot have this value",
            Self::NotAStream => "the bytes do not begin as a stream",
            Self::UnknownVersion(version) => {
                return write!(f, "version {version} is not known here; use a newer reader");
            }
            Self::OutOfOrder => "it does not follow the newest frame",
            Self::UnknownSchema => "its series were not described",
            Self::OtherSchema => "it is of other series than those described",
            Self::TooMuch => "it is more than may be kept",
        })
    }
}

impl core::error::Error for FrameError {}
