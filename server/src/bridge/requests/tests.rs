use std::convert::Infallible;
use std::future::pending;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::routing::{any, get};
use tachograph_core::snapshot::{HistogramSnapshot, RegistrySnapshot};
use tower::ServiceExt;

use super::*;

type Failure = Box<dyn std::error::Error>;

fn request(method: &str, path: &str) -> Request<Body> {
    Request::builder().method(method).uri(path).body(Body::empty()).unwrap()
}

fn app() -> Router {
    Router::new()
        .route("/users/{id}", get(async || "Ada").delete(async || StatusCode::NO_CONTENT))
        .route("/moved", get(async || (StatusCode::FOUND, [("location", "/")])))
        .route("/broken", any(async || StatusCode::INTERNAL_SERVER_ERROR))
        .route("/odd", any(async || StatusCode::from_u16(799).unwrap()))
        .route("/never", get(pending::<()>))
        .route("/slow", get(async || tokio::time::sleep(Duration::from_millis(20)).await))
}

async fn ask(app: &Router, method: &str, path: &str) -> StatusCode {
    app.clone().oneshot(request(method, path)).await.unwrap().status()
}

fn count(snapshot: &RegistrySnapshot, method: &str, route: &str, status: &str) -> Option<u64> {
    snapshot.counter("http_requests", &[("method", method), ("route", route), ("status", status)])
}

fn durations(snapshot: &RegistrySnapshot, method: &str, route: &str) -> u64 {
    let labels = [("method", method), ("route", route)];
    snapshot.histogram("http_request_duration_seconds", &labels).map_or(0, HistogramSnapshot::count)
}

fn errors(snapshot: &RegistrySnapshot, method: &str, route: &str) -> Option<u64> {
    snapshot.counter("http_request_errors", &[("method", method), ("route", route)])
}

/// Of all methods and routes.
fn in_flight(snapshot: &RegistrySnapshot) -> f64 {
    let family = snapshot.family("http_requests_in_flight").unwrap();
    family.series.iter().map(|series| series.value.gauge().unwrap()).sum()
}

#[tokio::test]
async fn requests_are_told_apart_by_method_route_and_status() -> Result<(), Failure> {
    let registry = Registry::new();
    let app = app().layer(RequestMetrics::new(&registry)?);
    for path in ["/users/7", "/users/8", "/moved", "/broken", "/odd", "/nowhere", "/users/7/none"] {
        ask(&app, "GET", path).await;
    }
    ask(&app, "DELETE", "/users/7").await;
    ask(&app, "POST", "/users/7").await;
    let snapshot = registry.snapshot();
    for (method, route, status, requests) in [
        ("GET", "/users/{id}", "2xx", 2),
        ("DELETE", "/users/{id}", "2xx", 1),
        ("POST", "/users/{id}", "4xx", 1),
        ("GET", "/moved", "3xx", 1),
        ("GET", "/broken", "5xx", 1),
        ("GET", "/odd", "other", 1),
        ("GET", "unmatched", "4xx", 2),
    ] {
        assert_eq!(count(&snapshot, method, route, status), Some(requests), "{method} {route} {status}");
    }
    assert_eq!(snapshot.family("http_requests").unwrap().series.len(), 7);
    assert_eq!(durations(&snapshot, "GET", "/users/{id}"), 2);
    assert_eq!((errors(&snapshot, "GET", "/broken"), errors(&snapshot, "GET", "/moved")), (Some(1), Some(0)));
    assert_eq!(in_flight(&snapshot), 0.0);
    Ok(())
}

#[tokio::test]
async fn what_clients_make_up_makes_no_series() -> Result<(), Failure> {
    let registry = Registry::new();
    let app = app().layer(RequestMetrics::new(&registry)?);
    for number in 0..50 {
        ask(&app, &format!("M{number}"), &format!("/made/up/{number}")).await;
        ask(&app, "get", &format!("/users/{number}")).await;
    }
    let snapshot = registry.snapshot();
    assert_eq!(count(&snapshot, "other", "unmatched", "4xx"), Some(50));
    assert_eq!(count(&snapshot, "other", "/users/{id}", "4xx"), Some(50));
    assert_eq!(snapshot.family("http_requests").unwrap().series.len(), 2);
    Ok(())
}

#[tokio::test]
async fn a_request_whose_answer_nobody_awaits_is_aborted() -> Result<(), Failure> {
    let registry = Registry::new();
    let app = app().layer(RequestMetrics::new(&registry)?);
    let mut answer = Box::pin(app.oneshot(request("GET", "/never")));
    assert!(futures_util::poll!(&mut answer).is_pending());
    let during = registry.snapshot();
    let labels = [("method", "GET"), ("route", "/never")];
    assert_eq!(during.gauge("http_requests_in_flight", &labels), Some(1.0));
    assert_eq!(count(&during, "GET", "/never", "aborted"), None);
    drop(answer);
    let after = registry.snapshot();
    assert_eq!(count(&after, "GET", "/never", "aborted"), Some(1));
    assert_eq!((in_flight(&after), durations(&after, "GET", "/never")), (0.0, 0));
    assert_eq!(errors(&after, "GET", "/never"), Some(0));
    Ok(())
}

