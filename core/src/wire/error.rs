use alloc::borrow::Cow;
use core::fmt;

use serde::{Deserialize, Serialize};

/// What was wrong with what a client sent, or why the server ends a session.
///
/// ```
/// use tachograph_core::wire::ErrorCode;
///
/// assert_eq!((ErrorCode::AtCapacity.as_str(), ErrorCode::AtCapacity.close_code()), ("at_capacity", 1013));
/// assert!(!ErrorCode::InvalidAudio.is_fatal());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// The text is not JSON.
    InvalidJson,
    /// The JSON is not a message of this protocol.
    InvalidMessage,
    /// A message of a type this server does not know.
    UnknownType,
    /// Audio that is not PCM16LE, mono, 16 kHz.
    UnsupportedFormat,
    /// Audio or stop before start.
    NotStarted,
    /// A second start on one connection.
    AlreadyStarted,
    /// Audio whose header, encoding or length is wrong.
    InvalidAudio,
    /// A frame longer than the queue, or a message longer than the server reads.
    TooLarge,
    /// One source more than a session may have.
    TooManySources,
    /// A stop for another session.
    SessionMismatch,
    /// The client may not use this server.
    Unauthorized,
    /// The server has no room for one more session.
    AtCapacity,
    /// The provider failed and could not be restarted.
    ProviderFailed,
    /// A fault of the server.
    Internal,
}

impl ErrorCode {
    /// The code as it stands in a message.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidJson => "invalid_json",
            Self::InvalidMessage => "invalid_message",
            Self::UnknownType => "unknown_type",
            Self::UnsupportedFormat => "unsupported_format",
            Self::NotStarted => "not_started",
            Self::AlreadyStarted => "already_started",
            Self::InvalidAudio => "invalid_audio",
            Self::TooLarge => "too_large",
            Self::TooManySources => "too_many_sources",
            Self::SessionMismatch => "session_mismatch",
            Self::Unauthorized => "unauthorized",
            Self::AtCapacity => "at_capacity",
            Self::ProviderFailed => "provider_failed",
            Self::Internal => "internal",
        }
    }

    /// Whether one such error ends the connection.
    pub const fn is_fatal(self) -> bool {
        matches!(self, Self::UnsupportedFormat | Self::Unauthorized | Self::AtCapacity | Self::Internal)
    }

    /// The WebSocket close code of a connection that ends by this error.
    pub const fn close_code(self) -> u16 {
        match self {
            Self::UnsupportedFormat => 1003,
            Self::InvalidJson | Self::InvalidMessage | Self::UnknownType | Self::InvalidAudio => 1007,
            Self::TooLarge => 1009,
            Self::ProviderFailed | Self::Internal => 1011,
            Self::AtCapacity => 1013,
            Self::Unauthorized
            | Self::NotStarted
            | Self::AlreadyStarted
            | Self::TooManySources
            | Self::SessionMismatch => 1008,
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a message was not understood, in words for whoever sent it.
///
/// ```
/// use tachograph_core::wire::{ErrorCode, decode_client_message};
///
/// let error = decode_client_message("{", 64_000).unwrap_err();
/// assert_eq!(error.code, ErrorCode::InvalidJson);
/// assert!(error.to_string().starts_with("invalid_json: "));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecodeError {
    /// The kind of fault.
    pub code: ErrorCode,
    /// What is wrong and what is expected.
    pub message: Cow<'static, str>,
}

impl DecodeError {
    /// An error with this code and explanation.
    pub fn new(code: ErrorCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, message: message.into() }
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl core::error::Error for DecodeError {}
