//! Whom this program trusts where it is itself the client of an encrypted connection.

use std::path::{Path, PathBuf};
use std::sync::Arc;

#[cfg(feature = "cli")]
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::ring;
#[cfg(feature = "cli")]
use tokio_rustls::rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
#[cfg(feature = "cli")]
use tokio_rustls::rustls::pki_types::{ServerName, UnixTime};
#[cfg(feature = "cli")]
use tokio_rustls::rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};
use tokio_rustls::rustls::{ClientConfig, DEFAULT_VERSIONS, RootCertStore};

#[cfg(feature = "cli")]
use crate::Tls;

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

/// Trusts the certificate that a server of this process shows, by whatever name it is reached.
#[cfg(feature = "cli")]
pub(crate) fn client_config_of(tls: Tls) -> Result<ClientConfig, TrustError> {
    let provider = Arc::new(ring::default_provider());
    let own = Arc::new(Own { tls, signatures: provider.signature_verification_algorithms });
    let config = ClientConfig::builder_with_provider(provider).with_protocol_versions(DEFAULT_VERSIONS);
    let config = config.map_err(|_| TrustError::Provider)?.dangerous().with_custom_certificate_verifier(own);
    Ok(config.with_no_client_auth())
}

/// Knows one certificate. Who shows it has to have its key, as with every other.
#[cfg(feature = "cli")]
#[derive(Debug)]
struct Own {
    tls: Tls,
    signatures: WebPkiSupportedAlgorithms,
}

#[cfg(feature = "cli")]
impl ServerCertVerifier for Own {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let stranger = || Error::InvalidCertificate(CertificateError::UnknownIssuer);
        self.tls.shows(shown).then(ServerCertVerified::assertion).ok_or_else(stranger)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.signatures)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.signatures)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.signatures.supported_schemes()
    }
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
