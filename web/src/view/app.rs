use leptos::prelude::*;

use super::Painter;
use crate::signals::Signals;

/// All that does not change.
const PAGE: &str = include_str!("page.html");

/// The page.
#[allow(unreachable_pub, reason = "the macro makes a public function, which view exports")]
#[component]
pub fn App(
    /// What tells that there is something new.
    signals: Signals,
) -> impl IntoView {
    Painter::start(signals);
    view! { <div inner_html=PAGE></div> }
}
