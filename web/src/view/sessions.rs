//! The table of sessions.

use leptos::prelude::*;
use tachograph_core::wire::{SessionPhase, SessionState};

use super::source::SourceRow;
use super::summary::Summary;
use super::{Heading, signals};
use crate::state::{Figure, RowKey, Session, Store, count, duration, millis};

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
    let ids = signals().read(|store| store.sessions().iter().map(|session| session.id).collect::<Vec<_>>());
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
                <For each=move || ids.get() key=|id| *id let:id>
                    <SessionGroup id />
                </For>
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

#[component]
fn SessionGroup(
    /// Which one.
    id: u64,
) -> impl IntoView {
    let signals = signals();
    let name = signals.session(id, |session| session.name().to_owned());
    let rows = signals.session(id, rows);
    view! {
        <tbody
            role="rowgroup"
            class="session"
            data-testid="session"
            data-session=name
            data-ended=signals.session(id, |session| session.ended.is_some().to_string())
        >
            <tr role="row" class="session-head">
                <th role="rowheader" scope="rowgroup" colspan=Figure::ALL.len() + 1>
                    <div>
                        <span class="session-name" title=name>
                            {name}
                        </span>
                        <span class="session-facts">{signals.session(id, facts)}</span>
                    </div>
                </th>
            </tr>
            <For each=move || rows.get() key=|key| *key let:key>
                <SourceRow key />
            </For>
        </tbody>
    }
}

fn rows(session: &Session) -> Vec<RowKey> {
    let keys = session.state.sources.iter().map(|metrics| RowKey { session: session.id, source: metrics.source });
    keys.collect()
}

/// What is to be said of a session as a whole, in a line.
fn facts(session: &Session) -> String {
    let SessionState { phase, age_seconds, ticks_sent, ticks_conflated, ticks_missed, sources, .. } = &session.state;
    let phase = match phase {
        _ if session.ended.is_some() => "ended after",
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
