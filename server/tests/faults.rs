//! Faults stay where they happen: in the metrics loop, in a provider, in its health.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by it")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tachograph::listener::Listener;
use tachograph::provider::{
    Fault, Provider, ProviderError, ProviderFactory, Providers, Quality, Simulated, SimulatedControl,
};
use tachograph::{Builder, Tachograph, serve};
use tachograph_core::registry::{Descriptor, Registry};
use tachograph_core::session::{Chunk, ProviderInForce, Voice};
use tachograph_core::wire::frame::{Arrival, Follower};
use tachograph_core::wire::{
    ClientMessage, Envelope, Metrics, ProviderState, Receipt, SYSTEM, ServerMessage, SourceName, Start,
};
use tokio::net::TcpListener;
use tokio::time::timeout;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;

/// Everything that a session of so many seconds heard.
struct Heard {
    metrics: Vec<Metrics>,
    messages: Vec<ServerMessage>,
    receipt: Receipt,
    /// The receipt that a viewer of the server got.
    viewed: Value,
    app: Tachograph,
}

impl Heard {
    fn counter(&self, name: &str) -> u64 {
        self.app.registry().snapshot().counter(name, &[]).unwrap_or_default()
    }
}

fn restarts(app: &Tachograph, task: &str) -> u64 {
    app.registry().snapshot().counter("tachograph_task_restarts", &[("task", task)]).unwrap_or_default()
}

fn simulated(rtf: f64, fault: Fault) -> Providers {
    Providers::only(Simulated::new(SimulatedControl { rtf, fault }))
}

fn quick(providers: Providers) -> Listener {
    let mut listener = Listener::new(providers);
    listener.audio.chunk = Duration::from_millis(200);
    listener
}

/// Runs a server and one session on it that sends a second of audio each second.
async fn session(listener: Listener, seconds: usize) -> Heard {
    session_of(Tachograph::builder().listener(listener), seconds).await
}

async fn session_of(builder: Builder, seconds: usize) -> Heard {
    let app = builder.build().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/ws/live-listener", listener.local_addr().unwrap());
    let viewer = tokio::spawn(ended(format!("ws://{}/ws/stream", listener.local_addr().unwrap())));
    let server = tokio::spawn(serve(listener, app.clone()));
    let (socket, _) = connect_async(url).await.unwrap();
    let (mut sink, mut stream) = socket.split();
    let start = Start { session_id: "faults".into(), ..Start::default() };
    sink.send(Message::text(start.encode())).await.unwrap();
    tokio::spawn(async move {
        let mut pace = tokio::time::interval(Duration::from_millis(100));
        for _ in 0..seconds * 10 {
            pace.tick().await;
            sink.send(Message::text(ClientMessage::encode_audio(SYSTEM, &[1; 3_200]))).await.unwrap();
        }
        sink.send(Message::text(ClientMessage::encode_stop("faults"))).await.unwrap();
    });
    let (mut metrics, mut messages) = (Vec::new(), Vec::new());
    let receipt = loop {
        let message = timeout(Duration::from_secs(20), stream.next()).await.unwrap().unwrap().unwrap();
        let Message::Text(text) = message else { continue };
        let Envelope { message, .. } = serde_json::from_str(&text).unwrap();
        match message.into_owned() {
            ServerMessage::Metrics(figures) => metrics.push(*figures),
            ServerMessage::FinalSummary(summary) => break summary.json,
            other => messages.push(other),
        }
    };
    let viewed = viewer.await.unwrap();
    app.shutdown().cancel();
    server.await.unwrap().unwrap();
    Heard { metrics, messages, receipt, viewed, app }
}

