use std::collections::VecDeque;

use tachograph_core::wire::{Event, EventKind, SourceName, StatusState};

use super::{SessionKey, Severity};

/// The events that are kept.
const EVENTS_MAX: usize = 2_000;

/// What happened lately, oldest first.
#[derive(Clone, Debug, Default)]
pub struct Events {
    held: VecDeque<Noted>,
    numbers_given: u64,
    let_go: u64,
    dropped: u64,
}

/// Something that happened.
#[derive(Clone, Debug)]
pub struct Noted {
    /// The page's own number for it.
    pub number: u64,
    /// Unix seconds.
    pub timestamp: f64,
    /// What it was.
    pub what: Happening,
    /// The session it happened to.
    pub key: Option<SessionKey>,
    /// The row of the frame that told it.
    pub row: u64,
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Happening {
    /// What the server told.
    Told(Event),
    /// The server was started anew.
    Restarted,
}

impl Events {
    /// Takes what a frame told, which can be older than others.
    pub(super) fn take(&mut self, row: u64, tag: u32, events: &[Event], dropped: u64) {
        self.dropped = self.dropped.saturating_add(dropped);
        for event in events {
            let key = event.session.map(|id| SessionKey { tag, id });
            self.insert(row, event.timestamp, key, Happening::Told(event.clone()));
        }
    }

    /// Adds an event behind those of the same row.
    pub(super) fn add(&mut self, row: u64, timestamp: f64, what: Happening) {
        self.insert(row, timestamp, None, what);
    }

    fn insert(&mut self, row: u64, timestamp: f64, key: Option<SessionKey>, what: Happening) {
        self.numbers_given += 1;
        let place = self.held.partition_point(|noted| noted.row <= row);
        self.held.insert(place, Noted { number: self.numbers_given, timestamp, what, key, row });
        if self.held.len() > EVENTS_MAX {
            self.held.pop_front();
            self.let_go += 1;
        }
    }

    /// Those that are kept, newest first.
    pub fn newest(&self) -> impl ExactSizeIterator<Item = &Noted> {
        self.held.iter().rev()
    }

    /// When a source of a session came into the trouble that it is in, in Unix seconds: its first event that
    /// was no good news after the last that was, up to a row.
    pub fn since(&self, key: SessionKey, source: Option<SourceName>, row: u64) -> Option<f64> {
        let is_its = |noted: &&Noted| noted.source().is_none() || noted.source() == source;
        let told = self.held.iter().rev().filter(|noted| noted.key == Some(key) && noted.row <= row).filter(is_its);
        told.take_while(|noted| noted.severity() > Severity::Well).last().map(|noted| noted.timestamp)
    }

    /// Those that are kept, oldest first.
    pub fn oldest(&self) -> impl ExactSizeIterator<Item = &Noted> {
        self.held.iter()
    }

    /// Those that are not kept any more.
    pub fn let_go(&self) -> u64 {
        self.let_go
    }

    /// Those that the server had no room for.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }
}

impl Noted {
    /// What happened, in a word of the machine's.
    pub fn key(&self) -> &'static str {
        match self.told().map(|event| &event.kind) {
            None => "restarted",
            Some(EventKind::SessionStarted) => "session_started",
            Some(EventKind::SessionEnded) => "session_ended",
            Some(EventKind::Status(_)) => "status",
            Some(EventKind::Fault(_)) => "fault",
            Some(EventKind::CollectorRestarted) => "collector_restarted",
            Some(_) => "other",
        }
    }

    /// Whom it happened to.
    pub fn session(&self) -> String {
        match self.told().map(|event| (&event.session_id, event.session)) {
            Some((Some(name), _)) => name.clone(),
            Some((None, Some(id))) => format!("session {id}"),
            _ => "server".into(),
        }
    }

    /// The source it happened to.
    pub fn source(&self) -> Option<SourceName> {
        match &self.told()?.kind {
            EventKind::Status(status) => status.source,
            _ => None,
        }
    }

