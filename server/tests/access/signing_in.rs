use std::net::Ipv4Addr;

use tachograph::access::AccessConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

use super::{
    BOTH, EVIL, FEED, NAVIGATION, PATHS, SLACK, VIEW, WRONG, bearer, guarded, next, start, tokens, until_closed,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_link_is_exchanged_for_cookies_and_leaves_no_token_in_addresses() {
    let stage = start(guarded()).await;
    let answer = stage.ask(&format!("GET /sign-in?token={VIEW}"), &NAVIGATION).await;
    assert_eq!((answer.status, answer.header("location")), (303, "./"));
    assert_eq!((answer.header("referrer-policy"), answer.header("cache-control")), ("no-referrer", "no-store"));
    let set: Vec<_> = answer.all("set-cookie").collect();
    assert_eq!(set.len(), 2, "{answer:?}");
    for (cookie, same_site) in set.iter().zip(["SameSite=Strict", "SameSite=Lax"]) {
        let parts: Vec<_> = cookie.split("; ").collect();
        assert!(["Path=/", "HttpOnly", same_site].iter().all(|part| parts.contains(part)), "{cookie}");
        assert!(!cookie.contains("Domain") && !cookie.contains(VIEW) && !cookie.contains("Secure"), "{cookie}");
        assert!(cookie.starts_with("tachograph-") && cookie.contains(&stage.address.port().to_string()), "{cookie}");
    }
    assert!(!answer.head.contains(VIEW) && !answer.body.contains(VIEW));
    let cookies = format!("cookie: other=1; {}", answer.cookies().join("; "));
    for path in ["/metrics", "/api/v1/history"] {
        assert_eq!(stage.ask(&format!("GET {path}"), &[&cookies]).await.status, 200, "{path}");
    }
    let pair = answer.cookies().join("; ");
    assert!(stage.socket("/ws/stream", &[("cookie", &pair)]).await.is_ok());
    assert_eq!(stage.counted("tachograph_sign_ins", &[]), 1);
    let again = stage.ask("GET /sign-in", &[&cookies]).await;
    assert!(again.status == 200 && again.body.contains("You are signed in"), "{again:?}");
}

/// A browser sends the strict cookie only with what the server's own pages ask for; the lax one opens nothing but files
/// that are the same for everybody.
#[tokio::test(flavor = "multi_thread")]
async fn a_link_from_elsewhere_leads_to_the_page_but_its_cookie_to_no_figure() {
    let stage = start(guarded()).await;
    let cookies = stage.sign_in(VIEW).await.cookies();
    let lax = format!("cookie: {}", cookies[1]);
    let from_elsewhere = [
        &*lax,
        "accept: text/html",
        "sec-fetch-site: cross-site",
        "sec-fetch-mode: navigate",
        "sec-fetch-dest: document",
    ];
    let page = stage.ask("GET /", &from_elsewhere).await;
    assert_ne!(page.status, 401, "{page:?}");
    for path in PATHS.iter().filter(|path| !["/", "/index.html"].contains(path)) {
        assert_eq!(stage.ask(&format!("GET {path}"), &[&lax]).await.status, 401, "{path}");
    }
    assert_eq!(stage.ask("POST /", &[&lax]).await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_signed_in_gets_a_form_that_works_and_can_sign_out() {
    let stage = start(guarded()).await;
    for path in ["/", "/api/v1/snapshot", "/nothing"] {
        let form = stage.ask(&format!("GET {path}"), &NAVIGATION).await;
        assert_eq!(form.status, 401);
        let action = format!("action=\"{}sign-in\"", "../".repeat(path.matches('/').count() - 1));
        assert!(form.body.contains("<form") && form.body.contains(&action), "{form:?}");
        assert!(!form.body.contains("<script") && !form.body.contains("nothing"), "{form:?}");
        assert!(form.header("content-security-policy").contains("form-action 'self'"));
        assert!(!form.header("content-security-policy").contains("unsafe"));
        // With none at all a browser sends the form with the origin `null`.
        assert_eq!(form.header("referrer-policy"), "same-origin");
    }
    let own = format!("origin: http://{}", stage.address);
    let signed_in = stage.send(Ipv4Addr::LOCALHOST, "POST /sign-in", &[&own], &format!("token={BOTH}")).await;
    assert_eq!(signed_in.status, 303);
    let cookie = format!("cookie: {}", signed_in.cookies().join("; "));
    assert_eq!(stage.ask("GET /metrics", &[&cookie]).await.status, 200);
    let pair = signed_in.cookies().join("; ");
    let mut stream = stage.socket("/ws/stream", &[("cookie", &pair)]).await.unwrap();
    let signed_out = stage.ask("POST /sign-out", &[&cookie, &own]).await;
    assert_eq!(signed_out.status, 200);
    assert!(signed_out.all("set-cookie").all(|cookie| cookie.contains("Max-Age=0")), "{signed_out:?}");
    assert_eq!(stage.ask("GET /metrics", &[&cookie]).await.status, 401, "it is forgotten, not only deleted");
    assert_eq!(until_closed(&mut stream).await.1, 1008);
    let feeding = stage.sign_in(FEED).await;
    assert!(feeding.status == 403 && feeding.body.contains("for feeding") && feeding.cookies().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_signed_in_by_another_sites_form() {
    let stage = start(guarded()).await;
    for origin in [EVIL, "null", "https://127.0.0.1"] {
        let header = format!("origin: {origin}");
        let answer = stage.send(Ipv4Addr::LOCALHOST, "POST /sign-in", &[&header], &format!("token={VIEW}")).await;
        assert_eq!((answer.status, answer.cookies().len()), (403, 0), "{origin}");
        assert_eq!(stage.ask("POST /sign-out", &[&header]).await.status, 403, "{origin}");
    }
    assert_eq!(stage.refused("origin"), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stolen_cookie_and_what_is_open_end_with_the_token() {
    let stage = start(guarded()).await;
    let stolen = stage.sign_in(BOTH).await.cookies().join("; ");
    let kept = stage.sign_in(VIEW).await.cookies().join("; ");
    let mut stream = stage.socket("/ws/stream", &[("cookie", &stolen)]).await.unwrap();
    let mut other = stage.socket("/ws/stream", &[("cookie", &kept)]).await.unwrap();
    let header = format!("Bearer {BOTH}");
    let mut session = stage.socket("/ws/live-listener", &[("authorization", &header)]).await.unwrap();
    let mut lines = tokio::net::TcpStream::connect(stage.address).await.unwrap();
    let request = format!(
        "GET /api/v1/stream HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n{}\r\n\r\n",
        stage.address,
        bearer(BOTH)
    );
    lines.write_all(request.as_bytes()).await.unwrap();
    lines.read_u8().await.unwrap();
    stage.access.set(AccessConfig {
        view_tokens: tokens(&[VIEW]),
        feed_tokens: tokens(&[FEED]),
        ..AccessConfig::default()
    });
    assert_eq!(until_closed(&mut stream).await.1, 1008);
    let (said, code) = until_closed(&mut session).await;
    assert_eq!((said.last().unwrap()["code"].as_str(), code), (Some("unauthorized"), 1008));
    timeout(SLACK, lines.read_to_end(&mut Vec::new())).await.unwrap().unwrap();
    assert_eq!(stage.ask("GET /metrics", &[&format!("cookie: {stolen}")]).await.status, 401);
    assert_eq!(stage.ask("GET /metrics", &[&bearer(BOTH)]).await.status, 401);
    assert_eq!(stage.ask("GET /metrics", &[&format!("cookie: {kept}")]).await.status, 200);
    // What goes on by a token that is still given is not cut.
    for _ in 0..3 {
        assert!(matches!(next(&mut other).await, Message::Binary(_)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_cannot_be_tried_one_after_another_and_others_are_not_locked_out() {
    let proxy = Ipv4Addr::new(127, 0, 0, 9);
    let trusted_proxies = vec![proxy.to_string().parse().unwrap()];
    let stage = start(AccessConfig { trusted_proxies, ..guarded() }).await;
    let guess = format!("token={WRONG}");
    for shows_header in [false, true] {
        let mut statuses = Vec::new();
        for number in 2..16 {
            // All of them are this machine.
            let guesser = Ipv4Addr::new(127, 0, 0, number);
            let shown = bearer(WRONG);
            let answer = if shows_header {
                stage.send(guesser, "GET /metrics", &[&shown], "").await
            } else {
                stage.send(guesser, "POST /sign-in", &[], &guess).await
            };
            statuses.push(answer.status);
        }
        assert_eq!(statuses[..10], [401; 10]);
        assert!(statuses[10..].contains(&429), "{statuses:?}");
    }
    let guesser = Ipv4Addr::new(127, 0, 0, 2);
    let limited = stage.send(guesser, "GET /metrics", &[&bearer(VIEW)], "").await;
    // One more was looked at if the machine took 6 s for all of this.
    if limited.status == 429 {
        let wait: u64 = limited.header("retry-after").parse().unwrap();
        assert!((1..=7).contains(&wait), "{wait}");
    }
    let other = "x-forwarded-for: 203.0.113.6";
    let answer = stage.send(proxy, "GET /metrics", &[other, &bearer(VIEW)], "").await;
    assert_eq!(answer.status, 200, "another address");
    let cookies = stage.send(proxy, "POST /sign-in", &[other], &format!("token={VIEW}")).await.cookies().join("; ");
    let cookies = format!("cookie: {cookies}");
    assert_eq!(stage.send(guesser, "GET /metrics", &[&cookies], "").await.status, 200, "who is signed in already");
    assert!(stage.counted("tachograph_sign_ins_failed", &[]) >= 10);
    assert!(stage.counted("tachograph_sign_ins_limited", &[]) >= 1 && stage.refused("limited") >= 1);
}

/// A page can have its visitor's browser follow links with wrong tokens, one after another.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_shows_wrong_tokens_locks_out_no_program_beside_the_browser() {
    let stage = start(guarded()).await;
    let link = ["sec-fetch-site: cross-site", "sec-fetch-mode: navigate", "sec-fetch-dest: document"];
    let sign_in = format!("GET /sign-in?token={WRONG}");
    let listener = format!("GET /ws/live-listener?token={WRONG}");
    let mut statuses = Vec::new();
    for _ in 0..12 {
        statuses.push(stage.ask(&sign_in, &link).await.status);
        assert_eq!(stage.ask(&listener, &link).await.status, 401, "no handshake, no token");
    }
    assert!(stage.counted("tachograph_sign_ins_limited", &[]) > 0 && statuses.iter().all(|status| *status == 303));
    assert_eq!(stage.ask("GET /metrics", &[&bearer(VIEW)]).await.status, 200);
    assert!(stage.socket(&format!("/ws/live-listener?token={FEED}"), &[]).await.is_ok());
}

/// It may be one for something else, or be looked at later.
#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_is_refused_leaves_no_token_in_the_address_either() {
    let stage = start(guarded()).await;
    let link = async |token: &str| stage.ask(&format!("GET /sign-in?token={token}"), &NAVIGATION).await;
    for (token, place, said) in [
        (FEED, "sign-in?refused=wrong_role", "for feeding sessions"),
        (WRONG, "sign-in?refused=wrong_token", "does not know"),
    ] {
        let answer = link(token).await;
        assert_eq!((answer.status, answer.header("location")), (303, place));
        assert_eq!((answer.header("referrer-policy"), answer.cookies().len()), ("no-referrer", 0));
        let form = stage.ask(&format!("GET /{place}"), &NAVIGATION).await;
        assert!(form.status == 200 && form.body.contains(said) && form.body.contains("name=\"token\""), "{form:?}");
    }
    for _ in 0..12 {
        link(WRONG).await;
    }
    assert_eq!(link(VIEW).await.header("location"), "sign-in?refused=limited");
    let forged = stage.ask("GET /sign-in?refused=%3Cb%3E", &NAVIGATION).await;
    assert!(!forged.body.contains("<b>") && !forged.body.contains("role=\"alert\""), "{forged:?}");
}

/// Also where the link's token is right: its sign-in would take the place of the one that there is.
#[tokio::test(flavor = "multi_thread")]
async fn another_sites_link_ends_no_sign_in() {
    let stage = start(guarded()).await;
    let cookies = stage.sign_in(VIEW).await.cookies();
    let pair = cookies.join("; ");
    let mut stream = stage.socket("/ws/stream", &[("cookie", &pair)]).await.unwrap();
    let lax = format!("cookie: {}", cookies[1]);
    let link = [&*lax, "sec-fetch-site: cross-site", "sec-fetch-mode: navigate", "sec-fetch-dest: document"];
    for headers in [&link[..], &link[..1]] {
        let answer = stage.ask(&format!("GET /sign-in?token={BOTH}"), headers).await;
        assert_eq!((answer.status, answer.header("location"), answer.cookies().len()), (303, "./", 0), "{answer:?}");
    }
    assert_eq!(stage.ask("GET /metrics", &[&format!("cookie: {pair}")]).await.status, 200);
    for _ in 0..2 {
        assert!(matches!(next(&mut stream).await, Message::Binary(_)));
    }
    // Who opens a link himself means it.
    let own = [&*lax, "sec-fetch-site: none", "sec-fetch-mode: navigate", "sec-fetch-dest: document"];
    assert_eq!(stage.ask(&format!("GET /sign-in?token={BOTH}"), &own).await.cookies().len(), 2);
    assert_eq!(until_closed(&mut stream).await.1, 1008);
}

/// Nor do the streams of those that are signed out go on.
#[tokio::test(flavor = "multi_thread")]
async fn who_signs_in_without_end_signs_out_only_those_of_his_own_token() {
    let stage = start(guarded()).await;
    let kept = stage.sign_in(VIEW).await.cookies().join("; ");
    let gone = stage.sign_in(BOTH).await.cookies().join("; ");
    let mut kept_stream = stage.socket("/ws/stream", &[("cookie", &kept)]).await.unwrap();
    let mut gone_stream = stage.socket("/ws/stream", &[("cookie", &gone)]).await.unwrap();
    for _ in 0..1_024 {
        assert_eq!(stage.sign_in(BOTH).await.status, 303);
    }
    assert_eq!(until_closed(&mut gone_stream).await.1, 1008);
    assert_eq!(stage.ask("GET /metrics", &[&format!("cookie: {gone}")]).await.status, 401);
    assert_eq!(stage.ask("GET /metrics", &[&format!("cookie: {kept}")]).await.status, 200);
    assert!(matches!(next(&mut kept_stream).await, Message::Binary(_)));
}

/// Such as one that runs beside it, below a path of its own.
#[tokio::test(flavor = "multi_thread")]
async fn cookies_of_another_server_of_the_host_lock_nobody_out() {
    let stage = start(guarded()).await;
    let own = stage.sign_in(VIEW).await.cookies();
    let (name, _) = own[0].split_once('=').unwrap();
    let others: Vec<_> = (0..20).map(|number| format!("{name}=another-{number}")).collect();
    let cookies = format!("cookie: {}; {}", others.join("; "), own.join("; "));
    assert_eq!(stage.ask("GET /metrics", &[&cookies]).await.status, 200);
}
