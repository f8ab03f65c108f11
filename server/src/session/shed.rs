//! When the sessions hold more memory than they may, the newest are ended.

use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::time::{Instant, sleep};
use tokio_util::task::AbortOnDropHandle;

use super::live::LiveSession;
use crate::app::{App, Shared};
use crate::memory::{Account, SessionsMemory};

/// Sessions that are told to end need a moment to do so; more are told only after it.
const PAUSE: Duration = Duration::from_millis(20);
/// What a session holds that was told to end counts as good as free for so long. What it holds then still, such as
/// what a provider that hangs does not let go of, is taken as it is.
const ENDS_WITHIN: Duration = Duration::from_secs(10);
/// A session that holds more than this part of all by itself is what fills the memory, and goes before the newest.
const GREEDY_PART: usize = 4;

/// Who ends sessions when there is no more memory for them.
#[derive(Debug, Default)]
pub(crate) struct Shedding(Mutex<Option<AbortOnDropHandle<()>>>);

/// Begins to watch the sessions' memory, unless that is watched already. It ends with the last who holds `app`.
pub(super) fn keep_shedding(app: &App, runtime: &Handle) {
    let mut watching = app.shedding.0.lock();
    if watching.as_ref().is_none_or(AbortOnDropHandle::is_finished) {
        let task = runtime.spawn(shed_while_exceeded(Arc::downgrade(app), Arc::clone(&app.memory)));
        *watching = Some(AbortOnDropHandle::new(task));
    }
}

async fn shed_while_exceeded(app: Weak<Shared>, memory: Arc<SessionsMemory>) {
    let mut told = Told::default();
    loop {
        memory.exceeded().await;
        let Some(app) = app.upgrade() else { return };
        told.shed(&app);
        drop(app);
        sleep(PAUSE).await;
    }
}

/// Sessions that were told to end a short time ago, also those that have left the table since.
#[derive(Debug, Default)]
struct Told(Vec<(Instant, Weak<Account>)>);

impl Told {
    /// Ends sessions until those that stay hold as much as is kept, if they hold more than there may be.
    fn shed(&mut self, app: &App) {
        let memory = &app.memory;
        let mut staying = memory.bytes().saturating_sub(self.leaving());
        if staying <= memory.bytes_max() {
            return;
        }
        memory.begin_shedding();
        for session in by_turn(app.sessions.all(), memory.bytes_max() / GREEDY_PART) {
            if staying <= memory.bytes_kept() {
                return;
            }
            staying = staying.saturating_sub(session.account().bytes());
            self.0.push((Instant::now(), Arc::downgrade(session.account())));
            session.shed();
        }
    }

    /// What those hold that are about to end.
    fn leaving(&mut self) -> usize {
        self.0.retain(|(since, account)| since.elapsed() < ENDS_WITHIN && account.strong_count() > 0);
        self.0.iter().filter_map(|(_, account)| account.upgrade()).map(|account| account.bytes()).sum()
    }
}

/// Those that can be ended, in the order in which they are: the newest first, behind those that hold more than
/// `greedy_bytes`.
fn by_turn(oldest_first: Vec<Arc<LiveSession>>, greedy_bytes: usize) -> impl Iterator<Item = Arc<LiveSession>> {
    let newest_first = oldest_first.into_iter().rev().filter(|session| session.can_be_shed());
    let (greedy, others): (Vec<_>, Vec<_>) = newest_first.partition(|session| session.account().bytes() > greedy_bytes);
    greedy.into_iter().chain(others)
}
