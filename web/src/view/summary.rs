//! Which sources need attention.

use leptos::prelude::*;

use super::signals;
use crate::state::{Attention, Store, count};

/// The sources named before the rest is only counted.
const NAMED_MAX: usize = 6;

/// In one line: how many sources need attention, and which.
#[component]
pub fn Summary() -> impl IntoView {
    let signals = signals();
    let troubled = signals.read(|store| (in_trouble(store) > 0).to_string());
    view! {
        <div class="summary" data-testid="summary" data-troubled=troubled>
            <span class="verdict">{signals.read(verdict)}</span>
            {core::array::from_fn::<_, NAMED_MAX, _>(named)}
            <span>{signals.read(rest)}</span>
        </div>
    }
}

/// A link to the row of the source at this place in the list of those in trouble.
fn named(place: usize) -> impl IntoView {
    let signals = signals();
    let read = move |read: fn(Attention) -> String| {
        signals.read(move |store| store.attention().into_iter().nth(place).map(read).unwrap_or_default())
    };
    view! {
        <a
            hidden=signals.read(move |store| store.attention().len() <= place)
            href=read(|found| format!("#{}", found.key.anchor()))
            title=read(|found| found.session)
        >
            <span class="clipped">{read(|found| found.session)}</span>
            <span>{read(|found| format!("{}: {}", found.key.source, found.trouble.words()))}</span>
        </a>
    }
}

fn in_trouble(store: &Store) -> usize {
    store.attention().len() + store.untracked().in_trouble
}

fn rest(store: &Store) -> String {
    match in_trouble(store) - store.attention().len().min(NAMED_MAX) {
        0 => String::new(),
        more => format!("and {} more", count(more as u64)),
    }
}

fn verdict(store: &Store) -> String {
    let (_, sources) = store.live_counts();
    match (in_trouble(store), sources) {
        (0, 0) => "No source sends audio.".into(),
        (0, 1) => "The source keeps up.".into(),
        (0, all) => format!("All {} sources keep up.", count(all as u64)),
        (1, all) => format!("1 of {} sources needs attention:", count(all as u64)),
        (some, all) => format!("{} of {} sources need attention:", count(some as u64), count(all as u64)),
    }
}
