//! A Tachograph within an application.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use axum::routing::get;
use serde_json::Value;
use tachograph::Tachograph;
use tachograph::registry::Descriptor;
use tower::ServiceExt;

async fn ask(router: &Router, path: &str) -> (StatusCode, String, Response<()>) {
    let request = Request::get(path).body(Body::empty()).unwrap();
    let (head, body) = router.clone().oneshot(request).await.unwrap().into_parts();
    let text = String::from_utf8_lossy(&to_bytes(body, usize::MAX).await.unwrap()).into_owned();
    (head.status, text, Response::from_parts(head, ()))
}

#[derive(Clone)]
struct Shop(&'static str);

async fn hello(State(shop): State<Shop>) -> &'static str {
    shop.0
}

#[tokio::test]
async fn it_is_nested_at_any_path_of_a_router_with_any_state() {
    let tacho = Tachograph::new().unwrap();
    tacho.registry().counter(&Descriptor::new("orders", "Orders")).unwrap().bind(&[]).unwrap().add(3);
    for prefix in ["/tacho", "/deep/er/down", "/with/slash/"] {
        let router: Router<Shop> = Router::new().route("/", get(hello)).nest(prefix, tachograph::router(&tacho));
        let router = router.fallback(async || (StatusCode::IM_A_TEAPOT, "the shop's own")).with_state(Shop("open"));
        let below = prefix.trim_end_matches('/');
        assert_eq!(ask(&router, "/").await.1, "open");
        let (status, page, _) = ask(&router, &format!("{below}/metrics")).await;
        assert!(status.is_success() && page.contains("orders_total 3"), "{page}");
        assert_eq!(ask(&router, &format!("{below}/readyz")).await.1, "ready");
        let snapshot: Value = serde_json::from_str(&ask(&router, &format!("{below}/api/v1/snapshot")).await.1).unwrap();
        assert!(snapshot.to_string().contains("orders"));
        assert_eq!(ask(&router, &format!("{below}/nothing")).await.0, StatusCode::IM_A_TEAPOT);
    }
}

#[tokio::test]
async fn it_is_merged_beside_routes_and_a_fallback_of_the_applications_own() {
    let tacho = Tachograph::new().unwrap();
    let router = Router::new().route("/{item}", get(async || "item")).fallback(async || "fallback");
    let router: Router = router.merge(tachograph::router(&tacho));
    assert_eq!(ask(&router, "/shoe").await.1, "item");
    assert_eq!(ask(&router, "/a/b/c").await.1, "fallback");
    assert_eq!(ask(&router, "/healthz").await.1, "ok");
}

#[cfg(feature = "ui")]
#[tokio::test]
async fn below_a_path_without_a_slash_the_page_is_looked_at_where_it_finds_its_files() {
    let tacho = Tachograph::new().unwrap();
    let router: Router = Router::new().nest("/deep/tacho", tachograph::router(&tacho));
    let (status, text, head) = ask(&router, "/deep/tacho").await;
    if status == StatusCode::SERVICE_UNAVAILABLE {
        assert!(text.contains("make build"), "{text}");
        return;
    }
    assert_eq!(
        (status, head.headers()[header::LOCATION].to_str().unwrap()),
        (StatusCode::TEMPORARY_REDIRECT, "./tacho/index.html")
    );
    let (status, page, _) = ask(&router, "/deep/tacho/index.html").await;
    assert!(status.is_success() && page.contains("<html"), "{page}");
    let start = page.find("href=\"./").unwrap_or_else(|| panic!("{page}")) + "href=\"./".len();
    let file = page[start..].split('"').next().unwrap();
    assert!(ask(&router, &format!("/deep/tacho/{file}")).await.0.is_success(), "{file}");
}

/// What stands in the path may be a client's, and look like an address elsewhere.
#[cfg(feature = "ui")]
#[tokio::test]
async fn nobody_is_sent_elsewhere_by_what_stands_in_the_path() {
    let tacho = Tachograph::new().unwrap();
    let router: Router = Router::new().nest("/{shop}", tachograph::router(&tacho));
    let (status, _, head) = ask(&router, "/https:elsewhere.example").await;
    if status != StatusCode::SERVICE_UNAVAILABLE {
        assert_eq!(head.headers()[header::LOCATION].to_str().unwrap(), "./https:elsewhere.example/index.html");
    }
}

