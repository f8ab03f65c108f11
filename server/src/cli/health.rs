use std::io;
use std::time::Duration;

use clap::Args;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Of an answer only the first line counts.
const LINE_BYTES_MAX: u64 = 1_024;

#[derive(Debug, Args)]
pub(super) struct HealthArgs {
    /// The server's address.
    #[arg(value_name = "URL", default_value = "http://127.0.0.1:7117", env = "TACHOGRAPH_URL", value_parser = parse_url)]
    server: Address,

    /// How long it may take to answer, in seconds.
    #[arg(long, env = "TACHOGRAPH_HEALTH_SECONDS", default_value = "5", value_name = "SECONDS",
          value_parser = clap::value_parser!(u64).range(1..=60))]
    health_seconds: u64,
}

/// Why a server does not count as alive.
#[derive(Debug, thiserror::Error)]
pub(super) enum HealthError {
    #[error("{host} cannot be asked: {cause}; is the server running?")]
    Unreachable { host: String, cause: io::Error },
    #[error("{host} did not answer within {seconds} s")]
    Silent { host: String, seconds: u64 },
    #[error("{host} answered {answer:?} instead of 200")]
    Unwell { host: String, answer: String },
}

/// A host with its port, and the path below which the server is.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Address {
    host: String,
    path: String,
}

fn parse_url(text: &str) -> Result<Address, String> {
    let wrong = || String::from("must be an address such as http://127.0.0.1:7117");
    let rest = text.strip_prefix("http://").ok_or_else(wrong)?;
    let (host, path) = rest.find('/').map_or((rest, ""), |begin| rest.split_at(begin));
    let is_good = !host.is_empty() && rest.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'@');
    let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    let host = if has_port { host.to_owned() } else { format!("{host}:80") };
    if is_good { Ok(Address { host, path: path.trim_end_matches('/').to_owned() }) } else { Err(wrong()) }
}

/// Asks once.
///
/// # Errors
/// The server does not say that it is alive.
pub(super) async fn run(args: &HealthArgs) -> Result<(), HealthError> {
    let (host, seconds) = (args.server.host.clone(), args.health_seconds);
    let answer = match timeout(Duration::from_secs(seconds), ask(&args.server)).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(cause)) => return Err(HealthError::Unreachable { host, cause }),
        Err(_) => return Err(HealthError::Silent { host, seconds }),
    };
    let status = answer.split_whitespace().nth(1);
    if status == Some("200") { Ok(()) } else { Err(HealthError::Unwell { host, answer }) }
}

/// The first line of the answer.
async fn ask(Address { host, path }: &Address) -> io::Result<String> {
    let mut stream = TcpStream::connect(host).await?;
    let request = format!("GET {path}/healthz HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(LINE_BYTES_MAX).read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).lines().next().unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_apart() {
        let address = |host: &str, path: &str| Ok(Address { host: host.into(), path: path.into() });
        assert_eq!(parse_url("http://127.0.0.1:7117"), address("127.0.0.1:7117", ""));
        assert_eq!(parse_url("http://[::1]:80/tacho/"), address("[::1]:80", "/tacho"));
        assert_eq!(parse_url("http://localhost"), address("localhost:80", ""));
        assert_eq!(parse_url("http://[::1]"), address("[::1]:80", ""));
        for wrong in ["https://h", "h:1", "http://", "http:///x", "http://a b", "http://u@h", "http://h\r\nx: y"] {
            assert!(parse_url(wrong).is_err(), "{wrong}");
        }
    }
}
