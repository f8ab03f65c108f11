//! HTTP requests, counted and timed by middleware.

use std::hash::{BuildHasher, RandomState};
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Instant;

use axum::extract::MatchedPath;
use axum::http::{Extensions, Method, Request, Response, StatusCode};
use pin_project_lite::pin_project;
use tachograph_core::instrument::{Counter, Gauge, Histogram};
use tachograph_core::registry::{
    CounterFamily, Descriptor, GaugeFamily, HistogramFamily, LabelError, RegisterError, Registry,
};
use tower_layer::Layer;
use tower_service::Service;

use super::table::Table;

/// Methods that are values of `method`, the frequent ones first; any other is `other`.
const METHODS: [&str; 9] = ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "CONNECT", "TRACE"];
/// The values of `status`, by [`Outcome`].
const OUTCOMES: [&str; 8] = ["other", "1xx", "2xx", "3xx", "4xx", "5xx", "failed", "aborted"];
/// Methods and routes whose handles are kept.
const ROUTES_MAX: usize = 1_024;
/// Upper bounds of times, in seconds: Prometheus' own for latencies, and two below.
const BOUNDS_SECONDS: [f64; 13] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Counts and times HTTP requests: a layer for an axum router, or for another tower service of HTTP. Clones count
/// into the same families.
///
/// | family | kind | labels | what |
/// | --- | --- | --- | --- |
/// | `http_requests` | counter | `method`, `route`, `status` | requests that are over |
/// | `http_request_errors` | counter | `method`, `route` | those answered with 5xx, or not at all |
/// | `http_request_duration_seconds` | histogram | `method`, `route` | from the request to the answer's head |
/// | `http_requests_in_flight` | gauge | `method`, `route` | begun and not over |
///
/// - `method` is one of the nine of HTTP, or `other`.
/// - `route` is the pattern that axum matched, such as `/users/{id}`, never the path itself: what a client sends
///   makes no series. Without a pattern it is `unmatched`, as for a fallback and behind `nest_service`.
/// - `status` is `1xx` to `5xx` (`other` beyond these), `failed` if the service gave an error instead of an answer, and
///   `aborted` if the future of the answer was dropped before, as when the client goes away or the handler panics.
/// - A request is over with the head of its answer: a body that is streamed, or a WebSocket, takes no part in it.
///   Aborted and failed ones have no duration.
///
/// A request costs two readings of the clock and four updates by handles that are bound once for each method and
/// route, without an allocation but for the first time in an octave; `make bench` holds it to a microsecond. Of 1,024
/// methods and routes the handles are kept; `http_requests_unkept` counts the requests beyond, which bind theirs anew.
///
/// ```
/// use axum::Router;
/// use axum::body::Body;
/// use axum::http::Request;
/// use axum::routing::get;
/// use tachograph::bridge::RequestMetrics;
/// use tachograph::registry::Registry;
/// use tower::ServiceExt;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let registry = Registry::new();
/// let app = Router::new().route("/users/{id}", get(async || "Ada")).layer(RequestMetrics::new(&registry)?);
/// app.oneshot(Request::get("/users/7").body(Body::empty())?).await?;
/// let labels = [("method", "GET"), ("route", "/users/{id}"), ("status", "2xx")];
/// assert_eq!(registry.snapshot().counter("http_requests", &labels), Some(1));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct RequestMetrics {
    shared: Arc<Shared>,
    route_of: RouteOf,
}

/// How a request's extensions tell its route.
type RouteOf = fn(&Extensions) -> Option<&str>;

#[derive(Debug)]
struct Shared {
    requests: CounterFamily,
    errors: CounterFamily,
    durations: HistogramFamily,
    in_flight: GaugeFamily,
    unkept: Counter,
    /// By method and route.
    routes: Table<(&'static str, Box<str>), Arc<Route>>,
    hasher: RandomState,
}

/// What the requests of one method and route count by.
#[derive(Debug)]
struct Route {
    requests: CounterFamily,
    method: &'static str,
    route: Box<str>,
    /// Each bound when there is such a request first.
    outcomes: [OnceLock<Option<Counter>>; OUTCOMES.len()],
    errors: Counter,
    durations: Histogram,
    in_flight: Gauge,
}

/// How a request ended: a place in [`OUTCOMES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Outcome(usize);

impl Outcome {
    const SERVER_ERROR: Self = Self(5);
    const FAILED: Self = Self(6);
    const ABORTED: Self = Self(7);

    fn of(status: StatusCode) -> Self {
        let class = usize::from(status.as_u16() / 100);
        Self(if class <= Self::SERVER_ERROR.0 { class } else { 0 })
    }

    fn is_error(self) -> bool {
        matches!(self, Self::SERVER_ERROR | Self::FAILED)
    }
}

impl RequestMetrics {
    /// A layer that counts into `registry`.
    ///
    /// # Errors
    /// One of the names is taken by another description.
    pub fn new(registry: &Registry) -> Result<Self, RegisterError> {
        let of_route = |name, help| Descriptor::new(name, help).label("method").label("route");
        let unkept = Descriptor::new("http_requests_unkept", "Requests whose handles there was no room to keep");
        let duration = of_route("http_request_duration_seconds", "From the request to the head of the answer");
        let shared = Shared {
            requests: registry.counter(&of_route("http_requests", "Requests that are over").label("status"))?,
            errors: registry
                .counter(&of_route("http_request_errors", "Requests answered with 5xx, or with an error instead"))?,
            durations: registry.histogram(&duration.unit("s").bounds(&BOUNDS_SECONDS))?,
            in_flight: registry.gauge(&of_route("http_requests_in_flight", "Requests begun and not over"))?,
            unkept: registry.counter(&unkept)?.unlabelled()?,
            routes: Table::new(ROUTES_MAX),
            hasher: RandomState::new(),
        };
        Ok(Self { shared: Arc::new(shared), route_of: matched_path })
    }

