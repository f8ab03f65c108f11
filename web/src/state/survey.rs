use tachograph_core::wire::SourceName;
use tachograph_core::wire::frame::{Cell, SessionView, SourceView, State};

use super::attention::{Severity, Trouble, is_old, worst};
use super::session::name_of;
use super::words::have_words;

/// How all sessions stand, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Live sessions whose sources all keep up.
    pub well: usize,
    /// Those with a source that may come to harm, and none in alarm.
    pub cautions: usize,
    /// Those with a source in alarm.
    pub alarms: usize,
    /// Sources of all.
    pub sources: usize,
    /// Frames dropped since the tick before, of all sources.
    pub dropped: u64,
}

/// What of the sessions is listed, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// Words that must all be in a row's names.
    pub words: String,
    /// Only rows at least this bad.
    pub at_least: Severity,
    /// What the rows are ordered by.
    pub order: Order,
    /// Whether the order is the other way round.
    pub is_reversed: bool,
}

/// What rows are ordered by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// The worst first; among equals the oldest session.
    #[default]
    Worst,
    /// By name.
    Name,
    /// By a figure, the largest first.
    Figure(Cell),
    /// By the session's age, the oldest first.
    Age,
}

/// A row of the table: a source of a session, or a session that has none yet.
#[derive(Clone, Copy, Debug)]
pub struct TableRow<'a> {
    /// The session.
    pub session: SessionView<'a>,
    /// Its source.
    pub source: Option<SourceView<'a>>,
    /// The worst that is wrong with it.
    pub trouble: Option<Trouble>,
}

impl TableRow<'_> {
    /// How bad it is.
    pub fn severity(&self) -> Severity {
        self.trouble.map_or(Severity::Well, Trouble::severity)
    }

    fn has_all(&self, words: &str) -> bool {
        let identity = self.session.identity();
        let ids = [&identity.session_id, &identity.attempt_id, &identity.connection_id];
        let name = self.source.as_ref().map(SourceView::source);
        let providers = self.source.iter().flat_map(|source| [source.provider(), source.model_id()]);
        let texts = ids.into_iter().flatten().map(String::as_str).chain(name.iter().map(SourceName::as_str));
        have_words(&texts.chain(providers).collect::<Vec<_>>(), words)
    }

    fn figure(&self, order: Order) -> f64 {
        match order {
            Order::Worst => f64::from(self.severity() as u8),
            Order::Figure(cell) => self.source.and_then(|source| source.cell(cell)).unwrap_or(-1.0),
            Order::Age => self.session.age_seconds(),
            Order::Name => 0.0,
        }
    }
}

impl Standing {
    /// How the sessions of a state stand.
    pub fn of(state: &State) -> Self {
        let mut standing = Self::default();
        for session in state.session_views() {
            let mut severity = Severity::Well;
            for source in session.sources() {
                standing.sources += 1;
                // What is not renewed was told before.
                let dropped = source.cell(Cell::DroppedRecent).filter(|_| !is_old(&source));
                standing.dropped += dropped.unwrap_or_default() as u64;
                severity = severity.max(worst(&source).map_or(Severity::Well, Trouble::severity));
            }
            match severity {
                Severity::Well => standing.well += 1,
                Severity::Caution => standing.cautions += 1,
                Severity::Alarm => standing.alarms += 1,
            }
        }
        standing
    }

    /// Live sessions.
    pub fn sessions(&self) -> usize {
        self.well + self.cautions + self.alarms
    }
}

/// The rows of a state, as they are listed.
pub fn listed<'a>(state: &'a State, listing: &Listing) -> Vec<TableRow<'a>> {
    let mut rows = Vec::new();
    for session in state.session_views() {
        let mut add = |source: Option<SourceView<'a>>| {
            let row = TableRow { session, source, trouble: source.as_ref().and_then(worst) };
            if row.severity() >= listing.at_least && (listing.words.is_empty() || row.has_all(&listing.words)) {
                rows.push(row);
            }
        };
        if session.sources().len() == 0 {
            add(None);
        }
        session.sources().for_each(|source| add(Some(source)));
    }
    sort(&mut rows, listing);
    rows
}

/// By places first, so that equals stay as they are without a sort that needs memory.
fn sort(rows: &mut Vec<TableRow<'_>>, listing: &Listing) {
    let keys: Vec<f64> = rows.iter().map(|row| row.figure(listing.order)).collect();
    let mut places: Vec<u32> = (0..rows.len() as u32).collect();
    places.sort_unstable_by(|one, other| {
        let (first, second) = (*one as usize, *other as usize);
        let ordering = match listing.order {
            Order::Name => name_of(rows[first].session.identity()).cmp(name_of(rows[second].session.identity())),
            _ => keys[second].total_cmp(&keys[first]),
        };
        let ordering = if listing.is_reversed { ordering.reverse() } else { ordering };
        ordering.then(one.cmp(other))
    });
    *rows = places.into_iter().map(|place| rows[place as usize]).collect();
}

/// The rows that need attention, the worst first.
pub fn in_trouble(state: &State) -> Vec<TableRow<'_>> {
    listed(state, &Listing { at_least: Severity::Caution, ..Listing::default() })
}
