use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::extract::Request;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, header};

use super::HostName;
use super::config::Rules;
use super::refusal::Refusal;
use crate::serve::Peer;

/// What else says that somebody speaks for another; it is not read.
const BY_ANOTHER: [&str; 7] =
    ["forwarded", "via", "x-real-ip", "x-client-ip", "true-client-ip", "cf-connecting-ip", "forwarded-for"];
const BY_ANOTHER_BEGINS: [&str; 2] = ["x-forwarded", "x-original-forwarded"];
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Who sent a request, by all that can be believed. An extension of each request that [`serve`](crate::serve) lets in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Client {
    /// Its address; behind trusted proxies that of the first one that is none of them.
    pub(crate) address: IpAddr,
    /// Whether what it sends is encrypted on its way to the server, or to the proxy.
    pub(crate) is_encrypted: bool,
    /// What it calls the server.
    pub(super) host: Option<HostName>,
    /// Whether it is on this machine, and nothing says that it speaks for another.
    pub(super) is_local: bool,
}

impl Client {
    /// # Errors
    /// What it calls the server is no name, or is two, or what it says of where it comes from contradicts itself.
    pub(super) fn of(request: &Request, rules: &Rules) -> Result<Self, Refusal> {
        // Who is not known is nobody that anything is open to.
        let unknown = Peer { address: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)), is_encrypted: false };
        let peer = request.extensions().get::<Peer>().copied().unwrap_or(unknown);
        let address = peer.address.ip().to_canonical();
        let (headers, host) = (request.headers(), host(request)?);
        let is_forwarded = is_forwarded(headers);
        let is_local = address.is_loopback() && !is_forwarded;
        let direct = Self { address, is_encrypted: peer.is_encrypted, host, is_local };
        if is_forwarded && rules.trusts(address) { direct.forwarded(headers, rules) } else { Ok(direct) }
    }

    /// As a trusted proxy says.
    fn forwarded(self, headers: &HeaderMap, rules: &Rules) -> Result<Self, Refusal> {
        let told = Told::by(headers)?;
        let host = told.host.map(|host| host.parse().map_err(|_| Refusal::Host)).transpose()?;
        let address = furthest(self.address, &told.hops, rules);
        Ok(Self {
            address,
            is_encrypted: told.scheme.map_or(self.is_encrypted, |scheme| scheme.eq_ignore_ascii_case("https")),
            host: host.or(self.host),
            // Whoever is behind a proxy is not known to be on this machine, whatever the proxy could say of it.
            is_local: false,
        })
    }
}

/// The name that the request itself is addressed to.
fn host(request: &Request) -> Result<Option<HostName>, Refusal> {
    let mut named = request.headers().get_all(header::HOST).iter().map(|name| name.to_str().unwrap_or_default());
    let in_address = request.uri().authority().map(Authority::as_str);
    let name = match (in_address, named.next(), named.next()) {
        (_, _, Some(_)) => return Err(Refusal::Host),
        (Some(one), Some(other), None) if one != other => return Err(Refusal::Host),
        (in_address, in_header, None) => in_address.or(in_header),
    };
    name.map(|name| name.parse().map_err(|_| Refusal::Host)).transpose()
}

fn is_forwarded(headers: &HeaderMap) -> bool {
    let speaks_for_another =
        |name: &str| BY_ANOTHER.contains(&name) || BY_ANOTHER_BEGINS.iter().any(|begin| name.starts_with(begin));
    headers.keys().any(|name| speaks_for_another(name.as_str()))
}

/// The nearest hop that is no trusted proxy; where one cannot be read, the last one that could be.
fn furthest(peer: IpAddr, hops: &[Option<IpAddr>], rules: &Rules) -> IpAddr {
    let mut address = peer;
    for hop in hops.iter().rev() {
        match hop {
            Some(hop) if rules.trusts(address) => address = *hop,
            _ => break,
        }
    }
    address
}

