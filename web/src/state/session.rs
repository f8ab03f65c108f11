use tachograph_core::time::Moment;
use tachograph_core::wire::{Identity, Metrics, SessionState, SourceName};

use super::{History, Sample};

/// A session that the page follows, live or just ended.
#[derive(Clone, Debug)]
pub struct Session {
    /// The page's own number for it: what a client calls itself need not be unique.
    pub id: u64,
    /// Its newest state.
    pub state: SessionState,
    /// When it was first missing from a frame.
    pub ended: Option<Moment>,
    histories: Vec<(SourceName, History)>,
}

/// One source of a session.
#[derive(Clone, Copy, Debug)]
pub struct SourceView<'a> {
    /// Its figures.
    pub metrics: &'a Metrics,
    /// Its last minutes.
    pub history: &'a History,
}

impl Session {
    /// Follows a session from this state on.
    pub fn new(id: u64, state: SessionState) -> Self {
        let mut session = Self { id, state, ended: None, histories: Vec::new() };
        session.record(0);
        session
    }

    /// Whether `state` can be the next one of this session: the same identity, and not younger.
    pub fn continues_as(&self, state: &SessionState) -> bool {
        self.ended.is_none() && self.state.identity == state.identity && self.state.age_seconds <= state.age_seconds
    }

    /// Takes its next state, after so many ticks that were not received.
    pub fn advance(&mut self, state: SessionState, skipped: u64) {
        self.state = state;
        self.record(skipped);
    }

    /// Notes that a frame came without it.
    pub fn end(&mut self, now: Moment) {
        self.ended.get_or_insert(now);
    }

    /// What to call it.
    pub fn name(&self) -> &str {
        let Identity { session_id, connection_id, .. } = &self.state.identity;
        session_id.as_deref().or(connection_id.as_deref()).unwrap_or("unnamed")
    }

    /// One of its sources.
    pub fn source(&self, name: SourceName) -> Option<SourceView<'_>> {
        let metrics = self.state.sources.iter().find(|metrics| metrics.source == name)?;
        let (_, history) = self.histories.iter().find(|(held, _)| *held == name)?;
        Some(SourceView { metrics, history })
    }

    fn record(&mut self, skipped: u64) {
        for metrics in &self.state.sources {
            if !self.histories.iter().any(|(held, _)| *held == metrics.source) {
                self.histories.push((metrics.source, History::default()));
            }
        }
        for (name, history) in &mut self.histories {
            let metrics = self.state.sources.iter().find(|metrics| metrics.source == *name);
            // A history that just began owes nothing to ticks before it.
            if history.ticks().len() > 0 {
                history.skip(skipped);
            }
            history.push(metrics.map(Sample::from));
        }
        self.histories.retain(|(_, history)| history.ticks().any(|tick| tick.is_some()));
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{session, source_name};
    use super::*;

    fn gaps(session: &Session, source: &str) -> Vec<bool> {
        let view = session.source(source_name(source)).unwrap();
        view.history.ticks().map(|tick| tick.is_none()).collect()
    }

    #[test]
    fn each_tick_is_recorded_and_each_missing_one_is_a_gap() {
        let mut followed = Session::new(1, session("a", 1.0, &["mic"]));
        followed.advance(session("a", 4.0, &["mic"]), 2);
        assert_eq!(gaps(&followed, "mic"), [false, true, true, false]);
    }

    #[test]
    fn a_source_that_comes_later_begins_with_its_first_tick() {
        let mut followed = Session::new(1, session("a", 1.0, &["mic"]));
        followed.advance(session("a", 3.0, &["mic", "system"]), 1);
        assert_eq!(gaps(&followed, "system"), [false]);
    }

    #[test]
    fn a_younger_session_of_the_same_name_is_another_one() {
        let followed = Session::new(1, session("a", 60.0, &["mic"]));
        assert!(followed.continues_as(&session("a", 61.0, &["mic"])));
        assert!(!followed.continues_as(&session("a", 0.4, &["mic"])));
        assert!(!followed.continues_as(&session("b", 61.0, &["mic"])));
    }

    #[test]
    fn a_session_without_a_name_has_one_to_show() {
        let mut state = session("a", 1.0, &[]);
        state.identity = Identity::default();
        assert_eq!(Session::new(1, state).name(), "unnamed");
    }
}
