//! Every message between client, server and page, each defined once.
//!
//! A server decodes [`ClientMessage`]s and encodes [`ServerMessage`]s inside an [`Envelope`]; a
//! client does the reverse with the same types. A viewer gets a [`frame`] each second, or the same
//! in its plain form, a [`StreamFrame`].

mod audio;
mod client;
mod error;
pub mod frame;
mod metrics;
mod receipt;
mod server;
mod source;
mod stream;

pub use audio::{
    AudioHeader, MIC, PCM_BYTES_PER_SECOND, PIECE_BYTES_MAX, SAMPLE_RATE, SYSTEM, check_pcm, encode_audio_header,
};
pub use client::{ClientMessage, Start, decode_client_message};
pub use error::{DecodeError, ErrorCode};
pub use metrics::{ClientFeatures, Metrics, ProviderState, rounded};
pub use receipt::{LadderChange, Receipt, SourceReceipt, Tally};
pub use server::{Envelope, ErrorMessage, FinalSummary, Identity, ServerMessage, Status, StatusState};
pub use source::SourceName;
pub use stream::{Event, EventKind, ServerState, SessionPhase, SessionState, StreamFrame};
