use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};

use super::admission::Admission;
#[cfg(feature = "live")]
use super::admission::TurnedAway;
use super::client::Client;
use super::config::{Grant, Role, Rules};
use super::refusal::Refusal;
use super::sign_ins::Reach;
use super::{Access, By, HostName, headers, origin, page, sign_in};
use crate::app::App;
use crate::serve::Peer;

/// Where clients of the live-listener protocol feed.
const LIVE_LISTENER: &str = "/ws/live-listener";
const BEARER: &str = "Bearer ";

/// What stands before all routes.
#[derive(Clone)]
pub(super) struct Guard {
    pub(super) app: App,
    pub(super) access: Access,
}

/// The routes, of which only those who are let in get to see anything, and those to sign in by.
pub(crate) fn protected(routes: Router, app: &App, access: &Access) -> Router {
    let guard = Guard { app: App::clone(app), access: access.clone() };
    // As a service they are within what stands before them. As routes each would have it for itself, and what a router
    // adds to an answer, such as the methods that an address takes, would tell what there is.
    let routes = routes.merge(sign_in::routes(guard.clone()));
    Router::new().fallback_service(routes).layer(from_fn_with_state(guard, admit))
}

/// Who was let in, and by which rules: an extension of each request.
#[derive(Clone)]
pub(super) struct Caller {
    pub(super) client: Client,
    pub(super) rules: Arc<Rules>,
}

async fn admit(State(guard): State<Guard>, mut request: Request, next: Next) -> Response {
    let is_encrypted_here = request.extensions().get::<Peer>().is_some_and(|peer| peer.is_encrypted);
    let mut speaks_for_host = false;
    let looked = if origin::is_probe(&request) {
        guard.admit_locally(&mut request);
        Ok(())
    } else {
        guard.look_at(&mut request, |host| speaks_for_host = is_encrypted_here && host.port().is_none())
    };
    let is_let_in = request.extensions().get::<Admission>().is_some();
    let mut answer = match looked {
        Ok(()) => next.run(request).await,
        Err(refusal) => guard.refuse(refusal, &request),
    };
    headers::complete(&mut answer, speaks_for_host);
    // Whoever is not let in keeps no connection from those that are, asking for what is open to everybody.
    if !is_let_in && answer.status() != StatusCode::SWITCHING_PROTOCOLS {
        answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    answer
}

impl Guard {
    /// Where no token is needed, this machine is let in without one.
    fn admit_locally(&self, request: &mut Request) {
        let rules = self.access.rules();
        if rules.is_open() && Client::of(request, &rules).is_ok_and(|client| client.is_local) {
            request.extensions_mut().insert(Admission::until(rules.open.clone()));
        }
    }

    /// `named` is told the server's name of a request that is let in by it.
    fn look_at(&self, request: &mut Request, named: impl FnOnce(&HostName)) -> Result<(), Refusal> {
        let rules = self.access.rules();
        let client = Client::of(request, &rules)?;
        self.access.check_host(&rules, &client)?;
        let own =
            origin::Own { host: client.host.as_ref(), is_encrypted: client.is_encrypted, allowed: &rules.origins };
        origin::check(request.method(), request.headers(), &own)?;
        client.host.as_ref().map(named);
        if !sign_in::is_at(request) {
            match self.permit(request, &client, &rules) {
                Ok(admission) => _ = request.extensions_mut().insert(admission),
                Err(refusal) => self.turn_away(refusal, request)?,
            }
        }
        request.extensions_mut().insert(client.clone());
        request.extensions_mut().insert(Caller { client, rules });
        Ok(())
    }

    /// # Errors
    /// What the request shows does not open what it asks for.
    fn permit(&self, request: &Request, client: &Client, rules: &Rules) -> Result<Admission, Refusal> {
        if rules.is_open() {
            return if client.is_local { Ok(Admission::until(rules.open.clone())) } else { Err(Refusal::NoToken) };
        }
        let role = role(request);
        match shown(request) {
            Some(token) => {
                let grant = self.verify(&token, By::Asking, client, rules)?;
                admits(grant, role).map(|()| Admission::until(grant.revoked.clone()))
            }
            None => self.permit_cookie(request, client, rules, role),
        }
    }

    fn permit_cookie(
        &self,
        request: &Request,
        client: &Client,
        rules: &Rules,
        role: Role,
    ) -> Result<Admission, Refusal> {
        let sign_ins = self.access.0.sign_ins.lock();
        for cookie in sign_in::cookies(request.headers(), client) {
            let Some((held, grant, reach)) = sign_ins.find(cookie, &rules.grants, self.access.now()) else { continue };
            if reach == Reach::All || is_page(request) {
                let ends_at = self.access.0.began + held.ends_at;
                return admits(grant, role).map(|()| Admission::until(held.ended.clone()).ending_at(ends_at));
            }
        }
        Err(Refusal::NoToken)
    }

    /// What a token lets in to; counts it where it does not.
    pub(super) fn verify<'a>(
        &self,
        token: &str,
        by: By,
        client: &Client,
        rules: &'a Rules,
    ) -> Result<&'a Grant, Refusal> {
        let metrics = &self.app.metrics;
        let (verified, let_go) = self.access.verify(rules, token, by, client.address);
        metrics.sign_in_addresses_let_go.add(let_go);
        match verified {
            Err(Refusal::Limited(_)) => metrics.sign_ins_limited.inc(),
            Err(_) => {
                metrics.sign_ins_failed.inc();
                tracing::info!(address = %client.address, "a wrong token was shown");
            }
            Ok(_) => {}
        }
        verified
    }

    /// A client of the live-listener protocol hears it in the protocol's words, as long as there are not too many.
    #[cfg(feature = "live")]
    fn turn_away(&self, refusal: Refusal, request: &mut Request) -> Result<(), Refusal> {
        let is_limited = matches!(refusal, Refusal::Limited(_));
        if is_limited || request.uri().path() != LIVE_LISTENER || !request.headers().contains_key(header::UPGRADE) {
            return Err(refusal);
        }
        let place = Arc::clone(&self.access.0.turned_away).try_acquire_owned().map_err(|_| refusal)?;
        self.app.metrics.count_refusal(refusal);
        request.extensions_mut().insert(TurnedAway::at(place));
        Ok(())
    }

    #[cfg(not(feature = "live"))]
    fn turn_away(&self, refusal: Refusal, _: &mut Request) -> Result<(), Refusal> {
        Err(refusal)
    }

    fn refuse(&self, refusal: Refusal, request: &Request) -> Response {
        self.app.metrics.count_refusal(refusal);
        tracing::debug!(reason = refusal.reason(), "a request was refused");
        if page::is_wanted(request) && !matches!(refusal, Refusal::Host | Refusal::Forwarded | Refusal::Origin) {
            page::refused(refusal, request.uri().path())
        } else {
            refusal.into_response()
        }
    }
}

