//! The table of sessions.

use leptos::prelude::*;
use tachograph_core::wire::{SessionPhase, SessionState};

use super::list::{Key, list};
use super::summary::Summary;
use super::{Heading, branch, signals};
use crate::state::{Figure, RowKey, Session, SessionKey, Store, count, duration, millis};

/// All sessions with their sources, a group of rows each.
#[component]
pub fn SessionsSection() -> impl IntoView {
    let signals = signals();
    let empty = signals.read(|store| store.head().is_some() && store.sessions().is_empty());
    let filled = signals.read(|store| !store.sessions().is_empty());
    view! {
        <section id="sessions" aria-labelledby="sessions-title" tabindex="-1">
            <Heading id="sessions-title" title="Sessions" />
            <p class="empty" hidden=signals.read(|store| store.head().is_some())>
                "Waiting for the first figures from the server."
            </p>
            <div class="empty" data-testid="no-sessions" hidden=negated(empty)>
                <p>"No session is live. Start one:"</p>
                <code>"tachograph stream FILE.wav"</code>
            </div>
            <div hidden=negated(filled)>
                <Summary />
                <SessionTable />
            </div>
            <p class="aside">{signals.read(untracked_text)}</p>
        </section>
    }
}

fn negated(flag: Signal<bool>) -> Signal<bool> {
    Signal::derive(move || !flag.get())
}

fn untracked_text(store: &Store) -> String {
    let held = store.untracked();
    if held.sources + held.sessions == 0 {
        return String::new();
    }
    let (sources, sessions) = (count(held.sources as u64), count(held.sessions as u64));
    format!("Not listed, because they are too many: {sources} sources, and {sessions} sessions with all of theirs.")
}

#[component]
fn SessionTable() -> impl IntoView {
    let groups = signals().read(|store| store.sessions().iter().map(|session| Key::Session(session.key)).collect());
    view! {
        <div class="table-scroll figures" role="region" aria-labelledby="sessions-title" tabindex="0">
            <table role="table">
                <thead role="rowgroup">
                    <tr role="row">
                        <th role="columnheader" scope="col">
                            "Source"
                        </th>
                        {Figure::ALL.map(heading)}
                    </tr>
                </thead>
                {list(groups)}
            </table>
        </div>
    }
}

fn heading(figure: Figure) -> impl IntoView {
    view! {
        <th role="columnheader" scope="col" title=figure.meaning()>
            {figure.heading()}
        </th>
    }
}

/// A session: a line of its own, then its sources.
#[component]
pub fn SessionGroup(
    /// Which one.
    key: SessionKey,
) -> impl IntoView {
    let signals = branch();
    let name = signals.session(key, |session| session.name().to_owned());
    let rows = signals.session(key, rows);
    view! {
        <tbody
            role="rowgroup"
            class="session"
            data-testid="session"
            data-session=name
            on:contentvisibilityautostatechange=move |event| signals.sight(!is_skipped(&event))
            data-ended=signals.session(key, |session| (!session.is_live()).to_string())
        >
            <tr role="row" class="session-head">
                <th role="rowheader" scope="rowgroup" colspan=Figure::ALL.len() + 1>
                    <div>
                        <span class="session-name" title=name>
                            {name}
                        </span>
                        <span class="session-facts">{signals.session(key, facts)}</span>
                    </div>
                </th>
            </tr>
            {list(rows)}
        </tbody>
    }
}

/// Whether the browser leaves an element out because it is out of sight; it tells so in an event.
fn is_skipped(event: &web_sys::Event) -> bool {
    js_sys::Reflect::get(event, &"skipped".into()).is_ok_and(|skipped| skipped.is_truthy())
}

fn rows(session: &Session) -> Vec<Key> {
    let key = |source| Key::Source(RowKey { session: session.key, source });
    session.state.sources.iter().map(|metrics| key(metrics.source)).collect()
}

/// What is to be said of a session as a whole, in a line.
fn facts(session: &Session) -> String {
    let SessionState { phase, age_seconds, ticks_sent, ticks_conflated, ticks_missed, sources, .. } = &session.state;
    let phase = match phase {
        _ if !session.is_live() => "ended after",
        SessionPhase::Streaming => "streaming for",
        SessionPhase::Draining => "draining after",
    };
    let [sent, replaced, missed] = [ticks_sent, ticks_conflated, ticks_missed].map(|ticks| count(*ticks));
    let age = duration(*age_seconds);
    let spread = match sources.as_slice() {
        [] => " · no audio yet".into(),
        [_] => String::new(),
        [first, ..] => format!(" · clock spread {}", millis(first.source_clock_spread_ms)),
    };
    format!("{phase} {age} · ticks: {sent} sent, {replaced} replaced, {missed} missed{spread}")
}
