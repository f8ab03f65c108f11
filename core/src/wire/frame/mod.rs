//! The stream in bytes: a schema once, then a frame a second with what changed.
//!
//! An [`Encoder`] writes a frame a [`Tick`]; a [`Decoder`] follows the frames and holds the [`State`] at
//! the newest one. A keyframe is a frame that says all by itself, where a reader can begin. A [`Sieve`]
//! leaves of a stream what a [`Filter`] lets through. `docs/protocol.md` specifies each byte.
//!
//! Both halves of each field stand side by side in one file.

mod codec;
mod columns;
mod decoder;
mod encoder;
mod error;
mod events;
mod filter;
mod float;
mod follower;
mod histogram;
mod keyframes;
mod mask;
mod record;
mod row;
mod schema;
mod sessions;
mod state;
mod value;
mod view;

pub use decoder::{Applied, DECODED_BYTES_MAX, Decoder};
pub use encoder::{Encoder, Tick};
pub use error::{FrameError, Reason};
pub use filter::{Filter, Sieve};
pub use follower::{Arrival, Follower, Request};
pub use keyframes::Keyframes;
pub use record::{Epoch, Hello, Outcome, Record, RecordKind, VERSION, read_skipped, write_skipped};
pub use row::Cell;
pub use schema::{Extent, FamilyEntry, Schema, SeriesEntry};
pub use state::{Columns, Head, RegistryTotals, ServerFigures, State};
pub use view::{SessionView, SourceView};

/// The flag of a frame that says how much of the schema it is about: where that changed, and in
/// keyframes.
const EXTENT: u8 = 1;

/// The numbers of a frame's sections. A section of another number is passed over.
mod section {
    pub(super) const SCHEMA: u8 = 1;
    pub(super) const SERVER: u8 = 2;
    pub(super) const TOTALS: u8 = 3;
    pub(super) const COUNTERS: u8 = 4;
    pub(super) const GAUGES: u8 = 5;
    pub(super) const HISTOGRAMS: u8 = 6;
    pub(super) const SESSIONS: u8 = 7;
    pub(super) const EVENTS: u8 = 8;
}
