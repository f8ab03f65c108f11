use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until};

use super::metrics::CutOff;
use super::visit::Visit;

/// What the system holds for a connection whose other end does not read, so that a slow viewer is noticed
/// and costs little; the system may double it.
const SEND_BUFFER_BYTES: usize = 128 * 1024;

/// A connection's socket. It holds the permit, whatever the socket becomes, and gives up a client that takes nothing.
pub(super) struct Socket {
    stream: TcpStream,
    visit: Arc<Visit>,
    stall: Stall,
}

/// How long writes have been waiting.
struct Stall {
    limit: Duration,
    /// Made when a write first has to wait, and kept for the next time.
    timer: Option<Pin<Box<Sleep>>>,
    is_waiting: bool,
    is_over: bool,
}

impl Socket {
    pub(super) fn new(stream: TcpStream, visit: Arc<Visit>) -> Self {
        // A frame a second is small: it must not wait for more.
        let bounded = SockRef::from(&stream).set_send_buffer_size(SEND_BUFFER_BYTES);
        if let Err(error) = stream.set_nodelay(true).and(bounded) {
            tracing::debug!(%error, "a connection sends with delay, or buffers as much as the system likes");
        }
        let limit = visit.app().limits.now().stall_time;
        Self { stream, visit, stall: Stall { limit, timer: None, is_waiting: false, is_over: false } }
    }

    /// The first byte, which stays to be read; None where there will be none.
    #[cfg(feature = "tls")]
    pub(super) async fn peek(&self) -> io::Result<Option<u8>> {
        let mut first = [0];
        Ok((self.stream.peek(&mut first).await? > 0).then_some(first[0]))
    }

    /// Passes on what a write came to, unless it has been waiting for too long.
    fn unless_stalled(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            self.stall.is_waiting = false;
            return written;
        }
        ready!(self.stall.poll(context));
        if !std::mem::replace(&mut self.stall.is_over, true) {
            self.cut_off();
        }
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    fn cut_off(&self) {
        self.visit.count_cut_off(CutOff::Stalled);
        // What it did not take is let go of with the socket: the system would go on offering it for minutes.
        if let Err(error) = SockRef::from(&self.stream).set_linger(Some(Duration::ZERO)) {
            tracing::debug!(%error, "the system keeps what a client did not take");
        }
    }
}

impl Stall {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if !self.is_waiting {
            self.is_waiting = true;
            let deadline = Instant::now() + self.limit;
            match &mut self.timer {
                Some(timer) => timer.as_mut().reset(deadline),
                None => self.timer = Some(Box::pin(sleep_until(deadline))),
            }
        }
        self.timer.as_mut().map_or(Poll::Pending, |timer| timer.as_mut().poll(context))
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if buffer.filled().len() > before {
            self.visit.begin();
        }
        read
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.unless_stalled(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.unless_stalled(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
