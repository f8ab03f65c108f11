//! So much a second and no more: whoever sends faster waits.

use std::time::Duration;

use tachograph_core::time::Moment;

/// What may come at once, however fast, before anything has to wait: as much as comes in so long at the pace.
const BURST: Duration = Duration::from_secs(1);

/// A token bucket. Its tokens are kept as time: what was taken is paid for by waiting, and up to a
/// second's worth may be owed.
///
/// Time is an argument, and so is the rate, which can change meanwhile.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Bucket {
    /// When all that was taken will be paid for.
    paid_at: Moment,
}

impl Bucket {
    /// Takes so much, whether there is as much or not; returns how long to wait before anything more is taken.
    pub(crate) fn take(&mut self, amount: u64, per_second: u64, now: Moment) -> Duration {
        let nanos = u128::from(amount) * 1_000_000_000 / u128::from(per_second.max(1));
        let cost = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        self.paid_at = self.paid_at.max(now) + cost;
        self.paid_at.since(now).saturating_sub(BURST)
    }

    /// Whether all that was taken is paid for.
    // Viewers are not told that they are paced.
    #[cfg(any(test, feature = "live"))]
    pub(crate) fn is_at_rest(&self, now: Moment) -> bool {
        self.paid_at <= now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn a_second_may_come_at_once_and_then_each_waits_its_time() {
        let (mut bucket, now) = (Bucket::default(), Moment::from_millis(5_000));
        assert!((0..100).all(|_| bucket.take(1, 100, now).is_zero()));
        assert_eq!(bucket.take(1, 100, now), ms(10));
        assert_eq!(bucket.take(1, 100, now), ms(20));
        assert_eq!(bucket.take(1, 100, Moment::from_millis(5_020)), ms(10));
    }

    #[test]
    fn who_keeps_the_pace_never_waits_and_is_at_rest_between() {
        let mut bucket = Bucket::default();
        for place in 1..10_000 {
            let now = Moment::from_millis(place * 10);
            assert!(bucket.is_at_rest(now));
            assert!(bucket.take(1, 100, now).is_zero(), "{place}");
        }
    }

    #[test]
    fn who_waits_as_told_gets_the_pace_exactly() {
        let (mut bucket, mut now) = (Bucket::default(), Moment::from_millis(1_000));
        let mut taken = 0;
        while now <= Moment::from_millis(11_000) {
            now = now + bucket.take(1, 50, now);
            taken += 1;
        }
        assert_eq!(taken, 50 + 10 * 50 + 1, "a second's worth at once, ten seconds' after, and the one that is late");
        assert!(!bucket.is_at_rest(now) && bucket.is_at_rest(now + BURST));
    }

    #[test]
    fn what_is_larger_than_the_burst_is_taken_and_paid_for_after() {
        let (mut bucket, now) = (Bucket::default(), Moment::default());
        assert_eq!(bucket.take(3_000_000, 1_000_000, now), ms(2_000));
        assert_eq!(bucket.take(0, 1_000_000, Moment::from_millis(2_000)), ms(0));
    }

    #[test]
    fn a_rate_may_change_and_no_rate_waits_for_ever_without_a_fault() {
        let (mut bucket, now) = (Bucket::default(), Moment::default());
        assert!(bucket.take(100, 100, now).is_zero());
        assert_eq!(bucket.take(100, 1_000, now), ms(100));
        assert!(bucket.take(u64::MAX, 0, now) > Duration::from_secs(u64::from(u32::MAX)));
        assert!(bucket.take(u64::MAX, 0, now) > Duration::from_secs(u64::from(u32::MAX)));
    }
}
