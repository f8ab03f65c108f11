use core::time::Duration;

use tachograph_core::time::Moment;
use tachograph_core::wire::frame::{Arrival, Epoch, RecordKind, Schema, State};

use super::archive::{Archive, Past, Player};
use super::session::tag;
use super::{Events, Happening, Sparks, Ticks, Tracks};

/// All that the page keeps of a stream. What arrives goes in, everything shown comes out.
#[derive(Debug, Default)]
pub struct Store {
    epoch: Epoch,
    version: String,
    ticks: Ticks,
    archive: Archive,
    tracks: Tracks,
    sparks: Sparks,
    events: Events,
    /// Makes the state of an earlier row.
    player: Player,
    skipped: u64,
    /// When the newest frame arrived, and how many did.
    received: Option<Moment>,
    frames: u64,
}

/// What is to be shown: everything as it was at a row.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// The row.
    pub row: u64,
    /// The server's start that it is of.
    pub tag: u32,
    /// What its frame says; nothing where that was not received or is held no more.
    pub state: Option<&'a State>,
    /// All rows.
    pub ticks: &'a Ticks,
    /// The charts' columns.
    pub tracks: &'a Tracks,
    /// The sources' queues in the last ticks.
    pub sparks: &'a Sparks,
    /// What happened.
    pub events: &'a Events,
    /// Frames that were not received, or not yet.
    pub skipped: u64,
    /// The server's version.
    pub version: &'a str,
    /// The oldest row that can be seen again.
    pub oldest: u64,
}

impl View<'_> {
    /// The times of the oldest moment that can be seen again and of the newest, in Unix milliseconds.
    pub fn extent_ms(&self) -> Option<(u64, u64)> {
        self.ticks.extent_ms(self.oldest)
    }
}

impl Store {
    /// Takes what arrived. Returns whether it was a frame.
    pub fn take(&mut self, arrival: Arrival<'_>) -> bool {
        match arrival {
            Arrival::Hello(hello) => {
                (self.epoch, self.version) = (hello.epoch, hello.server_version.clone());
                false
            }
            Arrival::Newest(state) => self.take_newest(state),
            Arrival::Fills(state) => self.fill(state),
            // What was skipped is a hole before the next frame.
            Arrival::Skipped(_) => false,
        }
    }

    /// Another start of the server begins; this is what the one before described.
    pub fn end_start(&mut self, epoch: Epoch, schema: &Schema) {
        if self.has_schema() && self.epoch != epoch {
            self.archive.end_start(self.ticks.starts(), schema);
        }
    }

    /// Whether what the server described is that of the newest row, not of a start that has no row yet.
    fn has_schema(&self) -> bool {
        self.ticks.row(self.ticks.newest()).is_some_and(|row| row.epoch == self.epoch)
    }

    /// The start whose schema the newest state has; one that no row is of before its first frame.
    fn schema_start(&self) -> u32 {
        self.ticks.starts() + u32::from(!self.has_schema())
    }

    /// Keeps the record of a frame that was taken.
    pub fn keep(&mut self, seq: u64, kind: RecordKind, record: &[u8]) {
        // The first frame of all follows from nothing.
        let kind = if seq == 1 { RecordKind::Keyframe } else { kind };
        if let Some(row) = self.ticks.row_of(self.epoch, seq) {
            self.archive.keep(row, self.ticks.starts(), kind, record);
        }
    }

    /// The newest frame arrived.
    pub fn receive(&mut self, now: Moment) {
        self.received = Some(now);
    }

    /// The server's start.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// The server's version.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The rows of the frames.
    pub fn ticks(&self) -> &Ticks {
        &self.ticks
    }

    /// Frames that were taken.
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// How old the newest figures are.
    pub fn age(&self, now: Moment) -> Duration {
        self.received.map_or(Duration::ZERO, |received| now.since(received))
    }

    /// What happened lately.
    pub fn events(&self) -> &Events {
        &self.events
    }

    /// The sources' queues in the last ticks.
    pub fn sparks(&self) -> &Sparks {
        &self.sparks
    }

