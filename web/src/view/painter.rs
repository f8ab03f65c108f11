use std::cell::{Cell, RefCell};
use std::rc::Rc;

use tachograph_core::registry::Descriptor;
use tachograph_core::wire::frame::State;
use wasm_bindgen::JsCast;
use wasm_bindgen::closure::Closure;

use super::canvas;
use super::cards::{Cards, Eye, Item, Paint};
use super::chart_page::ChartPage;
use super::element::Node;
use super::events::{EventList, Wanted};
use super::head::Head;
use super::notices::{Notices, Status};
use super::overview::{Attention, Health};
use super::session::SessionPage;
use super::table::Table;
use super::timebar::Timebar;
use super::watch::{Crossed, Watch};
use crate::plot::count;
use crate::signals::Signals;
use crate::state::{Board, Chart, Overall, Page, Place, Query, Subject, View};

/// What one painting may spend on the past of charts, in milliseconds: less than what a frame of the
/// screen leaves.
const WORK_MS: f64 = 8.0;
/// How long what is said stands there, in milliseconds.
const SAID_MS: u32 = 6_000;
/// How often the past of a chart is shown while it is made, in milliseconds.
const PROGRESS_MS: f64 = 150.0;
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
/// Where the board is kept.
pub(super) const BOARD_KEY: &str = "tachograph.board";

/// Paints what is shown, once for all that changed since the screen was drawn last.
#[derive(Clone)]
pub struct Painter {
    pub(super) signals: Signals,
    pub(super) held: Rc<RefCell<Held>>,
    is_asked: Rc<Cell<bool>>,
    is_working: Rc<Cell<bool>>,
}

/// What is painted on, and what the reader does with it.
#[derive(Default)]
pub(super) struct Held {
    pub(super) screen: Option<Screen>,
    /// How the reader looks at the charts.
    pub(super) eye: Eye,
    /// When a playing moment was moved last.
    pub(super) played_ms: Option<f64>,
    /// The board that this browser keeps.
    pub(super) board: Board,
    watch: Watch,
    /// What was said last, and how often something was.
    said: Option<String>,
    times_said: u32,
    /// What was painted last, but for the charts.
    painted: Option<Painted>,
    /// The page that the address shows.
    page_key: &'static str,
}

/// What all but the charts depends on.
#[derive(Clone, PartialEq)]
struct Painted {
    place: Place,
    row: u64,
    frames: u64,
    crossed: usize,
    status: Status,
    is_file: bool,
    is_playing: bool,
}

