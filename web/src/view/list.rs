//! Lists whose elements come and go.

use leptos::prelude::*;

use super::events::EventLine;
use super::registry::{FamilyCard, series_line};
use super::sessions::SessionGroup;
use super::source::SourceRow;
use crate::state::{Labels, RowKey, SessionKey};

/// What an element of a list stands for. There is one kind of list for all of them, because the
/// code that adds, moves and removes elements is large.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Key {
    /// A session.
    Session(SessionKey),
    /// A source of a session.
    Source(RowKey),
    /// A family, by name.
    Family(String),
    /// A series of a family.
    Series(String, Labels),
    /// An event, by the page's own number.
    Event(u64),
}

/// An element a key, in the keys' order; elements whose keys stay are kept.
pub fn list(keys: Signal<Vec<Key>>) -> impl IntoView {
    view! { <For each=move || keys.get() key=Key::clone children=element /> }
}

fn element(key: Key) -> AnyView {
    match key {
        Key::Session(key) => view! { <SessionGroup key /> }.into_any(),
        Key::Source(key) => view! { <SourceRow key /> }.into_any(),
        Key::Family(name) => view! { <FamilyCard name /> }.into_any(),
        Key::Series(family, labels) => series_line(family, &labels).into_any(),
        Key::Event(number) => view! { <EventLine number /> }.into_any(),
    }
}
