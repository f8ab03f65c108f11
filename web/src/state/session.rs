use tachograph_core::wire::{Identity, Metrics, SessionState, SourceName};

use super::History;

/// Names a session: no other one has the same, whatever their clients call them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionKey {
    /// The server's start, counted from 1 by this page.
    pub start: u32,
    /// The server's own number for it.
    pub id: u64,
}

/// A row of the table: a source of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowKey {
    /// The session.
    pub session: SessionKey,
    /// The source.
    pub source: SourceName,
}

impl RowKey {
    /// The row's name as a place in the page.
    pub fn anchor(&self) -> String {
        let SessionKey { start, id } = self.session;
        format!("row-{start}-{id}-{}", self.source)
    }
}

/// A session that the page follows, live or just ended.
#[derive(Clone, Debug)]
pub struct Session {
    /// Which one.
    pub key: SessionKey,
    /// Its newest state.
    pub state: SessionState,
    /// Unix milliseconds of the first frame without it.
    pub ended: Option<u64>,
}

/// One source of a session.
#[derive(Clone, Copy, Debug)]
pub struct SourceView<'a> {
    /// Its figures.
    pub metrics: &'a Metrics,
    /// Its last minutes.
    pub history: History<'a>,
}

impl Session {
    /// Follows a session from this state on.
    pub fn new(start: u32, state: SessionState) -> Self {
        Self { key: SessionKey { start, id: state.id }, state, ended: None }
    }

    /// Whether it is live.
    pub fn is_live(&self) -> bool {
        self.ended.is_none()
    }

    /// What to call it.
    pub fn name(&self) -> &str {
        let Identity { session_id, connection_id, .. } = &self.state.identity;
        session_id.as_deref().or(connection_id.as_deref()).unwrap_or("unnamed")
    }

    /// The figures of one of its sources.
    pub fn metrics(&self, source: SourceName) -> Option<&Metrics> {
        self.state.sources.iter().find(|metrics| metrics.source == source)
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::session;
    use super::*;

    #[test]
    fn a_session_without_a_name_has_one_to_show() {
        let mut state = session(1, "a", &[]);
        state.identity = Identity::default();
        assert_eq!(Session::new(1, state).name(), "unnamed");
    }
}
