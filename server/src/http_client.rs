//! How this program is itself a client of HTTP: over TCP, and where an address is at https, over TLS.

use std::path::Path;

use axum::http::Uri;
#[cfg(feature = "tls")]
use axum::http::uri::Scheme;
use hyper_util::client::legacy::connect::HttpConnector;

#[cfg(feature = "tls")]
pub(crate) type Connector = hyper_rustls::HttpsConnector<HttpConnector>;
#[cfg(not(feature = "tls"))]
pub(crate) type Connector = HttpConnector;

/// Why nothing can be connected to.
#[cfg(feature = "tls")]
pub(crate) type ConnectorError = crate::trust::TrustError;
#[cfg(not(feature = "tls"))]
pub(crate) type ConnectorError = std::convert::Infallible;

/// Trusts the authorities in a file, or those of the system, which are read only where they are needed.
#[cfg(feature = "tls")]
pub(crate) fn connector(uri: &Uri, authority: Option<&Path>) -> Result<Connector, ConnectorError> {
    let config = if uri.scheme() == Some(&Scheme::HTTPS) {
        crate::trust::client_config(authority)
    } else {
        crate::trust::client_config_of_nobody()
    };
    let builder = hyper_rustls::HttpsConnectorBuilder::new().with_tls_config(config?);
    Ok(builder.https_or_http().enable_http1().build())
}

#[cfg(not(feature = "tls"))]
pub(crate) fn connector(_: &Uri, _: Option<&Path>) -> Result<Connector, ConnectorError> {
    Ok(HttpConnector::new())
}

/// An error with what caused it: the outermost says little.
pub(crate) fn reason(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
