use tachograph_core::session::AudioConfig;
use tachograph_core::wire::{MIC, SYSTEM, StatusState};

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::support::{Bench, ms, pcm, took};

use StatusState::{Buffering, Overloaded, Streaming};

/// The states told since the last call, of source "system".
fn states(bench: &mut Bench) -> Vec<StatusState> {
    let statuses = bench.statuses();
    assert!(statuses.iter().all(|status| status.source == Some(SYSTEM)));
    statuses.iter().map(|status| status.state).collect()
}

/// Bound to 100 frames, so that a frame is a percent; one chunk takes what is asked for.
struct Percent(Bench);

impl Percent {
    fn new() -> Self {
        let chunk = core::time::Duration::from_millis(1);
        Self(Bench::with(AudioConfig { queue_frames_max: 100, chunk, ..AudioConfig::default() }))
    }

    fn add(&mut self, percents: usize) -> Vec<StatusState> {
        (0..percents).for_each(|_| self.0.hear(1, 0));
        states(&mut self.0)
    }

    fn take(&mut self, percents: usize) -> Vec<StatusState> {
        for _ in 0..percents {
            let chunk = self.0.take(0).unwrap();
            self.0.end_chunk(&chunk, took(0), 0);
        }
        states(&mut self.0)
    }
}

#[test]
fn buffering_is_told_above_85_percent_and_overloaded_above_95() {
    let mut queue = Percent::new();
    assert_eq!(queue.add(85), []);
    assert_eq!(queue.add(1), [Buffering]);
    assert_eq!(queue.add(9), []);
    assert_eq!(queue.add(1), [Overloaded]);
    assert_eq!(queue.add(10), []);
}

#[test]
fn the_thresholds_are_exact_in_bytes_too() {
    let mut bench = Bench::new();
    bench.hear(1_700, 0);
    assert_eq!(states(&mut bench), []);
    bench.receive(SYSTEM, vec![0; 2].into(), ms(0)).unwrap();
    assert_eq!(states(&mut bench), [Buffering]);
    bench.receive(SYSTEM, vec![0; 6_398].into(), ms(0)).unwrap();
    assert_eq!(states(&mut bench), []);
    bench.receive(SYSTEM, vec![0; 2].into(), ms(0)).unwrap();
    assert_eq!(states(&mut bench), [Overloaded]);
}

#[test]
fn the_backlog_is_cleared_below_70_percent_only() {
    let mut queue = Percent::new();
    assert_eq!(queue.add(90), [Buffering]);
    assert_eq!(queue.take(20), []);
    assert_eq!(queue.take(1), [Streaming]);
    assert_eq!(queue.take(69), []);
}

#[test]
fn an_overload_is_cleared_below_70_percent_too_without_a_step_between() {
    let mut queue = Percent::new();
    assert_eq!(queue.add(100), [Buffering, Overloaded]);
    assert_eq!(queue.take(30), []);
    assert_eq!(queue.take(1), [Streaming]);
}

#[test]
fn a_level_that_hovers_around_a_threshold_is_told_once() {
    let mut queue = Percent::new();
    assert_eq!(queue.add(86), [Buffering]);
    for _ in 0..20 {
        assert_eq!(queue.take(10), []);
        assert_eq!(queue.add(10), []);
    }
    assert_eq!(queue.add(10), [Overloaded]);
    assert_eq!(queue.take(20), []);
    assert_eq!(queue.add(20), []);
}

#[test]
fn after_it_was_cleared_the_next_edge_is_told_again() {
    let mut queue = Percent::new();
    assert_eq!(queue.add(86), [Buffering]);
    assert_eq!(queue.take(20), [Streaming]);
    assert_eq!(queue.add(20), [Buffering]);
}

#[test]
fn a_leap_from_empty_to_full_is_one_status() {
    let mut bench = Bench::new();
    bench.hear(2_000, 0);
    assert_eq!(states(&mut bench), [Overloaded]);
}

#[test]
fn a_status_says_which_source_and_how_much_waits() {
    let mut bench = Bench::new();
    bench.hear(100, 0);
    bench.receive(MIC, pcm(1_750), ms(0)).unwrap();
    bench.next_chunk(MIC, true, ms(0));
    let told: Vec<_> =
        bench.statuses().iter().map(|s| (s.state, s.message.clone(), s.source, s.backlog_seconds)).collect();
    assert_eq!(
        told,
        [
            (Buffering, "More arrives than is processed".into(), Some(MIC), Some(1.75)),
            (Streaming, "Backlog cleared".into(), Some(MIC), Some(0.0)),
        ]
    );
}

#[test]
fn a_tick_tells_no_edge_again() {
    let mut bench = Bench::new();
    bench.hear(1_800, 0);
    assert_eq!(states(&mut bench), [Buffering]);
    (1..5).for_each(|second| drop(bench.tick(second * 1_000)));
    assert_eq!(states(&mut bench), []);
}
