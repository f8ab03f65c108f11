//! What the transport counts.

use tachograph_core::instrument::{Counter, Gauge};
use tachograph_core::registry::{CounterFamily, Descriptor, RegisterError, Registry};

/// Why a connection was closed before anything was read of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// There are as many as there may be.
    All,
    /// There are as many from its address as there may be.
    Address,
    /// The system had no descriptor for it.
    Descriptors,
}

impl Refused {
    const EACH: [Self; 3] = [Self::All, Self::Address, Self::Descriptors];

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Address => "address",
            Self::Descriptors => "descriptors",
        }
    }
}

/// What a client took too long for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CutOff {
    /// It began a request's header and did not end it.
    Header,
    /// It asked for nothing.
    Idle,
    /// It did not end a request's body.
    Body,
    /// It took nothing of what was sent.
    Stalled,
}

impl CutOff {
    const EACH: [Self; 4] = [Self::Header, Self::Idle, Self::Body, Self::Stalled];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Header => "header",
            Self::Idle => "idle",
            Self::Body => "body",
            Self::Stalled => "stalled",
        }
    }
}

/// Why a client and the server did not agree on encryption.
#[cfg(feature = "tls")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Handshake {
    /// It took too long.
    Timeout,
    /// The client speaks plain HTTP, or something else.
    NotTls,
    /// The client went.
    Lost,
    /// The client does not trust the certificate, or refused for another reason.
    Refused,
    /// They have no version or cipher in common, or the client breaks the protocol.
    Protocol,
}

#[cfg(feature = "tls")]
impl Handshake {
    const EACH: [Self; 5] = [Self::Timeout, Self::NotTls, Self::Lost, Self::Refused, Self::Protocol];

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::NotTls => "not_tls",
            Self::Lost => "lost",
            Self::Refused => "refused",
            Self::Protocol => "protocol",
        }
    }
}

/// The handles, bound once.
#[derive(Clone, Debug)]
pub(crate) struct TransportMetrics {
    /// Connections open.
    pub(super) open: Gauge,
    /// Times that the system did not hand a connection over.
    pub(super) accept_failures: Counter,
    /// Panics that ended a request or a connection.
    pub(super) failures: Counter,
    refused: CounterFamily,
    cut_off: CounterFamily,
    #[cfg(feature = "tls")]
    handshakes: CounterFamily,
}

impl TransportMetrics {
    /// Registers all of them.
    ///
    /// # Errors
    /// One of the names is taken by another description.
    pub(crate) fn register(registry: &Registry) -> Result<Self, RegisterError> {
        let counter = |name, help| registry.counter(&Descriptor::new(name, help))?.unlabelled();
        let open = registry.gauge(&Descriptor::new("tachograph_connections", "Connections open"))?;
        Ok(Self {
            open: open.unlabelled()?,
            accept_failures: counter("tachograph_accept_failures", "Connections that the system did not hand over")?,
            failures: counter("tachograph_connection_failures", "Panics that ended a request or a connection")?,
            refused: by_reason(
                registry,
                Descriptor::new("tachograph_connections_refused", "Connections closed at once, as too many"),
                Refused::EACH.map(Refused::as_str),
            )?,
            cut_off: by_reason(
                registry,
                Descriptor::new("tachograph_connections_cut_off", "Connections closed, as their clients took too long"),
                CutOff::EACH.map(CutOff::as_str),
            )?,
            #[cfg(feature = "tls")]
            handshakes: by_reason(
                registry,
                Descriptor::new("tachograph_tls_handshake_failures", "Clients that did not agree on encryption"),
                Handshake::EACH.map(Handshake::as_str),
            )?,
        })
    }

    pub(super) fn count_refusal(&self, reason: Refused) {
        count(&self.refused, reason.as_str());
    }

    pub(super) fn count_cut_off(&self, reason: CutOff) {
        count(&self.cut_off, reason.as_str());
    }

    #[cfg(feature = "tls")]
    pub(super) fn count_handshake(&self, reason: Handshake) {
        count(&self.handshakes, reason.as_str());
    }
}

/// A counter for each reason, all of them there from the start.
fn by_reason<const N: usize>(
    registry: &Registry,
    descriptor: Descriptor,
    reasons: [&'static str; N],
) -> Result<CounterFamily, RegisterError> {
    let family = registry.counter(&descriptor.label("reason"))?;
    for reason in reasons {
        family.bind(&[("reason", reason)]).map_err(|_| RegisterError::Conflict)?;
    }
    Ok(family)
}

fn count(family: &CounterFamily, reason: &'static str) {
    if let Ok(counter) = family.with(&[("reason", reason)]) {
        counter.inc();
    }
}
