use std::io::{Read, Write};

use socket2::SockRef;
use tokio::net::TcpStream;

use super::metrics::Refused;

/// What most clients that ask for something have sent at once.
const ASKED_BYTES: usize = 4_096;

/// Tells a client that it is refused, as far as that goes without waiting for anything. The socket is asked
/// directly, as the runtime does not know yet that it can be written to.
pub(super) fn tell(stream: &TcpStream, reason: Refused) {
    let mut socket = &*SockRef::from(stream);
    let told = socket.write(answer(reason).as_bytes());
    // What was sent and not read would have the client lose the answer: the system then resets the connection.
    let read = socket.read(&mut [0; ASKED_BYTES]);
    let closed = socket.shutdown(std::net::Shutdown::Write);
    if let Err(error) = told.and(read).map(drop).and(closed) {
        tracing::trace!(%error, "a refused client was not told, or went");
    }
}

fn answer(reason: Refused) -> String {
    let (code, message) = match reason {
        Refused::All => ("too_many_connections", "the server has as many connections as it takes; try again later"),
        Refused::Address => ("too_many_connections", "your address has as many connections as it may have; close some"),
        Refused::Descriptors => {
            ("too_many_connections", "the server cannot open more connections now; try again later")
        }
    };
    response("503 Service Unavailable", code, message)
}

/// An answer in the form of all others, for a connection that ends with it.
pub(super) fn response(status: &str, code: &str, message: &str) -> String {
    let body = format!(r#"{{"error":{{"code":"{code}","message":"{message}"}}}}"#);
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_has_the_form_of_all_answers() {
        for reason in [Refused::All, Refused::Address, Refused::Descriptors] {
            let text = answer(reason);
            let (head, body) = text.split_once("\r\n\r\n").unwrap();
            assert!(head.starts_with("HTTP/1.1 503 ") && head.contains(&format!("Content-Length: {}", body.len())));
            let body: serde_json::Value = serde_json::from_str(body).unwrap();
            assert_eq!(body["error"]["code"], "too_many_connections");
        }
    }
}
