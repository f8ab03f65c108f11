use std::future::pending;
#[cfg(feature = "live")]
use std::sync::Arc;

#[cfg(feature = "live")]
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;

/// On what a request was let in: an extension of it, for what goes on for long. Within an application there is none,
/// and nothing is taken back.
#[derive(Clone, Debug, Default)]
pub(crate) struct Admission(Option<CancellationToken>);

impl Admission {
    pub(super) fn until(revoked: CancellationToken) -> Self {
        Self(Some(revoked))
    }

    /// Done when the token was taken back, or the browser signed out; else never.
    pub(crate) async fn revoked(&self) {
        match &self.0 {
            Some(revoked) => revoked.cancelled().await,
            None => pending().await,
        }
    }
}

/// A client of the live-listener protocol that may not feed: an extension of its request, which is to be told so in the
/// protocol's own words. There are not many at once.
#[cfg(feature = "live")]
#[derive(Clone, Debug)]
pub(crate) struct TurnedAway {
    _place: Arc<OwnedSemaphorePermit>,
}

#[cfg(feature = "live")]
impl TurnedAway {
    pub(super) fn at(place: OwnedSemaphorePermit) -> Self {
        Self { _place: Arc::new(place) }
    }
}
