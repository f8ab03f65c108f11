use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::HttpBody;
use hyper::body::{Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio::time::{Sleep, sleep};

use super::metrics::CutOff;
use super::visit::Visit;

/// A request's body is small and comes at once, or is not worth waiting for.
const TIME_MAX: Duration = Duration::from_secs(10);

pin_project! {
    /// A request's body, which has to come in time. Where it is to begin, nothing waits before it is read.
    pub(super) struct Timed<B> {
        #[pin]
        body: B,
        #[pin]
        deadline: Option<Sleep>,
        visit: Arc<Visit>,
    }
}

impl<B> Timed<B> {
    pub(super) fn new(body: B, visit: Arc<Visit>) -> Self {
        Self { body, deadline: None, visit }
    }
}

impl<B: HttpBody<Error: Into<Box<dyn std::error::Error + Send + Sync>>>> HttpBody for Timed<B> {
    type Data = B::Data;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, Self::Error>>> {
        let mut this = self.project();
        if let Poll::Ready(frame) = this.body.poll_frame(context) {
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        if this.deadline.is_none() {
            this.deadline.set(Some(sleep(TIME_MAX)));
        }
        let is_late = this.deadline.as_pin_mut().is_some_and(|deadline| deadline.poll(context).is_ready());
        if !is_late {
            return Poll::Pending;
        }
        this.visit.count_cut_off(CutOff::Body);
        Poll::Ready(Some(Err(io::Error::from(io::ErrorKind::TimedOut).into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::pin::pin;

    use axum::body::Body;
    use bytes::Bytes;
    use futures_util::stream;
    use tokio::time::Instant;

    use super::super::admission::Permit;
    use super::*;
    use crate::Tachograph;

    fn visit(tacho: &Tachograph) -> Arc<Visit> {
        let address = std::net::Ipv4Addr::LOCALHOST.into();
        Visit::new(Permit::take(&tacho.0, address, false).unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_come_is_given_up_and_counted() {
        let tacho = Tachograph::new().unwrap();
        let pieces = stream::unfold(3, async |left: u32| {
            let wait = if left > 0 { TIME_MAX / 10 } else { TIME_MAX * 10 };
            sleep(wait).await;
            Some((Ok::<_, io::Error>(Bytes::from_static(b"x")), left.saturating_sub(1)))
        });
        let mut body = pin!(Timed::new(Body::from_stream(pieces), visit(&tacho)));
        let began = Instant::now();
        let mut frames = 0;
        while let Some(Ok(_)) = poll_fn(|context| body.as_mut().poll_frame(context)).await {
            frames += 1;
        }
        assert_eq!((frames, began.elapsed().as_secs()), (3, TIME_MAX.as_secs()), "all of it has one deadline");
        let counted = tacho.registry().snapshot().counter("tachograph_connections_cut_off", &[("reason", "body")]);
        assert_eq!(counted, Some(1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_comes_is_passed_on() {
        let tacho = Tachograph::new().unwrap();
        let body = Body::new(Timed::new(Body::from("whole"), visit(&tacho)));
        assert_eq!(axum::body::to_bytes(body, 100).await.unwrap(), "whole");
    }
}
