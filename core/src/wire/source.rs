use alloc::string::String;
use core::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{DecodeError, ErrorCode};

const LONGEST: usize = 32;

/// The name of an audio source, `[a-z0-9_-]{1,32}`: the only thing from a client that becomes a
/// metric's label.
///
/// ```
/// use tachograph_core::wire::SourceName;
///
/// assert_eq!(SourceName::parse(" Microphone ")?.as_str(), "mic");
/// assert!(SourceName::parse("my mic").is_err());
/// # Ok::<(), tachograph_core::wire::DecodeError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceName {
    bytes: [u8; LONGEST],
    length: u8,
}

impl SourceName {
    /// Trims and lower-cases `name`, reads "microphone" as "mic", and checks the rest.
    ///
    /// # Errors
    /// `invalid_message` when what remains is not `[a-z0-9_-]{1,32}`.
    pub fn parse(name: &str) -> Result<Self, DecodeError> {
        let name = name.trim();
        let name = if name.eq_ignore_ascii_case("microphone") { "mic" } else { name };
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        if name.is_empty() || name.len() > LONGEST || !name.bytes().all(allowed) {
            return Err(DecodeError::new(ErrorCode::InvalidMessage, "`source` must be 1 to 32 of a-z, 0-9, _ and -"));
        }
        Ok(Self::from_valid(name))
    }

    pub(super) const fn from_valid(name: &str) -> Self {
        let (mut bytes, mut at) = ([0; LONGEST], 0);
        while at < name.len() {
            bytes[at] = name.as_bytes()[at].to_ascii_lowercase();
            at += 1;
        }
        Self { bytes, length: name.len() as u8 }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(&self.bytes[..usize::from(self.length)]).unwrap_or_default()
    }
}

impl fmt::Debug for SourceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for SourceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for SourceName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for SourceName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Self::parse(&name).map_err(serde::de::Error::custom)
    }
}
