//! Sessions without audio of the core's: what is told of a source is counted, and no more than can be true.

use core::time::Duration;

use tachograph_core::registry::{DefaultMetrics, Registry};
use tachograph_core::session::{Action, Amount, Degrade, Level, Session, SourceConfig, SourceError, TickTally, Work};
use tachograph_core::wire::{LadderChange, Metrics, ProviderState, SourceName, SourceReceipt, Status, StatusState};

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::support::{Random, identity, ms};

const NOTHING: Amount = Amount::new(0, 0);

fn tokens() -> SourceName {
    SourceName::parse("tokens").unwrap()
}

fn session() -> Session {
    Session::new(2, DefaultMetrics::register(&Registry::new()).unwrap(), Default::default(), ms(0))
}

/// One with a source of that.
fn opened(config: SourceConfig) -> Session {
    let mut session = session();
    assert_eq!(session.open_source(tokens(), config), Ok(true));
    session
}

fn told() -> Session {
    opened(SourceConfig { degrade: Degrade::Told, ..SourceConfig::default() })
}

/// So many frames of 10 bytes and 20 ms each.
fn frames(count: u64) -> Amount {
    Amount::new(count, 10 * count).lasting(Duration::from_millis(20 * count))
}

fn took(millis: u64) -> Work {
    let inference = Duration::from_millis(millis);
    Work { inference, processing: inference, voice: None }
}

fn figures(session: &mut Session, at: u64) -> Metrics {
    session.figures(at / 1_000, ms(at), 0.0).remove(0)
}

fn receipt(session: &mut Session, at: u64) -> SourceReceipt {
    session.end(identity(), TickTally::default(), ms(at)).sources.remove(0)
}

#[test]
fn a_source_is_opened_once_and_no_more_of_them_than_allowed() {
    let mut session = session();
    let other = |name| SourceName::parse(name).unwrap();
    let bounded = SourceConfig { frames_max: 4, ..SourceConfig::default() };
    assert_eq!(session.open_source(tokens(), bounded.clone()), Ok(true));
    assert_eq!(session.open_source(tokens(), SourceConfig::default()), Ok(false));
    assert_eq!(figures(&mut session, 0).queue_max, 4, "it stays as it is");
    assert_eq!(session.open_source(other("mic"), bounded.clone()), Ok(true));
    assert_eq!(session.open_source(other("camera"), bounded.clone()), Err(SourceError::TooMany));
    session.end(identity(), TickTally::default(), ms(0));
    assert_eq!(session.open_source(other("camera"), bounded), Err(SourceError::Ended));
}

#[test]
fn what_is_told_goes_through_the_queue_and_the_providers_hands() {
    let mut session = opened(SourceConfig::default());
    session.enqueued(tokens(), frames(10), frames(1), ms(10));
    session.discarded(tokens(), frames(2), ms(20));
    session.dequeued(tokens(), frames(5));
    session.dropped(tokens(), frames(1), ms(30));
    session.processed(tokens(), frames(2), &took(20), ms(40));
    session.failed(tokens(), frames(1), ms(50));
    let now = figures(&mut session, 60);
    assert_eq!((now.queue_depth, now.queue_bytes, now.backlog_seconds), (2, 20, 0.04));
    assert_eq!((now.bytes_received, now.bytes_processed, now.bytes_dropped), (100, 20, 50));
    assert_eq!((now.bytes_in_provider, now.dropped_total), (10, 5));
    assert_eq!((now.total_chunks_processed, now.realtime_factor), (1, 0.5));
    let receipt = receipt(&mut session, 70);
    assert_eq!((receipt.frames.received, receipt.frames.processed, receipt.frames.dropped), (10, 2, 8));
    assert_eq!((receipt.frames_left, receipt.bytes_left, receipt.chunks_failed), (3, 30, 1));
}

#[test]
fn of_more_than_there_is_only_what_there_is_is_taken() {
    let mut session = opened(SourceConfig::default());
    session.enqueued(tokens(), frames(2), frames(9), ms(0));
    assert_eq!(figures(&mut session, 0).dropped_total, 2, "no more than had come");
    session.enqueued(tokens(), frames(2), NOTHING, ms(0));
    session.processed(tokens(), frames(1), &took(10), ms(0));
    session.dropped(tokens(), frames(1), ms(0));
    session.failed(tokens(), frames(1), ms(0));
    let now = figures(&mut session, 0);
    assert_eq!((now.bytes_processed, now.dropped_total, now.queue_depth), (0, 2, 2), "all of it still waits");
    session.dequeued(tokens(), frames(9));
    session.discarded(tokens(), frames(9), ms(0));
    let now = figures(&mut session, 0);
    assert_eq!((now.queue_depth, now.bytes_in_provider, now.dropped_total), (0, 20, 2));
    session.processed(tokens(), frames(9), &took(10), ms(0));
    assert_eq!(figures(&mut session, 0).bytes_processed, 20);
    assert!(session.is_drained());
}

