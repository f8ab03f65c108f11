use tachograph_core::wire::frame::{Cell, SourceView};
use tachograph_core::wire::{SessionPhase, SourceName};

use super::element::Node;
use super::overview::missing_text;
use crate::plot::{count, decimal, duration, millis, percent, seconds};
use crate::state::{
    Listing, Order, Page, Place, SPARK_TICKS, SessionKey, TableRow, View, level_of, listed, name_of, order_named,
};

/// A column: what it is ordered by, its heading and what that means.
const COLUMNS: [(&str, &str, &str); 11] = [
    ("name", "Session and source", "Whose figures they are"),
    ("worst", "State", "The worst that is wrong with it"),
    ("queue_fill_ratio", "Fill", "The larger of bytes and frames waiting, each by its bound"),
    ("spark", "Fill, 90 s", "How full its queue was in the last 90 ticks"),
    ("backlog_seconds", "Backlog", "Audio waiting in the queue"),
    ("infer_p50_ms", "Inference p50", "Half of the last 100 chunks took no longer inside the provider"),
    ("infer_p99_ms", "p99", "99 of the last 100 chunks took no longer inside the provider"),
    ("realtime_factor", "Realtime factor", "Time inside the provider by audio time; from 1 on it falls behind"),
    ("dropped_total", "Drops", "Frames dropped since start, and in the last 10 s"),
    ("degrade_level", "Ladder", "What it does without to keep up"),
    ("voice_ratio", "Voice", "Share of voice in the newest chunk"),
];
const AGE: (&str, &str, &str) = ("age", "Age", "Since the session's start");
const ROW: &str = r#"<span role="gridcell" class="who"><a tabindex="-1" data-part></a></span><span role="gridcell" data-part></span><span role="gridcell" class="fig" data-part></span><span role="gridcell" aria-label="how full the queue was"><canvas class="spark" data-part></canvas></span><span role="gridcell" class="fig" data-part></span><span role="gridcell" class="fig" data-part></span><span role="gridcell" class="fig" data-part></span><span role="gridcell" class="fig" data-part></span><span role="gridcell" class="fig" data-part></span><span role="gridcell" data-part></span><span role="gridcell" data-part></span><span role="gridcell" class="fig" data-part></span>"#;
/// Rows beyond the visible ones that exist, above and below.
const SPARE_ROWS: usize = 4;
/// A row's height in pixels before there is one; the style sheet says it.
const ROW_PIXELS: f64 = 44.0;

/// The table of sessions. Of its rows only those exist that can be seen.
#[derive(Debug)]
pub(super) struct Table {
    heads: Vec<Node>,
    body: Node,
    space: Node,
    rows: Vec<Row>,
    none: Node,
    told: Node,
    whole: Node,
    chosen: usize,
    /// Whose the rows are, in their order.
    keys: Vec<RowKey>,
    row_pixels: f64,
}

/// Whose a row is.
type RowKey = (SessionKey, Option<SourceName>);

#[derive(Debug)]
struct Row {
    node: Node,
    parts: Vec<Node>,
    place: Option<(usize, f64)>,
}

/// A step of the choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Choose {
    By(isize),
    First,
    Last,
}

impl Table {
    pub(super) fn find() -> Self {
        let head = Node::by_id("sessions-head");
        let heads = COLUMNS.iter().chain([&AGE]).map(|(key, title, meaning)| {
            let mut column = Node::made("span", "", &head);
            column.set("role", "columnheader");
            column.set("title", meaning);
            if *key == "spark" {
                column.text(title);
                return column;
            }
            let mut button = Node::made("button", "", &column);
            button.set("type", "button");
            button.set("data-testid", &["sort-", key].concat());
            button.set("data-act", &["sort:", key].concat());
            button.text(title);
            column
        });
        Self {
            heads: heads.collect(),
            body: Node::by_id("sessions-body"),
            space: Node::by_id("sessions-rows"),
            rows: Vec::new(),
            none: Node::by_id("sessions-none"),
            told: Node::by_id("sessions-count"),
            whole: Node::by_id("sessions-table"),
            chosen: 0,
            keys: Vec::new(),
            row_pixels: ROW_PIXELS,
        }
    }

