//! What the page shows, made of what [`crate::state`] says.
//!
//! What comes and goes is mostly there and hidden: an attribute is cheaper than a branch, in the
//! page and in its size.

pub mod events;
mod failure;
pub mod header;
pub mod list;
pub mod notice;
pub mod registry;
pub mod sessions;
pub mod source;
pub mod summary;

use leptos::prelude::*;

use self::events::EventsSection;
use self::header::PageHeader;
use self::notice::Notices;
use self::registry::RegistrySection;
use self::sessions::SessionsSection;
use crate::signals::Signals;

pub use failure::announce_failure;

/// The page.
#[component]
pub fn App(
    /// What is shown.
    signals: Signals,
) -> impl IntoView {
    provide_context(signals);
    let seq = signals.read(|store| store.head().map(|head| head.seq.to_string()));
    let epoch = signals.read(|store| store.head().map(|head| head.epoch.to_string()));
    let stale = signals.staleness(|age| age.is_some().to_string());
    let held = signals.read(|store| store.columns().ticks().taken().to_string());
    let missing = signals.read(|store| store.skipped().to_string());
    let restarts = signals.read(|store| store.restarts().to_string());
    view! {
        <a class="skip" href="#sessions">
            "Skip to the sessions"
        </a>
        <PageHeader />
        <Notices />
        <main
            data-testid="frame"
            data-seq=seq
            data-epoch=epoch
            data-stale=stale
            data-held=held
            data-missing=missing
            data-restarts=restarts
        >
            <SessionsSection />
            <EventsSection />
            <RegistrySection />
        </main>
        <footer>
            <a href="api/v1/snapshot">"Registry and sessions as JSON"</a>
            <span>{concat!("Tachograph ", env!("CARGO_PKG_VERSION"))}</span>
        </footer>
    }
}

/// The page's signals, from the nearest element around that provides them.
fn signals() -> Signals {
    use_context().unwrap_or_default()
}

/// The same for a part of the page that there are many of, and for all that is inside it.
fn branch() -> Signals {
    let branch = signals().branch();
    provide_context(branch);
    branch
}

/// A heading, with their age beside it while the figures below are stale.
#[component]
fn Heading(
    /// The element's id.
    id: &'static str,
    /// What it says.
    title: &'static str,
) -> impl IntoView {
    let age = signals().staleness(|age| age.map(|age| format!("{age} s old")).unwrap_or_default());
    view! {
        <h2>
            <span id=id>{title}</span>
            <span class="stale-mark">{age}</span>
        </h2>
    }
}