#[test]
fn of_sources_that_are_not_there_and_after_the_end_nothing_counts() {
    let mut session = opened(SourceConfig::default());
    let absent = SourceName::parse("absent").unwrap();
    session.enqueued(absent, frames(1), NOTHING, ms(0));
    assert!(session.is_drained());
    let before = receipt(&mut session, 0);
    session.enqueued(tokens(), frames(1), NOTHING, ms(0));
    session.processed(tokens(), frames(1), &took(1), ms(0));
    assert_eq!(receipt(&mut session, 0), before);
    assert!(session.tick(1, ms(1_000), 0.0).is_empty());
}

#[test]
fn what_no_frame_counts_is_neither_drained_nor_forgotten() {
    let mut session = opened(SourceConfig::default());
    session.enqueued(tokens(), Amount::new(0, 7), NOTHING, ms(0));
    assert!(!session.is_drained(), "7 bytes wait");
    assert_eq!(figures(&mut session, 3_000).provider_state, ProviderState::Stalled);
    session.dequeued(tokens(), Amount::new(0, 7));
    assert!(!session.is_drained(), "7 bytes are in the provider's hands");
    session.dropped(tokens(), Amount::new(0, 7), ms(0));
    assert!(session.is_drained());
    session.tick(1, ms(1_000), 0.0);
    assert_eq!(session.take_statuses().len(), 1, "the drop is told");
}

#[test]
fn work_on_nothing_is_work() {
    let mut session = opened(SourceConfig::default());
    session.work_began(tokens());
    assert!(!session.is_drained());
    assert_eq!(figures(&mut session, 0).provider_state, ProviderState::Running);
    session.work_ended(tokens());
    session.processed(tokens(), NOTHING, &took(30), ms(30));
    assert!(session.is_drained());
    let now = figures(&mut session, 30);
    assert_eq!((now.total_chunks_processed, now.avg_infer_ms, now.realtime_factor), (1, 30.0, 0.0));
}

#[test]
fn amounts_too_large_to_add_up_saturate() {
    let mut session = opened(SourceConfig::default());
    let all = Amount::new(u64::MAX, u64::MAX).lasting(Duration::MAX);
    for _ in 0..3 {
        session.enqueued(tokens(), all, all, ms(0));
        session.tick(1, ms(50), 0.0);
    }
    session.enqueued(tokens(), all, NOTHING, ms(200));
    session.discarded(tokens(), all, ms(200));
    assert_eq!(figures(&mut session, 300).dropped_chunks_last_10s, u64::MAX);
}

// ---- the identity

/// What became of it, in frames, bytes and ms of media.
#[derive(Default)]
struct Told {
    received: [u64; 3],
    waiting: [u64; 3],
    taken: [u64; 3],
    processed: [u64; 3],
    dropped: [u64; 3],
}

fn amount([frames, bytes, media_ms]: [u64; 3]) -> Amount {
    Amount::new(frames, bytes).lasting(Duration::from_millis(media_ms))
}

/// Takes so much, or what there is.
fn take(from: &mut [u64; 3], wanted: [u64; 3]) -> [u64; 3] {
    let taken: [u64; 3] = core::array::from_fn(|figure| from[figure].min(wanted[figure]));
    (0..3).for_each(|figure| from[figure] -= taken[figure]);
    taken
}

fn add(to: &mut [u64; 3], more: [u64; 3]) {
    (0..3).for_each(|figure| to[figure] += more[figure]);
}

