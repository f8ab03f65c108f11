//! For whoever measures how long an event takes to a page, and a frame to the screen.

use std::sync::atomic::{AtomicBool, Ordering};

use js_sys::{Array, Date, Reflect};
use wasm_bindgen::JsCast;

/// The page's fragment that asks for it.
const FRAGMENT: &str = "#measure";
/// Where the pairs of an event's moment and its arrival stand, in Unix milliseconds.
const NAME: &str = "__tachographArrivals";

/// Whether it was asked for.
static IS_ON: AtomicBool = AtomicBool::new(false);

/// Whether the page's address asks for it.
pub(super) fn is_asked_for(window: &web_sys::Window) -> bool {
    window.location().hash().is_ok_and(|fragment| fragment == FRAGMENT)
}

/// Marks frames and paintings from now on.
pub(super) fn begin() {
    IS_ON.store(true, Ordering::Relaxed);
    note(&[]);
}

/// A message with new frames arrived: a mark `arrived` among the browser's own.
pub(super) fn note_arrived() {
    mark("arrived");
}

/// All that is new was painted: a mark `painted` among the browser's own.
pub fn note_painted() {
    mark("painted");
}

fn mark(name: &str) {
    if IS_ON.load(Ordering::Relaxed) {
        let clock = web_sys::window().and_then(|window| window.performance());
        clock.iter().for_each(|clock| drop(clock.mark(name)));
    }
}

/// Notes that events of these moments arrived.
pub(super) fn note(moments: &[u64]) {
    let Some(window) = web_sys::window() else { return };
    let now = Date::now().into();
    let held = Reflect::get(&window, &NAME.into()).ok().and_then(|held| held.dyn_into::<Array>().ok());
    let arrivals = held.unwrap_or_else(|| {
        let arrivals = Array::new();
        // The window is no frozen object.
        let _always_ok = Reflect::set(&window, &NAME.into(), &arrivals);
        arrivals
    });
    for moment in moments {
        arrivals.push(&Array::of2(&(*moment as f64).into(), &now));
    }
}