/// What the headers of proxies say.
#[derive(Debug, Default, PartialEq, Eq)]
struct Told {
    /// Nearest last; None where it is no address.
    hops: Vec<Option<IpAddr>>,
    scheme: Option<String>,
    host: Option<String>,
}

impl Told {
    /// Both forms, if there are both, have to say the same: a proxy that writes one passes on what a client wrote into
    /// the other.
    ///
    /// # Errors
    /// They do not. Which one is the client's is not known, and what is taken for the proxy's own it would have to answer
    /// for.
    fn by(headers: &HeaderMap) -> Result<Self, Refusal> {
        let (old, new) = (Self::by_old(headers), Self::by_new(headers));
        match (headers.contains_key(FORWARDED_FOR), headers.contains_key(header::FORWARDED)) {
            (true, true) if old != new => Err(Refusal::Forwarded),
            (_, false) => Ok(old),
            (_, true) => Ok(new),
        }
    }

    fn by_old(headers: &HeaderMap) -> Self {
        let nearest = |name| entries(headers, name).last().map(str::to_owned);
        Self {
            hops: entries(headers, FORWARDED_FOR).map(hop).collect(),
            scheme: nearest(FORWARDED_PROTO),
            host: nearest(FORWARDED_HOST),
        }
    }

    fn by_new(headers: &HeaderMap) -> Self {
        let hops = entries(headers, header::FORWARDED);
        let hops: Vec<_> = hops.map(|entry| hop(parameter(entry, "for").unwrap_or_default())).collect();
        let nearest = entries(headers, header::FORWARDED).last().unwrap_or_default();
        let said = |name| parameter(nearest, name).map(str::to_owned);
        Self { hops, scheme: said("proto"), host: said("host") }
    }
}

/// Those of all headers of a name, in order. One that is no text says nothing, and takes nothing from those beside it.
fn entries(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    let entries = headers.get_all(name).into_iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    entries.map(|entry| str::from_utf8(entry).unwrap_or_default().trim())
}

/// In quotes or not.
fn parameter<'a>(entry: &'a str, name: &str) -> Option<&'a str> {
    let mut pairs = entry.split(';').filter_map(|part| part.trim().split_once('='));
    pairs.find(|(held, _)| held.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim_matches('"'))
}

