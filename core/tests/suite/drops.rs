use tachograph_core::wire::{MIC, Status, StatusState};

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::support::{Bench, ms};

/// A session whose queue is full.
fn full() -> Bench {
    let mut bench = Bench::new();
    bench.hear(2_000, 0);
    bench
}

fn told(bench: &mut Bench) -> Vec<Status> {
    bench.statuses().into_iter().filter(|status| status.state == StatusState::Backpressure).collect()
}

#[test]
fn drops_are_told_once_a_tick_with_their_sum() {
    let mut bench = full();
    (0..5).for_each(|n| bench.hear(300, n * 100));
    assert_eq!(told(&mut bench), []);
    bench.tick(1_000);
    let status = &told(&mut bench)[..];
    assert_eq!(status.len(), 1);
    assert_eq!(status[0].dropped_frames, Some(15));
    assert_eq!(status[0].dropped_seconds, Some(1.5));
    assert_eq!(status[0].dropped_total, Some(15));
    assert_eq!(status[0].backlog_seconds, Some(2.0));

    bench.hear(250, 1_500);
    bench.tick(2_000);
    let status = told(&mut bench);
    assert_eq!((status[0].dropped_frames, status[0].dropped_seconds), (Some(3), Some(0.3)));
    assert_eq!(status[0].dropped_total, Some(18));
}

#[test]
fn a_second_without_drops_tells_nothing() {
    let mut bench = full();
    bench.hear(100, 0);
    bench.tick(1_000);
    told(&mut bench);
    bench.tick(2_000);
    assert_eq!(told(&mut bench), []);
}

#[test]
fn each_source_tells_its_own_drops() {
    let mut bench = full();
    bench.hear_from(MIC, 2_000, 0);
    bench.hear_from(MIC, 200, 0);
    bench.tick(1_000);
    let told = told(&mut bench);
    assert_eq!(
        told.iter().map(|status| (status.source, status.dropped_frames)).collect::<Vec<_>>(),
        [(Some(MIC), Some(2))]
    );
}

#[test]
fn the_drops_of_a_failed_chunk_are_told_too() {
    let mut bench = Bench::new();
    bench.hear(500, 0);
    let chunk = bench.take(0).unwrap();
    bench.end_chunk(&chunk, None, 100);
    bench.tick(1_000);
    assert_eq!(told(&mut bench)[0].dropped_frames, Some(5));
}

#[test]
fn dropped_recent_is_since_the_previous_tick_and_dropped_total_since_start() {
    let mut bench = full();
    bench.hear(300, 500);
    let figures = bench.tick(1_000);
    assert_eq!((figures.dropped_recent, figures.dropped_total), (3, 3));
    bench.hear(100, 1_500);
    let figures = bench.tick(2_000);
    assert_eq!((figures.dropped_recent, figures.dropped_total), (1, 4));
    let figures = bench.tick(3_000);
    assert_eq!((figures.dropped_recent, figures.dropped_total), (0, 4));
}

#[test]
fn a_drop_is_in_the_sliding_window_for_10_s_and_no_longer() {
    for at in [0, 400, 12_300, 3_600_000] {
        let mut bench = full();
        bench.hear(300, at);
        let mut recent = |now| bench.session.tick(1, ms(now), 0.0)[0].dropped_chunks_last_10s;
        assert_eq!(recent(at), 3);
        assert_eq!(recent(at + 9_999), 3, "{at}");
        assert_eq!(recent(at + 10_000), 0, "{at}");
    }
}

#[test]
fn the_window_slides_drop_by_drop() {
    let mut bench = full();
    for second in 0..30_u64 {
        bench.hear(100, second * 1_000);
        let figures = bench.tick(second * 1_000 + 500);
        assert_eq!(figures.dropped_chunks_last_10s, (second + 1).min(10));
    }
}

#[test]
fn a_window_that_slept_for_10_s_or_longer_is_empty() {
    for asleep in (10_000..=31_000).step_by(100).chain([3_600_000]) {
        let mut bench = full();
        bench.hear(1_000, 0);
        assert_eq!(bench.tick(asleep).dropped_chunks_last_10s, 0, "{asleep}");
        bench.hear(100, asleep);
        assert_eq!(bench.tick(asleep + 1_000).dropped_chunks_last_10s, 1, "{asleep}");
    }
}

#[test]
fn whoever_looks_between_two_ticks_takes_nothing_from_the_next() {
    let mut bench = full();
    bench.tick(1_000);
    bench.statuses();
    bench.hear(300, 1_100);
    let looked = bench.session.figures(1, ms(1_500), 0.0).remove(0);
    assert_eq!((looked.tick, looked.dropped_total, looked.dropped_recent), (1, 3, 0));
    assert_eq!(told(&mut bench), []);
    bench.tick(2_000);
    assert_eq!(told(&mut bench)[0].dropped_frames, Some(3));
}
