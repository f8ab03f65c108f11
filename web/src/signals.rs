//! The only bridge between what the page knows and what it shows.
//!
//! Few things are signals: where the reader is, where the connection stands, and that something new came.
//! All figures are painted from the [`Desk`] itself, once for each of those.

use leptos::prelude::*;
use tachograph_core::time::Moment;
use tachograph_core::wire::frame::FrameError;

use crate::state::{Connection, Place, STALE_AFTER};
use crate::transport::{Desk, Listener};

/// Handles to all signals of the page.
#[derive(Clone, Copy, Default)]
pub struct Signals {
    desk: RwSignal<Desk>,
    /// Counts what is new on the desk.
    news: RwSignal<u64>,
    place: RwSignal<Place>,
    connection: RwSignal<Connection>,
    now: RwSignal<Moment>,
    unreadable: RwSignal<u64>,
    hurried: RwSignal<bool>,
    /// A recording lies on top of the stream.
    has_file: RwSignal<bool>,
}

impl Listener for Signals {
    fn query(&self) -> String {
        self.desk.with_untracked(|desk| desk.live().query())
    }

    fn has_hole(&self) -> bool {
        self.desk.with_untracked(|desk| desk.live().has_hole())
    }

    fn message(&mut self, message: &[u8], now: Moment) -> Result<u64, FrameError> {
        let taken = self.desk.try_update_untracked(|desk| desk.live_mut().take(message, now));
        self.notify();
        taken.unwrap_or(Ok(0))
    }

    fn unreadable(&mut self) {
        self.unreadable.update(|count| *count += 1);
    }

    fn connection(&mut self, connection: Connection, now: Moment) {
        self.now.set(now);
        if self.staleness().is_some() {
            self.notify();
        }
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
        self.desk.update_untracked(|desk| desk.live_mut().measure());
    }

    fn measured(&mut self) -> Vec<u64> {
        self.desk.try_update_untracked(|desk| desk.live_mut().measured()).unwrap_or_default()
    }
}

impl Signals {
    /// Something is to be painted anew.
    pub fn notify(self) {
        self.news.update(|count| *count = count.wrapping_add(1));
    }

    /// All that is new is painted; whoever measures is told.
    pub fn painted(self) {
        crate::transport::note_painted();
    }

    /// Calls `paint` after whatever changes what is shown.
    pub fn on_change(self, paint: impl Fn() + 'static) {
        Effect::new(move |_| {
            self.news.track();
            self.place.track();
            self.connection.track();
            paint();
        });
    }

    /// Works on what the page knows; nobody is told.
    pub fn with_desk<T>(self, work: impl FnOnce(&mut Desk) -> T) -> Option<T> {
        self.desk.try_update_untracked(work)
    }

    /// Where the reader is.
    pub fn place(self) -> Place {
        self.place.get_untracked()
    }

    /// The reader goes somewhere else.
    pub fn go(self, place: Place) {
        if self.place.get_untracked() != place {
            self.place.set(place);
        }
    }

    /// Where the connection stands.
    pub fn connection(self) -> Connection {
        self.connection.get_untracked()
    }

    /// A recording is opened.
    pub fn open_file(self, name: &str) {
        self.with_desk(|desk| desk.open(name));
        self.has_file.set(true);
    }

    /// The recording is closed.
    pub fn close_file(self) {
        self.with_desk(Desk::close);
        self.has_file.set(false);
    }

    /// Messages that could not be read.
    pub fn unreadable(self) -> u64 {
        self.unreadable.get_untracked()
    }

    /// The page's monotonic time, as of the last beat.
    pub fn now(self) -> Moment {
        self.now.get_untracked()
    }

    /// How old the figures are, in whole seconds, while that is worth telling.
    pub fn staleness(self) -> Option<u64> {
        let age = self.desk.with_untracked(|desk| desk.live().store().age(self.now()));
        (age > STALE_AFTER && !self.has_file.get_untracked()).then_some(age.as_secs())
    }

    /// The reader wants the next attempt now.
    pub fn hurry(self) {
        self.hurried.set(true);
    }
}
