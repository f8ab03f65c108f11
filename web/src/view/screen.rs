//! All that is on the page, and what each page has.

use tachograph_core::registry::Descriptor;
use tachograph_core::wire::frame::State;

use super::canvas;
use super::cards::{Cards, Item};
use super::chart_page::ChartPage;
use super::element::Node;
use super::events::{EventList, Wanted};
use super::head::Head;
use super::notices::Notices;
use super::overview::{Attention, Health, is_old};
use super::paint::Paint;
use super::painter::Painted;
use super::session::SessionPage;
use super::table::Table;
use super::timebar::Timebar;
use super::watch::Crossed;
use crate::plot::{bytes, count, millis};
use crate::state::{Chart, Overall, Page, Subject, View, have_words};

/// Families that have a card; of more, those that are searched for.
const FAMILIES_MAX: usize = 400;
/// Charts on the first page.
const OVERVIEW_MAX: usize = 12;
/// Families that tell most, where there are such.
const TELLING: [&str; 6] = [
    "inference_time_ms",
    "processing_time_ms",
    "audio_bytes_received",
    "asr_chunks_processed",
    "processing_lag_seconds",
    "queue_depth",
];

/// All that is painted.
pub(super) struct Screen {
    head: Head,
    pages: Vec<(&'static str, Node)>,
    health: Health,
    timebar: Timebar,
    pub(super) notices: Notices,
    overview: Cards,
    attention: Attention,
    pub(super) table: Table,
    words: Vec<(&'static str, Node)>,
    states: Vec<Node>,
    session: SessionPage,
    metrics: Cards,
    metrics_told: Node,
    metrics_none: Node,
    metrics_aside: Node,
    pub(super) chart: ChartPage,
    events: EventList,
    board: Cards,
    board_none: Node,
    board_name: Node,
    board_aside: Node,
    facts: Node,
    /// The page whose cards were made last, and the schema of then.
    synced: Option<(Page, u32, Option<u64>)>,
}

/// What a chart is called.
pub(super) fn title_of(chart: &Chart) -> String {
    match &chart.subject {
        Subject::Family(family) => {
            let only: Vec<String> = family.only.iter().map(|(name, value)| [name, "=", value].concat()).collect();
            if only.is_empty() { family.name.clone() } else { [&family.name, " where ", &only.join(", ")].concat() }
        }
        Subject::Session(key, cell) => {
            let title =
                super::session::CHARTS.iter().find(|(held, _)| held == cell).map_or(cell.name(), |(_, title)| title);
            [title, ", session ", &key.id.to_string()].concat()
        }
        Subject::Overall(overall) => overall.title().0.into(),
    }
}

impl Screen {
    pub(super) fn find() -> Self {
        let named = |prefix: &str, key: &'static str| (key, Node::by_id(&[prefix, key].concat()));
        let keys = ["overview", "sessions", "session", "metrics", "chart", "events", "board"];
        let words = ["sessions-words", "metrics-words", "events-words"];
        Self {
            pages: keys.iter().map(|key| named("page-", key)).collect(),
            head: Head::find(),
            health: Health::find(),
            timebar: Timebar::find(),
            notices: Notices::find(),
            overview: Cards::find("overview-grid"),
            attention: Attention::find(),
            table: Table::find(),
            words: words.iter().map(|key| named("", key)).collect(),
            states: Node::by_id("sessions-states").parts(),
            session: SessionPage::find(),
            metrics: Cards::find("metrics-groups"),
            metrics_told: Node::by_id("metrics-count"),
            metrics_none: Node::by_id("metrics-none"),
            metrics_aside: Node::by_id("metrics-aside"),
            chart: ChartPage::find(),
            events: EventList::find("events-list", "events-none", "events-count", "events-aside"),
            board: Cards::find("board-grid"),
            board_none: Node::by_id("board-none"),
            board_name: Node::by_id("board-name"),
            board_aside: Node::by_id("board-aside"),
            facts: Node::by_id("footer-facts"),
            synced: None,
        }
    }

    pub(super) fn show_page(&mut self, page: &Page) {
        self.pages.iter_mut().for_each(|(key, node)| node.show(*key == page.key()));
    }

    /// Makes the cards that a page has.
    pub(super) fn sync(&mut self, page: &Page, newest: &State) {
        match page {
            // Families only come.
            _ if !self.is_outdated(page, newest) => {}
            Page::Overview => self.overview.sync(overview_items(newest)),
            Page::Metrics { words } => {
                let items = metrics_items(newest, words);
                let held = items.iter().filter(|item| item.is_chart()).count();
                let all = newest.schema().families().len();
                let told = [&count(held as u64), " of ", &count(all as u64), " families"].concat();
                self.metrics_told.text(&told);
                self.metrics_none.show(held == 0 && all > 0);
                self.metrics.sync(items);
            }
            Page::Session(key) => self.session.sync(*key),
            Page::Chart(chart) => self.chart.sync(chart, newest),
            Page::Board(board) => {
                self.board_none.show(board.charts.is_empty());
                canvas::set_text(self.board_name.element(), &board.name);
                let chart = |chart: &Chart| Item::chart(chart.clone(), &title_of(chart), "").on_board();
                self.board.sync(board.charts.iter().map(chart).collect());
            }
            Page::Sessions(_) | Page::Events { .. } => {}
        }
    }

    /// Whether a page's cards were made for another page, or of fewer families.
    fn is_outdated(&mut self, page: &Page, newest: &State) -> bool {
        let now =
            (page.clone(), newest.schema().extent().entries, newest.schema().hash(newest.schema().extent().entries));
        let is_same = self.synced.as_ref() == Some(&now);
        self.synced = Some(now);
        !is_same
    }

    /// The cards of a page.
    pub(super) fn cards(&mut self, page: &Page) -> Option<&mut Cards> {
        match page {
            Page::Overview => Some(&mut self.overview),
            Page::Metrics { .. } => Some(&mut self.metrics),
            Page::Session(_) => Some(&mut self.session.cards),
            Page::Chart(_) => Some(&mut self.chart.cards),
            Page::Board(_) => Some(&mut self.board),
            Page::Sessions(_) | Page::Events { .. } => None,
        }
    }

    pub(super) fn wanted(&mut self, page: &Page) -> Vec<Subject> {
        self.cards(page).map(|cards| cards.wanted()).unwrap_or_default()
    }

    /// All that stays as it is while only a pointer moves.
    pub(super) fn paint_figures(&mut self, now: &Painted, paint: &Paint<'_>, crossed: &[Crossed]) {
        let (view, place) = (paint.view, paint.place);
        let origin = Some(now.status.connection).filter(|_| !now.is_file);
        self.head.paint(place, origin);
        self.health.paint(view, place, &now.status, now.is_file, crossed.len());
        self.timebar.paint(view, place, now.is_playing);
        self.paint_controls(&place.page);
        match &place.page {
            Page::Overview => {
                let is_old = is_old(&now.status, place, now.is_file);
                self.attention.paint(view, place, crossed, is_old);
            }
            Page::Session(key) => self.session.paint(view, place, *key),
            Page::Metrics { .. } => self.metrics_aside.text(&registry_text(view)),
            Page::Events { words } => self.events.paint(view, place, Wanted { words, session: None }),
            Page::Board(_) => {
                self.board_aside.text(if crossed.is_empty() {
                    ""
                } else {
                    "A threshold of the saved board is crossed."
                });
            }
            Page::Sessions(_) | Page::Chart(_) => {}
        }
        self.paint_facts(view);
    }

    fn paint_controls(&mut self, page: &Page) {
        if let Page::Sessions(listing) = page {
            for (button, key) in self.states.iter_mut().zip(["well", "caution", "alarm"]) {
                button.set("aria-pressed", if listing.at_least.key() == key { "true" } else { "false" });
            }
        }
        let words = match page {
            Page::Sessions(listing) => &listing.words,
            Page::Metrics { words } | Page::Events { words } => words,
            _ => return,
        };
        let input = self.words.iter().find(|(key, _)| key.starts_with(page.key()));
        input.into_iter().for_each(|(_, input)| canvas::set_text(input.element(), words));
    }

    /// What also depends on the pointer, and on how far the table is scrolled.
    pub(super) fn paint_table_and_charts(&mut self, paint: &Paint<'_>) {
        match &paint.place.page {
            Page::Sessions(listing) => self.table.paint(paint.view, paint.place, listing),
            Page::Chart(_) => self.chart.paint(paint),
            _ => {}
        }
        if let Some(cards) = self.cards(&paint.place.page) {
            cards.paint(paint);
        }
    }

    fn paint_facts(&mut self, view: &View<'_>) {
        let ticks = view.ticks;
        let restarts = u64::from(ticks.starts().saturating_sub(1));
        let figures = [ticks.taken() as u64, view.skipped, restarts].map(count);
        let version = ["Server ", view.version, ", page ", env!("CARGO_PKG_VERSION")].concat();
        let [held, missing, seen] = &figures;
        self.facts
            .text(&[held, " ticks held, ", missing, " not received, ", seen, " restarts seen · ", &version].concat());
        let head = ticks.head(ticks.newest());
        self.facts.set("data-seq", &head.map(|head| head.seq.to_string()).unwrap_or_default());
        let epoch = ticks.row(ticks.newest()).map(|row| row.epoch.to_string()).unwrap_or_default();
        self.facts.set("data-epoch", &epoch);
        self.facts.set("data-held", &ticks.taken().to_string());
        self.facts.set("data-missing", &view.skipped.to_string());
        self.facts.set("data-restarts", &restarts.to_string());
        self.facts.set("data-row", &view.row.to_string());
    }
}

/// The most telling charts of what there is.
fn overview_items(newest: &State) -> Vec<Item> {
    let overall = Overall::ALL.map(|overall| Item::chart(Chart::of(Subject::Overall(overall)), overall.title().0, ""));
    let families = newest.schema().families();
    let find = |name: &str| families.iter().position(|family| family.descriptor.name() == name);
    let telling: Vec<usize> = TELLING.iter().filter_map(|name| find(name)).collect();
    let others = (0..families.len()).filter(|number| !telling.contains(number));
    let is_own =
        |number: &usize| families.get(*number).is_some_and(|family| family.descriptor.name().starts_with("tacho"));
    let chosen = telling.iter().copied().chain(others.filter(|number| !is_own(number)));
    let chosen = chosen.filter_map(|number| families.get(number)).map(|family| {
        let descriptor = &family.descriptor;
        Item::chart(Chart::of_family(descriptor.name()), descriptor.name(), descriptor.help_text())
    });
    overall.into_iter().chain(chosen).take(OVERVIEW_MAX).collect()
}

/// All families that have these words, by name and under their prefixes; those that have one for themselves
/// at the end.
fn metrics_items(newest: &State, words: &str) -> Vec<Item> {
    let mut found: Vec<_> = newest.schema().families().iter().map(|family| &*family.descriptor).collect();
    found.retain(|descriptor| have_words(&[descriptor.name(), descriptor.help_text()], words));
    found.sort_unstable_by(|one, other| one.name().cmp(other.name()));
    found.truncate(FAMILIES_MAX);
    let prefix = |descriptor: &Descriptor| descriptor.name().split('_').next().unwrap_or_default().to_owned();
    let prefixes: Vec<String> = found.iter().map(|descriptor| prefix(descriptor)).collect();
    let is_lone = |place: usize| {
        let is_same = |other: Option<usize>| other.and_then(|other| prefixes.get(other)) == prefixes.get(place);
        !is_same(place.checked_sub(1)) && !is_same(Some(place + 1))
    };
    let mut items = Vec::new();
    let mut add = |place: usize, group: &str| {
        let heading = Item::heading(group);
        if items.iter().rev().find(|item: &&Item| !item.is_chart()) != Some(&heading) {
            items.push(heading);
        }
        let descriptor = found[place];
        items.push(Item::chart(Chart::of_family(descriptor.name()), descriptor.name(), descriptor.help_text()));
    };
    (0..found.len()).filter(|place| !is_lone(*place)).for_each(|place| add(place, &prefixes[place]));
    (0..found.len()).filter(|place| is_lone(*place)).for_each(|place| add(place, "others"));
    items
}

fn registry_text(view: &View<'_>) -> String {
    let Some(state) = view.state else { return String::new() };
    let totals = state.totals();
    let series = count(state.extent().series() as u64);
    let [refused, folded] = [totals.refused_values, totals.overflowed_series].map(count);
    let held = bytes(totals.bytes_held as f64);
    let took = millis(totals.snapshot_seconds * 1e3);
    let parts = [
        &series,
        " series hold ",
        &held,
        "; the snapshot took ",
        &took,
        ". Values refused for not being finite: ",
        &refused,
        ". Series folded into overflow series: ",
        &folded,
        ".",
    ];
    parts.concat()
}
