//! Time as an argument: moments on a monotonic clock that the caller owns, and a fixed schedule.

use core::time::Duration;

/// A moment on the caller's monotonic clock, in nanoseconds since an origin of the caller's choice.
///
/// ```
/// use core::time::Duration;
/// use tachograph_core::time::Moment;
///
/// let start = Moment::from_millis(250);
/// assert_eq!((start + Duration::from_secs(1)).since(start), Duration::from_secs(1));
/// assert_eq!(start.since(start + Duration::from_secs(1)), Duration::ZERO);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(u64);

impl Moment {
    /// The moment so many nanoseconds after the origin.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// The moment so many milliseconds after the origin.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis.saturating_mul(1_000_000))
    }

    /// Nanoseconds since the origin.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// How long ago `earlier` was; zero if it is later.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl core::ops::Add<Duration> for Moment {
    type Output = Self;

    fn add(self, span: Duration) -> Self {
        let nanos = u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(nanos))
    }
}

/// A fixed schedule: the n-th tick is due n periods after the start.
///
/// A late tick never shifts the later ones. A tick that was not run before the next one was due is
/// missed: counted and skipped.
///
/// ```
/// use core::time::Duration;
/// use tachograph_core::time::{Moment, Schedule};
///
/// let mut ticks = Schedule::new(Moment::default(), Duration::from_secs(1));
/// assert_eq!(ticks.poll(Moment::from_millis(999)), None);
/// assert_eq!(ticks.poll(Moment::from_millis(1_900)), Some(1));
/// assert_eq!(ticks.next_due(), Moment::from_millis(2_000));
/// assert_eq!(ticks.poll(Moment::from_millis(4_100)), Some(4));
/// assert_eq!(ticks.missed(), 2);
/// ```
#[derive(Clone, Debug)]
pub struct Schedule {
    start: Moment,
    period: Duration,
    last: u64,
    missed: u64,
}

impl Schedule {
    /// A schedule whose first tick is due one period after `start`. A zero period counts as 1 ns.
    pub fn new(start: Moment, period: Duration) -> Self {
        let period = period.max(Duration::from_nanos(1));
        Self { start, period, last: 0, missed: 0 }
    }

    /// When the next tick is due.
    pub fn next_due(&self) -> Moment {
        self.due(self.last.saturating_add(1))
    }

    /// The number of the tick to run at `now`, if one is due that was not run yet.
    pub fn poll(&mut self, now: Moment) -> Option<u64> {
        let due = now.since(self.start).as_nanos() / self.period.as_nanos();
        let due = u64::try_from(due).unwrap_or(u64::MAX);
        if due <= self.last {
            return None;
        }
        self.missed += due - self.last - 1;
        self.last = due;
        Some(due)
    }

    /// The number of the newest tick; 0 before the first.
    pub fn newest(&self) -> u64 {
        self.last
    }

    /// How late tick `number` is at `now`.
    pub fn lag(&self, number: u64, now: Moment) -> Duration {
        now.since(self.due(number))
    }

    /// How many ticks were skipped because the next one was due already.
    pub fn missed(&self) -> u64 {
        self.missed
    }

    fn due(&self, number: u64) -> Moment {
        let nanos = self.period.as_nanos().saturating_mul(u128::from(number));
        self.start + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}