impl Told {
    /// Tells the session something, true or not, and notes what of it is.
    fn tell(&mut self, session: &mut Session, random: &mut Random) {
        // Media in 10 ms, as exact as what is told of it.
        let mut some = || [random.below(6), random.below(60), 10 * random.below(12)];
        let (one, other) = (some(), some());
        match random.below(6) {
            0 | 1 => {
                session.enqueued(tokens(), amount(one), amount(other), ms(0));
                add(&mut self.received, one);
                add(&mut self.waiting, one);
                add(&mut self.dropped, take(&mut self.waiting, other));
            }
            2 => {
                session.dequeued(tokens(), amount(one));
                add(&mut self.taken, take(&mut self.waiting, one));
            }
            3 => {
                session.discarded(tokens(), amount(one), ms(0));
                add(&mut self.dropped, take(&mut self.waiting, one));
            }
            4 => {
                session.processed(tokens(), amount(one), &took(5), ms(0));
                add(&mut self.processed, take(&mut self.taken, one));
            }
            _ => {
                let tell = if other[0].is_multiple_of(2) { Session::dropped } else { Session::failed };
                tell(session, tokens(), amount(one), ms(0));
                add(&mut self.dropped, take(&mut self.taken, one));
            }
        }
    }

    /// Returns the media that were told as dropped, in ms.
    fn check(&self, session: &mut Session) -> u64 {
        let now = session.tick(1, ms(0), 0.0).remove(0);
        let in_hand = now.bytes_processed + now.bytes_dropped + now.queue_bytes + now.bytes_in_provider;
        assert_eq!(now.bytes_received, in_hand);
        let backlog_ms = (now.backlog_seconds * 1_000.0).round() as u64;
        assert_eq!([now.queue_depth, now.queue_bytes, backlog_ms], self.waiting);
        assert_eq!([now.dropped_total, now.bytes_dropped], self.dropped[..2]);
        assert_eq!([now.bytes_received, now.bytes_processed], [self.received[1], self.processed[1]]);
        assert_eq!(now.bytes_in_provider, self.taken[1]);
        assert_eq!(session.is_drained(), (self.waiting, self.taken) == ([0; 3], [0; 3]));
        let seconds = session.take_statuses().iter().filter_map(|status| status.dropped_seconds).sum::<f64>();
        (seconds * 1_000.0).round() as u64
    }
}

#[test]
fn the_identity_holds_whatever_is_told() {
    let mut random = Random(11);
    for _ in 0..60 {
        let (mut session, mut told) = (opened(SourceConfig::default()), Told::default());
        let mut dropped_ms = 0;
        for _ in 0..200 {
            told.tell(&mut session, &mut random);
            dropped_ms += told.check(&mut session);
        }
        assert_eq!(dropped_ms, told.dropped[2]);
        let receipt = receipt(&mut session, 0);
        let left: [u64; 3] = core::array::from_fn(|figure| told.waiting[figure] + told.taken[figure]);
        assert_eq!([receipt.frames_left, receipt.bytes_left], left[..2]);
        for (tally, figure) in [(&receipt.frames, 0), (&receipt.bytes, 1)] {
            let dropped = told.dropped[figure] + left[figure];
            assert_eq!((tally.received, tally.processed), (told.received[figure], told.processed[figure]));
            assert_eq!((tally.dropped, tally.queued), (dropped, 0));
            assert_eq!(tally.received, tally.processed + tally.dropped);
        }
    }
}

// ---- how full the queue is

#[test]
fn the_fill_is_the_largest_share_of_a_bound() {
    let bounds = |frames_max, bytes_max, media_ms| SourceConfig {
        frames_max,
        bytes_max,
        media_max: Duration::from_millis(media_ms),
        ..SourceConfig::default()
    };
    let cases = [
        (bounds(0, 0, 0), 0.0),
        (bounds(10, 0, 0), 0.5),
        (bounds(0, 200, 0), 0.25),
        (bounds(0, 0, 400), 0.25),
        (bounds(10, 200, 400), 0.5),
        (bounds(100, 50, 400), 1.0),
        (bounds(100, 200, 80), 1.25),
    ];
    for (config, ratio) in cases {
        let mut session = opened(config.clone());
        session.enqueued(tokens(), frames(5), NOTHING, ms(0));
        let now = figures(&mut session, 0);
        assert_eq!(now.queue_fill_ratio, ratio, "{config:?}");
        assert_eq!((now.queue_max, now.queue_max_frames), (config.frames_max, config.frames_max));
        assert_eq!((now.queue_bytes_max, now.max_backlog_seconds), (config.bytes_max, config.media_max.as_secs_f64()));
    }
}