fn admits(grant: &Grant, role: Role) -> Result<(), Refusal> {
    if grant.admits(role) { Ok(()) } else { Err(Refusal::WrongRole) }
}

fn role(request: &Request) -> Role {
    let feeds = request.uri().path() == LIVE_LISTENER || !request.method().is_safe();
    if feeds { Role::Feed } else { Role::View }
}

/// The token that a request shows. In an address only clients of the live-listener protocol may show it: those that
/// exist take another address, and nothing else. Without a handshake it is no such client, but can be what another site's
/// page has a browser open.
fn shown(request: &Request) -> Option<String> {
    let told = request.headers().get(header::AUTHORIZATION).and_then(|told| told.to_str().ok());
    if let Some(token) = told.and_then(|told| Some((told.get(..BEARER.len())?, told.get(BEARER.len()..)?)))
        && token.0.eq_ignore_ascii_case(BEARER)
    {
        return Some(token.1.trim().to_owned());
    }
    let feeds = request.uri().path() == LIVE_LISTENER && request.headers().contains_key(header::UPGRADE);
    let query = request.uri().query().filter(|_| feeds)?;
    sign_in::token_of(query.as_bytes())
}

/// Whether one of the page's own files is asked for. They are the same for everybody.
fn is_page(request: &Request) -> bool {
    matches!(*request.method(), Method::GET | Method::HEAD) && crate::http::is_page(request.uri().path())
}
