//! One viewer.

use std::io::{ErrorKind, Read, Write};

use mio::net::TcpStream;

use super::Transport;
use super::frames::{Lines, Message, WebSocketFrames};
use crate::Failure;

const HEAD_MAX: usize = 8_192;

/// A viewer's connection and what of it is read.
pub(super) struct Client {
    pub(super) stream: TcpStream,
    /// The head of the answer, until it is whole.
    head: Option<Vec<u8>>,
    body: Body,
    pub(super) is_open: bool,
}

enum Body {
    Frames(WebSocketFrames),
    Lines(Lines),
}

impl Client {
    /// Connects and asks; the rest follows without waiting.
    pub(super) fn connect(address: &str, transport: Transport) -> Result<Self, Failure> {
        let mut stream = std::net::TcpStream::connect(address)?;
        stream.write_all(request(address, transport).as_bytes())?;
        stream.set_nonblocking(true)?;
        let body = match transport {
            Transport::Frames => Body::Frames(WebSocketFrames::default()),
            Transport::Lines => Body::Lines(Lines::default()),
        };
        Ok(Self { stream: TcpStream::from_std(stream), head: Some(Vec::new()), body, is_open: true })
    }

    /// The server has agreed.
    pub(super) fn is_answered(&self) -> bool {
        self.head.is_none()
    }

    /// Reads what is there; returns how many bytes.
    pub(super) fn read(&mut self, buffer: &mut [u8], mut seen: impl FnMut(Message<'_>)) -> Result<usize, Failure> {
        let mut total = 0;
        loop {
            match self.stream.read(buffer) {
                Ok(0) => self.is_open = false,
                Ok(length) => {
                    total += length;
                    self.take(&buffer[..length], &mut seen)?;
                    // Less than there was room for is all there was.
                    if length == buffer.len() {
                        continue;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == ErrorKind::ConnectionReset => self.is_open = false,
                Err(error) => return Err(error.into()),
            }
            return Ok(total);
        }
    }

    fn take(&mut self, bytes: &[u8], seen: &mut impl FnMut(Message<'_>)) -> Result<(), Failure> {
        let Some(head) = &mut self.head else {
            self.body.take(bytes, seen);
            return Ok(());
        };
        head.extend_from_slice(bytes);
        let Some(end) = head.windows(4).position(|four| four == b"\r\n\r\n") else {
            return if head.len() < HEAD_MAX { Ok(()) } else { Err("the answer's head has no end".into()) };
        };
        let head = self.head.take().unwrap_or_default();
        check(&head[..end])?;
        self.body.take(&head[end + 4..], seen);
        Ok(())
    }
}

impl Body {
    fn take(&mut self, bytes: &[u8], seen: impl FnMut(Message<'_>)) {
        match self {
            Self::Frames(frames) => frames.take(bytes, seen),
            Self::Lines(lines) => lines.take(bytes, seen),
        }
    }
}

/// The key is that of the WebSocket's specification: the answer to it is not checked.
fn request(address: &str, transport: Transport) -> String {
    match transport {
        Transport::Frames => format!(
            "GET /ws/stream HTTP/1.1\r\nhost: {address}\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        ),
        Transport::Lines => {
            format!("GET /api/v1/stream HTTP/1.1\r\nhost: {address}\r\naccept: application/x-ndjson\r\n\r\n")
        }
    }
}

fn check(head: &[u8]) -> Result<(), Failure> {
    let text = String::from_utf8_lossy(head);
    let status = text.split(' ').nth(1).unwrap_or("none");
    if matches!(status, "101" | "200") {
        Ok(())
    } else {
        Err(format!("the server answers with status {status}").into())
    }
}
