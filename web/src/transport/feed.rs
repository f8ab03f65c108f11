use core::time::Duration;

use tachograph_core::time::Moment;
use tachograph_core::wire::frame::{Arrival, Follower, FrameError, Request};

use crate::state::Store;

/// Seconds that a page asks for when it has nothing yet.
const WINDOW_SECONDS: u32 = 900;
/// What is shown is not made anew more often, so that the minutes that come when a page is opened, or
/// was asleep, are taken in at once.
const SHOW_EVERY: Duration = Duration::from_millis(100);

/// The stream as it comes in: messages on one side, on the other what the page knows.
#[derive(Debug, Default)]
pub struct Feed {
    follower: Follower,
    store: Store,
    /// When something new was shown.
    shown: Option<Moment>,
    /// Frames that are not shown yet.
    waits: bool,
    /// Where they are asked for, the moments of the newest frames' events, in Unix milliseconds.
    measured: Option<Vec<u64>>,
}

impl Feed {
    /// What to ask for on the next connection.
    pub fn request(&self) -> Request {
        self.follower.request(WINDOW_SECONDS)
    }

    /// Whether frames are missing that the server may still have.
    pub fn has_hole(&self) -> bool {
        self.follower.has_hole()
    }

    /// What the page knows.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Takes a message that arrived at `now`: whole records. Shows the newest frame, unless it did so a
    /// moment ago. Returns how many frames were new.
    ///
    /// # Errors
    /// The connection is of no more use; a new one mends it.
    pub fn take(&mut self, message: &[u8], now: Moment) -> Result<u64, FrameError> {
        let Self { follower, store, measured, waits, .. } = self;
        let mut frames = 0;
        let taken = follower.take(message, |arrival| {
            if let (Some(measured), Arrival::Newest(state)) = (measured.as_mut(), &arrival) {
                measured.extend(state.events().iter().map(|event| (event.timestamp * 1_000.0).round() as u64));
            }
            *waits |= matches!(arrival, Arrival::Newest(_));
            frames += u64::from(store.take(arrival));
        });
        if let Err(error) = taken {
            // The follower's state is of no frame now; the next frame is shown.
            self.waits = false;
            return Err(error);
        }
        if self.shown.is_none_or(|shown| now.since(shown) >= SHOW_EVERY) {
            self.show(now);
        }
        Ok(frames)
    }

    /// Shows the newest frame if it is not shown yet. Returns whether it was not.
    pub fn show(&mut self, now: Moment) -> bool {
        let state = self.follower.state();
        let newest = self.store.columns().ticks();
        // After a hole was filled, the follower's state can be an older one.
        let is_newest = newest.head(newest.newest()).is_some_and(|head| head == state.head());
        let shows = self.waits && is_newest;
        if shows {
            self.store.show(state, now);
            (self.waits, self.shown) = (false, Some(now));
        }
        shows
    }

    /// Notes from now on when events happened; see [`measured`](Self::measured).
    pub fn measure(&mut self) {
        self.measured.get_or_insert_default();
    }

