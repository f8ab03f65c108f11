use alloc::borrow::Cow;
use alloc::format;
use alloc::string::{String, ToString};

use base64::Engine;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::audio::invalid;
use super::{ClientFeatures, DecodeError, ErrorCode, SAMPLE_RATE, SYSTEM, SourceName, check_pcm};

const FORMAT: &str = "pcm_s16le";
const CHANNELS: u64 = 1;
const IDENTIFIER_CHARACTERS_MAX: usize = 256;

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A text message from a client, checked.
///
/// ```
/// use tachograph_core::wire::{ClientMessage, decode_client_message};
///
/// let message = decode_client_message(r#"{"type": "stop", "session_id": "call-7"}"#, 64_000)?;
/// assert_eq!(message, ClientMessage::Stop { session_id: "call-7".into() });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub enum ClientMessage {
    /// Begins the session.
    Start(Start),
    /// One frame of audio.
    Audio {
        /// Where it comes from.
        source: SourceName,
        /// PCM16LE, mono, 16 kHz: whole samples, at least one.
        pcm: Bytes,
    },
    /// Ends the session with this identifier.
    Stop {
        /// Must be the session's own.
        session_id: String,
    },
}

/// What a client says of itself and its session.
///
/// ```
/// use tachograph_core::wire::Start;
///
/// let start = Start { session_id: "call-7".into(), ..Start::default() };
/// assert!(start.encode().contains("\"call-7\""));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Start {
    /// 1 to 256 characters; data, never a name of anything.
    pub session_id: String,
    /// The client's attempt, if it counts them.
    pub attempt_id: Option<String>,
    /// The connection, if the client names it; the server does otherwise.
    pub connection_id: Option<String>,
    /// What the client's own audio path does.
    pub client_features: ClientFeatures,
}

impl Start {
    /// The message as the server reads it.
    ///
    /// ```
    /// use tachograph_core::wire::{ClientMessage, Start, decode_client_message};
    ///
    /// let start = Start { session_id: "call-7".into(), ..Start::default() };
    /// assert_eq!(decode_client_message(&start.encode(), 64_000), Ok(ClientMessage::Start(start)));
    /// ```
    pub fn encode(&self) -> String {
        let Self { session_id, attempt_id, connection_id, client_features } = self;
        serde_json::json!({
            "type": "start", "session_id": session_id, "attempt_id": attempt_id, "connection_id": connection_id,
            "sample_rate": SAMPLE_RATE, "format": FORMAT, "channels": CHANNELS, "client_features": client_features,
        })
        .to_string()
    }
}

impl ClientMessage {
    /// A stop for `session_id`, as the server reads it.
    pub fn encode_stop(session_id: &str) -> String {
        serde_json::json!({"type": "stop", "session_id": session_id}).to_string()
    }

    /// A frame of audio as JSON, as the server reads it.
    pub fn encode_audio(source: SourceName, pcm: &[u8]) -> String {
        serde_json::json!({"type": "audio", "source": source, "data": BASE64.encode(pcm)}).to_string()
    }
}

/// The shape of any message, to tell what it is.
#[derive(Deserialize)]
struct Tagged<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Audio<'a> {
    #[serde(borrow)]
    source: Option<Cow<'a, str>>,
    #[serde(borrow)]
    data: Cow<'a, str>,
}

/// Reads a text message. Audio longer than `audio_bytes_max` is refused before it is decoded.
///
/// # Errors
/// The code says what kind of fault it is; `unsupported_format` is fatal. The message names the
/// field and what is expected, and never repeats what was sent.
///
/// ```
/// use tachograph_core::wire::{ErrorCode, decode_client_message};
///
/// let error = decode_client_message(r#"{"type": "dance"}"#, 64_000).unwrap_err();
/// assert_eq!(error.code, ErrorCode::UnknownType);
/// ```
pub fn decode_client_message(text: &str, audio_bytes_max: usize) -> Result<ClientMessage, DecodeError> {
    // An array of one string would do for `Tagged`.
    let is_object = text.trim_start().starts_with('{');
    let tagged: Option<Tagged> = is_object.then(|| serde_json::from_str(text).ok()).flatten();
    let tagged = tagged.ok_or_else(|| not_a_message(text))?;
    match &*tagged.kind {
        "start" => decode_start(&object(text)?).map(ClientMessage::Start),
        "audio" => decode_audio(text, audio_bytes_max),
        "stop" => {
            Ok(ClientMessage::Stop { session_id: identifier(&object(text)?, "session_id")?.ok_or_else(no_session)? })
        }
        _ => Err(DecodeError::new(ErrorCode::UnknownType, "`type` must be start, audio or stop")),
    }
}

