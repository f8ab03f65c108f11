use parking_lot::Mutex;
use tachograph_core::wire::{Event, EventKind, rounded};

use crate::clock::unix_seconds;

/// Events that are kept until the next tick takes them; more are counted.
const EVENTS_MAX: usize = 4_000;

/// What happened since the newest tick.
#[derive(Debug, Default)]
pub(crate) struct EventLog(Mutex<Held>);

#[derive(Debug, Default)]
struct Held {
    events: Vec<Event>,
    dropped: u64,
}

impl EventLog {
    /// Something happened now. Returns whether there was room for it.
    pub(crate) fn push(&self, session: Option<u64>, session_id: Option<&str>, kind: EventKind) -> bool {
        let timestamp = rounded(unix_seconds(), 3);
        let mut held = self.0.lock();
        let has_room = held.events.len() < EVENTS_MAX;
        if has_room {
            held.events.push(Event { timestamp, session, session_id: session_id.map(Into::into), kind });
        } else {
            held.dropped += 1;
        }
        has_room
    }

    /// What happened, and how much more did.
    pub(super) fn take(&self) -> (Vec<Event>, u64) {
        let Held { events, dropped } = std::mem::take(&mut *self.0.lock());
        (events, dropped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_there_is_no_room_for_is_counted() {
        let log = EventLog::default();
        let room = (0..EVENTS_MAX + 3).filter(|_| log.push(Some(1), Some("call"), EventKind::SessionStarted)).count();
        assert_eq!(room, EVENTS_MAX);
        let (events, dropped) = log.take();
        assert_eq!((events.len(), dropped), (EVENTS_MAX, 3));
        assert_eq!(log.take(), (Vec::new(), 0));
    }
}
