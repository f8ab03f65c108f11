//! Tachograph: live metrics of a running service, a frame a second, with a page to look at them.
//!
//! A [`Tachograph`] holds a registry of metrics and the live [`session`]s that it is told of. Each second it
//! puts the state of everything into a frame, for all who look. [`router`] makes it part of an axum
//! application; [`serve`] runs it by itself, as the `tachograph` command does.
//!
//! ```no_run
//! use axum::{Router, routing::get};
//! use tachograph::Tachograph;
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let tacho = Tachograph::new()?;
//! let app = Router::new().route("/", get(async || "hello")).nest("/tacho", tachograph::router(&tacho));
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
//! axum::serve(listener, app).await?;
//! # Ok(())
//! # }
//! ```
//!
//! | for | look at |
//! | --- | --- |
//! | counters, gauges and histograms, and their labels | [`registry`], [`instrument`], [`label`] |
//! | calls, streams, conversations: their queues, work and receipts | [`session`] |
//! | what other crates count, spans, requests, the process | [`bridge`] |
//! | an OpenTelemetry collector | `export` |
//! | audio by the live-listener protocol | `listener`, `provider` |
//! | who may look and who may feed | [`access`] |
//! | what a registry held at one moment, and how it is scraped | [`snapshot`], [`exposition`] |
//! | the messages and the stream, to read them | [`wire`] |
//!
//! All that an application needs of `tachograph_core` is found here too.
//!
//! | feature | what it brings |
//! | --- | --- |
//! | `ui` (default) | the page, within the program |
//! | `prometheus` (default) | all metrics at `/metrics`, in the formats that Prometheus reads |
//! | `otlp` | `export`: all metrics pushed to an OpenTelemetry collector |
//! | `metrics` | [`bridge`]: what is counted through the facade `metrics` |
//! | `tracing` | [`bridge`]: how long the spans of `tracing` take |
//! | `process` | CPU time, memory and descriptors of the process, at each tick |
//! | `runtime` | what tokio says of its workers and tasks, at each tick |
//! | `tls` | `Tls`: the server at https and wss, and `export` to a collector at https |
//! | `live` | `listener`: audio by the live-listener protocol, and `provider`s that process it |
//! | `cli` | the `tachograph` command |

#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod access;
mod app;
mod backoff;
mod block;
pub mod bridge;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod cli;
mod clock;
mod error;
#[cfg(feature = "otlp")]
pub mod export;
mod http;
#[cfg(feature = "otlp")]
mod http_client;
mod hub;
mod limits;
#[cfg(feature = "live")]
pub mod listener;
mod memory;
mod metrics;
mod options;
mod pace;
#[cfg(feature = "live")]
pub mod provider;
mod pulse;
mod serve;
pub mod session;
mod supervise;
mod tachograph;
#[cfg(all(feature = "tls", any(feature = "cli", feature = "otlp")))]
mod trust;
mod watchdog;

/// The guide's code is tested with all features. The guide is not part of the package.
#[cfg(all(doctest, feature = "cli", feature = "metrics", feature = "tracing"))]
#[doc = include_str!("../../docs/guide.md")]
mod guide {}

pub use self::metrics::ServerMetrics;
pub use http::router;
pub use hub::HistoryLimits;
pub use limits::Limits;
pub use serve::{Server, serve};
#[cfg(feature = "tls")]
pub use serve::{Tls, TlsError};
pub use tachograph::{Builder, Tachograph};
pub use tachograph_core::{exposition, instrument, label, labels, registry, snapshot, time, wire};
