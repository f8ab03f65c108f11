use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::string::String;

use serde::{Deserialize, Serialize};

use super::{ClientFeatures, ErrorCode, Metrics, Receipt, SourceName};
use crate::session::{Action, Level};

/// What every message of a session carries to tell whose it is; null where nobody named it.
///
/// ```
/// use tachograph_core::wire::Identity;
///
/// let identity = Identity { session_id: Some("call-7".into()), ..Identity::default() };
/// assert_eq!(
///     serde_json::to_string(&identity)?,
///     r#"{"session_id":"call-7","attempt_id":null,"connection_id":null}"#,
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The client's session.
    pub session_id: Option<String>,
    /// The client's attempt.
    pub attempt_id: Option<String>,
    /// The connection.
    pub connection_id: Option<String>,
}

/// A message of the server as it goes on the wire.
///
/// ```
/// use std::borrow::Cow;
/// use tachograph_core::wire::{Envelope, Identity, ServerMessage, Status, StatusState};
///
/// let message = ServerMessage::Status(Status::new(StatusState::Connected, "Connected"));
/// let envelope = Envelope { message: Cow::Owned(message), identity: Cow::Owned(Identity::default()), seq: 1 };
/// let text = serde_json::to_string(&envelope)?;
/// assert_eq!(serde_json::from_str::<Envelope>(&text)?, envelope);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Envelope<'a> {
    /// What is said.
    #[serde(flatten)]
    pub message: Cow<'a, ServerMessage>,
    /// Whose it is.
    #[serde(flatten)]
    pub identity: Cow<'a, Identity>,
    /// The connection's count of messages; skips only those that were conflated.
    pub seq: u64,
}

/// What a server says to a client.
///
/// ```
/// use tachograph_core::wire::{ServerMessage, Status, StatusState};
///
/// let message = ServerMessage::Status(Status::new(StatusState::Streaming, "Streaming"));
/// assert!(serde_json::to_string(&message)?.starts_with(r#"{"type":"status","state":"streaming""#));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ServerMessage {
    /// The session or a source changed its state.
    Status(Status),
    /// Something the client sent was refused, or the session cannot go on.
    Error(ErrorMessage),
    /// The figures of one source.
    Metrics(Box<Metrics>),
    /// The receipt.
    FinalSummary(FinalSummary),
}

/// The states a status tells.
///
/// ```
/// use tachograph_core::wire::StatusState;
///
/// assert_eq!(serde_json::to_string(&StatusState::Backpressure)?, "\"backpressure\"");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StatusState {
    /// The connection stands.
    Connected,
    /// Audio flows.
    Streaming,
    /// Something is wrong and the session goes on.
    Warning,
    /// Something failed.
    Error,
    /// Audio waits longer than it should.
    Buffering,
    /// Audio is about to be dropped, or is.
    Overloaded,
    /// Frames were dropped.
    Backpressure,
    /// Another provider takes over.
    Reconnecting,
}

/// A change of state, with what belongs to it.
///
/// ```
/// use tachograph_core::wire::{MIC, Status, StatusState};
///
/// let status = Status { source: Some(MIC), ..Status::new(StatusState::Warning, "The provider is slow") };
/// assert_eq!(status.dropped_frames, None);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// The state reached.
    pub state: StatusState,
    /// The same for a person.
    pub message: Cow<'static, str>,
    /// The source, where it is one source's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<SourceName>,
    /// Audio waiting, in seconds; 2 decimals.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backlog_seconds: Option<f64>,
    /// Frames dropped in this second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dropped_frames: Option<u64>,
    /// Audio dropped in this second, in seconds; 2 decimals.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dropped_seconds: Option<f64>,
    /// Frames dropped since start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dropped_total: Option<u64>,
    /// The degrade level reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub degrade_level: Option<Level>,
    /// What that step did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<Action>,
    /// The client's features, as understood.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_features: Option<ClientFeatures>,
}

impl Status {
    /// A status with nothing but its state and message.
    pub fn new(state: StatusState, message: &'static str) -> Self {
        Self {
            state,
            message: Cow::Borrowed(message),
            source: None,
            backlog_seconds: None,
            dropped_frames: None,
            dropped_seconds: None,
            dropped_total: None,
            degrade_level: None,
            action: None,
            client_features: None,
        }
    }
}

/// What was refused, or why the session ends.
///
/// ```
/// use tachograph_core::wire::{ErrorCode, ErrorMessage};
///
/// let code = ErrorCode::NotStarted;
/// let refused = ErrorMessage { code, message: "send start first".into(), fatal: code.is_fatal() };
/// assert!(!refused.fatal);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorMessage {
    /// The kind of fault.
    pub code: ErrorCode,
    /// What is wrong and what to do; no internal text.
    pub message: Cow<'static, str>,
    /// Whether the connection ends by it.
    pub fatal: bool,
}

/// The receipt, twice.
///
/// ```
/// use tachograph_core::registry::{DefaultMetrics, Registry};
/// use tachograph_core::session::{Amount, Session};
/// use tachograph_core::wire::MIC;
///
/// let metrics = DefaultMetrics::register(&Registry::new())?;
/// let mut session = Session::new(1, metrics, Default::default(), Default::default());
/// session.open_source(MIC, Default::default())?;
/// session.enqueued(MIC, Amount::new(2, 6_400), Amount::default(), Default::default());
/// let json = session.end(Default::default(), Default::default(), Default::default());
/// let summary = tachograph_core::wire::FinalSummary { markdown: json.to_markdown(), json };
/// assert!(summary.markdown.contains("mic"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FinalSummary {
    /// For programs.
    pub json: Receipt,
    /// For a person.
    pub markdown: String,
}
