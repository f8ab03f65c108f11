use std::fs::File;
use std::io::Read;
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;

use tokio_rustls::rustls::client::WebPkiServerVerifier;
use tokio_rustls::rustls::client::danger::ServerCertVerifier;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio_rustls::rustls::server::ParsedCertificate;
use tokio_rustls::rustls::sign::{CertifiedKey, SingleCertAndKey};
use tokio_rustls::rustls::{CertificateError, DEFAULT_VERSIONS, Error, RootCertStore, ServerConfig};

use super::{Shown, TlsError};

const FILE_BYTES_MAX: u64 = 1 << 20;

/// What a server with this certificate and key says to those who connect.
pub(super) fn read(certificate: &Path, key: &Path) -> Result<Shown, TlsError> {
    let chain = read_chain(certificate)?;
    let own = chain.first().cloned().ok_or_else(|| TlsError::NoCertificate { path: certificate.into() })?;
    ParsedCertificate::try_from(&own).map_err(|_| TlsError::InvalidCertificate { path: certificate.into() })?;
    let provider = Arc::new(ring::default_provider());
    let unusable = || TlsError::UnusableKey { path: key.into() };
    let signing = provider.key_provider.load_private_key(read_key(key)?).map_err(|_| unusable())?;
    if let Some(why) = out_of_time(&own, &provider) {
        // It is shown all the same: clients say so too, and a clock that is wrong must not end a server.
        tracing::warn!(path = %certificate.display(), "the certificate {why}; clients will refuse it");
    }
    #[cfg(feature = "cli")]
    let chain_length = chain.len();
    let certified = CertifiedKey::new(chain, signing);
    if certified.keys_match().is_err() {
        return Err(TlsError::KeyOfAnother { certificate: certificate.into(), key: key.into() });
    }
    let config = ServerConfig::builder_with_provider(provider).with_protocol_versions(DEFAULT_VERSIONS);
    let config = config.map_err(|_| unusable())?.with_no_client_auth();
    let mut config = config.with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Shown {
        #[cfg(feature = "cli")]
        certificate: own,
        #[cfg(feature = "cli")]
        chain_length,
        config: Arc::new(config),
    })
}

/// What is wrong with a certificate's time, if that is.
fn out_of_time(own: &CertificateDer<'static>, provider: &Arc<CryptoProvider>) -> Option<&'static str> {
    let mut roots = RootCertStore::empty();
    // By itself it vouches for nobody; but its time is looked at before that is.
    roots.add(own.clone()).ok()?;
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider)).build().ok()?;
    let anybody = ServerName::IpAddress(Ipv4Addr::LOCALHOST.into());
    match verifier.verify_server_cert(own, &[], &anybody, &[], UnixTime::now()) {
        Err(Error::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. })) => {
            Some("has expired")
        }
        Err(Error::InvalidCertificate(CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. })) => {
            Some("is not valid yet")
        }
        _ => None,
    }
}

fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let text = read_text(path)?;
    let chain = CertificateDer::pem_slice_iter(&text).collect::<Result<Vec<_>, _>>();
    let chain = chain.map_err(|_| TlsError::Damaged { path: path.into() })?;
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

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    #[test]
    fn a_certificate_out_of_its_time_is_noticed() {
        let provider = Arc::new(ring::default_provider());
        for (years, expected) in
            [((2000, 2001), Some("has expired")), ((3000, 3001), Some("is not valid yet")), ((2000, 3000), None)]
        {
            let mut params = CertificateParams::new(["tachograph.example".to_owned()]).unwrap();
            (params.not_before, params.not_after) = (date_time_ymd(years.0, 1, 1), date_time_ymd(years.1, 1, 1));
            let own = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
            assert_eq!(out_of_time(own.der(), &provider), expected, "{years:?}");
        }
    }
}
