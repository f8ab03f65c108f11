use tachograph_core::time::Moment;
use tachograph_core::wire::frame::{Arrival, Follower, FrameError, Head, Hello, Reason, Record, RecordKind, State};

use crate::state::{Span, Store, Subject, View};

/// Seconds that a page asks for when it has nothing yet.
const WINDOW_SECONDS: u32 = 900;

/// The stream as it comes in: messages on one side, on the other what the page knows.
#[derive(Debug, Default)]
pub struct Feed {
    follower: Follower,
    store: Store,
    /// Where they are asked for, the moments of the newest frames' events, in Unix milliseconds.
    measured: Option<Vec<u64>>,
}

impl Feed {
    /// What to ask for on the next connection, as the address's query: with keyframes, so that what is kept
    /// can be entered at many places.
    pub fn query(&self) -> String {
        format!("{}&keyframes=true", self.follower.request(WINDOW_SECONDS))
    }

    /// Whether frames are missing that the server may still have.
    pub fn has_hole(&self) -> bool {
        self.follower.has_hole()
    }

    /// What the page knows.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// What the newest frame says; nothing before the first one, and while a hole is filled.
    pub fn newest(&self) -> Option<&State> {
        let ticks = self.store.ticks();
        let newest = ticks.head(ticks.newest());
        newest.filter(|head| *head == self.follower.state().head()).map(|_| self.follower.state())
    }

    /// What was decoded last: the newest frame, but while a hole is filled.
    pub fn last(&self) -> &State {
        self.follower.state()
    }

    /// The row that a span ends with.
    pub fn row_of(&self, span: Span) -> Option<u64> {
        let ticks = self.store.ticks();
        match span.until_ms {
            Some(until) => ticks.row_at(until),
            None => Some(ticks.newest()).filter(|row| *row > 0),
        }
    }

    /// Everything as it was at the end of a span.
    pub fn view(&mut self, span: Span) -> View<'_> {
        let row = self.row_of(span).unwrap_or_default();
        self.view_at(row)
    }

    /// Everything as it was at a row.
    pub fn view_at(&mut self, row: u64) -> View<'_> {
        self.store.view(row, self.follower.state())
    }

    /// A painting begins, which says what it [wants](Self::want).
    pub fn begin_painting(&mut self) {
        self.store.begin_painting();
    }

    /// A chart is looked at.
    pub fn want(&mut self, subject: &Subject) {
        self.store.want(subject, self.follower.state());
    }

    /// Goes on with the past of the charts that are looked at. Returns whether there was anything to do.
    pub fn work(&mut self, has_time: impl FnMut() -> bool) -> bool {
        self.store.work(self.follower.state(), has_time)
    }

    /// A recording of all that is held.
    pub fn recording(&self) -> Vec<u8> {
        self.store.recording(self.follower.state())
    }

    /// Takes a message that arrived at `now`: whole records. Returns how many frames were new.
    ///
    /// # Errors
    /// The connection is of no more use; a new one mends it.
    pub fn take(&mut self, message: &[u8], now: Moment) -> Result<u64, FrameError> {
        let mut frames = 0;
        let mut rest = message;
        while !rest.is_empty() {
            let cut_off = FrameError { field: "record", reason: Reason::CutOff };
            let (record, length) = Record::split(rest).ok_or(cut_off)?;
            let (bytes, after) = rest.split_at(length);
            frames += u64::from(self.take_record(&record, bytes)?);
            rest = after;
        }
        if frames > 0 {
            self.store.receive(now);
        }
        Ok(frames)
    }

    fn take_record(&mut self, record: &Record<'_>, bytes: &[u8]) -> Result<bool, FrameError> {
        let Self { follower, store, measured } = self;
        if record.kind == RecordKind::Hello {
            let hello = Hello::read(record.payload)?;
            store.end_start(hello.epoch, follower.state().schema());
        }
        let mut is_new = false;
        follower.take(bytes, |arrival| {
            if let (Some(measured), Arrival::Newest(state)) = (measured.as_mut(), &arrival) {
                measured.extend(state.events().iter().map(|event| (event.timestamp * 1_000.0).round() as u64));
            }
            is_new |= store.take(arrival);
        })?;
        if matches!(record.kind, RecordKind::Keyframe | RecordKind::Delta) {
            let Head { seq, .. } = follower.state().head();
            store.keep(seq, record.kind, bytes);
        }
        Ok(is_new)
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
        feed.store().ticks().rows().map(|row| (row.start, row.seq, row.head.is_some())).collect()
    }

    fn newest_seq(feed: &Feed) -> u64 {
        feed.newest().map_or(0, |state| state.head().seq)
    }

    fn begun(feed: &mut Feed, epoch: Epoch, outcome: Outcome, first_seq: u64) {
        feed.take(&hello(epoch, outcome, first_seq), at(0)).unwrap();
    }

    #[test]
    fn a_message_of_many_frames_is_taken_whole() {
        let mut feed = Feed::default();
        assert_eq!(feed.query(), "window=900&keyframes=true");
        begun(&mut feed, epoch(1), Outcome::Fresh, 1);
        assert_eq!(feed.take(&frames(50).concat(), at(0)), Ok(50));
        assert_eq!((feed.store().frames(), newest_seq(&feed)), (50, 50));
    }

    #[test]
    fn what_was_missed_comes_after_and_nothing_comes_twice() {
        let mut feed = Feed::default();
        begun(&mut feed, epoch(1), Outcome::Fresh, 1);
        let frames = frames(8);
        feed.take(&frames[..3].concat(), at(0)).unwrap();
        let after = format!("epoch={}&after=3&keyframes=true", epoch(1));
        assert_eq!(feed.query(), after);
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
        assert_eq!(newest_seq(&feed), 4);
        assert_eq!(feed.take(&next(&mut server), at(5_000)), Ok(1));
        assert_eq!(newest_seq(&feed), 5);
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
        begun(&mut feed, epoch(1), Outcome::Resumed, 2);
        feed.take(&frames(2)[1], at(2)).unwrap();
        assert_eq!(newest_seq(&feed), 2);
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
