use core::time::Duration;

use tachograph_core::time::Moment;

use super::Backoff;
use crate::state::{Connection, STALE_AFTER};

/// A socket that does not open, or brings nothing new, for so long is given up.
const SILENCE_MAX: Duration = Duration::from_secs(10);
/// Two beats that are further apart had a sleep between them, or a browser that let the page wait.
const SLEPT_AFTER: Duration = Duration::from_secs(2);
/// Until missing frames are asked for again, if they did not come: at first, and at most.
const REFILL_FIRST: Duration = Duration::from_secs(4);
const REFILL_LONGEST: Duration = Duration::from_secs(256);

/// The connection's life: what happened to the socket goes in, what to do and to show comes out.
#[derive(Clone, Debug)]
pub struct Link {
    phase: Phase,
    backoff: Backoff,
    last_news: Option<Moment>,
    last_beat: Moment,
    refill: Refill,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The socket is being opened.
    Opening { since: Moment },
    /// The socket is open.
    Open { since: Moment },
    /// There is no socket until then, or one that is to be replaced.
    Waiting { until: Moment },
}

/// When missing frames are asked for: on a new connection, with longer and longer waits.
#[derive(Clone, Copy, Debug)]
struct Refill {
    not_before: Moment,
    wait: Duration,
}

/// What is to be done now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Todo {
    /// Nothing.
    Nothing,
    /// Open a socket, in place of the one that there may be.
    Connect,
    /// Give the socket up.
    Abandon,
}

impl Link {
    /// A link whose first attempt begins `now`.
    pub fn new(now: Moment) -> Self {
        Self {
            phase: Phase::Waiting { until: now },
            backoff: Backoff::default(),
            last_news: None,
            last_beat: now,
            refill: Refill { not_before: now, wait: REFILL_FIRST },
        }
    }

    /// What is to be done now. The answer repeats until it is carried out.
    pub fn todo(&self, now: Moment) -> Todo {
        match self.phase {
            Phase::Waiting { until } if now >= until => Todo::Connect,
            Phase::Opening { since } if now.since(since) >= SILENCE_MAX => Todo::Abandon,
            Phase::Open { since } if now.since(self.last_news.unwrap_or(since).max(since)) >= SILENCE_MAX => {
                Todo::Abandon
            }
            _ => Todo::Nothing,
        }
    }

    /// Told some times a second, with whether frames are missing.
    pub fn beat(&mut self, now: Moment, has_hole: bool) {
        let since_last = now.since(self.last_beat);
        self.last_beat = now;
        if since_last > SLEPT_AFTER {
            self.wake(now);
        }
        self.refill(now, has_hole);
    }

    /// The page slept, or was hidden: a socket that brought nothing for a while may be dead, and a new
    /// one brings all that was missed.
    pub fn wake(&mut self, now: Moment) {
        let silent = |since: Moment| now.since(self.last_news.unwrap_or(since).max(since)) > STALE_AFTER;
        match self.phase {
            Phase::Opening { since } | Phase::Open { since } if silent(since) => {
                self.phase = Phase::Waiting { until: now };
            }
            _ => self.hurry(now),
        }
    }

    /// Asks for missing frames by a new connection, if that was not tried a moment ago.
    fn refill(&mut self, now: Moment, has_hole: bool) {
        if !has_hole {
            self.refill.wait = REFILL_FIRST;
        } else if now >= self.refill.not_before && matches!(self.phase, Phase::Open { .. }) {
            self.phase = Phase::Waiting { until: now };
            self.refill.not_before = now + self.refill.wait;
            self.refill.wait = self.refill.wait.saturating_mul(2).min(REFILL_LONGEST);
        }
    }

    /// A socket is being opened.
    pub fn opening(&mut self, now: Moment) {
        self.phase = Phase::Opening { since: now };
    }

    /// The socket is open.
    pub fn opened(&mut self, now: Moment) {
        self.phase = Phase::Open { since: now };
    }

