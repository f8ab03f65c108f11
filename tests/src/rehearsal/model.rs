use tachograph_core::session::{Audio, Session};
use tachograph_core::time::Moment;
use tachograph_core::wire::EventKind;

/// The core's model of a session, and what it told.
#[derive(Debug)]
pub(super) struct Model {
    pub(super) session: Session,
    audio: Audio,
    /// No more audio comes: what waits is flushed.
    pub(super) draining: bool,
    told: Vec<(Moment, EventKind)>,
}

impl Model {
    pub(super) fn new(session: Session, audio: Audio) -> Self {
        Self { session, audio, draining: false, told: Vec::new() }
    }

    /// Changes the session, and keeps the statuses that follow, in the order in which they came about.
    pub(super) fn with<T>(&mut self, now: Moment, change: impl FnOnce(&mut Session, &mut Audio) -> T) -> T {
        let result = change(&mut self.session, &mut self.audio);
        self.told.extend(self.session.take_statuses().into_iter().map(|status| (now, EventKind::Status(status))));
        result
    }

    pub(super) fn tell(&mut self, now: Moment, kind: EventKind) {
        self.told.push((now, kind));
    }

    /// What was told since the last call.
    pub(super) fn take_told(&mut self) -> Vec<(Moment, EventKind)> {
        std::mem::take(&mut self.told)
    }
}
