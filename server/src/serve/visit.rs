use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::metrics::CutOff;
use super::places::Permit;
use crate::app::App;

/// One connection, as its socket and its requests share it. It lasts as long as the socket, so its permit is held
/// through an upgrade, too.
pub(super) struct Visit {
    permit: Permit,
    /// Something was read that can be the beginning of a request.
    has_begun: AtomicBool,
    /// A request came whole.
    has_asked: AtomicBool,
}

impl Visit {
    pub(super) fn new(permit: Permit) -> Arc<Self> {
        Arc::new(Self { permit, has_begun: AtomicBool::new(false), has_asked: AtomicBool::new(false) })
    }

    pub(super) fn app(&self) -> &App {
        &self.permit.app
    }

    /// Something was read.
    pub(super) fn begin(&self) {
        self.has_begun.store(true, Ordering::Relaxed);
    }

    /// A request came whole.
    pub(super) fn ask(&self) {
        self.has_asked.store(true, Ordering::Relaxed);
    }

    /// Whether any did.
    pub(super) fn has_asked(&self) -> bool {
        self.has_asked.load(Ordering::Relaxed)
    }

    /// The next request is waited for.
    pub(super) fn rest(&self) {
        self.has_begun.store(false, Ordering::Relaxed);
    }

    pub(super) fn count_cut_off(&self, reason: CutOff) {
        self.app().metrics.transport.count_cut_off(reason);
    }

    /// Counts what no header came of in time.
    pub(super) fn count_late_header(&self) {
        let has_begun = self.has_begun.load(Ordering::Relaxed);
        self.count_cut_off(if has_begun { CutOff::Header } else { CutOff::Idle });
    }
}
