use std::time::Duration;

use axum::body::Body;
use axum::http::{StatusCode, Uri};
use clap::Args;
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::rt::TokioExecutor;
use tokio::time::timeout;

use super::address::http_url;
use super::trust::TrustArgs;
use crate::http_client::reason;
use crate::trust::TrustError;

#[derive(Debug, Args)]
pub(super) struct HealthArgs {
    /// The server's address.
    #[arg(value_name = "URL", default_value = "http://127.0.0.1:7117", env = "TACHOGRAPH_URL", value_parser = parse_url)]
    server: Uri,

    /// How long it may take to answer, in seconds.
    #[arg(long, env = "TACHOGRAPH_HEALTH_SECONDS", default_value = "5", value_name = "SECONDS",
          value_parser = clap::value_parser!(u64).range(1..=60))]
    health_seconds: u64,

    #[command(flatten)]
    trust: TrustArgs,
}

/// Why a server does not count as alive.
#[derive(Debug, thiserror::Error)]
pub(super) enum HealthError {
    #[error("{0}")]
    Trust(#[from] TrustError),
    #[error("{server} cannot be asked: {why}; is the server running?")]
    Unreachable { server: Uri, why: String },
    #[error("{server} did not answer within {seconds} s")]
    Silent { server: Uri, seconds: u64 },
    #[error("{server} answered {answer} instead of 200")]
    Unwell { server: Uri, answer: StatusCode },
}

fn parse_url(text: &str) -> Result<Uri, String> {
    http_url(text, "/healthz")
}

/// Asks once.
///
/// # Errors
/// The server does not say that it is alive.
pub(super) async fn run(args: &HealthArgs) -> Result<(), HealthError> {
    let (server, seconds) = (args.server.clone(), args.health_seconds);
    let connector = args.trust.http_connector(&server)?;
    let http: HttpClient<_, Body> = HttpClient::builder(TokioExecutor::new()).build(connector);
    match timeout(Duration::from_secs(seconds), http.get(server.clone())).await {
        Ok(Ok(answer)) if answer.status() == StatusCode::OK => Ok(()),
        Ok(Ok(answer)) => Err(HealthError::Unwell { server, answer: answer.status() }),
        Ok(Err(error)) => Err(HealthError::Unreachable { server, why: reason(&error) }),
        Err(_) => Err(HealthError::Silent { server, seconds }),
    }
}
