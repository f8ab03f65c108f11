use tachograph_core::wire::{SessionState, SourceName};

use super::troubles;

/// What the shown frame holds and the page does not follow, because it is too much.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Untracked {
    /// Sessions with all of their sources.
    pub sessions: usize,
    /// Sources, those of these sessions included.
    pub sources: usize,
    /// Those of the sources that need attention.
    pub in_trouble: usize,
}

impl Untracked {
    /// The sources followed in one session.
    pub const SOURCES_MAX: usize = 8;

    /// Counts a whole session.
    pub fn add(&mut self, state: &SessionState, timestamp: f64) {
        self.sessions += 1;
        self.sources += state.sources.len();
        self.in_trouble += state.sources.iter().filter(|metrics| !troubles(metrics, timestamp).is_empty()).count();
    }

    /// Takes from a session the sources that are too many or named twice, and counts them.
    pub fn trim(&mut self, state: &mut SessionState, timestamp: f64) {
        let mut kept: Vec<SourceName> = Vec::new();
        state.sources.retain(|metrics| {
            let keep = kept.len() < Self::SOURCES_MAX && !kept.contains(&metrics.source);
            if keep {
                kept.push(metrics.source);
            } else {
                self.sources += 1;
                self.in_trouble += usize::from(!troubles(metrics, timestamp).is_empty());
            }
            keep
        });
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{TIMESTAMP, session};
    use super::*;

    #[test]
    fn sources_named_twice_or_beyond_the_bound_are_counted() {
        let names: Vec<String> = (0..Untracked::SOURCES_MAX + 1).map(|number| format!("s{number}")).collect();
        let mut names: Vec<&str> = names.iter().map(String::as_str).collect();
        names.insert(1, "s0");
        let mut state = session(1, "a", &names);
        state.sources[1].dropped_chunks_last_10s = 1;
        let mut untracked = Untracked::default();
        untracked.trim(&mut state, TIMESTAMP);
        assert_eq!(state.sources.len(), Untracked::SOURCES_MAX);
        assert_eq!(untracked, Untracked { sessions: 0, sources: 2, in_trouble: 1 });
    }
}
