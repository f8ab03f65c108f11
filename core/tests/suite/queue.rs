use core::time::Duration;

use bytes::Bytes;
use tachograph_core::session::AudioConfig;
use tachograph_core::wire::{ErrorCode, MIC, SYSTEM, SourceName};

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::support::{Bench, ms, pcm, took};

fn bounded(bytes: usize, frames: usize) -> Bench {
    Bench::with(AudioConfig { queue_bytes_max: bytes, queue_frames_max: frames, ..AudioConfig::default() })
}

/// What waits: bytes, frames.
fn waiting(bench: &mut Bench) -> (u64, u64) {
    let figures = bench.tick(0);
    (figures.queue_bytes, figures.queue_depth)
}

/// PCM whose samples count up from `first`, so that a piece tells where it is from.
fn counting(first: u16, samples: u16) -> Bytes {
    (first..first + samples).flat_map(u16::to_le_bytes).collect::<Vec<_>>().into()
}

fn heard(bench: &mut Bench) -> Vec<u8> {
    bench.take(0).map(|chunk| chunk.pieces().concat()).unwrap_or_default()
}

#[test]
fn no_queued_piece_is_longer_than_100_ms() {
    for (bytes, pieces) in [(2, 1), (3_198, 1), (3_200, 1), (3_202, 2), (6_400, 2), (64_000, 20)] {
        let mut bench = Bench::new();
        bench.receive(SYSTEM, vec![0; bytes].into(), ms(0)).unwrap();
        assert_eq!(waiting(&mut bench), (bytes as u64, pieces), "{bytes}");
        let chunk = bench.take(0).unwrap();
        assert!(chunk.pieces().iter().all(|piece| piece.len() <= 3_200 && piece.len() % 2 == 0));
    }
}

#[test]
fn audio_comes_out_as_it_went_in() {
    let mut bench = Bench::new();
    bench.receive(SYSTEM, counting(0, 5_000), ms(0)).unwrap();
    bench.receive(SYSTEM, counting(5_000, 7), ms(5)).unwrap();
    assert_eq!(heard(&mut bench), counting(0, 5_007));
}

#[test]
fn by_default_2_s_and_500_frames_may_wait() {
    let mut bench = Bench::new();
    bench.hear(100, 0);
    let figures = bench.tick(0);
    assert_eq!((figures.queue_bytes_max, figures.queue_max_frames, figures.queue_max), (64_000, 500, 500));
    assert_eq!(figures.max_backlog_seconds, 2.0);
}

#[test]
fn a_frame_longer_than_the_whole_bound_is_refused_and_nothing_changes() {
    let mut bench = Bench::new();
    bench.hear(1_000, 0);
    let before = (bench.tick(0), bench.counted());
    let refused = bench.receive(SYSTEM, vec![0; 64_002].into(), ms(0)).unwrap_err();
    assert_eq!(refused.code, ErrorCode::TooLarge);
    assert_eq!((bench.tick(0), bench.counted()), before);
    assert_eq!(bench.receive(MIC, vec![0; 64_002].into(), ms(0)).unwrap_err().code, ErrorCode::TooLarge);
    assert_eq!((bench.tick(0), bench.counted()), before);
    assert!(bench.receive(SYSTEM, vec![0; 64_000].into(), ms(0)).is_ok());
}

#[test]
fn half_samples_and_no_samples_are_refused_and_nothing_changes() {
    let mut bench = Bench::new();
    let before = bench.counted();
    for length in [0, 1, 3_201] {
        let refused = bench.receive(MIC, vec![0; length].into(), ms(0)).unwrap_err();
        assert_eq!(refused.code, ErrorCode::InvalidAudio, "{length}");
    }
    assert!(bench.session.tick(1, ms(0), 0.0).is_empty());
    assert_eq!(bench.counted(), before);
}

#[test]
fn one_source_more_than_a_session_may_have_is_refused_and_nothing_changes() {
    let mut bench = Bench::new();
    assert_eq!(bench.receive(SYSTEM, pcm(10), ms(0)), Ok(true));
    assert_eq!(bench.receive(MIC, pcm(10), ms(0)), Ok(true));
    let before = bench.counted();
    let third = SourceName::parse("line").unwrap();
    assert_eq!(bench.receive(third, pcm(10), ms(0)).unwrap_err().code, ErrorCode::TooManySources);
    assert_eq!(bench.counted(), before);
    assert_eq!(bench.session.tick(1, ms(0), 0.0).len(), 2);
    assert_eq!(bench.receive(SYSTEM, pcm(10), ms(0)), Ok(false));
}

#[test]
fn a_full_queue_drops_nothing_until_one_sample_more_arrives() {
    let mut bench = bounded(6_400, 500);
    bench.hear(200, 0);
    assert_eq!(bench.tick(0).dropped_total, 0);
    bench.receive(SYSTEM, vec![0; 2].into(), ms(0)).unwrap();
    let figures = bench.tick(0);
    assert_eq!((figures.dropped_total, figures.bytes_dropped, figures.queue_bytes), (1, 3_200, 3_202));
}

