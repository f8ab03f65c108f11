/// The viewer socket's address, relative to the page's own: the same host and folder, and
/// encrypted when the page is.
///
/// ```
/// use tachograph_web::transport::stream_address;
///
/// assert_eq!(stream_address("http:", "localhost:7117", "/"), "ws://localhost:7117/ws/stream");
/// assert_eq!(stream_address("https:", "a.example", "/tg/index.html"), "wss://a.example/tg/ws/stream");
/// ```
pub fn stream_address(protocol: &str, host: &str, path: &str) -> String {
    let scheme = if protocol == "https:" { "wss" } else { "ws" };
    let folder = path.rfind('/').map_or("/", |slash| &path[..=slash]);
    format!("{scheme}://{host}{folder}ws/stream")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_folder_works() {
        assert_eq!(stream_address("http:", "h", "/a/b/"), "ws://h/a/b/ws/stream");
        assert_eq!(stream_address("http:", "h", "/a/b"), "ws://h/a/ws/stream");
        assert_eq!(stream_address("http:", "h", ""), "ws://h/ws/stream");
    }
}
