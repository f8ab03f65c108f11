//! The clocks that the core is given: monotonic inside, wall time on the wire.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tachograph_core::time::Moment;
use tokio::time::Instant;

/// Monotonic time since the server's start.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    origin: Instant,
}

impl Clock {
    /// A clock that begins now.
    pub(crate) fn start() -> Self {
        Self { origin: Instant::now() }
    }

    /// Now, for the core.
    pub(crate) fn now(&self) -> Moment {
        let nanos = self.origin.elapsed().as_nanos();
        Moment::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// A moment of the core, for tokio's timers.
    pub(crate) fn instant(&self, moment: Moment) -> Instant {
        self.origin + Duration::from_nanos(moment.as_nanos())
    }
}

/// Wall time that is off by less, between two ticks, is put right without anybody's notice.
const STEP_MIN_MS: i64 = 1_000;

/// Notices that wall time leapt: the clock was set, or the machine slept, which monotonic time does not count.
#[derive(Debug, Default)]
pub(crate) struct ClockWatch {
    last: Option<(Moment, u64)>,
}

impl ClockWatch {
    /// By how many milliseconds wall time leapt since the time before, if it did.
    pub(crate) fn look(&mut self, now: Moment, wall_ms: u64) -> Option<i64> {
        let (before, wall_before_ms) = self.last.replace((now, wall_ms))?;
        let passed_ms = i64::try_from(now.since(before).as_millis()).unwrap_or(i64::MAX);
        let leapt_ms = (wall_ms as i64).saturating_sub(wall_before_ms as i64).saturating_sub(passed_ms);
        (leapt_ms.abs() >= STEP_MIN_MS).then_some(leapt_ms)
    }
}

/// Wall time now, as Unix seconds.
pub(crate) fn unix_seconds() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

/// Wall time now, as Unix milliseconds.
pub(crate) fn unix_millis() -> u64 {
    (unix_seconds() * 1_000.0).round() as u64
}

/// Unix seconds as a date and time of UTC that the name of a file can hold, such as 20261125T010203Z.
pub(crate) fn utc_compact(unix_seconds: u64) -> String {
    let (days, second) = (unix_seconds / 86_400, unix_seconds % 86_400);
    let (year, month, day) = date(days);
    format!("{year:04}{month:02}{day:02}T{:02}{:02}{:02}Z", second / 3_600, second / 60 % 60, second % 60)
}

/// The Gregorian year, month and day of so many days since 1970: counted from 0000-03-01, so that a leap day
/// ends its year.
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, later) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (400 * era + year + later, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_leaps_is_noticed_and_one_that_is_late_is_not() {
        let mut watch = ClockWatch::default();
        let mut look = |monotonic_ms, wall_ms| watch.look(Moment::from_millis(monotonic_ms), wall_ms);
        assert_eq!(look(1_000, 500_000), None);
        assert_eq!(look(2_000, 501_400), None, "put right");
        assert_eq!(look(62_000, 561_400), None, "a late tick");
        assert_eq!(look(63_000, 4_162_400), Some(3_600_000));
        assert_eq!(look(64_000, 563_400), Some(-3_600_000));
        assert_eq!(look(65_000, 0), Some(-564_400));
    }

    #[test]
    fn a_time_is_written_as_a_date() {
        for (seconds, text) in [
            (0, "19700101T000000Z"),
            (951_782_399, "20000228T235959Z"),
            (951_782_400, "20000229T000000Z"),
            (951_868_800, "20000301T000000Z"),
            (1_795_568_523, "20261125T010203Z"),
            (4_107_542_400, "21000301T000000Z"),
        ] {
            assert_eq!(utc_compact(seconds), text);
        }
    }
}
