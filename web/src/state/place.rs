use super::attention::Severity;
use super::query::{Query, QueryWriter};
use super::session::SessionKey;
use super::subject::{Chart, parse_number};
use super::survey::{Listing, Order};
use tachograph_core::wire::frame::Cell;

/// The spans that can be chosen with one key, in seconds, and what they are called.
pub const WINDOWS: [(u32, &str); 5] =
    [(60, "1 min"), (300, "5 min"), (900, "15 min"), (1_800, "30 min"), (3_600, "1 h")];
const WINDOW_DEFAULT: u32 = 300;
/// Charts that can be chosen for one page.
pub const BOARD_MAX: usize = 48;

/// Where the reader is: what the address says, and nothing else. A link with it shows the same.
#[derive(Clone, Debug, PartialEq)]
pub struct Place {
    /// The page.
    pub page: Page,
    /// The span of time.
    pub span: Span,
}

/// What is shown.
#[derive(Clone, Debug, PartialEq)]
pub enum Page {
    /// What needs attention, and the most telling charts.
    Overview,
    /// All sessions.
    Sessions(Listing),
    /// One of them.
    Session(SessionKey),
    /// All families.
    Metrics {
        /// Words that must all be in a family's name or help.
        words: String,
    },
    /// One chart, large.
    Chart(Chart),
    /// Chosen charts.
    Board(Board),
    /// What happened.
    Events {
        /// Words that must all be in an event.
        words: String,
    },
}

/// A page of chosen charts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Board {
    /// What it is called.
    pub name: String,
    /// Its charts.
    pub charts: Vec<Chart>,
}

/// The span of time that charts show.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Span {
    /// How long it is, in seconds.
    pub seconds: u32,
    /// Where it ends, in Unix milliseconds; nothing while it goes along with what arrives.
    pub until_ms: Option<u64>,
}

impl Default for Span {
    fn default() -> Self {
        Self { seconds: WINDOW_DEFAULT, until_ms: None }
    }
}

impl Default for Place {
    fn default() -> Self {
        Self { page: Page::Overview, span: Span::default() }
    }
}

impl Page {
    /// Its word in an address.
    pub fn key(&self) -> &'static str {
        match self {
            Self::Overview => "overview",
            Self::Sessions(_) => "sessions",
            Self::Session(_) => "session",
            Self::Metrics { .. } => "metrics",
            Self::Chart(_) => "chart",
            Self::Board(_) => "board",
            Self::Events { .. } => "events",
        }
    }

    /// The page of this word, with nothing chosen.
    pub fn named(key: &str) -> Option<Self> {
        Some(match key {
            "overview" => Self::Overview,
            "sessions" => Self::Sessions(Listing::default()),
            "metrics" => Self::Metrics { words: String::new() },
            "board" => Self::Board(Board::default()),
            "events" => Self::Events { words: String::new() },
            _ => return None,
        })
    }
}

impl Place {
    /// The same span on another page.
    pub fn with(&self, page: Page) -> Self {
        Self { page, span: self.span }
    }

    /// Reads an address's fragment, such as `#/sessions?q=mic&w=900`; what it does not say is as at first.
    pub fn parse(fragment: &str) -> Self {
        let text = fragment.trim_start_matches('#').trim_start_matches('/');
        let (name, query) = text.split_once('?').unwrap_or((text, ""));
        let query = Query::parse(query);
        let words = || query.value("q").unwrap_or_default().to_owned();
        let page = match name {
            "sessions" => Page::Sessions(read_listing(&query)),
            "session" => query.value("session").and_then(SessionKey::parse).map_or(Page::Overview, Page::Session),
            "metrics" => Page::Metrics { words: words() },
            "chart" => Chart::read(&query).map_or(Page::Metrics { words: String::new() }, Page::Chart),
            "board" => Page::Board(Board::read(&query)),
            "events" => Page::Events { words: words() },
            _ => Page::Overview,
        };
        let number = |name| query.value(name).and_then(parse_number);
        let seconds = number("w").map_or(WINDOW_DEFAULT, |seconds| seconds.clamp(5.0, 86_400.0) as u32);
        let until_ms = number("at").filter(|at| *at > 0.0).map(|at| at as u64);
        Self { page, span: Span { seconds, until_ms } }
    }

    /// The fragment that [`parse`](Self::parse) reads.
    pub fn fragment(&self) -> String {
        let mut out = QueryWriter::default();
        match &self.page {
            Page::Overview => {}
            Page::Sessions(listing) => write_listing(listing, &mut out),
            Page::Session(key) => out.put("session", &key.text()),
            Page::Metrics { words } | Page::Events { words } => put_unless_empty(&mut out, "q", words),
            Page::Chart(chart) => chart.write(&mut out),
            Page::Board(board) => board.write(&mut out),
        }
        if self.span.seconds != WINDOW_DEFAULT {
            out.put("w", &self.span.seconds.to_string());
        }
        if let Some(until) = self.span.until_ms {
            out.put("at", &until.to_string());
        }
        let query = out.finish();
        let mark = if query.is_empty() { "" } else { "?" };
        ["#/", self.page.key(), mark, &query].concat()
    }
}

