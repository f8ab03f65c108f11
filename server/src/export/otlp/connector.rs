//! How a collector is connected to: over TCP, and where it is at https, over TLS.

use std::path::Path;

use axum::http::Uri;
#[cfg(feature = "tls")]
use axum::http::uri::Scheme;
use hyper_util::client::legacy::connect::HttpConnector;

use super::OtlpError;

#[cfg(feature = "tls")]
pub(super) type Connector = hyper_rustls::HttpsConnector<HttpConnector>;
#[cfg(not(feature = "tls"))]
pub(super) type Connector = HttpConnector;

/// Trusts the authorities in a file, or those of the system, which are read only where they are needed.
#[cfg(feature = "tls")]
pub(super) fn connector(uri: &Uri, authority: Option<&Path>) -> Result<Connector, OtlpError> {
    let untrusted = |error: crate::trust::TrustError| OtlpError::NoAuthority(error.to_string());
    let config = if uri.scheme() == Some(&Scheme::HTTPS) {
        crate::trust::client_config(authority)
    } else {
        crate::trust::client_config_of_nobody()
    };
    let builder = hyper_rustls::HttpsConnectorBuilder::new().with_tls_config(config.map_err(untrusted)?);
    Ok(builder.https_or_http().enable_http1().build())
}

#[cfg(not(feature = "tls"))]
pub(super) fn connector(_: &Uri, _: Option<&Path>) -> Result<Connector, OtlpError> {
    Ok(HttpConnector::new())
}
