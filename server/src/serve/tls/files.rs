use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::ParsedCertificate;
use tokio_rustls::rustls::sign::{CertifiedKey, SingleCertAndKey};
use tokio_rustls::rustls::{DEFAULT_VERSIONS, ServerConfig};

use super::TlsError;

const FILE_BYTES_MAX: u64 = 1 << 20;

/// What a server with this certificate and key says to those who connect.
pub(super) fn read(certificate: &Path, key: &Path) -> Result<Arc<ServerConfig>, TlsError> {
    let chain = read_chain(certificate)?;
    let provider = Arc::new(ring::default_provider());
    let unusable = || TlsError::UnusableKey { path: key.into() };
    let signing = provider.key_provider.load_private_key(read_key(key)?).map_err(|_| unusable())?;
    let certified = CertifiedKey::new(chain, signing);
    if certified.keys_match().is_err() {
        return Err(TlsError::KeyOfAnother { certificate: certificate.into(), key: key.into() });
    }
    let config = ServerConfig::builder_with_provider(provider).with_protocol_versions(DEFAULT_VERSIONS);
    let config = config.map_err(|_| unusable())?.with_no_client_auth();
    let mut config = config.with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let text = read_text(path)?;
    let chain = CertificateDer::pem_slice_iter(&text).collect::<Result<Vec<_>, _>>();
    let chain = chain.map_err(|_| TlsError::Damaged { path: path.into() })?;
    let own = chain.first().ok_or_else(|| TlsError::NoCertificate { path: path.into() })?;
    ParsedCertificate::try_from(own).map_err(|_| TlsError::InvalidCertificate { path: path.into() })?;
    Ok(chain)
}

fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_slice(&read_text(path)?).map_err(|error| match error {
        pem::Error::NoItemsFound => TlsError::NoKey { path: path.into() },
        _ => TlsError::Damaged { path: path.into() },
    })
}

fn read_text(path: &Path) -> Result<Vec<u8>, TlsError> {
    let mut text = Vec::new();
    let read = File::open(path).and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_end(&mut text));
    let read = read.map_err(|cause| TlsError::Unreadable { path: path.into(), cause })?;
    if read as u64 > FILE_BYTES_MAX {
        return Err(TlsError::TooLong { path: path.into() });
    }
    Ok(text)
}
