//! Sessions that an application opens itself.
#![allow(clippy::panic, clippy::unwrap_used, reason = "a test fails by it")]

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::json;
use tachograph::exposition::{Format, Page};
use tachograph::session::{
    Amount, Degrade, Level, Observer, OpenError, ProviderPhase, Queued, SourceConfig, Voice, Work,
};
use tachograph::wire::{ErrorCode, Metrics, ProviderState, Receipt, ServerMessage, SourceReceipt, Tally};
use tachograph::{Limits, Tachograph};
use tokio::sync::mpsc;
use tokio::time::sleep;

/// Keeps what it is told.
#[derive(Default)]
struct Client(Mutex<Vec<ServerMessage>>);

impl Observer for Client {
    fn tell(&self, message: ServerMessage) {
        self.0.lock().push(message);
    }
}

impl Client {
    fn figures(&self) -> Vec<Metrics> {
        let messages = self.0.lock();
        let figures = messages.iter().filter_map(|message| match message {
            ServerMessage::Metrics(figures) => Some(Metrics::clone(figures)),
            _ => None,
        });
        figures.collect()
    }

    fn statuses(&self) -> Vec<String> {
        let messages = self.0.lock();
        let statuses = messages.iter().filter_map(|message| match message {
            ServerMessage::Status(status) => Some(status.message.to_string()),
            _ => None,
        });
        statuses.collect()
    }
}

fn bounded(frames_max: u64) -> SourceConfig {
    SourceConfig { frames_max, ..SourceConfig::default() }
}

/// Media of so many milliseconds, 10 bytes each.
fn media(millis: u64) -> Amount {
    Amount::new(1, 10 * millis).lasting(Duration::from_millis(millis))
}

fn only(receipt: &Receipt) -> &SourceReceipt {
    assert_eq!(receipt.sources.len(), 1);
    &receipt.sources[0]
}

