//! WebSocket as RFC 6455 has it, and what is against it: the built program's two endpoints against a client that
//! can send either. The chapters are those of the Autobahn test suite; behind them comes what only harms.
//!
//! After each chapter the server lives, has counted as many ends as connections, and holds no session.

mod abuse;
mod client;

use std::time::{Duration, Instant};

use client::{
    BINARY, CLOSE, CONTINUATION, Client, End, FEED, Frame, KEY, Length, PING, PONG, SOON, TEXT, VIEW, bytes_of, request,
};
use tachograph_tests::{Failure, Server};

/// The longest message that is read.
const FEED_BYTES_MAX: usize = 1024 * 1024;
const UNSTARTED_BYTES_MAX: usize = 64 * 1024;
const VIEW_BYTES_MAX: usize = 1024;

/// What a client sends, and what comes of it at each endpoint: at the feed before its session and within it.
struct Case {
    name: String,
    bytes: Vec<u8>,
    unstarted: Outcome,
    feed: Outcome,
    view: Outcome,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// The connection goes on.
    Open,
    Ends(End),
}

const REFUSED: Outcome = Outcome::Ends(End::Closed(1002));
const NOT_UTF8: Outcome = Outcome::Ends(End::Closed(1007));
const TOO_LARGE: Outcome = Outcome::Ends(End::Closed(1009));

/// The same everywhere.
fn case(name: impl Into<String>, frames: impl IntoIterator<Item = Frame>, outcome: Outcome) -> Case {
    Case { name: name.into(), bytes: bytes_of(frames), unstarted: outcome, feed: outcome, view: outcome }
}

fn run(cases: impl IntoIterator<Item = Case>) -> Result<(), Failure> {
    let server = Server::start("serve", &[])?;
    for case in cases {
        let clients = [
            ("the feed", Client::open(&server, FEED)?, case.unstarted),
            ("a session", Client::begin(&server)?, case.feed),
            ("the view", Client::open(&server, VIEW)?, case.view),
        ];
        for (place, mut client, outcome) in clients {
            let name = format!("{} at {place}", case.name);
            client.try_send(&case.bytes);
            match outcome {
                Outcome::Open => client.assert_open(&name)?,
                Outcome::Ends(expected) => {
                    let end = client.end().map_err(|error| format!("{name}: {error}"))?;
                    assert_eq!(end, expected, "{name}");
                }
            }
        }
    }
    assert_settled(&server)
}