    /// A new frame arrived.
    pub fn news(&mut self, now: Moment) {
        self.last_news = Some(now);
        self.backoff.reset();
    }

    /// The socket is gone; `chance` is a random number from 0 up to 1.
    pub fn closed(&mut self, now: Moment, chance: f64) {
        self.phase = Phase::Waiting { until: now + self.backoff.fail(chance) };
    }

    /// The reader does not want to wait.
    pub fn hurry(&mut self, now: Moment) {
        if let Phase::Waiting { until } = &mut self.phase {
            *until = now.min(*until);
        }
    }

    /// What to show.
    pub fn connection(&self, now: Moment) -> Connection {
        match (self.phase, self.last_news) {
            (Phase::Waiting { .. } | Phase::Opening { .. }, _) if self.backoff.failures() > 0 => self.reconnecting(now),
            // A socket that is replaced without a failure leaves the page as it is.
            (_, Some(since)) if now.since(since) > STALE_AFTER => Connection::Stale { since },
            (_, Some(_)) => Connection::Live,
            _ => Connection::Connecting,
        }
    }

    fn reconnecting(&self, now: Moment) -> Connection {
        let next_in = match self.phase {
            Phase::Waiting { until } => Duration::from_secs(until.since(now).as_secs_f64().ceil() as u64),
            _ => Duration::ZERO,
        };
        Connection::Reconnecting { attempt: self.backoff.failures(), next_in }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Moment {
        Moment::from_millis(millis)
    }

    /// Opened at 0.1 s, a frame at 1 s.
    fn live() -> Link {
        let mut link = Link::new(at(0));
        link.opening(at(0));
        link.opened(at(100));
        link.news(at(1_000));
        link
    }

    #[test]
    fn connects_at_once_and_is_live_with_the_first_frame() {
        let mut link = Link::new(at(0));
        assert_eq!(link.todo(at(0)), Todo::Connect);
        link.opening(at(0));
        assert_eq!((link.todo(at(50)), link.connection(at(50))), (Todo::Nothing, Connection::Connecting));
        link.opened(at(100));
        assert_eq!(link.connection(at(100)), Connection::Connecting);
        link.news(at(200));
        assert_eq!(link.connection(at(200)), Connection::Live);
    }

    #[test]
    fn stale_after_two_missing_frames_and_given_up_after_ten_seconds() {
        let link = live();
        assert_eq!(link.connection(at(3_000)), Connection::Live);
        assert_eq!(link.connection(at(3_001)), Connection::Stale { since: at(1_000) });
        assert_eq!(link.todo(at(10_999)), Todo::Nothing);
        assert_eq!(link.todo(at(11_000)), Todo::Abandon);
    }

    #[test]
    fn a_socket_that_never_opens_is_given_up() {
        let mut link = Link::new(at(0));
        link.opening(at(0));
        assert_eq!(link.todo(at(10_000)), Todo::Abandon);
    }

    #[test]
    fn comes_back_with_longer_and_longer_waits() {
        let mut link = live();
        link.closed(at(1_500), 0.0);
        let waiting = Connection::Reconnecting { attempt: 1, next_in: Duration::from_secs(1) };
        assert_eq!((link.connection(at(1_500)), link.todo(at(1_999))), (waiting, Todo::Nothing));
        assert_eq!(link.todo(at(2_000)), Todo::Connect);
        link.opening(at(2_000));
        let trying = Connection::Reconnecting { attempt: 1, next_in: Duration::ZERO };
        assert_eq!(link.connection(at(2_000)), trying);
        link.closed(at(2_100), 0.0);
        assert_eq!((link.todo(at(3_099)), link.todo(at(3_100))), (Todo::Nothing, Todo::Connect));
    }

    /// A server that accepts and brings nothing must not be asked again and again without a wait.
    #[test]
    fn only_a_new_frame_shortens_the_wait() {
        let mut link = live();
        link.closed(at(2_000), 0.0);
        link.opening(at(2_500));
        link.opened(at(2_600));
        assert_eq!(link.connection(at(3_500)), Connection::Stale { since: at(1_000) });
        link.closed(at(4_000), 0.0);
        assert_eq!((link.todo(at(4_999)), link.todo(at(5_000))), (Todo::Nothing, Todo::Connect));
        link.opened(at(5_100));
        link.news(at(5_200));
        link.closed(at(6_000), 0.0);
        assert_eq!(link.todo(at(6_500)), Todo::Connect);
    }

    #[test]
    fn a_hurried_reader_does_not_wait() {
        let mut link = live();
        link.hurry(at(1_500));
        assert_eq!(link.connection(at(1_500)), Connection::Live);
        link.closed(at(2_000), 0.0);
        link.hurry(at(2_001));
        assert_eq!(link.todo(at(2_001)), Todo::Connect);
    }

    /// Beats four times a second up to `until`, doing what is to be done; each new socket opens at once and
    /// frames come each second. Returns when sockets were opened, in ms.
    fn beaten(link: &mut Link, from: u64, until: u64, has_hole: impl Fn(u64) -> bool) -> Vec<u64> {
        let mut opened = Vec::new();
        for millis in (from..=until).step_by(250) {
            if millis % 1_000 == 0 {
                link.news(at(millis));
            }
            link.beat(at(millis), has_hole(millis));
            if link.todo(at(millis)) == Todo::Connect {
                link.opening(at(millis));
                link.opened(at(millis));
                opened.push(millis);
            }
        }
        opened
    }

    #[test]
    fn a_hole_is_asked_for_at_once_and_then_less_and_less_often() {
        let mut link = live();
        assert!(beaten(&mut link, 1_000, 2_000, |_| false).is_empty());
        let asked = beaten(&mut link, 2_250, 1_000_000, |_| true);
        let waits: Vec<u64> = asked.windows(2).map(|pair| (pair[1] - pair[0]) / 1_000).collect();
        assert_eq!((asked[0], waits), (2_250, vec![4, 8, 16, 32, 64, 128, 256, 256]));
        assert_eq!(link.connection(at(1_000_000)), Connection::Live, "nobody sees it");
    }

    #[test]
    fn holes_that_are_filled_are_asked_for_once_but_not_more_often_than_every_4_s() {
        let mut link = live();
        // A hole a second, each gone with the connection that asked for it.
        let asked = beaten(&mut link, 1_000, 20_000, |millis| millis % 1_000 == 0);
        assert_eq!(asked, [1_000, 5_000, 9_000, 13_000, 17_000]);
    }

    #[test]
    fn a_page_that_slept_resumes_at_once() {
        let mut link = live();
        beaten(&mut link, 1_000, 2_000, |_| false);
        link.beat(at(60_000), false);
        assert_eq!(link.todo(at(60_000)), Todo::Connect);
        assert_eq!(link.connection(at(60_000)), Connection::Stale { since: at(2_000) });
        link.opening(at(60_000));
        link.opened(at(60_050));
        link.news(at(60_100));
        assert_eq!(link.connection(at(60_100)), Connection::Live);
    }

    #[test]
    fn a_page_that_only_beat_slowly_keeps_its_socket() {
        let mut link = live();
        link.news(at(59_500));
        link.beat(at(60_000), false);
        assert_eq!(link.todo(at(60_000)), Todo::Nothing);
        link.wake(at(60_100));
        assert_eq!(link.todo(at(60_100)), Todo::Nothing);
    }

    #[test]
    fn a_page_that_is_seen_again_does_not_wait() {
        let mut link = live();
        link.closed(at(2_000), 0.0);
        link.wake(at(2_100));
        assert_eq!(link.todo(at(2_100)), Todo::Connect);
        link.opening(at(2_100));
        link.wake(at(2_200));
        assert_eq!(link.todo(at(2_200)), Todo::Nothing, "it is being opened");
    }
}
