use std::net::{IpAddr, Ipv4Addr};

use axum::Router;
use tachograph::access::{Access, AccessConfig};
use tachograph::listener::Listener;
use tachograph::provider::{Providers, Simulated, SimulatedControl};
use tachograph::{Tachograph, router};
use tokio::net::TcpListener;

use super::{BOTH, EVIL, Stage, VIEW, WRONG, bearer, guarded, start, start_at};

/// On this machine all is open, except to what a browser does for another's page.
#[tokio::test(flavor = "multi_thread")]
async fn another_sites_page_can_open_no_socket_and_read_or_change_nothing() {
    let stage = start(AccessConfig::default()).await;
    let own = format!("http://{}", stage.address);
    let cross = format!("http://{}:1", stage.address.ip());
    for origin in [EVIL, "null", &cross, &own.replace("http", "https:").replace("::", ":8")] {
        for path in ["/ws/stream", "/ws/live-listener"] {
            assert_eq!(stage.socket(path, &[("origin", origin)]).await.map(|_| ()), Err(403), "{origin} {path}");
        }
        let header = format!("origin: {origin}");
        for request in ["GET /metrics", "GET /api/v1/snapshot", "PUT /api/v1/simulated", "OPTIONS /api/v1/simulated"] {
            let answer = stage.ask(request, &[&header]).await;
            assert_eq!((answer.status, answer.code().as_str()), (403, "origin_not_allowed"), "{origin} {request}");
            assert_eq!(answer.all("access-control-allow-origin").count(), 0);
        }
    }
    for site in ["cross-site", "same-site"] {
        let image = [&*format!("sec-fetch-site: {site}"), "sec-fetch-mode: no-cors", "sec-fetch-dest: image"];
        assert_eq!(stage.ask("GET /metrics", &image).await.status, 403);
        let frame = [image[0], "sec-fetch-mode: navigate", "sec-fetch-dest: iframe"];
        assert_eq!(stage.ask("GET /", &frame).await.status, 403);
        let link = [image[0], "sec-fetch-mode: navigate", "sec-fetch-dest: document"];
        assert_ne!(stage.ask("GET /", &link).await.status, 403, "a person may follow a link");
    }
    assert!(stage.socket("/ws/stream", &[("origin", &own)]).await.is_ok());
    let allowed = AccessConfig { allowed_origins: vec![EVIL.parse().unwrap()], ..AccessConfig::default() };
    stage.access.set(allowed);
    assert!(stage.socket("/ws/stream", &[("origin", EVIL)]).await.is_ok(), "it is allowed now");
}

/// The application's cookies would let such a page in.
#[tokio::test(flavor = "multi_thread")]
async fn another_sites_page_can_open_no_socket_within_an_application_either() {
    async fn started(builder: tachograph::Builder) -> Stage {
        let simulated = Simulated::new(SimulatedControl::default());
        let mut listener = Listener::new(Providers::only(simulated.clone()));
        listener.simulated = Some(simulated);
        let tacho = builder.listener(listener).build().unwrap();
        let app: Router = Router::new().nest("/tacho", router(&tacho));
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(socket, app).await });
        Stage { address, access: Access::default(), tacho }
    }
    let stage = started(Tachograph::builder()).await;
    let own = format!("http://{}", stage.address);
    for path in ["/tacho/ws/stream", "/tacho/ws/live-listener"] {
        assert_eq!(stage.socket(path, &[("origin", EVIL)]).await.map(|_| ()), Err(403), "{path}");
        assert!(stage.socket(path, &[("origin", &own)]).await.is_ok(), "{path}");
        assert!(stage.socket(path, &[]).await.is_ok(), "{path}");
    }
    let evil = format!("origin: {EVIL}");
    assert_eq!(stage.ask("PUT /tacho/api/v1/simulated", &[&evil]).await.status, 403);
    assert_eq!(stage.ask("GET /tacho/metrics", &[&evil]).await.status, 200, "who may look, the application decides");
    assert_eq!(stage.refused("origin"), 3);
    let stage = started(Tachograph::builder().allowed_origin(EVIL.parse().unwrap())).await;
    assert!(stage.socket("/tacho/ws/stream", &[("origin", EVIL)]).await.is_ok());

    // A rebound name makes the attacker's page one of the application's own origin, where it says no names of its own.
    let rebound = ["host: evil.example", "origin: http://evil.example", "sec-fetch-site: same-origin"];
    assert_eq!(stage.ask("GET /tacho/metrics", &rebound).await.status, 200);
    let stage = started(Tachograph::builder().allowed_host("shop.example:443".parse().unwrap())).await;
    for request in ["GET /tacho/metrics", "GET /tacho", "PUT /tacho/api/v1/simulated"] {
        let answer = stage.ask(request, &rebound).await;
        assert_eq!((answer.status, answer.code().as_str()), (403, "host_not_allowed"), "{request}");
    }
    assert_eq!(stage.ask("GET /tacho/healthz", &["host: 10.1.2.3:3000"]).await.status, 200, "a probe knows no names");
    for host in ["host: shop.example", "host: localhost:7117"] {
        assert_eq!(stage.ask("GET /tacho/metrics", &[host]).await.status, 200, "{host}");
    }
}

