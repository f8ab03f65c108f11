use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::live::LiveSession;

/// The live sessions, oldest first, no more than allowed.
#[derive(Debug, Default)]
pub(crate) struct SessionTable(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    last_key: u64,
    sessions: BTreeMap<u64, Arc<LiveSession>>,
}

impl SessionTable {
    /// Enters the session that `make` makes with its key; None, making nothing, when the table is full.
    pub(super) fn enter(
        &self,
        sessions_max: usize,
        make: impl FnOnce(u64) -> Arc<LiveSession>,
    ) -> Option<Arc<LiveSession>> {
        let mut table = self.0.lock();
        if table.sessions.len() >= sessions_max {
            return None;
        }
        table.last_key += 1;
        let key = table.last_key;
        let session = make(key);
        table.sessions.insert(key, Arc::clone(&session));
        Some(session)
    }

    pub(super) fn leave(&self, key: u64) {
        self.0.lock().sessions.remove(&key);
    }

    /// All of them now.
    pub(crate) fn all(&self) -> Vec<Arc<LiveSession>> {
        self.0.lock().sessions.values().cloned().collect()
    }
}
