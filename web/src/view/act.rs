//! What the reader does, whatever it was done by.

use wasm_bindgen::JsCast;
use wasm_bindgen::closure::Closure;
use wasm_bindgen::prelude::JsValue;
use web_sys::Element;

use super::cards::Input;
use super::element::document;
use super::listen::is_plot;
use super::painter::{BOARD_KEY, now_ms};
use super::table::ordered;
use super::{Painter, canvas, timebar};
use crate::plot::Action;
use crate::signals::Signals;
use crate::state::{
    BOARD_MAX, Board, Chart, Listing, Page, Place, Query, Severity, Span, Threshold, WINDOWS, parse_number,
};
use crate::transport::Desk;

/// Where the theme is kept.
pub(super) const THEME_KEY: &str = "tachograph.theme";
/// The shortest and the longest span, in seconds.
const SPAN_SECONDS: (f64, f64) = (5.0, 3_600.0);

/// Who reads the page, and what they can do.
#[derive(Clone)]
pub(super) struct Reader {
    pub(super) signals: Signals,
    pub(super) painter: Painter,
}

impl Reader {
    /// The page of chosen charts is, where it is not said which, the one that is kept.
    pub(super) fn open_board(&self, page: &mut Page) {
        if *page == Page::Board(Board::default()) {
            *page = Page::Board(self.painter.held.borrow().board.clone());
        }
    }

    pub(super) fn change(&self, change: impl FnOnce(&mut Place)) {
        let mut place = self.signals.place();
        change(&mut place);
        self.signals.go(place);
    }

    pub(super) fn go_to(&self, mut page: Page) {
        self.open_board(&mut page);
        self.change(|place| place.page = page);
    }

    pub(super) fn act(&self, verb: &str, object: &str) {
        match verb {
            "hurry" => self.signals.hurry(),
            "live" => self.live(),
            "pause" => self.pause(),
            "play" => self.play(),
            "step" => self.step(object.parse().unwrap_or_default()),
            "window" => self.change(|place| place.span.seconds = object.parse().unwrap_or(place.span.seconds)),
            "state" => self.list(|listing| {
                listing.at_least = match object {
                    "caution" => Severity::Caution,
                    "alarm" => Severity::Alarm,
                    _ => Severity::Well,
                }
            }),
            "sort" => self.list(|listing| *listing = ordered(listing, object)),
            "menu" | "help" => {
                document().and_then(|page| page.get_element_by_id(verb)).iter().for_each(canvas::open_dialog);
            }
            "close" => canvas::close_dialogs(),
            "theme" => self.theme(object),
            "close-file" => {
                self.signals.with_desk(Desk::close);
                self.live();
            }
            "pin" => self.pin(object),
            "unpin" => self.board(|board| board.charts.retain(|chart| chart.text() != object)),
            "board-save" => self.save_board(),
            "board-file" => {
                if let Page::Board(board) = self.signals.place().page {
                    canvas::download("board.tachoboard", "text/plain", board.text().as_bytes());
                }
            }
            "share" => self.share(),
            "notify" => self.ask_to_notify(),
            "record" => {
                let bytes = self.signals.with_desk(|desk| desk.shown().recording());
                canvas::download("recording.tacho", "application/octet-stream", &bytes);
            }
            "png" | "csv" | "json" => self.export(verb),
            _ => {}
        }
    }

    pub(super) fn live(&self) {
        self.painter.held.borrow_mut().played_ms = None;
        self.change(|place| place.span.until_ms = None);
    }

    /// Stops at the moment that is shown; what arrives is kept all the same.
    pub(super) fn pause(&self) {
        self.painter.held.borrow_mut().played_ms = None;
        if self.signals.place().span.until_ms.is_none() {
            let newest = self.newest_ms();
            self.change(|place| place.span.until_ms = newest);
        }
    }

    pub(super) fn play(&self) {
        let is_playing = self.painter.held.borrow().played_ms.is_some();
        self.pause();
        if !is_playing {
            self.painter.held.borrow_mut().played_ms = Some(now_ms());
        }
    }

    pub(super) fn newest_ms(&self) -> Option<u64> {
        self.signals.with_desk(|desk| desk.shown().store().extent_ms().map(|(_, newest)| newest))
    }

    /// Goes to a tick that was received.
    pub(super) fn step(&self, ticks: i64) {
        self.pause();
        let span = self.signals.place().span;
        let found = self.signals.with_desk(|desk| {
            let feed = desk.shown();
            let held = feed.store().ticks();
            held.head(held.neighbour(feed.row_of(span)?, ticks)).map(|head| head.wall_ms)
        });
        found.into_iter().for_each(|at| self.change(|place| place.span.until_ms = Some(at)));
    }

