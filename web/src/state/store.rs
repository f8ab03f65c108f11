use core::time::Duration;

use tachograph_core::time::Moment;
use tachograph_core::wire::{ServerState, SessionState, SourceName, StreamFrame};

use super::{Attention, Panel, Session, SourceView, Trouble, Untracked, troubles, worst};

/// The sessions followed at once, ended ones included.
const SESSIONS_MAX: usize = 250;
/// How long an ended session stays in sight.
const ENDED_KEPT: Duration = Duration::from_secs(30);

/// All that the page knows. One frame after another goes in; everything shown comes out.
#[derive(Clone, Debug, Default)]
pub struct Store {
    frames: u64,
    head: Option<Head>,
    sessions: Vec<Session>,
    ids_given: u64,
    untracked: Untracked,
    panel: Panel,
    skipped: u64,
    restarts: u64,
}

/// What the shown frame says of itself and its server.
#[derive(Clone, Debug, PartialEq)]
pub struct Head {
    /// The server's start.
    pub epoch: String,
    /// The frame's number.
    pub seq: u64,
    /// Unix seconds at the frame's tick.
    pub timestamp: f64,
    /// When it arrived here.
    pub received: Moment,
    /// What the server says of itself.
    pub server: ServerState,
}

/// A row of the table: a source of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RowKey {
    /// The session, by the page's own number.
    pub session: u64,
    /// The source.
    pub source: SourceName,
}

impl RowKey {
    /// The row's name as a place in the page.
    pub fn anchor(&self) -> String {
        format!("row-{}-{}", self.session, self.source)
    }
}

impl Store {
    /// Takes a frame that arrived at `now`. Returns whether it was news: a server sends its latest
    /// frame on every connect, so after a short break the same one comes twice.
    pub fn take(&mut self, frame: StreamFrame, now: Moment) -> bool {
        let StreamFrame { epoch, seq, timestamp, server, registry, sessions } = frame;
        let before = self.head.take();
        let same_start = before.as_ref().filter(|head| head.epoch == epoch);
        if same_start.is_some_and(|head| head.seq >= seq) {
            self.head = before;
            return false;
        }
        if before.is_some() && same_start.is_none() {
            self.restart(now);
        }
        let skipped = same_start.map_or(0, |head| seq - head.seq - 1);
        let elapsed = same_start.map(|head| timestamp - head.timestamp).filter(|span| *span > 0.0);
        self.skipped = self.skipped.saturating_add(skipped);
        self.panel = self.panel.next(registry.into_owned(), elapsed);
        self.follow(sessions, skipped, timestamp, now);
        self.frames += 1;
        self.head = Some(Head { epoch, seq, timestamp, received: now, server });
        true
    }

    /// Frames taken.
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// The shown frame, if one came.
    pub fn head(&self) -> Option<&Head> {
        self.head.as_ref()
    }

    /// How old the shown figures are.
    pub fn age(&self, now: Moment) -> Duration {
        self.head.as_ref().map_or(Duration::ZERO, |head| now.since(head.received))
    }

    /// The registry of the shown frame.
    pub fn panel(&self) -> &Panel {
        &self.panel
    }

    /// Ticks of the server that the page did not get, while the server ran on.
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// Server starts seen after the first one.
    pub fn restarts(&self) -> u64 {
        self.restarts
    }

    /// What is not followed.
    pub fn untracked(&self) -> Untracked {
        self.untracked
    }

    /// The sessions followed, oldest first, ended ones in their places.
    pub fn sessions(&self) -> &[Session] {
        &self.sessions
    }

    /// One session.
    pub fn session(&self, id: u64) -> Option<&Session> {
        let index = self.sessions.binary_search_by_key(&id, |session| session.id).ok()?;
        self.sessions.get(index)
    }

