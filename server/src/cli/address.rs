/// A WebSocket of a server, from the address that people know: `http://127.0.0.1:7117` or `https://example.org`.
///
/// # Errors
/// What is wrong with it, for a person.
pub(super) fn socket_url(text: &str, endpoint: &str) -> Result<String, String> {
    let (scheme, rest) = text.split_once("://").unwrap_or(("http", text));
    let scheme = match scheme {
        "http" | "ws" => "ws",
        "https" | "wss" => "wss",
        _ => return Err("must be an address such as http://127.0.0.1:7117".into()),
    };
    let rest = rest.trim_end_matches('/').trim_end_matches(endpoint);
    if rest.is_empty() { Err("the host is missing".into()) } else { Ok(format!("{scheme}://{rest}{endpoint}")) }
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
}
