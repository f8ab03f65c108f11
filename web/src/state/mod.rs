//! What the page knows, in plain Rust: no element, no signal, no clock.
//!
//! A [`Store`] takes one frame after another and answers what to show: what the newest one says, and
//! what was in the last minutes, as columns of figures over the rows of the frames. Everything it keeps
//! is bounded, and what falls outside a bound is counted.

mod attention;
mod columns;
mod connection;
mod events;
mod figure;
mod format;
mod grid;
mod history;
mod panel;
mod session;
mod sparkline;
mod store;
mod ticks;
mod untracked;

#[cfg(test)]
pub(crate) mod samples;

pub use attention::{Attention, Severity, Trouble, troubles, worst};
pub use columns::{Columns, Recorded};
pub use connection::{Connection, STALE_AFTER};
pub use events::{Events, Happening, Noted};
pub use figure::Figure;
pub use format::{count, duration, measure, millis};
pub use history::{Column, HISTORY_TICKS, History};
pub use panel::{Family, Labels, Panel, Series, bucket_text, label_text};
pub use session::{RowKey, Session, SessionKey, SourceView};
pub use sparkline::{HEIGHT, bars, limit_line, sparkline};
pub use store::{Head, Store};
pub use ticks::{Mark, Row, TICKS_MAX, Ticks};
pub use untracked::Untracked;
