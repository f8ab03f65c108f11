//! Sessions of an application's own: cameras whose pictures go through bounded queues to workers that take several
//! at once. There is now too much for them and now little. `cargo run -p tachograph --example pipeline`, open the
//! address, end it with Ctrl-C: what became of each picture is in the receipts.

mod shared;

use std::error::Error;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use shared::Arguments;
use tachograph::Tachograph;
use tachograph::session::{Amount, Degrade, Level, OpenError, Queued, Session, Source, SourceConfig};
use tachograph::wire::{Receipt, Tally};
use tokio::net::TcpListener;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

const SESSIONS: usize = 4;
const QUEUE: usize = 16;
const BATCH: usize = 8;

/// A picture, with the guard that says what becomes of it.
type Picture = (Queued, Vec<u8>);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::read()?;
    let tacho = Tachograph::new()?;
    let listener = TcpListener::bind(&arguments.listen).await?;
    println!("http://{}", listener.local_addr()?);
    let server = tokio::spawn(tachograph::serve(listener, tacho.clone()));
    let sessions = (1..=SESSIONS).map(|number| open(&tacho, number)).collect::<Result<Vec<_>, _>>()?;
    arguments.over().await;
    for session in sessions {
        print(&session.drain(Duration::from_secs(5)).await);
    }
    println!("that was all");
    // Who looks sees the end, too: the receipts are in the next frame.
    let _time_is_over = timeout(Duration::from_secs(5), tokio::signal::ctrl_c()).await;
    tacho.shutdown().cancel();
    Ok(server.await??)
}

fn open(tacho: &Tachograph, number: usize) -> Result<Session, OpenError> {
    let session = tacho.session(format!("visit-{number}")).open()?;
    for name in ["camera", "screen"] {
        let config = SourceConfig { frames_max: QUEUE as u64, degrade: Degrade::Told, ..SourceConfig::default() };
        let source = session.source(name, config)?;
        let (sender, receiver) = channel(QUEUE);
        let asked = AtomicU64::new(0);
        source.watch_health(move || health(asked.fetch_add(1, Ordering::Relaxed)));
        let queue = sender.downgrade();
        source.watch_level(move || level(queue.upgrade().map(|queue| queue.capacity())));
        tokio::spawn(record(source, sender, session.draining().clone()));
        tokio::spawn(work(receiver));
    }
    Ok(session)
}

async fn record(source: Source, queue: Sender<Picture>, end: CancellationToken) {
    let began = Instant::now();
    while !end.is_cancelled() {
        let picture = vec![0; 4_000];
        let amount = Amount::new(1, picture.len() as u64).lasting(Duration::from_millis(10));
        // Where the queue is full, guard and picture come back; let go of at once, they count as dropped.
        drop(queue.try_send((source.enqueue(amount), picture)));
        let is_calm = began.elapsed().as_secs() % 6 >= 3;
        sleep(Duration::from_millis(if is_calm { 20 } else { 2 })).await;
    }
}

/// Ends when the queue is empty and nobody sends any more.
async fn work(mut queue: Receiver<Picture>) {
    let (mut batch, mut batches) = (Vec::with_capacity(BATCH), 0_u64);
    while queue.recv_many(&mut batch, BATCH).await > 0 {
        let bytes: usize = batch.iter().map(|(_, picture)| picture.len()).sum();
        let mut guards = batch.drain(..).map(|(queued, _)| queued);
        let Some(first) = guards.next() else { continue };
        let mut working = first.begin();
        guards.for_each(|queued| working.add(queued));
        sleep(Duration::from_millis(60 + bytes as u64 / 1_000)).await;
        batches += 1;
        if batches.is_multiple_of(12) { working.failed() } else { working.done() }
    }
}

/// Now and then it does not answer well: that is counted and shown, and harms nothing.
async fn health(asked: u64) -> Result<Value, &'static str> {
    if asked % 3 == 2 { Err("busy") } else { Ok(json!({"status": "ok", "asked": asked})) }
}

async fn level(free: Option<usize>) -> Result<Level, &'static str> {
    let free = free.ok_or("the queue is closed")?;
    Ok(if free < BATCH { Level::Degrade } else { Level::Normal })
}

fn print(receipt: &Receipt) {
    let name = receipt.identity.session_id.as_deref().unwrap_or_default();
    for source in &receipt.sources {
        let Tally { received, processed, dropped, .. } = source.frames;
        let (source, failed) = (source.source, source.chunks_failed);
        println!("{name} {source}: received {received}, processed {processed}, dropped {dropped}, failed {failed}");
    }
}