#[test]
fn on_too_many_bytes_the_oldest_pieces_go_and_only_as_many_as_needed() {
    let mut bench = bounded(1_000, 500);
    for first in [0, 100, 200, 300, 400] {
        bench.receive(SYSTEM, counting(first, 100), ms(0)).unwrap();
    }
    bench.receive(SYSTEM, counting(500, 101), ms(0)).unwrap();
    let figures = bench.tick(0);
    assert_eq!((figures.dropped_total, figures.bytes_dropped), (2, 400));
    assert_eq!((figures.queue_bytes, figures.queue_depth), (802, 4));
    assert_eq!(heard(&mut bench), counting(200, 401));
}

#[test]
fn on_too_many_frames_the_oldest_pieces_go_and_only_as_many_as_needed() {
    let mut bench = bounded(64_000, 3);
    for first in [0, 10, 20, 30, 40] {
        bench.receive(SYSTEM, counting(first, 10), ms(0)).unwrap();
    }
    let figures = bench.tick(0);
    assert_eq!((figures.dropped_total, figures.bytes_dropped, figures.queue_depth), (2, 40, 3));
    assert_eq!(heard(&mut bench), counting(20, 30));
}

#[test]
fn a_frame_of_more_pieces_than_may_wait_keeps_its_end() {
    let mut bench = bounded(64_000, 2);
    bench.receive(SYSTEM, counting(0, 1_600 * 4 + 5), ms(0)).unwrap();
    assert_eq!(waiting(&mut bench), (3_210, 2));
    assert_eq!(heard(&mut bench), counting(1_600 * 3, 1_605));
}

#[test]
fn a_frame_as_long_as_the_bound_replaces_all_that_waits() {
    let mut bench = bounded(2_000, 500);
    bench.receive(SYSTEM, counting(0, 999), ms(0)).unwrap();
    bench.receive(SYSTEM, counting(1_000, 1_000), ms(0)).unwrap();
    assert_eq!(heard(&mut bench), counting(1_000, 1_000));
}

#[test]
fn an_overflow_touches_no_other_source() {
    let mut bench = Bench::new();
    bench.hear_from(MIC, 1_000, 0);
    (0..5).for_each(|_| bench.hear(1_000, 0));
    let figures = bench.session.tick(1, ms(0), 0.0);
    let told: Vec<_> = figures.iter().map(|f| (f.source, f.queue_bytes, f.dropped_total)).collect();
    assert_eq!(told, [(MIC, 32_000, 0), (SYSTEM, 64_000, 30)]);
}

#[test]
fn a_chunk_is_2_s_of_audio_and_waits_until_there_is_so_much() {
    let mut bench = Bench::new();
    bench.hear(1_900, 0);
    assert!(bench.next_chunk(SYSTEM, false, ms(0)).is_none());
    assert!(!bench.session.is_drained());
    bench.hear(300, 10);
    let chunk = bench.next_chunk(SYSTEM, false, ms(10)).unwrap();
    assert_eq!(chunk.duration().as_millis(), 2_000);
    assert!(bench.next_chunk(SYSTEM, false, ms(10)).is_none());
    assert_eq!(bench.take(10).unwrap().duration().as_millis(), 200);
    assert!(bench.take(10).is_none());
    assert!(bench.next_chunk(MIC, true, ms(10)).is_none());
}

#[test]
fn a_session_is_drained_when_nothing_waits_and_nothing_is_in_the_providers_hands() {
    let mut bench = Bench::new();
    assert!(bench.session.is_drained());
    bench.hear(100, 0);
    assert!(!bench.session.is_drained());
    let chunk = bench.take(0).unwrap();
    assert!(!bench.session.is_drained());
    bench.end_chunk(&chunk, took(10), 10);
    assert!(bench.session.is_drained());
}

#[test]
fn a_provider_that_keeps_up_loses_nothing_although_its_chunks_are_longer_than_the_queue() {
    let mut bench = Bench::with(AudioConfig { chunk: Duration::from_secs(3), ..AudioConfig::default() });
    let mut inside = None;
    for at in (0..30_000).step_by(100) {
        bench.hear(100, at);
        bench.fill_chunk(SYSTEM, ms(at));
        // The provider takes 2.9 s for 3 s of audio.
        if let Some((chunk, _)) = inside.take_if(|(_, since)| at >= *since + 2_900) {
            bench.end_chunk(&chunk, took(2_900), at);
        }
        inside = inside.or_else(|| bench.next_chunk(SYSTEM, false, ms(at)).map(|chunk| (chunk, at)));
    }
    let figures = bench.tick(30_000);
    assert_eq!((figures.dropped_total, figures.realtime_factor), (0, 0.97));
    assert!(figures.total_chunks_processed >= 8, "{figures:?}");
}