    /// The charts' columns.
    pub fn tracks(&self) -> &Tracks {
        &self.tracks
    }

    /// Frames of the server that the page did not get, or not yet.
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// Server starts seen after the first one.
    pub fn restarts(&self) -> u64 {
        u64::from(self.ticks.starts().saturating_sub(1))
    }

    /// A painting begins, which says what it [wants](Self::want).
    pub fn begin_painting(&mut self) {
        self.tracks.begin_painting();
    }

    /// A chart is looked at.
    pub fn want(&mut self, subject: &super::Subject, newest: &State) {
        self.tracks.want(subject, &self.ticks, newest);
    }

    /// Goes on with the past of the charts that are looked at. Returns whether there was anything to do.
    pub fn work(&mut self, newest: &State, has_time: impl FnMut() -> bool) -> bool {
        let past = Past { archive: &self.archive, start: self.schema_start(), schema: newest.schema() };
        self.tracks.work(&self.ticks, &past, has_time)
    }

    /// Everything as it was at a row.
    pub fn view<'a>(&'a mut self, row: u64, newest: &'a State) -> View<'a> {
        let is_newest = row == self.ticks.newest() && self.ticks.head(row) == Some(newest.head());
        let past = Past { archive: &self.archive, start: self.schema_start(), schema: newest.schema() };
        let state = match is_newest {
            true => Some(newest),
            false => self.player.seek(row, &past).then(|| self.player.state()),
        };
        View {
            row,
            tag: self.ticks.row(row).map_or(0, |row| tag(row.epoch)),
            state,
            ticks: &self.ticks,
            tracks: &self.tracks,
            sparks: &self.sparks,
            events: &self.events,
            skipped: self.skipped,
            version: &self.version,
            oldest: self.archive.oldest().unwrap_or(row),
        }
    }

    /// The times of the oldest moment that can be seen again and of the newest, in Unix milliseconds.
    pub fn extent_ms(&self) -> Option<(u64, u64)> {
        self.ticks.extent_ms(self.archive.oldest()?)
    }

    /// A recording of all that is held.
    pub fn recording(&self, newest: &State) -> Vec<u8> {
        let past = Past { archive: &self.archive, start: self.schema_start(), schema: newest.schema() };
        past.recording(&self.ticks, &self.version)
    }

    fn take_newest(&mut self, state: &State) -> bool {
        let (starts, newest) = (self.ticks.starts(), self.ticks.newest());
        let Some(row) = self.ticks.add(self.epoch, state.head()) else { return false };
        self.skipped = self.skipped.saturating_add(row - newest - 1);
        if starts > 0 && self.ticks.starts() > starts {
            self.events.add(row, state.head().wall_ms as f64 / 1_000.0, Happening::Restarted);
        }
        self.events.take(row, tag(self.epoch), state.events(), state.events_dropped());
        self.tracks.take(&self.ticks, state);
        self.sparks.take(row, tag(self.epoch), state);
        self.frames += 1;
        true
    }

