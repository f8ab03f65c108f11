use std::fmt::Display;
use std::future::Future;
use std::sync::Arc;

use serde_json::Value;
use tachograph_core::session::{Amount, Level, ProviderInForce, ProviderPhase, Work};
use tachograph_core::wire::SourceName;

use super::guards::Queued;
use super::live::LiveSession;
use super::probe::{self, Question};

/// A source of a session: what it sends is told here. Clones are the same source; after the session's end
/// nothing that it is told counts.
///
/// ```
/// use tachograph::Tachograph;
/// use tachograph::session::{Amount, Degrade, Level, SourceConfig};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let tacho = Tachograph::new()?;
/// let session = tacho.session("video-7").open()?;
/// let config = SourceConfig { frames_max: 30, degrade: Degrade::Told, ..SourceConfig::default() };
/// let camera = session.source("camera", config)?;
/// camera.watch_level(async || Ok::<_, std::io::Error>(Level::Normal));
/// camera.watch_health(async || Ok::<_, std::io::Error>(serde_json::json!({"gpu": 0.4})));
/// camera.enqueue(Amount::new(1, 40_000)).begin().done();
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Source {
    pub(super) session: Arc<LiveSession>,
    pub(super) name: SourceName,
}

impl Source {
    pub(super) fn new(session: Arc<LiveSession>, name: SourceName) -> Self {
        Self { session, name }
    }

    /// Its name.
    pub fn name(&self) -> SourceName {
        self.name
    }

    pub(super) fn is(&self, other: &Self) -> bool {
        self.name == other.name && Arc::ptr_eq(&self.session, &other.session)
    }

    /// So much came and waits from now on, until its guard is told what becomes of it.
    pub fn enqueue(&self, amount: Amount) -> Queued {
        let arrived = self.session.update(|model, now| {
            model.enqueued(self.name, amount, Amount::default(), now);
            now
        });
        Queued::new(self.clone(), amount, arrived)
    }

    /// Keeps the session as an example of such times, for those who scrape: [`Working::done`](super::Working::done)
    /// does so, and whoever tells the model itself may. Ignored after the session's end.
    pub fn exemplify(&self, work: &Work) {
        self.session.exemplify(self.name, work);
    }

    /// Which provider and model work for it from now on.
    pub fn set_provider(&self, in_force: ProviderInForce) {
        self.session.update(|model, _| model.set_provider(self.name, in_force));
    }

    /// How its provider is from now on.
    pub fn set_provider_phase(&self, phase: ProviderPhase) {
        self.session.update(|model, _| model.set_provider_phase(self.name, phase));
    }

    /// Its degrade level now; NORMAL where it has none. With [`Degrade::Ladder`](super::Degrade::Ladder) it says
    /// how what comes next is to be processed.
    pub fn level(&self) -> Level {
        self.session.level(self.name)
    }

    /// Asks each second how its provider is, off the tick: what it answers is shown as it is. No answer within
    /// 500 ms, an error and a panic are counted, logged, and shown as no health. It replaces what was asked before.
    pub fn watch_health<F, A, E>(&self, ask: F)
    where
        F: Fn() -> A + Send + Sync + 'static,
        A: Future<Output = Result<Value, E>> + Send + 'static,
        E: Display + Send + 'static,
    {
        let (source, ask) = (self.clone(), Arc::new(ask));
        self.session.ask(self.name, Question::Health, move || probe::health(source.clone(), Arc::clone(&ask)));
    }

    /// Asks each second for its degrade level, off the tick, where that is [`Degrade::Told`](super::Degrade::Told).
    /// Without an answer within 500 ms there is none, which is counted, logged and shown. It replaces what was asked
    /// before.
    pub fn watch_level<F, A, E>(&self, ask: F)
    where
        F: Fn() -> A + Send + Sync + 'static,
        A: Future<Output = Result<Level, E>> + Send + 'static,
        E: Display + Send + 'static,
    {
        let (source, ask) = (self.clone(), Arc::new(ask));
        self.session.ask(self.name, Question::Level, move || probe::level(source.clone(), Arc::clone(&ask)));
    }
}
