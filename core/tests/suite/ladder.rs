use core::time::Duration;

use tachograph_core::session::{Action, AudioConfig, Ladder, Level, ProviderPhase};
use tachograph_core::wire::{SYSTEM, Status};

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::support::{Bench, ms, took};

use Level::{Degrade, Emergency, Failover, Normal, Warning};

const LEVELS: [Level; 5] = [Normal, Warning, Degrade, Emergency, Failover];

/// A ladder that is checked once a second.
struct Ticked {
    ladder: Ladder,
    second: u64,
}

impl Ticked {
    fn new() -> Self {
        Self { ladder: Ladder::new(ms(0)), second: 0 }
    }

    /// At this level, reached at the present second.
    fn at(level: Level) -> Self {
        let mut ticked = Self::new();
        while ticked.ladder.level() < level {
            ticked.tick(2.0, level == Failover);
        }
        ticked
    }

    fn tick(&mut self, factor: f64, failed: bool) -> Option<Level> {
        self.second += 1;
        self.ladder.check(factor, failed, ms(self.second * 1_000)).map(|step| step.to)
    }

    /// The steps within so many seconds: after how many, to which level.
    fn run(&mut self, seconds: u64, factor: f64) -> Vec<(u64, Level)> {
        (1..=seconds).filter_map(|second| Some((second, self.tick(factor, false)?))).collect()
    }
}

#[test]
fn a_level_has_a_name_and_a_number() {
    let names = LEVELS.map(|level| (level.as_str(), level.number()));
    assert_eq!(names, [("NORMAL", 0), ("WARNING", 1), ("DEGRADE", 2), ("EMERGENCY", 3), ("FAILOVER", 4)]);
    for level in LEVELS {
        assert_eq!(serde_json::to_string(&level).unwrap(), format!("\"{}\"", level.as_str()));
    }
}

#[test]
fn each_threshold_is_reached_exactly() {
    let highest = |factor| Ticked::new().run(100, factor).last().map_or(Normal, |(_, level)| *level);
    assert_eq!([0.0, 0.799_999].map(highest), [Normal; 2]);
    assert_eq!([0.8, 0.999_999].map(highest), [Warning; 2]);
    assert_eq!([1.0, 1.199_999].map(highest), [Degrade; 2]);
    assert_eq!([1.2, 1_000.0].map(highest), [Emergency; 2]);
}

#[test]
fn up_goes_one_level_at_a_time_after_at_least_10_s_at_each() {
    assert_eq!(Ticked::new().run(100, 50.0), [(10, Warning), (20, Degrade), (30, Emergency)]);
}

#[test]
fn no_step_up_before_10_s_at_the_current_level() {
    let mut ladder = Ladder::new(ms(500));
    assert_eq!(ladder.check(2.0, true, ms(10_499)), None);
    assert_eq!(ladder.check(2.0, true, ms(10_500)).map(|step| step.to), Some(Warning));
    assert_eq!(ladder.check(2.0, true, ms(20_499)), None);
    assert_eq!(ladder.check(2.0, true, ms(20_500)).map(|step| step.to), Some(Degrade));
}

#[test]
fn down_goes_one_level_at_a_time_after_30_s_at_each() {
    let mut ticked = Ticked::at(Emergency);
    assert_eq!(ticked.run(200, 0.5), [(30, Degrade), (60, Warning), (90, Normal)]);
}

#[test]
fn down_needs_a_mean_below_0_7_over_the_30_s() {
    assert_eq!(Ticked::at(Warning).run(300, 0.7), []);
    assert_eq!(Ticked::at(Warning).run(30, 0.699_99), [(30, Normal)]);
}

#[test]
fn one_bad_spell_within_the_30_s_delays_the_way_down() {
    let mut ticked = Ticked::at(Warning);
    assert_eq!(ticked.run(20, 0.9), []);
    // 20 s of 0.9 and then of 0.5: the mean of the last 30 s falls below 0.7 when 16 are of 0.5.
    assert_eq!(ticked.run(30, 0.5), [(16, Normal)]);
}

#[test]
fn the_mean_decides_on_the_way_down_and_not_the_last_second() {
    let mut ticked = Ticked::at(Warning);
    assert_eq!(ticked.run(29, 0.5), []);
    assert_eq!(ticked.run(1, 0.85), [(1, Normal)]);
}

#[test]
fn what_happened_at_another_level_is_not_in_the_mean() {
    let mut ticked = Ticked::at(Degrade);
    assert_eq!(ticked.run(30, 0.0), [(30, Warning)]);
    assert_eq!(ticked.run(5, 0.75), []);
    assert_eq!(ticked.run(25, 0.69), []);
    assert_eq!(ticked.run(10, 0.69), [(1, Normal)]);
}

#[test]
fn only_a_failed_provider_with_a_fallback_leads_to_failover() {
    assert_eq!(Ticked::at(Emergency).run(1_000, 1e9), []);
    let mut ticked = Ticked::new();
    let steps: Vec<_> = (1..=60).filter_map(|second| Some((second, ticked.tick(0.1, true)?))).collect();
    assert_eq!(steps, [(10, Warning), (20, Degrade), (30, Emergency), (40, Failover)]);
}

