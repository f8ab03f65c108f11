//! What JavaScript does for the page: strokes on a canvas, and the browser's own things that have no
//! figures in them.

use js_sys::Function;
use wasm_bindgen::prelude::*;
use web_sys::{Element, HtmlElement};

use super::element::Node;
use crate::plot::{DisplayList, sparkline};

#[wasm_bindgen(module = "/js/paint.js")]
extern "C" {
    #[wasm_bindgen(js_name = paint)]
    fn replay(canvas: &Element, commands: &[f32], texts: &str);
    /// Reads the colours again, after the theme changed.
    #[wasm_bindgen(js_name = repalette)]
    pub(super) fn read_colours();
    /// A canvas's width (0) or height (1) in CSS pixels; when it changes the window is told.
    pub(super) fn pixels(canvas: &Element, axis: u32) -> f32;
    /// Saves a canvas as a PNG file.
    #[wasm_bindgen(js_name = save)]
    pub(super) fn save_picture(canvas: &Element, name: &str);
}

#[wasm_bindgen(module = "/js/page.js")]
extern "C" {
    /// The element of this id; one outside of the page if there is none.
    #[wasm_bindgen(js_name = byId)]
    pub(super) fn by_id(id: &str) -> Element;
    /// A new element behind all that is in another.
    pub(super) fn make(tag: &str, class: &str, parent: &Element) -> Element;
    /// The elements inside that have a `data-part`, in their order.
    pub(super) fn parts(element: &Element) -> Vec<Element>;
    /// Puts an element before another, or at the end, unless it is there. Returns the one behind it.
    pub(super) fn place(parent: &Element, element: &Element, next: Option<&Element>) -> Option<Element>;
    /// From now on an element tells by `sight` when it comes close to what can be seen, or goes from there.
    #[wasm_bindgen(js_name = tellSight)]
    pub(super) fn tell_sight(element: &Element);
    /// Calls a function after so many milliseconds.
    pub(super) fn after(millis: u32, function: &Function);
    /// Keeps all that a pointer does for an element, until it is up.
    pub(super) fn capture(element: &Element, pointer: i32);
    /// Sets what a control has.
    #[wasm_bindgen(js_name = setValue)]
    pub(super) fn set_number(element: &HtmlElement, value: f64);
    #[wasm_bindgen(js_name = setValue)]
    pub(super) fn set_text(element: &HtmlElement, value: &str);
    /// What a control has, as text.
    #[wasm_bindgen(js_name = valueOf)]
    pub(super) fn value_of(element: &Element) -> String;
    /// Offers bytes as a file.
    pub(super) fn download(name: &str, kind: &str, bytes: &[u8]);
    /// Puts a text on the clipboard.
    pub(super) fn copy(text: &str, done: &Function);
    /// Asks whether notifications are allowed.
    #[wasm_bindgen(js_name = askToNotify)]
    pub(super) fn ask_to_notify(done: &Function);
    /// Tells something outside of the page, if that is allowed.
    #[wasm_bindgen(js_name = notify)]
    pub(super) fn notify(title: &str, words: &str);
    /// Reads a file: `begin(name)` says whether in pieces, which `piece(bytes)` takes and says whether it
    /// wants more; then `end(text)`, with all of it where it was not. Another file ends the one before.
    #[wasm_bindgen(js_name = readFile)]
    pub(super) fn read_file(file: &JsValue, piece_bytes: u32, begin: &Function, piece: &Function, end: &Function);
    /// The file of an event that dropped or chose one.
    #[wasm_bindgen(js_name = fileOf)]
    pub(super) fn file_of(event: &web_sys::Event) -> JsValue;
    /// Opens or closes a dialog.
    #[wasm_bindgen(js_name = openDialog)]
    pub(super) fn open_dialog(element: &Element);
    #[wasm_bindgen(js_name = closeDialogs)]
    pub(super) fn close_dialogs();
    /// What the browser keeps under a name.
    pub(super) fn kept(name: &str) -> String;
    /// Keeps a text under a name; whether it could.
    pub(super) fn keep(name: &str, text: &str) -> bool;
    /// Shows a place in the address; a step back leads to the one before if `is_step`.
    #[wasm_bindgen(js_name = showAddress)]
    pub(super) fn show_address(fragment: &str, is_step: bool);
    /// The address's fragment.
    pub(super) fn address() -> String;
    /// The address without its fragment.
    #[wasm_bindgen(js_name = base)]
    pub(super) fn address_base() -> String;
    /// Sets the theme; empty for the system's.
    #[wasm_bindgen(js_name = setTheme)]
    pub(super) fn set_theme(theme: &str);
    /// The tab's title.
    #[wasm_bindgen(js_name = setTitle)]
    pub(super) fn set_title(title: &str);
    /// The difference of local time from UTC, in minutes.
    #[wasm_bindgen(js_name = zoneMinutes)]
    pub(super) fn zone_minutes() -> i32;
}

/// Shows a display list on a canvas.
pub(super) fn paint(canvas: &Node, list: &DisplayList) {
    replay(canvas.element(), list.commands(), list.texts());
}

/// A queue's last ticks, in a cell of the table.
pub(super) fn paint_spark(canvas: &Node, fills: &[f32]) {
    paint(canvas, &sparkline(fills, (110.0, 26.0), 1.0, 0.85));
}
