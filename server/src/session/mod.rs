//! Sessions of any streaming service: whoever serves speech, video or tokens opens a [`Session`], registers
//! its [`Source`]s, and tells what becomes of what they send. Each is metered once a second, streamed to
//! all who look, and gets a receipt at its end.
//!
//! What is queued is told by guards that travel with it: a [`Queued`] through the application's own queue, a
//! [`Working`] through its processing. A guard that is let go of counts as dropped, so that nothing is
//! unaccounted for, whatever happens to the task that had it.
//!
//! The queues are the application's, and so is their memory: of [`Limits::sessions_bytes`](crate::Limits), such a
//! session takes no more than what is kept of it and of its sources. It is never ended for want of memory; one more
//! is not opened then.
//!
//! ```
//! use tachograph::Tachograph;
//! use tachograph::session::{Amount, SourceConfig};
//! use tokio::sync::mpsc;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let tacho = Tachograph::new()?;
//! let session = tacho.session("chat-7").open()?;
//! let tokens = session.source("tokens", SourceConfig { frames_max: 16, ..SourceConfig::default() })?;
//!
//! let (sender, mut receiver) = mpsc::channel(16);
//! let worker = tokio::spawn(async move {
//!     while let Some((queued, token)) = receiver.recv().await {
//!         let working = tachograph::session::Queued::begin(queued);
//!         let _text: String = token;
//!         working.done();
//!     }
//! });
//! for token in ["one", "two"] {
//!     // Where the queue is full, the guard comes back with the token and counts it as dropped.
//!     drop(sender.try_send((tokens.enqueue(Amount::new(1, token.len() as u64)), token.to_owned())));
//! }
//! drop(sender);
//! worker.await?;
//! let receipt = session.end();
//! assert_eq!((receipt.sources[0].frames.received, receipt.sources[0].frames.processed), (2, 2));
//! # Ok(())
//! # }
//! ```

mod guards;
mod live;
mod open;
mod probe;
mod shed;
mod source;
mod table;
mod ticker;

pub use guards::{Queued, Working};
pub use live::Session;
pub use open::{Observer, OpenError, SessionBuilder};
pub(crate) use shed::Shedding;
pub use source::Source;
pub(crate) use table::SessionTable;
pub use tachograph_core::session::{
    Action, Amount, Audio, AudioConfig, Chunk, ChunkResult, Degrade, Level, ProviderInForce, ProviderPhase,
    Session as Model, SourceConfig, SourceError, TickTally, Voice, Work,
};
