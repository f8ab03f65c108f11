//! Clients that only do harm: they cost little, and nobody else notices.

use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::thread::sleep;
use std::time::{Duration, Instant};

use socket2::SockRef;
use tachograph_tests::{Failure, Server};

use crate::assert_settled;
use crate::client::{BINARY, Client, FEED, Frame, Length, PING, SOON, TEXT, VIEW, request};

const CROWD: usize = 1_000;

fn started(server: &Server, session_id: &str) -> Result<Client, Failure> {
    let mut client = Client::open(server, FEED)?;
    client.send([Frame::new(TEXT, format!(r#"{{"type":"start","session_id":"{session_id}"}}"#))])?;
    while client.message("status")?["state"] != "streaming" {}
    Ok(client)
}

/// Memory of the server that is in use, in bytes.
fn resident_bytes(server: &Server) -> Result<usize, Failure> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid()))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    let kilobytes: usize = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kilobytes * 1_024)
}

/// Writes as much as the server takes for so long, without reading.
fn flood(client: &mut Client, bytes: &[u8], span: Duration) -> Result<usize, Failure> {
    client.socket.set_write_timeout(Some(Duration::from_millis(200)))?;
    let (began, mut written) = (Instant::now(), 0);
    while began.elapsed() < span {
        match client.socket.write(&bytes[written % bytes.len()..]) {
            Ok(count) => written += count,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            // The server has had enough.
            Err(_) => break,
        }
    }
    Ok(written)
}

#[test]
fn claimed_lengths_cost_no_memory() -> Result<(), Failure> {
    let server = Server::start("serve", &[])?;
    let before = resident_bytes(&server)?;
    let mut clients = Vec::new();
    for _ in 0..100 {
        let mut client = Client::open(&server, FEED)?;
        client.send([Frame::new(BINARY, vec![0; 1_000]).length(Length::Claimed(8 * 1024 * 1024))])?;
        clients.push(client);
    }
    sleep(Duration::from_secs(1));
    let grown = resident_bytes(&server)?.saturating_sub(before);
    assert!(grown < 100 * 512 * 1_024, "{grown} bytes for 100 connections");
    drop(clients);
    assert_settled(&server)
}

/// Answers to pings wait for a client that does not read; they have a bound.
#[test]
fn pings_of_a_client_that_does_not_read_cost_little() -> Result<(), Failure> {
    let server = Server::start("serve", &[])?;
    for path in [FEED, VIEW] {
        let before = resident_bytes(&server)?;
        let mut client = Client::open(&server, path)?;
        let pings: Vec<u8> = std::iter::repeat_n(Frame::new(PING, [7; 125]).bytes(), 8_000).flatten().collect();
        let written = flood(&mut client, &pings, Duration::from_secs(4))?;
        let grown = resident_bytes(&server)?.saturating_sub(before);
        assert!(grown < 20 * 1_024 * 1_024, "{grown} bytes for {written} of pings at {path}");
        drop(client);
        assert_settled(&server)?;
    }
    Ok(())
}

#[test]
fn a_client_that_sends_and_never_reads_costs_little() -> Result<(), Failure> {
    let server = Server::start("serve", &[])?;
    let before = resident_bytes(&server)?;
    let mut client = started(&server, "deaf")?;
    let audio: Vec<u8> = std::iter::repeat_n(Frame::new(BINARY, vec![0; 3_200]).bytes(), 300).flatten().collect();
    let written = flood(&mut client, &audio, Duration::from_secs(3))?;
    let grown = resident_bytes(&server)?.saturating_sub(before);
    assert!(written > audio.len() / 10 && grown < 30 * 1_024 * 1_024, "{grown} bytes for {written} of audio");
    drop(client);
    assert_settled(&server)
}

/// One reads a byte a second, another as fast as it can: that one gets its frame each second.
#[test]
fn a_slow_reader_slows_nobody() -> Result<(), Failure> {
    let server = Server::start("serve", &[])?;
    let mut slow = Client::open(&server, VIEW)?;
    SockRef::from(&slow.socket).set_recv_buffer_size(1_024)?;
    let mut other = Client::open(&server, VIEW)?;
    let (began, mut frames) = (Instant::now(), 0);
    let reader = std::thread::spawn(move || -> Result<(), std::io::Error> {
        for _ in 0..6 {
            slow.socket.read_exact(&mut [0])?;
            sleep(Duration::from_secs(1));
        }
        Ok(())
    });
    while began.elapsed() < Duration::from_secs(6) {
        frames += u32::from(other.next_of(BINARY).is_ok());
    }
    reader.join().map_err(|_| "the slow reader failed")??;
    assert!(frames >= 4, "{frames} frames in 6 s");
    drop(other);
    assert_settled(&server)
}

/// In the middle of a frame, of a header, of a message and of a session.
#[test]
fn connections_that_vanish_leave_nothing() -> Result<(), Failure> {
    let server = Server::start("serve", &[])?;
    let audio = Frame::new(BINARY, vec![0; 3_200]).bytes();
    let cut_frame = &audio[..1_000];
    let cut_header = &audio[..3];
    let cut_message = Frame::new(BINARY, vec![0; 320]).unfinished().bytes();
    for (number, rest) in [&[][..], cut_frame, cut_header, &cut_message].into_iter().enumerate() {
        for with_reset in [true, false] {
            let mut session = started(&server, &format!("gone-{number}-{with_reset}"))?;
            session.write(&audio)?;
            let mut viewer = Client::open(&server, VIEW)?;
            for client in [&mut session, &mut viewer] {
                client.write(rest)?;
                if with_reset {
                    SockRef::from(&client.socket).set_linger(Some(Duration::ZERO))?;
                } else {
                    client.socket.shutdown(Shutdown::Both)?;
                }
            }
        }
    }
    assert_settled(&server)
}

/// Each is served or turned away at once; the next who comes is served.
#[test]
fn a_thousand_handshakes_at_once() -> Result<(), Failure> {
    let server = Server::start("serve", &[])?;
    let mut crowd = Vec::new();
    for number in 0..CROWD {
        let mut client = Client::connect(&server)?;
        let path = if number % 2 == 0 { FEED } else { VIEW };
        client.try_send(request("GET", path, &server.address, "").as_bytes());
        crowd.push(client);
    }
    let began = Instant::now();
    let served = crowd.iter_mut().filter_map(|client| client.head().ok());
    let served = served.filter(|head| head.starts_with("http/1.1 101 ")).count();
    assert!(served >= CROWD / 4, "{served} of {CROWD} were served");
    assert!(began.elapsed() < SOON * 2, "{:?}", began.elapsed());
    drop(crowd);
    assert_settled(&server)?;
    started(&server, "after")?;
    assert_settled(&server)
}
