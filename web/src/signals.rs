//! The only bridge between what the page knows and what it shows.
//!
//! Whatever is shown is one of a few kinds of signal, and what reads it is boxed: the code behind
//! a signal exists once a kind, not once a place.
//!
//! Readers subscribe to a [branch](Signals::branch), not to the store: leaving a set of readers
//! costs time in proportion to its size, and each reader leaves and comes back with each frame.

use std::sync::Arc;

use leptos::prelude::*;
use tachograph_core::time::Moment;
use tachograph_core::wire::frame::{FrameError, Request};

use crate::state::{Connection, Labels, Noted, RowKey, STALE_AFTER, Series, Session, SessionKey, SourceView, Store};
use crate::transport::{Feed, Listener};

/// Handles to all signals of the page. A message changes one of them, once.
#[derive(Clone, Copy)]
pub struct Signals {
    feed: RwSignal<Feed>,
    /// How often the store showed something new; what its readers subscribe to.
    shown: Memo<u64>,
    in_sight: RwSignal<bool>,
    connection: RwSignal<Connection>,
    now: RwSignal<Moment>,
    unreadable: RwSignal<u64>,
    hurried: RwSignal<bool>,
}

impl Default for Signals {
    fn default() -> Self {
        let feed = RwSignal::default();
        Self {
            feed,
            shown: shown_of(feed),
            in_sight: RwSignal::new(true),
            connection: RwSignal::default(),
            now: RwSignal::default(),
            unreadable: RwSignal::default(),
            hurried: RwSignal::default(),
        }
    }
}

impl Listener for Signals {
    fn request(&self) -> Request {
        self.feed.with_untracked(Feed::request)
    }

    fn has_hole(&self) -> bool {
        self.feed.with_untracked(Feed::has_hole)
    }

    fn message(&mut self, message: &[u8], now: Moment) -> Result<u64, FrameError> {
        let take = |feed: &mut Feed| {
            let before = feed.store().shown();
            let taken = feed.take(message, now);
            (feed.store().shown() > before, taken)
        };
        self.feed.try_maybe_update(take).unwrap_or(Ok(0))
    }

    fn unreadable(&mut self) {
        self.unreadable.update(|count| *count += 1);
    }

    fn connection(&mut self, connection: Connection, now: Moment) {
        self.now.set(now);
        self.feed.try_maybe_update(|feed| (feed.show(now), ()));
        if self.connection.get_untracked() != connection {
            self.connection.set(connection);
        }
    }

    fn hurries(&mut self) -> bool {
        let hurried = self.hurried.get_untracked();
        if hurried {
            self.hurried.set(false);
        }
        hurried
    }

    fn measure(&mut self) {
        self.feed.update_untracked(Feed::measure);
    }

    fn measured(&mut self) -> Vec<u64> {
        self.feed.try_update_untracked(Feed::measured).unwrap_or_default()
    }
}

impl Signals {
    /// The same signals with a set of readers of their own, for a part of the page that there are
    /// many of.
    #[must_use]
    pub fn branch(self) -> Self {
        Self { shown: shown_of(self.feed), in_sight: RwSignal::new(self.in_sight.get_untracked()), ..self }
    }

    /// Notes whether this part of the page can be seen.
    pub fn sight(self, seen: bool) {
        self.in_sight.set(seen);
    }

    /// Anything read from the store.
    pub fn read<T: Send + Sync + 'static>(self, read: impl Fn(&Store) -> T + Send + Sync + 'static) -> Signal<T> {
        self.boxed(Arc::new(read))
    }

    /// An event as it is noted.
    pub fn event(self, number: u64) -> Option<Noted> {
        self.feed.with_untracked(|feed| feed.store().events().get(number).cloned())
    }

    /// Anything read from a session; the default once it is forgotten.
    pub fn session<T: Default + Send + Sync + 'static>(self, key: SessionKey, read: fn(&Session) -> T) -> Signal<T> {
        self.read(move |store| store.session(key).map(read).unwrap_or_default())
    }

    /// Anything read from a source; the default once it is forgotten.
    pub fn source<T: Default + Send + Sync + 'static>(
        self,
        key: RowKey,
        read: impl Fn(&SourceView) -> T + Send + Sync + 'static,
    ) -> Signal<T> {
        self.read(move |store| store.source(key).as_ref().map(&read).unwrap_or_default())
    }

    /// A picture of a source; empty while it cannot be seen, because drawing is what costs most.
    pub fn picture(self, key: RowKey, draw: impl Fn(&SourceView) -> String + Send + Sync + 'static) -> Signal<String> {
        let drawn = self.source(key, draw);
        Signal::derive(move || if self.in_sight.get() { drawn.get() } else { String::new() })
    }

    /// Anything read from a series and its family's unit; the default while there is none.
    pub fn series<T: Default + Send + Sync + 'static>(
        self,
        family: &str,
        labels: &Labels,
        read: fn(&Series, &str) -> T,
    ) -> Signal<T> {
        let (name, labels) = (family.to_owned(), labels.clone());
        self.read(move |store| {
            let family = store.panel().family(&name);
            let found = family.and_then(|family| Some(read(family.series(&labels)?, &family.unit)));
            found.unwrap_or_default()
        })
    }

    /// Anything read from where the connection stands.
    pub fn connection<T: Send + Sync + 'static>(self, read: fn(Connection) -> T) -> Signal<T> {
        Signal::derive(move || read(self.connection.get()))
    }

    /// Anything read from the count of messages that could not be read.
    pub fn unreadable<T: Send + Sync + 'static>(self, read: fn(u64) -> T) -> Signal<T> {
        Signal::derive(move || read(self.unreadable.get()))
    }

    /// Anything read from how old the figures are, in whole seconds, while that is worth telling.
    pub fn staleness<T: Send + Sync + 'static>(self, read: fn(Option<u64>) -> T) -> Signal<T> {
        Signal::derive(move || {
            let age = self.feed.with(|feed| feed.store().age(self.now.get()));
            read((age > STALE_AFTER).then_some(age.as_secs()))
        })
    }

    /// The reader wants the next attempt now.
    pub fn hurry(self) {
        self.hurried.set(true);
    }

    fn boxed<T: Send + Sync + 'static>(self, read: Arc<dyn Fn(&Store) -> T + Send + Sync>) -> Signal<T> {
        Signal::derive(move || {
            // Read, not only tracked: a memo that nobody reads does not follow the store.
            self.shown.get();
            self.feed.with_untracked(|feed| read(feed.store()))
        })
    }
}

fn shown_of(feed: RwSignal<Feed>) -> Memo<u64> {
    Memo::new(move |_| feed.with(|feed| feed.store().shown()))
}
