//! Files that are opened and saved.

use wasm_bindgen::JsCast;
use wasm_bindgen::closure::Closure;
use wasm_bindgen::prelude::JsValue;
use web_sys::Event;

use super::act::Reader;
use super::canvas;
use crate::state::{Board, Page, Query};
use crate::transport::{Desk, PIECE_BYTES};

impl Reader {
    pub(super) fn export(&self, kind: &str) {
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

    pub(super) fn drop(&self, event: &Event) {
        event.prevent_default();
        self.open(&canvas::file_of(event));
    }

    /// Opens a recording or a board, by the file's name.
    pub(super) fn open(&self, file: &JsValue) {
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
    pub(super) fn opened(&self, text: &str) {
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
}