/// An address as proxies write it, with or without a port.
fn hop(text: &str) -> Option<IpAddr> {
    let alone = text.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().ok();
    alone.or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip())).map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;
    use crate::access::AccessConfig;

    fn client(peer: &str, headers: &[(&str, &str)]) -> Result<Client, Refusal> {
        let trusted_proxies = vec!["10.0.0.0/8".parse().unwrap(), "127.0.0.1".parse().unwrap()];
        let rules = Rules::new(AccessConfig { trusted_proxies, ..AccessConfig::default() }, None);
        let mut request = Request::get("/").header("host", "h:7117");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut request = request.body(Body::empty()).unwrap();
        let address = SocketAddr::new(peer.parse().unwrap(), 40_000);
        request.extensions_mut().insert(Peer { address, is_encrypted: false });
        Client::of(&request, &rules)
    }

    fn address(peer: &str, headers: &[(&str, &str)]) -> String {
        client(peer, headers).unwrap().address.to_string()
    }

    #[test]
    fn only_trusted_proxies_say_who_a_client_is() {
        let forged =
            [("x-forwarded-for", "127.0.0.1"), ("x-forwarded-proto", "https"), ("x-forwarded-host", "localhost")];
        let told = client("192.0.2.1", &forged).unwrap();
        assert_eq!(told.address.to_string(), "192.0.2.1");
        assert_eq!((told.is_encrypted, told.is_local, told.host), (false, false, "h:7117".parse().ok()));
        let told =
            client("10.0.0.1", &[("x-forwarded-for", "192.0.2.9"), forged[1], ("x-forwarded-host", "g")]).unwrap();
        assert_eq!((told.address.to_string().as_str(), told.is_encrypted), ("192.0.2.9", true));
        assert_eq!((told.is_local, told.host), (false, "g".parse().ok()));
    }

    #[test]
    fn a_client_is_the_nearest_hop_that_is_no_trusted_proxy() {
        let hops = |text| address("10.0.0.1", &[("x-forwarded-for", text)]);
        assert_eq!(hops("127.0.0.1, 192.0.2.9"), "192.0.2.9", "what stands before, the client wrote");
        assert_eq!(hops("192.0.2.8, 192.0.2.9, 10.3.3.3"), "192.0.2.9");
        assert_eq!(hops("192.0.2.9:4711"), "192.0.2.9");
        assert_eq!(hops("unknown"), "10.0.0.1");
        assert_eq!(
            hops("caf\u{e9}, 192.0.2.9"),
            "192.0.2.9",
            "what a client wrote takes nothing from the proxy's word"
        );
        assert_eq!(hops("192.0.2.9, unknown, 10.3.3.3"), "10.3.3.3");
        assert_eq!(
            address("10.0.0.1", &[("x-forwarded-for", "192.0.2.8"), ("x-forwarded-for", "192.0.2.9")]),
            "192.0.2.9"
        );
    }

    #[test]
    fn an_entry_that_is_no_text_says_nothing() {
        let mut headers = HeaderMap::new();
        headers.insert(FORWARDED_FOR, header::HeaderValue::from_bytes(b"\xE9\xFF, 192.0.2.9").unwrap());
        assert_eq!(entries(&headers, FORWARDED_FOR).collect::<Vec<_>>(), ["", "192.0.2.9"]);
    }

    #[test]
    fn both_forms_are_read_and_must_not_contradict_each_other() {
        let new = ("forwarded", "for=\"[2001:db8::1]:4711\";proto=https;host=g");
        let told = client("10.0.0.1", &[new]).unwrap();
        assert_eq!((told.address.to_string().as_str(), told.is_encrypted), ("2001:db8::1", true));
        assert_eq!(told.host, "g".parse().ok());
        let told = client("10.0.0.1", &[new, ("x-forwarded-for", "127.0.0.1")]);
        assert_eq!(told, Err(Refusal::Forwarded), "it is neither the proxy's nor another's");
        let same = [new, ("x-forwarded-for", "2001:db8::1"), ("x-forwarded-proto", "https"), ("x-forwarded-host", "g")];
        assert_eq!(client("10.0.0.1", &same).unwrap().address.to_string(), "2001:db8::1");
        // A client knows its own address, and could add the rest.
        let told = client("10.0.0.1", &[new, ("x-forwarded-for", "2001:db8::1")]);
        assert_eq!(told, Err(Refusal::Forwarded));
        let told = client("192.0.2.1", &[new, ("x-forwarded-for", "127.0.0.1")]).unwrap();
        assert_eq!(told.address.to_string(), "192.0.2.1", "of others neither is read");
    }

    #[test]
    fn who_speaks_for_another_is_not_on_this_machine() {
        assert!(client("127.0.0.1", &[]).unwrap().is_local && client("::ffff:127.0.0.1", &[]).unwrap().is_local);
        for header in ["x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-forwarded-server"]
            .into_iter()
            .chain(["x-original-forwarded-for"])
            .chain(BY_ANOTHER)
        {
            assert!(!client("127.0.0.2", &[(header, "1.1 proxy")]).unwrap().is_local, "{header}");
        }
        assert!(!client("127.0.0.1", &[("x-forwarded-for", "unknown")]).unwrap().is_local);
    }

    #[test]
    fn a_server_is_called_by_one_name() {
        assert_eq!(client("127.0.0.1", &[("host", "other")]), Err(Refusal::Host));
        let request = Request::get("http://one/").header("host", "other").body(Body::empty()).unwrap();
        assert_eq!(host(&request), Err(Refusal::Host));
        let request = Request::get("http://one/").header("host", "one").body(Body::empty()).unwrap();
        assert_eq!(host(&request), Ok("one".parse().ok()));
        assert_eq!(host(&Request::new(Body::empty())), Ok(None));
    }
}
