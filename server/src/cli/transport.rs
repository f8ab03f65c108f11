use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

use super::config::Complaint;
use super::token::is_readable_by_others;
use crate::{Limits, Server, Tachograph, Tls, TlsError};

/// What the process has open beside connections: its listener, its runtime, its logs, files that it reads.
const OWN_DESCRIPTORS: u64 = 64;

#[derive(Debug, Args)]
pub(super) struct TransportArgs {
    /// Speak https and wss with this certificate: PEM, with those that vouch for it after it. It is read again at
    /// SIGHUP.
    #[arg(long, env = "TACHOGRAPH_TLS_CERT", value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,

    /// The certificate's private key: PEM, without a password.
    #[arg(long, env = "TACHOGRAPH_TLS_KEY", value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,

    /// Connections at once; one more is closed at once.
    #[arg(long, env = "TACHOGRAPH_MAX_CONNECTIONS", default_value = "4096", value_name = "N",
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    max_connections: u32,

    /// Of them those from one address, or one /64 of IPv6; one more is closed at once.
    #[arg(long, env = "TACHOGRAPH_MAX_CONNECTIONS_PER_ADDRESS", default_value = "512", value_name = "N",
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    max_connections_per_address: u32,

    /// How long a client may take to send a request's header, and to begin with the next one, in seconds.
    #[arg(long, env = "TACHOGRAPH_HEADER_SECONDS", default_value = "10", value_name = "SECONDS",
          value_parser = clap::value_parser!(u64).range(1..=3600))]
    header_seconds: u64,

    /// How long a client may take to agree on encryption, in seconds.
    #[arg(long, env = "TACHOGRAPH_HANDSHAKE_SECONDS", default_value = "10", value_name = "SECONDS",
          value_parser = clap::value_parser!(u64).range(1..=3600))]
    handshake_seconds: u64,

    /// How long a client may take nothing of what is sent to it, in seconds.
    #[arg(long, env = "TACHOGRAPH_STALL_SECONDS", default_value = "35", value_name = "SECONDS",
          value_parser = clap::value_parser!(u64).range(1..=3600))]
    stall_seconds: u64,
}

impl TransportArgs {
    pub(super) fn limits(&self, limits: Limits) -> Limits {
        Limits {
            connections: self.max_connections as usize,
            connections_per_address: self.max_connections_per_address as usize,
            header_time: Duration::from_secs(self.header_seconds),
            handshake_time: Duration::from_secs(self.handshake_seconds),
            stall_time: Duration::from_secs(self.stall_seconds),
            ..limits
        }
    }

    pub(super) fn scheme(&self) -> &'static str {
        if self.tls_cert.is_some() { "https" } else { "http" }
    }

    /// What is wrong in files that can be read: of others that is told anyhow.
    pub(super) fn complaints(&self) -> Vec<Complaint> {
        let complaint = |error: TlsError| match error {
            TlsError::Unreadable { .. } => None,
            error => Some(Complaint::new("tls-cert", error.to_string())),
        };
        self.tls().err().and_then(complaint).into_iter().collect()
    }

    /// What is given to speak https with.
    pub(super) fn tls(&self) -> Result<Option<Tls>, TlsError> {
        let (Some(certificate), Some(key)) = (&self.tls_cert, &self.tls_key) else { return Ok(None) };
        Tls::from_files(certificate, key).map(Some)
    }

    /// What has `tls` show what the files hold by now.
    pub(super) fn renew(&self, tls: &Tls) -> Result<Box<dyn FnOnce() + Send>, String> {
        let (Some(certificate), Some(key)) = (&self.tls_cert, &self.tls_key) else {
            return Err("to serve without encryption takes a restart".into());
        };
        let renewed = Tls::from_files(certificate, key).map_err(|error| error.to_string())?;
        let (tls, key) = (tls.clone(), key.clone());
        Ok(Box::new(move || {
            warn_of_a_key_for_all(&key);
            if renewed.chain_length() < tls.chain_length() {
                tracing::warn!(
                    "the certificate's file holds fewer certificates than before: if it was not written to its end, \
                     clients will not trust it"
                );
            }
            tls.show(&renewed);
        }))
    }

    /// What serves, with as many descriptors as it may have.
    pub(super) fn server(&self, tacho: &Tachograph, tls: Option<&Tls>) -> Server {
        self.raise_descriptors();
        self.tls_key.iter().for_each(|key| warn_of_a_key_for_all(key));
        let server = Server::new(tacho.clone());
        match tls {
            Some(tls) => server.tls(tls.clone()),
            None => server,
        }
    }

    /// The soft limit is low for the sake of programs that know no other way to wait; this one may have the hard one.
    fn raise_descriptors(&self) {
        let wanted = u64::from(self.max_connections) + OWN_DESCRIPTORS;
        match rlimit::increase_nofile_limit(u64::MAX) {
            Ok(descriptors) if descriptors >= wanted => tracing::debug!(descriptors, "descriptors are enough"),
            Ok(descriptors) => tracing::warn!(
                descriptors,
                wanted,
                "the system allows fewer descriptors than there may be connections: raise it, such as with ulimit -n, \
                 or lower --max-connections"
            ),
            Err(error) => tracing::warn!(%error, "it is not known how many descriptors the system allows"),
        }
    }
}

fn warn_of_a_key_for_all(key: &Path) {
    if fs::metadata(key).is_ok_and(|metadata| is_readable_by_others(&metadata)) {
        let path = key.display().to_string();
        tracing::warn!(?path, "every user of this machine can read this key; chmod 600 keeps it to yourself");
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Only {
        #[command(flatten)]
        transport: TransportArgs,
    }

    fn parsed(args: &[&str]) -> Result<TransportArgs, String> {
        let args = ["tachograph"].iter().chain(args);
        Only::try_parse_from(args).map(|only| only.transport).map_err(|error| error.to_string())
    }

    #[test]
    fn defaults_are_those_of_the_library() {
        let args = parsed(&[]).unwrap();
        assert_eq!(args.limits(Limits::default()), Limits::default());
        assert_eq!(args.scheme(), "http");
    }

    #[test]
    fn what_is_given_becomes_a_limit() {
        let args = parsed(&["--max-connections", "7", "--header-seconds", "3"]).unwrap();
        let limits = args.limits(Limits { sessions: 5, ..Limits::default() });
        assert_eq!((limits.connections, limits.header_time.as_secs(), limits.sessions), (7, 3, 5));
    }

    #[test]
    fn a_certificate_needs_its_key_and_a_key_its_certificate() {
        assert!(parsed(&["--tls-cert", "c.pem"]).unwrap_err().contains("--tls-key"));
        assert!(parsed(&["--tls-key", "k.pem"]).unwrap_err().contains("--tls-cert"));
        assert_eq!(parsed(&["--tls-cert", "c.pem", "--tls-key", "k.pem"]).unwrap().scheme(), "https");
    }
}
