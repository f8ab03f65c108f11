//! What happened lately.

use js_sys::Date;
use leptos::prelude::*;

use super::list::{Key, list};
use super::{Heading, signals};
use crate::state::{Events, Noted, count};

/// The events that are listed.
const LISTED_MAX: usize = 50;

/// The newest events, a line each.
#[component]
pub fn EventsSection() -> impl IntoView {
    let signals = signals();
    let lines =
        signals.read(|store| store.events().newest().take(LISTED_MAX).map(|noted| Key::Event(noted.number)).collect());
    let empty = signals.read(|store| store.events().newest().len() == 0);
    let unknown = signals.read(|store| store.head().is_none() || store.events().newest().len() > 0);
    view! {
        <section id="events" aria-labelledby="events-title">
            <Heading id="events-title" title="Events" />
            <p class="empty" data-testid="no-events" hidden=unknown>
                "Nothing has happened yet: no session began or ended, and none came into trouble."
            </p>
            <div class="events-scroll figures" role="region" aria-labelledby="events-title" tabindex="0" hidden=empty>
                <ol class="events" role="list">
                    {list(lines)}
                </ol>
            </div>
            <p class="aside">{signals.read(|store| aside(store.events()))}</p>
        </section>
    }
}

fn aside(events: &Events) -> String {
    let older = (events.newest().len().saturating_sub(LISTED_MAX)) as u64 + events.let_go();
    let mut told = Vec::new();
    if older > 0 {
        told.push(format!("Older events not listed: {}.", count(older)));
    }
    if events.dropped() > 0 {
        told.push(format!("Events that the server had no room for: {}.", count(events.dropped())));
    }
    told.join(" ")
}

/// An event: when, to whom, what.
#[component]
pub fn EventLine(
    /// Which one.
    number: u64,
) -> impl IntoView {
    // An event does not change.
    let noted = signals().event(number);
    let session = noted.as_ref().map(Noted::session).unwrap_or_default();
    let source = noted.as_ref().and_then(Noted::source).map(|source| source.to_string());
    let severity = noted.as_ref().and_then(Noted::severity).map(|severity| severity.key().to_owned());
    let key = noted.as_ref().map(|noted| noted.key().to_owned());
    let words = noted.as_ref().map(Noted::words).unwrap_or_default();
    let time = noted.map_or(0.0, |noted| noted.timestamp);
    let moment = Date::new(&(time * 1_000.0).into());
    let (name, of, from) = (session.clone(), session.clone(), source.clone());
    view! {
        <li data-testid="event" data-event=key data-session=name data-source=from data-severity=severity>
            <time datetime=iso(&moment) title=String::from(moment.to_string())>
                {time_of_day(&moment)}
            </time>
            <span class="event-session" title=session>
                {of}
            </span>
            <span class="event-source">{source.unwrap_or_default()}</span>
            <span class="event-words">{words}</span>
        </li>
    }
}

fn iso(moment: &Date) -> String {
    moment.to_iso_string().into()
}

/// By the reader's own clock: `08:04:59`.
fn time_of_day(moment: &Date) -> String {
    let [hours, minutes, seconds] = [moment.get_hours(), moment.get_minutes(), moment.get_seconds()];
    format!("{hours:02}:{minutes:02}:{seconds:02}")
}