/// Watches the stream until a session ended; returns its receipt.
async fn ended(url: String) -> Value {
    let (mut socket, _) = connect_async(url).await.unwrap();
    let (mut follower, mut receipt) = (Follower::default(), None);
    while receipt.is_none() {
        let message = timeout(Duration::from_secs(20), socket.next()).await.unwrap().unwrap().unwrap();
        let look = |arrival: Arrival<'_>| {
            if let Arrival::Newest(state) = arrival {
                receipt = state.events().iter().find_map(|event| event.receipt.clone());
            }
        };
        follower.take(&message.into_data(), look).unwrap();
    }
    Value::clone(&receipt.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_metrics_loop_that_fails_is_counted_and_restarted_and_the_session_lives() {
    let hook = |_: &_, tick| assert_ne!(tick, 2, "the fault that is rehearsed");
    let listener = quick(simulated(0.1, Fault::None));
    let heard = session_of(Tachograph::builder().listener(listener).on_session_tick(hook), 5).await;
    let ticks: Vec<u64> = heard.metrics.iter().map(|figures| figures.tick).collect();
    assert!(ticks.starts_with(&[1, 3, 4]), "{ticks:?}");
    assert_eq!(restarts(&heard.app, "session"), 1);
    assert_eq!(heard.receipt.ticks_missed, 1);
    assert_eq!(heard.viewed, serde_json::to_value(&heard.receipt).unwrap());
    assert_eq!(heard.receipt.sources[0].bytes.processed, 5 * 32_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_ladder_the_degrade_fields_are_absent_and_that_is_counted() {
    let mut listener = quick(simulated(0.1, Fault::None));
    listener.audio.ladder = false;
    let heard = session(listener, 3).await;
    assert!(!heard.metrics.is_empty());
    assert!(heard.metrics.iter().all(|figures| figures.degrade_level.is_none() && figures.rtf_avg_10s.is_none()));
    assert_eq!(heard.counter("tachograph_degrade_status_unavailable"), heard.metrics.len() as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_fails_is_restarted_then_given_up_and_told_once() {
    let heard = session(quick(simulated(0.1, Fault::Error)), 8).await;
    let states: Vec<_> = heard.metrics.iter().map(|figures| figures.provider_state).collect();
    assert!(states.contains(&ProviderState::Restarting) && states.ends_with(&[ProviderState::Failed]), "{states:?}");
    let told = heard.messages.iter().filter(|message| matches!(message, ServerMessage::Error(_))).count();
    assert_eq!(told, 1, "{:?}", heard.messages);
    assert!(heard.metrics.iter().all(|figures| figures.provider_health.is_none()));
    assert!(heard.counter("tachograph_provider_health_failures") > 0);
    let source = &heard.receipt.sources[0];
    assert_eq!((source.bytes.processed, source.bytes.dropped), (0, 8 * 32_000));
    assert!(source.chunks_failed > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chunk_that_takes_too_long_counts_as_failed() {
    let mut listener = quick(simulated(0.1, Fault::Hang));
    listener.chunk_timeout = Duration::from_millis(300);
    let heard = session(listener, 3).await;
    assert!(heard.receipt.sources[0].chunks_failed > 0);
    assert!(heard.counter("tachograph_provider_restarts") > 0);
}

/// Works, but is asked for its health in vain.
struct Silent;

impl ProviderFactory for Silent {
    fn name(&self) -> &'static str {
        "silent"
    }

    fn open(&self, _: SourceName) -> BoxFuture<'_, Result<Arc<dyn Provider>, ProviderError>> {
        Box::pin(async { Ok(Arc::new(Self) as Arc<dyn Provider>) })
    }
}

impl Provider for Silent {
    fn in_force(&self) -> ProviderInForce {
        ProviderInForce { provider: "silent".into(), model_id: "none".into(), vad_enabled: false }
    }

    fn process(&self, _: Chunk) -> BoxFuture<'_, Result<Option<Voice>, ProviderError>> {
        Box::pin(async { Ok(None) })
    }

    fn health(&self) -> BoxFuture<'_, Result<Value, ProviderError>> {
        Box::pin(std::future::pending())
    }

    fn set_quality(&self, _: Quality) {}
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_does_not_tell_its_health_delays_no_tick() {
    let heard = session(quick(Providers::only(Silent)), 4).await;
    assert!(heard.metrics.len() >= 3);
    assert!(heard.metrics.iter().all(|figures| figures.provider_health.is_none() && figures.provider == "silent"));
    assert!(heard.counter("tachograph_provider_health_failures") > 0);
    assert_eq!(heard.receipt.ticks_missed, 0);
    let gaps: Vec<f64> = heard.metrics.windows(2).map(|pair| pair[1].timestamp - pair[0].timestamp).collect();
    // The machine may have been late with one tick, which two gaps show; the provider would be with each.
    assert!(gaps.iter().filter(|gap| (**gap - 1.0).abs() >= 0.25).count() <= 2, "{gaps:?}");
}

/// Blocks its thread with each chunk for so long, whatever it was asked not to do.
const BLOCKED: Duration = Duration::from_millis(1_500);

struct Blocking;

impl ProviderFactory for Blocking {
    fn name(&self) -> &'static str {
        "blocking"
    }

    fn open(&self, _: SourceName) -> BoxFuture<'_, Result<Arc<dyn Provider>, ProviderError>> {
        Box::pin(async { Ok(Arc::new(Self) as Arc<dyn Provider>) })
    }
}

impl Provider for Blocking {
    fn in_force(&self) -> ProviderInForce {
        ProviderInForce { provider: "blocking".into(), model_id: "none".into(), vad_enabled: false }
    }

    fn process(&self, _: Chunk) -> BoxFuture<'_, Result<Option<Voice>, ProviderError>> {
        Box::pin(async {
            std::thread::sleep(BLOCKED);
            Ok(None)
        })
    }

    fn health(&self) -> BoxFuture<'_, Result<Value, ProviderError>> {
        Box::pin(async { Ok(Value::Null) })
    }

    fn set_quality(&self, _: Quality) {}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_provider_that_blocks_its_thread_delays_no_tick_and_is_given_up() {
    let mut listener = quick(Providers::only(Blocking));
    listener.chunk_timeout = Duration::from_millis(500);
    let heard = session(listener, 5).await;
    let ticks: Vec<u64> = heard.metrics.iter().map(|figures| figures.tick).collect();
    assert!(ticks.starts_with(&[1, 2, 3, 4]), "{ticks:?}");
    assert_eq!((heard.receipt.ticks_missed, heard.counter("tachograph_ticks_missed")), (0, 0));
    let source = &heard.receipt.sources[0];
    assert!(source.chunks_failed > 0 && heard.counter("tachograph_provider_restarts") > 0);
    assert_eq!((source.bytes.received, source.bytes.queued), (5 * 32_000, 0));
    assert_eq!(source.bytes.received, source.bytes.processed + source.bytes.dropped);
}

/// Blocks the thread on which it is told how well to work, if it is to, and for a moment the one on which it ends.
#[derive(Clone, Default)]
struct Stubborn {
    told: Arc<AtomicU64>,
    ended_on_the_runtime: Arc<AtomicBool>,
    ended: Arc<AtomicU64>,
    /// Until then it is told in vain.
    is_released: Option<Arc<AtomicBool>>,
}

struct Stuck(Stubborn);

impl ProviderFactory for Stubborn {
    fn name(&self) -> &'static str {
        "stubborn"
    }

    fn open(&self, _: SourceName) -> BoxFuture<'_, Result<Arc<dyn Provider>, ProviderError>> {
        Box::pin(async { Ok(Arc::new(Stuck(self.clone())) as Arc<dyn Provider>) })
    }
}

