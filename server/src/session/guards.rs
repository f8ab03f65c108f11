use std::time::Duration;

use tachograph_core::session::{Amount, Voice, Work};
use tachograph_core::time::Moment;

use super::source::Source;

/// What waits in the application's queue. Let go of, it counts as dropped; until then it waits, so that one which a
/// full queue gives back is to be let go of at once.
///
/// ```
/// use tachograph::Tachograph;
/// use tachograph::session::{Amount, SourceConfig};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let tacho = Tachograph::new()?;
/// let session = tacho.session("chat-7").open()?;
/// let tokens = session.source("tokens", SourceConfig::default())?;
/// tokens.enqueue(Amount::new(1, 4)).begin().done();
/// drop(tokens.enqueue(Amount::new(1, 4)));
/// let frames = session.end().sources[0].frames;
/// assert_eq!((frames.processed, frames.dropped), (1, 1));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "what is let go of counts as dropped"]
pub struct Queued {
    source: Source,
    amount: Amount,
    arrived: Moment,
    is_settled: bool,
}

/// What is being processed. Let go of, it counts as failed and its amount as dropped: also when its task
/// panics or is cancelled.
///
/// ```
/// use tachograph::Tachograph;
/// use tachograph::session::{Amount, SourceConfig};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let tacho = Tachograph::new()?;
/// let session = tacho.session("video-7").open()?;
/// let pictures = session.source("camera", SourceConfig::default())?;
/// let mut batch = pictures.enqueue(Amount::new(1, 40_000)).begin();
/// batch.add(pictures.enqueue(Amount::new(1, 41_000)));
/// batch.done();
/// let receipt = session.end();
/// assert_eq!((receipt.sources[0].chunks_processed, receipt.sources[0].frames.processed), (1, 2));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "what is let go of counts as failed"]
pub struct Working {
    source: Source,
    amount: Amount,
    /// Of what is in it, the newest.
    last_arrived: Moment,
    began: Moment,
    voice: Option<Voice>,
    is_settled: bool,
}

impl Queued {
    pub(super) fn new(source: Source, amount: Amount, arrived: Moment) -> Self {
        Self { source, amount, arrived, is_settled: false }
    }

    /// It leaves the queue and is processed from now on.
    pub fn begin(mut self) -> Working {
        self.is_settled = true;
        let (name, amount) = (self.source.name, self.amount);
        let began = self.source.session.update(|model, now| {
            model.dequeued(name, amount);
            model.work_began(name);
            now
        });
        let source = self.source.clone();
        Working { source, amount, last_arrived: self.arrived, began, voice: None, is_settled: false }
    }
}

impl Drop for Queued {
    fn drop(&mut self) {
        if !self.is_settled {
            self.source.session.update(|model, now| model.discarded(self.source.name, self.amount, now));
        }
    }
}

impl Working {
    /// More is processed together with it, if it is of the same source; of another one it is dropped.
    pub fn add(&mut self, mut queued: Queued) {
        if !queued.source.is(&self.source) {
            return;
        }
        queued.is_settled = true;
        let amount = queued.amount;
        self.source.session.update(|model, _| model.dequeued(self.source.name, amount));
        self.amount += amount;
        self.last_arrived = self.last_arrived.max(queued.arrived);
    }

    /// What voice detection found in it.
    pub fn heard(&mut self, voice: Voice) {
        self.voice = Some(voice);
    }

    /// It was processed, which took all the time since it began.
    pub fn done(self) {
        let took = self.source.session.now().since(self.began);
        self.done_in(took);
    }

    /// It was processed, and took so much time inside the provider.
    pub fn done_in(mut self, inference: Duration) {
        self.is_settled = true;
        let (name, amount) = (self.source.name, self.amount);
        let (last_arrived, voice) = (self.last_arrived, self.voice);
        let work = self.source.session.update(|model, now| {
            let work = Work { inference, processing: now.since(last_arrived), voice };
            model.work_ended(name);
            model.processed(name, amount, &work, now);
            work
        });
        self.source.exemplify(&work);
    }

    /// It could not be processed.
    pub fn failed(self) {}
}

impl Drop for Working {
    fn drop(&mut self) {
        let (name, amount) = (self.source.name, self.amount);
        if !self.is_settled {
            self.source.session.update(|model, now| {
                model.work_ended(name);
                model.failed(name, amount, now);
            });
        }
    }
}
