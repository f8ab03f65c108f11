//! Every interleaving of threads that come, count and go while a collector reads.

use std::vec::Vec;

use loom::sync::Arc;
use loom::thread;

use super::pages::Place;
use super::slab::{Counts, Locked, Slabs, Sole, THREADS_MAX, Writer};
use crate::sync::Ordering;

fn place() -> Place {
    Counts::place(0).unwrap()
}

/// What a thread does from its first count to its end.
fn count(slabs: &Slabs, amounts: &[u64]) {
    match slabs.lease() {
        Some(slab) => {
            let cell = slab.counts.get_or_make(place());
            amounts.iter().for_each(|amount| Sole::add(cell, *amount));
            slab.give_back();
        }
        None => {
            let cell = slabs.shared.counts.get_or_make(place());
            amounts.iter().for_each(|amount| Locked::add(cell, *amount));
        }
    }
}

/// What a collector does.
fn total(slabs: &Slabs) -> u64 {
    slabs.all().filter_map(|slab| slab.counts.get(place())).map(|cell| cell.load(Ordering::Relaxed)).sum()
}

#[test]
fn a_slab_handed_over_loses_nothing() {
    loom::model(|| {
        let slabs = Arc::new(Slabs::new());
        let first = thread::spawn({
            let slabs = Arc::clone(&slabs);
            move || count(&slabs, &[2])
        });
        count(&slabs, &[3]);
        first.join().unwrap();
        count(&slabs, &[4]);
        assert_eq!(total(&slabs), 9);
    });
}

#[test]
fn a_collector_never_sees_a_count_go_back_nor_more_than_was_counted() {
    loom::model(|| {
        let slabs = Arc::new(Slabs::new());
        let writer = thread::spawn({
            let slabs = Arc::clone(&slabs);
            move || {
                count(&slabs, &[1, 1]);
                count(&slabs, &[1]);
            }
        });
        let (one, other) = (total(&slabs), total(&slabs));
        assert!(one <= other && other <= 3, "{one}, then {other}");
        writer.join().unwrap();
        assert_eq!(total(&slabs), 3);
    });
}

#[test]
fn threads_without_a_slab_of_their_own_share_one_and_lose_nothing() {
    loom::model(|| {
        let slabs = Arc::new(Slabs::new());
        let leased = [slabs.lease(), slabs.lease()];
        assert_eq!(leased.iter().flatten().count(), THREADS_MAX);
        let sharing: Vec<_> = (0..2)
            .map(|_| {
                let slabs = Arc::clone(&slabs);
                thread::spawn(move || count(&slabs, &[1]))
            })
            .collect();
        sharing.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(total(&slabs), 2);
    });
}

#[test]
fn two_writers_of_a_float_lose_nothing() {
    loom::model(|| {
        let slabs = Arc::new(Slabs::new());
        let other = thread::spawn({
            let slabs = Arc::clone(&slabs);
            move || Locked::add_float(slabs.shared.counts.get_or_make(place()), 0.5)
        });
        let cell = slabs.shared.counts.get_or_make(place());
        Locked::add_float(cell, 0.25);
        other.join().unwrap();
        assert_eq!(f64::from_bits(cell.load(Ordering::Relaxed)), 0.75);
    });
}
