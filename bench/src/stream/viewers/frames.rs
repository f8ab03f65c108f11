//! What arrives, cut into messages: WebSocket frames, or lines in an HTTP body.

/// A message's first bytes tell it from others: they hold the frame's number and time.
const LINE_BEGINNING: usize = 256;

const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;

/// What a server sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Message<'a> {
    /// Records of the binary stream.
    Records(&'a [u8]),
    /// The beginning of a JSON text.
    Json(&'a [u8]),
    /// The server ends the connection.
    Close,
}

/// Cuts a stream of WebSocket frames of a server, which masks none.
#[derive(Default)]
pub(super) struct WebSocketFrames {
    /// Of a frame that is not all there.
    held: Vec<u8>,
}

impl WebSocketFrames {
    pub(super) fn take(&mut self, bytes: &[u8], mut seen: impl FnMut(Message<'_>)) {
        if self.held.is_empty() {
            let used = cut(bytes, &mut seen);
            self.held.extend_from_slice(&bytes[used..]);
        } else {
            self.held.extend_from_slice(bytes);
            let used = cut(&self.held, &mut seen);
            self.held.drain(..used);
        }
    }
}

/// Hands out the frames that are whole; returns the bytes that they take.
fn cut(bytes: &[u8], seen: &mut impl FnMut(Message<'_>)) -> usize {
    let mut used = 0;
    while let Some((operation, payload, length)) = frame(&bytes[used..]) {
        match operation {
            BINARY | CONTINUATION => seen(Message::Records(payload)),
            TEXT => seen(Message::Json(&payload[..payload.len().min(LINE_BEGINNING)])),
            CLOSE => seen(Message::Close),
            _ => {}
        }
        used += length;
    }
    used
}

/// A frame's operation, its payload, and the bytes of all of it.
fn frame(bytes: &[u8]) -> Option<(u8, &[u8], usize)> {
    let (operation, short) = (bytes.first()? & 0x0F, bytes.get(1)? & 0x7F);
    let (begin, length) = match short {
        126 => (4, u64::from(u16::from_be_bytes(*bytes.get(2..)?.first_chunk()?))),
        127 => (10, u64::from_be_bytes(*bytes.get(2..)?.first_chunk()?)),
        length => (2, length.into()),
    };
    let end = usize::try_from(length).ok()?.checked_add(begin)?;
    Some((operation, bytes.get(begin..end)?, end))
}

/// Cuts lines of JSON out of an HTTP body; the sizes between its chunks are lines that do not begin with
/// a brace.
#[derive(Default)]
pub(super) struct Lines {
    beginning: Vec<u8>,
}

impl Lines {
    /// Hands out each line's beginning once its end is there.
    pub(super) fn take(&mut self, mut bytes: &[u8], mut seen: impl FnMut(Message<'_>)) {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            self.keep(&bytes[..end]);
            if self.beginning.first() == Some(&b'{') {
                seen(Message::Json(&self.beginning));
            }
            self.beginning.clear();
            bytes = &bytes[end + 1..];
        }
        self.keep(bytes);
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = LINE_BEGINNING - self.beginning.len();
        self.beginning.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }
}
