//! OTLP: metrics, pushed to an OpenTelemetry collector.

mod buffer;
mod client;
mod counts;
mod endpoint;
mod error;
mod ledger;
mod message;
mod outbox;
mod point;
mod reader;
mod request;
mod task;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::Tachograph;
use crate::http_client::connector;

pub(crate) use endpoint::Endpoint;
pub use error::OtlpError;

use buffer::Limits;
use client::Client;
use message::AggregationTemporality;
use outbox::Outbox;
use reader::Reader;
use request::{Envelope, REQUEST_BYTES_MAX};
use task::Sender;

const INTERVAL: Duration = Duration::from_secs(10);
const INTERVAL_MIN: Duration = Duration::from_millis(100);
const INTERVAL_MAX: Duration = Duration::from_secs(86_400);
const BUFFER: Limits = Limits { bytes: 16 << 20, requests: 256 };
const BUFFER_MIN: Limits = Limits { bytes: 2 * REQUEST_BYTES_MAX, requests: 2 };
const HEADERS_MAX: usize = 32;
const RESOURCES_MAX: usize = 128;
const RESOURCE_BYTES_MAX: usize = 1_024;
/// What the exporter says of each request itself.
const RESERVED: [HeaderName; 6] = [
    header::CONTENT_TYPE,
    header::CONTENT_ENCODING,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::CONNECTION,
    header::HOST,
];

/// What a point of a counter or histogram says.
///
/// ```
/// use tachograph::export::{Otlp, Temporality};
///
/// let _to_add_up = Otlp::new("http://127.0.0.1:4318").temporality(Temporality::Delta);
/// assert_eq!(Temporality::default(), Temporality::Cumulative);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Temporality {
    /// All since the exporter was started, and what was counted before: a point that is lost costs nothing but
    /// itself. What Prometheus and most others want.
    #[default]
    Cumulative,
    /// What happened since the point before.
    Delta,
}

impl Temporality {
    fn as_message(self) -> AggregationTemporality {
        match self {
            Self::Cumulative => AggregationTemporality::Cumulative,
            Self::Delta => AggregationTemporality::Delta,
        }
    }
}

/// Pushes all metrics of a Tachograph to an OpenTelemetry collector, or to whatever takes OTLP: over HTTP, as
/// protobuf.
///
/// Counters become monotonic sums, gauges gauges, histograms exponential histograms: bucket for bucket, or
/// joined exactly until a side has 160 at most. Where a histogram has negative values its points have no sum, as
/// OTLP wants it. A descriptor's bounds are not told.
///
/// - A request has 2,000 points at most, and about 1 MiB before compression.
/// - What a collector does not take now (429, 502, 503, 504, no connection, no answer within 10 s) waits and is
///   sent again, ever less often, or when the collector says. What it refuses is dropped and counted.
/// - What waits is bounded. Where it is full, the oldest cumulative points go and are counted, as newer ones say
///   more; of deltas no new ones are made, and the next then span longer. So when the collector is back, totals
///   agree, however long it was away.
/// - A request whose answer is lost is sent again: a receiver of deltas can count it twice. That is OTLP's law.
/// - It reads series by series, in a task of its own.
///
/// It counts in the same registry what it does, as `tachograph_otlp_…`; two exporters of one registry count together.
/// Should it fail it is begun anew, which is counted and told to all who look.
///
/// ```no_run
/// use std::time::Duration;
///
/// use tachograph::Tachograph;
/// use tachograph::export::{Otlp, Temporality};
/// use tachograph::registry::Descriptor;
/// use tokio_util::sync::CancellationToken;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let tacho = Tachograph::new()?;
/// tacho.registry().counter(&Descriptor::new("served", "Requests served"))?.with(&[])?.inc();
/// let shutdown = CancellationToken::new();
/// let exporter = Otlp::new("http://127.0.0.1:4318")
///     .temporality(Temporality::Delta)
///     .interval(Duration::from_secs(5))
///     .resource("service.name", "asr")
///     .spawn(&tacho, shutdown.clone())?;
/// // … later: the last figures go out, within 3 s.
/// shutdown.cancel();
/// exporter.await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Otlp {
    endpoint: String,
    interval: Duration,
    temporality: Temporality,
    resource: Vec<(String, String)>,
    headers: Vec<(String, HiddenText)>,
    authority: Option<PathBuf>,
    gzip: bool,
    buffer: Limits,
}

