use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tachograph_core::wire::ErrorCode;

use crate::client::{Client, check_receipt};

/// Of more nobody would read.
const FAILURES_MAX: usize = 50;

/// What all clients sent and heard, together.
#[derive(Default)]
pub(super) struct Ledger(Mutex<Books>);

#[derive(Debug, Default)]
pub(super) struct Books {
    /// What was done to the server, by kind.
    pub(super) deeds: BTreeMap<&'static str, u64>,
    /// WebSockets that the server agreed to.
    pub(super) upgrades: u64,
    /// Of them those on which it said `connected`.
    pub(super) connections: u64,
    pub(super) errors: BTreeMap<ErrorCode, u64>,
    pub(super) receipts: u64,
    /// PCM in sessions whose receipt was compared with it.
    pub(super) bytes_compared: u64,
    /// Messages whose numbers never came.
    pub(super) skipped: u64,
    /// Of sessions that are as they should be, by how many seconds each tick was off: by its own time, by its arrival.
    pub(super) tick_errors: Vec<[f64; 2]>,
    pub(super) admitted_ticks_missed: u64,
    pub(super) failures: Vec<String>,
}

impl Ledger {
    pub(super) fn books(&self) -> MutexGuard<'_, Books> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn count(&self, deed: &'static str) {
        *self.books().deeds.entry(deed).or_default() += 1;
    }

    pub(super) fn count_upgrade(&self) {
        self.books().upgrades += 1;
    }

    pub(super) fn fail(&self, failure: String) {
        self.books().fail(failure);
    }

    /// Enters a connection that is over; one that was to get a receipt of all it sent is held to it, unless it was
    /// refused.
    pub(super) fn close(&self, client: &Client, wants_receipt: bool) {
        let mut books = self.books();
        books.enter(client);
        let was_refused = client.heard.errors.contains_key(&ErrorCode::AtCapacity);
        if wants_receipt && !was_refused && client.heard.receipt.is_none() {
            books.fail(format!("no receipt: {:?}", client.heard.errors));
        }
    }

    /// Enters one that stayed throughout.
    pub(super) fn close_admitted(&self, client: &Client) {
        self.count_upgrade();
        self.close(client, true);
        let mut books = self.books();
        books.tick_errors.extend(client.heard.tick_errors());
        if let Some(receipt) = &client.heard.receipt {
            books.admitted_ticks_missed += receipt.ticks_missed;
        }
        if !client.heard.errors.is_empty() && !client.heard.errors.keys().all(|code| *code == ErrorCode::ProviderFailed)
        {
            books.fail(format!("an admitted session was told {:?}", client.heard.errors));
        }
    }
}

impl Books {
    fn fail(&mut self, failure: String) {
        if self.failures.len() < FAILURES_MAX {
            self.failures.push(failure);
        }
    }

    fn enter(&mut self, client: &Client) {
        let heard = &client.heard;
        self.connections += u64::from(heard.is_connected);
        self.skipped += heard.skipped;
        heard.errors.iter().for_each(|(code, count)| *self.errors.entry(*code).or_default() += count);
        if heard.disorder > 0 {
            self.fail(format!("{} messages came out of order", heard.disorder));
        }
        let Some(receipt) = &heard.receipt else { return };
        self.receipts += 1;
        if let Err(fault) = check_receipt(receipt) {
            self.fail(fault);
        }
        if heard.skipped > 0 && receipt.ticks_conflated == 0 {
            self.fail(format!("{} messages are missing, and none was conflated", heard.skipped));
        }
        for source in &receipt.sources {
            let sent = client.sent.get(&source.source).copied().unwrap_or_default();
            self.bytes_compared += sent;
            if sent != source.bytes.received {
                self.fail(format!("{} sent {sent} bytes, received were {}", source.source, source.bytes.received));
            }
        }
        if receipt.sources.len() != client.sent.len() {
            self.fail(format!("{} sources were sent, {} received", client.sent.len(), receipt.sources.len()));
        }
    }
}