    /// What happened, for a person.
    pub fn words(&self) -> String {
        match self.told().map(|event| &event.kind) {
            None => "The server was started anew; all counts began again".into(),
            Some(EventKind::SessionStarted) => "Session began".into(),
            Some(EventKind::SessionEnded) => "Session ended".into(),
            Some(EventKind::Status(status)) => capitalized(&status.message),
            Some(EventKind::Fault(fault)) => capitalized(&fault.message),
            Some(EventKind::CollectorRestarted) => "The server's collector failed and was started again".into(),
            Some(_) => "Something that this page does not know; reload it".into(),
        }
    }

    /// How bad it is.
    pub fn severity(&self) -> Severity {
        let Some(event) = self.told() else { return Severity::Caution };
        match &event.kind {
            EventKind::Status(status) => match status.state {
                StatusState::Connected | StatusState::Streaming => Severity::Well,
                StatusState::Error | StatusState::Backpressure => Severity::Alarm,
                _ => Severity::Caution,
            },
            EventKind::Fault(_) | EventKind::CollectorRestarted => Severity::Alarm,
            _ => Severity::Well,
        }
    }

    /// A session's receipt, where this is its end.
    pub fn receipt(&self) -> Option<&serde_json::Value> {
        self.told()?.receipt.as_deref()
    }

    fn told(&self) -> Option<&Event> {
        match &self.what {
            Happening::Told(event) => Some(event),
            Happening::Restarted => None,
        }
    }
}

fn capitalized(text: &str) -> String {
    let mut words = String::from(text);
    if let Some(first) = words.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    words
}

#[cfg(test)]
mod tests {
    use tachograph_core::wire::{ErrorCode, ErrorMessage, Status};

    use super::super::samples::{event, source_name};
    use super::*;

    fn noted(kind: EventKind) -> Noted {
        let mut events = Events::default();
        events.take(1, 0, &[event(kind)], 0);
        events.newest().next().unwrap().clone()
    }

    #[test]
    fn the_newest_are_kept_and_the_others_counted() {
        let mut events = Events::default();
        let told = vec![event(EventKind::SessionStarted); EVENTS_MAX + 3];
        events.take(1, 0, &told, 2);
        assert_eq!((events.newest().len(), events.let_go(), events.dropped()), (EVENTS_MAX, 3, 2));
        assert_eq!(events.newest().next().map(|noted| noted.number), Some(EVENTS_MAX as u64 + 3));
        assert_eq!(events.oldest().next().map(|noted| noted.number), Some(4));
    }

    #[test]
    fn what_a_filled_frame_told_stands_in_its_place() {
        let mut events = Events::default();
        for row in [1, 3, 2] {
            events.take(row, 0, &[event(EventKind::SessionStarted)], 0);
        }
        let rows: Vec<u64> = events.newest().map(|noted| noted.row).collect();
        assert_eq!(rows, [3, 2, 1]);
    }

    #[test]
    fn events_are_told_in_words() {
        let status = Status { source: Some(source_name("mic")), ..Status::new(StatusState::Backpressure, "dropped") };
        let status = noted(EventKind::Status(status));
        assert_eq!((status.words().as_str(), status.severity()), ("Dropped", Severity::Alarm));
        assert_eq!((status.source(), status.key()), (Some(source_name("mic")), "status"));
        let fault = ErrorMessage { code: ErrorCode::Internal, message: "it failed".into(), fatal: true };
        assert_eq!(noted(EventKind::Fault(fault)).words(), "It failed");
        assert_eq!(noted(EventKind::SessionStarted).severity(), Severity::Well);
    }

    #[test]
    fn whom_it_happened_to_has_a_name() {
        let named = |session, session_id: Option<&str>| {
            let mut noted = noted(EventKind::SessionEnded);
            let Happening::Told(event) = &mut noted.what else { panic!("not told") };
            (event.session, event.session_id) = (session, session_id.map(Into::into));
            noted.session()
        };
        assert_eq!(named(Some(3), Some("talk")), "talk");
        assert_eq!(named(Some(3), None), "session 3");
        assert_eq!(named(None, None), "server");
    }
}