impl Provider for Stuck {
    fn in_force(&self) -> ProviderInForce {
        ProviderInForce { provider: "stubborn".into(), model_id: "none".into(), vad_enabled: false }
    }

    fn process(&self, _: Chunk) -> BoxFuture<'_, Result<Option<Voice>, ProviderError>> {
        Box::pin(async { Ok(None) })
    }

    fn health(&self) -> BoxFuture<'_, Result<Value, ProviderError>> {
        Box::pin(async { Ok(Value::Null) })
    }

    fn set_quality(&self, _: Quality) {
        self.0.told.fetch_add(1, Ordering::Relaxed);
        while self.0.is_released.as_ref().is_some_and(|released| !released.load(Ordering::Relaxed)) {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Stuck {
    fn drop(&mut self) {
        self.0.ended_on_the_runtime.fetch_or(is_on_the_runtime(), Ordering::Relaxed);
        std::thread::sleep(Duration::from_millis(300));
        self.0.ended.fetch_add(1, Ordering::Relaxed);
    }
}

/// A thread that is not for blocking can wait for nothing.
fn is_on_the_runtime() -> bool {
    let waits = |runtime: tokio::runtime::Handle| runtime.block_on(async {});
    tokio::runtime::Handle::try_current()
        .is_ok_and(|runtime| std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| waits(runtime))).is_err())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_providers_end_takes_no_thread_of_the_runtime() {
    let provider = Stubborn::default();
    let heard = session(quick(Providers::only(provider.clone())), 2).await;
    assert_eq!(heard.receipt.sources[0].bytes.processed, 2 * 32_000);
    let began = std::time::Instant::now();
    while provider.ended.load(Ordering::Relaxed) == 0 {
        assert!(began.elapsed() < Duration::from_secs(10), "it never ended");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(!provider.ended_on_the_runtime.load(Ordering::Relaxed));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_that_blocks_when_it_is_told_takes_two_threads_however_often_it_is_made() {
    let released = Arc::new(AtomicBool::new(false));
    let provider = Stubborn { is_released: Some(Arc::clone(&released)), ..Stubborn::default() };
    let heard = session(quick(Providers::only(provider.clone())), 15).await;
    released.store(true, Ordering::Relaxed);
    // Made at first, after 5.5 s, after 11.5 s, and then at once.
    assert!(heard.counter("tachograph_provider_restarts") > 2);
    assert_eq!(provider.told.load(Ordering::Relaxed), 2, "it is not told again while two have not come back");
    let source = &heard.receipt.sources[0];
    assert_eq!((source.bytes.received, source.bytes.dropped), (15 * 32_000, 15 * 32_000));
}

/// Says of everything that it is not a number.
struct NotANumber;

impl ProviderFactory for NotANumber {
    fn name(&self) -> &'static str {
        "not-a-number"
    }

    fn open(&self, _: SourceName) -> BoxFuture<'_, Result<Arc<dyn Provider>, ProviderError>> {
        Box::pin(async { Ok(Arc::new(Self) as Arc<dyn Provider>) })
    }
}

impl Provider for NotANumber {
    fn in_force(&self) -> ProviderInForce {
        ProviderInForce { provider: "not-a-number".into(), model_id: "none".into(), vad_enabled: true }
    }

    fn process(&self, _: Chunk) -> BoxFuture<'_, Result<Option<Voice>, ProviderError>> {
        Box::pin(async { Ok(Some(Voice { ratio: f64::NAN, is_speech: true })) })
    }

    fn health(&self) -> BoxFuture<'_, Result<Value, ProviderError>> {
        Box::pin(async { Ok(serde_json::json!({ "load": f64::NAN, "queue": f64::INFINITY })) })
    }

    fn set_quality(&self, _: Quality) {}
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_provider_says_that_is_not_a_number_is_no_figure() {
    let heard = session(quick(Providers::only(NotANumber)), 3).await;
    let last = heard.metrics.last().unwrap();
    assert!(last.total_chunks_processed > 0 && last.speech_ratio == 1.0, "{last:?}");
    assert!(heard.metrics.iter().all(|figures| figures.voice_ratio.is_none_or(f64::is_finite)), "{last:?}");
    let health = last.provider_health.as_ref().unwrap();
    assert_eq!(**health, serde_json::json!({ "load": null, "queue": null }));
    assert_eq!(heard.receipt.sources[0].bytes.processed, 3 * 32_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registry_that_many_threads_hammer_delays_no_tick_and_loses_nothing() {
    const THREADS: u64 = 8;
    let registry = Registry::new();
    let descriptor = Descriptor::new("hammered", "Blows").label("thread").label("place");
    let (blows, is_over) = (registry.counter(&descriptor).unwrap(), Arc::new(AtomicBool::new(false)));
    let hammering = (0..THREADS).map(|thread| {
        let (blows, is_over) = (blows.clone(), Arc::clone(&is_over));
        std::thread::spawn(move || {
            let mut count = 0_u64;
            while !is_over.load(Ordering::Relaxed) {
                // New series until there is no more room, then always the one for those beyond.
                let labels = [("thread", &*thread.to_string()), ("place", &*count.to_string())];
                blows.with(&labels).unwrap().inc();
                count += 1;
            }
            count
        })
    });
    let hammering: Vec<_> = hammering.collect();
    let builder = Tachograph::builder().registry(registry.clone()).listener(quick(simulated(0.1, Fault::None)));
    let heard = session_of(builder, 5).await;
    is_over.store(true, Ordering::Relaxed);
    let struck: u64 = hammering.into_iter().map(|thread| thread.join().unwrap()).sum();
    let snapshot = registry.snapshot();
    let series = snapshot.all_series().filter(|(family, _)| family.name() == "hammered");
    let counted: Vec<u64> = series.filter_map(|(_, series)| series.value.counter()).collect();
    assert!(counted.len() > 100 && struck > counted.len() as u64, "{struck} blows on {} series", counted.len());
    assert_eq!(counted.iter().sum::<u64>(), struck);
    assert_eq!((heard.receipt.ticks_missed, heard.counter("tachograph_ticks_missed")), (0, 0));
    assert_eq!(heard.receipt.sources[0].bytes.processed, 5 * 32_000);
}

/// Cannot even be made.
struct Explosive;

impl ProviderFactory for Explosive {
    fn name(&self) -> &'static str {
        "explosive"
    }

    fn open(&self, _: SourceName) -> BoxFuture<'_, Result<Arc<dyn Provider>, ProviderError>> {
        Box::pin(async { panic!("the fault that is rehearsed") })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_panics_while_it_is_made_counts_as_failed_and_the_session_lives() {
    let heard = session(quick(Providers::only(Explosive)), 5).await;
    assert_eq!(heard.metrics.last().unwrap().provider_state, ProviderState::Failed);
    let source = &heard.receipt.sources[0];
    assert_eq!((source.bytes.dropped, source.bytes.queued), (5 * 32_000, 0));
}
