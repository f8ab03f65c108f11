//! What allocates, and what does not: counted by the allocator itself.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(unsafe_code, reason = "an allocator is unsafe to write; this one only counts")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use tachograph_core::registry::{Descriptor, Registry};

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: everything is the system allocator's.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _torn_down = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's word.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, held: *mut u8, layout: Layout) {
        // SAFETY: the caller's word.
        unsafe { System.dealloc(held, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// Allocations of this thread while it does `work`.
fn allocations(work: impl FnOnce()) -> u64 {
    let before = ALLOCATIONS.get();
    work();
    ALLOCATIONS.get() - before
}

#[test]
fn recording_allocates_the_first_time_in_a_thread_and_never_after() {
    let registry = Registry::new();
    let frames = registry.counter(&Descriptor::new("frames", "").label("source").label("a_kind")).unwrap();
    let depth = registry.gauge(&Descriptor::new("depth", "")).unwrap().bind(&[]).unwrap();
    let time = registry.histogram(&Descriptor::new("time", "").bounds(&[1.0, 10.0])).unwrap().bind(&[]).unwrap();
    let long = "x".repeat(300);
    let record = || {
        for source in ["mic", "a source whose name is long", &long] {
            frames.with(&[("source", source), ("a_kind", "pcm")]).unwrap().inc();
            frames.with(&[("a_kind", "pcm"), ("source", source)]).unwrap().inc();
        }
        depth.set(1.0);
        depth.add(0.5);
        [-1.0, 0.0, 1.0, 1.001, 9.99, 10.0, 1e9, f64::NAN].into_iter().for_each(|value| time.record(value));
    };
    assert!(allocations(record) > 0);
    assert_eq!(allocations(|| (0..1_000).for_each(|_| record())), 0);
}

#[test]
fn collecting_again_allocates_nothing() {
    let registry = Registry::new();
    let frames = registry.counter(&Descriptor::new("frames", "").label("source")).unwrap();
    let depth = registry.gauge(&Descriptor::new("depth", "")).unwrap().bind(&[]).unwrap();
    let time = registry.histogram(&Descriptor::new("time", "").bounds(&[1.0, 10.0])).unwrap().bind(&[]).unwrap();
    let parts: Vec<_> = (0..10).map(|_| depth.part()).collect();
    let mut collector = registry.collector();
    let mut round = |round: u32| {
        (0..500).for_each(|source| frames.with(&[("source", &source.to_string())]).unwrap().inc());
        parts.iter().for_each(|part| part.set(f64::from(round)));
        (0..200).for_each(|value| time.record(f64::from(value) / 7.0));
        allocations(|| {
            let _snapshot = collector.collect(u64::from(round));
        })
    };
    assert!(round(0) > 0);
    assert_eq!((1..20).map(round).sum::<u64>(), 0);
}
