use super::once::OnceBox;
use super::pages::Pages;
#[cfg(any(feature = "std", model_check))]
use crate::sync::AtomicBool;
use crate::sync::{AtomicU64, Ordering};

/// Threads that can have a slab of their own at once.
#[cfg(all(feature = "std", not(model_check)))]
pub(crate) const THREADS_MAX: usize = 256;
#[cfg(model_check)]
pub(crate) const THREADS_MAX: usize = 2;

/// Counts and gauges of all registries: room for 1,044,480, the first page 1 KiB.
#[cfg(not(model_check))]
pub(crate) type Counts = Pages<AtomicU64, 256, 32, 128>;
#[cfg(model_check)]
pub(crate) type Counts = Pages<AtomicU64, 1, 1, 2>;

/// Histograms of all registries: room for 65,280, the first page 256 bytes.
#[cfg(not(model_check))]
pub(crate) type Blocks = Pages<OnceBox<super::block::Block>, 64, 8, 32>;

/// The cells of one thread, or those that all may write to.
#[derive(Debug)]
pub(crate) struct Slab {
    #[cfg(any(feature = "std", model_check))]
    leased: AtomicBool,
    pub(crate) counts: Counts,
    #[cfg(not(model_check))]
    pub(crate) blocks: Blocks,
}

/// All slabs. Those of threads are filled in order, and stay.
#[derive(Debug)]
pub(crate) struct Slabs {
    pub(crate) shared: Slab,
    #[cfg(any(feature = "std", model_check))]
    owned: [OnceBox<Slab>; THREADS_MAX],
}

impl Slabs {
    #[cfg(not(model_check))]
    pub(crate) const fn new() -> Self {
        Self {
            shared: Slab::new(),
            #[cfg(feature = "std")]
            owned: [const { OnceBox::new() }; THREADS_MAX],
        }
    }

    #[cfg(model_check)]
    pub(crate) fn new() -> Self {
        Self { shared: Slab::new(), owned: core::array::from_fn(|_| OnceBox::new()) }
    }

    /// A slab whose only writer the caller is until it gives it back; what it holds already stays
    /// counted. None when all are taken.
    #[cfg(any(feature = "std", model_check))]
    pub(crate) fn lease(&self) -> Option<&Slab> {
        self.owned.iter().map(|place| place.get_or_make(Slab::new)).find(|slab| slab.take())
    }

    /// Every slab that may hold something.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Slab> {
        #[cfg(any(feature = "std", model_check))]
        let owned = self.owned.iter().map_while(OnceBox::get);
        #[cfg(not(any(feature = "std", model_check)))]
        let owned = core::iter::empty();
        core::iter::once(&self.shared).chain(owned)
    }
}

impl Slab {
    #[cfg(not(model_check))]
    const fn new() -> Self {
        Self {
            #[cfg(feature = "std")]
            leased: AtomicBool::new(false),
            counts: Pages::new(),
            blocks: Pages::new(),
        }
    }

    #[cfg(model_check)]
    fn new() -> Self {
        Self { leased: AtomicBool::new(false), counts: Pages::new() }
    }

    /// Acquires what the previous writer stored, so that the new one goes on from there.
    #[cfg(any(feature = "std", model_check))]
    fn take(&self) -> bool {
        !self.leased.swap(true, Ordering::Acquire)
    }

    /// The caller writes to it no more.
    #[cfg(any(feature = "std", model_check))]
    pub(crate) fn give_back(&self) {
        self.leased.store(false, Ordering::Release);
    }
}

/// How a cell is written to.
pub(crate) trait Writer {
    /// Counts `amount`; a cell stays at `u64::MAX`.
    fn add(cell: &AtomicU64, amount: u64);
    /// Adds to a float kept as bits.
    fn add_float(cell: &AtomicU64, amount: f64);
}

/// The only writer of a cell: no lock, and no other thread's write between load and store.
pub(crate) struct Sole;

impl Writer for Sole {
    #[inline]
    fn add(cell: &AtomicU64, amount: u64) {
        cell.store(cell.load(Ordering::Relaxed).saturating_add(amount), Ordering::Relaxed);
    }

    #[inline]
    fn add_float(cell: &AtomicU64, amount: f64) {
        let sum = f64::from_bits(cell.load(Ordering::Relaxed)) + amount;
        cell.store(sum.to_bits(), Ordering::Relaxed);
    }
}

/// One of many writers, or one that an interrupt may come between.
pub(crate) struct Locked;

impl Writer for Locked {
    fn add(cell: &AtomicU64, amount: u64) {
        let saturating = |count: u64| Some(count.saturating_add(amount));
        let _always_ok = cell.fetch_update(Ordering::Relaxed, Ordering::Relaxed, saturating);
    }

    fn add_float(cell: &AtomicU64, amount: f64) {
        let sum = |bits: u64| Some((f64::from_bits(bits) + amount).to_bits());
        let _always_ok = cell.fetch_update(Ordering::Relaxed, Ordering::Relaxed, sum);
    }
}
