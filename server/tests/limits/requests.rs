use futures_util::future::join_all;
use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tachograph::provider::{Fault, Simulated, SimulatedControl};
use tachograph::registry::{Descriptor, Registry};
use tachograph::{Limits, Tachograph};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::{self, Message};

use super::{Server, builder, next, simulated};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_viewers_at_once_exactly_as_many_are_let_in_as_may_be() {
    let server = Server::start(builder(Limits { viewers: 7, ..Limits::default() })).await;
    for round in 1..=3_u64 {
        let (let_in, refused): (Vec<_>, Vec<_>) =
            join_all((0..60).map(|_| server.watch())).await.into_iter().partition(Result::is_ok);
        assert_eq!((let_in.len(), refused.len()), (7, 53));
        assert_eq!(server.tacho.metrics().viewers.value(), 7.0);
        assert_eq!(server.counter("tachograph_viewers_refused"), 53 * round);
        for answer in refused {
            let Err(tungstenite::Error::Http(response)) = answer else { panic!("{answer:?}") };
            assert_eq!(response.status(), 503);
            assert_eq!(response.headers()["retry-after"], "5");
            let body: Value = serde_json::from_slice(response.body().as_deref().unwrap()).unwrap();
            assert_eq!(body["error"]["code"], "at_capacity");
        }
        drop(let_in);
        server.until("they are gone", |server| server.tacho.metrics().viewers.value() == 0.0).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn viewers_over_http_have_their_places_among_the_others() {
    let server = Server::start(builder(Limits { viewers: 2, ..Limits::default() })).await;
    let socket = server.watch().await.unwrap();
    let mut lines = TcpStream::connect(server.address).await.unwrap();
    lines.write_all(b"GET /api/v1/stream HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    lines.read_exact(&mut [0; 16]).await.unwrap();
    let refused = server.get("/api/v1/stream").await;
    assert!(refused.starts_with("HTTP/1.1 503 ") && refused.contains("\"at_capacity\""), "{refused}");
    assert!(refused.contains("retry-after: 5"), "{refused}");
    drop(lines);
    server.until("one is gone", |server| server.tacho.metrics().viewers.value() == 1.0).await;
    let second = server.watch().await.unwrap();
    server.tacho.set_limits(Limits { viewers: 3, ..server.tacho.limits() });
    server.watch().await.unwrap();
    drop((socket, second));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_filter_more_than_may_be_is_refused() {
    let server = Server::start(builder(Limits { subscriptions: 2, ..Limits::default() })).await;
    let filtered = async |name: &str| connect_async(format!("ws://{}/ws/stream?metrics={name}", server.address)).await;
    let _held = [filtered("a").await.unwrap(), filtered("b").await.unwrap(), filtered("a").await.unwrap()];
    let Err(tungstenite::Error::Http(refused)) = filtered("c").await else { panic!("it was not refused") };
    let body = String::from_utf8_lossy(refused.body().as_deref().unwrap()).into_owned();
    assert!(refused.status() == 503 && body.contains("too_many_subscriptions"), "{body}");
    assert_eq!(server.counter("tachograph_subscriptions_refused"), 1);
    server.until("whoever is refused is no viewer", |server| server.tacho.metrics().viewers.value() == 3.0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_viewer_that_floods_is_read_slowly_and_served_on() {
    let server = Server::start(builder(Limits { messages_per_second: 10, ..Limits::default() })).await;
    let (mut sink, mut stream) = server.watch().await.unwrap().split();
    tokio::spawn(async move { while sink.send(Message::binary(vec![0; 1_000])).await.is_ok() {} });
    for _ in 0..3 {
        assert!(next(&mut stream).await.unwrap().is_binary());
    }
}

// ---- readers, series

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_beyond_those_that_may_wait_are_told_to_come_again() {
    let server = Server::start(builder(Limits::default())).await;
    let family = server.tacho.registry().counter(&Descriptor::new("many", "Many").label("place")).unwrap();
    let _held: Vec<_> = (0..1_900).map(|place| family.bind(&[("place", &place.to_string())]).unwrap()).collect();
    server.until("they are in the newest frame", |server| server.tacho.metrics().history_frames.value() > 2.0).await;
    let answers = join_all((0..300).map(|_| server.get("/api/v1/snapshot"))).await;
    let busy = answers.iter().filter(|answer| answer.starts_with("HTTP/1.1 503 ")).count();
    assert_eq!(server.counter("tachograph_readers_refused"), busy as u64);
    assert!(
        answers
            .iter()
            .filter(|answer| answer.starts_with("HTTP/1.1 503 "))
            .all(|answer| answer.contains("\"busy\"") && answer.contains("retry-after: 1"))
    );
    assert!(answers.iter().any(|answer| answer.starts_with("HTTP/1.1 200 ")));
    assert!(server.get("/api/v1/snapshot").await.starts_with("HTTP/1.1 200 "));
}

/// What is written for it is memory until it is read, or nobody waits any more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_that_is_not_read_keeps_its_place_until_it_is_let_go_of() {
    let server = Server::start(builder(Limits::default())).await;
    // More than the system takes off the server's hands.
    for family in 0..10 {
        let wide = Descriptor::new(&format!("wide_{family}"), "Wide").label("place");
        let gauges = server.tacho.registry().gauge(&wide).unwrap();
        for place in 0..500 {
            gauges.with(&[("place", &format!("{place:0>120}"))]).unwrap().set(1.0);
        }
    }
    let snapshot = async |wanted: &str| {
        for _ in 0..200 {
            let answer = server.get("/api/v1/snapshot").await;
            if answer.contains(wanted) {
                return answer;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        panic!("there is never {wanted}")
    };
    snapshot("wide_9").await;
    let mut unread = Vec::new();
    for _ in 0..64 {
        let mut socket = TcpStream::connect(server.address).await.unwrap();
        socket.write_all(b"GET /api/v1/snapshot HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
        socket.read_exact(&mut [0; 16]).await.unwrap();
        unread.push(socket);
    }
    let busy = server.get("/api/v1/snapshot").await;
    assert!(busy.starts_with("HTTP/1.1 503 ") && busy.contains("\"busy\""), "{busy}");
    drop(unread.pop());
    let answer = snapshot("HTTP/1.1 200 ").await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.contains(&format!("content-length: {}", body.len())), "{head}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn series_beyond_those_that_may_be_share_one_and_that_is_told() {
    let server = Server::start(builder(Limits::default()).registry(Registry::with_series_limit(10))).await;
    let family = server.tacho.registry().counter(&Descriptor::new("many", "Many").label("place")).unwrap();
    (0..15).for_each(|place| family.bind(&[("place", &place.to_string())]).unwrap().inc());
    server.until("it is told", |server| server.counter("tachograph_registry_overflowed_series") == 5).await;
    let page = server.get("/metrics").await;
    assert!(page.contains("many_total{place=\"__overflow__\"} 5"), "{page}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let mut listener = simulated(0.01, Fault::None);
    listener.simulated = Some(Simulated::new(SimulatedControl::default()));
    let server = Server::start(Tachograph::builder().listener(listener)).await;
    let request = "PUT /api/v1/simulated HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\n\
                   content-length: 11\r\n\r\n{\"rtf\"";
    let answer = server.ask(request).await;
    assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("\"not_whole\""), "{answer}");
}
