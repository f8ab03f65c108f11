//! One attempt to hand a request over, and what came of it.

use std::time::{Duration, SystemTime};

use axum::body::{Body, to_bytes};
use axum::http::response::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, Request as HttpRequest, StatusCode, Uri, header};
use bytes::Bytes;
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use prost::Message;
use tokio::time::timeout;

use super::message::{ExportMetricsServiceResponse, Status};
use super::request::Request;
use crate::http_client::{Connector, reason};

/// For all of a request, from the connection to the end of the answer.
const DEADLINE: Duration = Duration::from_secs(10);
/// Many collectors and what stands before them let a connection go after a minute.
const IDLE_MAX: Duration = Duration::from_secs(30);
/// More of an answer is not read.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// More of what a collector says is not repeated.
const SAID_MAX: usize = 300;

/// What came of an attempt.
#[derive(Debug, PartialEq)]
pub(super) enum Outcome {
    /// The collector took it, but for so many points.
    Taken { rejected: u64, said: String },
    /// It is to be sent again, not before what the collector asks for.
    Again { why: String, after: Option<Duration> },
    /// The collector will never take it.
    Refused { status: u16, said: String },
}

#[derive(Debug)]
pub(super) struct Client {
    http: HttpClient<Connector, Body>,
    uri: Uri,
    headers: HeaderMap,
}

impl Client {
    pub(super) fn new(uri: Uri, headers: HeaderMap, connector: Connector) -> Self {
        let http = HttpClient::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_MAX)
            .pool_max_idle_per_host(1)
            .build(connector);
        Self { http, uri, headers }
    }

    pub(super) async fn send(&self, request: &Request) -> Outcome {
        match timeout(DEADLINE, self.attempt(request)).await {
            Ok(outcome) => outcome,
            Err(_) => again("it did not answer within 10 s"),
        }
    }

    async fn attempt(&self, request: &Request) -> Outcome {
        let answer = match self.http.request(self.http_request(request)).await {
            Ok(answer) => answer,
            Err(error) => return again(&reason(&error)),
        };
        let (head, body) = answer.into_parts();
        // What is too long or breaks off says nothing; the status counts.
        let body = to_bytes(Body::new(body), ANSWER_BYTES_MAX).await.unwrap_or_default();
        outcome(&head, &body, SystemTime::now())
    }

    fn http_request(&self, request: &Request) -> HttpRequest<Body> {
        let mut http = HttpRequest::new(Body::from(request.body.clone()));
        *http.method_mut() = Method::POST;
        *http.uri_mut() = self.uri.clone();
        *http.headers_mut() = self.headers.clone();
        let headers = http.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
        if request.is_compressed {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        http
    }
}

fn again(why: &str) -> Outcome {
    Outcome::Again { why: why.into(), after: None }
}

fn outcome(head: &Parts, body: &Bytes, now: SystemTime) -> Outcome {
    match head.status {
        status if status.is_success() => taken(body),
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => {
            Outcome::Again { why: format!("it answered {}", head.status), after: retry_after(&head.headers, now) }
        }
        status => {
            let said = Status::decode(body.clone()).map(|status| status.message).unwrap_or_default();
            Outcome::Refused { status: status.as_u16(), said: cut(&said) }
        }
    }
}

fn taken(body: &Bytes) -> Outcome {
    let answer = ExportMetricsServiceResponse::decode(body.clone()).unwrap_or_default();
    let partial = answer.partial_success.unwrap_or_default();
    let rejected = u64::try_from(partial.rejected_data_points).unwrap_or_default();
    Outcome::Taken { rejected, said: cut(&partial.error_message) }
}

fn cut(said: &str) -> String {
    said.chars().take(SAID_MAX).collect()
}

/// Seconds, or a date.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    let date = || httpdate::parse_http_date(text).ok();
    text.parse().ok().map(Duration::from_secs).or_else(|| Some(date()?.duration_since(now).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use axum::http::Response;

    use super::super::message::ExportMetricsPartialSuccess;
    use super::*;

    fn of(status: u16, retry_after: Option<&str>, body: &[u8]) -> Outcome {
        let answer = retry_after
            .into_iter()
            .fold(Response::builder().status(status), |answer, value| answer.header(header::RETRY_AFTER, value));
        let (head, ()) = answer.body(()).unwrap().into_parts();
        outcome(&head, &Bytes::copy_from_slice(body), UNIX_EPOCH + Duration::from_secs(784_111_777))
    }

    #[test]
    fn only_what_passes_is_sent_again() {
        for status in [429, 502, 503, 504] {
            assert!(matches!(of(status, None, b""), Outcome::Again { after: None, .. }), "{status}");
        }
        for status in [301, 400, 401, 403, 404, 405, 413, 415, 500, 501, 505] {
            assert!(matches!(of(status, None, b""), Outcome::Refused { .. }), "{status}");
        }
    }

    #[test]
    fn a_collector_says_when() {
        let after = |value: &str| match of(503, Some(value), b"") {
            Outcome::Again { after, .. } => after.map(|after| after.as_secs()),
            other => panic!("{other:?}"),
        };
        assert_eq!((after("7"), after(" 0 "), after("soon"), after("-1")), (Some(7), Some(0), None, None));
        assert_eq!(after("Sun, 06 Nov 1994 08:49:47 GMT"), Some(10));
        assert_eq!(after("Sun, 06 Nov 1994 08:49:27 GMT"), Some(0), "in the past");
    }

    #[test]
    fn a_partial_success_says_how_many_points_were_rejected() {
        let partial = ExportMetricsPartialSuccess { rejected_data_points: 3, error_message: "too old".into() };
        let answer = ExportMetricsServiceResponse { partial_success: Some(partial) }.encode_to_vec();
        assert_eq!(of(200, None, &answer), Outcome::Taken { rejected: 3, said: "too old".into() });
        for answer in [&b""[..], b"{}", b"not protobuf"] {
            assert_eq!(of(200, None, answer), Outcome::Taken { rejected: 0, said: String::new() });
        }
    }

    #[test]
    fn a_refusal_is_told_in_the_collectors_words() {
        let answer = Status { message: "x".repeat(1_000) }.encode_to_vec();
        assert_eq!(of(400, None, &answer), Outcome::Refused { status: 400, said: "x".repeat(SAID_MAX) });
    }
}