/// The first fault in the text says nothing about the rest of it, so it is read again as any JSON.
fn not_a_message(text: &str) -> DecodeError {
    match serde_json::from_str::<IgnoredAny>(text) {
        Ok(_) => message_error("a message is a JSON object whose `type` is a string"),
        Err(_) => DecodeError::new(ErrorCode::InvalidJson, "the text is not JSON"),
    }
}

fn object(text: &str) -> Result<Value, DecodeError> {
    let message = "the message is nested too deeply, or has a number too large or half a character";
    serde_json::from_str(text).map_err(|_| message_error(message))
}

fn decode_start(message: &Value) -> Result<Start, DecodeError> {
    check_format(message)?;
    Ok(Start {
        session_id: identifier(message, "session_id")?.ok_or_else(no_session)?,
        attempt_id: identifier(message, "attempt_id")?,
        connection_id: identifier(message, "connection_id")?,
        client_features: decode_features(message)?,
    })
}

/// An absent field means the only value there is.
fn check_format(message: &Value) -> Result<(), DecodeError> {
    let differs = |field: &str, expected: Value| match &message[field] {
        Value::Null => false,
        Value::Number(number) => number.as_f64() != expected.as_f64(),
        given => *given != expected,
    };
    if differs("sample_rate", SAMPLE_RATE.into())
        || differs("format", FORMAT.into())
        || differs("channels", CHANNELS.into())
    {
        return Err(DecodeError::new(
            ErrorCode::UnsupportedFormat,
            "only sample_rate 16000, format pcm_s16le and channels 1 are supported",
        ));
    }
    Ok(())
}

fn identifier(message: &Value, field: &str) -> Result<Option<String>, DecodeError> {
    let wrong = || message_error(format!("`{field}` must be a string of 1 to {IDENTIFIER_CHARACTERS_MAX} characters"));
    match &message[field] {
        Value::Null => Ok(None),
        Value::String(text) if text.is_empty() && field != "session_id" => Ok(None),
        Value::String(text) if (1..=IDENTIFIER_CHARACTERS_MAX).contains(&text.chars().count()) => {
            Ok(Some(text.clone()))
        }
        _ => Err(wrong()),
    }
}

fn decode_features(message: &Value) -> Result<ClientFeatures, DecodeError> {
    let wrong = || message_error("`client_features` must be an object of booleans");
    match &message["client_features"] {
        Value::Null => Ok(ClientFeatures::default()),
        features if features.is_object() => ClientFeatures::deserialize(features).map_err(|_| wrong()),
        _ => Err(wrong()),
    }
}

fn decode_audio(text: &str, audio_bytes_max: usize) -> Result<ClientMessage, DecodeError> {
    let Audio { source, data } = serde_json::from_str(text)
        .map_err(|_| message_error("audio needs `data`, a base64 string, and may have `source`, a string"))?;
    let source = source.map_or(Ok(SYSTEM), |name| SourceName::parse(&name))?;
    if data.len() / 4 * 3 > audio_bytes_max.saturating_add(3) {
        return Err(too_large());
    }
    let pcm = BASE64.decode(data.as_bytes()).map_err(|_| invalid("`data` is not base64"))?;
    if pcm.len() > audio_bytes_max {
        return Err(too_large());
    }
    check_pcm(&pcm)?;
    Ok(ClientMessage::Audio { source, pcm: pcm.into() })
}

fn too_large() -> DecodeError {
    DecodeError::new(ErrorCode::TooLarge, "the frame is longer than the whole queue; send shorter frames")
}

fn no_session() -> DecodeError {
    message_error("`session_id` is required")
}

fn message_error(message: impl Into<Cow<'static, str>>) -> DecodeError {
    DecodeError::new(ErrorCode::InvalidMessage, message)
}
