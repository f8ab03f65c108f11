use crate::wire::{Status, StatusState};

const BUFFERING_ABOVE: f64 = 0.85;
const OVERLOADED_ABOVE: f64 = 0.95;
const CLEARED_BELOW: f64 = 0.70;

/// How full a queue is, with hysteresis: it gets worse above a threshold and well only below a lower
/// one, so that a level hovering around a threshold is told once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Backpressure {
    #[default]
    Normal,
    Buffering,
    Overloaded,
}

impl Backpressure {
    /// The status to tell if this fill changes the state.
    pub(super) fn update(&mut self, fill_ratio: f64) -> Option<Status> {
        let next = self.next(fill_ratio);
        (core::mem::replace(self, next) != next).then(|| next.status())
    }

    fn next(self, fill_ratio: f64) -> Self {
        let reached = if fill_ratio > OVERLOADED_ABOVE {
            Self::Overloaded
        } else if fill_ratio > BUFFERING_ABOVE {
            Self::Buffering
        } else {
            Self::Normal
        };
        if fill_ratio < CLEARED_BELOW { Self::Normal } else { self.max(reached) }
    }

    fn status(self) -> Status {
        match self {
            Self::Normal => Status::new(StatusState::Streaming, "Backlog cleared"),
            Self::Buffering => Status::new(StatusState::Buffering, "More arrives than is processed"),
            Self::Overloaded => Status::new(StatusState::Overloaded, "The queue is full or nearly so"),
        }
    }
}
