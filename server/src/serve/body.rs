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