    /// The same, with the route from elsewhere than axum's router: for other services of tower. What it gives must be
    /// of a few values, such as patterns.
    ///
    /// ```
    /// use tachograph::bridge::RequestMetrics;
    /// use tachograph::registry::Registry;
    ///
    /// #[derive(Clone)]
    /// struct Operation(&'static str);
    ///
    /// let layer = RequestMetrics::new(&Registry::new())?
    ///     .with_route(|extensions| extensions.get::<Operation>().map(|operation| operation.0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn with_route(mut self, route_of: fn(&Extensions) -> Option<&str>) -> Self {
        self.route_of = route_of;
        self
    }

    /// None only if a label were missing.
    fn begin<B>(&self, request: &Request<B>) -> Option<Running> {
        let route = (self.route_of)(request.extensions()).unwrap_or("unmatched");
        self.shared.route(request.method(), route).map(Running::begin)
    }
}

fn matched_path(extensions: &Extensions) -> Option<&str> {
    extensions.get::<MatchedPath>().map(MatchedPath::as_str)
}

impl Shared {
    fn route(&self, method: &Method, route: &str) -> Option<Arc<Route>> {
        let method = METHODS.iter().find(|known| **known == method.as_str()).copied().unwrap_or("other");
        let hash = self.hasher.hash_one((method, route));
        match self.routes.find(hash, |held| held.0 == method && *held.1 == *route) {
            Some(route) => Some(Arc::clone(route)),
            None => self.make(hash, method, route),
        }
    }

    #[cold]
    fn make(&self, hash: u64, method: &'static str, route: &str) -> Option<Arc<Route>> {
        let made = Arc::new(self.bind(method, route).ok()?);
        let is_it = |held: &(&str, Box<str>)| held.0 == method && *held.1 == *route;
        let kept = self.routes.keep(hash, (method, route.into()), Arc::clone(&made), is_it).cloned();
        if kept.is_none() {
            self.unkept.inc();
        }
        Some(kept.unwrap_or(made))
    }

    fn bind(&self, method: &'static str, route: &str) -> Result<Route, LabelError> {
        let labels = &[("method", method), ("route", route)];
        Ok(Route {
            requests: self.requests.clone(),
            method,
            route: route.into(),
            outcomes: Default::default(),
            errors: self.errors.bind(labels)?,
            durations: self.durations.bind(labels)?,
            in_flight: self.in_flight.bind(labels)?,
        })
    }
}

impl Route {
    fn count(&self, outcome: Outcome) {
        if let Some(requests) =
            self.outcomes.get(outcome.0).and_then(|held| held.get_or_init(|| self.bind(outcome)).as_ref())
        {
            requests.inc();
        }
        if outcome.is_error() {
            self.errors.inc();
        }
    }

    #[cold]
    fn bind(&self, outcome: Outcome) -> Option<Counter> {
        let status = OUTCOMES.get(outcome.0)?;
        self.requests.bind(&[("method", self.method), ("route", &self.route), ("status", status)]).ok()
    }
}

/// A request that is not over; dropped before its end it was aborted.
#[derive(Debug)]
struct Running {
    route: Arc<Route>,
    begun: Instant,
    outcome: Outcome,
}

impl Running {
    fn begin(route: Arc<Route>) -> Self {
        route.in_flight.add(1.0);
        Self { route, begun: Instant::now(), outcome: Outcome::ABORTED }
    }

    fn answered(mut self, status: StatusCode) {
        self.route.durations.record(self.begun.elapsed().as_secs_f64());
        self.outcome = Outcome::of(status);
    }

    fn failed(mut self) {
        self.outcome = Outcome::FAILED;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.route.in_flight.add(-1.0);
        self.route.count(self.outcome);
    }
}

impl<S> Layer<S> for RequestMetrics {
    type Service = RequestService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        RequestService { inner, metrics: self.clone() }
    }
}

/// A service whose requests are counted; made by [`RequestMetrics`].
///
/// ```
/// use axum::body::Body;
/// use axum::http::{Request, Response};
/// use tachograph::bridge::RequestMetrics;
/// use tachograph::registry::Registry;
/// use tower::{Layer, ServiceExt, service_fn};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let registry = Registry::new();
/// let hello = service_fn(async |_: Request<Body>| Ok::<_, std::io::Error>(Response::new(Body::from("hello"))));
/// let service = RequestMetrics::new(&registry)?.layer(hello);
/// service.oneshot(Request::new(Body::empty())).await?;
/// let labels = [("method", "GET"), ("route", "unmatched"), ("status", "2xx")];
/// assert_eq!(registry.snapshot().counter("http_requests", &labels), Some(1));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct RequestService<S> {
    inner: S,
    metrics: RequestMetrics,
}

impl<S, B, R> Service<Request<B>> for RequestService<S>
where
    S: Service<Request<B>, Response = Response<R>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = RequestFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let running = self.metrics.begin(&request);
        RequestFuture { inner: self.inner.call(request), running }
    }
}

pin_project! {
    /// An answer in the making, whose request is counted; made by [`RequestService`].
    #[derive(Debug)]
    pub struct RequestFuture<F> {
        #[pin]
        inner: F,
        running: Option<Running>,
    }
}

impl<F, R, E> Future for RequestFuture<F>
where
    F: Future<Output = Result<Response<R>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let answer = ready!(this.inner.poll(context));
        if let Some(running) = this.running.take() {
            match &answer {
                Ok(response) => running.answered(response.status()),
                Err(_) => running.failed(),
            }
        }
        Poll::Ready(answer)
    }
}

#[cfg(test)]
mod tests;