impl Board {
    /// Writes it into an address.
    pub fn write(&self, out: &mut QueryWriter) {
        put_unless_empty(out, "name", &self.name);
        self.charts.iter().for_each(|chart| out.put("c", &chart.text()));
    }

    /// Reads what [`write`](Self::write) wrote; what is no chart is left out.
    pub fn read(query: &Query) -> Self {
        let charts = query.values("c").filter_map(|text| Chart::read(&Query::parse(text)));
        Self { name: query.value("name").unwrap_or_default().into(), charts: charts.take(BOARD_MAX).collect() }
    }

    /// Puts a chart in the place of one that shows the same with another threshold. Returns whether there is
    /// one.
    pub fn replace(&mut self, chart: &Chart) -> bool {
        let held = self.charts.iter_mut().find(|held| held.subject == chart.subject);
        held.map(|held| *held = chart.clone()).is_some()
    }

    /// The board as it is kept: its address's query.
    pub fn text(&self) -> String {
        let mut out = QueryWriter::default();
        self.write(&mut out);
        out.finish()
    }
}

fn put_unless_empty(out: &mut QueryWriter, name: &str, value: &str) {
    if !value.is_empty() {
        out.put(name, value);
    }
}

fn write_listing(listing: &Listing, out: &mut QueryWriter) {
    put_unless_empty(out, "q", &listing.words);
    if listing.at_least > Severity::Well {
        out.put("state", listing.at_least.key());
    }
    match listing.order {
        Order::Worst => {}
        Order::Name => out.put("sort", "name"),
        Order::Age => out.put("sort", "age"),
        Order::Figure(cell) => out.put("sort", cell.name()),
    }
    if listing.is_reversed {
        out.put("reversed", "yes");
    }
}

fn read_listing(query: &Query) -> Listing {
    let at_least = match query.value("state") {
        Some("caution") => Severity::Caution,
        Some("alarm") => Severity::Alarm,
        _ => Severity::Well,
    };
    Listing {
        words: query.value("q").unwrap_or_default().into(),
        at_least,
        order: query.value("sort").map_or(Order::Worst, order_named),
        is_reversed: query.value("reversed").is_some(),
    }
}

/// The order of this word.
pub fn order_named(name: &str) -> Order {
    match name {
        "name" => Order::Name,
        "age" => Order::Age,
        _ => Cell::ALL.iter().find(|cell| cell.name() == name).map_or(Order::Worst, |cell| Order::Figure(*cell)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::subject::{Overall, Subject, Threshold};
    use super::*;

    #[test]
    fn every_place_is_read_back_from_its_address() {
        let listing = Listing {
            words: "mic & whisper".into(),
            at_least: Severity::Alarm,
            order: Order::Figure(Cell::RealtimeFactor),
            is_reversed: true,
        };
        let threshold = Some(Threshold { limit: 12.0, is_floor: false });
        let lag = Chart { subject: Subject::Overall(Overall::TickLag), threshold };
        let board = Board { name: "on call".into(), charts: vec![lag.clone(), Chart::of_family("a=b&c")] };
        let pages = [
            Page::Overview,
            Page::Sessions(Listing::default()),
            Page::Sessions(listing),
            Page::Session(SessionKey { tag: 7, id: 9 }),
            Page::Metrics { words: "http".into() },
            Page::Chart(lag),
            Page::Board(board),
            Page::Board(Board::default()),
            Page::Events { words: String::new() },
        ];
        for page in pages {
            for until_ms in [None, Some(1_750_000_000_123)] {
                let place = Place { page: page.clone(), span: Span { seconds: 42, until_ms } };
                assert_eq!(Place::parse(&place.fragment()), place, "{}", place.fragment());
            }
        }
        assert_eq!(Place::default().fragment(), "#/overview");
    }

    #[test]
    fn what_an_address_does_not_say_is_as_at_first() {
        for text in ["", "#", "#/", "#measure", "#/nowhere?w=x&at=-1", "#/session?session=1"] {
            assert_eq!(Place::parse(text), Place::default(), "{text}");
        }
        assert_eq!(Place::parse("#/overview?w=1").span.seconds, 5);
    }

    #[test]
    fn a_board_has_a_bound() {
        let board = Board { name: String::new(), charts: vec![Chart::of_family("x"); BOARD_MAX + 5] };
        assert_eq!(Board::read(&Query::parse(&board.text())).charts.len(), BOARD_MAX);
    }
}