#[test]
fn failover_stays_while_the_provider_is_failed_and_goes_down_after() {
    let mut ticked = Ticked::at(Failover);
    assert!((0..100).all(|_| ticked.tick(0.1, true).is_none()));
    assert_eq!(ticked.run(40, 0.1), [(1, Emergency), (31, Degrade)]);
}

#[test]
fn each_step_down_reverts_what_the_same_step_up_did() {
    let mut ticked = Ticked::new();
    let mut steps = Vec::new();
    for (failed, factor, seconds) in [(true, 2.0, 40), (false, 0.1, 130)] {
        for _ in 0..seconds {
            ticked.second += 1;
            steps.extend(ticked.ladder.check(factor, failed, ms(ticked.second * 1_000)));
        }
    }
    let actions: Vec<_> = steps.iter().map(|step| (step.from, step.to, step.action())).collect();
    assert_eq!(
        actions,
        [
            (Normal, Warning, Action::ExtendChunk),
            (Warning, Degrade, Action::ReduceQuality),
            (Degrade, Emergency, Action::DropChunks),
            (Emergency, Failover, Action::UseFallback),
            (Failover, Emergency, Action::LeaveFallback),
            (Emergency, Degrade, Action::KeepChunks),
            (Degrade, Warning, Action::RestoreQuality),
            (Warning, Normal, Action::RestoreChunk),
        ]
    );
}

#[test]
fn the_average_is_of_the_last_10_s() {
    let mut ticked = Ticked::new();
    assert_eq!(ticked.ladder.average_10s(ms(0)), 0.0);
    ticked.run(5, 0.25);
    assert_eq!(ticked.ladder.average_10s(ms(5_000)), 0.25);
    ticked.run(5, 0.75);
    assert_eq!(ticked.ladder.average_10s(ms(10_000)), 0.5);
    ticked.run(5, 0.75);
    assert_eq!(ticked.ladder.average_10s(ms(15_000)), 0.75);
}

// ---- the ladder of a session's source

/// Ten chunks of this realtime factor, as the level in force lets them through.
fn work(bench: &mut Bench, factor: f64, at: u64) {
    let mut ended = 0;
    while ended < 10 {
        bench.hear(1_000, at);
        if let Some(chunk) = bench.take(at) {
            bench.end_chunk(&chunk, took((chunk.duration().as_millis() as f64 * factor) as u64), at);
            ended += 1;
        }
    }
}

/// Ticks of these seconds; the ladder's statuses with the second.
fn ticks(bench: &mut Bench, seconds: core::ops::RangeInclusive<u64>) -> Vec<(u64, Status)> {
    bench.statuses();
    let mut steps = Vec::new();
    for second in seconds {
        bench.tick(second * 1_000);
        steps.extend(bench.statuses().into_iter().filter(|s| s.degrade_level.is_some()).map(|s| (second, s)));
    }
    steps
}

fn config(chunk_seconds: u64) -> AudioConfig {
    let chunk = Duration::from_secs(chunk_seconds);
    AudioConfig { chunk, queue_bytes_max: 640_000, ..AudioConfig::default() }
}

/// How long a chunk is that has all the audio it wants.
fn chunk_seconds(bench: &mut Bench, at: u64) -> u64 {
    bench.hear(12_000, at);
    let chunk = bench.next_chunk(SYSTEM, false, ms(at)).unwrap();
    bench.end_chunk(&chunk, None, at);
    while bench.take(at).is_some() {}
    chunk.duration().as_secs()
}

#[test]
fn a_source_climbs_from_normal_to_emergency_and_comes_back() {
    let mut bench = Bench::new();
    work(&mut bench, 2.0, 0);
    let mut steps = ticks(&mut bench, 1..=60);
    work(&mut bench, 0.1, 60_500);
    steps.extend(ticks(&mut bench, 61..=200));
    let told: Vec<_> = steps.iter().map(|(second, s)| (*second, s.degrade_level.unwrap(), &*s.message)).collect();
    assert_eq!(
        told,
        [
            (10, Warning, "Processing slower than real-time"),
            (20, Degrade, "Reduced quality for stability"),
            (30, Emergency, "Critical backlog, dropping frames"),
            (81, Degrade, "Reduced quality for stability"),
            (111, Warning, "Processing slower than real-time"),
            (141, Normal, "Performance optimal"),
        ]
    );
    assert!(steps.iter().all(|(_, status)| status.source == Some(SYSTEM)));
}

