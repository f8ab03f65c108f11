use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use tokio_tungstenite::Connector;

use crate::trust::{TrustError, client_config};

#[derive(Debug, Args)]
pub(super) struct TrustArgs {
    /// Trust a server at https whose certificate is in this file, or vouched for by one in it, as PEM. [default: the
    /// system's authorities]
    #[arg(long, env = "TACHOGRAPH_TLS_CA", value_name = "FILE")]
    tls_ca: Option<PathBuf>,
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
}
