//! Sessions: those that stay, and those that come and go.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tachograph_core::wire::{MIC, SYSTEM, SourceName};
use tokio::time::sleep_until;

use super::{Scene, within};
use crate::Failure;
use crate::chance::Chance;
use crate::client::{ANSWER_MAX, Client, Pace, malformed};

/// What the system holds for a client that does not read: as little as it lets.
const SMALL_BUFFER: u32 = 2_048;
/// Names that a client may give itself; they are data wherever they go.
const HOSTILE_NAMES: [&str; 5] =
    ["=1+1\n,\"", "../../etc/passwd", "<img src=x onerror=alert(1)>", "\u{202e}%s%n\u{0}", "{\"a\":\"\\\""];

/// How a session is.
#[derive(Clone, Copy, Debug)]
enum Manner {
    /// It sends speech, and stops.
    Proper,
    /// It sends ten times as fast, and stops.
    Flooding,
    /// It sends what is no message, between speech.
    Malformed,
    /// It sends what is no message until it is thrown out.
    Hostile,
    /// It sends what is no WebSocket.
    Raw,
    /// It does not read for a while, and stops.
    Stalled,
    /// It goes by a reset.
    Reset,
    /// It goes by the end of its connection.
    Cut,
    /// It closes without a stop.
    HangingUp,
    /// It says nothing any more, and is there.
    Silent,
    /// It never starts.
    NeverStarted,
    /// It is reset, and comes again under the same name at once.
    Reconnecting,
}

const MANNERS: [(Manner, &str); 12] = [
    (Manner::Proper, "sessions that stop"),
    (Manner::Flooding, "floods"),
    (Manner::Malformed, "malformed messages within a session"),
    (Manner::Hostile, "malformed messages until thrown out"),
    (Manner::Raw, "bytes that are no WebSocket"),
    (Manner::Stalled, "clients that do not read"),
    (Manner::Reset, "resets"),
    (Manner::Cut, "ends without a close"),
    (Manner::HangingUp, "closes without a stop"),
    (Manner::Silent, "clients that fall silent"),
    (Manner::NeverStarted, "connections without a session"),
    (Manner::Reconnecting, "reconnects under the same name"),
];

/// A session that is as it should be, from now to `end`.
pub(super) async fn stay(scene: Arc<Scene>, place: usize, end: Instant) {
    let played = async {
        let mut client = Client::connect(&scene.address, None).await?;
        client.start(&format!("admitted-{place}")).await?;
        client.play(&[SYSTEM, MIC], Pace::SPEECH, end).await?;
        client.stop().await?;
        Ok::<_, Failure>(client)
    };
    match played.await {
        Ok(client) => scene.ledger.close_admitted(&client),
        Err(failure) => scene.ledger.fail(format!("admitted session {place}: {failure}")),
    }
}

/// One session after the other, each in its own way, until `end`.
pub(super) async fn come_and_go(scene: Arc<Scene>, mut chance: Chance, place: usize, end: Instant) {
    let mut count = 0;
    while Instant::now() < end {
        let Some((manner, what)) = chance.one_of(&MANNERS) else { return };
        count += 1;
        let name = match chance.one_of(&HOSTILE_NAMES).filter(|_| chance.happens(0.3)) {
            Some(hostile) => format!("{hostile}{place}-{count}"),
            None => format!("soak-{place}-{count}"),
        };
        scene.ledger.count(what);
        behave(&scene, &mut chance, manner, &name, end).await;
        scene.pause(&mut chance, 4.0, end).await;
    }
}

async fn behave(scene: &Scene, chance: &mut Chance, manner: Manner, name: &str, end: Instant) {
    let mut client = match Client::connect(&scene.address, Some(SMALL_BUFFER)).await {
        Ok(client) => client,
        Err(failure) => return scene.ledger.fail(format!("{manner:?} cannot connect: {failure}")),
    };
    scene.ledger.count_upgrade();
    let until = within(chance, 2.0, 25.0, end);
    let ended = act(scene, chance, &mut client, (manner, name, until, end)).await;
    if let (Err(failure), false) = (&ended, may_fail(manner, &client)) {
        scene.ledger.fail(format!("{manner:?} {name:?}: {failure}"));
    }
    scene.ledger.close(&client, matches!(manner, Manner::Proper | Manner::Flooding | Manner::Malformed));
    let _gone = leave(manner, client, chance).await;
}

