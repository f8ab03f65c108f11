use tachograph_core::registry::RegisterError;

/// Why metrics are not pushed.
///
/// ```
/// use tachograph::Tachograph;
/// use tachograph::export::{Otlp, OtlpError};
/// use tokio_util::sync::CancellationToken;
///
/// let tacho = Tachograph::new()?;
/// let refused = Otlp::new("grpc://collector").spawn(&tacho, CancellationToken::new());
/// assert!(matches!(refused, Err(OtlpError::InvalidEndpoint(_))));
/// # Ok::<(), tachograph::registry::RegisterError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OtlpError {
    /// The endpoint is not an address. It is not repeated here, as it may hold a password.
    #[error("the endpoint {0}; it is such as http://127.0.0.1:4318")]
    InvalidEndpoint(&'static str),
    /// The endpoint asks for TLS, which this build does not speak.
    #[error(
        "https needs this crate's feature `tls`; or push to a collector on this machine, such as http://127.0.0.1:4318, \
         and let it go on by https"
    )]
    Https,
    /// There is nobody by whose word a collector at https could be trusted; the text says why.
    #[error("{0}")]
    NoAuthority(String),
    /// A header that HTTP does not take.
    #[error("the header {0:?} has a name or a value that HTTP does not take")]
    InvalidHeader(String),
    /// A header that the exporter sets itself.
    #[error("the header {0:?} is set by the exporter; leave it out")]
    ReservedHeader(String),
    /// More headers than 32.
    #[error("there can be 32 headers")]
    TooManyHeaders,
    /// A resource attribute without a name, or a long one.
    #[error("the resource attribute {0:?} must have a name, and name and value at most 1,024 bytes each")]
    InvalidResource(String),
    /// More resource attributes than 128.
    #[error("there can be 128 resource attributes")]
    TooManyResources,
    /// The interval is too short or too long.
    #[error("the interval must be from 0.1 s to 1 day")]
    InvalidInterval,
    /// What waits has too little room.
    #[error("the buffer must hold at least 2 MiB and 2 requests")]
    InvalidBuffer,
    /// There is nothing to run the exporter.
    #[error("the exporter is to be started within a tokio runtime")]
    NoRuntime,
    /// Its own counts could not be registered.
    #[error("{0}")]
    Register(#[from] RegisterError),
}