#[tokio::test]
async fn a_handler_that_panics_is_aborted() -> Result<(), Failure> {
    let registry = Registry::new();
    let broken = get(async || {
        if std::hint::black_box(true) {
            panic!("a fault")
        }
    });
    let app = Router::new().route("/panics", broken).layer(RequestMetrics::new(&registry)?);
    let answer = tokio::spawn(app.oneshot(request("GET", "/panics"))).await;
    assert!(answer.is_err_and(|error| error.is_panic()));
    let snapshot = registry.snapshot();
    assert_eq!((count(&snapshot, "GET", "/panics", "aborted"), in_flight(&snapshot)), (Some(1), 0.0));
    Ok(())
}

#[tokio::test]
async fn the_time_is_that_until_the_head_in_seconds() -> Result<(), Failure> {
    let registry = Registry::new();
    let app = app().layer(RequestMetrics::new(&registry)?);
    ask(&app, "GET", "/slow").await;
    let snapshot = registry.snapshot();
    let labels = [("method", "GET"), ("route", "/slow")];
    let times = snapshot.histogram("http_request_duration_seconds", &labels).unwrap();
    assert_eq!((times.count(), times.bounds()), (1, &BOUNDS_SECONDS[..]));
    assert!((0.02..5.0).contains(&times.sum()), "{}", times.sum());
    Ok(())
}

#[tokio::test]
async fn nested_routers_have_the_whole_pattern() -> Result<(), Failure> {
    let registry = Registry::new();
    let metrics = RequestMetrics::new(&registry)?;
    let inner = Router::new().route("/orders/{id}", get(async || ""));
    let other = Router::new().route("/inside", get(async || ""));
    let app = Router::new().nest("/shop/{shop}", inner).nest_service("/service", other).layer(metrics);
    assert_eq!(ask(&app, "GET", "/shop/7/orders/8").await, StatusCode::OK);
    assert_eq!(ask(&app, "GET", "/shop/7/none").await, StatusCode::NOT_FOUND);
    assert_eq!(ask(&app, "GET", "/service/inside").await, StatusCode::OK);
    let snapshot = registry.snapshot();
    assert_eq!(count(&snapshot, "GET", "/shop/{shop}/orders/{id}", "2xx"), Some(1));
    assert_eq!(count(&snapshot, "GET", "unmatched", "2xx"), Some(1));
    assert_eq!(count(&snapshot, "GET", "unmatched", "4xx"), Some(1));
    Ok(())
}

#[tokio::test]
async fn a_layer_of_routes_leaves_the_fallback_out() -> Result<(), Failure> {
    let registry = Registry::new();
    let app = app().route_layer(RequestMetrics::new(&registry)?);
    ask(&app, "GET", "/users/7").await;
    ask(&app, "GET", "/nowhere").await;
    let snapshot = registry.snapshot();
    assert_eq!(count(&snapshot, "GET", "/users/{id}", "2xx"), Some(1));
    assert_eq!(snapshot.family("http_requests").unwrap().series.len(), 1);
    Ok(())
}

#[tokio::test]
async fn layers_and_clones_count_into_the_same_families() -> Result<(), Failure> {
    let registry = Registry::new();
    let app = Router::new().route("/a", get(async || "").layer(RequestMetrics::new(&registry)?));
    let other = Router::new().route("/a", get(async || "")).layer(RequestMetrics::new(&registry.clone())?);
    let asked = (0..8).map(|_| tokio::spawn(app.clone().oneshot(request("GET", "/a"))));
    for answer in asked.collect::<Vec<_>>() {
        answer.await??;
    }
    ask(&other, "GET", "/a").await;
    assert_eq!(count(&registry.snapshot(), "GET", "/a", "2xx"), Some(9));
    Ok(())
}

#[tokio::test]
async fn routes_beyond_the_table_are_counted_all_the_same() -> Result<(), Failure> {
    #[derive(Clone)]
    struct Pattern(String);
    let registry = Registry::with_series_limit(4_000);
    let metrics = RequestMetrics::new(&registry)?;
    let metrics = metrics.with_route(|extensions| extensions.get::<Pattern>().map(|pattern| &*pattern.0));
    let answer = async |_: Request<()>| Ok::<_, Infallible>(Response::new(()));
    let service = metrics.layer(tower::service_fn(answer));
    for number in (0..1_200).chain(0..1_200) {
        let mut request = Request::new(());
        request.extensions_mut().insert(Pattern(format!("/r{number}")));
        service.clone().oneshot(request).await?;
    }
    let snapshot = registry.snapshot();
    let series = &snapshot.family("http_requests").unwrap().series;
    assert!(series.len() == 1_200 && series.iter().all(|series| series.value.counter() == Some(2)));
    assert!(snapshot.counter("http_requests_unkept", &[]).unwrap() >= 2 * (1_200 - 1_024));
    Ok(())
}

#[tokio::test]
async fn a_service_that_gives_no_answer_failed() -> Result<(), Failure> {
    let registry = Registry::new();
    let broken = tower::service_fn(async |_: Request<()>| Err::<Response<()>, _>("no answer"));
    let service = RequestMetrics::new(&registry)?.layer(broken);
    assert_eq!(service.oneshot(Request::new(())).await.err(), Some("no answer"));
    let snapshot = registry.snapshot();
    assert_eq!(count(&snapshot, "GET", "unmatched", "failed"), Some(1));
    assert_eq!((errors(&snapshot, "GET", "unmatched"), in_flight(&snapshot)), (Some(1), 0.0));
    Ok(())
}
