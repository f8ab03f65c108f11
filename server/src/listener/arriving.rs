//! Messages as they arrive: what has come of the next one is memory, too.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::extract::ws::Message;
use futures_util::Stream;
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::error::CapacityError;

use crate::http::{CLIENT_READ_BYTES, SOCKET_MESSAGE_BYTES_MAX};
use crate::memory::Held;
use crate::serve::Arrived;

/// Before its session a client has nothing long to say, and there is no session to be ended for what it says.
const UNSTARTED_BYTES_MAX: usize = 64 * 1024;
/// Of a ping or a pong of a client, with its mask.
const CONTROL_HEADER_BYTES: u64 = 6;

/// The messages of a connection. What comes of one is held before it is whole, and afterwards too: the socket keeps as
/// much for the next. So the most that came of any counts, beyond what each socket has, from the session's start until
/// the connection goes. Of a socket that an application serves nobody knows what came.
#[derive(Debug)]
pub(super) struct Arriving<S> {
    messages: S,
    arrived: Option<Arrived>,
    /// How much had arrived when the last message was whole, and all pings and pongs since, in bytes.
    taken: u64,
    /// By the most that came of a message until now.
    held: Held,
    accepts: Accepts,
}

/// How long a message may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Accepts {
    Start,
    Audio,
    /// Nothing is made of it.
    Anything,
}

impl<S> Arriving<S> {
    /// Messages of a connection without a session, of whose socket `arrived` tells; `held` is where they count.
    pub(super) fn new(messages: S, arrived: Option<Arrived>, held: Held) -> Self {
        let taken = arrived.as_ref().map_or(0, Arrived::bytes);
        Self { messages, arrived, taken, held, accepts: Accepts::Start }
    }

    /// The session has started: from now on messages may be long, and count.
    pub(super) fn start(&mut self) {
        self.accepts = Accepts::Audio;
    }

    /// The connection is about to end: what comes still is read for the client's sake alone.
    pub(super) fn end(&mut self) {
        self.accepts = Accepts::Anything;
    }

    fn take_whole(&mut self, message: &Message) -> Result<(), axum::Error> {
        let bytes = length(message);
        if matches!(message, Message::Ping(_) | Message::Pong(_)) {
            // They come between the parts of another.
            self.taken += CONTROL_HEADER_BYTES + bytes as u64;
            return Ok(());
        }
        self.take_part()?;
        self.taken = self.arrived.as_ref().map_or(0, Arrived::bytes);
        self.check(bytes, 0)
    }

    /// What has come of the next message, with its headers. What was read with the one before is none of it; that is no
    /// more than is read at once.
    fn take_part(&mut self) -> Result<(), axum::Error> {
        let arrived = self.arrived.as_ref().map_or(0, Arrived::bytes);
        let bytes = usize::try_from(arrived.saturating_sub(self.taken)).unwrap_or(usize::MAX);
        self.check(bytes, CLIENT_READ_BYTES)?;
        if self.accepts != Accepts::Start {
            self.held.grow_to(bytes.saturating_sub(CLIENT_READ_BYTES));
        }
        Ok(())
    }

    /// Beside a message there may be `more`: headers, and the beginning of what follows it.
    fn check(&self, size: usize, more: usize) -> Result<(), axum::Error> {
        let max_size = match self.accepts {
            Accepts::Start => UNSTARTED_BYTES_MAX,
            // The socket reads none that is longer; one of many small fragments may have most of it in headers.
            Accepts::Audio => SOCKET_MESSAGE_BYTES_MAX,
            Accepts::Anything => return Ok(()),
        };
        if size <= max_size + more {
            return Ok(());
        }
        Err(axum::Error::new(Error::Capacity(CapacityError::MessageTooLong { size, max_size })))
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

    /// A connection by whose socket so much came.
    struct Stage {
        came: Came,
        account: Arc<Account>,
        arrived: Arrived,
    }

    impl Stage {
        fn new() -> Self {
            Self { came: Came::default(), account: account(), arrived: Arrived::default() }
        }

        fn arriving(&self) -> Arriving<impl Stream<Item = Result<Message, axum::Error>> + Unpin> {
            Arriving::new(messages(&self.came), Some(self.arrived.clone()), self.account.hold(0))
        }

        fn put(&self, message: Message) {
            self.came.borrow_mut().push_back(message);
        }
    }

    #[test]
    fn the_most_that_came_of_a_message_is_held_until_the_connection_goes() {
        let stage = Stage::new();
        stage.arrived.add(300);
        let mut arriving = stage.arriving();
        arriving.start();
        for (more, held) in [(0, 0), (CLIENT_READ_BYTES, 0), (50_000, 50_000)] {
            stage.arrived.add(more);
            assert!(arriving.next().now_or_never().is_none());
            assert_eq!(stage.account.bytes(), held, "what came with the handshake is no message");
        }
        // A ping between its parts.
        stage.arrived.add(1_000 + 16);
        stage.put(Message::Ping(vec![0; 10].into()));
        assert!(arriving.next().now_or_never().is_some());
        assert!(arriving.next().now_or_never().is_none());
        assert_eq!(stage.account.bytes(), 51_000);
        stage.arrived.add(7);
        stage.put(Message::binary(vec![0; 51_007]));
        assert!(arriving.next().now_or_never().is_some());
        for more in [9, 60_000] {
            stage.arrived.add(more);
            assert!(arriving.next().now_or_never().is_none());
            assert_eq!(stage.account.bytes(), 51_007, "its socket keeps as much");
        }
        drop(arriving);
        assert_eq!(stage.account.bytes(), 0);
    }

    #[test]
    fn before_the_start_no_message_is_long_whole_or_not_and_none_counts() {
        let long = || Message::binary(vec![0; UNSTARTED_BYTES_MAX + 1]);
        for arrived in [None, Some(Arrived::default())] {
            let (came, account) = (Came::default(), account());
            let mut arriving = Arriving::new(messages(&came), arrived.clone(), account.hold(0));
            came.borrow_mut().extend([Message::binary(vec![0; UNSTARTED_BYTES_MAX]), long()]);
            assert!(matches!(arriving.next().now_or_never(), Some(Some(Ok(_)))));
            assert!(is_too_large(arriving.next().now_or_never()));
            if let Some(arrived) = arrived {
                arrived.add(UNSTARTED_BYTES_MAX + CLIENT_READ_BYTES);
                assert!(arriving.next().now_or_never().is_none());
                arrived.add(1);
                assert!(is_too_large(arriving.next().now_or_never()));
                assert_eq!(account.bytes(), 0);
            }
            arriving.start();
            came.borrow_mut().push_back(long());
            assert!(matches!(arriving.next().now_or_never(), Some(Some(Ok(_)))));
        }
    }

    #[test]
    fn a_message_of_headers_alone_ends_too_and_what_comes_after_the_end_is_read() {
        let stage = Stage::new();
        let mut arriving = stage.arriving();
        arriving.start();
        stage.arrived.add(SOCKET_MESSAGE_BYTES_MAX + CLIENT_READ_BYTES + 1);
        assert!(is_too_large(arriving.next().now_or_never()));
        assert_eq!(stage.account.bytes(), 0);
        arriving.end();
        assert!(arriving.next().now_or_never().is_none());
        stage.put(Message::Close(None));
        assert!(matches!(arriving.next().now_or_never(), Some(Some(Ok(Message::Close(None))))));
    }
}
