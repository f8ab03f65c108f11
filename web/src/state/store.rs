use core::time::Duration;

use tachograph_core::time::Moment;
use tachograph_core::wire::frame::{Arrival, Epoch, State};
use tachograph_core::wire::{ServerState, SessionState};

use super::history::Histories;
use super::{
    Attention, Columns, Events, Happening, Panel, RowKey, Session, SessionKey, SourceView, Trouble, Untracked,
    troubles, worst,
};

/// The sessions followed at once, ended ones included.
const SESSIONS_MAX: usize = 250;
/// How long an ended session stays in sight, in ms.
const ENDED_KEPT_MS: u64 = 30_000;

/// All that the page knows. What arrives goes in, everything shown comes out.
///
/// Each frame is [taken](Self::take) into the columns; only of the newest one of a message is made what
/// is [shown](Self::show) of it.
#[derive(Debug, Default)]
pub struct Store {
    epoch: Epoch,
    version: String,
    columns: Columns,
    histories: Histories,
    events: Events,
    skipped: u64,
    /// What is shown, and how often it was made.
    shown: u64,
    head: Option<Head>,
    sessions: Vec<Session>,
    untracked: Untracked,
    panel: Panel,
}

/// What the shown frame says of itself and its server.
#[derive(Clone, Debug, PartialEq)]
pub struct Head {
    /// The server's start.
    pub epoch: Epoch,
    /// The frame's number.
    pub seq: u64,
    /// The server's tick.
    pub tick: u64,
    /// Unix seconds at the frame's tick.
    pub timestamp: f64,
    /// When it arrived here.
    pub received: Moment,
    /// What the server says of itself.
    pub server: ServerState,
}

impl Store {
    /// Takes what arrived. Returns whether it was a frame.
    pub fn take(&mut self, arrival: Arrival<'_>) -> bool {
        match arrival {
            Arrival::Hello(hello) => {
                (self.epoch, self.version) = (hello.epoch, hello.server_version.clone());
                false
            }
            Arrival::Newest(state) => self.take_newest(state),
            Arrival::Fills(state) => self.fill(state),
            // What was skipped is a hole before the next frame.
            Arrival::Skipped(_) => false,
        }
    }

    /// Shows the newest frame, which was taken, as of `now`.
    pub fn show(&mut self, state: &State, now: Moment) {
        let wall_ms = state.head().wall_ms;
        let timestamp = wall_ms as f64 / 1_000.0;
        self.panel = Panel::of(&state.registry(), &self.columns);
        self.follow(state, timestamp, wall_ms);
        self.head = Some(Head {
            epoch: self.epoch,
            seq: state.head().seq,
            tick: state.head().tick,
            timestamp,
            received: now,
            server: state.server_state(&self.version),
        });
        self.shown += 1;
    }

    /// How often something new was shown.
    pub fn shown(&self) -> u64 {
        self.shown
    }

    /// The shown frame, if one came.
    pub fn head(&self) -> Option<&Head> {
        self.head.as_ref()
    }

    /// How old the shown figures are.
    pub fn age(&self, now: Moment) -> Duration {
        self.head.as_ref().map_or(Duration::ZERO, |head| now.since(head.received))
    }

    /// What all series recorded in the last minutes.
    pub fn columns(&self) -> &Columns {
        &self.columns
    }

    /// The registry of the shown frame.
    pub fn panel(&self) -> &Panel {
        &self.panel
    }

    /// What happened lately.
    pub fn events(&self) -> &Events {
        &self.events
    }

    /// Frames of the server that the page did not get, or not yet.
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// Server starts seen after the first one.
    pub fn restarts(&self) -> u64 {
        u64::from(self.columns.ticks().starts().saturating_sub(1))
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
    pub fn session(&self, key: SessionKey) -> Option<&Session> {
        let place = self.place(key).ok()?;
        self.sessions.get(place)
    }

    /// One row.
    pub fn source(&self, key: RowKey) -> Option<SourceView<'_>> {
        let session = self.session(key.session)?;
        let metrics = session.metrics(key.source)?;
        let history = self.histories.of(key, self.columns.ticks(), !session.is_live())?;
        Some(SourceView { metrics, history })
    }

