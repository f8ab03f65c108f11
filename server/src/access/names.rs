//! What hosts, origins and networks are called.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use axum::http::uri::Authority;
use ipnet::IpNet;

/// Where a scheme's servers are if their address says no port.
pub(super) const fn usual_port(is_encrypted: bool) -> u16 {
    if is_encrypted { 443 } else { 80 }
}

/// A name, or address, that a server is reached by; with a port only that one is meant.
///
/// ```
/// use tachograph::access::HostName;
///
/// let host: HostName = "tacho.example.org".parse()?;
/// assert_eq!("Tacho.Example.org.".parse::<HostName>()?, host);
/// assert!("https://tacho.example.org".parse::<HostName>().is_err());
/// # Ok::<(), tachograph::access::NameError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostName {
    name: Box<str>,
    port: Option<u16>,
}

/// Where a page comes from, as a browser says it: scheme, host and port.
///
/// ```
/// use tachograph::access::Origin;
///
/// let origin: Origin = "https://wiki.example.org".parse()?;
/// assert_eq!("https://wiki.example.org:443".parse::<Origin>()?, origin);
/// assert!("wiki.example.org".parse::<Origin>().is_err());
/// # Ok::<(), tachograph::access::NameError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    is_encrypted: bool,
    name: Box<str>,
    port: u16,
}

/// Addresses that begin alike, such as `10.0.0.0/8`, or one alone.
///
/// ```
/// use tachograph::access::Network;
///
/// let network: Network = "10.0.0.0/8".parse()?;
/// assert!(network.contains([10, 1, 2, 3].into()) && !network.contains([11, 1, 2, 3].into()));
/// # Ok::<(), tachograph::access::NameError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network(IpNet);

/// Why a text names nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// It is no host.
    #[error("must be a host such as tacho.example.org, 10.0.0.1 or [fd00::1], with or without a port")]
    NoHost,
    /// It is no origin.
    #[error("must be an origin such as https://wiki.example.org, without a path")]
    NoOrigin,
    /// It is no network.
    #[error("must be an address or a network such as 10.0.0.0/8 or fd00::/8")]
    NoNetwork,
}

impl HostName {
    /// Whether only this machine can be meant, whoever answers for names.
    pub(super) fn is_loopback(&self) -> bool {
        let address = self.name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        &*self.name == "localhost" || address.is_ok_and(|address| address.to_canonical().is_loopback())
    }

    /// Whether a request to `asked` is one to this. Browsers leave out the port that is usual.
    pub(super) fn takes(&self, asked: &Self, is_encrypted: bool) -> bool {
        self.name == asked.name && self.port.is_none_or(|port| port == asked.port.unwrap_or(usual_port(is_encrypted)))
    }

    pub(super) fn port(&self) -> Option<u16> {
        self.port
    }
}

impl FromStr for HostName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let authority: Authority = text.parse().map_err(|_| NameError::NoHost)?;
        let name = authority.host().trim_end_matches('.').to_ascii_lowercase();
        // What is left over is a user, or a port that is none.
        let rest = authority.as_str().get(authority.host().len()..).unwrap_or_default();
        if name.is_empty() || authority.as_str().contains('@') || !(rest.is_empty() || authority.port_u16().is_some()) {
            return Err(NameError::NoHost);
        }
        Ok(Self { name: name.into(), port: authority.port_u16() })
    }
}

impl Origin {
    /// Whether it is that of a server that is reached by `host`. On an encrypted connection a page that came without
    /// encryption is another's: whoever is between could have written it.
    pub(super) fn is_of(&self, host: &HostName, is_encrypted: bool) -> bool {
        let port = host.port.unwrap_or(usual_port(self.is_encrypted));
        self.name == host.name && self.port == port && (self.is_encrypted || !is_encrypted)
    }
}

impl FromStr for Origin {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let (scheme, rest) = text.split_once("://").ok_or(NameError::NoOrigin)?;
        let is_encrypted = match scheme.to_ascii_lowercase().as_str() {
            "https" => true,
            "http" => false,
            _ => return Err(NameError::NoOrigin),
        };
        let HostName { name, port } = rest.parse().map_err(|_| NameError::NoOrigin)?;
        Ok(Self { is_encrypted, name, port: port.unwrap_or(usual_port(is_encrypted)) })
    }
}

impl Network {
    /// Whether the address is one of it, also where it is an IPv4 address that is written as one of IPv6.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }
}

impl FromStr for Network {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let alone = text.parse::<IpAddr>().map(|address| IpNet::from(address.to_canonical()));
        alone.or_else(|_| text.parse()).map(Self).map_err(|_| NameError::NoNetwork)
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(text: &str) -> HostName {
        text.parse().unwrap()
    }

    #[test]
    fn only_what_cannot_be_anywhere_else_is_loopback() {
        for name in ["localhost", "LOCALHOST:7117", "localhost.", "127.0.0.1:80", "127.8.9.1", "[::1]:7117"] {
            assert!(host(name).is_loopback(), "{name}");
        }
        for name in ["localhost.evil.example", "127.0.0.1.evil.example", "evil.example:7117", "10.0.0.1", "[fd00::1]"] {
            assert!(!host(name).is_loopback(), "{name}");
        }
        for text in ["", "a b", "user@localhost", "localhost:port", "localhost:99999", "http://localhost", "::1", "a/b"]
        {
            assert!(text.parse::<HostName>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_host_without_a_port_is_meant_at_any() {
        let takes = |own, asked, is_encrypted| host(own).takes(&host(asked), is_encrypted);
        assert!(takes("a.example", "A.example:7117", false) && takes("a.example:1", "a.example:1", true));
        assert!(!takes("a.example:1", "a.example:2", false) && !takes("a.example", "b.a.example", false));
        assert!(takes("a.example:443", "a.example", true) && takes("a.example:80", "a.example", false));
        assert!(!takes("a.example:443", "a.example", false) && !takes("a.example:80", "a.example", true));
    }

    #[test]
    fn an_origin_is_a_servers_own_when_scheme_host_and_port_are() {
        let is_of =
            |origin: &str, name: &str, is_encrypted| origin.parse::<Origin>().unwrap().is_of(&host(name), is_encrypted);
        assert!(
            is_of("http://h:7117", "h:7117", false)
                && is_of("https://h", "H", true)
                && is_of("http://h", "h:80", false)
        );
        assert!(is_of("https://h", "h", false), "behind something that decrypts");
        assert!(!is_of("http://h", "h", true), "whoever is between wrote that page");
        assert!(!is_of("http://h:7118", "h:7117", false) && !is_of("http://g:7117", "h:7117", false));
        for text in ["null", "h", "ftp://h", "https://h/path", "https://u@h", "https://"] {
            assert!(text.parse::<Origin>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_network_takes_addresses_of_either_writing() {
        let network: Network = "10.0.0.0/8".parse().unwrap();
        assert!(network.contains("::ffff:10.1.1.1".parse().unwrap()) && !network.contains("::1".parse().unwrap()));
        assert!("10.0.0.1".parse::<Network>().unwrap().contains([10, 0, 0, 1].into()));
        assert!("10.0.0.0/33".parse::<Network>().is_err() && "proxy".parse::<Network>().is_err());
    }
}
