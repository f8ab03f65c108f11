//! The addresses of a server.

#[cfg(any(feature = "prometheus", feature = "ui"))]
mod accepted;
mod api;
#[cfg(feature = "prometheus")]
mod exposition;
#[cfg(feature = "prometheus")]
mod gzip;
mod history;
#[cfg(feature = "ui")]
mod page;
mod pieces;
mod recording;
#[cfg(feature = "live")]
mod simulated;
mod socket;
mod stream;

use axum::Router;
#[cfg(feature = "live")]
use axum::extract::WebSocketUpgrade;
use axum::extract::{Extension, RawQuery, Request, State};
use axum::http::HeaderMap;
use axum::middleware::map_request_with_state;
#[cfg(feature = "live")]
use axum::response::IntoResponse;
use axum::response::Response;
use axum::routing::{any, get};

#[cfg(feature = "live")]
use crate::access::TurnedAway;
use crate::access::{self, Access, Admission, Client, Refusal};
use crate::app::App;
use crate::error::ApiError;
use crate::hub::{Form, Subscription, Viewer};
#[cfg(feature = "live")]
use crate::listener;
#[cfg(feature = "live")]
use crate::serve::Arrived;
use crate::serve::confine;
use crate::{Tachograph, hub};
pub(crate) use socket::SocketFault;
use socket::{Upgrade, checked};

/// A WebSocket message above this ends its connection before it is read whole. One that is shorter and too long all the
/// same is read, so that its client gets the answer and not a reset.
#[cfg(feature = "live")]
pub(crate) const SOCKET_MESSAGE_BYTES_MAX: usize = 8 * 1024 * 1024;
/// What a client's connection reads at once: some frames of audio. It is there for each, whether anything comes.
#[cfg(feature = "live")]
pub(crate) const CLIENT_READ_BYTES: usize = 16 * 1024;
/// What waits to be written of a connection, such as answers to pings of a client that does not read them.
#[cfg(feature = "live")]
const SOCKET_UNWRITTEN_BYTES_MAX: usize = 8 * 1024 * 1024;
/// What a client says that may not feed is not listened to.
#[cfg(feature = "live")]
const TURNED_AWAY_MESSAGE_BYTES_MAX: usize = 64 * 1024;
/// Viewers have nothing to say.
const VIEWER_MESSAGE_BYTES_MAX: usize = 1024;
/// What a viewer's connection reads at once: pings and a close.
const VIEWER_READ_BYTES: usize = 256;

/// The routes of a Tachograph: the page at `/`, the streams, the history, the metrics. To be nested into an
/// application's router at any path, or merged with it.
///
/// Whatever layers the application puts around it, such as who may look, hold for all of it. Whatever those are, pages of
/// other origins can open no WebSocket of it and change nothing; where a proxy changes `Host`, see
/// [`allowed_origin`](crate::Builder::allowed_origin). That an attacker's name leads to the application, so that his page
/// is one of its origin, is kept from it by [`allowed_host`](crate::Builder::allowed_host).
///
/// ```
/// use axum::{Router, routing::get};
/// use tachograph::Tachograph;
///
/// #[derive(Clone)]
/// struct Shop;
///
/// let tacho = Tachograph::new()?;
/// let app: Router<Shop> = Router::new().route("/", get(async || "hello")).nest("/tacho", tachograph::router(&tacho));
/// let app: Router = app.with_state(Shop);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn router<S: Clone + Send + Sync + 'static>(tacho: &Tachograph) -> Router<S> {
    let app = App::clone(&tacho.0);
    hub::keep_ticking(&app);
    let router = Router::new()
        .route("/ws/stream", any(viewer))
        .route("/healthz", get(api::healthz))
        .route("/readyz", get(api::readyz))
        .route("/api/v1/snapshot", get(api::snapshot))
        .route("/api/v1/stream", get(stream::stream))
        .route("/api/v1/history", get(history::history))
        .route("/api/v1/recording", get(recording::recording));
    #[cfg(feature = "prometheus")]
    let router = router.route("/metrics", get(exposition::metrics));
    #[cfg(feature = "live")]
    let router = router.route("/ws/live-listener", any(live_listener)).route("/api/v1/simulated", simulated::route());
    #[cfg(feature = "ui")]
    let router = router.merge(page::routes());
    router
        .method_not_allowed_fallback(async || ApiError::MethodNotAllowed)
        .layer(map_request_with_state(App::clone(&app), enter))
        .with_state(app)
}

