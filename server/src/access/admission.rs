use std::future::pending;
#[cfg(feature = "live")]
use std::sync::Arc;

#[cfg(feature = "live")]
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

/// On what a request was let in: an extension of it, for what goes on for long. Within an application there is none,
/// and nothing is taken back.
#[derive(Clone, Debug, Default)]
pub(crate) struct Admission {
    revoked: Option<CancellationToken>,
    ends_at: Option<Instant>,
}

impl Admission {
    pub(crate) fn until(revoked: CancellationToken) -> Self {
        Self { revoked: Some(revoked), ends_at: None }
    }

    /// For as long as a sign-in lasts.
    pub(super) fn ending_at(self, ends_at: Instant) -> Self {
        Self { ends_at: Some(ends_at), ..self }
    }

    /// Done when the token was taken back, or the browser's sign-in is over; else never.
    pub(crate) async fn revoked(&self) {
        let Some(revoked) = &self.revoked else { return pending().await };
        match self.ends_at {
            Some(ends_at) => _ = revoked.run_until_cancelled(sleep_until(ends_at)).await,
            None => revoked.cancelled().await,
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_is_over_when_it_is_taken_back_or_its_time_is_up() {
        const DAY: Duration = Duration::from_secs(24 * 60 * 60);
        let (token, now) = (CancellationToken::new(), Instant::now());
        let (by_token, by_cookie) =
            (Admission::until(token.clone()), Admission::until(token.clone()).ending_at(now + DAY));
        by_cookie.revoked().await;
        assert_eq!(now.elapsed(), DAY);
        assert!(timeout(DAY, by_token.revoked()).await.is_err());
        assert!(timeout(DAY, Admission::default().revoked()).await.is_err());
        token.cancel();
        by_token.revoked().await;
        Admission::until(token).ending_at(Instant::now() + DAY).revoked().await;
        assert_eq!(now.elapsed(), DAY * 3);
    }
}
