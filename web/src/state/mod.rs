//! What the page knows, in plain Rust: no element, no signal, no clock.
//!
//! A [`Store`] takes one frame after another and answers what to show. Everything it keeps is
//! bounded, and what falls outside a bound is counted.

mod attention;
mod connection;
mod figure;
mod format;
mod history;
mod panel;
mod session;
mod sparkline;
mod store;
mod untracked;

#[cfg(test)]
mod samples;

pub use attention::{Attention, Severity, Trouble, troubles, worst};
pub use connection::{Connection, STALE_AFTER};
pub use figure::Figure;
pub use format::{count, duration, measure, millis};
pub use history::{HISTORY_TICKS, History, Sample};
pub use panel::{Family, Labels, Panel, Series, bucket_text, label_text};
pub use session::{Session, SourceView};
pub use sparkline::{HEIGHT, bars, limit_line, sparkline};
pub use store::{Head, RowKey, Store};
pub use untracked::Untracked;
