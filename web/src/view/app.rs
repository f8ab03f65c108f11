use leptos::prelude::*;

use super::Painter;
use super::act::listen;
use crate::signals::Signals;
use crate::state::{Connection, Page};

/// A disc with a trace, the name's origin.
const LOGO: &str =
    r#"<svg viewBox="0 0 32 32"><circle cx="16" cy="16" r="14"/><path d="M6 18l4-1 3-8 4 14 3-9 2 4h4"/></svg>"#;
/// The pages that can be gone to: the key, the word, the key on the keyboard.
const TABS: [(&str, &str, &str); 5] = [
    ("overview", "Overview", "1"),
    ("sessions", "Sessions", "2"),
    ("metrics", "Metrics", "3"),
    ("events", "Events", "4"),
    ("board", "Board", "5"),
];
/// What does not change.
const PAGES: &str = include_str!("pages.html");

/// The page.
#[allow(unreachable_pub, reason = "the macro makes a public function, which view exports")]
#[component]
pub fn App(
    /// What is shown.
    signals: Signals,
) -> impl IntoView {
    let painter = Painter::start(signals);
    Effect::new(move |_| listen(signals, painter.clone()));
    let page = signals.at(|place| place.page.key().to_owned());
    view! {
        <a class="skip" href="#main">
            "Skip to the figures"
        </a>
        <header class="page-header">
            <div class="logo" aria-hidden="true" inner_html=LOGO></div>
            <h1>"Tachograph"</h1>
            <ConnectionState signals />
            <nav aria-label="Pages">{TABS.map(|tab| view! { <Tab signals tab /> })}</nav>
        </header>
        <main id="main" tabindex="-1" data-testid="frame" data-page=page inner_html=PAGES></main>
    }
}

/// The state by word, shape and colour. Only this much is read out by itself: what changes each second
/// would never let a listener go.
#[component]
fn ConnectionState(signals: Signals) -> impl IntoView {
    let state = signals.of_connection(|connection| connection.key().into());
    let word = signals.of_connection(|connection| connection.word().into());
    let shape = signals.of_connection(|connection| shape(connection).into());
    view! {
        <p class="connection" role="status" aria-live="polite" data-testid="connection-state" data-state=state>
            <svg viewBox="0 0 16 16" aria-hidden="true">
                <path d=shape />
            </svg>
            <span>{word}</span>
        </p>
    }
}

/// A disc, a ring, a pause sign, a turning arrow.
fn shape(connection: Connection) -> &'static str {
    match connection {
        Connection::Live => "M8 2.5a5.5 5.5 0 1 0 0 11a5.5 5.5 0 1 0 0-11z",
        Connection::Connecting => "M8 2a6 6 0 1 0 0 12a6 6 0 1 0 0-12zM8 4.5a3.5 3.5 0 1 1 0 7a3.5 3.5 0 1 1 0-7z",
        Connection::Stale { .. } => "M3.5 2.5h3.5v11h-3.5zM9 2.5h3.5v11h-3.5z",
        Connection::Reconnecting { .. } => "M8 2a6 6 0 1 0 6 6h-2.4a3.6 3.6 0 1 1-3.6-3.6v2.6l4.2-3.8l-4.2-3.7z",
    }
}

/// A link to a page, which keeps the span of time.
#[component]
fn Tab(signals: Signals, tab: (&'static str, &'static str, &'static str)) -> impl IntoView {
    let (key, word, shortcut) = tab;
    let target = signals.at(move |place| {
        let page = Page::named(key).unwrap_or(Page::Overview);
        place.with(page).fragment()
    });
    let current = signals.at(move |place| if is_within(key, &place.page) { "page" } else { "false" }.to_owned());
    view! {
        <a href=target aria-current=current aria-keyshortcuts=shortcut data-testid=format!("tab-{key}")>
            {word}
        </a>
    }
}

fn is_within(tab: &str, page: &Page) -> bool {
    match page {
        Page::Session(_) => tab == "sessions",
        Page::Chart(_) => tab == "metrics",
        page => tab == page.key(),
    }
}
