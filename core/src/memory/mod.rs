//! Where the figures live: cells that one thread writes and a collector reads.
//!
//! Every thread that counts leases a [`Slab`](slab::Slab), and is the only one that writes to it
//! until it ends, so that counting is a load and a store without a lock. A slab is never freed:
//! when its thread ends the next thread takes it over, with what was counted in it, so nothing is
//! folded, moved or lost. The value of a series is the sum of its cell over all slabs. Threads
//! beyond [`THREADS_MAX`](slab::THREADS_MAX), threads that are being torn down, and targets without
//! threads write to one shared slab with locked operations.
//!
//! This is the only module with `unsafe` code. What it relies on:
//!
//! 1. *Published memory stays.* What a [`OnceBox`](once::OnceBox) or [`Pages`](pages::Pages) has
//!    published is neither moved nor freed while it can be shared; both free it only through
//!    `&mut self`, or in [`OnceBox::clear`](once::OnceBox::clear), whose caller proves that nobody
//!    reads it.
//! 2. *Slabs stay.* They hang in a static, so that a reference into one is `'static`.
//! 3. *A place is inside its page.* A [`Place`](pages::Place) is only made by
//!    [`Pages::place`](pages::Pages::place), which keeps its offset below the page's length.
//! 4. *A series' cells are cleared only when nobody can reach them.* Every handle and collector
//!    holds the [`Storage`](storage::Storage), whose drop clears them.
//! 5. *An instrument is a handle.* Each is a transparent struct of a [`Handle`](handle::Handle).
#![allow(unsafe_code, reason = "the one module that may, with the proof above")]

pub(crate) mod once;
pub(crate) mod pages;
pub(crate) mod slab;

#[cfg(not(model_check))]
pub(crate) mod block;
#[cfg(not(model_check))]
pub(crate) mod handle;
#[cfg(all(feature = "std", not(model_check)))]
mod local;
#[cfg(not(model_check))]
pub(crate) mod process;
#[cfg(not(model_check))]
pub(crate) mod storage;

#[cfg(all(model_check, test))]
mod loom_tests;
