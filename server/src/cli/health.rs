use std::io;
use std::time::Duration;

use clap::Args;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use super::trust::TrustArgs;
use crate::trust::TrustError;

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

    #[command(flatten)]
    trust: TrustArgs,
}

/// Why a server does not count as alive.
#[derive(Debug, thiserror::Error)]
pub(super) enum HealthError {
    #[error("{0}")]
    Trust(#[from] TrustError),
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
    is_encrypted: bool,
    host: String,
    path: String,
}

fn parse_url(text: &str) -> Result<Address, String> {
    let wrong = || String::from("must be an address such as http://127.0.0.1:7117");
    let is_encrypted = text.starts_with("https://");
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://")).ok_or_else(wrong)?;
    let (host, path) = rest.find('/').map_or((rest, ""), |begin| rest.split_at(begin));
    let is_good = !host.is_empty() && rest.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'@');
    let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    let port = if is_encrypted { 443 } else { 80 };
    let host = if has_port { host.to_owned() } else { format!("{host}:{port}") };
    let path = path.trim_end_matches('/').to_owned();
    if is_good { Ok(Address { is_encrypted, host, path }) } else { Err(wrong()) }
}

/// Asks once.
///
/// # Errors
/// The server does not say that it is alive.
pub(super) async fn run(args: &HealthArgs) -> Result<(), HealthError> {
    let (host, seconds) = (args.server.host.clone(), args.health_seconds);
    let connector = args.server.is_encrypted.then(|| args.trust.encryption()).transpose()?;
    let answer = match timeout(Duration::from_secs(seconds), ask(&args.server, connector)).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(cause)) => return Err(HealthError::Unreachable { host, cause }),
        Err(_) => return Err(HealthError::Silent { host, seconds }),
    };
    let status = answer.split_whitespace().nth(1);
    if status == Some("200") { Ok(()) } else { Err(HealthError::Unwell { host, answer }) }
}

/// The first line of the answer.
async fn ask(address: &Address, connector: Option<TlsConnector>) -> io::Result<String> {
    let stream = TcpStream::connect(&address.host).await?;
    let Some(connector) = connector else { return ask_over(stream, address).await };
    let name = address.host.rsplit_once(':').map_or(&*address.host, |(name, _)| name);
    let name = ServerName::try_from(name.trim_matches(['[', ']']).to_owned()).map_err(io::Error::other)?;
    ask_over(connector.connect(name, stream).await?, address).await
}

async fn ask_over(mut stream: impl AsyncRead + AsyncWrite + Unpin, address: &Address) -> io::Result<String> {
    let Address { host, path, .. } = address;
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
        let address =
            |host: &str, path: &str| Ok(Address { is_encrypted: false, host: host.into(), path: path.into() });
        let encrypted = |host: &str| Ok(Address { is_encrypted: true, host: host.into(), path: String::new() });
        assert_eq!(parse_url("http://127.0.0.1:7117"), address("127.0.0.1:7117", ""));
        assert_eq!(parse_url("http://[::1]:80/tacho/"), address("[::1]:80", "/tacho"));
        assert_eq!(parse_url("http://localhost"), address("localhost:80", ""));
        assert_eq!(parse_url("http://[::1]"), address("[::1]:80", ""));
        assert_eq!(parse_url("https://h"), encrypted("h:443"));
        assert_eq!(parse_url("https://h:7117/"), encrypted("h:7117"));
        for wrong in ["wss://h", "h:1", "http://", "http:///x", "http://a b", "http://u@h", "http://h\r\nx: y"] {
            assert!(parse_url(wrong).is_err(), "{wrong}");
        }
    }
}
