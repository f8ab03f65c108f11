//! Viewers of the stream that come and go.

use std::sync::Arc;
use std::time::Instant;

use futures_util::{SinkExt, StreamExt};
use tachograph_core::wire::frame::{Arrival, Follower};
use tokio::net::TcpStream;
use tokio::time::{sleep_until, timeout_at};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use super::{Scene, within};
use crate::Failure;
use crate::chance::Chance;
use crate::client::open_socket;

const SMALL_BUFFER: u32 = 2_048;

#[derive(Clone, Copy, Debug)]
enum Manner {
    Proper,
    Stalled,
    Reset,
    Talking,
    Cut,
}

const MANNERS: [(Manner, &str); 5] = [
    (Manner::Proper, "viewers that look and go"),
    (Manner::Stalled, "viewers that do not read"),
    (Manner::Reset, "viewers that are reset"),
    (Manner::Talking, "viewers that talk"),
    (Manner::Cut, "viewers that end without a close"),
];

const QUERIES: [&str; 6] = ["", "window=30s", "window=all", "metrics=audio_", "sessions=0", "label=source:mic"];

pub(super) async fn come_and_go(scene: Arc<Scene>, mut chance: Chance, end: Instant) {
    while Instant::now() < end {
        let (Some((manner, what)), Some(query)) = (chance.one_of(&MANNERS), chance.one_of(&QUERIES)) else { return };
        scene.ledger.count(what);
        if let Err(failure) = behave(&scene, &mut chance, (manner, query), end).await {
            scene.ledger.fail(format!("{manner:?} viewer of {query:?}: {failure}"));
        }
        scene.pause(&mut chance, 3.0, end).await;
    }
}

async fn behave(
    scene: &Scene,
    chance: &mut Chance,
    (manner, query): (Manner, &str),
    end: Instant,
) -> Result<(), Failure> {
    let buffer = matches!(manner, Manner::Stalled).then_some(SMALL_BUFFER);
    let mut socket = open_socket(&scene.address, &format!("/ws/stream?{query}"), buffer).await?;
    let until = within(chance, 1.0, 20.0, end);
    match manner {
        Manner::Stalled => sleep_until(within(chance, 10.0, 120.0, end).into()).await,
        Manner::Talking => {
            // Nobody has to read it; what is too long ends the connection.
            let length = chance.below(2_000) as usize;
            socket.send(Message::binary(vec![7; length])).await?;
            let _may_be_thrown_out = follow(&mut socket, until).await;
            return Ok(());
        }
        _ => follow(&mut socket, until).await?,
    }
    match manner {
        Manner::Proper => socket.close(None).await?,
        Manner::Reset | Manner::Stalled => socket.get_ref().set_zero_linger()?,
        Manner::Talking | Manner::Cut => {}
    }
    Ok(())
}

/// Every frame has to follow the one before: who reads misses none.
async fn follow(socket: &mut WebSocketStream<TcpStream>, until: Instant) -> Result<(), Failure> {
    let (mut follower, mut newest, mut is_broken) = (Follower::default(), 0, false);
    while let Ok(message) = timeout_at(until.into(), socket.next()).await {
        let message = message.ok_or("the stream ended")??;
        if let Message::Close(_) = message {
            return Err("the stream was closed".into());
        }
        follower.take(&message.into_data(), |arrival| match arrival {
            Arrival::Newest(state) => {
                let seq = state.head().seq;
                is_broken |= newest > 0 && seq != newest + 1;
                newest = seq;
            }
            Arrival::Skipped(_) => is_broken = true,
            Arrival::Hello(_) | Arrival::Fills(_) => {}
        })?;
    }
    if is_broken { Err("frames are missing".into()) } else { Ok(()) }
}
