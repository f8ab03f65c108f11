//! Tachograph as a server: live sessions in, their figures out once a second.
//!
//! The sessions speak the live-listener protocol, [`provider`] processes the audio, the hub takes
//! the state of everything each second and hands it to every page that looks. The figures themselves are
//! [`tachograph_core`]'s.
//!
//! ```no_run
//! use tachograph::provider::{Providers, Vad};
//! use tachograph::{App, Options, serve};
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let app = App::new(Options::default(), Providers::only(Vad::default()))?;
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:7117").await?;
//! serve(listener, app).await?;
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]

mod app;
pub mod cli;
mod clock;
mod error;
#[cfg(feature = "otlp")]
pub mod export;
mod http;
mod hub;
mod metrics;
mod options;
pub mod provider;
mod serve;
mod session;

pub use app::{App, Shared};
pub use clock::Clock;
pub use http::router;
pub use hub::HistoryLimits;
pub use metrics::ServerMetrics;
pub use options::{CollectHook, Options, TickHook};
pub use serve::serve;