    /// Moves the span, as far as there is something.
    pub(super) fn move_by(&self, moved_ms: f64) {
        let extent = self.signals.with_desk(|desk| desk.shown().store().extent_ms());
        let Some((oldest, newest)) = extent else { return };
        self.change(|place| {
            let until = place.span.until_ms.unwrap_or(newest) as f64 + moved_ms;
            place.span.until_ms = Some((until as u64).clamp(oldest, newest));
        });
    }

    pub(super) fn zoom_to(&self, from_ms: f64, until_ms: f64) {
        let seconds = ((until_ms - from_ms) / 1_000.0).ceil().clamp(SPAN_SECONDS.0, SPAN_SECONDS.1);
        self.change(|place| place.span = Span { seconds: seconds as u32, until_ms: Some(until_ms.max(0.0) as u64) });
        self.move_by(0.0);
    }

    pub(super) fn zoom_around(&self, at_ms: f64, factor: f64) {
        let span = self.signals.place().span;
        let Some(until) = span.until_ms.or(self.newest_ms()) else { return };
        let seconds = (f64::from(span.seconds) * factor).clamp(SPAN_SECONDS.0, SPAN_SECONDS.1);
        let factor = seconds / f64::from(span.seconds);
        let until = at_ms + (until as f64 - at_ms) * factor;
        self.zoom_to(until - seconds * 1_000.0, until);
    }

    /// The next shorter or longer span.
    pub(super) fn zoom_step(&self, is_longer: bool) {
        let seconds = self.signals.place().span.seconds;
        let mut windows = WINDOWS.iter().map(|(window, _)| *window);
        let next = if is_longer {
            windows.find(|window| *window > seconds)
        } else {
            windows.rfind(|window| *window < seconds)
        };
        next.into_iter().for_each(|next| self.change(|place| place.span.seconds = next));
    }

    pub(super) fn list(&self, change: impl FnOnce(&mut Listing)) {
        self.change(|place| {
            if let Page::Sessions(listing) = &mut place.page {
                change(listing);
            }
        });
    }

    pub(super) fn board(&self, change: impl FnOnce(&mut Board)) {
        self.change(|place| {
            if let Page::Board(board) = &mut place.page {
                change(board);
            }
        });
    }

    pub(super) fn theme(&self, name: &str) {
        let theme = if name == "system" { "" } else { name };
        canvas::set_theme(theme);
        canvas::read_colours();
        if !canvas::keep(THEME_KEY, theme) {
            self.painter.say("This browser does not let the page keep your choice.");
        }
    }

    /// Adds a chart to the board that is kept: the one that is open, or the one of a card.
    pub(super) fn pin(&self, text: &str) {
        let chart = match &self.signals.place().page {
            Page::Chart(chart) if text.is_empty() => Some(chart.clone()),
            _ => Chart::read(&Query::parse(text)),
        };
        let Some(chart) = chart else { return };
        let words = {
            let board = &mut self.painter.held.borrow_mut().board;
            match () {
                () if board.charts.contains(&chart) => "The board has this chart already.",
                () if board.replace(&chart) => "The chart on the board has this threshold now.",
                () if board.charts.len() >= BOARD_MAX => "The board is full. Take a chart off it first.",
                () => {
                    board.charts.push(chart);
                    "Added to the board."
                }
            }
        };
        self.keep_board(words);
    }

    pub(super) fn save_board(&self) {
        if let Page::Board(board) = self.signals.place().page {
            self.painter.held.borrow_mut().board = board;
            self.keep_board("The board is saved in this browser.");
        }
    }

    pub(super) fn keep_board(&self, words: &str) {
        let text = self.painter.held.borrow().board.text();
        let is_kept = canvas::keep(BOARD_KEY, &text);
        self.painter.say(if is_kept {
            words
        } else {
            "This browser does not let the page keep the board. Copy its link instead."
        });
    }

    pub(super) fn share(&self) {
        let text = [&canvas::address_base(), self.signals.place().fragment().as_str()].concat();
        let done = self
            .say_which("The link is copied.", "Copy the address from the browser's own bar: it is this view's link.");
        canvas::copy(&text, done.unchecked_ref());
    }