    /// The moments of the events of newest frames since this was asked last, in Unix milliseconds.
    pub fn measured(&mut self) -> Vec<u64> {
        self.measured.as_mut().map(core::mem::take).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use tachograph_core::wire::EventKind;
    use tachograph_core::wire::frame::{Epoch, Outcome};

    use super::*;
    use crate::state::samples::{Sample, epoch, event, hello, sessions};

    fn at(millis: u64) -> Moment {
        Moment::from_millis(millis)
    }

    /// A server's frames in bytes, from number 1.
    fn frames(count: u64) -> Vec<Vec<u8>> {
        let mut server = Sample::new();
        let frame = |_| {
            let mut out = Vec::new();
            server.write(&sessions(&[1]), &mut out);
            out
        };
        (0..count).map(frame).collect()
    }

    fn taken(feed: &Feed) -> Vec<(u32, u64, bool)> {
        feed.store().columns().ticks().rows().map(|row| (row.start, row.seq, row.head.is_some())).collect()
    }

    fn begun(feed: &mut Feed, epoch: Epoch, outcome: Outcome, first_seq: u64) {
        feed.take(&hello(epoch, outcome, first_seq), at(0)).unwrap();
    }

    #[test]
    fn a_message_of_many_frames_is_shown_once() {
        let mut feed = Feed::default();
        assert_eq!(feed.request().to_string(), "window=900");
        begun(&mut feed, epoch(1), Outcome::Fresh, 1);
        assert_eq!(feed.take(&frames(50).concat(), at(0)), Ok(50));
        assert_eq!((feed.store().shown(), feed.store().head().unwrap().seq), (1, 50));
    }

    #[test]
    fn messages_that_come_at_once_are_shown_together() {
        let mut feed = Feed::default();
        begun(&mut feed, epoch(1), Outcome::Fresh, 1);
        for (millis, frame) in (0..).zip(frames(50)) {
            feed.take(&frame, at(millis)).unwrap();
        }
        assert_eq!((feed.store().shown(), feed.store().head().unwrap().seq), (1, 1));
        assert!(feed.show(at(50)) && !feed.show(at(51)));
        assert_eq!(feed.store().head().unwrap().seq, 50);
    }

    #[test]
    fn what_was_missed_comes_after_and_nothing_comes_twice() {
        let mut feed = Feed::default();
        begun(&mut feed, epoch(1), Outcome::Fresh, 1);
        let frames = frames(8);
        feed.take(&frames[..3].concat(), at(0)).unwrap();
        let after = format!("epoch={}&after=3", epoch(1));
        assert_eq!(feed.request().to_string(), after);
        begun(&mut feed, epoch(1), Outcome::Resumed, 4);
        assert_eq!(feed.take(&frames[3..].concat(), at(5_000)), Ok(5));
        assert_eq!(taken(&feed), (1..=8).map(|seq| (1, seq, true)).collect::<Vec<_>>());
        assert_eq!(feed.store().skipped(), 0);
    }

    /// The server left frames out; on the next connection they come, then the newest ones.
    #[test]
    fn a_hole_is_filled_on_the_next_connection() {
        let mut server = Sample::new();
        let mut feed = Feed::default();
        begun(&mut feed, epoch(1), Outcome::Fresh, 1);
        let next = |server: &mut Sample| {
            let mut out = Vec::new();
            server.write(&sessions(&[1]), &mut out);
            out
        };
        let first = next(&mut server);
        let keyframe = server.keyframe();
        let missed = [next(&mut server), next(&mut server)].concat();
        let fourth = next(&mut server);
        let newest = server.keyframe();
        feed.take(&first, at(0)).unwrap();
        feed.take(&newest, at(3_000)).unwrap();
        assert_eq!((feed.store().skipped(), feed.has_hole()), (2, true));
        begun(&mut feed, epoch(1), Outcome::Resumed, 2);
        assert_eq!(feed.take(&[keyframe, missed, fourth].concat(), at(4_000)), Ok(2));
        assert_eq!((feed.store().skipped(), feed.has_hole()), (0, false));
        assert_eq!(taken(&feed), (1..=4).map(|seq| (1, seq, true)).collect::<Vec<_>>());
        assert_eq!(feed.store().head().unwrap().seq, 4);
        assert_eq!(feed.take(&next(&mut server), at(5_000)), Ok(1));
        assert_eq!(feed.store().head().unwrap().seq, 5);
    }

    #[test]
    fn a_restart_goes_on_in_the_same_columns() {
        let mut feed = Feed::default();
        begun(&mut feed, epoch(1), Outcome::Fresh, 1);
        feed.take(&frames(2).concat(), at(0)).unwrap();
        begun(&mut feed, epoch(2), Outcome::Restarted, 1);
        feed.take(&frames(1).concat(), at(1_000)).unwrap();
        assert_eq!(taken(&feed), [(1, 1, true), (1, 2, true), (2, 1, true)]);
        assert_eq!((feed.store().restarts(), feed.store().skipped()), (1, 0));
    }

    #[test]
    fn what_is_no_stream_is_an_error_and_the_next_connection_mends_it() {
        let mut feed = Feed::default();
        assert!(feed.take(b"{\"epoch\":1}", at(0)).is_err());
        begun(&mut feed, epoch(1), Outcome::Fresh, 1);
        let mut torn = frames(2).concat();
        torn.pop();
        assert!(feed.take(&torn, at(0)).is_err());
        assert_eq!(taken(&feed), [(1, 1, true)], "what came whole was taken");
        assert!(!feed.show(at(1)));
        begun(&mut feed, epoch(1), Outcome::Resumed, 2);
        feed.take(&frames(2)[1], at(2)).unwrap();
        assert_eq!(feed.store().head().unwrap().seq, 2);
    }

    #[test]
    fn events_are_measured_where_that_is_asked_for() {
        let mut server = Sample::new();
        server.events = vec![event(EventKind::SessionStarted)];
        let mut frame = Vec::new();
        server.write(&[], &mut frame);
        let mut feed = Feed::default();
        feed.measure();
        begun(&mut feed, epoch(1), Outcome::Fresh, 1);
        feed.take(&frame, at(0)).unwrap();
        assert_eq!((feed.measured(), feed.measured()), (vec![1_750_000_000_000], vec![]));
    }
}