#[test]
fn without_a_bound_there_is_no_backpressure() {
    let mut session = opened(SourceConfig::default());
    session.enqueued(tokens(), frames(1_000_000), NOTHING, ms(0));
    assert_eq!(session.take_statuses(), []);
    let mut session = opened(SourceConfig { frames_max: 4, ..SourceConfig::default() });
    session.enqueued(tokens(), frames(4), NOTHING, ms(0));
    session.discarded(tokens(), frames(4), ms(0));
    let states: Vec<_> = session.take_statuses().iter().map(|status| status.state).collect();
    assert_eq!(states, [StatusState::Overloaded, StatusState::Streaming]);
}

// ---- degrade levels that are told

fn steps(statuses: Vec<Status>) -> Vec<(StatusState, Option<Level>, Option<Action>)> {
    statuses.into_iter().map(|status| (status.state, status.degrade_level, status.action)).collect()
}

#[test]
fn a_level_that_is_told_is_in_force_and_its_changes_are_told_on() {
    let mut session = told();
    assert_eq!(session.level(tokens()), Level::Normal);
    for (level, at) in
        [(Level::Normal, 1_000), (Level::Degrade, 2_000), (Level::Degrade, 3_000), (Level::Failover, 4_000)]
    {
        session.set_level(tokens(), Some(level), ms(at));
        assert_eq!(session.level(tokens()), level);
    }
    let now = figures(&mut session, 4_000);
    assert_eq!((now.degrade_level, now.degrade_level_num), (Some(Level::Failover), Some(4)));
    assert_eq!(now.rtf_avg_10s, None, "no ladder looks at it");
    session.set_level(tokens(), Some(Level::Normal), ms(5_500));
    let expected = [
        (StatusState::Buffering, Some(Level::Degrade), Some(Action::ReduceQuality)),
        (StatusState::Reconnecting, Some(Level::Failover), Some(Action::UseFallback)),
        (StatusState::Streaming, Some(Level::Normal), Some(Action::LeaveFallback)),
    ];
    assert_eq!(steps(session.take_statuses()), expected);
    let change = |at_seconds, from, to, action| LadderChange { at_seconds, from, to, action };
    let timeline = [
        change(2.0, Level::Normal, Level::Degrade, Action::ReduceQuality),
        change(4.0, Level::Degrade, Level::Failover, Action::UseFallback),
        change(5.5, Level::Failover, Level::Normal, Action::LeaveFallback),
    ];
    assert_eq!(receipt(&mut session, 6_000).degrade_timeline, timeline);
}

/// The level before the gap is the one that was told of last: what follows is a change of that.
#[test]
fn a_level_that_cannot_be_had_for_a_while_is_no_change() {
    let mut session = told();
    for level in [Some(Level::Degrade), None, Some(Level::Degrade), None, Some(Level::Normal)] {
        session.set_level(tokens(), level, ms(0));
        assert_eq!(figures(&mut session, 0).degrade_level, level);
    }
    let expected = [
        (StatusState::Buffering, Some(Level::Degrade), Some(Action::ReduceQuality)),
        (StatusState::Streaming, Some(Level::Normal), Some(Action::RestoreQuality)),
    ];
    assert_eq!(steps(session.take_statuses()), expected);
    let timeline = receipt(&mut session, 0).degrade_timeline;
    assert!(timeline.windows(2).all(|two| two[0].to == two[1].from), "{timeline:?}");
}

#[test]
fn a_level_is_ignored_where_none_is_to_be_told() {
    for degrade in [Degrade::None, Degrade::Ladder { fallback: false }] {
        let mut session = opened(SourceConfig { degrade, ..SourceConfig::default() });
        session.set_level(tokens(), Some(Level::Emergency), ms(0));
        assert_eq!(session.level(tokens()), Level::Normal);
        assert_eq!(session.take_statuses(), []);
    }
}

#[test]
fn sources_without_a_level_are_those_that_should_have_one() {
    let mut session = session();
    let source = |name| SourceName::parse(name).unwrap();
    session.open_source(source("plain"), SourceConfig::default()).unwrap();
    assert_eq!(session.without_level().count(), 0);
    let told = SourceConfig { degrade: Degrade::Told, ..SourceConfig::default() };
    session.open_source(tokens(), told).unwrap();
    for (level, expected) in [(None, true), (Some(Level::Normal), false), (None, true)] {
        session.set_level(tokens(), level, ms(0));
        assert_eq!(session.without_level().eq([tokens()]), expected);
    }
    let session = opened(SourceConfig { degrade: Degrade::Ladder { fallback: false }, ..SourceConfig::default() });
    assert_eq!(session.without_level().count(), 0);
}
