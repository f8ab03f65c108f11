//! How much memory the sessions hold together: counted where it is taken and where it is given back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::sync::Notify;

/// Of how much there may be, so much is kept once that was passed: sessions are ended down to here, and none is
/// opened until then. Less would have it go on at the limit, a session at a time.
const KEPT_PERCENT: usize = 90;

/// What all sessions hold.
#[derive(Debug)]
pub(crate) struct SessionsMemory {
    bytes: AtomicUsize,
    bytes_max: AtomicUsize,
    /// More was taken than there may be.
    exceeded: Notify,
    /// Sessions were ended for it, and there is not as much room again as there is to be.
    is_shedding: AtomicBool,
}

/// What one session holds, with its connection. Clones of the handle are the same account.
#[derive(Debug)]
pub(crate) struct Account {
    all: Arc<SessionsMemory>,
    bytes: AtomicUsize,
}

/// Memory that counts for as long as this is there.
#[derive(Debug)]
pub(crate) struct Held {
    account: Arc<Account>,
    bytes: usize,
}

impl SessionsMemory {
    pub(crate) fn new(bytes_max: usize) -> Arc<Self> {
        Arc::new(Self {
            bytes: AtomicUsize::new(0),
            bytes_max: AtomicUsize::new(bytes_max),
            exceeded: Notify::new(),
            is_shedding: AtomicBool::new(false),
        })
    }

    /// All that is held now, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// How much may be, in bytes.
    pub(crate) fn bytes_max(&self) -> usize {
        self.bytes_max.load(Ordering::Relaxed)
    }

    /// How much is kept after more was held than may be, in bytes.
    pub(crate) fn bytes_kept(&self) -> usize {
        self.bytes_max() / 100 * KEPT_PERCENT
    }

    /// So much may be held from now on.
    pub(crate) fn set_bytes_max(&self, bytes_max: usize) {
        self.bytes_max.store(bytes_max, Ordering::Relaxed);
        self.check(self.bytes());
    }

    /// Whether there is no room for another session.
    pub(crate) fn is_full(&self) -> bool {
        let bytes = self.bytes();
        if bytes <= self.bytes_kept() {
            self.is_shedding.store(false, Ordering::Relaxed);
        }
        bytes > self.bytes_max() || self.is_shedding.load(Ordering::Relaxed)
    }

    /// Sessions are ended from now on: there is no room for others until so much is held as is kept. More than there
    /// may be for a moment, by what is let go of at once, is no reason.
    pub(crate) fn begin_shedding(&self) {
        self.is_shedding.store(true, Ordering::Relaxed);
    }

    /// Waits until more is held than may be.
    pub(crate) async fn exceeded(&self) {
        while self.bytes() <= self.bytes_max() {
            self.exceeded.notified().await;
        }
    }

    fn add(&self, bytes: usize) {
        let before = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.check(before + bytes);
    }

    fn subtract(&self, bytes: usize) {
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    fn check(&self, bytes: usize) {
        if bytes > self.bytes_max() {
            self.exceeded.notify_one();
        }
    }
}

impl Account {
    /// Of a session that holds nothing yet.
    pub(crate) fn open(all: &Arc<SessionsMemory>) -> Arc<Self> {
        Arc::new(Self { all: Arc::clone(all), bytes: AtomicUsize::new(0) })
    }

    /// What it holds now, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// So much more is held.
    pub(crate) fn hold(self: &Arc<Self>, bytes: usize) -> Held {
        let mut held = Held { account: Arc::clone(self), bytes: 0 };
        held.grow(bytes);
        held
    }
}

impl Held {
    /// So much more of it.
    pub(crate) fn grow(&mut self, bytes: usize) {
        self.bytes += bytes;
        self.account.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.account.all.add(bytes);
    }

    /// So much of it at least.
    #[cfg(any(test, feature = "live"))]
    pub(crate) fn grow_to(&mut self, bytes: usize) {
        if bytes > self.bytes {
            self.grow(bytes - self.bytes);
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.account.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
        self.account.all.subtract(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn what_is_held_counts_until_it_is_let_go_of() {
        let all = SessionsMemory::new(1_000);
        let (one, two) = (Account::open(&all), Account::open(&all));
        let (mut small, large) = (one.hold(100), two.hold(500));
        small.grow(50);
        small.grow_to(150);
        small.grow_to(70);
        assert_eq!((one.bytes(), two.bytes(), all.bytes()), (150, 500, 650));
        drop(large);
        assert_eq!((one.bytes(), two.bytes(), all.bytes()), (150, 0, 150));
        drop(small);
        assert_eq!((one.bytes(), all.bytes()), (0, 0));
    }

    #[test]
    fn it_is_full_from_the_limit_on_until_there_is_room_again() {
        let all = SessionsMemory::new(1_000);
        let account = Account::open(&all);
        let (mut held, first, second) = (account.hold(899), account.hold(51), account.hold(50));
        assert!(!all.is_full() && all.exceeded().now_or_never().is_none(), "the limit itself may be held");
        held.grow(1);
        assert!(all.is_full() && all.exceeded().now_or_never().is_some());
        all.begin_shedding();
        drop(second);
        assert!(all.is_full() && all.exceeded().now_or_never().is_none(), "less than the limit, more than 90 %");
        drop(first);
        assert!(!all.is_full());
        drop(account.hold(1_000));
        assert!(!all.is_full(), "what was let go of at once");
        all.set_bytes_max(500);
        assert!(all.is_full() && all.exceeded().now_or_never().is_some(), "a limit can be lowered below what is held");
    }
}