/// The routes by themselves, for those whom `access` lets in.
pub(crate) fn standalone(tacho: &Tachograph, access: &Access) -> Router {
    access::protected(router(tacho).fallback(async || ApiError::NotFound), &tacho.0, access)
}

/// Whether the path is that of one of the page's own files.
pub(crate) fn is_page(path: &str) -> bool {
    #[cfg(feature = "ui")]
    return page::is_at(path);
    #[cfg(not(feature = "ui"))]
    {
        let _there_is_none = path;
        false
    }
}

/// Where the router was made outside of a runtime, the first request has it tick.
async fn enter(State(app): State<App>, request: Request) -> Result<Request, Refusal> {
    hub::keep_ticking(&app);
    // What has a client was held against more than this already.
    if request.extensions().get::<Client>().is_none() {
        access::check_nested(&request, &app.options.allowed_hosts, &app.options.allowed_origins)
            .inspect_err(|refusal| app.metrics.count_refusal(*refusal))?;
    }
    Ok(request)
}

#[cfg(feature = "live")]
async fn live_listener(
    State(app): State<App>,
    admission: Option<Extension<Admission>>,
    turned_away: Option<Extension<TurnedAway>>,
    arrived: Option<Extension<Arrived>>,
    headers: HeaderMap,
    upgrade: Upgrade,
) -> Result<Response, ApiError> {
    let Extension(admission) = admission.unwrap_or_default();
    if let Some(Extension(turned_away)) = turned_away {
        return Ok(turn_away(app, turned_away, checked(upgrade, &headers)));
    }
    let listener = app.listener.clone().ok_or(ApiError::NotFound)?;
    let arrived = arrived.map(|Extension(arrived)| arrived);
    Ok(checked(upgrade, &headers)?
        .max_message_size(SOCKET_MESSAGE_BYTES_MAX)
        .max_frame_size(SOCKET_MESSAGE_BYTES_MAX)
        .read_buffer_size(CLIENT_READ_BYTES)
        .max_write_buffer_size(SOCKET_UNWRITTEN_BYTES_MAX)
        .on_upgrade(move |socket| kept(App::clone(&app), listener::handle(app, listener, admission, arrived, socket))))
}

/// Of a connection after its upgrade: its end is waited for when the server ends, and its panic ends no other.
fn kept(app: App, connection: impl Future<Output = ()> + Send) -> impl Future<Output = ()> + Send {
    let connections = app.connections.clone();
    connections.track_future(async move { _ = confine(&app, connection).await })
}

/// Who may not feed gets no more of an answer from what there is than from what there is not.
#[cfg(feature = "live")]
fn turn_away(app: App, turned_away: TurnedAway, upgrade: Result<WebSocketUpgrade, ApiError>) -> Response {
    let (Ok(upgrade), Some(_)) = (upgrade, &app.listener) else { return Refusal::NoToken.into_response() };
    upgrade
        .max_message_size(TURNED_AWAY_MESSAGE_BYTES_MAX)
        .max_frame_size(TURNED_AWAY_MESSAGE_BYTES_MAX)
        .on_upgrade(move |socket| kept(App::clone(&app), listener::turn_away(app, turned_away, socket)))
}

async fn viewer(
    State(app): State<App>,
    admission: Option<Extension<Admission>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    upgrade: Upgrade,
) -> Result<Response, ApiError> {
    let Extension(admission) = admission.unwrap_or_default();
    let upgrade = checked(upgrade, &headers)?;
    // Boxed, here and below: what an upgrade passes on, its task keeps room for, several times over.
    let subscription = Subscription::parse(&query.unwrap_or_default())?;
    let viewer = Viewer::enter(&app)?;
    let cursor = Box::new(hub::open(&app, &subscription, Form::Binary)?);
    Ok(upgrade
        .max_message_size(VIEWER_MESSAGE_BYTES_MAX)
        .max_frame_size(VIEWER_MESSAGE_BYTES_MAX)
        .read_buffer_size(VIEWER_READ_BYTES)
        // Each message goes out at once, and none is held back.
        .write_buffer_size(0)
        .on_upgrade(move |socket| kept(app, Box::pin(hub::view(viewer, cursor, admission, Box::new(socket))))))
}
