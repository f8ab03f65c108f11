//! Sessions that end when nobody expects it: before their loop starts, during a tick, and more than once.
#![allow(clippy::panic, clippy::unwrap_used, reason = "a test fails by it")]

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tachograph::Tachograph;
use tachograph::session::{Amount, Observer, Session, SourceConfig};
use tachograph::wire::{Receipt, ServerMessage};
use tokio::runtime::Handle;
use tokio::time::sleep;

/// Keeps the ticks it is told of.
#[derive(Default)]
struct Ticks(Mutex<Vec<u64>>);

impl Observer for Ticks {
    fn tell(&self, message: ServerMessage) {
        if let ServerMessage::Metrics(figures) = message {
            self.0.lock().push(figures.tick);
        }
    }
}

fn dropped(tacho: &Tachograph) -> Option<u64> {
    tacho.registry().snapshot().counter("audio_bytes_dropped", &[("source", "mic")])
}

fn active(tacho: &Tachograph) -> Option<f64> {
    tacho.registry().snapshot().gauge("active_sessions", &[])
}

/// A session with a source in which something waits.
fn open(tacho: &Tachograph, ticks: &Arc<Ticks>) -> Session {
    let session = tacho.session("call").observer(Arc::clone(ticks) as _).open().unwrap();
    std::mem::forget(session.source("mic", SourceConfig::default()).unwrap().enqueue(Amount::new(1, 320)));
    session
}

#[tokio::test(start_paused = true)]
async fn a_session_that_ends_before_its_loop_starts_leaves_nothing() {
    let (tacho, ticks) = (Tachograph::new().unwrap(), Arc::<Ticks>::default());
    tacho.session("first").open().unwrap().end();
    sleep(Duration::from_secs(2)).await;
    let tasks = Handle::current().metrics().num_alive_tasks();
    // Nothing is awaited between: no task of the session has run.
    let receipt = open(&tacho, &ticks).end();
    assert_eq!((receipt.ticks_sent, receipt.ticks_missed, receipt.sources[0].bytes_left), (0, 0, 320));
    sleep(Duration::from_secs(3)).await;
    assert_eq!(*ticks.0.lock(), [0_u64; 0]);
    assert_eq!((active(&tacho), dropped(&tacho)), (Some(0.0), Some(320)));
    assert_eq!(Handle::current().metrics().num_alive_tasks(), tasks);
}

/// A session that is ended within its second tick, as `end` does it.
async fn ended_within_a_tick(end: fn(Session) -> Receipt) {
    let (held, ended) = (Arc::new(Mutex::new(None::<Session>)), Arc::new(Mutex::new(None)));
    let (taken, told) = (Arc::clone(&held), Arc::clone(&ended));
    let hook = move |_: &_, tick| {
        if tick == 2 {
            let session = taken.lock().take();
            *told.lock() = session.map(end);
        }
    };
    let (tacho, ticks) = (Tachograph::builder().on_session_tick(hook).build().unwrap(), Arc::<Ticks>::default());
    let session = open(&tacho, &ticks);
    *held.lock() = Some(session);
    sleep(Duration::from_secs(5)).await;
    let receipt = ended.lock().take().unwrap();
    assert_eq!((receipt.ticks_sent, receipt.ticks_missed, receipt.sources[0].bytes_left), (1, 0, 320));
    assert_eq!(*ticks.0.lock(), [1], "nothing is told after the receipt");
    let restarts = tacho.registry().snapshot().counter("tachograph_task_restarts", &[("task", "session")]);
    assert_eq!((active(&tacho), dropped(&tacho), restarts), (Some(0.0), Some(320), None));
}

#[tokio::test(start_paused = true)]
async fn a_session_that_its_own_tick_ends_tells_nothing_after_its_receipt() {
    ended_within_a_tick(|session| session.end()).await;
}

#[tokio::test(start_paused = true)]
async fn a_session_that_another_thread_ends_during_its_tick_tells_nothing_after_its_receipt() {
    ended_within_a_tick(|session| std::thread::spawn(move || session.end()).join().unwrap()).await;
}

#[tokio::test(start_paused = true)]
async fn a_session_that_many_end_at_once_ends_once() {
    let (tacho, ticks) = (Tachograph::new().unwrap(), Arc::<Ticks>::default());
    let session = open(&tacho, &ticks);
    let receipts: Vec<Receipt> = std::thread::scope(|scope| {
        let ends: Vec<_> = (0..8).map(|_| scope.spawn(|| session.end())).collect();
        ends.into_iter().map(|end| end.join().unwrap()).collect()
    });
    assert!(receipts.iter().all(|receipt| *receipt == receipts[0]));
    assert_eq!(session.end(), receipts[0]);
    drop(session);
    assert_eq!((active(&tacho), dropped(&tacho)), (Some(0.0), Some(320)));
}
