//! How a browser signs in: by a link or a form with a token, which it gets cookies for.

use axum::Router;
use axum::body::to_bytes;
use axum::extract::{Extension, RawQuery, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{AppendHeaders, IntoResponse, Response};
use axum::routing::{get, post};

use super::client::Client;
use super::config::Role;
use super::guard::{Caller, Guard};
use super::names::usual_port;
use super::page::{self, Said};
use super::refusal::Refusal;
use super::sign_ins::{Cookies, LASTS};
use super::{By, origin};
use crate::error::ApiError;

const SIGN_IN: &str = "/sign-in";
const SIGN_OUT: &str = "/sign-out";
/// What the form's address is told, so that the form says it.
const REFUSED: &str = "refused";
/// A form with the longest token is shorter.
const FORM_BYTES_MAX: usize = 8 * 1024;

/// Who opens these needs no token yet. They are held against host and origin like all others.
pub(super) fn is_at(request: &Request) -> bool {
    [SIGN_IN, SIGN_OUT].contains(&request.uri().path())
}

pub(super) fn routes(guard: Guard) -> Router {
    Router::new()
        .route(SIGN_IN, get(opened).post(sent))
        .route(SIGN_OUT, post(sign_out))
        .method_not_allowed_fallback(async || ApiError::MethodNotAllowed)
        .with_state(guard)
}

/// By a link with a token it signs in who is not, and goes on to an address without one; else it shows the form.
async fn opened(
    State(guard): State<Guard>,
    Extension(caller): Extension<Caller>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let query = query.unwrap_or_default();
    let said = value_of(query.as_bytes(), REFUSED).map_or(Said::Nothing, |reason| Said::of_reason(&reason));
    match token_of(query.as_bytes()) {
        // Another site's link, with a token of whoever wrote it, would end what is open.
        Some(_) if !origin::is_ones_own(&headers) && guard.is_signed_in(&caller, &headers) => to_the_page(),
        Some(token) => guard.sign_in(&token, &caller, &headers).unwrap_or_else(to_the_form),
        None if caller.rules.is_open() => to_the_page(),
        None if guard.is_signed_in(&caller, &headers) => page::signed_in(),
        None => page::form(StatusCode::OK, said, SIGN_IN),
    }
}

async fn sent(State(guard): State<Guard>, Extension(caller): Extension<Caller>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    // One that is too long or does not come in time is as good as one without a token.
    let form = to_bytes(body, FORM_BYTES_MAX).await.unwrap_or_default();
    let token = token_of(&form).unwrap_or_default();
    guard.sign_in(&token, &caller, &head.headers).unwrap_or_else(|refusal| page::refused(refusal, SIGN_IN))
}

async fn sign_out(State(guard): State<Guard>, Extension(caller): Extension<Caller>, headers: HeaderMap) -> Response {
    guard.forget(&caller.client, &headers);
    let gone = AppendHeaders(names(&caller.client).map(|name| set_cookie(&name, "", 0, "Strict")));
    (gone, page::form(StatusCode::OK, Said::SignedOut, SIGN_OUT)).into_response()
}

impl Guard {
    fn sign_in(&self, token: &str, caller: &Caller, headers: &HeaderMap) -> Result<Response, Refusal> {
        if caller.rules.is_open() {
            return Ok(to_the_page());
        }
        let begun = self.begin(token, caller);
        let cookies = begun.inspect_err(|refusal| self.app.metrics.count_refusal(*refusal))?;
        self.forget(&caller.client, headers);
        self.app.metrics.sign_ins.inc();
        tracing::info!(address = %caller.client.address, "a browser signed in");
        Ok((cookies.headers(&caller.client), to_the_page()).into_response())
    }

    fn begin(&self, token: &str, Caller { client, rules }: &Caller) -> Result<Cookies, Refusal> {
        let grant = self.verify(token, By::SignIn, client, rules)?;
        if !grant.admits(Role::View) {
            return Err(Refusal::WrongRole);
        }
        let begun = self.access.0.sign_ins.lock().begin(grant, self.access.now());
        let Some((cookies, let_go)) = begun else {
            tracing::error!("nobody can sign in: the system has no randomness");
            return Err(Refusal::NoToken);
        };
        self.app.metrics.sign_ins_let_go.add(let_go);
        Ok(cookies)
    }

    /// A browser that signs in anew, or out, is not signed in as before.
    fn forget(&self, client: &Client, headers: &HeaderMap) {
        let mut sign_ins = self.access.0.sign_ins.lock();
        cookies(headers, client).for_each(|cookie| sign_ins.end(cookie));
    }

    fn is_signed_in(&self, Caller { client, rules }: &Caller, headers: &HeaderMap) -> bool {
        let (sign_ins, now) = (self.access.0.sign_ins.lock(), self.access.now());
        cookies(headers, client).any(|cookie| sign_ins.find(cookie, &rules.grants, now).is_some())
    }
}

/// The token in a query or a form.
pub(super) fn token_of(text: &[u8]) -> Option<String> {
    value_of(text, "token")
}

fn value_of(text: &[u8], wanted: &str) -> Option<String> {
    form_urlencoded::parse(text).find(|(name, _)| name == wanted).map(|(_, value)| value.into_owned())
}

/// Beside this address it is the page, also where a proxy put all of this below a path.
fn to_the_page() -> Response {
    leave_for("./".into())
}

/// A token that is refused here may be one for something else, or one that is looked at later: it does not stay in the
/// address either.
fn to_the_form(refusal: Refusal) -> Response {
    leave_for(format!("sign-in?{REFUSED}={}", refusal.reason()))
}

/// To an address without a token.
fn leave_for(place: String) -> Response {
    let head = [
        (header::LOCATION, place),
        (header::CACHE_CONTROL, "no-store".into()),
        (header::REFERRER_POLICY, "no-referrer".into()),
    ];
    (StatusCode::SEE_OTHER, head).into_response()
}

impl Cookies {
    fn headers(&self, client: &Client) -> AppendHeaders<[(HeaderName, HeaderValue); 2]> {
        let [all, page] = names(client);
        let lasts = LASTS.as_secs();
        AppendHeaders([set_cookie(&all, &self.all, lasts, "Strict"), set_cookie(&page, &self.page, lasts, "Lax")])
    }
}

/// Of the host alone, out of reach of scripts; where the connection is encrypted, never sent over another.
fn set_cookie(name: &str, value: &str, lasts: u64, same_site: &str) -> (HeaderName, HeaderValue) {
    let secure = if name.starts_with(SECURE) { "; Secure" } else { "" };
    let text = format!("{name}={value}; Path=/; Max-Age={lasts}; HttpOnly; SameSite={same_site}{secure}");
    // Names and values are ASCII of this file's.
    (header::SET_COOKIE, HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("")))
}

/// Browsers take a cookie of such a name only from the host itself, encrypted.
const SECURE: &str = "__Host-";

/// Cookies know no ports: by the name each server of a host has its own.
fn names(client: &Client) -> [String; 2] {
    let secure = if client.is_encrypted { SECURE } else { "" };
    let port = client.host.as_ref().and_then(super::HostName::port).unwrap_or(usual_port(client.is_encrypted));
    [format!("{secure}tachograph-{port}"), format!("{secure}tachograph-page-{port}")]
}

/// The values of the server's cookies, as often as they are there, the last one first: browsers put those of a narrower
/// path before it, which another server of the same host can set.
pub(super) fn cookies<'a>(headers: &'a HeaderMap, client: &Client) -> impl Iterator<Item = &'a str> + use<'a> {
    let names = names(client);
    let told = headers.get_all(header::COOKIE).into_iter().filter_map(|told| told.to_str().ok());
    let pairs = told.flat_map(|told| told.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.filter(move |(name, _)| names.iter().any(|own| own == name)).map(|(_, value)| value).rev().take(COOKIES_MAX)
}

/// Another server of the same host can set more of them; each is looked for among all sign-ins.
const COOKIES_MAX: usize = 8;