    /// Live sessions and their sources, followed or not.
    pub fn live_counts(&self) -> (usize, usize) {
        let live = || self.sessions.iter().filter(|session| session.is_live());
        let sources: usize = live().map(|session| session.state.sources.len()).sum();
        (live().count() + self.untracked.sessions, sources + self.untracked.sources)
    }

    /// The followed sources that need attention, in the table's order.
    pub fn attention(&self) -> Vec<Attention> {
        let timestamp = self.head.as_ref().map_or(0.0, |head| head.timestamp);
        let live = self.sessions.iter().filter(|session| session.is_live());
        let sources = live.flat_map(|session| session.state.sources.iter().map(move |metrics| (session, metrics)));
        let found = sources.filter_map(|(session, metrics)| {
            let trouble = worst(&troubles(metrics, timestamp))?;
            let key = RowKey { session: session.key, source: metrics.source };
            Some(Attention { key, session: session.name().into(), trouble })
        });
        found.collect()
    }

    /// What is wrong with a row; nothing is with one that ended.
    pub fn troubles(&self, key: RowKey) -> Vec<Trouble> {
        let live = self.session(key.session).filter(|session| session.is_live());
        let metrics = live.and_then(|session| session.metrics(key.source)).zip(self.head.as_ref());
        metrics.map(|(metrics, head)| troubles(metrics, head.timestamp)).unwrap_or_default()
    }

    fn take_newest(&mut self, state: &State) -> bool {
        let (starts, newest) = (self.columns.ticks().starts(), self.columns.ticks().newest());
        let Some(row) = self.columns.take(self.epoch, state) else { return false };
        self.skipped = self.skipped.saturating_add(row - newest - 1);
        if starts > 0 && self.columns.ticks().starts() > starts {
            self.events.add(row, state.head().wall_ms as f64 / 1_000.0, Happening::Restarted);
        }
        self.record(row, state);
        true
    }

    fn fill(&mut self, state: &State) -> bool {
        let Some(row) = self.columns.take(self.epoch, state) else { return false };
        self.skipped = self.skipped.saturating_sub(1);
        self.record(row, state);
        true
    }

    fn record(&mut self, row: u64, state: &State) {
        self.events.take(row, state.events(), state.events_dropped());
        let start = self.columns.ticks().starts();
        self.histories.advance(self.columns.ticks().newest());
        for session in state.sessions() {
            let session_key = SessionKey { start, id: session.id };
            for metrics in session.sources.iter().take(Untracked::SOURCES_MAX) {
                self.histories.record(RowKey { session: session_key, source: metrics.source }, row, metrics);
            }
        }
    }

    /// Brings the followed sessions to the state of a frame.
    fn follow(&mut self, state: &State, timestamp: f64, wall_ms: u64) {
        let start = self.columns.ticks().starts();
        self.untracked = Untracked::default();
        let mut seen = vec![false; self.sessions.len()];
        let (mut newcomers, mut live) = (Vec::new(), Vec::new());
        for mut state in state.sessions() {
            live.push(state.id);
            self.untracked.trim(&mut state, timestamp);
            match self.place(SessionKey { start, id: state.id }) {
                Ok(place) => {
                    seen[place] = true;
                    (self.sessions[place].state, self.sessions[place].ended) = (state, None);
                }
                Err(_) => newcomers.push(state),
            }
        }
        for (session, _) in self.sessions.iter_mut().zip(seen).filter(|(_, seen)| !seen) {
            session.ended.get_or_insert(wall_ms);
        }
        self.forget(newcomers.len(), wall_ms);
        for state in newcomers {
            self.admit(start, state, timestamp);
        }
        let is_live = |key: SessionKey| key.start == start && live.binary_search(&key.id).is_ok();
        let sessions = &self.sessions;
        let is_followed = |key| sessions.binary_search_by_key(&key, |session| session.key).is_ok();
        self.histories.retain(|key| is_live(key.session) || is_followed(key.session));
    }

    fn place(&self, key: SessionKey) -> Result<usize, usize> {
        self.sessions.binary_search_by_key(&key, |session| session.key)
    }