/// A header's value, which can be a password.
#[derive(Clone)]
struct HiddenText(String);

impl std::fmt::Debug for HiddenText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("…")
    }
}

impl Otlp {
    /// To a collector at an address such as `http://127.0.0.1:4318`; without a path, metrics go to `/v1/metrics`
    /// there. Every 10 s, cumulative, with gzip, unless told otherwise. At `https` with the feature `tls`: then the
    /// system's authorities are trusted.
    pub fn new(endpoint: impl Into<String>) -> Self {
        Self {
            endpoint: endpoint.into(),
            interval: INTERVAL,
            temporality: Temporality::default(),
            resource: vec![
                ("service.name".into(), program_name()),
                ("service.instance.id".into(), Uuid::new_v4().to_string()),
            ],
            headers: Vec::new(),
            authority: None,
            gzip: true,
            buffer: BUFFER,
        }
    }

    /// How often the registry is read: from 0.1 s to a day.
    #[must_use]
    pub fn interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// What a point says.
    #[must_use]
    pub fn temporality(mut self, temporality: Temporality) -> Self {
        self.temporality = temporality;
        self
    }

    /// An attribute of what is measured, in place of one of the same name. `service.name` is the program's name and
    /// `service.instance.id` a random one where nothing else is said.
    #[must_use]
    pub fn resource(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        let (key, value) = (key.into(), value.into());
        self.resource.retain(|(held, _)| *held != key);
        self.resource.push((key, value));
        self
    }

    /// A header of every request, in place of one of the same name; its value is never logged.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), HiddenText(value.into())));
        self
    }

    /// A file with the certificate of the collector, or of who vouches for it, as PEM: it is trusted in place of the
    /// system's authorities. Read when the exporter is started.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn authority(mut self, file: impl Into<PathBuf>) -> Self {
        self.authority = Some(file.into());
        self
    }

    /// Whether requests are compressed.
    #[must_use]
    pub fn gzip(mut self, gzip: bool) -> Self {
        self.gzip = gzip;
        self
    }

    /// What may wait for the collector, as it is sent: 16 MiB and 256 requests where nothing else is said, at least
    /// 2 MiB and 2 requests.
    #[must_use]
    pub fn buffer(mut self, bytes: usize, requests: usize) -> Self {
        self.buffer = Limits { bytes, requests };
        self
    }

    /// Starts it: a task that ends after `shutdown`, when the last figures are out, or after 3 s. To be called within
    /// a tokio runtime.
    ///
    /// # Errors
    /// Something that was set cannot be, the error says what; there is no runtime; or the registry has no room for
    /// the exporter's own counts.
    pub fn spawn(self, tacho: &Tachograph, shutdown: CancellationToken) -> Result<JoinHandle<()>, OtlpError> {
        let (Endpoint(uri), headers) = self.checked()?;
        let connector =
            connector(&uri, self.authority.as_deref()).map_err(|error| OtlpError::NoAuthority(error.to_string()))?;
        let runtime = Handle::try_current().map_err(|_| OtlpError::NoRuntime)?;
        let Self { interval, temporality, resource, gzip, buffer, .. } = self;
        let envelope = Envelope { resource, temporality: temporality.as_message(), gzip };
        let outbox = Arc::new(Outbox::new(tacho.registry(), buffer, temporality, envelope)?);
        let reader = Reader::new(tacho.registry().clone(), Arc::clone(&outbox));
        let sender = Sender::new(Client::new(uri, headers, connector), outbox, shutdown);
        Ok(runtime.spawn(task::run(Arc::downgrade(&tacho.0), reader, sender, interval)))
    }

    /// Where to push and with which headers, if all is as it can be.
    pub(crate) fn checked(&self) -> Result<(Endpoint, HeaderMap), OtlpError> {
        let endpoint = self.endpoint.parse()?;
        self.check()?;
        Ok((endpoint, self.header_map()?))
    }

    fn check(&self) -> Result<(), OtlpError> {
        if !(INTERVAL_MIN..=INTERVAL_MAX).contains(&self.interval) {
            return Err(OtlpError::InvalidInterval);
        }
        if self.buffer.bytes < BUFFER_MIN.bytes || self.buffer.requests < BUFFER_MIN.requests {
            return Err(OtlpError::InvalidBuffer);
        }
        if self.resource.len() > RESOURCES_MAX {
            return Err(OtlpError::TooManyResources);
        }
        self.resource.iter().try_for_each(|(key, value)| checked_resource(key, value))
    }

    fn header_map(&self) -> Result<HeaderMap, OtlpError> {
        if self.headers.len() > HEADERS_MAX {
            return Err(OtlpError::TooManyHeaders);
        }
        self.headers.iter().map(|(name, value)| checked_header(name, &value.0)).collect()
    }
}

