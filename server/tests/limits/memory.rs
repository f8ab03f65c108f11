use std::time::Duration;

use futures_util::SinkExt;
use futures_util::future::join_all;
use tachograph::provider::Fault;
use tachograph::session::{Amount, OpenError, SourceConfig};
use tachograph::{Limits, Tachograph};
use tachograph_core::wire::{ErrorCode, EventKind, Receipt, ServerMessage};
use tokio::io::AsyncWriteExt;
use tokio::time::{Instant, sleep, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, connect_async};

use super::{Client, LONG, PIECE, Server, assert_accounted, builder, simulated};

/// Sessions whose provider hangs: what they send stays.
async fn hanging(sessions_bytes: usize) -> Server {
    let limits = Limits { sessions_bytes, ..Limits::default() };
    Server::start(Tachograph::builder().limits(limits).listener(simulated(1.0, Fault::Hang))).await
}

/// What a session holds whose provider hangs: its queue of 2 s, a chunk in the provider's hands and one that is ready.
const FULL_PIECES: usize = 40;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn beyond_their_memory_the_newest_sessions_are_ended_and_all_is_accounted_for() {
    const SESSIONS: usize = 12;
    let server = hanging(256_000_000).await;
    let events = server.events_until_ended(SESSIONS).await;
    let mut clients = Vec::new();
    for place in 0..SESSIONS {
        clients.push(server.admitted(&place.to_string()).await);
    }
    // All hold the same, as their workers have time to take what there is to take.
    join_all(clients.iter_mut().map(async |client| {
        for _ in 0..FULL_PIECES {
            client.send_audio(1).await;
            sleep(Duration::from_millis(20)).await;
        }
    }))
    .await;
    let received = (SESSIONS * FULL_PIECES) as u64;
    server
        .until("all is received", |server| {
            let received_now =
                server.tacho.registry().snapshot().counter("audio_frames_received", &[("source", "system")]);
            received_now == Some(received)
        })
        .await;
    sleep(Duration::from_millis(2_500)).await;
    let held = server.tacho.metrics().sessions_bytes.value();
    assert!(held > SESSIONS as f64 * 64_000.0, "at least the queues: {held}");

    // Room for two thirds of it: at least a third of the sessions goes, and no more than to nine tenths of that.
    let most = held * 2.0 / 3.0;
    let lowered = Instant::now();
    server.tacho.set_limits(Limits { sessions_bytes: most as usize, ..server.tacho.limits() });
    let shed_expected = (SESSIONS as f64 * (1.0 - 0.9 * 2.0 / 3.0)).ceil() as usize;
    let kept = clients.len() - shed_expected;
    for (client, place) in clients.split_off(kept).into_iter().zip(kept..) {
        assert_eq!(client.session_id, place.to_string());
        let (error, close) = client.ended().await;
        assert_eq!((error.code, close), (ErrorCode::AtCapacity, 1013), "{place}");
        assert!(error.message.contains("connect again later"), "{error:?}");
    }
    assert!(lowered.elapsed() < Duration::from_secs(10), "{:?}", lowered.elapsed());
    sleep(Duration::from_millis(2_500)).await;
    assert_eq!(server.counter("tachograph_sessions_shed"), shed_expected as u64, "it does not go on");
    let held = server.tacho.metrics().sessions_bytes.value();
    assert!(held <= 0.9 * most && held > 0.6 * most, "{held} of {most}");

    // There is room again, and the others did not notice.
    server.admitted("late").await.stop().await;
    for client in clients {
        drop(client);
    }
    let events = events.await.unwrap();
    let receipts: Vec<Receipt> = events
        .iter()
        .filter_map(|event| serde_json::from_value(event.receipt.as_deref()?.clone()).ok())
        .filter(|receipt: &Receipt| !receipt.sources.is_empty())
        .collect();
    assert!(receipts.len() >= SESSIONS - 1, "{}", receipts.len());
    receipts.iter().for_each(assert_accounted);
    for receipt in &receipts {
        let bytes = receipt.sources[0].bytes;
        assert_eq!((bytes.received, bytes.dropped), ((FULL_PIECES * PIECE.len()) as u64, bytes.received));
    }
    let faults: Vec<_> = events
        .iter()
        .filter(|event| matches!(&event.kind, EventKind::Fault(fault) if fault.code == ErrorCode::AtCapacity))
        .collect();
    let told: Vec<_> =
        faults.iter().map(|event| event.session_id.as_deref().unwrap().parse::<usize>().unwrap()).collect();
    assert_eq!(told, (kept..SESSIONS).rev().collect::<Vec<_>>(), "the newest first, for all to see");
    server.until("nothing is held any more", |server| server.tacho.metrics().sessions_bytes.value() == 0.0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_flood_of_sessions_beyond_the_memory_neither_flaps_nor_harms_the_oldest() {
    let server = hanging(1_500_000).await;
    let mut oldest = server.admitted("oldest").await;
    oldest.send_audio(FULL_PIECES).await;
    let flood = (0..60).map(async |place: usize| {
        let mut client = server.client(&format!("flood {place}")).await;
        for _ in 0..FULL_PIECES {
            // It may be ended meanwhile.
            if client.socket.send(Message::binary(&PIECE[..])).await.is_err() {
                return None;
            }
        }
        Some(client)
    });
    let admitted = join_all(flood).await;
    // What they said is read only after they said it.
    let (began, mut shed, mut since) = (Instant::now(), 0, Instant::now());
    while since.elapsed() < Duration::from_secs(2) {
        assert!(began.elapsed() < LONG, "it goes on: {shed} ended");
        sleep(Duration::from_millis(50)).await;
        let ended = server.counter("tachograph_sessions_shed");
        if ended != shed {
            (shed, since) = (ended, Instant::now());
        }
    }
    let refused = server.counter("tachograph_sessions_refused");
    assert!(shed > 0 && shed + refused <= 60, "{shed} ended, {refused} refused");
    assert!(server.tacho.metrics().sessions_bytes.value() <= 1_500_000.0);
    let ServerMessage::Metrics(figures) = oldest.hear(|message| matches!(message, ServerMessage::Metrics(_))).await
    else {
        unreachable!()
    };
    assert_eq!(figures.bytes_received, (FULL_PIECES * PIECE.len()) as u64);
    drop(admitted);
    drop(oldest);
    server.until("nothing is held any more", |server| server.tacho.metrics().sessions_bytes.value() == 0.0).await;
    server.admitted("after").await;
}

/// So much of a message that never becomes whole: a fragment, a ping, and the beginning of the next fragment.
async fn say_part(client: &mut Client, bytes: usize) {
    const MASK: [u8; 4] = [0; 4];
    let MaybeTlsStream::Plain(stream) = client.socket.get_mut() else { unreachable!() };
    let fragment = [&[0x02, 0xFF][..], &(bytes as u64 / 2).to_be_bytes(), &MASK, &vec![0; bytes / 2]].concat();
    let ping = [&[0x89, 0x80][..], &MASK].concat();
    let next = [&[0x80, 0xFF][..], &500_000_u64.to_be_bytes(), &MASK, &vec![0; bytes / 2]].concat();
    for part in [fragment, ping, next] {
        stream.write_all(&part).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn messages_of_which_a_part_came_are_memory_too() {
    const PART: usize = 400_000;
    let limits = Limits { sessions_bytes: 2_000_000, ..Limits::default() };
    let server = Server::start(builder(limits)).await;
    let mut clients = Vec::new();
    for place in 0..4 {
        let mut client = server.admitted(&place.to_string()).await;
        client.send_audio(1).await;
        client.hear(|message| matches!(message, ServerMessage::Metrics(_))).await;
        say_part(&mut client, PART).await;
        clients.push(client);
    }
    let held = || server.tacho.metrics().sessions_bytes.value();
    let sessions = 4.0 * 30_000.0;
    server.until("all parts are counted", |_| held() > sessions + 4.0 * (PART as f64 - 17_000.0)).await;
    assert_eq!(server.counter("tachograph_sessions_shed"), 0);
    let mut newest = server.admitted("newest").await;
    say_part(&mut newest, PART).await;
    let (error, close) = newest.ended().await;
    assert_eq!((error.code, close), (ErrorCode::AtCapacity, 1013));
    for client in &mut clients {
        client.hear(|message| matches!(message, ServerMessage::Metrics(_))).await;
    }
    assert_eq!(server.counter("tachograph_sessions_shed"), 1);
    drop(clients);
    server.until("nothing is held any more", |_| held() == 0.0).await;
}

/// What a session holds that ends anyway is no reason to end another one, for as long as it can take to end.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nobody_is_ended_for_what_those_hold_that_end_by_themselves() {
    const MESSAGE: usize = 400_000;
    let limits = Limits { sessions_bytes: 2_000_000, ..Limits::default() };
    let server = Server::start(Tachograph::builder().limits(limits).listener(simulated(1.0, Fault::Hang))).await;
    let held = || server.tacho.metrics().sessions_bytes.value();
    let mut staying = Vec::new();
    for place in 0..3 {
        let mut client = server.admitted(&format!("stays {place}")).await;
        client.send_audio(1).await;
        staying.push(client);
    }
    // They stop, and wait for their providers until that takes too long.
    let ending = (0..4).map(async |place: usize| {
        let mut client = server.admitted(&format!("ends {place}")).await;
        client.send_audio(1).await;
        client.say(Message::binary(vec![0; MESSAGE])).await;
        client.stop().await
    });
    let then = async {
        server.until("all of their messages came", |_| held() > 4.0 * (MESSAGE as f64)).await;
        sleep(Duration::from_secs(1)).await;
        for client in &mut staying {
            say_part(client, MESSAGE).await;
        }
        server.until("there is more than may be", |_| held() > 2_000_000.0).await;
        for client in &mut staying {
            client.hear(|message| matches!(message, ServerMessage::Metrics(_))).await;
        }
    };
    let (receipts, ()) = tokio::join!(join_all(ending), then);
    assert!(receipts.iter().all(|receipt| receipt.sources[0].bytes.received == PIECE.len() as u64), "{receipts:?}");
    server.until("they are gone", |_| held() < 1_500_000.0).await;
    assert_eq!(server.counter("tachograph_sessions_shed"), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn before_its_session_a_client_may_say_nothing_long() {
    let server = Server::start(builder(Limits { sessions_bytes: 200_000, ..Limits::default() })).await;
    let mut session = server.admitted("session").await;
    let connect = async || {
        let socket = connect_async(format!("ws://{}/ws/live-listener", server.address)).await.unwrap().0;
        Client { session_id: String::new(), socket }
    };
    let (mut part, mut whole) = (connect().await, connect().await);
    say_part(&mut part, 90_000).await;
    whole.say(Message::text("x".repeat(70_000))).await;
    for client in [part, whole] {
        let (error, close) = client.ended().await;
        assert_eq!((error.code, close), (ErrorCode::TooLarge, 1009));
        assert!(error.message.contains("before"), "{error:?}");
    }
    // There is no session to be ended for what they say, and no other one is.
    let mut without = join_all((0..10).map(async |_| connect().await)).await;
    for client in &mut without {
        say_part(client, 60_000).await;
    }
    session.send_audio(1).await;
    for _ in 0..2 {
        session.hear(|message| matches!(message, ServerMessage::Metrics(_))).await;
    }
    assert_eq!((server.counter("tachograph_sessions_shed"), server.counter("tachograph_sessions_refused")), (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_refused_fills_no_memory_and_shuts_nobody_out() {
    // Of an application's own sockets nobody knows what came of a message that is not whole.
    let server = Server::start_embedded(builder(Limits::default())).await;
    let mut sessions = Vec::new();
    for number in 0..25 {
        sessions.push(server.admitted(&number.to_string()).await);
    }
    let held = || server.tacho.metrics().sessions_bytes.value();
    server.until("all are counted", |_| held() > 25.0 * 25_000.0).await;
    // They hold more than is kept once there was too much, and there is room for one more.
    let sessions_bytes = held() as usize + 45_000;
    server.tacho.set_limits(Limits { sessions_bytes, ..Limits::default() });
    for _ in 0..5 {
        sessions[0].say(Message::binary(vec![0; 500_000])).await;
        let too_large = |message: &ServerMessage| matches!(message, ServerMessage::Error(error) if error.code == ErrorCode::TooLarge);
        sessions[0].hear(too_large).await;
    }
    sessions.push(server.admitted("one more").await);
    assert_eq!((server.counter("tachograph_sessions_shed"), server.counter("tachograph_sessions_refused")), (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_session_that_fills_the_memory_alone_goes_before_those_that_came_after_it() {
    let mut listener = simulated(1.0, Fault::Hang);
    listener.audio.queue_bytes_max = 30 * 32_000;
    let limits = Limits { sessions_bytes: 900_000, ..Limits::default() };
    let server = Server::start(Tachograph::builder().limits(limits).listener(listener)).await;
    let mut greedy = server.admitted("greedy").await;
    let mut modest = Vec::new();
    for place in 0..4 {
        let mut client = server.admitted(&format!("modest {place}")).await;
        client.send_audio(5).await;
        modest.push(client);
    }
    for _ in 0..300 {
        if greedy.socket.send(Message::binary(&PIECE[..])).await.is_err() {
            break;
        }
    }
    let (error, close) = greedy.ended().await;
    assert_eq!((error.code, close), (ErrorCode::AtCapacity, 1013));
    assert_eq!(server.counter("tachograph_sessions_shed"), 1);
    for client in &mut modest {
        client.hear(|message| matches!(message, ServerMessage::Metrics(_))).await;
    }
}

#[tokio::test]
async fn a_session_of_the_application_counts_with_its_state_and_is_refused_while_there_is_no_memory() {
    let limits = Limits { sessions_bytes: 14_000, ..Limits::default() };
    let tacho = Tachograph::builder().limits(limits).build().unwrap();
    let session = tacho.session("told").open().unwrap();
    // Its queue is its own.
    let queued = session.source("video", SourceConfig::default()).unwrap().enqueue(Amount::new(1, 1 << 40));
    let other = tacho.session("other").open().unwrap();
    let error = {
        other.source("video", SourceConfig::default()).unwrap();
        tacho.session("late").open().unwrap_err()
    };
    assert_eq!(error, OpenError::MemoryFull);
    assert!(error.to_string().contains("Limits::sessions_bytes"), "{error}");
    assert_eq!(tacho.metrics().sessions_refused.value(), 1);
    sleep(Duration::from_millis(200)).await;
    queued.begin().done();
    assert_eq!(session.end().sources[0].frames.processed, 1, "it was not ended for it");
    assert_eq!(tacho.metrics().sessions_shed.value(), 0);
    drop((session, other));
    // Their tasks end by and by.
    let opened = async {
        while tacho.session("late").open().is_err() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(LONG, opened).await.unwrap();
}