#[test]
fn a_realtime_factor_of_exactly_0_8_warns_for_chunks_of_any_length() {
    for (audio, inference) in [(1_000, 800), (2_000, 1_600), (3_000, 2_400), (7_000, 5_600), (700, 560)] {
        let mut bench = Bench::with(config(8));
        bench.process(audio, inference, 0);
        let steps = ticks(&mut bench, 1..=30);
        assert_eq!(steps.iter().map(|(second, _)| *second).collect::<Vec<_>>(), [10], "{audio}");
        bench = Bench::with(config(8));
        bench.process(audio, inference - 1, 0);
        assert!(ticks(&mut bench, 1..=30).is_empty(), "{audio}");
    }
}

#[test]
fn a_level_has_its_figures_and_status() {
    let mut bench = Bench::new();
    bench.process(1_000, 1_100, 0);
    let figures = bench.tick(10_000);
    assert_eq!((figures.degrade_level, figures.degrade_level_num), (Some(Warning), Some(1)));
    assert_eq!(figures.rtf_avg_10s, Some(1.1));
    assert_eq!(bench.session.level(SYSTEM), Warning);
    assert_eq!(bench.statuses()[0].action, Some(Action::ExtendChunk));
}

#[test]
fn warning_makes_chunks_1_s_longer_and_normal_restores_them() {
    let mut bench = Bench::with(config(2));
    assert_eq!(chunk_seconds(&mut bench, 0), 2);
    work(&mut bench, 0.9, 0);
    ticks(&mut bench, 1..=10);
    assert_eq!(bench.session.level(SYSTEM), Warning);
    assert_eq!(chunk_seconds(&mut bench, 10_000), 3);
    work(&mut bench, 0.1, 10_000);
    ticks(&mut bench, 11..=40);
    assert_eq!(bench.session.level(SYSTEM), Normal);
    assert_eq!(chunk_seconds(&mut bench, 40_000), 2);
}

#[test]
fn the_ladder_makes_no_chunk_longer_than_8_s() {
    for (normal, warning) in [(6, 7), (7, 8), (8, 8)] {
        let mut bench = Bench::with(config(normal));
        work(&mut bench, 0.9, 0);
        ticks(&mut bench, 1..=10);
        assert_eq!(chunk_seconds(&mut bench, 10_000), warning, "{normal}");
    }
}

#[test]
fn emergency_drops_every_other_chunk_and_counts_it_and_degrade_keeps_them_again() {
    let mut bench = Bench::new();
    work(&mut bench, 2.0, 0);
    ticks(&mut bench, 1..=30);
    let kept = |bench: &mut Bench, at: u64| {
        let before = bench.tick(at).dropped_total;
        let kept: Vec<_> = (0..6)
            .map(|_| {
                bench.hear(500, at);
                let chunk = bench.take(at);
                chunk.map(|chunk| bench.end_chunk(&chunk, took(0), at)).is_some()
            })
            .collect();
        (kept, bench.tick(at).dropped_total - before)
    };
    assert_eq!(kept(&mut bench, 30_000), (vec![true, false, true, false, true, false], 15));
    work(&mut bench, 0.1, 30_000);
    ticks(&mut bench, 31..=60);
    assert_eq!(bench.session.level(SYSTEM), Degrade);
    assert_eq!(kept(&mut bench, 60_000), (vec![true; 6], 0));
}

#[test]
fn a_dropped_chunk_makes_room_for_the_next_one_at_once() {
    let mut bench = Bench::with(config(2));
    work(&mut bench, 2.0, 0);
    ticks(&mut bench, 1..=30);
    bench.hear(9_000, 30_000);
    let first = bench.next_chunk(SYSTEM, false, ms(30_000)).unwrap();
    let third = bench.next_chunk(SYSTEM, false, ms(30_000)).unwrap();
    assert_eq!([first, third].map(|chunk| chunk.duration().as_secs()), [3, 3]);
    assert_eq!(bench.tick(30_000).dropped_total, 30);
}

#[test]
fn a_failed_provider_without_a_fallback_stays_where_its_realtime_factor_puts_it() {
    for (fallback, highest) in [(false, Normal), (true, Failover)] {
        let mut bench = Bench::with(AudioConfig { fallback, ..AudioConfig::default() });
        bench.process(1_000, 100, 0);
        bench.session.set_provider_phase(SYSTEM, ProviderPhase::Failed);
        let steps = ticks(&mut bench, 1..=60);
        assert_eq!(bench.session.level(SYSTEM), highest);
        assert_eq!(
            steps.last().map(|(second, s)| (*second, &*s.message)),
            fallback.then_some((40, "Switching to fallback provider"))
        );
    }
}

#[test]
fn without_the_ladder_nothing_degrades_and_the_figures_are_absent() {
    let mut bench = Bench::with(AudioConfig { ladder: false, ..AudioConfig::default() });
    work(&mut bench, 5.0, 0);
    assert!(ticks(&mut bench, 1..=100).is_empty());
    let figures = bench.tick(101_000);
    assert_eq!((figures.degrade_level, figures.degrade_level_num, figures.rtf_avg_10s), (None, None, None));
    assert_eq!(bench.session.level(SYSTEM), Normal);
    assert_eq!(figures.realtime_factor, 5.0);
}
