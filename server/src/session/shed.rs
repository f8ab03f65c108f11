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
/// What a session holds that is about to end counts as good as free for so long. What it holds then still, such as
/// what a provider that hangs does not let go of, is taken as it is.
const ENDS_WITHIN: Duration = Duration::from_secs(10);
/// A session that holds more than this part of all by itself is what fills the memory, and goes before the newest.
const GREEDY_PART: usize = 4;

/// Who ends sessions when there is no more memory for them, and those that end anyway.
#[derive(Debug, Default)]
pub(crate) struct Shedding {
    watching: Mutex<Option<AbortOnDropHandle<()>>>,
    leaving: Mutex<Leaving>,
}

/// Begins to watch the sessions' memory, unless that is watched already. It ends with the last who holds `app`.
pub(super) fn keep_shedding(app: &App, runtime: &Handle) {
    let mut watching = app.shedding.watching.lock();
    if watching.as_ref().is_none_or(AbortOnDropHandle::is_finished) {
        let task = runtime.spawn(shed_while_exceeded(Arc::downgrade(app), Arc::clone(&app.memory)));
        *watching = Some(AbortOnDropHandle::new(task));
    }
}

async fn shed_while_exceeded(app: Weak<Shared>, memory: Arc<SessionsMemory>) {
    loop {
        memory.exceeded().await;
        let Some(app) = app.upgrade() else { return };
        shed(&app);
        drop(app);
        sleep(PAUSE).await;
    }
}

/// Ends sessions until those that stay hold as much as is kept, if they hold more than there may be.
fn shed(app: &App) {
    let memory = &app.memory;
    // Before what leaves is looked at: a session that begins to between the two is in both, and not in none.
    let by_turn = by_turn(app.sessions.all(), memory.bytes_max() / GREEDY_PART);
    // Of what leaves there is no more than of what stays: else sessions that stop slowly would have no limit.
    let leaving = app.shedding.leaving_bytes().min(memory.bytes_max());
    let mut staying = memory.bytes().saturating_sub(leaving);
    if staying <= memory.bytes_max() {
        return;
    }
    memory.begin_shedding();
    for session in by_turn {
        if staying <= memory.bytes_kept() {
            return;
        }
        staying = staying.saturating_sub(session.account().bytes());
        session.shed();
    }
}

impl Shedding {
    /// Told once of each session that can be ended for want of memory, when it begins to end, for whatever reason.
    pub(super) fn leaves(&self, account: &Arc<Account>) {
        self.leaving.lock().add(Arc::downgrade(account));
    }

    /// What those hold that are about to end. Nobody else is to end for that.
    fn leaving_bytes(&self) -> usize {
        let mut leaving = self.leaving.lock();
        leaving.forget_gone();
        leaving.accounts.iter().filter_map(|(_, account)| account.upgrade()).map(|account| account.bytes()).sum()
    }
}

/// Sessions that began to end a short time ago, also those that have left the table since.
#[derive(Debug, Default)]
struct Leaving {
    accounts: Vec<(Instant, Weak<Account>)>,
    /// So many are looked through, so that those that are gone are never more than those that are not, or than a few.
    forget_at: usize,
}

/// Of fewer it is not worth to forget any.
const FORGET_AT_LEAST: usize = 64;

impl Leaving {
    fn add(&mut self, account: Weak<Account>) {
        if self.accounts.len() >= self.forget_at.max(FORGET_AT_LEAST) {
            self.forget_gone();
        }
        self.accounts.push((Instant::now(), account));
    }

    fn forget_gone(&mut self) {
        self.accounts.retain(|(since, account)| since.elapsed() < ENDS_WITHIN && account.strong_count() > 0);
        self.forget_at = 2 * self.accounts.len();
    }
}

/// Those that can be ended, in the order in which they are: the newest first, behind those that hold more than
/// `greedy_bytes`.
fn by_turn(oldest_first: Vec<Arc<LiveSession>>, greedy_bytes: usize) -> impl Iterator<Item = Arc<LiveSession>> {
    let newest_first = oldest_first.into_iter().rev().filter(|session| session.can_be_shed());
    let (greedy, others): (Vec<_>, Vec<_>) = newest_first.partition(|session| session.account().bytes() > greedy_bytes);
    greedy.into_iter().chain(others)
}
