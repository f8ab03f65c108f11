use std::io;
use std::path::PathBuf;

/// Why a certificate and key cannot be used.
///
/// ```
/// use tachograph::{Tls, TlsError};
///
/// let missing = Tls::from_files("no/such/cert.pem", "no/such/key.pem");
/// assert!(matches!(missing, Err(TlsError::Unreadable { .. })));
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file is missing or may not be read.
    #[error("cannot read {}: {cause}; give a file that the server may read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        cause: io::Error,
    },
    /// A file is far longer than certificates and keys are.
    #[error("{} is too long for a certificate or key: at most 1 MiB", path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
    },
    /// A file begins as PEM and is not.
    #[error("{} is damaged: what stands between its BEGIN and END lines is not PEM", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// There is no certificate in the file.
    #[error("{} holds no certificate; it needs PEM with -----BEGIN CERTIFICATE-----, the server's own first", path.display())]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// There is no private key in the file, or one with a password.
    #[error(
        "{} holds no private key without a password; it needs PEM with -----BEGIN PRIVATE KEY-----", path.display()
    )]
    NoKey {
        /// The file.
        path: PathBuf,
    },
    /// What is called a certificate is none.
    #[error("{} holds a certificate that cannot be understood; have it issued anew", path.display())]
    InvalidCertificate {
        /// The file.
        path: PathBuf,
    },
    /// The key is of a kind that is not supported.
    #[error("the key in {} is of no supported kind; take ECDSA P-256 or P-384, Ed25519, or RSA from 2,048 bits", path.display())]
    UnusableKey {
        /// The file.
        path: PathBuf,
    },
    /// The key is not the certificate's.
    #[error(
        "the key in {} is not that of the first certificate in {}; give both of one issue, the server's certificate first",
        key.display(), certificate.display()
    )]
    KeyOfAnother {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
    },
}
