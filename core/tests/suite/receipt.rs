use tachograph_core::session::{Level, TickTally};
use tachograph_core::wire::{ErrorCode, MIC, Receipt, SYSTEM, SourceReceipt, Tally};

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::support::{Bench, identity, ms, pcm, took};

fn only(receipt: &Receipt) -> &SourceReceipt {
    assert_eq!(receipt.sources.len(), 1);
    &receipt.sources[0]
}

#[test]
fn a_receipt_has_the_totals_of_each_source() {
    let mut bench = Bench::new();
    bench.hear_from(MIC, 50, 0);
    bench.process(1_000, 100, 0);
    bench.hear(2_000, 100);
    bench.hear(500, 200);
    let chunk = bench.take(300).unwrap();
    bench.end_chunk(&chunk, None, 400);
    let receipt = bench.end(12_340);

    assert_eq!(receipt.sources.iter().map(|part| part.source).collect::<Vec<_>>(), [MIC, SYSTEM]);
    assert_eq!(receipt.duration_seconds, 12.3);
    let system = &receipt.sources[1];
    assert_eq!(system.frames, Tally { received: 35, processed: 10, dropped: 25, queued: 0 });
    assert_eq!(system.bytes, Tally { received: 112_000, processed: 32_000, dropped: 80_000, queued: 0 });
    assert_eq!((system.chunks_processed, system.chunks_failed), (1, 1));
    assert_eq!((system.frames_left, system.bytes_left), (0, 0));
    let mic = &receipt.sources[0];
    assert_eq!(mic.frames, Tally { received: 1, processed: 0, dropped: 1, queued: 0 });
    assert_eq!((mic.frames_left, mic.bytes_left), (1, 1_600));
}

#[test]
fn what_was_left_counts_as_dropped_and_is_said() {
    let mut bench = Bench::new();
    bench.hear(2_000, 0);
    assert!(bench.next_chunk(SYSTEM, false, ms(0)).is_some());
    bench.hear(300, 0);
    assert!(bench.next_chunk(SYSTEM, false, ms(0)).is_none());
    bench.hear(100, 0);
    let receipt = bench.end(8_000);
    let part = only(&receipt);
    assert_eq!((part.frames_left, part.bytes_left), (24, 76_800));
    assert_eq!(part.frames, Tally { received: 24, processed: 0, dropped: 24, queued: 0 });
    assert!(receipt.to_markdown().contains("Left when the drain ended: 24 frames, 76800 bytes."));
}

#[test]
fn a_receipt_has_the_quantiles_of_all_chunks_and_the_longest_exactly() {
    let mut bench = Bench::new();
    (1..=1_000).for_each(|inference| bench.process(10, inference, 0));
    let receipt = bench.end(0);
    let part = only(&receipt);
    for (told, truth) in [(part.infer_ms_p50, 501.0), (part.infer_ms_p90, 901.0), (part.infer_ms_p99, 991.0)] {
        assert!((told - truth).abs() <= 0.0055 * truth + 0.05, "{told} for {truth}");
    }
    assert_eq!(part.infer_ms_max, 1_000.0);
}

#[test]
fn the_worst_realtime_factor_stays_after_better_ones() {
    let mut bench = Bench::new();
    bench.process(1_000, 1_500, 0);
    (0..20).for_each(|_| bench.process(1_000, 100, 0));
    assert_eq!(bench.tick(0).realtime_factor, 0.1);
    assert_eq!(only(&bench.end(0)).worst_realtime_factor, 1.5);
}

#[test]
fn a_receipt_tells_the_degrade_timeline() {
    let mut bench = Bench::new();
    bench.process(1_000, 1_100, 0);
    (1..=25).for_each(|second| drop(bench.tick(second * 1_000 + 20)));
    let receipt = bench.end(30_000);
    let told: Vec<_> = only(&receipt).degrade_timeline.iter().map(|c| (c.at_seconds, c.from, c.to)).collect();
    assert_eq!(told, [(10.0, Level::Normal, Level::Warning), (20.0, Level::Warning, Level::Degrade)]);
    assert!(receipt.to_markdown().contains("- 10.0 s: NORMAL to WARNING\n- 20.0 s: WARNING to DEGRADE\n"));
}

#[test]
fn a_timeline_keeps_the_newest_1000_changes_and_counts_the_others() {
    let mut bench = Bench::new();
    let mut now = 0;
    for change in 0..1_003 {
        let inference = if change % 2 == 0 { 90 } else { 10 };
        (0..10).for_each(|_| bench.process(100, inference, now));
        now += 30_000;
        bench.tick(now);
    }
    let receipt = bench.end(now);
    let part = only(&receipt);
    assert_eq!((part.degrade_timeline.len(), part.degrade_timeline_cut), (1_000, 3));
    assert_eq!((part.degrade_timeline[0].at_seconds, part.degrade_timeline[0].to), (120.0, Level::Normal));
    assert!(receipt.to_markdown().contains("\n3 older changes of the level are not listed.\n"));
}

#[test]
fn a_receipt_tells_the_ticks() {
    let mut bench = Bench::new();
    let receipt = bench.session.end(identity(), TickTally { sent: 11, conflated: 2, missed: 3 }, ms(15_000));
    assert_eq!((receipt.ticks_sent, receipt.ticks_conflated, receipt.ticks_missed), (11, 2, 3));
    assert!(receipt.sources.is_empty());
    assert!(receipt.to_markdown().contains("15.0 s, 11 ticks sent, 2 conflated, 3 missed"));
}

#[test]
fn after_the_end_nothing_is_counted_any_more() {
    let mut bench = Bench::new();
    bench.hear(500, 0);
    let chunk = bench.take(0).unwrap();
    bench.hear(100, 0);
    let receipt = bench.end(1_000);
    let counted = bench.counted();

    bench.end_chunk(&chunk, took(10), 2_000);
    assert_eq!(bench.receive(SYSTEM, pcm(100), ms(2_000)).unwrap_err().code, ErrorCode::NotStarted);
    assert_eq!(bench.receive(MIC, pcm(100), ms(2_000)).unwrap_err().code, ErrorCode::NotStarted);
    assert!(bench.take(2_000).is_none());
    assert_eq!(bench.end(1_000), receipt);
    let registry = bench.registry.clone();
    drop(bench);
    assert_eq!(registry.snapshot(), counted);
}

#[test]
fn the_receipt_for_a_person_says_the_same() {
    let mut bench = Bench::new();
    bench.process(1_000, 250, 0);
    bench.hear(100, 0);
    let receipt = bench.end(2_000);
    let text = receipt.to_markdown();
    let SourceReceipt { infer_ms_p50: p50, infer_ms_p90: p90, infer_ms_p99: p99, .. } = only(&receipt);
    let times = format!("Inference p50 {p50:.1} ms, p90 {p90:.1} ms, p99 {p99:.1} ms, max 250.0 ms.");
    let lines = [
        "## system".to_string(),
        "| frames | 11 | 10 | 1 | 0 |".to_string(),
        "| bytes | 35200 | 32000 | 3200 | 0 |".to_string(),
        format!("1 chunks, 0 failed. {times} Worst realtime factor 0.25."),
    ];
    for line in lines {
        assert!(text.lines().any(|told| told == line), "{line}\n{text}");
    }
}
