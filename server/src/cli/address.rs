use axum::http::Uri;

/// A WebSocket of a server, from the address that people know: `http://127.0.0.1:7117` or `https://example.org`.
///
/// # Errors
/// What is wrong with it, for a person.
pub(super) fn socket_url(text: &str, endpoint: &str) -> Result<String, String> {
    let (is_encrypted, rest) = parts(text, endpoint)?;
    Ok(format!("{}://{rest}{endpoint}", if is_encrypted { "wss" } else { "ws" }))
}

/// An address of a server's that is asked for by HTTP.
///
/// # Errors
/// The same.
pub(super) fn http_url(text: &str, endpoint: &str) -> Result<Uri, String> {
    let (is_encrypted, rest) = parts(text, endpoint)?;
    let uri = format!("{}://{rest}{endpoint}", if is_encrypted { "https" } else { "http" }).parse::<Uri>();
    let names_a_host = |uri: &Uri| uri.host().is_some_and(|host| !host.is_empty());
    let has_password = |uri: &Uri| uri.authority().is_some_and(|authority| authority.as_str().contains('@'));
    uri.ok().filter(|uri| names_a_host(uri) && !has_password(uri)).ok_or_else(wrong)
}

/// Whether it is encrypted, and what stands between the scheme and the endpoint.
fn parts<'a>(text: &'a str, endpoint: &str) -> Result<(bool, &'a str), String> {
    let (scheme, rest) = text.split_once("://").unwrap_or(("http", text));
    let is_encrypted = match scheme {
        "http" | "ws" => false,
        "https" | "wss" => true,
        _ => return Err(wrong()),
    };
    let rest = rest.trim_end_matches('/').trim_end_matches(endpoint);
    if rest.is_empty() { Err("the host is missing".into()) } else { Ok((is_encrypted, rest)) }
}

fn wrong() -> String {
    "must be an address such as http://127.0.0.1:7117".into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_become_sockets() {
        let url = |text| socket_url(text, "/ws/stream");
        assert_eq!(url("http://127.0.0.1:7117").as_deref(), Ok("ws://127.0.0.1:7117/ws/stream"));
        assert_eq!(url("localhost:7117/tacho/").as_deref(), Ok("ws://localhost:7117/tacho/ws/stream"));
        assert_eq!(url("ws://h/ws/stream").as_deref(), Ok("ws://h/ws/stream"));
        assert_eq!(url("https://h:1").as_deref(), Ok("wss://h:1/ws/stream"));
        assert_eq!(url("wss://h/ws/stream/").as_deref(), Ok("wss://h/ws/stream"));
        assert!(url("ftp://h").is_err() && url("http://").is_err());
    }

    #[test]
    fn addresses_are_asked() {
        for (given, asked) in [
            ("http://127.0.0.1:7117", "http://127.0.0.1:7117/healthz"),
            ("localhost:7117/tacho/", "http://localhost:7117/tacho/healthz"),
            ("http://[::1]", "http://[::1]/healthz"),
            ("https://h:7117/", "https://h:7117/healthz"),
        ] {
            assert_eq!(http_url(given, "/healthz").unwrap(), asked, "{given}");
        }
        for given in ["ftp://h", "http://", "http:///x", "http://:1", "http://a b", "http://u@h", "http://h\r\nx: y"] {
            assert!(http_url(given, "/healthz").is_err(), "{given}");
        }
    }
}
