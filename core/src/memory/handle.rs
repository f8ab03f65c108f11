use alloc::sync::Arc;
use core::ptr::from_ref;

use super::pages::Place;
use super::storage::Storage;
use crate::instrument::{Counter, Gauge, Histogram};
use crate::registry::{Descriptor, Kind};

/// What every instrument is: where its series' cells are, and what keeps them there.
#[derive(Clone, Debug)]
pub(crate) struct Handle {
    pub(crate) owner: Arc<Owner>,
    pub(crate) place: Place,
}

/// What the handles of a family share.
#[derive(Debug)]
pub(crate) struct Owner {
    pub(crate) kind: Kind,
    pub(crate) descriptor: Arc<Descriptor>,
    pub(crate) storage: Arc<Storage>,
}

const _: () = assert!(size_of::<Handle>() == size_of::<usize>() + 8);

impl Handle {
    /// A new series; none when the process has no room for it.
    pub(crate) fn new(owner: &Arc<Owner>) -> Option<Self> {
        let place = match owner.kind {
            Kind::Counter | Kind::Gauge => owner.storage.take_count()?,
            Kind::Histogram => owner.storage.take_block()?,
        };
        Some(Self { owner: Arc::clone(owner), place })
    }
}

/// An instrument: a name for a handle, by which a family of handles lends instruments.
///
/// # Safety
/// It is a `repr(transparent)` struct of a [`Handle`].
pub(crate) unsafe trait Instrument: Clone {
    const KIND: Kind;

    #[inline]
    fn of(handle: &Handle) -> &Self {
        // SAFETY: the trait's own condition.
        unsafe { &*from_ref(handle).cast() }
    }
}

// SAFETY: a transparent struct of a handle.
unsafe impl Instrument for Counter {
    const KIND: Kind = Kind::Counter;
}

// SAFETY: a transparent struct of a handle.
unsafe impl Instrument for Gauge {
    const KIND: Kind = Kind::Gauge;
}

// SAFETY: a transparent struct of a handle.
unsafe impl Instrument for Histogram {
    const KIND: Kind = Kind::Histogram;
}
