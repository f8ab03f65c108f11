use core::time::Duration;

use tachograph_core::time::{Moment, Schedule};

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::support::ms;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn the_nth_tick_is_due_n_seconds_after_the_start() {
    let mut ticks = Schedule::new(ms(300), SECOND);
    for number in 1..=100 {
        let due = ms(300 + number * 1_000);
        assert_eq!(ticks.next_due(), due);
        assert_eq!(ticks.poll(Moment::from_nanos(due.as_nanos() - 1)), None);
        assert_eq!(ticks.poll(due), Some(number));
    }
    assert_eq!(ticks.missed(), 0);
}

#[test]
fn a_late_tick_never_shifts_the_later_ones() {
    let mut ticks = Schedule::new(ms(0), SECOND);
    assert_eq!(ticks.poll(ms(1_999)), Some(1));
    assert_eq!(ticks.lag(1, ms(1_999)), Duration::from_millis(999));
    assert_eq!(ticks.next_due(), ms(2_000));
    assert_eq!(ticks.poll(ms(2_000)), Some(2));
    assert_eq!(ticks.missed(), 0);
}

#[test]
fn a_missed_tick_is_counted_and_skipped() {
    let mut ticks = Schedule::new(ms(0), SECOND);
    assert_eq!(ticks.poll(ms(3_500)), Some(3));
    assert_eq!(ticks.missed(), 2);
    assert_eq!(ticks.poll(ms(3_999)), None);
    assert_eq!(ticks.poll(ms(4_000)), Some(4));
    assert_eq!(ticks.missed(), 2);
}

#[test]
fn no_tick_runs_twice_when_the_clock_stands_or_goes_back() {
    let mut ticks = Schedule::new(ms(5_000), SECOND);
    assert_eq!(ticks.poll(ms(7_000)), Some(2));
    assert_eq!(ticks.poll(ms(7_000)), None);
    assert_eq!(ticks.poll(ms(1_000)), None);
    assert_eq!(ticks.next_due(), ms(8_000));
    assert_eq!(ticks.lag(2, ms(1_000)), Duration::ZERO);
}

#[test]
fn a_fast_schedule_stays_right_beyond_four_billion_ticks() {
    let millis = 50 * 24 * 3_600_000;
    let mut ticks = Schedule::new(ms(0), Duration::from_millis(1));
    assert_eq!(ticks.poll(ms(millis)), Some(millis));
    assert_eq!(ticks.next_due(), ms(millis + 1));
    assert_eq!(ticks.lag(millis, ms(millis)), Duration::ZERO);
}

#[test]
fn moments_stop_at_the_ends_of_their_range() {
    let end = Moment::from_nanos(u64::MAX);
    assert_eq!(end + SECOND, end);
    assert_eq!(Moment::from_millis(u64::MAX), end);
    assert_eq!(Moment::default().since(end), Duration::ZERO);
    assert_eq!(Schedule::new(Moment::default(), Duration::ZERO).poll(end), Some(u64::MAX));
}

#[test]
fn a_schedule_at_the_end_of_time_asks_for_no_tick_after_it() {
    let end = Moment::from_nanos(u64::MAX);
    let mut ticks = Schedule::new(Moment::default(), Duration::ZERO);
    ticks.poll(end);
    assert_eq!(ticks.next_due(), end);
    assert_eq!(ticks.poll(end), None);
}