    pub(super) fn ask_to_notify(&self) {
        let done = self.say_which(
            "You are told when a threshold of the saved board is crossed while this page is open.",
            "The browser does not allow it. The tab's title tells of thresholds all the same.",
        );
        canvas::ask_to_notify(done.unchecked_ref());
    }

    /// A function that says one of two things, by what it is told.
    fn say_which(&self, yes: &'static str, no: &'static str) -> JsValue {
        let painter = self.painter.clone();
        Closure::once_into_js(move |is: JsValue| painter.say(if is.is_truthy() { yes } else { no }))
    }

    pub(super) fn scrub(&self, value: &str) {
        let position = parse_number(value).unwrap_or_default();
        let place = self.signals.place();
        let moment = self.signals.with_desk(|desk| timebar::moment(&desk.shown_mut().view(place.span), position));
        self.painter.held.borrow_mut().played_ms = None;
        self.change(|place| place.span.until_ms = moment);
    }

    pub(super) fn change_chart(&self, id: &str, value: &str) {
        let mut place = self.signals.place();
        let Page::Chart(chart) = &mut place.page else { return };
        if matches!(id, "chart-limit" | "chart-side") {
            let field =
                |id: &str| document().and_then(|page| page.get_element_by_id(id)).map(|field| canvas::value_of(&field));
            let limit = parse_number(&field("chart-limit").unwrap_or_default());
            let side = field("chart-side").unwrap_or_default();
            chart.threshold =
                limit.filter(|_| side != "none").map(|limit| Threshold { limit, is_floor: side == "below" });
        } else {
            super::chart_page::choose(chart, id, value);
        }
        self.signals.go(place);
    }

    pub(super) fn gesture(&self, target: &Element, input: Input) {
        if !is_plot(target) {
            return;
        }
        let page = self.signals.place().page;
        let action = {
            let mut held = self.painter.held.borrow_mut();
            held.screen.as_mut().and_then(|screen| screen.cards(&page)?.gesture(target, input))
        };
        action.into_iter().for_each(|(action, chart)| self.carry_out(action, chart));
        self.painter.ask();
    }

    pub(super) fn carry_out(&self, action: Action, chart: Chart) {
        self.look(action);
        match action {
            Action::Zoom(from, to) => self.zoom_to(from, to),
            Action::Pan(by) => self.move_by(by),
            Action::ZoomAround(at, factor) => self.zoom_around(at, factor),
            Action::Reset => self.change(|place| place.span = Span::default()),
            Action::Step(ticks) => self.step(ticks.into()),
            Action::Open => self.go_to(Page::Chart(chart)),
            Action::None | Action::Cursor(_) | Action::CursorOff | Action::Select(..) => {}
        }
    }

    /// The moment and the span that are looked at while a pointer moves.
    pub(super) fn look(&self, action: Action) {
        let eye = &mut self.painter.held.borrow_mut().eye;
        eye.dragged_ms = None;
        match action {
            Action::Cursor(at) => eye.cursor_ms = Some(at),
            Action::CursorOff => eye.cursor_ms = None,
            Action::Select(from, to) => eye.dragged_ms = Some((from.min(to), from.max(to))),
            _ => {}
        }
    }

    pub(super) fn page_key(&self, name: &str, shift: bool) -> bool {
        let steps = if shift { 10 } else { 1 };
        match name {
            "1" => self.go_to(Page::Overview),
            "2" => self.go_to(Page::Sessions(Listing::default())),
            "3" => self.go_to(Page::Metrics { words: String::new() }),
            "4" => self.go_to(Page::Events { words: String::new() }),
            "5" => self.go_to(Page::Board(Board::default())),
            " " if self.signals.place().span.until_ms.is_some() => self.live(),
            " " => self.pause(),
            "l" => self.live(),
            "p" => self.play(),
            "ArrowLeft" => self.step(-steps),
            "ArrowRight" => self.step(steps),
            "[" => self.zoom_step(false),
            "]" => self.zoom_step(true),
            "m" => self.act("menu", ""),
            "?" => self.act("help", ""),
            "/" => self.focus_search(),
            "Escape" => {
                self.painter.held.borrow_mut().eye.cursor_ms = None;
            }
            _ => return false,
        }
        true
    }

    pub(super) fn focus_search(&self) {
        let selector = ["#page-", self.signals.place().page.key(), " input"].concat();
        let found = document().and_then(|page| page.query_selector(&selector).ok().flatten());
        if let Some(input) = found.and_then(|input| input.dyn_into::<web_sys::HtmlElement>().ok()) {
            // What is shown can be focused.
            let _always_ok = input.focus();
        }
    }
}
