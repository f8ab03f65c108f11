use std::sync::Arc;

use parking_lot::Mutex;
use tachograph_core::wire::{Event, EventKind, Receipt, rounded};

use crate::clock::unix_seconds;

/// Events that are kept until the next tick takes them; more are counted.
const EVENTS_MAX: usize = 4_000;

/// Bytes of the receipts that are kept until then, as JSON; events beyond go without theirs.
const RECEIPT_BYTES_MAX: usize = 256 * 1024;

/// What happened since the newest tick.
#[derive(Debug, Default)]
pub(crate) struct EventLog(Mutex<Held>);

#[derive(Debug, Default)]
struct Held {
    events: Vec<Event>,
    receipt_bytes: usize,
    dropped: u64,
}

/// What of an event there was room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    Whole,
    WithoutReceipt,
    Nothing,
}

impl EventLog {
    /// Something happened now; where a session ended, with its receipt.
    pub(crate) fn push(
        &self,
        session: Option<u64>,
        session_id: Option<&str>,
        kind: EventKind,
        receipt: Option<&Receipt>,
    ) -> Kept {
        let timestamp = rounded(unix_seconds(), 3);
        let written = receipt.and_then(|receipt| serde_json::to_value(receipt).ok());
        let bytes = written.as_ref().map_or(0, |written| written.to_string().len());
        let mut held = self.0.lock();
        if held.events.len() >= EVENTS_MAX {
            held.dropped += 1;
            return Kept::Nothing;
        }
        let written = written.filter(|_| held.receipt_bytes + bytes <= RECEIPT_BYTES_MAX);
        held.receipt_bytes += if written.is_some() { bytes } else { 0 };
        let kept = if written.is_some() == receipt.is_some() { Kept::Whole } else { Kept::WithoutReceipt };
        let session_id = session_id.map(Into::into);
        held.events.push(Event { timestamp, session, session_id, kind, receipt: written.map(Arc::new) });
        kept
    }

    /// What happened, and how much more did.
    pub(crate) fn take(&self) -> (Vec<Event>, u64) {
        let Held { events, dropped, .. } = std::mem::take(&mut *self.0.lock());
        (events, dropped)
    }
}

#[cfg(test)]
mod tests {
    use tachograph_core::session::Session;

    use super::*;

    #[test]
    fn what_there_is_no_room_for_is_counted() {
        let log = EventLog::default();
        let push = || log.push(Some(1), Some("call"), EventKind::SessionStarted, None);
        let room = (0..EVENTS_MAX + 3).filter(|_| push() == Kept::Whole).count();
        assert_eq!((room, push()), (EVENTS_MAX, Kept::Nothing));
        let (events, dropped) = log.take();
        assert_eq!((events.len(), dropped), (EVENTS_MAX, 4));
        assert_eq!(log.take(), (Vec::new(), 0));
    }

    #[test]
    fn receipts_are_kept_while_there_is_room_for_them() {
        let registry = tachograph_core::registry::Registry::new();
        let metrics = tachograph_core::registry::DefaultMetrics::register(&registry).unwrap();
        let now = tachograph_core::time::Moment::default();
        let mut session = Session::new(2, metrics, Default::default(), now);
        let receipt = session.end(Default::default(), Default::default(), now);
        let bytes = serde_json::to_string(&receipt).unwrap().len();
        let log = EventLog::default();
        let end = || log.push(Some(1), None, EventKind::SessionEnded, Some(&receipt));
        let room = (0..EVENTS_MAX).take_while(|_| end() == Kept::Whole).count();
        assert_eq!((room, end()), (RECEIPT_BYTES_MAX / bytes, Kept::WithoutReceipt));
        let (events, dropped) = log.take();
        assert_eq!((events.len(), dropped), (room + 2, 0), "the events themselves stay");
        let receipts = events.iter().filter_map(|event| event.receipt.as_deref());
        assert!(receipts.clone().all(|held| *held == serde_json::to_value(&receipt).unwrap()));
        assert_eq!((receipts.count(), end()), (room, Kept::Whole), "the next tick has room again");
    }
}