#[tokio::test]
async fn the_applications_own_layers_hold_for_all_of_it() {
    async fn only_with_a_key(request: Request, next: Next) -> Result<Response, StatusCode> {
        let has_key = request.headers().contains_key("key");
        if has_key { Ok(next.run(request).await) } else { Err(StatusCode::UNAUTHORIZED) }
    }
    let tacho = Tachograph::new().unwrap();
    let guarded = tachograph::router(&tacho).layer(from_fn(only_with_a_key));
    let router: Router = Router::new().nest("/tacho", guarded);
    for path in ["", "/metrics", "/api/v1/snapshot", "/api/v1/history", "/api/v1/recording", "/ws/stream"] {
        assert_eq!(ask(&router, &format!("/tacho{path}")).await.0, StatusCode::UNAUTHORIZED, "{path}");
    }
    let request = Request::get("/tacho/healthz").header("key", "1").body(Body::empty()).unwrap();
    assert!(router.oneshot(request).await.unwrap().status().is_success());
}

#[tokio::test]
async fn several_in_one_process_share_nothing() {
    let (one, other) = (Tachograph::new().unwrap(), Tachograph::new().unwrap());
    one.registry().counter(&Descriptor::new("orders", "Orders")).unwrap().bind(&[]).unwrap().inc();
    let router: Router =
        Router::new().nest("/one", tachograph::router(&one)).nest("/other", tachograph::router(&other));
    assert!(ask(&router, "/one/metrics").await.1.contains("orders_total 1"));
    assert!(!ask(&router, "/other/metrics").await.1.contains("orders"));
    let _session = one.session("call").open().unwrap();
    assert_eq!(one.metrics().defaults.active_sessions.value(), 1.0);
    assert_eq!(other.metrics().defaults.active_sessions.value(), 0.0);
}

#[test]
fn one_that_was_made_outside_of_a_runtime_ticks_from_its_first_request_and_again_in_another_runtime() {
    let tacho = Tachograph::new().unwrap();
    let router: Router = Router::new().nest("/tacho", tachograph::router(&tacho));
    for _ in 0..2 {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let ticks = runtime.block_on(async {
            let tick = async || {
                let text = ask(&router, "/tacho/api/v1/snapshot").await.1;
                serde_json::from_str::<Value>(&text).unwrap()["tick"].as_u64().unwrap()
            };
            let before = tick().await;
            tokio::time::sleep(Duration::from_millis(2_200)).await;
            (before, tick().await)
        });
        assert!(ticks.1 > ticks.0, "{ticks:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn it_ends_with_its_last_holder() {
    let ticked = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
    let counted = std::sync::Arc::clone(&ticked);
    let hook = move |_| {
        counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    };
    let tacho = Tachograph::builder().on_tick(hook).build().unwrap();
    let router: Router = tachograph::router(&tacho);
    drop(tacho);
    tokio::time::sleep(Duration::from_millis(3_500)).await;
    let ticks = || ticked.load(std::sync::atomic::Ordering::Relaxed);
    assert_eq!(ticks(), 4, "the first frame, and three ticks");
    drop(router);
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!((ticks(), std::sync::Arc::strong_count(&ticked)), (4, 1));
}

#[tokio::test]
async fn a_registry_of_the_applications_own_is_used_unless_names_collide() {
    let registry = tachograph::registry::Registry::new();
    registry.counter(&Descriptor::new("orders", "Orders")).unwrap();
    let tacho = Tachograph::builder().registry(registry.clone()).build().unwrap();
    let viewers = registry.snapshot().gauge("tachograph_viewers", &[]);
    assert_eq!(viewers, tacho.registry().snapshot().gauge("tachograph_viewers", &[]));
    assert!(viewers.is_some());
    let taken = tachograph::registry::Registry::new();
    taken.counter(&Descriptor::new("tachograph_viewers", "Mine")).unwrap();
    assert!(Tachograph::builder().registry(taken).build().is_err());
}
