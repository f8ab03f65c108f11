use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tachograph_core::wire::{MIC, SYSTEM, ServerMessage, SourceName};
use tokio_tungstenite::Connector;
use tokio_util::sync::CancellationToken;

use super::CliError;
use super::audio_file;
use super::client::{Playback, Watcher};
use super::config::Start;
use super::run_server::{ServeArgs, serve};
use super::trust::own_connector;
use crate::Tls;
use crate::trust::TrustError;

/// Ten seconds of synthesized speech; scripts/make-speech.sh says how it was made.
const SPEECH: &[u8] = include_bytes!("../../assets/speech.wav");
/// A session that was lost begins anew after so long.
const PAUSE: Duration = Duration::from_secs(2);

/// Serves, and plays two sessions to itself over the real socket until `stop`.
pub(super) async fn run(args: ServeArgs, start: Start, stop: CancellationToken) -> Result<(), CliError> {
    let pcm = audio_file::load_embedded(SPEECH, "speech.wav")?;
    let sessions = [("demo-meeting", vec![SYSTEM, MIC]), ("demo-dictation", vec![MIC])];
    let stop_sessions = stop.clone();
    serve(args, start, stop, move |address, tls| {
        let server = match Server::own(address, tls) {
            Ok(server) => server,
            Err(error) => return tracing::error!(%error, "the demo's sessions cannot connect"),
        };
        for (name, sources) in sessions {
            tokio::spawn(play_for_ever(server.playback(name, sources, pcm.clone()), stop_sessions.clone()));
        }
        eprintln!("two sessions are playing; open the address in a browser, end with Ctrl-C");
    })
    .await
}

/// Where the sessions play.
struct Server {
    url: String,
    connector: Connector,
}

impl Server {
    fn own(mut address: SocketAddr, tls: Option<Tls>) -> Result<Self, TrustError> {
        if address.ip().is_unspecified() {
            address.set_ip(Ipv4Addr::LOCALHOST.into());
        }
        let scheme = if tls.is_some() { "wss" } else { "ws" };
        Ok(Self { url: format!("{scheme}://{address}/ws/live-listener"), connector: own_connector(tls)? })
    }

    fn playback(&self, name: &str, sources: Vec<SourceName>, pcm: bytes::Bytes) -> Playback {
        let (url, connector) = (self.url.clone(), self.connector.clone());
        Playback { url, connector, session_id: name.to_owned(), sources, pcm, speed: 1.0, repeat: true }
    }
}

async fn play_for_ever(playback: Playback, stop: CancellationToken) {
    while !stop.is_cancelled() {
        if let Err(error) = playback.play(stop.clone(), &mut Silent).await {
            tracing::warn!(%error, session = playback.session_id, "a demo session ended and begins anew");
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// The page shows it all.
struct Silent;

impl Watcher for Silent {
    fn sent(&mut self, _: Duration) {}

    fn said(&mut self, _: &ServerMessage) {}
}
