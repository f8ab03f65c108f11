//! What the processor takes for an update, without a library around it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::{Operation, Role, Site, Subject, Worker, each_value, in_turn, repeat};
use crate::values::MS;

/// A relaxed load, an add and a relaxed store of a cell that only this thread writes.
pub struct SingleWriter {
    /// By thread: a cell has one writer, also where threads share a series.
    cells: Vec<Arc<Cells>>,
}

impl SingleWriter {
    pub fn new(threads: usize) -> Self {
        Self { cells: (0..threads).map(|_| Arc::default()).collect() }
    }
}

impl Subject for SingleWriter {
    fn name(&self) -> &'static str {
        "floor: load + add + store"
    }

    fn role(&self) -> Role {
        Role::Floor
    }

    fn worker(&self, operation: Operation, site: Site) -> Option<Worker> {
        worker(operation, &self.cells[site.thread], |cell| cell.store(cell.load(Relaxed).wrapping_add(1), Relaxed))
    }

    fn remarks(&self) -> &'static [&'static str] {
        &["\"floor: load + add + store\" is a relaxed load, an add and a relaxed store of an `AtomicU64` by its only \
           writer. With more threads each has a cell of its own, on a cache line of its own."]
    }
}

/// A relaxed `fetch_add`.
pub struct LockedAdd {
    /// By series.
    cells: Vec<Arc<Cells>>,
}

impl LockedAdd {
    pub fn new(series: usize) -> Self {
        Self { cells: (0..series).map(|_| Arc::default()).collect() }
    }
}

impl Subject for LockedAdd {
    fn name(&self) -> &'static str {
        "floor: locked add"
    }

    fn role(&self) -> Role {
        Role::Floor
    }

    fn worker(&self, operation: Operation, site: Site) -> Option<Worker> {
        worker(operation, &self.cells[site.series], |cell| {
            cell.fetch_add(1, Relaxed);
        })
    }

    fn remarks(&self) -> &'static [&'static str] {
        &["\"floor: locked add\" is one relaxed `fetch_add` on an `AtomicU64`, which threads on the same series share."]
    }
}

/// Two cache lines, since processors fetch them in pairs.
#[derive(Default)]
#[repr(align(128))]
struct Cells([AtomicU64; 8]);

fn worker(
    operation: Operation,
    cells: &Arc<Cells>,
    add: impl Fn(&AtomicU64) + Copy + Send + 'static,
) -> Option<Worker> {
    let cells = Arc::clone(cells);
    Some(match operation {
        Operation::CounterInc => Box::new(move |iterations| repeat(&cells.0[0], iterations, add)),
        Operation::CounterInTurn => Box::new(move |iterations| in_turn(&cells.0, iterations, add)),
        Operation::GaugeSet => Box::new(move |iterations| {
            each_value(&mut &cells.0[0], &MS, iterations, |cell, value| cell.store(value.to_bits(), Relaxed));
        }),
        _ => return None,
    })
}
