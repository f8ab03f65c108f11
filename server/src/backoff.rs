use std::time::Duration;

use uuid::Uuid;

/// How long to wait after each failure: twice as long as before, less a random part, so that many who failed for
/// the same reason do not come back at once.
#[derive(Debug)]
pub(crate) struct Backoff {
    first: Duration,
    longest: Duration,
    next: Duration,
}

impl Backoff {
    pub(crate) const fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, next: first }
    }

    /// After one more failure: half to all of what it has come to.
    pub(crate) fn wait(&mut self) -> Duration {
        let now = self.next;
        self.next = (now * 2).min(self.longest);
        now.mul_f64(1.0 - 0.5 * random_share())
    }

    /// It works again.
    pub(crate) fn reset(&mut self) {
        self.next = self.first;
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

    fn backoff() -> Backoff {
        Backoff::new(Duration::from_millis(500), Duration::from_secs(30))
    }

    #[test]
    fn waits_double_and_are_bounded() {
        let mut backoff = backoff();
        for expected in [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0] {
            let wait = backoff.wait().as_secs_f64();
            assert!((expected / 2.0..=expected).contains(&wait), "{wait} of {expected}");
        }
        backoff.reset();
        assert!(backoff.wait() <= Duration::from_millis(500));
    }

    #[test]
    fn waits_differ() {
        let waits: std::collections::BTreeSet<_> = (0..10).map(|_| backoff().wait()).collect();
        assert!(waits.len() > 5);
    }
}
