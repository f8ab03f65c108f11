//! Audio by the live-listener protocol: the connections, the providers' workers, and what they tell their
//! sessions.

mod arriving;
mod connection;
mod kept;
mod listened;
mod outbox;
mod pace;
mod turned_away;
mod worker;
mod writer;

use std::time::Duration;

use tachograph_core::session::AudioConfig;

use crate::provider::{Providers, Simulated};

pub(crate) use connection::handle;
pub(crate) use kept::ProviderCalls;
pub(crate) use turned_away::turn_away;

/// How audio is taken in and processed.
///
/// ```
/// use tachograph::Tachograph;
/// use tachograph::listener::Listener;
/// use tachograph::provider::{Providers, Vad};
///
/// let tacho = Tachograph::builder().listener(Listener::new(Providers::only(Vad::default()))).build()?;
/// # Ok::<(), tachograph::registry::RegisterError>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Listener {
    /// What processes the audio.
    pub providers: Providers,
    /// The simulated provider, when that is the one that works: it can be told what to do while it works.
    pub simulated: Option<Simulated>,
    /// The bounds of each session.
    pub audio: AudioConfig,
    /// The longest message that is taken, at most 8 MiB.
    pub message_bytes_max: usize,
    /// How long a stop may drain the queues.
    pub drain: Duration,
    /// How long a provider may take for one chunk before it counts as failed.
    pub chunk_timeout: Duration,
}

impl Listener {
    /// With the defaults of the `tachograph` command.
    pub fn new(providers: Providers) -> Self {
        let audio = AudioConfig { fallback: providers.fallback.is_some(), ..AudioConfig::default() };
        Self {
            providers,
            simulated: None,
            audio,
            message_bytes_max: 1024 * 1024,
            drain: Duration::from_secs(8),
            chunk_timeout: Duration::from_secs(60),
        }
    }
}
