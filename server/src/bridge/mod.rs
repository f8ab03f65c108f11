//! What a service measures already, in a registry without a change of its code: metrics of other crates, the
//! times of spans, HTTP requests, the process and its runtime.
//!
//! Each works on a [`Registry`](tachograph_core::registry::Registry), of which clones share the same families, and
//! keeps nothing outside of it; only `Recorder::install` sets something for the whole process.
//!
//! | what | with | feature |
//! | --- | --- | --- |
//! | counters, gauges and histograms of the crate `metrics` | `Recorder` | `metrics` |
//! | spans of the crate `tracing` | `SpanTimes` | `tracing` |
//! | requests of an axum router, or of another tower service | [`RequestMetrics`] | |
//! | CPU time, memory, descriptors | `ProcessMetrics` | `process` |
//! | tokio's workers and tasks | `RuntimeMetrics` | `runtime` |

#[cfg(feature = "metrics")]
mod facade;
#[cfg(feature = "process")]
mod process;
mod requests;
#[cfg(feature = "runtime")]
mod runtime;
#[cfg(feature = "tracing")]
mod spans;
mod table;

#[cfg(feature = "metrics")]
pub use facade::{AlreadyInstalled, Recorder, RecorderBuilder};
#[cfg(feature = "process")]
pub use process::ProcessMetrics;
pub use requests::{RequestFuture, RequestMetrics, RequestService};
#[cfg(feature = "runtime")]
pub use runtime::RuntimeMetrics;
#[cfg(feature = "tracing")]
pub use spans::SpanTimes;
