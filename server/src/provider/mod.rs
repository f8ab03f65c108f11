//! What processes the audio: the trait, and the two providers that come with the server.

mod simulated;
mod vad;

use std::fmt;
use std::sync::Arc;

use serde_json::Value;
use tachograph_core::session::{Chunk, ProviderInForce, Voice};
use tachograph_core::wire::SourceName;

/// What the methods of providers answer with.
pub use futures_util::future::BoxFuture;
pub use simulated::{Fault, Simulated, SimulatedControl};
pub use vad::Vad;

/// How well a provider is to do its work.
///
/// ```
/// use tachograph::provider::Quality;
///
/// let model_id = |quality| if quality == Quality::Full { "large" } else { "small" };
/// assert_eq!(model_id(Quality::default()), "large");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Quality {
    /// The best model, voice detection on.
    #[default]
    Full,
    /// The next smaller model, voice detection off.
    Reduced,
}

/// Works on the chunks of one source, one at a time.
///
/// Every future may be dropped before it is done, which ends the work; none may block its thread: work
/// that takes long without awaiting belongs into `tokio::task::spawn_blocking`. A panic counts as a
/// failure of the chunk.
///
/// ```
/// use tachograph::provider::{BoxFuture, Provider, ProviderError, Quality};
/// use tachograph::session::{Chunk, ProviderInForce, Voice};
///
/// struct Deaf;
///
/// impl Provider for Deaf {
///     fn in_force(&self) -> ProviderInForce {
///         ProviderInForce { provider: "deaf".into(), model_id: "none".into(), vad_enabled: false }
///     }
///
///     fn process(&self, _: Chunk) -> BoxFuture<'_, Result<Option<Voice>, ProviderError>> {
///         Box::pin(async { Ok(None) })
///     }
///
///     fn health(&self) -> BoxFuture<'_, Result<serde_json::Value, ProviderError>> {
///         Box::pin(async { Ok(serde_json::json!({"status": "ok"})) })
///     }
///
///     fn set_quality(&self, _: Quality) {}
/// }
/// ```
pub trait Provider: Send + Sync + 'static {
    /// The provider and model in force now.
    fn in_force(&self) -> ProviderInForce;

    /// Processes one chunk and says what voice detection found, if it is on.
    ///
    /// # Errors
    /// The chunk could not be processed and counts as dropped.
    fn process(&self, chunk: Chunk) -> BoxFuture<'_, Result<Option<Voice>, ProviderError>>;

    /// What the provider says of itself, also while a chunk is inside.
    ///
    /// # Errors
    /// It cannot say.
    fn health(&self) -> BoxFuture<'_, Result<Value, ProviderError>>;

    /// Takes effect with the next chunk.
    fn set_quality(&self, quality: Quality);
}

/// Makes providers of one kind, one for each source.
///
/// ```
/// use std::sync::Arc;
/// use tachograph::provider::{BoxFuture, Provider, ProviderError, ProviderFactory, Providers};
/// use tachograph::wire::SourceName;
///
/// struct Absent;
///
/// impl ProviderFactory for Absent {
///     fn name(&self) -> &'static str {
///         "absent"
///     }
///
///     fn open(&self, _: SourceName) -> BoxFuture<'_, Result<Arc<dyn Provider>, ProviderError>> {
///         Box::pin(async { Err(ProviderError("there is none".into())) })
///     }
/// }
///
/// assert_eq!(Providers::only(Absent).primary.name(), "absent");
/// ```
pub trait ProviderFactory: Send + Sync + 'static {
    /// The kind's name.
    fn name(&self) -> &'static str;

    /// A provider for a source, at full quality.
    ///
    /// # Errors
    /// It cannot be made now; it is tried again later.
    fn open(&self, source: SourceName) -> BoxFuture<'_, Result<Arc<dyn Provider>, ProviderError>>;
}

/// The provider of a server and the one it falls back to.
///
/// ```
/// use std::sync::Arc;
/// use tachograph::provider::{Providers, Simulated, SimulatedControl, Vad};
///
/// let fallback = Simulated::new(SimulatedControl { rtf: 0.1, ..SimulatedControl::default() });
/// let providers = Providers { fallback: Some(Arc::new(fallback)), ..Providers::only(Vad::default()) };
/// assert_eq!(providers.primary.name(), "vad");
/// # assert!(providers.fallback.is_some());
/// ```
#[derive(Clone)]
pub struct Providers {
    /// Works unless it failed.
    pub primary: Arc<dyn ProviderFactory>,
    /// Takes over at the level FAILOVER.
    pub fallback: Option<Arc<dyn ProviderFactory>>,
}

impl Providers {
    /// A provider without a fallback.
    pub fn only(primary: impl ProviderFactory) -> Self {
        Self { primary: Arc::new(primary), fallback: None }
    }
}

impl fmt::Debug for Providers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Providers")
            .field("primary", &self.primary.name())
            .field("fallback", &self.fallback.as_ref().map(|factory| factory.name()))
            .finish()
    }
}

/// Why a provider did not do its work. Goes to the log, never to a client.
///
/// ```
/// use tachograph::provider::ProviderError;
///
/// assert_eq!(ProviderError("the model is gone".into()).to_string(), "the model is gone");
/// ```
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ProviderError(pub String);
