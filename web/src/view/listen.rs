//! What the browser tells: one listener a kind of event, for the whole page.

use js_sys::Function;
use wasm_bindgen::JsCast;
use wasm_bindgen::closure::Closure;
use web_sys::{Element, Event, EventTarget, KeyboardEvent, PointerEvent, WheelEvent};

use super::act::{Reader, THEME_KEY};
use super::cards::Input;
use super::element::document;
use super::table::Choose;
use super::{Painter, canvas};
use crate::plot::{Key, Pointer};
use crate::signals::Signals;
use crate::state::{Page, Place};

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
        options.set_capture(kind == "scroll");
        let _always_ok =
            document.add_event_listener_with_callback_and_add_event_listener_options(kind, function, &options);
        listener.forget();
    };
    on("click", true, Reader::click);
    on("input", true, Reader::input);
    on("change", true, Reader::changed);
    on("keydown", false, Reader::key);
    on("scroll", true, |reader, _| reader.painter.ask());
    on("sight", true, Reader::sight);
    for kind in ["pointerdown", "pointermove", "pointerup", "pointercancel", "pointerout", "dblclick"] {
        on(kind, true, Reader::pointer);
    }
    on("wheel", false, Reader::wheel);
    on("dragover", false, |_, event| event.prevent_default());
    on("drop", false, Reader::drop);
    on("visibilitychange", true, |reader, _| reader.painter.ask());
    let Some(window) = web_sys::window() else { return };
    let on = |target: &EventTarget, kind: &str, act: fn(&Reader)| {
        let reader = reader.clone();
        let listener = Closure::<dyn FnMut()>::new(move || act(&reader));
        let _always_ok = target.add_event_listener_with_callback(kind, listener.as_ref().unchecked_ref());
        listener.forget();
    };
    on(&window, "hashchange", Reader::follow_address);
    on(&window, "popstate", Reader::follow_address);
    on(&window, "resize", |reader| reader.painter.ask());
    if let Ok(Some(system)) = window.match_media("(prefers-color-scheme: dark)") {
        on(&system, "change", |reader| {
            canvas::read_colours();
            reader.painter.ask();
        });
    }
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

    fn click(&self, event: &Event) {
        let Some(target) = target(event) else { return };
        let Ok(Some(acting)) = target.closest("[data-act]") else { return };
        let act = acting.get_attribute("data-act").unwrap_or_default();
        let (verb, object) = act.split_once(':').unwrap_or((&act, ""));
        self.act(verb, object);
        self.painter.ask();
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

    fn sight(&self, event: &Event) {
        let is_seen = js_sys::Reflect::get(event, &"detail".into()).is_ok_and(|detail| detail.is_truthy());
        let (Some(target), page) = (target(event), self.signals.place().page) else { return };
        if let Some(screen) = &mut self.painter.held.borrow_mut().screen
            && let Some(cards) = screen.cards(&page)
        {
            cards.sight(&target, is_seen);
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
}

fn target(event: &Event) -> Option<Element> {
    event.target()?.dyn_into().ok()
}

pub(super) fn is_plot(element: &Element) -> bool {
    element.class_list().contains("plot")
}
