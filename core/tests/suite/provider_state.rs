use tachograph_core::session::{ProviderInForce, ProviderPhase};
use tachograph_core::wire::{ProviderState, SYSTEM};

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::support::{Bench, took};

use ProviderState::{Failed, Idle, Restarting, Running, Stalled};

fn state(bench: &mut Bench, at: u64) -> ProviderState {
    bench.tick(at).provider_state
}

#[test]
fn the_state_is_what_the_worker_says() {
    let mut bench = Bench::new();
    bench.hear(100, 0);
    assert_eq!(state(&mut bench, 0), Idle);
    for (phase, told) in
        [(ProviderPhase::Sound, Running), (ProviderPhase::Restarting, Restarting), (ProviderPhase::Failed, Failed)]
    {
        bench.session.work_began(SYSTEM);
        bench.session.set_provider_phase(SYSTEM, phase);
        assert_eq!(state(&mut bench, 0), told);
        bench.session.work_ended(SYSTEM);
    }
    bench.session.set_provider_phase(SYSTEM, ProviderPhase::Sound);
    assert_eq!(state(&mut bench, 0), Idle);
}

#[test]
fn a_provider_runs_until_the_last_of_its_chunks_is_done() {
    let mut bench = Bench::new();
    bench.hear(100, 0);
    bench.session.work_began(SYSTEM);
    bench.session.work_began(SYSTEM);
    bench.session.work_ended(SYSTEM);
    assert_eq!(state(&mut bench, 0), Running);
    bench.session.work_ended(SYSTEM);
    bench.session.work_ended(SYSTEM);
    assert_eq!(state(&mut bench, 0), Idle);
    bench.session.work_began(SYSTEM);
    assert_eq!(state(&mut bench, 0), Running, "an end too many is not owed");
}

#[test]
fn a_state_is_told_in_small_letters() {
    let names = [Idle, Running, Stalled, Restarting, Failed].map(|state| serde_json::to_string(&state).unwrap());
    assert_eq!(names, ["\"idle\"", "\"running\"", "\"stalled\"", "\"restarting\"", "\"failed\""]);
}

#[test]
fn a_provider_is_stalled_when_audio_waits_and_no_chunk_ended_for_3_s() {
    for works in [false, true] {
        let mut bench = Bench::new();
        bench.hear(100, 500);
        if works {
            bench.session.work_began(SYSTEM);
        }
        assert_ne!(state(&mut bench, 3_499), Stalled);
        assert_eq!(state(&mut bench, 3_500), Stalled);
    }
}

#[test]
fn a_provider_with_slow_chunks_is_stalled_after_three_mean_chunk_times() {
    let mut bench = Bench::new();
    bench.process(1_000, 1_500, 0);
    bench.process(1_000, 2_500, 0);
    bench.hear(100, 1_000);
    assert_eq!(state(&mut bench, 6_999), Idle);
    assert_eq!(state(&mut bench, 7_000), Stalled);
}

#[test]
fn a_chunk_that_ends_well_or_not_begins_the_wait_anew() {
    for result in [took(10), None] {
        let mut bench = Bench::new();
        bench.hear(100, 0);
        let chunk = bench.take(0).unwrap();
        bench.hear(100, 0);
        bench.end_chunk(&chunk, result, 2_000);
        assert_eq!(state(&mut bench, 4_999), Idle);
        assert_eq!(state(&mut bench, 5_000), Stalled);
    }
}

#[test]
fn a_provider_is_not_stalled_while_no_audio_waits() {
    let mut bench = Bench::new();
    bench.hear(100, 0);
    bench.session.work_began(SYSTEM);
    bench.take(0).unwrap();
    assert_eq!(state(&mut bench, 60_000), Running);
}

#[test]
fn audio_that_arrives_after_a_silence_does_not_find_the_provider_stalled() {
    let mut bench = Bench::new();
    bench.process(100, 10, 0);
    bench.hear(100, 60_000);
    assert_eq!(state(&mut bench, 60_000), Idle);
    assert_eq!(state(&mut bench, 63_000), Stalled);
}

#[test]
fn drops_do_not_hide_a_stalled_provider() {
    let mut bench = Bench::new();
    (0..30).for_each(|n| bench.hear(1_000, n * 100));
    assert_eq!(state(&mut bench, 3_000), Stalled);
}

#[test]
fn a_restarting_or_failed_provider_is_not_called_stalled() {
    let mut bench = Bench::new();
    bench.hear(100, 0);
    for (phase, told) in [(ProviderPhase::Restarting, Restarting), (ProviderPhase::Failed, Failed)] {
        bench.session.set_provider_phase(SYSTEM, phase);
        assert_eq!(state(&mut bench, 10_000), told);
    }
}

#[test]
fn the_provider_and_model_are_those_in_force_now() {
    let mut bench = Bench::new();
    bench.hear(100, 0);
    for (provider, vad_enabled) in [("vad", true), ("fallback", false)] {
        let in_force = ProviderInForce { provider: provider.into(), model_id: format!("{provider}-1"), vad_enabled };
        bench.session.set_provider(SYSTEM, in_force);
        let figures = bench.tick(0);
        assert_eq!((figures.provider.as_str(), figures.vad_enabled), (provider, vad_enabled));
        assert_eq!(figures.model_id, format!("{provider}-1"));
    }
}

#[test]
fn health_is_what_the_provider_last_said_or_null() {
    let mut bench = Bench::new();
    bench.hear(100, 0);
    assert_eq!(bench.tick(0).provider_health, None);
    let health = serde_json::json!({"workers": 2, "ok": true});
    bench.session.set_provider_health(SYSTEM, Some(health.clone()));
    assert_eq!(bench.tick(0).provider_health, Some(health.into()));
    bench.session.set_provider_health(SYSTEM, None);
    assert_eq!(bench.tick(0).provider_health, None);
}