    /// Lets ended sessions go: those that were shown long enough, and the oldest where room is needed.
    fn forget(&mut self, newcomers: usize, wall_ms: u64) {
        let expired = |ended: u64| wall_ms.saturating_sub(ended) >= ENDED_KEPT_MS;
        self.sessions.retain(|session| !session.ended.is_some_and(expired));
        let mut excess = (self.sessions.len() + newcomers).saturating_sub(SESSIONS_MAX);
        self.sessions.retain(|session| {
            let goes = excess > 0 && !session.is_live();
            excess -= usize::from(goes);
            !goes
        });
    }

    fn admit(&mut self, start: u32, state: SessionState, timestamp: f64) {
        if self.sessions.len() >= SESSIONS_MAX {
            return self.untracked.add(&state, timestamp);
        }
        let session = Session::new(start, state);
        if let Err(place) = self.place(session.key) {
            self.sessions.insert(place, session);
        }
    }
}

#[cfg(test)]
mod tests {
    use tachograph_core::wire::EventKind;
    use tachograph_core::wire::frame::{Hello, Outcome};

    use super::super::samples::{Sample, TIMESTAMP, epoch, event, session, sessions};
    use super::super::{Column, HISTORY_TICKS, Mark};
    use super::*;

    fn at(second: u64) -> Moment {
        Moment::from_millis(1_000 * (second + 1))
    }

    fn connected(store: &mut Store, start: u8) {
        let hello =
            Hello { epoch: epoch(start), server_version: "0.1.0".into(), outcome: Outcome::Fresh, first_seq: 1 };
        store.take(Arrival::Hello(&hello));
    }

    fn show(store: &mut Store, state: &State) {
        assert!(store.take(Arrival::Newest(state)));
        store.show(state, at(state.head().seq));
    }

    /// A store that shows these frames, with one session.
    fn after(seqs: &[u64]) -> Store {
        let mut store = Store::default();
        connected(&mut store, 1);
        let states = Sample::new().states(*seqs.iter().max().unwrap(), &sessions(&[7]));
        seqs.iter().for_each(|seq| show(&mut store, &states[*seq as usize - 1]));
        store
    }

    fn names(store: &Store) -> Vec<(&str, bool)> {
        store.sessions().iter().map(|session| (session.name(), session.is_live())).collect()
    }

    /// The places of the first session's ticks, the newest being 0.
    fn ages(store: &Store) -> Vec<usize> {
        let session = &store.sessions()[0];
        let source = store.source(RowKey { session: session.key, source: session.state.sources[0].source }).unwrap();
        source.history.values(Column::Fill).map(|(place, _)| HISTORY_TICKS - 1 - place).collect()
    }

    #[test]
    fn frames_that_were_not_received_are_counted_and_stay_gaps_until_they_come() {
        let mut store = after(&[1, 2, 5]);
        assert_eq!((store.skipped(), ages(&store)), (2, vec![4, 3, 0]));
        let states = Sample::new().states(4, &sessions(&[7]));
        assert!(store.take(Arrival::Fills(&states[3])));
        assert!(!store.take(Arrival::Fills(&states[3])), "it is there");
        assert_eq!((store.skipped(), ages(&store)), (1, vec![4, 3, 1, 0]));
        assert_eq!(store.head().map(|head| head.seq), Some(5));
    }

    #[test]
    fn another_epoch_ends_all_sessions_and_is_marked() {
        let mut store = after(&[1, 2]);
        connected(&mut store, 2);
        show(&mut store, &Sample::new().next(&sessions(&[7])));
        assert_eq!(names(&store), [("s7", false), ("s7", true)]);
        assert_eq!((store.restarts(), store.skipped()), (1, 0));
        assert_eq!(store.columns().ticks().mark(3), Mark::Restart);
        assert_eq!(store.events().newest().next().map(|noted| &noted.what), Some(&Happening::Restarted));
        let family = store.panel().family("audio_bytes_received").unwrap();
        assert!(family.series.iter().all(|series| series.rate.is_none()));
        assert_eq!(ages(&store), [1, 0], "the line of what ended stays where it was");
    }