/// The server lives, and nothing of any client is left in it.
fn assert_settled(server: &Server) -> Result<(), Failure> {
    assert_eq!(server.get("/healthz")?, "ok");
    let until = Instant::now() + SOON;
    loop {
        let metrics = server.get("/metrics")?;
        let figure = |name: &str| {
            let line = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
            line.and_then(|figure| figure.parse::<f64>().ok()).unwrap_or_default()
        };
        let (begun, ended) = (figure("ws_connections_total"), figure("ws_disconnects_total"));
        let left = [begun - ended, figure("active_sessions"), figure("tachograph_viewers")];
        if left == [0.0; 3] {
            return Ok(());
        }
        if Instant::now() > until {
            return Err(format!("open connections, sessions, viewers: {left:?}").into());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A message of exactly so many bytes that the feed understands enough of to say that it does not know it.
fn unknown(length: usize) -> Vec<u8> {
    let (before, after) = (r#"{"type":"dance","pad":""#, r#""}"#);
    let pad = length.saturating_sub(before.len() + after.len());
    format!("{before}{}{after}", "a".repeat(pad)).into_bytes()
}

// ---- 1: lengths

#[test]
fn messages_have_every_length() -> Result<(), Failure> {
    let lengths =
        [0, 1, 125, 126, 127, 128, VIEW_BYTES_MAX, VIEW_BYTES_MAX + 1, 65_535, 65_536, 65_537, FEED_BYTES_MAX];
    let cases = lengths.into_iter().flat_map(|length| {
        let within = |bytes_max| if length <= bytes_max { Outcome::Open } else { TOO_LARGE };
        let (unstarted, view) = (within(UNSTARTED_BYTES_MAX), within(VIEW_BYTES_MAX));
        [TEXT, BINARY].map(|opcode| {
            let frame = Frame::new(opcode, vec![b'a'; length]);
            Case { unstarted, view, ..case(format!("{length} bytes of opcode {opcode}"), [frame], Outcome::Open) }
        })
    });
    run(cases)
}

#[test]
fn a_message_arrives_whole_whatever_its_length() -> Result<(), Failure> {
    let server = Server::start("serve", &[])?;
    for length in [25, 125, 126, 127, 65_535, 65_536, FEED_BYTES_MAX] {
        let mut client = Client::begin(&server)?;
        client.send([Frame::new(TEXT, unknown(length))])?;
        assert_eq!(client.message("error")?["code"], "unknown_type", "{length}");
    }
    // One byte more is refused, with words and with a code.
    for opcode in [TEXT, BINARY] {
        let mut client = Client::begin(&server)?;
        client.send([Frame::new(opcode, unknown(FEED_BYTES_MAX + 1))])?;
        let error = client.message("error")?;
        assert_eq!((&error["code"], &error["fatal"]), (&"too_large".into(), &true.into()));
        assert_eq!(client.end()?, End::Closed(1009));
    }
    assert_settled(&server)
}

/// RFC 6455, 5.2, has a length take no more bytes than it needs. tungstenite 0.29 does not look (`parse_internal` of
/// its `FrameHeader`), and cannot be told to. It costs nobody anything: the frame means the same.
#[test]
fn a_length_in_more_bytes_than_it_needs_is_read() -> Result<(), Failure> {
    let longer = |length| Frame::new(TEXT, unknown(60)).length(length);
    run([
        case("60 in 16 bits", [longer(Length::Bits16)], Outcome::Open),
        case("60 in 64 bits", [longer(Length::Bits64)], Outcome::Open),
    ])
}

#[test]
fn a_length_that_is_claimed_is_refused_before_it_comes() -> Result<(), Failure> {
    let claims = [8 * 1024 * 1024 + 1, u64::from(u32::MAX) + 1, (1 << 63) - 1, 1 << 63, u64::MAX];
    let cases = claims.into_iter().flat_map(|claim| {
        [TEXT, BINARY, CONTINUATION, PING].map(|opcode| {
            let frame = Frame::new(opcode, *b"short").length(Length::Claimed(claim));
            case(format!("{claim} bytes claimed of opcode {opcode}"), [frame], TOO_LARGE)
        })
    });
    run(cases)
}

// ---- 2: pings and pongs

#[test]
fn pings_are_answered_and_pongs_are_not() -> Result<(), Failure> {
    let server = Server::start("serve", &[])?;
    for path in [FEED, VIEW] {
        let mut client = Client::open(&server, path)?;
        for payload in [&b""[..], b"Hello, world!", &[0, 255, 254, 253, 252, 251, 0, 255], &[0xFE; 125]] {
            client.send([Frame::new(PING, payload)])?;
            assert_eq!(client.next_of(PONG)?.payload, payload);
        }
        client.send([Frame::new(PONG, ""), Frame::new(PONG, "nobody asked"), Frame::new(PING, "a")])?;
        assert_eq!(client.next_of(PONG)?.payload, b"a");
        // Of many at once the last must be answered, the others may.
        client.send((0..50_u8).map(|number| Frame::new(PING, [number])))?;
        while client.next_of(PONG)?.payload != [49] {}
        // A byte at a time.
        for byte in Frame::new(PING, "slowly").bytes() {
            client.write(&[byte])?;
        }
        assert_eq!(client.next_of(PONG)?.payload, b"slowly");
    }
    drop(server.get("/healthz")?);
    assert_settled(&server)
}

#[test]
fn control_frames_are_short() -> Result<(), Failure> {
    let cases = [PING, PONG].into_iter().flat_map(|opcode| {
        [126, 500]
            .map(|length| case(format!("{length} bytes of {opcode}"), [Frame::new(opcode, vec![1; length])], REFUSED))
    });
    run(cases)
}

// ---- 3, 4: what is reserved

#[test]
fn reserved_bits_and_opcodes_are_refused() -> Result<(), Failure> {
    let bits = (1..=7).flat_map(|bits| {
        [TEXT, BINARY, PING, CLOSE].map(|opcode| {
            case(format!("bits {bits:03b} of opcode {opcode}"), [Frame::new(opcode, "").reserved(bits)], REFUSED)
        })
    });
    let opcodes = (3..=7).chain(11..=15).flat_map(|opcode| {
        ["", "a payload"].map(|payload| case(format!("opcode {opcode}"), [Frame::new(opcode, payload)], REFUSED))
    });
    // Also behind what was fine, and within a message.
    let within = [Frame::new(TEXT, "a").unfinished(), Frame::new(PING, "").reserved(4)];
    run(bits.chain(opcodes).chain([case("a bit within a message", within, REFUSED)]))
}

/// A client without a mask could have proxies between take its frames for requests.
#[test]
fn frames_without_a_mask_are_refused() -> Result<(), Failure> {
    run([TEXT, BINARY, PING, PONG, CLOSE]
        .map(|opcode| case(format!("opcode {opcode} without a mask"), [Frame::new(opcode, "").unmasked()], REFUSED)))
}

// ---- 5: fragments

#[test]
fn fragments_make_one_message() -> Result<(), Failure> {
    let server = Server::start("serve", &[])?;
    let message = unknown(300);
    for size in [1, 7, 150, 299] {
        let mut client = Client::open(&server, FEED)?;
        let count = message.chunks(size).count();
        let frames = message.chunks(size).enumerate().flat_map(|(place, part)| {
            let frame = Frame::new(if place == 0 { TEXT } else { CONTINUATION }, part);
            let frame = if place + 1 == count { frame } else { frame.unfinished() };
            [Frame::new(PING, [place as u8]), frame]
        });
        client.send(frames)?;
        assert_eq!(client.message("error")?["code"], "unknown_type", "{size}");
        client.assert_open("fragments")?;
    }
    assert_settled(&server)
}

#[test]
fn fragments_out_of_order_are_refused() -> Result<(), Failure> {
    let begun = || Frame::new(TEXT, "a").unfinished();
    let ended = || Frame::new(CONTINUATION, "b");
    run([
        case("a continuation of nothing", [ended()], REFUSED),
        case("an unfinished continuation of nothing", [ended().unfinished()], REFUSED),
        case("a continuation of what is whole", [Frame::new(TEXT, "a"), ended()], REFUSED),
        case("a continuation of what has ended", [begun(), ended(), ended()], REFUSED),
        case("a text within a text", [begun(), Frame::new(TEXT, "b")], REFUSED),
        case("a binary within a text", [begun(), Frame::new(BINARY, "b")], REFUSED),
        case("a ping in fragments", [Frame::new(PING, "a").unfinished(), ended()], REFUSED),
        case("a pong in fragments", [Frame::new(PONG, "a").unfinished(), ended()], REFUSED),
        case("a close in fragments", [Frame::new(CLOSE, "").unfinished(), ended()], REFUSED),
        case("empty fragments", [Frame::new(TEXT, "").unfinished(), Frame::new(CONTINUATION, "")], Outcome::Open),
        case("a close within a message", [begun(), Frame::close(1000, b"")], Outcome::Ends(End::Closed(1000))),
    ])
}

/// Fragments are bounded by their bytes together, however many there are.
#[test]
fn many_fragments_are_a_message_up_to_its_bound() -> Result<(), Failure> {
    let parts = |count, part: &'static str| {
        let middle = std::iter::repeat_n(Frame::new(CONTINUATION, part).unfinished(), count);
        bytes_of(std::iter::once(Frame::new(BINARY, "").unfinished()).chain(middle))
    };
    let whole = |parts: Vec<u8>| [parts, Frame::new(CONTINUATION, "").bytes()].concat();
    let both = |name: &str, bytes, outcome| Case { bytes, ..case(name, [], outcome) };
    let within_view = parts(VIEW_BYTES_MAX, "a");
    run([
        Case { unstarted: TOO_LARGE, ..both("a million empty fragments", whole(parts(1_000_000, "")), Outcome::Open) },
        both("1,024 fragments of a byte", whole(within_view), Outcome::Open),
        Case {
            unstarted: Outcome::Open,
            feed: Outcome::Open,
            ..both("1,025 fragments of a byte", whole(parts(VIEW_BYTES_MAX + 1, "a")), TOO_LARGE)
        },
        both("fragments beyond any bound", parts(9 * 1024, "a".repeat(1024).leak()), TOO_LARGE),
    ])
}

// ---- 6: UTF-8

#[test]
fn texts_are_utf8() -> Result<(), Failure> {
    let valid = ["", "Hello-\u{b5}@\u{df}\u{f6}\u{e4}", "\u{3ba}\u{f43}\u{1f600}", "\u{0}\u{7f}\u{ffff}\u{10ffff}"];
    let valid = valid.map(|text| case(format!("{text:?}"), [Frame::new(TEXT, text)], Outcome::Open));
    let invalid: [&[u8]; 10] = [
        b"\xFF",
        b"\x80",
        b"good\xC0\xAF",
        b"\xE0\x80\xAF",
        b"\xED\xA0\x80",
        b"\xF4\x90\x80\x80",
        b"\xF8\x88\x80\x80\x80",
        b"\xCE",
        b"\xF0\x9F\x98",
        b"\xCE\xBA\xE1\xBD\xB9\xCF\x83\xCE\xBC\xCE\xB5\xED\xA0\x80\x65\x64\x69\x74\x65\x64",
    ];
    let whole = invalid.map(|text| case(format!("{text:?}"), [Frame::new(TEXT, text)], NOT_UTF8));
    let in_fragments = invalid.map(|text| {
        let (one, other) = text.split_at(text.len() / 2);
        let frames = [Frame::new(TEXT, one).unfinished(), Frame::new(CONTINUATION, other)];
        case(format!("{text:?} in two"), frames, NOT_UTF8)
    });
    // A character that two fragments share is one.
    let shared = (1..4).map(|place| {
        let (one, other) = "\u{1f600}".as_bytes().split_at(place);
        let frames = [Frame::new(TEXT, one).unfinished(), Frame::new(CONTINUATION, other)];
        case(format!("a character cut at {place}"), frames, Outcome::Open)
    });
    // Bytes are whatever they are.
    let binary = [case("binary", [Frame::new(BINARY, *b"\xFF\xFF")], Outcome::Open)];
    run(valid.into_iter().chain(whole).chain(in_fragments).chain(shared).chain(binary))
}

// ---- 7: closing

#[test]
fn a_close_is_answered_alike() -> Result<(), Failure> {
    let codes = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 3000, 3999, 4000, 4999];
    let valid = codes.map(|code| {
        let end = Outcome::Ends(End::Closed(code));
        case(format!("close {code}"), [Frame::close(code, b"the reason")], end)
    });
    let invalid = [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535]
        .map(|code| case(format!("close {code}"), [Frame::close(code, b"")], REFUSED));
    run(valid.into_iter().chain(invalid).chain([
        case("close", [Frame::new(CLOSE, "")], Outcome::Ends(End::ClosedBare)),
        case("half a code", [Frame::new(CLOSE, [3])], REFUSED),
        case("the longest reason", [Frame::close(1000, &[b'a'; 123])], Outcome::Ends(End::Closed(1000))),
        case("a reason too long", [Frame::close(1000, &[b'a'; 124])], REFUSED),
        case("a reason that is not UTF-8", [Frame::close(1000, b"\xCE\xBA\xED\xA0\x80")], NOT_UTF8),
        case("two closes", [Frame::close(1000, b""), Frame::close(1001, b"")], Outcome::Ends(End::Closed(1000))),
        case(
            "a text behind a close",
            [Frame::close(1000, b""), Frame::new(TEXT, "{}")],
            Outcome::Ends(End::Closed(1000)),
        ),
        case(
            "a ping behind a close",
            [Frame::close(1000, b""), Frame::new(PING, "")],
            Outcome::Ends(End::Closed(1000)),
        ),
    ]))
}

/// The server waits for a client's half of the closing handshake, but not for long.
#[test]
fn a_close_without_answer_ends_too() -> Result<(), Failure> {
    let server = Server::start("serve", &[])?;
    let mut client = Client::open(&server, FEED)?;
    client.send([
        Frame::new(TEXT, r#"{"type":"start","session_id":"a"}"#),
        Frame::new(TEXT, r#"{"type":"stop","session_id":"a"}"#),
    ])?;
    assert_eq!(client.message("final_summary")?["session_id"], "a");
    assert_eq!(client.end()?, End::Closed(1000));
    assert_settled(&server)
}

/// Whoever has said all it will say by TCP, and not by WebSocket, is gone.
#[test]
fn a_connection_without_close_ends_too() -> Result<(), Failure> {
    let server = Server::start("serve", &[])?;
    for path in [FEED, VIEW] {
        let mut client = Client::open(&server, path)?;
        client.socket.shutdown(std::net::Shutdown::Write)?;
        assert_eq!(client.end()?, End::Cut, "{path}");
    }
    assert_settled(&server)
}

/// The words of the feed: what is against WebSocket is told as an error, too, before the close.
#[test]
fn the_feed_is_told_in_words() -> Result<(), Failure> {
    let server = Server::start("serve", &[])?;
    let cases = [
        (Frame::new(3, ""), "invalid_message", 1002),
        (Frame::new(TEXT, *b"\xFF"), "invalid_json", 1007),
        (Frame::new(TEXT, "").length(Length::Claimed(1 << 40)), "too_large", 1009),
        (Frame::new(TEXT, r#"{"type":"start","session_id":"a","format":"opus"}"#), "unsupported_format", 1003),
    ];
    for (frame, code, close) in cases {
        let mut client = Client::open(&server, FEED)?;
        client.send([frame])?;
        let error = client.message("error")?;
        assert_eq!((&error["code"], &error["fatal"]), (&code.into(), &true.into()));
        assert_eq!(client.end()?, End::Closed(close));
    }
    assert_settled(&server)
}

// ---- the handshake

#[test]
fn a_handshake_is_whole_or_refused() -> Result<(), Failure> {
    let server = Server::start("serve", &[])?;
    for path in [FEED, VIEW] {
        let good = request("GET", path, &server.address, "");
        let without = |line: &str| good.replace(&format!("{line}\r\n"), "");
        let version = "Sec-WebSocket-Version: 13";
        let key = format!("Sec-WebSocket-Key: {KEY}");
        let cases = [
            ("no version", without(version)),
            ("another version", good.replace(version, "Sec-WebSocket-Version: 8")),
            ("no key", without(&key)),
            ("a short key", good.replace(KEY, "c2hvcnQ=")),
            ("no base64", good.replace(KEY, "dGhlIHNhbXBsZSBub25j!Q==")),
            ("no upgrade", without("Upgrade: websocket")),
            ("another upgrade", good.replace("Upgrade: websocket", "Upgrade: h2c")),
            ("no connection", without("Connection: Upgrade")),
            ("HTTP/1.0", good.replace("HTTP/1.1", "HTTP/1.0")),
            ("POST", request("POST", path, &server.address, "Content-Length: 0\r\n")),
        ];
        for (name, request) in cases {
            let mut client = Client::connect(&server)?;
            client.write(request.as_bytes())?;
            let head = client.head()?;
            assert!(head[8..].starts_with(" 426 "), "{name} at {path}: {head}");
            assert!(head.contains("sec-websocket-version: 13\r\n"), "{name} at {path}: {head}");
            assert!(!head.contains("sec-websocket-accept"), "{name} at {path}: {head}");
        }
    }
    assert_settled(&server)
}

/// What looks like frames in a request's body is no frame, and no next request.
#[test]
fn a_handshake_has_no_body() -> Result<(), Failure> {
    let server = Server::start("serve", &[])?;
    let body = Frame::new(PING, "").bytes();
    for path in [FEED, VIEW] {
        let chunk = [format!("{:x}\r\n", body.len()).as_bytes(), &body, b"\r\n0\r\n\r\n"].concat();
        let length = format!("Content-Length: {}\r\n", body.len());
        for (line, body) in [(length.as_str(), &body), ("Transfer-Encoding: chunked\r\n", &chunk)] {
            let mut client = Client::connect(&server)?;
            client.write(request("GET", path, &server.address, line).as_bytes())?;
            client.write(body)?;
            let head = client.head()?;
            assert!(head.starts_with("http/1.1 426 "), "{line} at {path}: {head}");
        }
        // None is none.
        Client::open_with(&server, path, "Content-Length: 0\r\n")?.assert_open(path)?;
    }
    assert_settled(&server)
}

/// No extension is spoken: a compressed message is refused unread, so that none can be a bomb.
#[test]
fn compression_is_not_negotiated() -> Result<(), Failure> {
    let server = Server::start("serve", &[])?;
    for path in [FEED, VIEW] {
        for offer in ["permessage-deflate", "permessage-deflate; client_max_window_bits, x-webkit-deflate-frame"] {
            let mut client = Client::open_with(&server, path, &format!("Sec-WebSocket-Extensions: {offer}\r\n"))?;
            client.assert_open("offered")?;
            client.send([Frame::new(BINARY, vec![0; 100]).reserved(4)])?;
            assert_eq!(client.end()?, End::Closed(1002), "{path}");
        }
    }
    assert_settled(&server)
}
