use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tachograph_core::wire::frame::{Filter, FrameError, Reason, Record};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{Connector, MaybeTlsStream, WebSocketStream, connect_async_tls_with_config};
use tokio_util::sync::CancellationToken;

use super::super::bearer;
use super::{Shown, TailError};
use crate::access::Token;
use crate::backoff::Backoff;

const CONNECT_MAX: Duration = Duration::from_secs(10);
/// A server that says nothing for so long is gone.
const SILENCE_MAX: Duration = Duration::from_secs(10);
const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(8);
/// A record of a file can be as long as this.
const RECORD_BYTES_MAX: usize = 256 << 20;
const PIECE_BYTES: usize = 64 * 1024;

/// The file that is meant, if it is not an address.
pub(super) fn recorded(from: &str) -> Option<PathBuf> {
    (from == "-" || (!from.contains("://") && Path::new(from).exists())).then(|| from.into())
}

/// Shows what a file or standard input holds, as it comes.
pub(super) fn read_recorded(path: &Path, shown: &mut Shown) -> Result<(), TailError> {
    let unreadable = |cause| TailError::File { path: path.to_owned(), cause };
    let mut input: Box<dyn Read> =
        if path == Path::new("-") { Box::new(io::stdin()) } else { Box::new(File::open(path).map_err(unreadable)?) };
    let mut held = Vec::new();
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let read = input.read(&mut piece).map_err(unreadable)?;
        held.extend_from_slice(&piece[..read]);
        let whole = take_records(&held, shown)?;
        held.drain(..whole);
        if read == 0 || shown.is_closed {
            return if held.is_empty() || shown.is_closed { Ok(()) } else { Err(TailError::CutOff) };
        }
        if held.len() > RECORD_BYTES_MAX {
            return Err(TailError::CutOff);
        }
    }
}

/// Shows the whole records; returns how many bytes they were.
fn take_records(held: &[u8], shown: &mut Shown) -> Result<usize, TailError> {
    let mut whole = 0;
    while let Some((_, length)) = held.get(whole..).and_then(Record::split) {
        shown.take(&held[whole..whole + length])?;
        whole += length;
    }
    Ok(whole)
}

/// Where the stream comes from.
pub(super) struct Server {
    pub(super) url: String,
    pub(super) connector: Connector,
    /// Shown to it.
    pub(super) token: Option<Token>,
}

/// Shows what a server sends, over as many connections as it takes, each going on where the one before
/// ended. The first one has to stand.
pub(super) async fn follow(
    server: &Server,
    window: u32,
    filter: &Filter,
    shown: &mut Shown,
    stop: CancellationToken,
) -> Result<(), TailError> {
    let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT);
    let mut is_first = true;
    while !stop.is_cancelled() && !shown.is_closed {
        let address = address(&server.url, window, filter, shown);
        let connected = tokio::select! {
            connected = connect(&address, server) => connected,
            () = stop.cancelled() => return Ok(()),
        };
        match connected {
            Ok(socket) => {
                if listen(socket, shown, &stop).await? > 0 {
                    backoff.reset();
                }
            }
            // A token that is refused does not become right by waiting.
            Err(error) if is_first || matches!(error, TailError::Refused(_)) => return Err(error),
            Err(_) => {}
        }
        if stop.is_cancelled() || shown.is_closed {
            return Ok(());
        }
        is_first = false;
        let wait = backoff.wait();
        eprintln!("-- the connection was lost; trying again in {:.1} s", wait.as_secs_f64());
        tokio::select! {
            () = stop.cancelled() => {}
            () = sleep(wait) => {}
        }
    }
    Ok(())
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

async fn connect(url: &str, server: &Server) -> Result<Socket, TailError> {
    let error = |cause| TailError::Connect { url: url.to_owned(), cause };
    let request = bearer::request(url, server.token.as_ref()).map_err(|cause| error(cause.to_string()))?;
    let connecting = connect_async_tls_with_config(request, None, false, Some(server.connector.clone()));
    match timeout(CONNECT_MAX, connecting).await {
        Ok(Ok((socket, _))) => Ok(socket),
        Ok(Err(cause)) => Err(bearer::refusal(&cause).map_or_else(|| error(cause.to_string()), TailError::Refused)),
        Err(_) => Err(error("no answer".into())),
    }
}

/// Where the stream is, with what is wanted of it from where on.
fn address(url: &str, window: u32, filter: &Filter, shown: &Shown) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    if !filter.sessions {
        query.append_pair("sessions", "0");
    }
    for prefix in &filter.prefixes {
        query.append_pair("metrics", prefix);
    }
    for (name, value) in &filter.labels {
        query.append_pair("label", &format!("{name}:{value}"));
    }
    let filter = query.finish();
    let separator = if filter.is_empty() { "" } else { "&" };
    format!("{url}?{}{separator}{filter}", shown.follower.request(window))
}

/// Shows what comes until the connection ends. Returns how many messages there were.
async fn listen(mut socket: Socket, shown: &mut Shown, stop: &CancellationToken) -> Result<u64, TailError> {
    let mut messages = 0;
    loop {
        let received = tokio::select! {
            () = stop.cancelled() => {
                let _closed_or_gone = timeout(CONNECT_MAX, socket.close(None)).await;
                return Ok(messages);
            }
            received = timeout(SILENCE_MAX, socket.next()) => received,
        };
        match received {
            Ok(Some(Ok(Message::Binary(message)))) => match shown.take(&message) {
                Ok(()) => {}
                Err(error) if is_for_good(&error) => return Err(error.into()),
                // Another connection mends it.
                Err(_) => return Ok(messages),
            },
            Ok(Some(Ok(Message::Ping(_) | Message::Pong(_)))) => {
                // The answer to a ping waits to be sent.
                let _sent_or_gone = socket.flush().await;
            }
            _ => return Ok(messages),
        }
        messages += 1;
        if shown.is_closed {
            return Ok(messages);
        }
    }
}

/// Whether what was sent will never be understood here.
fn is_for_good(error: &FrameError) -> bool {
    matches!(error.reason, Reason::UnknownVersion(_) | Reason::NotAStream)
}
