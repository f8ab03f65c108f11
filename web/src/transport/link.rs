use core::time::Duration;

use tachograph_core::time::Moment;

use super::Backoff;
use crate::state::{Connection, STALE_AFTER};

/// A socket that does not open, or brings nothing new, for so long is given up.
const SILENCE_MAX: Duration = Duration::from_secs(10);

/// The connection's life: what happened to the socket goes in, what to do and to show comes out.
#[derive(Clone, Debug)]
pub struct Link {
    phase: Phase,
    backoff: Backoff,
    last_news: Option<Moment>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The socket is being opened.
    Opening { since: Moment },
    /// The socket is open.
    Open { since: Moment },
    /// There is no socket until then.
    Waiting { until: Moment },
}

/// What is to be done now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Todo {
    /// Nothing.
    Nothing,
    /// Open a socket.
    Connect,
    /// Give the socket up.
    Abandon,
}

impl Link {
    /// A link whose first attempt begins `now`.
    pub fn new(now: Moment) -> Self {
        Self { phase: Phase::Waiting { until: now }, backoff: Backoff::default(), last_news: None }
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
        if matches!(self.phase, Phase::Waiting { .. }) {
            self.phase = Phase::Waiting { until: now };
        }
    }

    /// What to show.
    pub fn connection(&self, now: Moment) -> Connection {
        match (self.phase, self.last_news) {
            (Phase::Waiting { .. } | Phase::Opening { .. }, _) if self.backoff.failures() > 0 => self.reconnecting(now),
            (Phase::Open { .. }, Some(since)) if now.since(since) > STALE_AFTER => Connection::Stale { since },
            (Phase::Open { .. }, Some(_)) => Connection::Live,
            _ => Connection::Connecting,
        }
    }

    fn reconnecting(&self, now: Moment) -> Connection {
        let next_in = match self.phase {
            Phase::Waiting { until } => Duration::from_secs_f64(until.since(now).as_secs_f64().ceil()),
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
}
