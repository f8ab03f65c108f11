use std::cell::{Cell, RefCell};
use std::rc::Rc;

use wasm_bindgen::JsCast;
use wasm_bindgen::closure::Closure;

use super::canvas;
use super::listen::listen;
use super::notices::Status;
use super::paint::{Eye, Paint};
use super::screen::Screen;
use super::watch::Watch;
use crate::signals::Signals;
use crate::state::{Board, Place, Query};

/// What one painting may spend on the past of charts, in milliseconds: less than what a frame of the
/// screen leaves.
const WORK_MS: f64 = 8.0;
/// How long what is said stands there, in milliseconds.
const SAID_MS: u32 = 6_000;
/// How often the past of a chart is shown while it is made, in milliseconds.
const PROGRESS_MS: f64 = 150.0;
/// Frames between two paintings that are so many only where the past comes in.
const CATCHING_UP_FRAMES: u64 = 5;
/// How often the page is painted then, in milliseconds.
const CATCHING_UP_MS: f64 = 300.0;
/// Drawings of the screen without anything new, once the past is there.
const QUIET_DRAWINGS: u32 = 2;
/// Where the board is kept.
pub(super) const BOARD_KEY: &str = "tachograph.board";

/// Paints what is shown, once for all that changed since the screen was drawn last.
#[derive(Clone)]
pub struct Painter {
    pub(super) signals: Signals,
    pub(super) held: Rc<RefCell<Held>>,
    is_asked: Rc<Cell<bool>>,
    is_working: Rc<Cell<bool>>,
    /// Drawings of the screen that were passed over since something was new.
    quiet: Rc<Cell<u32>>,
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
    /// When that was, in milliseconds.
    painted_ms: f64,
    /// The page that the address shows.
    page_key: &'static str,
}

/// What all but the charts depends on.
#[derive(Clone, PartialEq)]
pub(super) struct Painted {
    place: Place,
    row: u64,
    frames: u64,
    crossed: usize,
    pub(super) status: Status,
    pub(super) is_file: bool,
    pub(super) is_playing: bool,
}

impl Painter {
    /// Once the page is there: listens to the reader, and paints after whatever changes.
    pub fn start(signals: Signals) {
        let eye = Eye { zone_minutes: canvas::zone_minutes(), ..Eye::default() };
        let board = Board::read(&Query::parse(&canvas::kept(BOARD_KEY)));
        let held = Rc::new(RefCell::new(Held { eye, board, ..Held::default() }));
        let painter = Self { signals, held, is_asked: Rc::default(), is_working: Rc::default(), quiet: Rc::default() };
        let is_begun = Cell::new(false);
        signals.on_change(move || {
            if !is_begun.replace(true) {
                listen(signals, painter.clone());
            }
            painter.quiet.set(0);
            painter.watch();
            painter.ask();
        });
    }

    /// Paints before the screen is drawn next.
    pub(super) fn ask(&self) {
        if !self.is_asked.replace(true) {
            let painter = self.clone();
            before_drawing(Box::new(move || {
                painter.is_asked.set(false);
                painter.paint();
            }));
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
        if self.is_catching_up(now) {
            return self.ask();
        }
        self.play(now);
        let place = self.signals.place();
        let is_playing = {
            let mut held = self.held.borrow_mut();
            held.screen.get_or_insert_with(Screen::find);
            held.show_address(&place);
            held.paint(self.signals, &place);
            held.painted_ms = now;
            held.played_ms.is_some()
        };
        if is_playing {
            self.ask();
        }
        self.signals.painted();
        self.work(now);
    }

    /// While the past comes in it is painted now and then only, so that it is there sooner.
    fn is_catching_up(&self, now: f64) -> bool {
        let held = self.held.borrow();
        let Some(painted) = &held.painted else { return false };
        let frames = self.signals.with_desk(|desk| desk.shown().store().frames());
        let is_much = painted.frames > 0 && frames > painted.frames + CATCHING_UP_FRAMES;
        let quiet = self.quiet.get() + 1;
        self.quiet.set(quiet);
        is_much && now - held.painted_ms < CATCHING_UP_MS && quiet <= QUIET_DRAWINGS
    }

    /// Goes on with the past of what is looked at; it is painted when it is done, and now and then before.
    fn work(&self, painted_ms: f64) {
        if self.is_working.replace(true) {
            return;
        }
        let painter = self.clone();
        before_drawing(Box::new(move || {
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
        }));
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
fn before_drawing(function: Box<dyn FnOnce()>) {
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
