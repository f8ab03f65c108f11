use std::time::Duration;

use tachograph_core::time::Moment;
use tokio::time::Instant;

use crate::limits::Limits;
use crate::pace::Bucket;

/// A client waits no longer after one message, so that its close is noticed; what it still owes, the next one waits for.
const WAIT_MAX: Duration = Duration::from_secs(10);

/// How fast a client's connection is read: so many messages and so many bytes a second. Pings and pongs are
/// messages, too.
#[derive(Debug, Default)]
pub(super) struct Pace {
    messages: Bucket,
    bytes: Bucket,
    /// Nothing is read before.
    read_at: Option<Instant>,
    is_told: bool,
}

/// A message came so fast that the next one waits.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Paced {
    /// The first such one since the client kept the pace; what it is to be told.
    Newly(String),
    Still,
}

impl Pace {
    /// Counts a message of so many bytes; None when the next one need not wait.
    pub(super) fn take(&mut self, bytes: usize, limits: &Limits, now: Moment) -> Option<Paced> {
        let Limits { messages_per_second, bytes_per_second, .. } = *limits;
        if self.messages.is_at_rest(now) && self.bytes.is_at_rest(now) {
            self.is_told = false;
        }
        let by_messages = self.messages.take(1, messages_per_second.into(), now);
        let by_bytes = self.bytes.take(bytes as u64, bytes_per_second.into(), now);
        let wait = by_messages.max(by_bytes).min(WAIT_MAX);
        self.read_at = (!wait.is_zero()).then(|| Instant::now() + wait);
        if wait.is_zero() {
            return None;
        }
        if std::mem::replace(&mut self.is_told, true) {
            return Some(Paced::Still);
        }
        Some(Paced::Newly(if by_messages >= by_bytes {
            format!("messages come faster than {messages_per_second} a second and are read at that pace")
        } else {
            format!("more than {bytes_per_second} bytes a second come and are read at that pace")
        }))
    }

    /// When the next message is read; None for at once.
    pub(super) fn read_at(&self) -> Option<Instant> {
        self.read_at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: fn() -> Limits = || Limits { messages_per_second: 10, bytes_per_second: 1_000, ..Limits::default() };

    #[test]
    fn a_client_is_told_once_until_it_keeps_the_pace_again() {
        let (mut pace, limits, now) = (Pace::default(), LIMITS(), Moment::default());
        assert!((0..10).all(|_| pace.take(1, &limits, now).is_none()));
        assert_eq!(pace.read_at(), None);
        let Some(Paced::Newly(told)) = pace.take(1, &limits, now) else { panic!("it is told") };
        assert!(told.contains("10 a second"), "{told}");
        assert!(pace.read_at().is_some());
        assert_eq!(pace.take(1, &limits, now), Some(Paced::Still));
        assert_eq!(pace.take(1, &limits, Moment::from_millis(1_100)), None, "a second is made up for");
        let flooded = |pace: &mut Pace, at| (0..11).find_map(|_| pace.take(1, &limits, Moment::from_millis(at)));
        assert_eq!(flooded(&mut pace, 1_250), Some(Paced::Still), "it never was at rest");
        assert!(matches!(flooded(&mut pace, 60_000), Some(Paced::Newly(_))));
    }

    #[test]
    fn few_long_messages_are_paced_by_their_bytes() {
        let (mut pace, limits, now) = (Pace::default(), LIMITS(), Moment::default());
        assert_eq!(pace.take(1_000, &limits, now), None);
        let Some(Paced::Newly(told)) = pace.take(500, &limits, now) else { panic!("it is told") };
        assert!(told.contains("1000 bytes a second"), "{told}");
    }
}
