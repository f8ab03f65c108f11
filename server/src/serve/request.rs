use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use hyper::Request;
use hyper::body::Incoming;
use tower_service::Service;

use super::arrived::Arrived;
use super::body::Timed;
use super::confine;
use super::peer::Peer;
use super::visit::Visit;
use crate::error::ApiError;

/// Answers a request; a handler that panics is a fault of the server.
pub(super) async fn answer(
    mut router: Router,
    visit: Arc<Visit>,
    peer: Peer,
    arrived: Arrived,
    request: Request<Incoming>,
) -> Result<Response, Infallible> {
    let mut request = request.map(|body| Body::new(Timed::new(body, Arc::clone(&visit))));
    request.extensions_mut().insert(peer);
    request.extensions_mut().insert(arrived);
    visit.ask();
    let answered = confine(visit.app(), router.call(request)).await;
    visit.rest();
    answered.unwrap_or_else(|| Ok(ApiError::Internal.into_response()))
}
