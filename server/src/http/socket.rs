//! What can be wrong with a WebSocket, from its handshake to its last frame.

use axum::extract::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::http::{HeaderMap, header};
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::error::ProtocolError;

use crate::error::ApiError;

pub(super) type Upgrade = Result<WebSocketUpgrade, WebSocketUpgradeRejection>;

/// A handshake as RFC 6455 wants it.
///
/// # Errors
/// It is none.
pub(super) fn checked(upgrade: Upgrade, headers: &HeaderMap) -> Result<WebSocketUpgrade, ApiError> {
    let upgrade = upgrade.map_err(|_| ApiError::NotAWebSocket)?;
    // HTTP/2 has no key.
    let is_answerable = headers.get(header::SEC_WEBSOCKET_KEY).is_none_or(|key| is_key(key.as_bytes()));
    if is_answerable { Ok(upgrade) } else { Err(ApiError::NotAWebSocket) }
}

/// Sixteen bytes in base64.
fn is_key(key: &[u8]) -> bool {
    let is_digit = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    matches!(key, [digits @ .., b'=', b'='] if digits.len() == 22 && digits.iter().all(is_digit))
}

/// Why nothing more can be read of a WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SocketFault {
    /// A message, or a frame, longer than is read.
    TooLarge,
    /// A text, or a reason, that is not UTF-8.
    NotUtf8,
    /// A frame that is against RFC 6455.
    Protocol,
    /// The connection ended without a close.
    Lost,
}

impl SocketFault {
    pub(crate) fn of(error: axum::Error) -> Self {
        match error.into_inner().downcast_ref() {
            Some(Error::Capacity(_)) => Self::TooLarge,
            Some(Error::Utf8(_)) => Self::NotUtf8,
            Some(Error::Protocol(ProtocolError::ResetWithoutClosingHandshake)) => Self::Lost,
            Some(Error::Protocol(_)) => Self::Protocol,
            _ => Self::Lost,
        }
    }

    /// The code and the reason of the close that answers it; none where nobody is left to read it.
    pub(crate) const fn close(self) -> Option<(u16, &'static str)> {
        match self {
            Self::TooLarge => Some((1009, "the message is longer than the server reads")),
            Self::NotUtf8 => Some((1007, "a text message must be UTF-8")),
            Self::Protocol => Some((1002, "a frame was against RFC 6455")),
            Self::Lost => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_sixteen_bytes_in_base64() {
        for (key, is_one) in [
            ("dGhlIHNhbXBsZSBub25jZQ==", true),
            ("dGhlIHNhbXBsZSBub25jZQ=", false),
            ("dGhlIHNhbXBsZSBub25jZQ", false),
            ("dGhlIHNhbXBsZSBub25jZQAA", false),
            ("dGhlIHNhbXBsZSBub25j!Q==", false),
            ("", false),
        ] {
            assert_eq!(is_key(key.as_bytes()), is_one, "{key}");
        }
    }

    #[test]
    fn each_fault_has_its_close() {
        let fault = |error: Error| SocketFault::of(axum::Error::new(error)).close().map(|(code, _)| code);
        assert_eq!(fault(Error::Protocol(ProtocolError::NonZeroReservedBits)), Some(1002));
        assert_eq!(fault(Error::Utf8(String::new())), Some(1007));
        assert_eq!(fault(Error::Protocol(ProtocolError::ResetWithoutClosingHandshake)), None);
        assert_eq!(fault(Error::ConnectionClosed), None);
    }
}
