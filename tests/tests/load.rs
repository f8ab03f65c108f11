//! A hundred sessions for a minute: the schedule holds and nothing is lost from the books.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tachograph_core::wire::{
    ClientMessage, Envelope, MIC, Metrics, Receipt, SYSTEM, ServerMessage, Start, encode_audio_header,
};
use tachograph_tests::{Failure, Server};
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, timeout};
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;

const SESSIONS: usize = 100;
const SECONDS: u64 = 60;
const FRAME: Duration = Duration::from_millis(100);
const GAP_ERROR_P99_MAX: f64 = 0.020;

struct Played {
    system_ticks: Vec<Metrics>,
    receipt: Receipt,
    bytes_sent: u64,
}

/// What else the machine does shows in the gaps, too, as all sessions tick at nearly the same time: of as many tries
/// one has to hold. All the rest has to hold in each.
const TRIES: usize = 3;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_sessions_for_a_minute() -> Result<(), Failure> {
    let mut tried = Vec::new();
    for _ in 0..TRIES {
        let p99 = gap_error_p99().await?;
        tried.push(p99);
        if p99 <= GAP_ERROR_P99_MAX {
            return Ok(());
        }
    }
    Err(format!("gaps are off from a second by p99 {tried:?} s").into())
}

/// Plays the minute and checks its books. Returns by how much gaps between ticks are off from a second, in seconds.
async fn gap_error_p99() -> Result<f64, Failure> {
    let server = Server::start("serve", &[])?;
    let mut sessions = JoinSet::new();
    for number in 0..SESSIONS {
        let url = format!("ws://{}/ws/live-listener", server.address);
        sessions.spawn(async move { play(url, format!("load-{number}")).await });
    }
    let mut gap_errors = Vec::new();
    while let Some(played) = sessions.join_next().await {
        let played = played??;
        check_books(&played);
        gap_errors.extend(check_ticks(&played));
    }
    gap_errors.sort_by(f64::total_cmp);
    let p99 = gap_errors[gap_errors.len() * 99 / 100];
    let worst = gap_errors.last().copied().unwrap_or_default();
    println!(
        "{SESSIONS} sessions, {} gaps: off from 1 s by p99 {:.1} ms, at worst {:.1} ms",
        gap_errors.len(),
        p99 * 1e3,
        worst * 1e3
    );
    Ok(p99)
}

/// No tick missing, none twice. Returns by how much each gap differs from a second.
fn check_ticks(played: &Played) -> Vec<f64> {
    assert_eq!(played.receipt.ticks_missed, 0);
    assert_eq!(played.receipt.ticks_conflated, 0);
    let ticks: Vec<u64> = played.system_ticks.iter().map(|figures| figures.tick).collect();
    assert!(ticks.windows(2).all(|pair| pair[1] == pair[0] + 1), "{ticks:?}");
    assert!(ticks.len() as u64 >= SECONDS - 2, "{} ticks", ticks.len());
    played.system_ticks.windows(2).map(|pair| (pair[1].timestamp - pair[0].timestamp - 1.0).abs()).collect()
}

fn check_books(played: &Played) {
    for figures in &played.system_ticks {
        let accounted =
            figures.bytes_processed + figures.bytes_dropped + figures.queue_bytes + figures.bytes_in_provider;
        assert_eq!(figures.bytes_received, accounted);
    }
    assert_eq!(played.receipt.sources.len(), 2);
    for source in &played.receipt.sources {
        assert_eq!(source.bytes.received, played.bytes_sent);
        for tally in [source.bytes, source.frames] {
            assert_eq!((tally.received, tally.queued), (tally.processed + tally.dropped, 0));
        }
    }
}

/// Sends system and mic for a minute in real time, then asks for the receipt.
async fn play(url: String, session_id: String) -> Result<Played, Failure> {
    let (socket, _) = connect_async(url).await?;
    let (mut sink, mut stream) = socket.split();
    sink.send(Message::text(Start { session_id: session_id.clone(), ..Start::default() }.encode())).await?;
    let reading = tokio::spawn(async move {
        let mut system_ticks = Vec::new();
        while let Some(message) = stream.next().await {
            let Message::Text(text) = message? else { continue };
            let Envelope { message, .. } = serde_json::from_str(&text)?;
            match message.into_owned() {
                ServerMessage::Metrics(figures) if figures.source == SYSTEM => system_ticks.push(*figures),
                ServerMessage::Error(error) => return Err(error.message.into()),
                ServerMessage::FinalSummary(summary) => return Ok((system_ticks, summary.json)),
                _ => {}
            }
        }
        Err::<_, Failure>("no receipt".into())
    });
    let bytes_sent = send_audio(&mut sink).await?;
    sink.send(Message::text(ClientMessage::encode_stop(&session_id))).await?;
    let (system_ticks, receipt) = timeout(Duration::from_secs(20), reading).await???;
    Ok(Played { system_ticks, receipt, bytes_sent })
}

/// Returns the bytes of PCM sent for each of the two sources.
async fn send_audio(
    sink: &mut (impl SinkExt<Message, Error = tokio_tungstenite::tungstenite::Error> + Unpin),
) -> Result<u64, Failure> {
    let pcm: Vec<u8> = (0..1_600_i32).flat_map(|at| ((at * 37 % 4_001 - 2_000) as i16).to_le_bytes()).collect();
    let frames = [SYSTEM, MIC].map(|source| [&encode_audio_header(source).unwrap_or_default()[..], &pcm].concat());
    let mut pace = interval(FRAME);
    let began = Instant::now();
    let mut bytes = 0;
    while began.elapsed() < Duration::from_secs(SECONDS) {
        pace.tick().await;
        for frame in &frames {
            sink.send(Message::binary(frame.clone())).await?;
        }
        bytes += pcm.len() as u64;
    }
    Ok(bytes)
}
