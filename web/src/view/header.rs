//! The page's head: the connection's state, and what the server says of itself.

use leptos::prelude::*;

use super::signals;
use crate::state::{Connection, Head, count, duration, millis};

/// A disc with a trace, the name's origin.
const LOGO: &str =
    r#"<svg viewBox="0 0 32 32"><circle cx="16" cy="16" r="14"/><path d="M6 18l4-1 3-8 4 14 3-9 2 4h4"/></svg>"#;

/// The name, the connection's state and what the server says of itself.
#[component]
pub fn PageHeader() -> impl IntoView {
    view! {
        <header class="page-header">
            <div class="logo" aria-hidden="true" inner_html=LOGO></div>
            <h1>"Tachograph"</h1>
            <ConnectionState />
            <ServerFacts />
        </header>
    }
}

/// The state by word, shape and colour. Only this much is read out by itself: what changes each
/// second would never let a listener go.
#[component]
fn ConnectionState() -> impl IntoView {
    let signals = signals();
    let state = signals.connection(|connection| connection.key().to_owned());
    let word = signals.connection(|connection| connection.word().to_owned());
    let shape = signals.connection(|connection| shape(connection).to_owned());
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

#[component]
fn ServerFacts() -> impl IntoView {
    let signals = signals();
    let head =
        move |read: fn(&Head) -> String| signals.read(move |store| store.head().map_or_else(|| "–".into(), read));
    let facts = [
        ("Sessions", "Live sessions", signals.read(|store| count(store.live_counts().0 as u64))),
        ("Sources", "Sources of live sessions", signals.read(|store| count(store.live_counts().1 as u64))),
        ("Viewers", "Pages connected to the server", head(|head| count(head.server.viewers))),
        ("Uptime", "Since the server's start", head(|head| duration(head.server.uptime_seconds))),
        ("Tick", "The server's tick that is shown", head(|head| count(head.tick))),
        ("Tick lag", "How late that tick was", head(|head| millis(head.server.tick_lag_ms))),
        ("Ticks missed", "Ticks that the server skipped", head(|head| count(head.server.ticks_missed))),
        ("Not received", "Ticks that this page did not get", signals.read(|store| count(store.skipped()))),
        ("Restarts", "Server starts that this page saw", signals.read(|store| count(store.restarts()))),
        ("Version", "The server's version", head(|head| head.server.version.clone())),
    ];
    view! { <dl class="facts">{facts.map(fact)}</dl> }
}

fn fact((name, meaning, value): (&'static str, &'static str, Signal<String>)) -> impl IntoView {
    view! {
        <div title=meaning>
            <dt>{name}</dt>
            <dd>{value}</dd>
        </div>
    }
}
