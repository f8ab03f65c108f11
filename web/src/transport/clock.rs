use core::time::Duration;

use tachograph_core::time::Moment;

/// A wall clock that is ahead by so much slept through it.
const SLEPT_MILLIS: f64 = 1_500.0;

/// The page's clock, which never goes back. A browser's own monotonic clock stands still on some
/// machines while they sleep; the wall clock tells that time went by.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clock {
    monotonic: f64,
    wall: f64,
    now: Moment,
}

impl Clock {
    /// A clock that begins at these readings, in milliseconds.
    pub fn new(monotonic: f64, wall: f64) -> Self {
        Self { monotonic, wall, now: Moment::from_nanos((monotonic.max(0.0) * 1e6) as u64) }
    }

    /// What time it is at these readings.
    pub fn read(&mut self, monotonic: f64, wall: f64) -> Moment {
        let by_monotonic = (monotonic - self.monotonic).max(0.0);
        let by_wall = wall - self.wall;
        let elapsed = if by_wall - by_monotonic > SLEPT_MILLIS { by_wall } else { by_monotonic };
        (self.monotonic, self.wall) = (monotonic, wall);
        self.now = self.now + Duration::from_nanos((elapsed * 1e6) as u64);
        self.now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_by_the_monotonic_clock_and_over_a_sleep_by_the_wall_clock() {
        let mut clock = Clock::new(1_000.0, 50_000.0);
        assert_eq!(clock.read(1_250.0, 50_900.0), Moment::from_millis(1_250), "the wall clock was set");
        assert_eq!(clock.read(1_500.0, 20_000.0), Moment::from_millis(1_500), "and set back");
        assert_eq!(clock.read(1_600.0, 80_000.0), Moment::from_millis(61_500), "a minute of sleep");
        assert_eq!(clock.read(1_500.0, 80_000.0), Moment::from_millis(61_500));
    }
}
