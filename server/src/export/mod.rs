//! Hands the metrics of a registry to systems that do not come for them.

mod otlp;

#[cfg(feature = "cli")]
pub(crate) use otlp::{Endpoint, checked_header, checked_resource};
pub use otlp::{Otlp, OtlpError, Temporality};