/// Once a second, so that two ticks have passed.
async fn two_ticks() {
    sleep(Duration::from_millis(2_500)).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_told_of_a_source_is_in_its_figures_and_its_receipt() {
    let (tacho, client) = (Tachograph::new().unwrap(), Arc::new(Client::default()));
    let session = tacho.session("call-7").observer(Arc::clone(&client) as _).open().unwrap();
    let mic = session.source(" Microphone ", bounded(10)).unwrap();
    let waiting: Vec<Queued> = (0..6).map(|_| mic.enqueue(media(20))).collect();
    sleep(Duration::from_millis(100)).await;
    let mut waiting = waiting.into_iter();
    let mut batch = waiting.next().unwrap().begin();
    batch.add(waiting.next().unwrap());
    sleep(Duration::from_millis(30)).await;
    batch.heard(Voice { ratio: 0.8, is_speech: true });
    batch.done();
    waiting.next().unwrap().begin().failed();
    drop(waiting.next());
    let working = waiting.next().unwrap().begin();
    two_ticks().await;
    let figures = client.figures().pop().unwrap();
    assert_eq!((figures.source.as_str(), figures.tick), ("mic", 2));
    assert_eq!((figures.queue_depth, figures.queue_bytes, figures.queue_fill_ratio), (1, 200, 0.1));
    assert_eq!((figures.backlog_seconds, figures.queue_max), (0.02, 10));
    assert_eq!((figures.bytes_received, figures.bytes_processed), (1_200, 400));
    assert_eq!((figures.bytes_dropped, figures.bytes_in_provider, figures.dropped_total), (400, 200, 2));
    assert_eq!((figures.avg_infer_ms, figures.avg_processing_ms, figures.realtime_factor), (30.0, 130.0, 0.75));
    assert_eq!((figures.total_chunks_processed, figures.voice_ratio), (1, Some(0.8)));
    assert_eq!((figures.provider_state, figures.degrade_level), (ProviderState::Running, None));
    drop(working);
    drop(waiting);
    let receipt = session.end();
    let Tally { received, processed, dropped, queued } = only(&receipt).frames;
    assert_eq!((received, processed, dropped, queued), (6, 2, 4, 0));
    assert_eq!((only(&receipt).chunks_processed, only(&receipt).chunks_failed), (1, 2));
    assert_eq!((receipt.ticks_sent, receipt.ticks_missed), (2, 0));
    let snapshot = tacho.registry().snapshot();
    let counted = |name| snapshot.counter(name, &[("source", "mic")]);
    assert_eq!((counted("audio_frames_received"), counted("audio_frames_dropped")), (Some(6), Some(4)));
    assert_eq!((counted("asr_chunks_processed"), counted("asr_errors")), (Some(1), Some(2)));
    assert_eq!(snapshot.gauge("active_sessions", &[]), Some(0.0));
    assert_eq!(counted("tachograph_degrade_status_unavailable"), None, "none was promised");
}

#[tokio::test(start_paused = true)]
async fn a_channel_that_overflows_drops_what_comes_back_and_nothing_is_unaccounted_for() {
    let (tacho, client) = (Tachograph::new().unwrap(), Arc::new(Client::default()));
    let session = tacho.session("chat").observer(Arc::clone(&client) as _).open().unwrap();
    let tokens = session.source("tokens", bounded(4)).unwrap();
    let (sender, mut receiver) = mpsc::channel::<Queued>(4);
    for _ in 0..10 {
        let _comes_back = sender.try_send(tokens.enqueue(Amount::new(1, 3)));
    }
    let worker = tokio::spawn(async move {
        while let Some(queued) = receiver.recv().await {
            queued.begin().done();
        }
    });
    drop(sender);
    worker.await.unwrap();
    let overflow = ["More arrives than is processed", "The queue is full or nearly so"];
    assert_eq!(client.statuses()[..2].iter().filter(|text| overflow.contains(&text.as_str())).count(), 1);
    assert!(client.statuses().contains(&"Backlog cleared".to_owned()), "{:?}", client.statuses());
    let receipt = session.drain(Duration::from_secs(1)).await;
    let Tally { received, processed, dropped, .. } = only(&receipt).frames;
    assert_eq!((received, processed, dropped), (10, 4, 6));
}

#[tokio::test(start_paused = true)]
async fn work_whose_task_panics_or_is_cancelled_counts_as_failed() {
    let tacho = Tachograph::new().unwrap();
    let session = tacho.session("call").open().unwrap();
    let mic = session.source("mic", bounded(4)).unwrap();
    let working = mic.enqueue(media(20)).begin();
    let panicked = tokio::spawn(async move {
        let _working = working;
        panic!("on purpose");
    });
    assert!(panicked.await.unwrap_err().is_panic());
    let working = mic.enqueue(media(20)).begin();
    let cancelled = tokio::spawn(async move {
        let _working = working;
        std::future::pending::<()>().await;
    });
    cancelled.abort();
    assert!(cancelled.await.unwrap_err().is_cancelled());
    let receipt = session.end();
    assert_eq!((only(&receipt).chunks_failed, only(&receipt).frames.dropped), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn a_drain_waits_for_what_waits_and_for_no_longer_than_it_may() {
    let tacho = Tachograph::new().unwrap();
    let session = tacho.session("call").open().unwrap();
    let mic = session.source("mic", bounded(4)).unwrap();
    let queued = mic.enqueue(media(20));
    tokio::spawn(async move {
        sleep(Duration::from_secs(2)).await;
        queued.begin().done();
    });
    let receipt = session.drain(Duration::from_secs(8)).await;
    assert_eq!((receipt.duration_seconds, only(&receipt).frames.processed), (2.0, 1));
    let session = tacho.session("call").open().unwrap();
    let stuck = session.source("mic", bounded(4)).unwrap().enqueue(media(20));
    let receipt = session.drain(Duration::from_secs(3)).await;
    assert_eq!((receipt.duration_seconds, only(&receipt).frames_left), (3.0, 1));
    drop(stuck);
    let counted = tacho.registry().snapshot().counter("audio_frames_dropped", &[("source", "mic")]);
    assert_eq!(counted, Some(1), "what is let go of after the end was counted at the end");
}

#[tokio::test(start_paused = true)]
async fn status_providers_may_fail_hang_and_panic() {
    let (tacho, client) = (Tachograph::new().unwrap(), Arc::new(Client::default()));
    let session = tacho.session("call").observer(Arc::clone(&client) as _).open().unwrap();
    let told = SourceConfig { degrade: Degrade::Told, ..bounded(4) };
    for (name, behaviour) in [("sound", 0), ("failing", 1), ("hanging", 2), ("panicking", 3)] {
        let source = session.source(name, told.clone()).unwrap();
        source.watch_health(move || async move { answer(behaviour, json!({"workers": 2})).await });
        source.watch_level(move || answer(behaviour, Level::Degrade));
    }
    sleep(Duration::from_millis(3_900)).await;
    let figures = client.figures();
    let newest = |name: &str| figures.iter().rfind(|figures| figures.source.as_str() == name).unwrap();
    assert_eq!(newest("sound").provider_health.as_deref(), Some(&json!({"workers": 2})));
    assert_eq!(newest("sound").degrade_level, Some(Level::Degrade));
    for name in ["failing", "hanging", "panicking"] {
        assert_eq!((newest(name).provider_health.as_deref(), newest(name).degrade_level), (None, None), "{name}");
    }
    assert!(client.statuses().iter().any(|text| text == "Reduced quality for stability"));
    let counted = |name| tacho.registry().snapshot().counter(name, &[]).unwrap();
    assert_eq!(counted("tachograph_provider_health_failures"), 9);
    // Three at each of three ticks, and the sound one at the first, before it was asked.
    assert!((9..=10).contains(&counted("tachograph_degrade_status_unavailable")));
    let receipt = session.end();
    let sound = receipt.sources.iter().find(|source| source.source.as_str() == "sound").unwrap();
    assert_eq!(sound.degrade_timeline.len(), 1);
}

async fn answer<T>(behaviour: u8, sound: T) -> Result<T, &'static str> {
    match behaviour {
        0 => Ok(sound),
        1 => Err("it does not say"),
        2 => std::future::pending().await,
        _ => panic!("on purpose"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_failed_is_shown_as_failed() {
    let (tacho, client) = (Tachograph::new().unwrap(), Arc::new(Client::default()));
    let session = tacho.session("call").observer(Arc::clone(&client) as _).open().unwrap();
    let mic = session.source("mic", bounded(4)).unwrap();
    mic.set_provider_phase(ProviderPhase::Failed);
    two_ticks().await;
    assert_eq!(client.figures().pop().unwrap().provider_state, ProviderState::Failed);
}

#[tokio::test]
async fn what_cannot_be_opened_says_why_and_changes_nothing() {
    let limits = Limits { sessions: 1, ..Limits::default() };
    let tacho = Tachograph::builder().limits(limits).build().unwrap();
    assert_eq!(tacho.session("").open().unwrap_err(), OpenError::InvalidId("session_id"));
    assert_eq!(tacho.session("a").attempt_id("ä".repeat(257)).open().unwrap_err(), OpenError::InvalidId("attempt_id"));
    let session = tacho.session("ä".repeat(256)).sources_max(1).open().unwrap();
    assert_eq!(tacho.session("b").open().unwrap_err(), OpenError::AtCapacity(1));
    let refused = tacho.registry().snapshot().counter("tachograph_sessions_refused", &[]);
    assert_eq!(refused, Some(1));
    assert_eq!(session.source("my mic", bounded(1)).unwrap_err(), OpenError::InvalidSource);
    session.source("mic", bounded(1)).unwrap();
    let too_many = session.source("system", bounded(1)).unwrap_err().to_string();
    assert!(too_many.contains("as many sources as it may"), "{too_many}");
    let receipt = session.end();
    assert_eq!(session.end(), receipt, "a second end changes nothing");
    assert!(session.source("mic", bounded(1)).unwrap_err().to_string().contains("has ended"));
    tacho.session("b").open().unwrap();
}

#[test]
fn outside_of_a_runtime_a_session_is_refused() {
    let tacho = Tachograph::new().unwrap();
    assert_eq!(tacho.session("call").open().unwrap_err(), OpenError::NoRuntime);
}

#[tokio::test]
async fn a_session_that_is_let_go_of_is_ended_and_told() {
    let tacho = Tachograph::new().unwrap();
    let session = tacho.session("call").open().unwrap();
    let mic = session.source("mic", bounded(1)).unwrap();
    let queued = mic.enqueue(media(10));
    drop(session);
    drop(queued);
    assert_eq!(mic.level(), Level::Normal);
    let dropped = tacho.registry().snapshot().counter("audio_frames_dropped", &[("source", "mic")]);
    assert_eq!((dropped, tacho.registry().snapshot().gauge("active_sessions", &[])), (Some(1), Some(0.0)));
}

#[tokio::test(start_paused = true)]
async fn work_on_an_amount_of_nothing_is_waited_for() {
    let tacho = Tachograph::new().unwrap();
    let session = tacho.session("call").open().unwrap();
    let working = session.source("prompts", SourceConfig::default()).unwrap().enqueue(Amount::default()).begin();
    tokio::spawn(async move {
        sleep(Duration::from_secs(2)).await;
        working.done();
    });
    let receipt = session.drain(Duration::from_secs(8)).await;
    assert_eq!((receipt.duration_seconds, only(&receipt).chunks_processed), (2.0, 1));
}

#[tokio::test]
async fn work_that_is_done_after_the_end_is_no_example() {
    let tacho = Tachograph::new().unwrap();
    for (session_id, is_late) in [("in-time", false), ("too-late", true)] {
        let session = tacho.session(session_id).open().unwrap();
        let mic = session.source("mic", bounded(4)).unwrap();
        let working = mic.enqueue(media(20)).begin();
        if is_late {
            session.end();
            let took = Duration::from_secs(60);
            mic.exemplify(&Work { inference: took, processing: took, voice: None });
        }
        working.done();
    }
    let mut page = Page::new(tacho.registry(), Format::OpenMetrics, 0).with_exemplars(&tacho.metrics().exemplars);
    let mut text = Vec::new();
    while page.write(&mut text, 16 * 1024) {}
    let text = String::from_utf8(text).unwrap();
    assert!(text.contains("in-time") && !text.contains("too-late"), "{text}");
}

/// Fails at all that it is told or asked.
struct Panicking;

impl Observer for Panicking {
    fn tell(&self, _: ServerMessage) {
        panic!("on purpose");
    }

    fn ticks_conflated(&self) -> u64 {
        panic!("on purpose");
    }
}

#[tokio::test(start_paused = true)]
async fn an_observer_that_panics_harms_nothing_but_what_it_was_told() {
    let tacho = Tachograph::new().unwrap();
    let session = tacho.session("call").observer(Arc::new(Panicking)).open().unwrap();
    let mic = session.source("mic", bounded(1)).unwrap();
    let working = mic.enqueue(media(20)).begin();
    session.tell_fault(ErrorCode::ProviderFailed, "a fault");
    two_ticks().await;
    working.done();
    let receipt = session.end();
    assert_eq!((only(&receipt).frames.processed, receipt.ticks_sent, receipt.ticks_missed), (1, 2, 0));
    let counted = |name| tacho.registry().snapshot().counter(name, &[]).unwrap();
    let restarts = |task| tacho.registry().snapshot().counter("tachograph_task_restarts", &[("task", task)]);
    assert_eq!((restarts("collector"), restarts("session")), (None, None));
    assert!(counted("tachograph_observer_failures") > 4);
}

#[tokio::test(start_paused = true)]
async fn a_source_that_is_asked_otherwise_is_asked_no_more_as_before() {
    let (tacho, asked) = (Tachograph::new().unwrap(), Arc::new(Mutex::new(Vec::new())));
    let session = tacho.session("call").open().unwrap();
    let mic = session.source("mic", SourceConfig { degrade: Degrade::Told, ..bounded(1) }).unwrap();
    for question in 0..3 {
        let asked = Arc::clone(&asked);
        mic.watch_health(move || {
            asked.lock().push(question);
            answer(0, json!({}))
        });
    }
    let levels = Arc::clone(&asked);
    mic.watch_level(move || {
        levels.lock().push(7);
        answer(0, Level::Warning)
    });
    two_ticks().await;
    asked.lock().sort_unstable();
    assert_eq!(*asked.lock(), [2, 2, 7, 7]);
    session.end();
    mic.watch_health(|| answer(0, json!({})));
    two_ticks().await;
    assert_eq!(asked.lock().len(), 4, "nor after the end");
}

/// An error that cannot say what it is.
struct Unspeakable;

impl std::fmt::Display for Unspeakable {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        panic!("on purpose");
    }
}

#[tokio::test(start_paused = true)]
async fn a_provider_whose_error_panics_is_asked_again() {
    let tacho = Tachograph::new().unwrap();
    let session = tacho.session("call").open().unwrap();
    let mic = session.source("mic", bounded(1)).unwrap();
    mic.watch_health(|| async { Err(Unspeakable) });
    two_ticks().await;
    let failures = tacho.registry().snapshot().counter("tachograph_provider_health_failures", &[]);
    assert_eq!(failures, Some(2));
}

#[test]
fn all_of_it_goes_from_thread_to_thread() {
    fn goes<T: Send + Sync + std::fmt::Debug>() {}
    goes::<Tachograph>();
    goes::<tachograph::Builder>();
    goes::<tachograph::session::SessionBuilder>();
    goes::<tachograph::session::Session>();
    goes::<tachograph::session::Source>();
    goes::<Queued>();
    goes::<tachograph::session::Working>();
}
