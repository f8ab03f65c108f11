//! What of the running server takes new settings when they are read again; the rest takes a restart.

use tracing_subscriber::EnvFilter;

use super::access::{Gate, warn_of_a_role_without_token};
use super::config::{Change, Live, Start};
use crate::{Tachograph, Tls};

/// The settings that are limits.
const LIMITS: [&str; 11] = [
    "max-sessions",
    "sessions-megabytes",
    "messages-per-second",
    "bytes-per-second",
    "max-viewers",
    "max-subscriptions",
    "max-connections",
    "max-connections-per-address",
    "header-seconds",
    "handshake-seconds",
    "stall-seconds",
];

/// Those that say who is let in.
const ACCESS: [&str; 5] = ["view-token-file", "feed-token-file", "allowed-host", "allowed-origin", "trusted-proxy"];

/// All parts, each with the settings that it takes.
pub(super) fn parts(tacho: &Tachograph, gate: &Gate, tls: Option<&Tls>, start: &Start) -> Live {
    let mut live = Live::default();
    let limited = tacho.clone();
    live.part(&LIMITS, move |settled| {
        let (limited, limits) = (limited.clone(), settled.serve.limits());
        Ok(Box::new(move || limited.set_limits(limits)) as Change)
    });
    let gate = gate.clone();
    live.part(&ACCESS, move |settled| {
        let (access, config) = (gate.access.clone(), settled.serve.access.renewed(&gate)?);
        Ok(Box::new(move || {
            warn_of_a_role_without_token(&config);
            access.set(config);
        }) as Change)
    });
    if let Some(tls) = tls.cloned() {
        live.part(&["tls-cert", "tls-key"], move |settled| settled.serve.transport.renew(&tls));
    }
    let log = start.log.clone();
    live.part(&["log"], move |settled| {
        let filter = EnvFilter::try_new(&settled.log.log).map_err(|error| error.to_string())?;
        let log = log.clone();
        Ok(Box::new(move || log.set(filter)) as Change)
    });
    live
}
