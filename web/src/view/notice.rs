//! What the reader has to know before trusting the figures.

use leptos::prelude::*;

use super::signals;
use crate::state::{Connection, Store};

const PAGE_VERSION: &str = env!("CARGO_PKG_VERSION");

/// All notices, each there only while it applies.
#[component]
pub fn Notices() -> impl IntoView {
    view! {
        <div class="notices">
            <ConnectionNotice />
            <MessageNotices />
        </div>
    }
}

#[component]
fn ConnectionNotice() -> impl IntoView {
    let signals = signals();
    let well = signals.connection(|connection| connection.explanation().is_none());
    let explanation = signals.connection(|connection| connection.explanation().unwrap_or_default());
    let age = signals.staleness(|age| age.map(|age| format!(" The figures are {age} s old.")).unwrap_or_default());
    let connected = signals.connection(|connection| !matches!(connection, Connection::Reconnecting { .. }));
    view! {
        <div class="notice" data-testid="connection-notice" hidden=well>
            <p>{explanation} {age}</p>
            <button type="button" hidden=connected on:click=move |_| signals.hurry()>
                "Try now"
            </button>
        </div>
    }
}

/// A page and a server of different versions may not understand each other.
#[component]
fn MessageNotices() -> impl IntoView {
    let signals = signals();
    let unreadable = |count| format!("Messages of the server that this page could not read: {count}. Reload the page.");
    view! {
        <p class="notice" data-testid="unreadable-notice" hidden=signals.unreadable(|count| count == 0)>
            {signals.unreadable(unreadable)}
        </p>
        <p class="notice calm" hidden=signals.read(|store| other_version(store).is_none())>
            {signals.read(|store| other_version(store).unwrap_or_default())}
        </p>
    }
}

fn other_version(store: &Store) -> Option<String> {
    let version = &store.head()?.server.version;
    let told = || format!("The server is version {version}, this page {PAGE_VERSION}. Reload the page.");
    (version != PAGE_VERSION).then(told)
}
