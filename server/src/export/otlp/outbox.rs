use parking_lot::Mutex;
use tachograph_core::registry::{RegisterError, Registry};
use tokio::sync::Notify;

use super::Temporality;
use super::buffer::{Buffer, Limits, Next};
use super::counts::{Counts, Dropped};
use super::request::{Envelope, Request};

/// Between what reads the registry and what sends.
#[derive(Debug)]
pub(super) struct Outbox {
    pub(super) buffer: Mutex<Buffer>,
    pub(super) counts: Counts,
    pub(super) temporality: Temporality,
    pub(super) envelope: Envelope,
    came: Notify,
    went: Notify,
}

impl Outbox {
    pub(super) fn new(
        registry: &Registry,
        limits: Limits,
        temporality: Temporality,
        envelope: Envelope,
    ) -> Result<Self, RegisterError> {
        Ok(Self {
            buffer: Mutex::new(Buffer::new(limits)),
            counts: Counts::register(registry)?,
            temporality,
            envelope,
            came: Notify::new(),
            went: Notify::new(),
        })
    }

    /// Whether one more request of this reading may be made. Totals make room for newer ones; a delta is never
    /// let go, as none that follows has what it has.
    pub(super) fn has_room(&self, cut: u64) -> bool {
        let mut buffer = self.buffer.lock();
        if self.temporality == Temporality::Cumulative {
            let points = buffer.make_room(cut);
            if points > 0 {
                self.counts.drop_points(points, Dropped::BufferFull);
                self.counts.show(&buffer);
            }
        }
        buffer.has_room()
    }

    pub(super) fn push(&self, request: Request) {
        self.change(|buffer| buffer.push(request));
        self.came.notify_one();
    }

    /// The oldest request, once there is one; none when nothing more comes.
    pub(super) async fn next(&self) -> Option<Request> {
        loop {
            match self.change(Buffer::next) {
                Next::Request(request) => return Some(request),
                Next::End => return None,
                Next::Nothing => self.came.notified().await,
            }
        }
    }

    /// What was taken is to be sent again.
    pub(super) fn put_back(&self) {
        self.change(Buffer::put_back);
    }

    /// What was taken is done with.
    pub(super) fn let_go(&self) {
        self.change(Buffer::let_go);
        self.went.notify_one();
    }

    /// Waits until a request went.
    pub(super) async fn room(&self) {
        self.went.notified().await;
    }

    /// Nothing more comes.
    pub(super) fn close(&self) {
        self.change(Buffer::close);
        self.came.notify_one();
    }

    /// Lets all that waits go; returns how many points went.
    pub(super) fn drain(&self) -> u64 {
        self.change(Buffer::drain)
    }

    fn change<T>(&self, change: impl FnOnce(&mut Buffer) -> T) -> T {
        let mut buffer = self.buffer.lock();
        let result = change(&mut buffer);
        self.counts.show(&buffer);
        result
    }
}
