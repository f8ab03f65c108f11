use std::time::Duration;

use uuid::Uuid;

const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(30);
/// A collector that asks for more is asked again all the same.
const ASKED_FOR_MAX: Duration = Duration::from_secs(600);

/// How long to wait after each failure: twice as long as before, less a random part, so that many who lost the
/// same collector do not come back at once.
#[derive(Debug)]
pub(super) struct Backoff {
    next: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { next: FIRST }
    }
}

impl Backoff {
    /// After one more failure; at least what the collector asked for.
    pub(super) fn wait(&mut self, asked_for: Option<Duration>) -> Duration {
        let longest = self.next;
        self.next = (longest * 2).min(LONGEST);
        let own = longest.mul_f64(1.0 - 0.5 * random_share());
        asked_for.map_or(own, |asked_for| asked_for.min(ASKED_FOR_MAX) + own / 4)
    }

    /// It works again.
    pub(super) fn reset(&mut self) {
        *self = Self::default();
    }
}

/// From 0 to 1.
fn random_share() -> f64 {
    let random = Uuid::new_v4().as_u128() as u32;
    f64::from(random) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_and_are_bounded() {
        let mut backoff = Backoff::default();
        for expected in [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0] {
            let wait = backoff.wait(None).as_secs_f64();
            assert!((expected / 2.0..=expected).contains(&wait), "{wait} of {expected}");
        }
        backoff.reset();
        assert!(backoff.wait(None) <= FIRST);
    }

    #[test]
    fn waits_differ() {
        let waits: std::collections::BTreeSet<_> = (0..10).map(|_| Backoff::default().wait(None)).collect();
        assert!(waits.len() > 5);
    }

    #[test]
    fn what_the_collector_asks_for_is_kept_within_reason() {
        let asked = |seconds| Backoff::default().wait(Some(Duration::from_secs(seconds)));
        assert!(asked(7) >= Duration::from_secs(7) && asked(7) < Duration::from_secs(8));
        assert!(asked(u64::MAX) < Duration::from_secs(601));
    }
}
