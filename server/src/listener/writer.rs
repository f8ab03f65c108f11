use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message};
use futures_util::{FutureExt, Sink, SinkExt};
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::outbox::{Closing, Outbox, Outgoing};
use crate::app::App;
use crate::supervise::Task;

/// A client that takes nothing for so long is gone.
const WRITE_MAX: Duration = Duration::from_secs(30);
/// Asks a silent client whether it is still there.
const PING_EVERY: Duration = Duration::from_secs(20);

/// Writes what the outbox holds until it is closed or the client cannot be written to. A connection whose writer
/// failed is lost: half a message may be out.
pub(super) async fn write(app: App, sink: impl Sink<Message> + Unpin, outbox: Arc<Outbox>) {
    match AssertUnwindSafe(write_until_closed(sink, &outbox)).catch_unwind().await {
        Ok(Ok(())) => {}
        Ok(Err(Unwritable::Lost)) => outbox.lost.cancel(),
        Ok(Err(Unwritable::NotRead)) => outbox.not_read.cancel(),
        Err(_) => {
            app.note_failure(Task::Writer);
            outbox.lost.cancel();
        }
    }
}

/// Why nothing more can be written.
enum Unwritable {
    Lost,
    NotRead,
}

async fn write_until_closed(mut sink: impl Sink<Message> + Unpin, outbox: &Outbox) -> Result<(), Unwritable> {
    let mut pings = interval(PING_EVERY);
    pings.set_missed_tick_behavior(MissedTickBehavior::Skip);
    pings.tick().await;
    loop {
        let message = tokio::select! {
            outgoing = outbox.next() => match outgoing {
                Outgoing::Text(text) => Message::text(text),
                Outgoing::Close(closing) => return send(&mut sink, closing.into()).await,
            },
            _ = pings.tick() => Message::Ping(Default::default()),
        };
        send(&mut sink, message).await?;
    }
}

async fn send(sink: &mut (impl Sink<Message> + Unpin), message: Message) -> Result<(), Unwritable> {
    let sent = timeout(WRITE_MAX, sink.send(message)).await.map_err(|_| Unwritable::NotRead)?;
    sent.map_err(|_| Unwritable::Lost)
}

impl From<Closing> for Message {
    fn from(Closing { code, reason }: Closing) -> Self {
        Self::Close(Some(CloseFrame { code, reason: reason.into() }))
    }
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use tachograph_core::wire::{ServerMessage, Status, StatusState};
    use tokio::time::Instant;

    use super::*;
    use crate::Tachograph;
    use crate::memory::Account;

    /// A connection that answers a send so.
    struct Answering(Poll<Result<(), ()>>);

    impl Sink<Message> for Answering {
        type Error = ();

        fn poll_ready(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), ()>> {
            self.0
        }

        fn start_send(self: Pin<&mut Self>, _: Message) -> Result<(), ()> {
            Ok(())
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), ()>> {
            self.0
        }

        fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), ()>> {
            self.0
        }
    }

    async fn written(sink: Answering) -> (Arc<Outbox>, Duration) {
        let app = Tachograph::new().unwrap().0.clone();
        let outbox = Arc::new(Outbox::new(app.metrics.metrics_conflated.clone(), Account::open(&app.memory)));
        let began = Instant::now();
        outbox.push(ServerMessage::Status(Status::new(StatusState::Connected, "Connected")));
        write(app, sink, Arc::clone(&outbox)).await;
        (outbox, began.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn a_send_that_fails_loses_the_connection_at_once() {
        let (outbox, took) = written(Answering(Poll::Ready(Err(())))).await;
        assert_eq!((outbox.lost.is_cancelled(), outbox.not_read.is_cancelled(), took), (true, false, Duration::ZERO));
    }

    #[tokio::test(start_paused = true)]
    async fn a_send_that_never_completes_is_given_up() {
        let (outbox, took) = written(Answering(Poll::Pending)).await;
        assert_eq!((outbox.lost.is_cancelled(), outbox.not_read.is_cancelled()), (false, true));
        assert!((WRITE_MAX..WRITE_MAX + Duration::from_secs(1)).contains(&took), "{took:?}");
    }
}
