//! What the reader does: clicks, keys, pointers, files. One listener a kind of event, for the whole page.

use js_sys::Function;
use wasm_bindgen::JsCast;
use wasm_bindgen::closure::Closure;
use wasm_bindgen::prelude::JsValue;
use web_sys::{Element, Event, KeyboardEvent, PointerEvent, WheelEvent};

use super::cards::Input;
use super::element::document;
use super::painter::{BOARD_KEY, now_ms};
use super::table::{Choose, ordered};
use super::{Painter, canvas, timebar};
use crate::plot::{Action, Key, Pointer};
use crate::signals::Signals;
use crate::state::{
    BOARD_MAX, Board, Chart, Listing, Page, Place, Query, Severity, Span, Threshold, WINDOWS, parse_number,
};
use crate::transport::{Desk, PIECE_BYTES};

const THEME_KEY: &str = "tachograph.theme";
/// The shortest and the longest span, in seconds.
const SPAN_SECONDS: (f64, f64) = (5.0, 3_600.0);

/// Listens from now on to all that the reader does.
pub(super) fn listen(signals: Signals, painter: Painter) {
    let Some(document) = document() else { return };
    let reader = Reader { signals, painter };
    canvas::set_theme(&canvas::kept(THEME_KEY));
    reader.follow_address();
    let on = |kind: &str, passive: bool, act: fn(&Reader, &Event)| {
        let reader = reader.clone();
        let listener = Closure::<dyn FnMut(Event)>::new(move |event: Event| act(&reader, &event));
        let function: &Function = listener.as_ref().unchecked_ref();
        // A document takes any listener.
        let options = web_sys::AddEventListenerOptions::new();
        options.set_passive(passive);
        options.set_capture(matches!(kind, "scroll" | "contentvisibilityautostatechange"));
        let _always_ok =
            document.add_event_listener_with_callback_and_add_event_listener_options(kind, function, &options);
        listener.forget();
    };
    on("click", true, Reader::click);
    on("input", true, Reader::input);
    on("change", true, Reader::changed);
    on("keydown", false, Reader::key);
    on("scroll", true, |reader, _| reader.painter.ask());
    on("contentvisibilityautostatechange", true, Reader::sight);
    for kind in ["pointerdown", "pointermove", "pointerup", "pointercancel", "pointerout", "dblclick"] {
        on(kind, true, Reader::pointer);
    }
    on("wheel", false, Reader::wheel);
    on("dragover", false, |_, event| event.prevent_default());
    on("drop", false, Reader::drop);
    on("visibilitychange", true, |reader, _| reader.painter.ask());
    let moved = reader.clone();
    let listener = Closure::<dyn FnMut()>::new(move || moved.follow_address());
    let resized = reader.clone();
    let resize = Closure::<dyn FnMut()>::new(move || resized.painter.ask());
    if let Some(window) = web_sys::window() {
        for kind in ["hashchange", "popstate"] {
            let _always_ok = window.add_event_listener_with_callback(kind, listener.as_ref().unchecked_ref());
        }
        let _always_ok = window.add_event_listener_with_callback("resize", resize.as_ref().unchecked_ref());
        watch_colours(&window, &reader);
    }
    listener.forget();
    resize.forget();
}

/// The system's theme can change under the page.
fn watch_colours(window: &web_sys::Window, reader: &Reader) {
    let Ok(Some(query)) = window.match_media("(prefers-color-scheme: dark)") else { return };
    let painter = reader.painter.clone();
    let listener = Closure::<dyn FnMut()>::new(move || {
        canvas::read_colours();
        painter.ask();
    });
    let _always_ok = query.add_event_listener_with_callback("change", listener.as_ref().unchecked_ref());
    listener.forget();
}

#[derive(Clone)]
struct Reader {
    signals: Signals,
    painter: Painter,
}

impl Reader {
    fn follow_address(&self) {
        let address = canvas::address();
        // A fragment such as #main is a place on the page, not one of the pages.
        if address.is_empty() || address.starts_with("#/") {
            let mut place = Place::parse(&address);
            self.open_board(&mut place.page);
            self.signals.go(place);
        }
    }

    /// The page of chosen charts is, where it is not said which, the one that is kept.
    fn open_board(&self, page: &mut Page) {
        if *page == Page::Board(Board::default()) {
            *page = Page::Board(self.painter.held.borrow().board.clone());
        }
    }

    fn change(&self, change: impl FnOnce(&mut Place)) {
        let mut place = self.signals.place();
        change(&mut place);
        self.signals.go(place);
    }

    fn go_to(&self, mut page: Page) {
        self.open_board(&mut page);
        self.change(|place| place.page = page);
    }