    /// One row.
    pub fn source(&self, key: RowKey) -> Option<SourceView<'_>> {
        self.session(key.session)?.source(key.source)
    }

    /// Live sessions and their sources, followed or not.
    pub fn live_counts(&self) -> (usize, usize) {
        let live = || self.sessions.iter().filter(|session| session.ended.is_none());
        let sources: usize = live().map(|session| session.state.sources.len()).sum();
        (live().count() + self.untracked.sessions, sources + self.untracked.sources)
    }

    /// The followed sources that need attention, in the table's order.
    pub fn attention(&self) -> Vec<Attention> {
        let timestamp = self.head.as_ref().map_or(0.0, |head| head.timestamp);
        let live = self.sessions.iter().filter(|session| session.ended.is_none());
        let sources = live.flat_map(|session| session.state.sources.iter().map(move |metrics| (session, metrics)));
        let found = sources.filter_map(|(session, metrics)| {
            let trouble = worst(&troubles(metrics, timestamp))?;
            let key = RowKey { session: session.id, source: metrics.source };
            Some(Attention { key, session: session.name().into(), trouble })
        });
        found.collect()
    }

    /// What is wrong with a row; nothing is with one that ended.
    pub fn troubles(&self, key: RowKey) -> Vec<Trouble> {
        let live = self.session(key.session).filter(|session| session.ended.is_none());
        let source = live.and_then(|session| session.source(key.source)).zip(self.head.as_ref());
        source.map(|(source, head)| troubles(source.metrics, head.timestamp)).unwrap_or_default()
    }

    /// Another server start: its sessions are new ones and its counters began anew.
    fn restart(&mut self, now: Moment) {
        self.restarts += 1;
        self.panel = Panel::default();
        for session in &mut self.sessions {
            session.end(now);
        }
    }

    /// Brings the followed sessions to the state of a frame.
    fn follow(&mut self, states: Vec<SessionState>, skipped: u64, timestamp: f64, now: Moment) {
        self.untracked = Untracked::default();
        let mut seen = vec![false; self.sessions.len()];
        let (mut newcomers, mut cursor) = (Vec::new(), 0);
        for mut state in states {
            self.untracked.trim(&mut state, timestamp);
            let Some(index) = self.position(&state, &seen, cursor) else {
                newcomers.push(state);
                continue;
            };
            (seen[index], cursor) = (true, index + 1);
            self.sessions[index].advance(state, skipped);
        }
        self.end_unseen(&seen, now);
        self.forget(newcomers.len(), now);
        for state in newcomers {
            self.admit(state, timestamp);
        }
    }

    /// The followed session that `state` continues. Frames keep their order, so it is mostly the next one.
    fn position(&self, state: &SessionState, seen: &[bool], cursor: usize) -> Option<usize> {
        let mut from_cursor = (cursor..seen.len()).chain(0..cursor);
        from_cursor.find(|index| !seen[*index] && self.sessions[*index].continues_as(state))
    }

    fn end_unseen(&mut self, seen: &[bool], now: Moment) {
        for (session, _) in self.sessions.iter_mut().zip(seen).filter(|(_, seen)| !**seen) {
            session.end(now);
        }
    }

    /// Lets ended sessions go: those that were shown long enough, and the oldest where room is needed.
    fn forget(&mut self, newcomers: usize, now: Moment) {
        let expired = |ended: Moment| now.since(ended) >= ENDED_KEPT;
        self.sessions.retain(|session| !session.ended.is_some_and(expired));
        let mut excess = (self.sessions.len() + newcomers).saturating_sub(SESSIONS_MAX);
        self.sessions.retain(|session| {
            let goes = excess > 0 && session.ended.is_some();
            excess -= usize::from(goes);
            !goes
        });
    }

    fn admit(&mut self, state: SessionState, timestamp: f64) {
        if self.sessions.len() >= SESSIONS_MAX {
            return self.untracked.add(&state, timestamp);
        }
        self.ids_given += 1;
        self.sessions.push(Session::new(self.ids_given, state));
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{TIMESTAMP, frame};
    use super::*;

    const START: Moment = Moment::from_millis(1_000);

    fn at(second: u64) -> Moment {
        START + Duration::from_secs(second)
    }

    /// A store that took frames of these numbers, each at its own second, with one session.
    fn after(seqs: &[u64]) -> Store {
        let mut store = Store::default();
        for seq in seqs {
            assert!(store.take(frame("e", *seq, &["a"]), at(*seq)));
        }
        store
    }

    fn names(store: &Store) -> Vec<(&str, bool)> {
        store.sessions().iter().map(|session| (session.name(), session.ended.is_some())).collect()
    }

    fn gaps(store: &Store) -> Vec<bool> {
        let session = &store.sessions()[0];
        let source = session.source(session.state.sources[0].source).unwrap();
        source.history.ticks().map(|tick| tick.is_none()).collect()
    }

    #[test]
    fn skipped_ticks_are_counted_and_stay_gaps() {
        let store = after(&[1, 2, 5]);
        assert_eq!(store.skipped(), 2);
        assert_eq!(gaps(&store), [false, false, true, true, false]);
    }

    #[test]
    fn the_same_frame_again_is_no_news() {
        let mut store = after(&[1, 2]);
        assert!(!store.take(frame("e", 2, &["a"]), at(9)));
        assert!(!store.take(frame("e", 1, &["a"]), at(9)));
        assert_eq!(store.head().unwrap().received, at(2));
        assert_eq!(gaps(&store).len(), 2);
    }

    #[test]
    fn another_epoch_ends_all_sessions_and_begins_all_counts_anew() {
        let mut store = after(&[7, 8]);
        assert!(store.take(frame("f", 1, &["a"]), at(20)));
        assert_eq!(names(&store), [("a", true), ("a", false)]);
        assert_eq!((store.restarts(), store.skipped()), (1, 0));
        let family = store.panel().family("audio_bytes_received").unwrap();
        assert!(family.series.iter().all(|series| series.rate.is_none()));
    }

    #[test]
    fn an_ended_session_stays_in_its_place_for_a_while() {
        let mut store = Store::default();
        store.take(frame("e", 1, &["a", "b"]), at(1));
        store.take(frame("e", 2, &["b", "c"]), at(2));
        assert_eq!(names(&store), [("a", true), ("b", false), ("c", false)]);
        store.take(frame("e", 31, &["b", "c"]), at(31));
        assert_eq!(store.sessions().len(), 3);
        store.take(frame("e", 32, &["b", "c"]), at(32));
        assert_eq!(names(&store), [("b", false), ("c", false)]);
    }

    #[test]
    fn sessions_of_one_name_are_kept_apart() {
        let mut store = Store::default();
        store.take(frame("e", 1, &["a", "a"]), at(1));
        store.take(frame("e", 2, &["a", "a"]), at(2));
        assert_eq!(names(&store), [("a", false), ("a", false)]);
        let second = RowKey { session: store.sessions()[1].id, source: store.sessions()[1].state.sources[0].source };
        assert_eq!(store.source(second).unwrap().history.ticks().len(), 2);
    }

    #[test]
    fn what_is_beyond_the_bound_is_counted() {
        let many: Vec<String> = (0..SESSIONS_MAX + 5).map(|number| format!("s{number}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let mut store = Store::default();
        for seq in 1..=2 {
            store.take(frame("e", seq, &many), at(seq));
            assert_eq!(store.sessions().len(), SESSIONS_MAX);
            assert_eq!(store.untracked(), Untracked { sessions: 5, sources: 5, in_trouble: 0 });
            assert_eq!(store.live_counts(), (SESSIONS_MAX + 5, SESSIONS_MAX + 5));
        }
    }

    #[test]
    fn ended_sessions_make_room() {
        let many: Vec<String> = (0..SESSIONS_MAX).map(|number| format!("s{number}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let mut store = Store::default();
        store.take(frame("e", 1, &many), at(1));
        store.take(frame("e", 2, &["new"]), at(2));
        assert_eq!(store.sessions().len(), SESSIONS_MAX);
        assert_eq!(names(&store).last(), Some(&("new", false)));
    }

    #[test]
    fn sources_in_trouble_are_named_with_their_row() {
        let mut troubled = frame("e", 1, &["a", "b"]);
        troubled.sessions[1].sources[0].dropped_chunks_last_10s = 3;
        troubled.sessions[1].sources[0].timestamp = TIMESTAMP + 1.0;
        let mut store = Store::default();
        store.take(troubled, at(1));
        let attention = store.attention();
        assert_eq!(attention.len(), 1);
        assert_eq!(attention[0].session, "b");
        assert!(store.source(attention[0].key).is_some());
    }
}
