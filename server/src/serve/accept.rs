//! Takes connections from the system, as many as there may be.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use socket2::{Domain, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

use super::connection::Serving;
use super::metrics::Refused;
use super::places::Permit;
use super::refusal;
use super::seldom::Seldom;
use crate::access::Access;
use crate::backoff::Backoff;

const FIRST_WAIT: Duration = Duration::from_millis(10);
const LONGEST_WAIT: Duration = Duration::from_secs(1);

pub(super) struct Acceptor {
    listener: TcpListener,
    serving: Arc<Serving>,
    access: Access,
    spare: Spare,
    backoff: Backoff,
    failed: Seldom,
    refused: Seldom,
}

impl Acceptor {
    pub(super) fn new(listener: TcpListener, serving: Arc<Serving>, access: Access) -> Self {
        let (failed, refused) = (Seldom::default(), Seldom::default());
        Self {
            listener,
            serving,
            access,
            spare: Spare::new(),
            backoff: Backoff::new(FIRST_WAIT, LONGEST_WAIT),
            failed,
            refused,
        }
    }

    /// Until the shutdown. Then nobody can connect any more.
    pub(super) async fn run(mut self) {
        let shutdown = self.serving.app.shutdown.clone();
        let accepting = async {
            loop {
                match self.listener.accept().await {
                    Ok((stream, address)) => self.welcome(stream, address),
                    Err(error) => self.recover(&error).await,
                }
            }
        };
        tokio::select! {
            biased;
            () = shutdown.cancelled() => {}
            () = accepting => {}
        }
    }

    fn welcome(&mut self, stream: TcpStream, address: SocketAddr) {
        self.backoff.reset();
        self.spare.refill();
        let address = SocketAddr::new(address.ip().to_canonical(), address.port());
        match Permit::take(&self.serving.app, address.ip(), self.access.trusts(address.ip())) {
            Ok(permit) => self.serving.begin(stream, address, permit),
            Err(reason) => self.refuse(&stream, reason),
        }
    }

    fn refuse(&mut self, stream: &TcpStream, reason: Refused) {
        self.serving.app.metrics.transport.count_refusal(reason);
        if !self.serving.is_encrypted() {
            refusal::tell(stream, reason);
        }
        if let Some(connections) = self.refused.is_due() {
            tracing::warn!(connections, reason = reason.as_str(), "connections were refused: there are too many");
        }
    }

    /// What has to be done before the next one is asked for, so that a failure that lasts does not spin.
    async fn recover(&mut self, error: &io::Error) {
        self.serving.app.metrics.transport.accept_failures.inc();
        if let Some(failures) = self.failed.is_due() {
            tracing::warn!(%error, failures, "a connection could not be accepted");
        }
        if is_of_one_connection(error) || (is_exhaustion(error) && self.turn_away()) {
            return;
        }
        sleep(self.backoff.wait()).await;
    }

    /// With the spare descriptor the client is accepted, to be refused: otherwise it would wait for an answer until
    /// others end. False where there was no spare one, or no client.
    fn turn_away(&mut self) -> bool {
        if !self.spare.release() {
            self.spare.refill();
            return false;
        }
        let accepted = self.listener.accept().now_or_never();
        let stream = accepted.and_then(Result::ok).map(|(stream, _)| stream);
        if let Some(stream) = &stream {
            self.refuse(stream, Refused::Descriptors);
        }
        let is_refused = stream.is_some();
        drop(stream);
        self.spare.refill();
        is_refused
    }
}

/// A client that went while it waited; the next one is a matter of its own.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

/// Neither the process (EMFILE) nor the system (ENFILE) has a descriptor left.
fn is_exhaustion(error: &io::Error) -> bool {
    cfg!(unix) && matches!(error.raw_os_error(), Some(23 | 24))
}

/// A descriptor held back, to be let go of when there is no other.
struct Spare(Option<Socket>);

impl Spare {
    fn new() -> Self {
        let mut spare = Self(None);
        spare.refill();
        spare
    }

    fn refill(&mut self) {
        if self.0.is_none() {
            // A socket that leads nowhere: every system has them.
            self.0 = Socket::new(Domain::IPV4, Type::STREAM, None).ok();
        }
    }

    /// Whether there was one.
    fn release(&mut self) -> bool {
        self.0.take().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_of_one_client_is_told_from_one_that_lasts() {
        assert!(is_of_one_connection(&io::ErrorKind::ConnectionAborted.into()));
        assert!(!is_of_one_connection(&io::Error::from_raw_os_error(24)));
        assert!(!is_exhaustion(&io::ErrorKind::PermissionDenied.into()));
        if cfg!(unix) {
            assert!(
                is_exhaustion(&io::Error::from_raw_os_error(24)) && is_exhaustion(&io::Error::from_raw_os_error(23))
            );
        }
    }

    #[test]
    fn the_spare_descriptor_is_there_once() {
        let mut spare = Spare::new();
        assert!(spare.release() && !spare.release());
        spare.refill();
        assert!(spare.release());
    }
}