/// Those who misbehave may be thrown out in the middle of it, and any who was refused.
fn may_fail(manner: Manner, client: &Client) -> bool {
    let is_proper = matches!(
        manner,
        Manner::Proper | Manner::Flooding | Manner::Malformed | Manner::HangingUp | Manner::Reset | Manner::Cut
    );
    !is_proper || client.heard.close_code == Some(AT_CAPACITY)
}

const AT_CAPACITY: u16 = 1013;

async fn act(
    scene: &Scene,
    chance: &mut Chance,
    client: &mut Client,
    (manner, name, until, end): (Manner, &str, Instant, Instant),
) -> Result<(), Failure> {
    let sources: &[SourceName] = if chance.happens(0.5) { &[SYSTEM] } else { &[MIC, SYSTEM] };
    let speech = Pace { as_json: chance.happens(0.3), ..Pace::SPEECH };
    if matches!(manner, Manner::NeverStarted) {
        return client.listen(until).await;
    }
    client.start(name).await?;
    match manner {
        Manner::Proper => client.play(sources, speech, until).await?,
        Manner::Flooding => client.play(sources, Pace { every: speech.every / 10, ..speech }, until).await?,
        Manner::Malformed => send_some_malformed(client, chance, sources, until).await?,
        Manner::Hostile => return client.send_to_the_end(|| malformed(chance.number()), ANSWER_MAX).await,
        Manner::Stalled => {
            let stalled = within(chance, 10.0, 150.0, end);
            client.play(sources, Pace { reads: false, ..speech }, stalled).await?;
        }
        Manner::Silent => {
            client.play(sources, speech, until).await?;
            sleep_until(within(chance, 5.0, 100.0, end).into()).await;
            return Ok(());
        }
        Manner::HangingUp => {
            client.play(sources, speech, until).await?;
            return client.hang_up().await;
        }
        Manner::Reset | Manner::Cut | Manner::Raw | Manner::Reconnecting => {
            client.play(sources, speech, until).await?;
            if matches!(manner, Manner::Reconnecting) {
                return reconnect(scene, client, name, speech).await;
            }
            return Ok(());
        }
        Manner::NeverStarted => {}
    }
    client.stop().await
}

/// As a client does that lost its connection and does not wait.
async fn reconnect(scene: &Scene, client: &mut Client, name: &str, speech: Pace) -> Result<(), Failure> {
    let again = Client::connect(&scene.address, None).await?;
    scene.ledger.count_upgrade();
    let lost = std::mem::replace(client, again);
    scene.ledger.close(&lost, false);
    lost.reset()?;
    client.start(name).await?;
    client.play(&[SYSTEM], speech, Instant::now() + Duration::from_secs(2)).await?;
    client.stop().await
}

async fn leave(manner: Manner, client: Client, chance: &mut Chance) -> Result<(), Failure> {
    match manner {
        Manner::Raw => client.send_raw(chance.one_of(&RAW).unwrap_or_default()).await,
        Manner::Reset | Manner::Silent | Manner::Stalled => client.reset(),
        _ => Ok(()),
    }
}

/// Fewer than the server bears: the session lives.
async fn send_some_malformed(
    client: &mut Client,
    chance: &mut Chance,
    sources: &[SourceName],
    until: Instant,
) -> Result<(), Failure> {
    while Instant::now() < until {
        client.play(sources, Pace::SPEECH, within(chance, 1.5, 3.0, until)).await?;
        client.send(malformed(chance.number())).await?;
    }
    Ok(())
}

/// After a handshake: not masked, an operation that there is none of, a ping too long, text that is not UTF-8, and a
/// message of 2^62 bytes.
const RAW: [&[u8]; 5] = [
    b"\x81\x02hi",
    b"\x83\x80\0\0\0\0",
    b"\x89\xfe\x01\0\0\0\0\0",
    b"\x81\x82\0\0\0\0\xff\xfe",
    b"\x82\xff\x40\0\0\0\0\0\0\0\0\0\0\0",
];