/// All that is painted.
pub(super) struct Screen {
    head: Head,
    pages: Vec<(&'static str, Node)>,
    health: Health,
    timebar: Timebar,
    notices: Notices,
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

impl Painter {
    /// A painter that paints after whatever changes.
    pub fn start(signals: Signals) -> Self {
        let eye = Eye { zone_minutes: canvas::zone_minutes(), ..Eye::default() };
        let board = Board::read(&Query::parse(&canvas::kept(BOARD_KEY)));
        let held = Rc::new(RefCell::new(Held { eye, board, ..Held::default() }));
        let painter = Self { signals, held, is_asked: Rc::default(), is_working: Rc::default() };
        let told = painter.clone();
        signals.on_change(move || {
            told.watch();
            told.ask();
        });
        painter
    }

    /// Paints before the screen is drawn next.
    pub(super) fn ask(&self) {
        if !self.is_asked.replace(true) {
            let painter = self.clone();
            before_drawing(move || {
                painter.is_asked.set(false);
                painter.paint();
            });
        }
    }

    /// Says something for a few seconds.
    pub(super) fn say(&self, words: &str) {
        let number = {
            let mut held = self.held.borrow_mut();
            held.said = Some(words.into());
            held.times_said += 1;
            held.times_said
        };
        let painter = self.clone();
        let done = Closure::once_into_js(move || {
            let mut held = painter.held.borrow_mut();
            if held.times_said == number {
                held.said = None;
            }
            drop(held);
            painter.ask();
        });
        canvas::after(SAID_MS, done.unchecked_ref());
        self.ask();
    }

    /// Looks at the thresholds of the board, also while the page is hidden and nothing is painted.
    fn watch(&self) {
        let place = self.signals.place();
        let news = {
            let Held { watch, board, .. } = &mut *self.held.borrow_mut();
            self.signals.with_desk(|desk| watch.look(board, desk.live_mut(), &place))
        };
        for (title, words) in news {
            canvas::notify(&title, &words);
        }
    }

    fn paint(&self) {
        let now = now_ms();
        self.play(now);
        let place = self.signals.place();
        let is_playing = {
            let mut held = self.held.borrow_mut();
            held.screen.get_or_insert_with(Screen::find);
            held.show_address(&place);
            held.paint(self.signals, &place);
            held.played_ms.is_some()
        };
        if is_playing {
            self.ask();
        }
        self.signals.painted();
        self.work(now);
    }

    /// Goes on with the past of what is looked at; it is painted when it is done, and now and then before.
    fn work(&self, painted_ms: f64) {
        if self.is_working.replace(true) {
            return;
        }
        let painter = self.clone();
        before_drawing(move || {
            painter.is_working.set(false);
            let begun = now_ms();
            let has_time = || now_ms() - begun < WORK_MS;
            let worked = painter.signals.with_desk(|desk| {
                let feed = desk.shown_mut();
                feed.work(has_time).then(|| feed.store().tracks().is_busy())
            });
            match worked {
                None => {}
                Some(true) if begun - painted_ms < PROGRESS_MS => painter.work(painted_ms),
                Some(_) => painter.ask(),
            }
        });
    }

    /// Moves a playing moment on.
    fn play(&self, now: f64) {
        let Some(before) = self.held.borrow().played_ms else { return };
        let mut place = self.signals.place();
        let newest = self.signals.with_desk(|desk| desk.shown().store().extent_ms());
        let (Some(until), Some((_, newest))) = (place.span.until_ms, newest) else {
            self.held.borrow_mut().played_ms = None;
            return;
        };
        let moved = until + (now - before) as u64;
        // Fractions of a millisecond wait until they are whole ones.
        self.held.borrow_mut().played_ms = Some(before + (moved - until) as f64);
        place.span.until_ms = Some(moved.min(newest));
        if moved >= newest {
            self.held.borrow_mut().played_ms = None;
        }
        self.signals.go(place);
    }
}

/// Calls a function before the screen is drawn next; while the page is hidden it waits until it is seen.
fn before_drawing(function: impl FnOnce() + 'static) {
    let Some(window) = web_sys::window() else { return };
    let function = Closure::once_into_js(function);
    // A browser that draws has it.
    let _asked = window.request_animation_frame(function.unchecked_ref());
}

/// The browser's monotonic clock.
pub(super) fn now_ms() -> f64 {
    web_sys::window().and_then(|window| window.performance()).map_or(0.0, |clock| clock.now())
}

impl Held {
    /// Another page is a step of the browser's history, another span is not.
    fn show_address(&mut self, place: &Place) {
        let is_step = self.page_key != place.page.key() && !self.page_key.is_empty();
        self.page_key = place.page.key();
        canvas::show_address(&place.fragment(), is_step);
    }

    fn paint(&mut self, signals: Signals, place: &Place) {
        let Self { screen: Some(screen), eye, played_ms, board, watch, said, painted, .. } = self else { return };
        screen.show_page(&place.page);
        // Of the signals nothing can be read while the desk is worked on.
        let status = Status::of(signals);
        eye.age_seconds = status.age;
        signals.with_desk(|desk| {
            let file = desk.file().map(|file| (file.name().to_owned(), file.bytes(), file.fault()));
            let feed = desk.shown_mut();
            feed.begin_painting();
            screen.sync(&place.page, feed.last());
            for subject in screen.wanted(&place.page) {
                feed.want(&subject);
            }
            if file.is_none() {
                watch.want(board, feed);
            }
            let frames = feed.store().frames();
            let view = feed.view(place.span);
            let paint = Paint::new(&view, place, *eye);
            screen.notices.paint(&status, &view, file.as_ref(), said.as_deref());
            let (row, crossed) = (view.row, watch.crossed().len());
            let (is_file, is_playing) = (file.is_some(), played_ms.is_some());
            let now = Painted { place: place.clone(), row, frames, crossed, status, is_file, is_playing };
            if painted.as_ref() != Some(&now) {
                screen.paint_figures(&now, &paint, watch.crossed());
                *painted = Some(now);
            }
            screen.paint_table_and_charts(&paint);
        });
    }
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
    fn find() -> Self {
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

    fn show_page(&mut self, page: &Page) {
        self.pages.iter_mut().for_each(|(key, node)| node.show(*key == page.key()));
    }

    /// Makes the cards that a page has.
    fn sync(&mut self, page: &Page, newest: &State) {
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

    fn wanted(&mut self, page: &Page) -> Vec<Subject> {
        self.cards(page).map(|cards| cards.wanted()).unwrap_or_default()
    }

    /// All that stays as it is while only a pointer moves.
    fn paint_figures(&mut self, now: &Painted, paint: &Paint<'_>, crossed: &[Crossed]) {
        let (view, place) = (paint.view, paint.place);
        let origin = Some(now.status.connection).filter(|_| !now.is_file);
        self.head.paint(place, origin);
        self.health.paint(view, place, &now.status, now.is_file, crossed.len());
        self.timebar.paint(view, place, now.is_playing);
        self.paint_controls(&place.page);
        match &place.page {
            Page::Overview => self.attention.paint(view, place, crossed),
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
    fn paint_table_and_charts(&mut self, paint: &Paint<'_>) {
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
    let words = words.to_ascii_lowercase();
    let fits = |name: &str, help: &str| {
        let text = [name, " ", help].concat().to_ascii_lowercase();
        words.split_ascii_whitespace().all(|word| text.contains(word))
    };
    let mut found: Vec<_> = newest.schema().families().iter().map(|family| &*family.descriptor).collect();
    found.retain(|descriptor| fits(descriptor.name(), descriptor.help_text()));
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
    let held = crate::plot::bytes(totals.bytes_held as f64);
    let took = crate::plot::millis(totals.snapshot_seconds * 1e3);
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
