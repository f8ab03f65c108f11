use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tachograph::provider::Fault;
use tachograph::{Limits, Tachograph};
use tachograph_core::wire::{ClientMessage, ErrorCode, ServerMessage};
use tokio::time::{Instant, sleep};
use tokio_tungstenite::tungstenite::Message;

use super::{Heard, PIECE, Server, assert_accounted, builder, hear_all, simulated};

/// Sends in one go, then asks for the receipt; beside it another session goes on as if nothing was.
async fn paced(limits: Limits, messages: Vec<Message>) -> (Server, Heard) {
    let server = Server::start(builder(limits)).await;
    let mut other = server.admitted("other").await;
    let beside = tokio::spawn(async move {
        for _ in 0..30 {
            other.send_audio(1).await;
            sleep(Duration::from_millis(100)).await;
        }
        let (mut sink, stream) = other.socket.split();
        sink.send(Message::text(ClientMessage::encode_stop("other"))).await.unwrap();
        hear_all(stream).await
    });
    let (mut sink, stream) = server.admitted("fast").await.socket.split();
    let heard = tokio::spawn(hear_all(stream));
    for message in messages {
        sink.send(message).await.unwrap();
    }
    sink.send(Message::text(ClientMessage::encode_stop("fast"))).await.unwrap();
    let heard = heard.await.unwrap();
    let beside = beside.await.unwrap();
    beside.assert_ticks();
    assert_eq!(beside.receipt.sources[0].bytes.processed, 30 * PIECE.len() as u64, "{:?}", beside.receipt);
    assert_eq!(beside.warnings(), [""; 0]);
    (server, heard)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_that_come_too_fast_are_read_at_the_pace_and_none_is_lost() {
    let limits = Limits { messages_per_second: 40, ..Limits::default() };
    let began = Instant::now();
    let piece = Message::binary(&PIECE[..]);
    let (server, heard) = paced(limits, vec![piece; 240]).await;
    assert!(began.elapsed() >= Duration::from_millis(4_500), "200 beyond the first second's: {:?}", began.elapsed());
    assert_eq!(heard.receipt.sources[0].bytes.received, 240 * PIECE.len() as u64);
    assert_accounted(&heard.receipt);
    heard.assert_ticks();
    assert_eq!(heard.warnings(), ["messages come faster than 40 a second and are read at that pace"]);
    let paced = server.counter("tachograph_messages_paced");
    assert!((150..=242).contains(&paced), "{paced}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_that_come_too_fast_are_read_at_the_pace() {
    let limits = Limits { bytes_per_second: 64_000, ..Limits::default() };
    let began = Instant::now();
    let (server, heard) = paced(limits, vec![Message::binary(vec![1; 32_000]); 10]).await;
    assert!(
        began.elapsed() >= Duration::from_millis(3_500),
        "256,000 beyond the first second's: {:?}",
        began.elapsed()
    );
    assert_eq!(heard.receipt.sources[0].bytes.received, 320_000);
    assert_accounted(&heard.receipt);
    assert_eq!(heard.warnings(), ["more than 64000 bytes a second come and are read at that pace"]);
    assert!(server.counter("tachograph_messages_paced") > 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pings_are_messages_too_and_are_answered_at_the_pace() {
    let limits = Limits { messages_per_second: 40, ..Limits::default() };
    let mut messages = vec![Message::Ping("?".into()); 200];
    messages.push(Message::binary(&PIECE[..]));
    let (server, heard) = paced(limits, messages).await;
    assert!(heard.pongs > 0);
    assert_eq!(heard.receipt.sources[0].frames.processed, 1);
    assert!(server.counter("tachograph_messages_paced") > 100);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_paced_still_hears_of_the_end() {
    let limits = Limits { messages_per_second: 10, ..Limits::default() };
    let server = Server::start(builder(limits)).await;
    let (mut sink, stream) = server.admitted("fast").await.socket.split();
    let heard = tokio::spawn(hear_all(stream));
    for _ in 0..600 {
        sink.send(Message::binary(&PIECE[..])).await.unwrap();
    }
    server.until("it is paced", |server| server.counter("tachograph_messages_paced") > 0).await;
    let told = Instant::now();
    server.tacho.shutdown().cancel();
    let heard = heard.await.unwrap();
    assert!(told.elapsed() < Duration::from_secs(8), "a minute of messages was waiting: {:?}", told.elapsed());
    assert_accounted(&heard.receipt);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_is_too_long_ends_its_connection_with_an_answer() {
    let mut listener = simulated(0.01, Fault::None);
    listener.message_bytes_max = 10_000;
    let server = Server::start(Tachograph::builder().listener(listener)).await;
    for length in [10_001, 1_000_000] {
        let mut client = server.admitted("long").await;
        client.say(Message::text(" ".repeat(length))).await;
        let (error, close) = client.ended().await;
        assert_eq!((error.code, close), (ErrorCode::TooLarge, 1009), "{length}");
    }
    let mut client = server.admitted("fits").await;
    client.say(Message::binary(vec![1; 10_000])).await;
    assert_eq!(client.stop().await.sources[0].bytes.received, 10_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_bound_of_a_queue_is_told_and_kept() {
    let mut listener = simulated(1.0, Fault::Hang);
    (listener.audio.queue_bytes_max, listener.audio.queue_frames_max) = (16_000, 125);
    let server = Server::start(Tachograph::builder().listener(listener)).await;
    let mut client = server.admitted("queue").await;
    // A chunk is in the provider's hands and the next one is ready: then the queue fills.
    for _ in 0..10 {
        client.send_audio(6).await;
        sleep(Duration::from_millis(300)).await;
    }
    let full =
        |message: &ServerMessage| matches!(message, ServerMessage::Metrics(figures) if figures.queue_bytes == 16_000);
    let ServerMessage::Metrics(figures) = client.hear(full).await else { unreachable!() };
    assert_eq!((figures.queue_bytes_max, figures.queue_max_frames, figures.queue_max), (16_000, 125, 125));
    assert_eq!((figures.max_backlog_seconds, figures.queue_fill_ratio), (0.5, 1.0));
    assert!(figures.dropped_total > 0);
    client.say(Message::binary(vec![1; 16_002])).await;
    let error = client.hear(|message| matches!(message, ServerMessage::Error(_))).await;
    assert!(matches!(error, ServerMessage::Error(error) if error.code == ErrorCode::TooLarge && !error.fatal));
}
