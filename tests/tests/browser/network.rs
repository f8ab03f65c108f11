//! What can lie between browser and server.

use tachograph_tests::Failure;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// A head of a request is never longer.
const HEAD_BYTES_MAX: usize = 64 << 10;

/// A network that can be cut, or lead elsewhere: its address stays when a server's successor has another one.
pub(crate) struct Wire {
    pub(crate) address: String,
    /// None while it is cut.
    leads_to: watch::Sender<Option<String>>,
}

impl Wire {
    pub(crate) async fn to(server: &str) -> Result<Self, Failure> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?.to_string();
        let (leads_to, end) = watch::channel(Some(server.to_owned()));
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let server = end.borrow().clone();
                if let Some(server) = server {
                    tokio::spawn(carry(near, server, end.clone()));
                }
            }
        });
        Ok(Self { address, leads_to })
    }

    /// Ends all connections, and lets no other one through.
    pub(crate) fn cut(&self) {
        self.leads_to.send_replace(None);
    }

    /// From the next connection on.
    pub(crate) fn lead_to(&self, server: &str) {
        self.leads_to.send_replace(Some(server.to_owned()));
    }
}

/// Carries a connection until it ends or is cut.
async fn carry(mut near: TcpStream, server: String, mut end: watch::Receiver<Option<String>>) {
    let Ok(mut far) = TcpStream::connect(server).await else { return };
    tokio::select! {
        _ended = copy_bidirectional(&mut near, &mut far) => {}
        _cut = end.wait_for(Option::is_none) => {}
    }
}

/// A reverse proxy that has the server under a path, and nothing else. Returns its address.
pub(crate) async fn under_path(prefix: &'static str, server: &str) -> Result<String, Failure> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?.to_string();
    let server = server.to_owned();
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            let server = server.clone();
            tokio::spawn(async move {
                let _the_browser_went = pass_on(near, prefix, &server).await;
            });
        }
    });
    Ok(address)
}

/// Passes on one request, which ends its connection unless it becomes a socket.
async fn pass_on(mut near: TcpStream, prefix: &str, server: &str) -> Result<(), Failure> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(near.read_u8().await?);
        if head.len() > HEAD_BYTES_MAX {
            return Err("the request's head is too long".into());
        }
    }
    let head = String::from_utf8(head)?;
    let Some(path) = head.split(' ').nth(1).and_then(|path| path.strip_prefix(prefix)) else {
        near.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await?;
        return Ok(());
    };
    let is_socket = head.to_ascii_lowercase().contains("\r\nupgrade: websocket");
    let mut passed = head.replacen(&format!("{prefix}{path}"), path, 1);
    if !is_socket {
        let rest: Vec<&str> =
            passed.split("\r\n").filter(|line| !line.to_ascii_lowercase().starts_with("connection:")).collect();
        passed = rest.join("\r\n").replacen("\r\n", "\r\nConnection: close\r\n", 1);
    }
    let mut far = TcpStream::connect(server).await?;
    far.write_all(passed.as_bytes()).await?;
    copy_bidirectional(&mut near, &mut far).await?;
    Ok(())
}