/// A name of an attacker's that leads to this machine makes his page one of the server's own origin.
#[tokio::test(flavor = "multi_thread")]
async fn a_rebound_name_gets_nothing() {
    for config in [AccessConfig::default(), guarded()] {
        let stage = start(config).await;
        let port = stage.address.port();
        let shown = bearer(BOTH);
        for host in [format!("evil.example:{port}"), format!("127.0.0.1.evil.example:{port}"), "localhost.evil".into()]
        {
            let headers = [&*format!("host: {host}"), &*format!("origin: http://{host}"), &shown];
            let answer = stage.ask("GET /metrics", &headers).await;
            assert_eq!((answer.status, answer.code().as_str()), (403, "host_not_allowed"), "{host}");
        }
        let forged =
            [&*format!("host: evil.example:{port}"), "x-forwarded-host: localhost", "forwarded: host=localhost"];
        assert_eq!(stage.ask("GET /metrics", &forged).await.status, 403);
        let two = [&*format!("host: localhost:{port}"), "host: evil.example", &shown];
        assert_eq!(stage.ask("GET /metrics", &two).await.status, 403);
        assert_eq!(stage.ask("GET http://evil.example/metrics", &[&shown]).await.status, 403);
        for host in [format!("localhost:{port}"), format!("127.0.0.1:{port}"), format!("[::1]:{port}")] {
            let answer = stage.ask("GET /metrics", &[&format!("host: {host}"), &shown]).await;
            assert_eq!(answer.status, 200, "{host}");
        }
        assert_eq!(stage.refused("host"), 6);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn beyond_this_machine_any_name_leads_to_it_until_some_are_given() {
    let stage = start_at(guarded(), Ipv4Addr::UNSPECIFIED).await;
    let asked = async |host: &str| stage.ask("GET /metrics", &[&format!("host: {host}"), &bearer(VIEW)]).await.status;
    assert_eq!(asked("any.example").await, 200);
    stage.access.set(AccessConfig { allowed_hosts: vec!["tacho.example".parse().unwrap()], ..guarded() });
    assert_eq!((asked("any.example").await, asked("tacho.example:7117").await), (403, 200));
    assert_eq!(asked("localhost").await, 200);
}

/// Without a token nobody is asked for one: there is only this machine.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_token_what_is_beyond_this_machine_gets_nothing() {
    let stage = start_at(AccessConfig::default(), Ipv4Addr::UNSPECIFIED).await;
    assert_eq!(stage.ask("GET /metrics", &[]).await.status, 200);
    // An address of this machine's that is not loopback is as good as another machine's.
    let probe = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
    let own = probe.connect("192.0.2.1:9").and_then(|()| probe.local_addr()).map(|address| address.ip());
    if let Ok(IpAddr::V4(own)) = own
        && !own.is_loopback()
    {
        let stage = Stage { address: (own, stage.address.port()).into(), ..stage };
        let host = format!("host: localhost:{}", stage.address.port());
        let answer = stage.send(own, "GET /metrics", &[&host], "").await;
        assert_eq!((answer.status, answer.code().as_str()), (401, "unauthorized"));
    }
}

/// Nobody becomes somebody else by a header.
#[tokio::test(flavor = "multi_thread")]
async fn only_a_trusted_proxy_says_where_a_request_comes_from() {
    let stage = start(AccessConfig::default()).await;
    for forwarded in [
        "x-forwarded-for: 192.0.2.1",
        "forwarded: for=192.0.2.1",
        "via: 1.1 proxy",
        "x-forwarded-proto: http",
        "x-real-ip: 192.0.2.1",
    ] {
        let answer = stage.ask("GET /metrics", &[forwarded]).await;
        assert_eq!(
            answer.status, 401,
            "a proxy on this machine does not make its clients of this machine: {forwarded}"
        );
    }
    let proxy: Ipv4Addr = [127, 0, 0, 9].into();
    stage
        .access
        .set(AccessConfig { trusted_proxies: vec![IpAddr::from(proxy).to_string().parse().unwrap()], ..guarded() });
    // A guesser that writes another address each time stays one.
    let mut statuses = Vec::new();
    for number in 0..12 {
        let forged = format!("x-forwarded-for: 198.51.100.{number}");
        statuses.push(stage.send([127, 0, 0, 2].into(), "GET /metrics", &[&forged, &bearer(WRONG)], "").await.status);
    }
    assert!(statuses.contains(&429), "{statuses:?}");
    let mut statuses = Vec::new();
    for number in 0..12 {
        let appended = format!("x-forwarded-for: 198.51.100.{number}, 203.0.113.5");
        statuses.push(stage.send(proxy, "GET /metrics", &[&appended, &bearer(WRONG)], "").await.status);
    }
    assert!(statuses.contains(&429), "{statuses:?}");
    let other = stage.send(proxy, "GET /metrics", &["x-forwarded-for: 203.0.113.6", &bearer(VIEW)], "").await;
    assert_eq!(other.status, 200, "the proxy's other clients are not locked out");
    // What the proxy received encrypted makes cookies that are never sent otherwise.
    let link = format!("GET /sign-in?token={VIEW}");
    let encrypted = ["x-forwarded-for: 203.0.113.6", "x-forwarded-proto: https", "x-forwarded-host: localhost"];
    let cookies = stage.send(proxy, &link, &encrypted, "").await;
    assert!(cookies.all("set-cookie").all(|cookie| cookie.starts_with("__Host-") && cookie.contains("; Secure")));
    assert_eq!((cookies.cookies().len(), cookies.header("strict-transport-security")), (2, ""));
}

/// Neither by headers that contradict each other nor by one that cannot be read.
#[tokio::test(flavor = "multi_thread")]
async fn no_client_of_a_proxy_has_its_wrong_tokens_counted_as_the_proxys_own() {
    let proxy = Ipv4Addr::new(127, 0, 0, 9);
    let trusted_proxies = vec![proxy.to_string().parse().unwrap()];
    let stage = start(AccessConfig { trusted_proxies, ..guarded() }).await;
    for number in 0..12 {
        let contradicting = format!("forwarded: for=198.51.100.{number}");
        let headers = [&*contradicting, "x-forwarded-for: 203.0.113.7", &bearer(WRONG)];
        let answer = stage.send(proxy, "GET /metrics", &headers, "").await;
        assert_eq!((answer.status, answer.code().as_str()), (400, "forwarded_contradicts"));
    }
    let mut statuses = Vec::new();
    for _ in 0..12 {
        let unreadable = "x-forwarded-for: caf\u{e9}, 203.0.113.7";
        statuses.push(stage.send(proxy, "GET /metrics", &[unreadable, &bearer(WRONG)], "").await.status);
    }
    assert!(statuses.contains(&429), "{statuses:?}");
    assert_eq!(stage.send(proxy, "GET /metrics", &[&bearer(VIEW)], "").await.status, 200, "the proxy itself");
}