    pub(super) fn paint(&mut self, view: &View<'_>, place: &Place, listing: &Listing) {
        self.paint_heads(listing);
        let Some(state) = view.state else { return self.say(missing_text(view)) };
        let rows = listed(state, listing);
        let all = state.session_views().len();
        self.told.text(&[&count(rows.len() as u64), " rows, ", &count(all as u64), " sessions"].concat());
        match (rows.is_empty(), all) {
            (false, _) => self.say(""),
            (true, 0) => self.say("No session is live. Start one: tachograph stream FILE.wav"),
            (true, _) => self.say("No session fits the filter."),
        }
        self.keep_choice(&rows, view.tag);
        self.whole.set("aria-rowcount", &(rows.len() + 1).to_string());
        let height = self.measure();
        self.space.style("height", &pixels(rows.len() as f64 * height));
        let (top, room) = self.scrolled();
        let visible = (room / height) as usize + 2 * SPARE_ROWS;
        let first = ((top / height) as usize).saturating_sub(SPARE_ROWS).min(rows.len());
        let last = (first + visible).min(rows.len());
        self.make_rows(last - first);
        for (offset, row) in self.rows.iter_mut().enumerate() {
            let number = first + offset;
            let content = rows.get(number).filter(|_| number < last);
            row.put(content.map(|_| number), offset, height);
            content.iter().for_each(|content| row.paint(content, view, place, number == self.chosen));
        }
        let active = if rows.is_empty() { String::new() } else { row_id(self.chosen) };
        self.whole.set("aria-activedescendant", &active);
    }

    /// Moves the choice, and scrolls to it.
    pub(super) fn choose(&mut self, step: Choose) {
        let last = self.keys.len().saturating_sub(1);
        self.chosen = match step {
            Choose::By(by) => self.chosen.saturating_add_signed(by).min(last),
            Choose::First => 0,
            Choose::Last => last,
        };
        let (height, (top, room)) = (self.row_pixels, self.scrolled());
        let above = self.chosen as f64 * height;
        let to = if above < top { above } else { (above + height - room).max(top) };
        self.body.element().set_scroll_top(to as i32);
    }

    /// The session that is chosen.
    pub(super) fn chosen(&self) -> Option<SessionKey> {
        self.keys.get(self.chosen).map(|(session, _)| *session)
    }

    /// The choice stays with whom it is of, where the order changes.
    fn keep_choice(&mut self, rows: &[TableRow<'_>], tag: u32) {
        let key = |row: &TableRow<'_>| {
            (SessionKey { tag, id: row.session.id() }, row.source.as_ref().map(SourceView::source))
        };
        let held = self.keys.get(self.chosen).copied();
        self.keys.clear();
        self.keys.extend(rows.iter().map(key));
        let stays = held.is_none() || self.keys.get(self.chosen) == held.as_ref();
        let found = if stays { None } else { self.keys.iter().position(|key| Some(*key) == held) };
        self.chosen = found.unwrap_or(self.chosen).min(self.keys.len().saturating_sub(1));
    }

    /// How far it is scrolled, and how much of it can be seen, in pixels.
    fn scrolled(&self) -> (f64, f64) {
        let element = self.body.element();
        (f64::from(element.scroll_top()), f64::from(element.client_height()))
    }

    /// A row's height, as the style sheet has it.
    fn measure(&mut self) -> f64 {
        let shown = self.rows.iter().map(|row| f64::from(row.node.element().offset_height()));
        self.row_pixels = shown.fold(0.0, f64::max);
        if self.row_pixels < 1.0 {
            self.row_pixels = ROW_PIXELS;
        }
        self.row_pixels
    }

    fn paint_heads(&mut self, listing: &Listing) {
        let keys = COLUMNS.iter().chain([&AGE]).map(|(key, ..)| *key);
        for (head, key) in self.heads.iter_mut().zip(keys) {
            let is_order = key == order_key(listing.order);
            let is_up = listing.is_reversed != (key == "name");
            head.set(
                "aria-sort",
                if !is_order {
                    "none"
                } else if is_up {
                    "ascending"
                } else {
                    "descending"
                },
            );
        }
    }

    fn make_rows(&mut self, wanted: usize) {
        while self.rows.len() < wanted {
            let mut node = Node::made("div", "row", &self.space);
            node.set("role", "row");
            node.set("data-testid", "source-row");
            node.fill(ROW);
            let parts = node.parts();
            self.rows.push(Row { node, parts, place: None });
        }
    }

    fn say(&mut self, words: &str) {
        self.none.show(!words.is_empty());
        self.none.text(words);
        self.whole.show(words.is_empty());
    }
}

impl Row {
    /// Puts it where the row of this number stands; out of sight where there is none.
    fn put(&mut self, number: Option<usize>, offset: usize, height: f64) {
        self.node.show(number.is_some());
        let place = number.map(|number| (number, height));
        if self.place == place {
            return;
        }
        self.place = place;
        let Some(number) = number else { return self.node.set("id", &["row-unused-", &offset.to_string()].concat()) };
        let shift = ["translateY(", &pixels(number as f64 * height), ")"].concat();
        self.node.style("transform", &shift);
        self.node.set("aria-rowindex", &(number + 2).to_string());
        self.node.set("id", &row_id(number));
    }

