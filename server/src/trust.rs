//! Whom this program trusts where it is itself the client of an encrypted connection.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::{ClientConfig, DEFAULT_VERSIONS, RootCertStore};

/// Why nobody can be trusted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TrustError {
    #[error("cannot read the authority {}: {cause}", path.display())]
    Unreadable { path: PathBuf, cause: String },
    #[error("{} holds no certificate of an authority; it needs PEM with -----BEGIN CERTIFICATE-----", path.display())]
    NoAuthority { path: PathBuf },
    #[error("this system has no certificates of authorities: install its package ca-certificates, or name one's own")]
    NoneOfTheSystem,
    #[error("encryption cannot be set up")]
    Provider,
}

/// What a client says of whom it trusts: the authorities in a file, or without one those of the system. Reads files.
pub(crate) fn client_config(authority: Option<&Path>) -> Result<ClientConfig, TrustError> {
    trusting(authority.map_or_else(roots_of_the_system, roots_in)?)
}

/// Where all that is connected to is plain.
#[cfg(feature = "otlp")]
pub(crate) fn client_config_of_nobody() -> Result<ClientConfig, TrustError> {
    trusting(RootCertStore::empty())
}

fn trusting(roots: RootCertStore) -> Result<ClientConfig, TrustError> {
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = config.with_protocol_versions(DEFAULT_VERSIONS).map_err(|_| TrustError::Provider)?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

fn roots_in(path: &Path) -> Result<RootCertStore, TrustError> {
    let none = || TrustError::NoAuthority { path: path.into() };
    let unreadable = |error| match error {
        pem::Error::Io(cause) => TrustError::Unreadable { path: path.into(), cause: cause.to_string() },
        _ => none(),
    };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(unreadable)? {
        roots.add(certificate.map_err(unreadable)?).map_err(|_| none())?;
    }
    if roots.is_empty() { Err(none()) } else { Ok(roots) }
}

fn roots_of_the_system() -> Result<RootCertStore, TrustError> {
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::debug!(%error, "some of the system's authorities are not trusted");
    }
    let mut roots = RootCertStore::empty();
    let (trusted, ignored) = roots.add_parsable_certificates(found.certs);
    tracing::debug!(trusted, ignored, "the system's authorities are trusted");
    if roots.is_empty() { Err(TrustError::NoneOfTheSystem) } else { Ok(roots) }
}
