use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde_json::Value;
use tachograph::listener::Listener;
use tachograph::provider::{Fault, Provider, ProviderError, ProviderFactory, Providers, Quality};
use tachograph::{Limits, Tachograph};
use tachograph_core::session::{Chunk, ProviderInForce, Voice};
use tachograph_core::wire::{ClientMessage, ErrorCode, ErrorMessage, MIC, SYSTEM, ServerMessage, SourceName};
use tokio::time::{Instant, sleep};
use tokio_tungstenite::tungstenite::Message;

use super::{PIECE, Server, builder, simulated};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_session_more_than_may_be_is_refused_until_another_ends() {
    let server = Server::start(builder(Limits { sessions: 2, ..Limits::default() })).await;
    let (first, _second) = (server.admitted("first").await, server.admitted("second").await);
    let (error, close) = server.refused("third").await;
    assert_eq!((error.code, close), (ErrorCode::AtCapacity, 1013));
    assert!(error.message.contains("try again later"), "{error:?}");
    assert_eq!(server.counter("tachograph_sessions_refused"), 1);
    first.stop().await;
    server.admitted("third").await;
    server.tacho.set_limits(Limits { sessions: 3, ..server.tacho.limits() });
    server.admitted("fourth").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_source_more_than_may_be_is_refused_and_the_session_goes_on() {
    let server = Server::start(builder(Limits::default())).await;
    let mut client = server.admitted("sources").await;
    for source in ["one", "two", "three"] {
        let source = SourceName::parse(source).unwrap();
        client.say(Message::text(ClientMessage::encode_audio(source, &PIECE))).await;
    }
    let error = client.hear(|message| matches!(message, ServerMessage::Error(_))).await;
    let ServerMessage::Error(ErrorMessage { code, fatal, .. }) = error else { unreachable!() };
    assert_eq!((code, fatal), (ErrorCode::TooManySources, false));
    assert_eq!(client.stop().await.sources.len(), 2);
}

// ---- providers

/// Blocks its thread when it is told how well to work, the first time.
#[derive(Clone, Default)]
struct Blocking {
    opened: Arc<std::sync::atomic::AtomicUsize>,
    blocks: bool,
}

impl ProviderFactory for Blocking {
    fn name(&self) -> &'static str {
        "blocking"
    }

    fn open(&self, _: SourceName) -> BoxFuture<'_, Result<Arc<dyn Provider>, ProviderError>> {
        let is_first = self.opened.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == 0;
        let provider = Self { blocks: is_first, ..self.clone() };
        Box::pin(async { Ok(Arc::new(provider) as Arc<dyn Provider>) })
    }
}

impl Provider for Blocking {
    fn in_force(&self) -> ProviderInForce {
        ProviderInForce { provider: "blocking".into(), model_id: "none".into(), vad_enabled: false }
    }

    fn process(&self, _: Chunk) -> BoxFuture<'_, Result<Option<Voice>, ProviderError>> {
        Box::pin(async { Ok(None) })
    }

    fn health(&self) -> BoxFuture<'_, Result<Value, ProviderError>> {
        Box::pin(async { Ok(Value::Null) })
    }

    fn set_quality(&self, _: Quality) {
        if self.blocks {
            std::thread::sleep(Duration::from_secs(12));
        }
    }
}

/// One thread for all: a blocked one would hold up everything.
#[tokio::test]
async fn a_provider_that_blocks_its_thread_is_made_anew_and_delays_nobody() {
    let listener = Listener::new(Providers::only(Blocking::default()));
    let server = Server::start(Tachograph::builder().listener(listener)).await;
    let mut client = server.admitted("blocked").await;
    client.say(Message::text(ClientMessage::encode_audio(MIC, &PIECE))).await;
    client.say(Message::text(ClientMessage::encode_audio(SYSTEM, &PIECE))).await;
    let began = Instant::now();
    for tick in 1..=3 {
        client.hear(|message| matches!(message, ServerMessage::Metrics(figures) if figures.tick == tick)).await;
    }
    assert!(began.elapsed() < Duration::from_secs(6), "the ticks go on: {:?}", began.elapsed());
    let restarted = |server: &Server| server.counter("tachograph_provider_restarts") == 1;
    server.until("it is made anew", restarted).await;
    let receipt = client.stop().await;
    let processed: u64 = receipt.sources.iter().map(|source| source.frames.processed).sum();
    assert_eq!(processed, 2, "{receipt:?}");
}

/// Also where the application lets it take longer than a server that ends waits.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_that_waits_for_its_provider_gets_its_receipt_when_the_server_ends() {
    let mut listener = simulated(1.0, Fault::Hang);
    listener.drain = Duration::from_secs(60);
    let server = Server::start(Tachograph::builder().listener(listener)).await;
    let mut client = server.admitted("waits").await;
    client.send_audio(1).await;
    let began = Instant::now();
    let ending = async {
        sleep(Duration::from_secs(1)).await;
        server.tacho.shutdown().cancel();
    };
    let (receipt, ()) = tokio::join!(client.stop(), ending);
    assert!((6.0..9.0).contains(&began.elapsed().as_secs_f64()), "{:?}", began.elapsed());
    assert_eq!((receipt.sources[0].bytes.received, receipt.sources[0].bytes.dropped), (3_200, 3_200));
}