    fn paint(&mut self, content: &TableRow<'_>, view: &View<'_>, place: &Place, is_chosen: bool) {
        let session = content.session;
        let key = SessionKey { tag: view.tag, id: session.id() };
        let name = name_of(session.identity());
        let source = content.source.as_ref();
        let of = source.map_or_else(|| "no audio yet".into(), |source| source.source().to_string());
        self.node.set("data-severity", content.severity().key());
        self.node.set("data-session", name);
        self.node.set("data-source", &of);
        self.node.set("aria-selected", if is_chosen { "true" } else { "false" });
        let draining = session.phase() == SessionPhase::Draining;
        let state = match content.trouble {
            Some(trouble) => trouble.words(),
            None if draining => "draining",
            None => "keeps up",
        };
        let texts = source.map(texts).unwrap_or_default();
        let mut parts = self.parts.iter_mut();
        let mut next = |text: &str, raw: Option<(&'static str, f64)>| {
            let Some(part) = parts.next() else { return };
            part.text(text);
            if let Some((figure, raw)) = raw {
                part.set("data-figure", figure);
                part.set("data-value", &crate::plot::exact(raw, ""));
            }
        };
        next(&[name, " · ", &of].concat(), None);
        next(state, None);
        let raw = |cell: Cell| source.and_then(|source| Some((cell.name(), source.cell(cell)?)));
        next(&texts[0], raw(Cell::QueueFillRatio));
        // The sparkline has no text.
        next("", None);
        next(&texts[1], raw(Cell::BacklogSeconds));
        next(&texts[2], raw(Cell::InferP50Ms));
        next(&texts[3], raw(Cell::InferP99Ms));
        next(&texts[4], raw(Cell::RealtimeFactor));
        next(&texts[5], raw(Cell::DroppedTotal));
        next(&texts[6], None);
        next(&texts[7], None);
        next(&duration(session.age_seconds()), None);
        if let Some(link) = self.parts.first_mut() {
            link.set("href", &place.with(Page::Session(key)).fragment());
            link.set("title", name);
        }
        self.paint_spark(content, view);
    }

    fn paint_spark(&self, content: &TableRow<'_>, view: &View<'_>) {
        let Some(canvas) = self.parts.get(3) else { return };
        let source = content.source.as_ref().map(SourceView::source);
        let fills = source.and_then(|source| view.sparks.fills((view.tag, view.row), content.session.id(), source));
        let fills = fills.unwrap_or([f32::NAN; SPARK_TICKS]);
        super::canvas::paint_spark(canvas, &fills);
    }
}

/// The cells of figures.
fn texts(source: &SourceView<'_>) -> [String; 8] {
    let figure = |cell| source.cell(cell).unwrap_or_default();
    let drops = [count(figure(Cell::DroppedTotal) as u64), count(figure(Cell::DroppedChunksLast10s) as u64)];
    let level = source.cell(Cell::DegradeLevel).and_then(level_of);
    let voice = match source.cell(Cell::VoiceRatio) {
        None if figure(Cell::VadEnabled) > 0.0 => "not yet".into(),
        None => "off".into(),
        Some(ratio) => percent(ratio),
    };
    [
        percent(figure(Cell::QueueFillRatio)),
        seconds(figure(Cell::BacklogSeconds)),
        millis(figure(Cell::InferP50Ms)),
        millis(figure(Cell::InferP99Ms)),
        decimal(figure(Cell::RealtimeFactor), 2),
        [&drops[0], " (", &drops[1], ")"].concat(),
        level.map_or("unknown", |level| level.as_str()).to_ascii_lowercase(),
        voice,
    ]
}

/// The listing after its order was chosen: chosen twice, it is the other way round.
pub(super) fn ordered(listing: &Listing, key: &str) -> Listing {
    let order = order_named(key);
    let is_reversed = order == listing.order && !listing.is_reversed;
    Listing { order, is_reversed, ..listing.clone() }
}

fn order_key(order: Order) -> &'static str {
    match order {
        Order::Worst => "worst",
        Order::Name => "name",
        Order::Age => "age",
        Order::Figure(cell) => cell.name(),
    }
}

fn row_id(number: usize) -> String {
    ["row-", &number.to_string()].concat()
}

fn pixels(length: f64) -> String {
    [&(length.max(0.0) as u64).to_string(), "px"].concat()
}
