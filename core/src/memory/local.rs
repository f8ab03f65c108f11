//! What a thread keeps of the slab that it leases.

use core::cell::Cell;
use core::ptr::null;
use std::thread_local;

use super::block::Block;
use super::once::OnceBox;
use super::pages::Place;
use super::process::{PROCESS, count_sharing};
use super::slab::Slab;
use crate::sync::AtomicU64;

/// The pages of the thread's slab, as far as it touched them; at hand without going through the slab.
struct Known {
    counts: [Cell<*const AtomicU64>; 256],
    blocks: [Cell<*const OnceBox<Block>>; 64],
}

/// A slab for as long as the thread lives.
struct Lease(Option<&'static Slab>);

thread_local! {
    // Has no destructor, so that it can be read until the very end of the thread.
    static KNOWN: Known = const {
        Known { counts: [const { Cell::new(null()) }; 256], blocks: [const { Cell::new(null()) }; 64] }
    };
    static LEASE: Lease = Lease(lease());
}

/// The thread's own cell, if it was touched before.
#[inline]
pub(super) fn count(place: Place) -> Option<&'static AtomicU64> {
    let page = KNOWN.with(|known| known.counts[place.page() % 256].get());
    // SAFETY: rules 2 and 3 of the module: null, or a page of a slab, and the place is inside it.
    (!page.is_null()).then(|| unsafe { &*page.add(place.offset()) })
}

/// The thread's own block, if it was touched before.
#[inline]
pub(super) fn block(place: Place) -> Option<&'static Block> {
    let page = KNOWN.with(|known| known.blocks[place.page() % 64].get());
    // SAFETY: as in `count`.
    let block = (!page.is_null()).then(|| unsafe { &*page.add(place.offset()) });
    block.and_then(OnceBox::get)
}

/// The thread's own cell, made if need be; none when it has no slab.
pub(super) fn touch_count(place: Place) -> Option<&'static AtomicU64> {
    let slab = leased()?;
    let cell = slab.counts.get_or_make(place);
    KNOWN.with(|known| known.counts[place.page() % 256].set(slab.counts.page(place.page())));
    Some(cell)
}

/// The place of the thread's own block, made if need be; none when it has no slab.
pub(super) fn touch_block(place: Place) -> Option<&'static OnceBox<Block>> {
    let slab = leased()?;
    let held = slab.blocks.get_or_make(place);
    KNOWN.with(|known| known.blocks[place.page() % 64].set(slab.blocks.page(place.page())));
    Some(held)
}

/// None, and counted, when all slabs are taken.
fn lease() -> Option<&'static Slab> {
    let leased = PROCESS.lease();
    if leased.is_none() {
        count_sharing();
    }
    leased
}

/// None when all slabs were taken, and while the thread is being torn down.
fn leased() -> Option<&'static Slab> {
    LEASE.try_with(|lease| lease.0).ok().flatten()
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(slab) = self.0 else { return };
        KNOWN.with(|known| {
            known.counts.iter().for_each(|page| page.set(null()));
            known.blocks.iter().for_each(|page| page.set(null()));
        });
        slab.give_back();
    }
}