    fn click(&self, event: &Event) {
        let Some(target) = target(event) else { return };
        let Ok(Some(acting)) = target.closest("[data-act]") else { return };
        let act = acting.get_attribute("data-act").unwrap_or_default();
        let (verb, object) = act.split_once(':').unwrap_or((&act, ""));
        self.act(verb, object);
        self.painter.ask();
    }

    fn act(&self, verb: &str, object: &str) {
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

    fn live(&self) {
        self.painter.held.borrow_mut().played_ms = None;
        self.change(|place| place.span.until_ms = None);
    }

    /// Stops at the moment that is shown; what arrives is kept all the same.
    fn pause(&self) {
        self.painter.held.borrow_mut().played_ms = None;
        if self.signals.place().span.until_ms.is_none() {
            let newest = self.newest_ms();
            self.change(|place| place.span.until_ms = newest);
        }
    }

    fn play(&self) {
        let is_playing = self.painter.held.borrow().played_ms.is_some();
        self.pause();
        if !is_playing {
            self.painter.held.borrow_mut().played_ms = Some(now_ms());
        }
    }

    fn newest_ms(&self) -> Option<u64> {
        self.signals.with_desk(|desk| desk.shown().store().extent_ms().map(|(_, newest)| newest))
    }

    /// Goes to a tick that was received.
    fn step(&self, ticks: i64) {
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
    fn move_by(&self, moved_ms: f64) {
        let extent = self.signals.with_desk(|desk| desk.shown().store().extent_ms());
        let Some((oldest, newest)) = extent else { return };
        self.change(|place| {
            let until = place.span.until_ms.unwrap_or(newest) as f64 + moved_ms;
            place.span.until_ms = Some((until as u64).clamp(oldest, newest));
        });
    }

    fn zoom_to(&self, from_ms: f64, until_ms: f64) {
        let seconds = ((until_ms - from_ms) / 1_000.0).ceil().clamp(SPAN_SECONDS.0, SPAN_SECONDS.1);
        self.change(|place| place.span = Span { seconds: seconds as u32, until_ms: Some(until_ms.max(0.0) as u64) });
        self.move_by(0.0);
    }

    fn zoom_around(&self, at_ms: f64, factor: f64) {
        let span = self.signals.place().span;
        let Some(until) = span.until_ms.or(self.newest_ms()) else { return };
        let seconds = (f64::from(span.seconds) * factor).clamp(SPAN_SECONDS.0, SPAN_SECONDS.1);
        let factor = seconds / f64::from(span.seconds);
        let until = at_ms + (until as f64 - at_ms) * factor;
        self.zoom_to(until - seconds * 1_000.0, until);
    }

    /// The next shorter or longer span.
    fn zoom_step(&self, is_longer: bool) {
        let seconds = self.signals.place().span.seconds;
        let mut windows = WINDOWS.iter().map(|(window, _)| *window);
        let next = if is_longer {
            windows.find(|window| *window > seconds)
        } else {
            windows.rfind(|window| *window < seconds)
        };
        next.into_iter().for_each(|next| self.change(|place| place.span.seconds = next));
    }

    fn list(&self, change: impl FnOnce(&mut Listing)) {
        self.change(|place| {
            if let Page::Sessions(listing) = &mut place.page {
                change(listing);
            }
        });
    }

    fn board(&self, change: impl FnOnce(&mut Board)) {
        self.change(|place| {
            if let Page::Board(board) = &mut place.page {
                change(board);
            }
        });
    }

    fn theme(&self, name: &str) {
        let theme = if name == "system" { "" } else { name };
        canvas::set_theme(theme);
        canvas::read_colours();
        if !canvas::keep(THEME_KEY, theme) {
            self.painter.say("This browser does not let the page keep your choice.");
        }
    }

    /// Adds a chart to the board that is kept: the one that is open, or the one of a card.
    fn pin(&self, text: &str) {
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

    fn save_board(&self) {
        if let Page::Board(board) = self.signals.place().page {
            self.painter.held.borrow_mut().board = board;
            self.keep_board("The board is saved in this browser.");
        }
    }

    fn keep_board(&self, words: &str) {
        let text = self.painter.held.borrow().board.text();
        let is_kept = canvas::keep(BOARD_KEY, &text);
        self.painter.say(if is_kept {
            words
        } else {
            "This browser does not let the page keep the board. Copy its link instead."
        });
    }

    fn share(&self) {
        let text = [&canvas::address_base(), self.signals.place().fragment().as_str()].concat();
        let painter = self.painter.clone();
        let done = Closure::once_into_js(move |is_done: JsValue| {
            painter.say(if is_done.is_truthy() {
                "The link is copied."
            } else {
                "Copy the address from the browser's own bar: it is this view's link."
            });
        });
        canvas::copy(&text, done.unchecked_ref());
    }

    fn ask_to_notify(&self) {
        let painter = self.painter.clone();
        let done = Closure::once_into_js(move |is_allowed: JsValue| {
            painter.say(if is_allowed.is_truthy() {
                "You are told when a threshold of the saved board is crossed while this page is open."
            } else {
                "The browser does not allow it. The tab's title tells of thresholds all the same."
            });
        });
        canvas::ask_to_notify(done.unchecked_ref());
    }

    fn export(&self, kind: &str) {
        let place = self.signals.place();
        let mut held = self.painter.held.borrow_mut();
        let Some(screen) = &mut held.screen else { return };
        if kind == "png" {
            let Some((canvas, name)) = screen.cards(&place.page).and_then(|cards| cards.picture()) else { return };
            return canvas::save_picture(canvas, &name);
        }
        let text = self
            .signals
            .with_desk(|desk| screen.chart.export(&desk.shown_mut().view(place.span), &place, kind == "csv"));
        let (name, media) = if kind == "csv" { ("chart.csv", "text/csv") } else { ("chart.json", "application/json") };
        canvas::download(name, media, text.as_bytes());
    }

    fn input(&self, event: &Event) {
        let Some(target) = target(event) else { return };
        let value = canvas::value_of(&target);
        self.painter.ask();
        match target.id().as_str() {
            "sessions-words" => self.list(|listing| listing.words = value),
            "metrics-words" => self.go_to(Page::Metrics { words: value }),
            "events-words" => self.go_to(Page::Events { words: value }),
            "board-name" => self.board(|board| board.name = value),
            "scrub" => self.scrub(&value),
            id if id.starts_with("chart-") => self.change_chart(id, &value),
            _ => {}
        }
    }

    /// As what is put in, and a file that was chosen.
    fn changed(&self, event: &Event) {
        if target(event).is_some_and(|target| target.id() == "file") {
            self.open(&canvas::file_of(event));
        } else {
            self.input(event);
        }
    }

    fn scrub(&self, value: &str) {
        let position = parse_number(value).unwrap_or_default();
        let place = self.signals.place();
        let moment = self.signals.with_desk(|desk| timebar::moment(&desk.shown_mut().view(place.span), position));
        self.painter.held.borrow_mut().played_ms = None;
        self.change(|place| place.span.until_ms = moment);
    }

    fn change_chart(&self, id: &str, value: &str) {
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

    fn drop(&self, event: &Event) {
        event.prevent_default();
        self.open(&canvas::file_of(event));
    }

    /// Opens a recording or a board, by the file's name.
    fn open(&self, file: &JsValue) {
        if !file.is_truthy() {
            return;
        }
        canvas::close_dialogs();
        let (opened, read, ended) = (self.clone(), self.clone(), self.clone());
        let begin = Closure::once_into_js(move |name: String| {
            let is_board = name.ends_with(".tachoboard");
            if !is_board {
                opened.signals.with_desk(|desk| desk.open(&name));
                opened.live();
            }
            !is_board
        });
        let piece = Closure::<dyn FnMut(Vec<u8>) -> bool>::new(move |bytes: Vec<u8>| {
            let goes_on = read.signals.with_desk(|desk| desk.read(&bytes));
            read.signals.notify();
            goes_on
        });
        let end = Closure::once_into_js(move |text: String| ended.opened(&text));
        let piece = piece.into_js_value();
        let (begin, piece, end) = (begin.unchecked_ref(), piece.unchecked_ref(), end.unchecked_ref());
        canvas::read_file(file, PIECE_BYTES as u32, begin, piece, end);
    }

    /// A file was read to its end; a board's text with it.
    fn opened(&self, text: &str) {
        if text.is_empty() {
            self.signals.with_desk(Desk::end);
            self.signals.notify();
            return;
        }
        let board = Board::read(&Query::parse(text.trim()));
        if board.charts.is_empty() {
            return self.painter.say("This file holds no board. Choose one that this page saved.");
        }
        self.go_to(Page::Board(board));
    }

    fn sight(&self, event: &Event) {
        let skipped = js_sys::Reflect::get(event, &"skipped".into()).is_ok_and(|skipped| skipped.is_truthy());
        let (Some(target), page) = (target(event), self.signals.place().page) else { return };
        if let Some(screen) = &mut self.painter.held.borrow_mut().screen
            && let Some(cards) = screen.cards(&page)
        {
            cards.sight(&target, !skipped);
            self.painter.ask();
        }
    }

    fn pointer(&self, event: &Event) {
        let Some(target) = target(event) else { return };
        let kind = event.type_();
        let Some(pointer) = event.dyn_ref::<PointerEvent>() else {
            // A double click is a mouse event.
            if kind == "dblclick" {
                self.gesture(&target, Input::DoubleClick);
            }
            return;
        };
        let (x, y) = (pointer.offset_x() as f32, pointer.offset_y() as f32);
        let is_touch = pointer.pointer_type() != "mouse";
        // By a right button the browser's own menu opens.
        if !is_plot(&target) || (kind == "pointerdown" && pointer.button() > 1) {
            return;
        }
        if kind == "pointerdown" {
            canvas::capture(&target, pointer.pointer_id());
        }
        // A button that went up where nobody heard it is up.
        let kind = if kind == "pointermove" && pointer.buttons() == 0 && !is_touch { "pointerhover" } else { &kind };
        let moves_span = pointer.shift_key() || pointer.button() == 1;
        let pointer = Pointer { id: pointer.pointer_id(), x, y, is_touch, moves_span };
        self.gesture(
            &target,
            match kind {
                "pointerdown" => Input::Down(pointer),
                "pointermove" => Input::Move(pointer),
                "pointerhover" => Input::Hover(pointer),
                "pointerup" => Input::Up(pointer),
                "pointercancel" => Input::Cancel(pointer),
                _ => Input::Leave,
            },
        );
    }

    fn wheel(&self, event: &Event) {
        let (Some(target), Some(wheel)) = (target(event), event.dyn_ref::<WheelEvent>()) else { return };
        if (wheel.ctrl_key() || wheel.shift_key()) && is_plot(&target) {
            event.prevent_default();
            let delta = if wheel.delta_y() == 0.0 { wheel.delta_x() } else { wheel.delta_y() };
            self.gesture(&target, Input::Wheel { x: wheel.offset_x() as f32, delta });
        }
    }

    fn gesture(&self, target: &Element, input: Input) {
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

    fn carry_out(&self, action: Action, chart: Chart) {
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
    fn look(&self, action: Action) {
        let eye = &mut self.painter.held.borrow_mut().eye;
        eye.dragged_ms = None;
        match action {
            Action::Cursor(at) => eye.cursor_ms = Some(at),
            Action::CursorOff => eye.cursor_ms = None,
            Action::Select(from, to) => eye.dragged_ms = Some((from.min(to), from.max(to))),
            _ => {}
        }
    }

    fn key(&self, event: &Event) {
        let (Some(target), Some(key)) = (target(event), event.dyn_ref::<KeyboardEvent>()) else { return };
        if key.ctrl_key() || key.alt_key() || key.meta_key() {
            return;
        }
        let (name, tag) = (key.key(), target.tag_name());
        let is_typing = matches!(tag.as_str(), "INPUT" | "SELECT" | "TEXTAREA");
        let is_dialog = matches!(target.closest("dialog[open]"), Ok(Some(_)));
        if is_dialog || (is_typing && name != "Escape") {
            return;
        }
        let is_used = match target.id().as_str() {
            "sessions-table" => self.table_key(&name),
            _ if is_plot(&target) => self.plot_key(&target, &name, key.shift_key()),
            _ => false,
        };
        // A button or a link keeps the keys that are its own.
        let is_own = matches!(tag.as_str(), "BUTTON" | "A") && matches!(name.as_str(), " " | "Enter");
        if is_used || (!is_own && self.page_key(&name, key.shift_key())) {
            event.prevent_default();
            self.painter.ask();
        }
    }

    fn plot_key(&self, target: &Element, name: &str, shift: bool) -> bool {
        let is_known =
            matches!(name, "ArrowLeft" | "ArrowRight" | "Home" | "End" | "+" | "=" | "-" | "0" | "Enter" | "Escape");
        if is_known {
            self.gesture(target, Input::Key(Key { name: name.into(), shift }));
        }
        is_known
    }

    fn table_key(&self, name: &str) -> bool {
        let step = match name {
            "ArrowDown" => Choose::By(1),
            "ArrowUp" => Choose::By(-1),
            "PageDown" => Choose::By(10),
            "PageUp" => Choose::By(-10),
            "Home" => Choose::First,
            "End" => Choose::Last,
            "Enter" => {
                let chosen = self.painter.held.borrow().screen.as_ref().and_then(|screen| screen.table.chosen());
                chosen.into_iter().for_each(|key| self.go_to(Page::Session(key)));
                return true;
            }
            _ => return false,
        };
        if let Some(screen) = &mut self.painter.held.borrow_mut().screen {
            screen.table.choose(step);
        }
        true
    }

    fn page_key(&self, name: &str, shift: bool) -> bool {
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

    fn focus_search(&self) {
        let selector = ["#page-", self.signals.place().page.key(), " input"].concat();
        let found = document().and_then(|page| page.query_selector(&selector).ok().flatten());
        if let Some(input) = found.and_then(|input| input.dyn_into::<web_sys::HtmlElement>().ok()) {
            // What is shown can be focused.
            let _always_ok = input.focus();
        }
    }
}

fn target(event: &Event) -> Option<Element> {
    event.target()?.dyn_into().ok()
}

fn is_plot(element: &Element) -> bool {
    element.class_list().contains("plot")
}
