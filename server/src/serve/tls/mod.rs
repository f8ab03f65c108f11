//! Encryption: the server's certificate and key, which can change while it works.

mod error;
mod files;
mod handshake;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::RwLock;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
#[cfg(feature = "cli")]
use tokio_rustls::rustls::pki_types::CertificateDer;

pub use error::TlsError;
pub(super) use handshake::greet;

/// A server's certificate and key, from files that can be read again. Clones are the same one.
///
/// It speaks TLS 1.3 and 1.2, and HTTP/1.1 over them.
///
/// ```no_run
/// use tachograph::{Server, Tachograph, Tls};
/// use tokio::net::TcpListener;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let tls = Tls::from_files("/etc/tachograph/cert.pem", "/etc/tachograph/key.pem")?;
/// let server = Server::new(Tachograph::new()?).tls(tls.clone());
/// let serving = tokio::spawn(server.serve(TcpListener::bind("0.0.0.0:7117").await?));
/// // … later, when the files were renewed:
/// tls.reload()?;
/// serving.await??;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Tls(Arc<Shared>);

struct Shared {
    certificate: PathBuf,
    key: PathBuf,
    shown: RwLock<Shown>,
}

/// What clients meet.
#[derive(Clone)]
struct Shown {
    #[cfg(feature = "cli")]
    certificate: CertificateDer<'static>,
    /// It and those that vouch for it.
    #[cfg(feature = "cli")]
    chain_length: usize,
    config: Arc<ServerConfig>,
}

impl Tls {
    /// Reads a certificate with those that vouch for it, its own first, and its private key. Both are PEM; the key
    /// is PKCS#8, PKCS#1 or SEC1, without a password.
    ///
    /// # Errors
    /// A file cannot be read or does not hold what it should, or the key is not the certificate's.
    pub fn from_files(certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Result<Self, TlsError> {
        let (certificate, key) = (certificate.into(), key.into());
        let shown = RwLock::new(files::read(&certificate, &key)?);
        Ok(Self(Arc::new(Shared { certificate, key, shown })))
    }

    /// Reads the files again. Who connects from now on meets the new certificate; open connections stay as they are.
    ///
    /// # Errors
    /// As [`from_files`](Self::from_files); then what was there before stays in force.
    pub fn reload(&self) -> Result<(), TlsError> {
        let shown = files::read(&self.0.certificate, &self.0.key)?;
        *self.0.shown.write() = shown;
        Ok(())
    }

    /// What `renewed` shows, from now on.
    #[cfg(feature = "cli")]
    pub(crate) fn show(&self, renewed: &Self) {
        *self.0.shown.write() = renewed.0.shown.read().clone();
    }

    /// How many certificates clients meet, the server's own one among them.
    #[cfg(feature = "cli")]
    pub(crate) fn chain_length(&self) -> usize {
        self.0.shown.read().chain_length
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        Arc::clone(&self.0.shown.read().config).into()
    }

    /// Whether that is the certificate which clients meet now.
    #[cfg(feature = "cli")]
    pub(crate) fn shows(&self, certificate: &CertificateDer<'_>) -> bool {
        self.0.shown.read().certificate == *certificate
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shared { certificate, key, .. } = &*self.0;
        f.debug_struct("Tls").field("certificate", certificate).field("key", key).finish_non_exhaustive()
    }
}
