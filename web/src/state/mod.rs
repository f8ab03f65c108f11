//! What the page knows, in plain Rust: no element, no signal, no clock.
//!
//! A [`Store`] takes one frame after another and keeps them as they came, in an archive: the state at
//! any moment is made from it again, and so are the columns of the charts that somebody looks at, the
//! [`Tracks`]. Everything it keeps is bounded, and what falls outside a bound is counted.

mod archive;
mod attention;
mod connection;
mod events;
mod family;
mod grid;
mod place;
mod query;
mod session;
mod sparks;
mod store;
mod subject;
mod survey;
mod ticks;
mod track;
mod tracks;
mod words;

#[cfg(test)]
pub(crate) mod samples;

pub use attention::{Severity, Trouble, level_of, troubles, worst};
pub use connection::{Connection, STALE_AFTER};
pub use events::{Events, Happening, Noted};
pub use place::{BOARD_MAX, Board, Page, Place, Span, WINDOWS, order_named};
pub use query::{Query, QueryWriter};
pub use session::{SessionKey, name_of, tag};
pub use sparks::{SPARK_TICKS, Sparks};
pub use store::{Store, View};
pub use subject::{Chart, FamilyReading, Overall, Reading, Split, Subject, Threshold, parse_number};
pub use survey::{Listing, Order, Standing, TableRow, in_trouble, listed};
pub use ticks::{Mark, Row, TICKS_MAX, Ticks};
pub use track::{HeatRow, LINES_MAX, Line, Track, unit_of};
pub use tracks::Tracks;
pub use words::have_words;
