use std::path::PathBuf;
use std::sync::Arc;

use axum::http::Uri;
use clap::Args;
use tokio_tungstenite::Connector;

use crate::Tls;
use crate::http_client;
use crate::trust::{TrustError, client_config, client_config_of};

#[derive(Debug, Args)]
pub(super) struct TrustArgs {
    /// Trust a server at https whose certificate is in this file, or vouched for by one in it, as PEM. [default: the
    /// system's authorities]
    #[arg(long, env = "TACHOGRAPH_TLS_CA", value_name = "FILE")]
    tls_ca: Option<PathBuf>,
}

/// How to connect to a server of this process.
pub(super) fn own_connector(tls: Option<Tls>) -> Result<Connector, TrustError> {
    let Some(tls) = tls else { return Ok(Connector::Plain) };
    Ok(Connector::Rustls(Arc::new(client_config_of(tls)?)))
}

impl TrustArgs {
    /// How to connect to a WebSocket's address. Files are read only where it is encrypted.
    pub(super) fn connector(&self, url: &str) -> Result<Connector, TrustError> {
        if !url.starts_with("wss:") {
            return Ok(Connector::Plain);
        }
        let config = client_config(self.tls_ca.as_deref())?;
        Ok(Connector::Rustls(Arc::new(config)))
    }

    /// How to connect to an address of HTTP.
    pub(super) fn http_connector(&self, uri: &Uri) -> Result<http_client::Connector, TrustError> {
        http_client::connector(uri, self.tls_ca.as_deref())
    }
}
