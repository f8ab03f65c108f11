//! Messages as they arrive: what has come of the next one is memory, too.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::extract::ws::Message;
use futures_util::Stream;
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::error::CapacityError;

use crate::memory::Held;
use crate::serve::Arrived;

/// Before its session a client has nothing long to say, and there is no session to be ended for what it says.
const UNSTARTED_BYTES_MAX: usize = 64 * 1024;

/// Of a ping or a pong of a client, with its mask.
const CONTROL_HEADER_BYTES: u64 = 6;

/// The messages of a connection. What has come of one that is not whole yet is held by its session, where the socket is
/// the server's own; of an application's nobody knows.
#[derive(Debug)]
pub(super) struct Arriving<S> {
    messages: S,
    arrived: Option<Arrived>,
    /// How much had arrived when the last message was whole, and all pings and pongs since, in bytes.
    taken: u64,
    part: Held,
    has_started: bool,
}

impl<S> Arriving<S> {
    /// Messages of a connection without a session, of whose socket `arrived` tells.
    pub(super) fn new(messages: S, arrived: Option<Arrived>, part: Held) -> Self {
        let taken = arrived.as_ref().map_or(0, Arrived::bytes);
        Self { messages, arrived, taken, part, has_started: false }
    }

    /// The session has started: from now on messages may be long.
    pub(super) fn start(&mut self) {
        self.has_started = true;
    }

    fn take_whole(&mut self, message: &Message) -> Result<(), axum::Error> {
        let bytes = length(message);
        if matches!(message, Message::Ping(_) | Message::Pong(_)) {
            // They come between the parts of another.
            self.taken += CONTROL_HEADER_BYTES + bytes as u64;
            return Ok(());
        }
        self.taken = self.arrived.as_ref().map_or(0, Arrived::bytes);
        self.part.set(0);
        self.check(bytes)
    }

    /// What has come of the next message. What was read ahead with the one before is none of it: less than is read at
    /// once.
    fn take_part(&mut self) -> Result<(), axum::Error> {
        let arrived = self.arrived.as_ref().map_or(0, Arrived::bytes);
        let bytes = usize::try_from(arrived.saturating_sub(self.taken)).unwrap_or(usize::MAX);
        self.part.set(bytes);
        self.check(bytes)
    }

    fn check(&self, size: usize) -> Result<(), axum::Error> {
        if self.has_started || size <= UNSTARTED_BYTES_MAX {
            return Ok(());
        }
        let too_long = CapacityError::MessageTooLong { size, max_size: UNSTARTED_BYTES_MAX };
        Err(axum::Error::new(Error::Capacity(too_long)))
    }
}

impl<S: Stream<Item = Result<Message, axum::Error>> + Unpin> Stream for Arriving<S> {
    type Item = S::Item;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match Pin::new(&mut self.messages).poll_next(context) {
            Poll::Pending => match self.take_part() {
                Ok(()) => Poll::Pending,
                Err(too_long) => Poll::Ready(Some(Err(too_long))),
            },
            Poll::Ready(Some(Ok(message))) => Poll::Ready(Some(self.take_whole(&message).map(|()| message))),
            ended => ended,
        }
    }
}

/// What a message brings, in bytes.
pub(super) fn length(message: &Message) -> usize {
    match message {
        Message::Text(text) => text.len(),
        Message::Binary(bytes) | Message::Ping(bytes) | Message::Pong(bytes) => bytes.len(),
        Message::Close(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::VecDeque;
    use std::sync::Arc;

    use futures_util::{FutureExt, StreamExt, stream};

    use super::*;
    use crate::http::SocketFault;
    use crate::memory::{Account, SessionsMemory};

    type Came = RefCell<VecDeque<Message>>;

    /// What came whole, as a socket would tell it.
    fn messages(came: &Came) -> impl Stream<Item = Result<Message, axum::Error>> + Unpin {
        stream::poll_fn(|_| {
            came.borrow_mut().pop_front().map_or(Poll::Pending, |message| Poll::Ready(Some(Ok(message))))
        })
    }

    fn account() -> Arc<Account> {
        Account::open(&SessionsMemory::new(usize::MAX))
    }

    fn is_too_large(next: Option<Option<Result<Message, axum::Error>>>) -> bool {
        let Some(Some(Err(error))) = next else { return false };
        SocketFault::of(error) == SocketFault::TooLarge
    }

    #[test]
    fn a_part_of_a_message_is_held_until_it_is_whole_or_the_connection_goes() {
        let (came, account, arrived) = (Came::default(), account(), Arrived::default());
        arrived.add(300);
        let mut arriving = Arriving::new(messages(&came), Some(arrived.clone()), account.hold(0));
        arriving.start();
        for (more, held) in [(0, 0), (100_000, 100_000), (50_000, 150_000)] {
            arrived.add(more);
            assert!(arriving.next().now_or_never().is_none());
            assert_eq!(account.bytes(), held, "what came with the handshake is no message");
        }
        arrived.add(7);
        came.borrow_mut().push_back(Message::binary(vec![0; 150_000]));
        assert!(arriving.next().now_or_never().is_some());
        assert_eq!(account.bytes(), 0);
        // A ping between the parts of a message.
        arrived.add(90_000 + 16);
        came.borrow_mut().push_back(Message::Ping(vec![0; 10].into()));
        assert!(arriving.next().now_or_never().is_some());
        arrived.add(5);
        assert!(arriving.next().now_or_never().is_none());
        assert_eq!(account.bytes(), 90_005);
        drop(arriving);
        assert_eq!(account.bytes(), 0);
    }

    #[test]
    fn before_the_start_no_message_is_long_whole_or_not() {
        let long = || Message::binary(vec![0; UNSTARTED_BYTES_MAX + 1]);
        for arrived in [None, Some(Arrived::default())] {
            let came = Came::default();
            let mut arriving = Arriving::new(messages(&came), arrived.clone(), account().hold(0));
            came.borrow_mut().extend([Message::binary(vec![0; UNSTARTED_BYTES_MAX]), long()]);
            assert!(matches!(arriving.next().now_or_never(), Some(Some(Ok(_)))));
            assert!(is_too_large(arriving.next().now_or_never()));
            if let Some(arrived) = arrived {
                arrived.add(UNSTARTED_BYTES_MAX + 1);
                assert!(is_too_large(arriving.next().now_or_never()));
            }
            arriving.start();
            came.borrow_mut().push_back(long());
            assert!(matches!(arriving.next().now_or_never(), Some(Some(Ok(_)))));
        }
    }
}
