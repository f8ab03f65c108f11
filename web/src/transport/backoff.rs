use core::time::Duration;

const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(8);

/// How long to wait before the next attempt to connect: twice as long after each failure, up to
/// 8 s, less a random part of up to half, so that many pages do not come back in step.
#[derive(Clone, Debug, Default)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The wait after one more failure; `chance` is a random number from 0 up to 1.
    pub fn fail(&mut self, chance: f64) -> Duration {
        let doubled = FIRST.saturating_mul(2_u32.saturating_pow(self.failures));
        self.failures = self.failures.saturating_add(1);
        let millis = doubled.min(LONGEST).as_secs_f64() * 1_000.0 * (1.0 - chance.clamp(0.0, 1.0) / 2.0);
        Duration::from_millis(millis as u64)
    }

    /// A frame came: the next failure is a first one again.
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    /// Failures since the last frame.
    pub fn failures(&self) -> u32 {
        self.failures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits(chance: f64, count: usize) -> Vec<u128> {
        let mut backoff = Backoff::default();
        (0..count).map(|_| backoff.fail(chance).as_millis()).collect()
    }

    #[test]
    fn waits_double_up_to_the_longest() {
        assert_eq!(waits(0.0, 7), [500, 1000, 2000, 4000, 8000, 8000, 8000]);
    }

    #[test]
    fn chance_takes_up_to_half() {
        assert_eq!(waits(1.0, 3), [250, 500, 1000]);
        assert_eq!(waits(0.5, 1), [375]);
        assert_eq!(waits(f64::INFINITY, 1), [250]);
    }

    #[test]
    fn a_frame_makes_the_next_failure_a_first_one() {
        let mut backoff = Backoff::default();
        for _ in 0..100 {
            backoff.fail(0.0);
        }
        backoff.reset();
        assert_eq!(backoff.failures(), 0);
        assert_eq!(backoff.fail(0.0), FIRST);
    }
}
