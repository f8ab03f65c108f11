use core::time::Duration;

use crate::time::Moment;

const SPAN: Duration = Duration::from_secs(10);
const SLOT: Duration = Duration::from_millis(100);
const SLOTS: usize = (SPAN.as_millis() / SLOT.as_millis()) as usize;

/// Counts what happened in a sliding 10 s, in slots of 100 ms: that much is its error in time.
#[derive(Debug)]
pub(super) struct DropWindow {
    counts: [u64; SLOTS],
    /// The newest slot counted into, since the clock's origin.
    newest: u64,
}

impl Default for DropWindow {
    fn default() -> Self {
        Self { counts: [0; SLOTS], newest: 0 }
    }
}

impl DropWindow {
    pub(super) fn add(&mut self, count: u64, now: Moment) {
        self.advance(now);
        let slot = &mut self.counts[self.newest as usize % SLOTS];
        *slot = slot.saturating_add(count);
    }

    pub(super) fn total(&mut self, now: Moment) -> u64 {
        self.advance(now);
        self.counts.iter().fold(0, |total, count| total.saturating_add(*count))
    }

    /// Empties the slots between the newest and the present one.
    fn advance(&mut self, now: Moment) {
        let present = now.as_nanos() / SLOT.as_nanos() as u64;
        let passed = present.saturating_sub(self.newest).min(SLOTS as u64);
        (1..=passed).for_each(|step| self.counts[(present + 1 - step) as usize % SLOTS] = 0);
        self.newest = self.newest.max(present);
    }
}