/// What a resource attribute must be.
pub(crate) fn checked_resource(key: &str, value: &str) -> Result<(), OtlpError> {
    let is_short = key.len() <= RESOURCE_BYTES_MAX && value.len() <= RESOURCE_BYTES_MAX;
    if is_short && !key.is_empty() { Ok(()) } else { Err(OtlpError::InvalidResource(key.chars().take(80).collect())) }
}

/// What a header must be.
pub(crate) fn checked_header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), OtlpError> {
    let invalid = || OtlpError::InvalidHeader(name.chars().take(80).collect());
    let header = HeaderName::from_bytes(name.as_bytes()).map_err(|_| invalid())?;
    if RESERVED.contains(&header) {
        return Err(OtlpError::ReservedHeader(name.into()));
    }
    let mut value = HeaderValue::from_str(value).map_err(|_| invalid())?;
    value.set_sensitive(true);
    Ok((header, value))
}

fn program_name() -> String {
    let path = std::env::current_exe().unwrap_or_default();
    path.file_stem().map_or_else(|| "unknown_service".into(), |stem| stem.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn error(otlp: Otlp) -> Option<OtlpError> {
        otlp.spawn(&Tachograph::new().unwrap(), CancellationToken::new()).err()
    }

    fn good() -> Otlp {
        Otlp::new("http://127.0.0.1:9")
    }

    #[tokio::test]
    async fn what_cannot_be_is_refused_before_anything_runs() {
        #[cfg(feature = "tls")]
        {
            let untrusted = error(Otlp::new("https://collector").authority("no/such/file.pem")).await;
            assert!(
                matches!(&untrusted, Some(OtlpError::NoAuthority(why)) if why.contains("file.pem")),
                "{untrusted:?}"
            );
        }
        assert_eq!(error(good().interval(Duration::ZERO)).await, Some(OtlpError::InvalidInterval));
        assert_eq!(error(good().buffer(1_000, 10)).await, Some(OtlpError::InvalidBuffer));
        assert_eq!(error(good().buffer(2 << 20, 1)).await, Some(OtlpError::InvalidBuffer));
        assert_eq!(error(good().resource("", "x")).await, Some(OtlpError::InvalidResource(String::new())));
        let many = (0..RESOURCES_MAX).fold(good(), |otlp, key| otlp.resource(key.to_string(), "x"));
        assert_eq!(error(many).await, Some(OtlpError::TooManyResources));
        let many = (0..=HEADERS_MAX).fold(good(), |otlp, key| otlp.header(format!("x-{key}"), "x"));
        assert_eq!(error(many).await, Some(OtlpError::TooManyHeaders));
        assert_eq!(error(good().header("a b", "x")).await, Some(OtlpError::InvalidHeader("a b".into())));
        assert_eq!(error(good().header("x", "a\nb")).await, Some(OtlpError::InvalidHeader("x".into())));
        assert_eq!(error(good().header("Host", "x")).await, Some(OtlpError::ReservedHeader("Host".into())));
        assert_eq!(error(good()).await, None);
    }

    #[test]
    fn without_a_runtime_nothing_starts() {
        let started = good().spawn(&Tachograph::new().unwrap(), CancellationToken::new());
        assert_eq!(started.err(), Some(OtlpError::NoRuntime));
    }

    #[test]
    fn a_header_is_not_shown() {
        let shown = format!("{:?}", good().header("authorization", "Bearer secret"));
        assert!(shown.contains("authorization") && !shown.contains("secret"), "{shown}");
        let shown = format!("{:?}", checked_header("authorization", "Bearer secret").unwrap());
        assert!(!shown.contains("secret"), "{shown}");
    }

    #[test]
    fn the_newest_of_a_resource_attribute_counts() {
        let otlp = good().resource("service.name", "one").resource("service.name", "two");
        let names: Vec<_> = otlp.resource.iter().filter(|(key, _)| key == "service.name").collect();
        assert_eq!(names, [&("service.name".to_owned(), "two".to_owned())]);
        assert!(otlp.resource.iter().any(|(key, id)| key == "service.instance.id" && id.len() == 36));
    }
}
