//! A WebSocket client that sends whatever it is told to, by RFC 6455 or against it, and reads strictly.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use tachograph_tests::{Failure, Server};

pub(crate) const FEED: &str = "/ws/live-listener";
pub(crate) const VIEW: &str = "/ws/stream";

/// For whatever the server is to do at once.
pub(crate) const SOON: Duration = Duration::from_secs(15);
/// The example of RFC 6455, and what it is answered with.
pub(crate) const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
const MASK: [u8; 4] = [0x37, 0xFA, 0x21, 0x3D];

pub(crate) const CONTINUATION: u8 = 0;
pub(crate) const TEXT: u8 = 1;
pub(crate) const BINARY: u8 = 2;
pub(crate) const CLOSE: u8 = 8;
pub(crate) const PING: u8 = 9;
pub(crate) const PONG: u8 = 10;

/// A frame to be sent; by itself as it should be.
#[derive(Clone)]
pub(crate) struct Frame {
    pub(crate) opcode: u8,
    pub(crate) payload: Vec<u8>,
    pub(crate) is_final: bool,
    /// The three reserved bits, 1 to 7.
    pub(crate) reserved: u8,
    pub(crate) is_masked: bool,
    pub(crate) length: Length,
}

/// How a frame's length is said.
#[derive(Clone, Copy)]
pub(crate) enum Length {
    Shortest,
    Bits16,
    Bits64,
    /// Another one than that of the payload.
    Claimed(u64),
}

impl Frame {
    pub(crate) fn new(opcode: u8, payload: impl Into<Vec<u8>>) -> Self {
        let (is_final, is_masked, reserved, length) = (true, true, 0, Length::Shortest);
        Self { opcode, payload: payload.into(), is_final, reserved, is_masked, length }
    }

    /// More of its message follows.
    pub(crate) fn unfinished(self) -> Self {
        Self { is_final: false, ..self }
    }

    pub(crate) fn unmasked(self) -> Self {
        Self { is_masked: false, ..self }
    }

    pub(crate) fn reserved(self, reserved: u8) -> Self {
        Self { reserved, ..self }
    }

    pub(crate) fn length(self, length: Length) -> Self {
        Self { length, ..self }
    }

    pub(crate) fn close(code: u16, reason: &[u8]) -> Self {
        Self::new(CLOSE, [&code.to_be_bytes()[..], reason].concat())
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![u8::from(self.is_final) << 7 | self.reserved << 4 | self.opcode];
        let mask_bit = u8::from(self.is_masked) << 7;
        let count = self.payload.len();
        match self.length {
            Length::Shortest if count < 126 => bytes.push(mask_bit | count as u8),
            Length::Shortest | Length::Bits16 if count <= 0xFFFF => {
                bytes.push(mask_bit | 126);
                bytes.extend((count as u16).to_be_bytes());
            }
            Length::Claimed(count) => {
                bytes.push(mask_bit | 127);
                bytes.extend(count.to_be_bytes());
            }
            _ => {
                bytes.push(mask_bit | 127);
                bytes.extend((count as u64).to_be_bytes());
            }
        }
        if self.is_masked {
            bytes.extend(MASK);
            bytes.extend(self.payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        } else {
            bytes.extend(&self.payload);
        }
        bytes
    }
}

pub(crate) fn bytes_of(frames: impl IntoIterator<Item = Frame>) -> Vec<u8> {
    frames.into_iter().flat_map(|frame| frame.bytes()).collect()
}

/// A frame that came.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) opcode: u8,
    pub(crate) payload: Vec<u8>,
}

/// How a connection ended, as its client saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Closed(u16),
    /// A close without a code.
    ClosedBare,
    /// No close.
    Cut,
}

pub(crate) struct Client {
    pub(crate) socket: TcpStream,
    unread: Vec<u8>,
}

impl Client {
    /// Connects, and shakes hands.
    pub(crate) fn open(server: &Server, path: &str) -> Result<Self, Failure> {
        Self::open_with(server, path, "")
    }

    /// The same with further lines in the request's head.
    pub(crate) fn open_with(server: &Server, path: &str, lines: &str) -> Result<Self, Failure> {
        let mut client = Self::connect(server)?;
        client.write(request("GET", path, &server.address, lines).as_bytes())?;
        let head = client.head()?;
        assert!(head.starts_with("http/1.1 101 "), "{head}");
        assert!(head.contains(&format!("sec-websocket-accept: {}\r\n", ACCEPT.to_ascii_lowercase())), "{head}");
        assert!(!head.contains("sec-websocket-extensions"), "nothing is negotiated: {head}");
        assert!(!head.contains("sec-websocket-protocol"), "nothing is negotiated: {head}");
        Ok(client)
    }

