//! The only bridge between what the page knows and what it shows.
//!
//! There is one signal: that something is new. All that is known stands beside it, and is painted from
//! there, once for each time that it changed.

use leptos::prelude::*;
use tachograph_core::time::Moment;
use tachograph_core::wire::frame::FrameError;

use crate::state::{Connection, Place, STALE_AFTER};
use crate::transport::{Desk, Listener};

/// A handle to all that the page knows.
#[derive(Clone, Copy)]
pub struct Signals {
    known: StoredValue<Known, LocalStorage>,
    /// Counts what is new.
    news: RwSignal<u64>,
}

#[derive(Debug, Default)]
struct Known {
    desk: Desk,
    place: Place,
    connection: Connection,
    now: Moment,
    unreadable: u64,
    is_hurried: bool,
}

impl Default for Signals {
    fn default() -> Self {
        Self { known: StoredValue::new_local(Known::default()), news: RwSignal::default() }
    }
}

impl Listener for Signals {
    fn query(&self) -> String {
        self.with(|known| known.desk.live().query())
    }

    fn has_hole(&self) -> bool {
        self.with(|known| known.desk.live().has_hole())
    }

    fn message(&mut self, message: &[u8], now: Moment) -> Result<u64, FrameError> {
        let taken = self.with(|known| Some(known.desk.live_mut().take(message, now)));
        self.notify();
        taken.unwrap_or(Ok(0))
    }

    fn unreadable(&mut self) {
        self.with(|known| known.unreadable += 1);
        self.notify();
    }

    fn connection(&mut self, connection: Connection, now: Moment) {
        let is_other = self.with(|known| {
            known.now = now;
            std::mem::replace(&mut known.connection, connection) != connection
        });
        // How old the figures are is news, too.
        if is_other || self.staleness().is_some() {
            self.notify();
        }
    }

    fn hurries(&mut self) -> bool {
        self.with(|known| std::mem::take(&mut known.is_hurried))
    }

    fn measure(&mut self) {
        self.with(|known| known.desk.live_mut().measure());
    }

    fn measured(&mut self) -> Vec<u64> {
        self.with(|known| known.desk.live_mut().measured())
    }
}

impl Signals {
    /// Works on all that is known, which lives as long as the page.
    fn with<T: Default>(self, work: impl FnOnce(&mut Known) -> T) -> T {
        self.known.try_update_value(work).unwrap_or_default()
    }

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
            paint();
        });
    }

    /// Works on what came in; nobody is told. Nothing else of what is known can be read meanwhile.
    pub fn with_desk<T: Default>(self, work: impl FnOnce(&mut Desk) -> T) -> T {
        self.with(|known| work(&mut known.desk))
    }

    /// Where the reader is.
    pub fn place(self) -> Place {
        self.with(|known| known.place.clone())
    }

    /// The reader goes somewhere else.
    pub fn go(self, place: Place) {
        let is_other = self.with(|known| {
            let is_other = known.place != place;
            known.place = place;
            is_other
        });
        if is_other {
            self.notify();
        }
    }

    /// Where the connection stands.
    pub fn connection(self) -> Connection {
        self.with(|known| known.connection)
    }

    /// Messages that could not be read.
    pub fn unreadable(self) -> u64 {
        self.with(|known| known.unreadable)
    }

    /// How old the figures are, in whole seconds, while that is worth telling.
    pub fn staleness(self) -> Option<u64> {
        self.with(|known| {
            let age = known.desk.live().store().age(known.now);
            (age > STALE_AFTER && known.desk.file().is_none()).then_some(age.as_secs())
        })
    }

    /// The reader wants the next attempt now.
    pub fn hurry(self) {
        self.with(|known| known.is_hurried = true);
    }
}