    #[test]
    fn an_ended_session_stays_in_its_place_for_a_while() {
        let mut store = Store::default();
        connected(&mut store, 1);
        let mut server = Sample::new();
        show(&mut store, &server.next(&sessions(&[1, 2])));
        show(&mut store, &server.next(&sessions(&[2, 3])));
        assert_eq!(names(&store), [("s1", false), ("s2", true), ("s3", true)]);
        let states = server.states(30, &sessions(&[2, 3]));
        states[..29].iter().for_each(|state| show(&mut store, state));
        assert_eq!(store.sessions().len(), 3);
        show(&mut store, &states[29]);
        assert_eq!(names(&store), [("s2", true), ("s3", true)]);
        assert!(store.histories.of(key(1), store.columns.ticks(), true).is_none());
    }

    fn key(id: u64) -> RowKey {
        RowKey { session: SessionKey { start: 1, id }, source: super::super::samples::source_name("mic") }
    }

    #[test]
    fn sessions_of_one_name_are_kept_apart() {
        let mut store = Store::default();
        connected(&mut store, 1);
        let twins = [session(1, "a", &["mic"]), session(2, "a", &["mic"])];
        Sample::new().states(2, &twins).iter().for_each(|state| show(&mut store, state));
        assert_eq!(names(&store), [("a", true), ("a", true)]);
        assert_eq!(store.source(key(2)).unwrap().history.values(Column::Fill).count(), 2);
    }

    #[test]
    fn frames_that_are_not_shown_are_history_all_the_same() {
        let mut store = Store::default();
        connected(&mut store, 1);
        let mut server = Sample::new();
        let mut states = server.states(5, &sessions(&[1]));
        states.extend(server.states(20, &sessions(&[2])));
        for state in &states {
            store.take(Arrival::Newest(state));
        }
        store.show(&states[24], at(25));
        assert_eq!(names(&store), [("s2", true)], "what ended before is not told of");
        assert_eq!(ages(&store), (0..20).rev().collect::<Vec<_>>());
        assert_eq!(store.panel().family("audio_bytes_received").unwrap().series[0].rate, Some(32_000.0));
    }

    #[test]
    fn what_is_beyond_the_bound_is_counted() {
        let many: Vec<u64> = (1..=SESSIONS_MAX as u64 + 5).collect();
        let mut store = Store::default();
        connected(&mut store, 1);
        for state in Sample::new().states(2, &sessions(&many)) {
            show(&mut store, &state);
            assert_eq!(store.sessions().len(), SESSIONS_MAX);
            assert_eq!(store.untracked(), Untracked { sessions: 5, sources: 5, in_trouble: 0 });
            assert_eq!(store.live_counts(), (SESSIONS_MAX + 5, SESSIONS_MAX + 5));
        }
    }

    #[test]
    fn ended_sessions_make_room() {
        let many: Vec<u64> = (1..=SESSIONS_MAX as u64).collect();
        let mut store = Store::default();
        connected(&mut store, 1);
        let mut server = Sample::new();
        show(&mut store, &server.next(&sessions(&many)));
        show(&mut store, &server.next(&sessions(&[1_000])));
        assert_eq!(store.sessions().len(), SESSIONS_MAX);
        assert_eq!(names(&store).last(), Some(&("s1000", true)));
    }

    #[test]
    fn sources_in_trouble_are_named_with_their_row() {
        let mut troubled = sessions(&[1, 2]);
        troubled[1].sources[0].dropped_chunks_last_10s = 3;
        troubled[1].sources[0].timestamp = TIMESTAMP + 1.0;
        let mut store = Store::default();
        connected(&mut store, 1);
        show(&mut store, &Sample::new().next(&troubled));
        let attention = store.attention();
        assert_eq!(attention.len(), 1);
        assert_eq!(attention[0].session, "s2");
        assert!(store.source(attention[0].key).is_some());
    }

    #[test]
    fn events_of_every_frame_are_kept() {
        let mut store = Store::default();
        connected(&mut store, 1);
        let mut server = Sample::new();
        for _ in 0..3 {
            server.events = vec![event(EventKind::SessionStarted)];
            assert!(store.take(Arrival::Newest(&server.next(&[]))));
        }
        assert_eq!(store.events().newest().len(), 3);
    }
}