    /// One at the feed whose session has begun: before it no message may be long.
    pub(crate) fn begin(server: &Server) -> Result<Self, Failure> {
        let mut client = Self::open(server, FEED)?;
        client.send([Frame::new(TEXT, r#"{"type":"start","session_id":"call-7"}"#)])?;
        while client.message("status")?["state"] != "streaming" {}
        Ok(client)
    }

    pub(crate) fn connect(server: &Server) -> Result<Self, Failure> {
        let socket = TcpStream::connect(&server.address)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(SOON))?;
        socket.set_write_timeout(Some(SOON))?;
        Ok(Self { socket, unread: Vec::new() })
    }

    /// An answer's head, in lower case.
    pub(crate) fn head(&mut self) -> Result<String, Failure> {
        loop {
            if let Some(place) = self.unread.windows(4).position(|window| window == b"\r\n\r\n") {
                let head = self.unread.drain(..place + 4).collect();
                return Ok(String::from_utf8(head)?.to_ascii_lowercase());
            }
            if self.fill()? == 0 {
                return Err("the connection ended within a head".into());
            }
        }
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        Ok(self.socket.write_all(bytes)?)
    }

    pub(crate) fn send(&mut self, frames: impl IntoIterator<Item = Frame>) -> Result<(), Failure> {
        self.write(&bytes_of(frames))
    }

    /// Sends what may meet a connection that is closed already.
    pub(crate) fn try_send(&mut self, bytes: &[u8]) {
        let _closed_already = self.socket.write_all(bytes);
    }

    fn fill(&mut self) -> Result<usize, Failure> {
        let mut bytes = [0; 16 * 1024];
        let count = match self.socket.read(&mut bytes) {
            Ok(count) => count,
            // What the server had not read is answered with a reset, behind all that it sent.
            Err(error) if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => 0,
            Err(error) => return Err(error.into()),
        };
        self.unread.extend(&bytes[..count]);
        Ok(count)
    }

    /// The next frame, which must be as a server's are to be; none at the connection's end.
    pub(crate) fn next(&mut self) -> Result<Option<Received>, Failure> {
        loop {
            if let Some((received, length)) = parse(&self.unread) {
                self.unread.drain(..length);
                return Ok(Some(received));
            }
            if self.fill()? == 0 {
                return if self.unread.is_empty() {
                    Ok(None)
                } else {
                    Err("the connection ended within a frame".into())
                };
            }
        }
    }

    /// The next frame of this kind.
    pub(crate) fn next_of(&mut self, opcode: u8) -> Result<Received, Failure> {
        let until = Instant::now() + SOON;
        while Instant::now() < until {
            let received = self.next()?.ok_or("the connection ended")?;
            if received.opcode == opcode {
                return Ok(received);
            }
            assert_ne!(received.opcode, CLOSE, "{:?}", String::from_utf8_lossy(&received.payload));
        }
        Err("no such frame came in time".into())
    }

    /// The next message of the feed of this type.
    pub(crate) fn message(&mut self, kind: &str) -> Result<serde_json::Value, Failure> {
        loop {
            let message: serde_json::Value = serde_json::from_slice(&self.next_of(TEXT)?.payload)?;
            if message["type"] == kind {
                return Ok(message);
            }
        }
    }

    /// Reads to the end of the connection, which must come soon and with nothing behind a close.
    pub(crate) fn end(&mut self) -> Result<End, Failure> {
        let until = Instant::now() + SOON;
        while Instant::now() < until {
            let Some(received) = self.next()? else { return Ok(End::Cut) };
            if received.opcode == CLOSE {
                let end = match received.payload.first_chunk() {
                    Some(code) => End::Closed(u16::from_be_bytes(*code)),
                    None => End::ClosedBare,
                };
                assert!(self.next()?.is_none(), "something came behind the close");
                return Ok(end);
            }
        }
        Err("the connection does not end".into())
    }

    /// Asks whether it is still there, behind all that was sent.
    pub(crate) fn assert_open(&mut self, name: &str) -> Result<(), Failure> {
        let question = b"still there?";
        self.send([Frame::new(PING, question)]).map_err(|error| format!("{name}: {error}"))?;
        while self.next_of(PONG).map_err(|error| format!("{name}: {error}"))?.payload != question {}
        Ok(())
    }
}

/// A handshake but for the method.
pub(crate) fn request(method: &str, path: &str, host: &str, lines: &str) -> String {
    format!(
        "{method} {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n{lines}\r\n"
    )
}

/// The first frame and its length, if it is whole.
fn parse(bytes: &[u8]) -> Option<(Received, usize)> {
    let [first, second, rest @ ..] = bytes else { return None };
    assert_eq!(second & 0x80, 0, "a server does not mask");
    assert_eq!(first & 0x70, 0, "no bit has a meaning");
    assert_eq!(first & 0x80, 0x80, "this server sends whole messages");
    let opcode = first & 0x0F;
    let (length, header) = match second & 0x7F {
        126 => (u64::from(u16::from_be_bytes(*rest.first_chunk()?)), 4),
        127 => (u64::from_be_bytes(*rest.first_chunk()?), 10),
        short => (u64::from(short), 2),
    };
    let shortest = [2, 4, 10][usize::from(length > 125) + usize::from(length > 0xFFFF)];
    assert_eq!(header, shortest, "a length takes no more bytes than it needs");
    assert!([TEXT, BINARY, CLOSE, PING, PONG].contains(&opcode), "opcode {opcode}");
    assert!(opcode < CLOSE || length <= 125, "a control frame is short");
    let end = header + length as usize;
    let payload = bytes.get(header..end)?.to_vec();
    assert!(opcode != CLOSE || payload.len() != 1, "a close has a whole code");
    assert!(opcode != TEXT || str::from_utf8(&payload).is_ok());
    Some((Received { opcode, payload }, end))
}
