//! Notices a tick that stands still: what is called at each tick takes for ever, or the runtime is blocked.

use std::sync::Weak;
use std::thread;
use std::time::{Duration, Instant};

use crate::app::{App, Shared};

const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Three ticks.
const STUCK_AFTER: Duration = Duration::from_secs(3);

/// Watches until nobody holds `app` any more, on a thread of its own: whatever holds the tick may hold the runtime.
pub(crate) fn watch(app: Weak<Shared>) {
    let watching = thread::Builder::new().name("tachograph-watchdog".into()).spawn(move || look_on(&app));
    if let Err(error) = watching {
        tracing::error!(%error, "nobody watches the tick: there is no room for one more thread");
    }
}

fn look_on(app: &Weak<Shared>) {
    let mut watch = Watch::new(Instant::now());
    while let Some(app) = app.upgrade() {
        let newest = app.hub.whole().newest();
        match watch.look(newest, app.hub.is_ticking(), Instant::now()) {
            Seen::Sound => {}
            Seen::Stuck => note_stuck(&app, newest),
            Seen::GoesOn(stood) => note_end(&app, stood),
        }
        drop(app);
        thread::sleep(LOOK_EVERY);
    }
}

/// Viewers cannot be told before it goes on, so the log and the counter have it first.
fn note_stuck(app: &App, newest: u64) {
    app.metrics.ticks_stuck.inc();
    tracing::error!(
        newest,
        "the tick stands still: a hook takes too long or fails each time, or the runtime's threads are blocked"
    );
}

fn note_end(app: &App, stood: Duration) {
    let message = format!("the server's tick stood still for {:.0} s", stood.as_secs_f64());
    tracing::warn!("{message}");
    app.tell_fault(message);
}

/// What was seen of the tick.
struct Watch {
    newest: u64,
    since: Instant,
    is_stuck: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum Seen {
    Sound,
    /// Told once.
    Stuck,
    /// After it was stuck, for so long.
    GoesOn(Duration),
}

impl Watch {
    fn new(now: Instant) -> Self {
        Self { newest: 0, since: now, is_stuck: false }
    }

    /// Where nobody ticks, nothing is stuck.
    fn look(&mut self, newest: u64, is_ticking: bool, now: Instant) -> Seen {
        let stood = now.duration_since(self.since);
        if newest != self.newest || !is_ticking {
            (self.newest, self.since) = (newest, now);
            return if std::mem::take(&mut self.is_stuck) { Seen::GoesOn(stood) } else { Seen::Sound };
        }
        let begins = stood > STUCK_AFTER && !self.is_stuck;
        self.is_stuck |= begins;
        if begins { Seen::Stuck } else { Seen::Sound }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tick_that_stands_still_is_noticed_once_and_its_end_too() {
        let begun = Instant::now();
        let mut watch = Watch::new(begun);
        let mut look = |newest, ticks, ms| watch.look(newest, ticks, begun + Duration::from_millis(ms));
        assert_eq!(look(1, true, 500), Seen::Sound);
        assert_eq!(look(1, true, 3_500), Seen::Sound);
        assert_eq!(look(1, true, 3_501), Seen::Stuck);
        assert_eq!(look(1, true, 9_000), Seen::Sound);
        assert_eq!(look(2, true, 9_500), Seen::GoesOn(Duration::from_secs(9)));
        assert_eq!(look(3, true, 10_000), Seen::Sound);
    }

    #[test]
    fn where_nobody_ticks_nothing_is_stuck() {
        let begun = Instant::now();
        let mut watch = Watch::new(begun);
        for seconds in 0..10 {
            assert_eq!(watch.look(1, false, begun + Duration::from_secs(seconds)), Seen::Sound);
        }
        assert_eq!(watch.look(1, true, begun + Duration::from_secs(11)), Seen::Sound);
        assert_eq!(watch.look(1, true, begun + Duration::from_secs(13)), Seen::Stuck);
    }
}