    fn fill(&mut self, state: &State) -> bool {
        let Some(row) = self.ticks.add(self.epoch, state.head()) else { return false };
        self.skipped = self.skipped.saturating_sub(1);
        self.events.take(row, tag(self.epoch), state.events(), state.events_dropped());
        self.tracks.fill();
        self.frames += 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use tachograph_core::registry::{Descriptor, Registry};
    use tachograph_core::wire::EventKind;
    use tachograph_core::wire::frame::{Cell, Outcome};

    use super::super::samples::{Sample, epoch, event, hello, session, sessions, source_name};
    use super::super::{Chart, FamilyReading, Mark, Overall, Reading, SPARK_TICKS, SessionKey, Span, Split, Subject};
    use super::*;
    use crate::transport::Feed;

    fn at(second: u64) -> Moment {
        Moment::from_millis(1_000 * second)
    }

    /// Frames of one start of a server, with a keyframe behind each tenth.
    fn frames(server: &mut Sample, count: u64) -> Vec<Vec<u8>> {
        let frame = |number| {
            let mut out = Vec::new();
            server.write(&sessions(&[7]), &mut out);
            if number % 10 == 0 {
                out.extend_from_slice(&server.keyframe());
            }
            out
        };
        (1..=count).map(frame).collect()
    }

    fn begin(feed: &mut Feed, start: u8, outcome: Outcome, first_seq: u64) {
        feed.take(&hello(epoch(start), outcome, first_seq), at(0)).unwrap();
    }

    /// The next start of the server.
    fn restarted() -> Sample {
        let mut server = Sample::new();
        server.start_ms += 60_000;
        server
    }

    fn after(count: u64) -> Feed {
        let mut feed = Feed::default();
        begin(&mut feed, 1, Outcome::Fresh, 1);
        feed.take(&frames(&mut Sample::new(), count).concat(), at(count)).unwrap();
        feed
    }

    fn received() -> Subject {
        Chart::of_family("audio_bytes_received").subject
    }

    /// What a chart shows of all rows, its first line.
    fn line(feed: &mut Feed, subject: &Subject) -> Vec<Option<f64>> {
        feed.begin_painting();
        feed.want(subject);
        while feed.work(|| true) {}
        let store = feed.store();
        let track = store.tracks().track(subject).unwrap();
        store.ticks().rows().map(|row| store.tracks().value(track, 0, row.number)).collect()
    }

    /// The total of the first counter at a row.
    fn total_at(feed: &mut Feed, row: u64) -> Option<u64> {
        let until_ms = feed.store().ticks().row(row).map(|row| row.head.map_or(0, |head| head.wall_ms));
        let view = feed.view(Span { seconds: 1, until_ms });
        view.state.filter(|_| view.row == row).map(|state| state.columns().counters[0])
    }

    #[test]
    fn every_moment_that_was_received_can_be_seen_again() {
        let mut feed = after(35);
        for row in [35, 1, 20, 19, 21, 35, 7] {
            assert_eq!(total_at(&mut feed, row), Some(32_000 * row), "row {row}");
        }
    }

    #[test]
    fn a_chart_that_is_wanted_late_shows_what_was_before() {
        let mut feed = after(30);
        let rates = line(&mut feed, &received());
        assert_eq!(rates[0], None, "before the first tick nothing is known");
        assert!(rates[1..].iter().all(|rate| *rate == Some(32_000.0)), "{rates:?}");
        let mut server = Sample::new();
        let more = frames(&mut server, 32);
        feed.take(&more[30..].concat(), at(32)).unwrap();
        assert_eq!(line(&mut feed, &received())[29..], [Some(32_000.0); 3]);
    }

    #[test]
    fn what_was_missed_is_a_gap_until_it_comes_and_then_the_charts_show_it() {
        let mut feed = Feed::default();
        begin(&mut feed, 1, Outcome::Fresh, 1);
        let mut server = Sample::new();
        let first = frames(&mut server, 10);
        let missed = frames(&mut server, 3);
        let newest = server.keyframe();
        feed.take(&first.concat(), at(10)).unwrap();
        feed.take(&newest, at(13)).unwrap();
        assert_eq!(feed.store().skipped(), 2);
        assert_eq!(line(&mut feed, &received())[9..], [Some(32_000.0), None, None, Some(32_000.0)]);
        assert_eq!(total_at(&mut feed, 12), None);
        begin(&mut feed, 1, Outcome::Resumed, 11);
        feed.take(&[first[9].clone(), missed.concat()].concat(), at(14)).unwrap_err();
        let keyframe_of_ten = first[9].clone();
        begin(&mut feed, 1, Outcome::Resumed, 11);
        let from = keyframe_of_ten.len() - keyframe_len(&keyframe_of_ten);
        feed.take(&[&keyframe_of_ten[from..], &missed.concat()].concat(), at(14)).unwrap();
        assert_eq!(feed.store().skipped(), 0);
        assert_eq!(line(&mut feed, &received())[9..], [Some(32_000.0); 4]);
        assert_eq!(total_at(&mut feed, 12), Some(384_000));
    }

    /// The bytes of the schema and the keyframe at the end of a frame.
    fn keyframe_len(bytes: &[u8]) -> usize {
        let (_, length) = tachograph_core::wire::frame::Record::split(bytes).unwrap();
        bytes.len() - length
    }

    #[test]
    fn a_restart_is_marked_and_the_charts_go_on() {
        let mut feed = after(12);
        begin(&mut feed, 2, Outcome::Restarted, 1);
        feed.take(&frames(&mut restarted(), 5).concat(), at(20)).unwrap();
        let store = feed.store();
        assert_eq!((store.restarts(), store.skipped(), store.ticks().mark(13)), (1, 0, Mark::Restart));
        assert_eq!(store.events().newest().next().map(|noted| &noted.what), Some(&Happening::Restarted));
        let rates = line(&mut feed, &received());
        assert_eq!(rates[11..], [Some(32_000.0), None, Some(32_000.0), Some(32_000.0), Some(32_000.0), Some(32_000.0)]);
        assert_eq!((total_at(&mut feed, 12), total_at(&mut feed, 13)), (Some(384_000), Some(32_000)));
    }

    #[test]
    fn a_recording_shows_the_same() {
        let mut feed = after(35);
        begin(&mut feed, 2, Outcome::Restarted, 1);
        feed.take(&frames(&mut restarted(), 15).concat(), at(60)).unwrap();
        let mut again = Feed::default();
        again.take(&feed.recording(), at(0)).unwrap();
        let rows = |feed: &Feed| feed.store().ticks().rows().map(|row| (row.epoch, row.head)).collect::<Vec<_>>();
        assert_eq!(rows(&again), rows(&feed));
        assert_eq!(line(&mut again, &received()), line(&mut feed, &received()));
    }

    #[test]
    fn each_reading_is_what_its_name_says() {
        let registry = Registry::new();
        let gauge = registry.gauge(&Descriptor::new("gauge", "").label("of")).unwrap();
        let times = registry.histogram(&Descriptor::new("times", "").unit("ms")).unwrap().bind(&[]).unwrap();
        for (of, figure) in [("a", 2.0), ("b", 3.0)] {
            gauge.with(&[("of", of)]).unwrap().set(figure);
        }
        let mut server = Sample::with(registry);
        let mut feed = Feed::default();
        begin(&mut feed, 1, Outcome::Fresh, 1);
        for tick in 1..=3 {
            (0..10 * tick).for_each(|_| times.record(100.0));
            let mut out = Vec::new();
            server.write(&[], &mut out);
            feed.take(&out, at(tick)).unwrap();
        }
        let of =
            |name: &str, reading, split| Subject::Family(FamilyReading { reading, split, ..FamilyReading::of(name) });
        let mut newest = |subject: Subject| *line(&mut feed, &subject).last().unwrap();
        assert_eq!(newest(of("gauge", None, Split::Sum)), Some(5.0));
        assert_eq!(newest(of("gauge", None, Split::Max)), Some(3.0));
        assert_eq!(newest(of("gauge", None, Split::By("of".into()))), Some(2.0));
        assert_eq!(newest(of("times", Some(Reading::Rate), Split::Sum)), Some(30.0));
        assert_eq!(newest(of("times", Some(Reading::Total), Split::Sum)), Some(60.0));
        assert_eq!(newest(of("times", Some(Reading::Mean), Split::Sum)), Some(100.0));
        let p99 = newest(of("times", Some(Reading::P99), Split::Each)).unwrap();
        assert!((p99 - 100.0).abs() < 1.0, "{p99}");
        let heat = of("times", None, Split::Auto);
        assert!(newest(heat.clone()).is_some());
        let counts: Vec<u32> =
            feed.store().tracks().track(&heat).unwrap().heat().iter().map(|row| row.buckets[0].2).collect();
        assert_eq!(counts, [20, 30], "of the first tick it is not known what came in it");
        let only = FamilyReading { only: vec![("of".into(), "b".into())], ..FamilyReading::of("gauge") };
        assert_eq!(line(&mut feed, &Subject::Family(only)).last(), Some(&Some(3.0)));
    }

    #[test]
    fn sessions_and_the_whole_have_charts() {
        let mut feed = after(12);
        let key = SessionKey::new(epoch(1), 7);
        assert_eq!(line(&mut feed, &Subject::Session(key, Cell::AvgInferMs)), [Some(84.5); 12]);
        let other = SessionKey { tag: 1, id: 7 };
        assert_eq!(line_count(&mut feed, &Subject::Session(other, Cell::AvgInferMs)), 0);
        let well = line(&mut feed, &Subject::Overall(Overall::Sessions));
        assert_eq!((well[2], well[3]), (Some(1.0), Some(0.0)), "the figures of these sessions are not renewed");
        assert_eq!(line(&mut feed, &Subject::Overall(Overall::TickLag)), [Some(0.2); 12]);
    }

    fn line_count(feed: &mut Feed, subject: &Subject) -> usize {
        feed.begin_painting();
        feed.want(subject);
        while feed.work(|| true) {}
        feed.store().tracks().track(subject).unwrap().lines().len()
    }

    #[test]
    fn charts_that_nobody_looks_at_are_let_go() {
        let mut feed = after(3);
        for number in 0..200 {
            feed.begin_painting();
            feed.want(&Chart::of_family(&format!("family_{number}")).subject);
        }
        feed.begin_painting();
        let kept = (0..200).filter(|number| {
            feed.store().tracks().track(&Chart::of_family(&format!("family_{number}")).subject).is_some()
        });
        assert_eq!(kept.count(), 96);
    }

    #[test]
    fn sparks_follow_their_sources() {
        let mut store = Store::default();
        let mut server = Sample::new();
        for sessions in [&[1, 2][..], &[1, 2], &[2, 3]] {
            let mut sessions: Vec<_> = sessions.iter().map(|id| session(*id, "s", &["mic"])).collect();
            sessions[0].sources[0].queue_fill_ratio = 0.5;
            let state = server.next(&sessions);
            store.take(Arrival::Newest(&state));
        }
        let at = |row| (tag(store.epoch()), row);
        let fills =
            |id| store.sparks().fills(at(3), id, source_name("mic")).map(|fills| fills[SPARK_TICKS - 3..].to_vec());
        assert_eq!(fills(1), None);
        let two = fills(2).unwrap();
        assert_eq!((two[0], two[2]), (0.05, 0.5));
        assert!(fills(3).unwrap()[..2].iter().all(|fill| fill.is_nan()));
        let earlier = store.sparks().fills(at(1), 2, source_name("mic")).unwrap();
        assert_eq!(earlier[SPARK_TICKS - 1], 0.05, "as it was when the reader looks back");
        assert_eq!(
            store.sparks().fills((1, 3), 2, source_name("mic")),
            None,
            "another start's session of the same number"
        );
    }

    #[test]
    fn a_chart_that_is_wanted_before_anything_can_be_made_again_gets_its_past_later() {
        let mut feed = Feed::default();
        begin(&mut feed, 1, Outcome::Fresh, 1);
        feed.begin_painting();
        feed.want(&received());
        assert!(!feed.work(|| true));
        feed.take(&frames(&mut Sample::new(), 3).concat(), at(3)).unwrap();
        assert!(feed.store().tracks().is_busy());
        assert_eq!(line(&mut feed, &received()), [None, Some(32_000.0), Some(32_000.0)]);
    }

    #[test]
    fn events_of_every_frame_are_kept() {
        let mut feed = Feed::default();
        begin(&mut feed, 1, Outcome::Fresh, 1);
        let mut server = Sample::new();
        for _ in 0..3 {
            server.events = vec![event(EventKind::SessionStarted)];
            let mut out = Vec::new();
            server.write(&[], &mut out);
            feed.take(&out, at(1)).unwrap();
        }
        assert_eq!(feed.store().events().newest().len(), 3);
    }
}
