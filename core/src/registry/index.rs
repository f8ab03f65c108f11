use alloc::boxed::Box;

use crate::memory::once::OnceBox;
use crate::sync::{AtomicU32, Ordering};

/// Tables, each twice as large as the one before; the last has room for all series of a process.
const TABLES: usize = 19;
const FIRST_LENGTH: usize = 8;
/// An entry's low bits: a series' number and one; 0 is no entry.
const NUMBER_BITS: u32 = 21;
const NUMBER: u32 = (1 << NUMBER_BITS) - 1;

/// Finds series by the hash of their labels, without a lock. One at a time inserts.
///
/// A table that became too small stays, for those who are reading it; all together they are at most
/// as large as the newest one.
#[derive(Debug)]
pub(super) struct Index {
    tables: [OnceBox<Box<[AtomicU32]>>; TABLES],
    newest: AtomicU32,
}

impl Index {
    pub(super) fn new() -> Self {
        Self { tables: [const { OnceBox::new() }; TABLES], newest: AtomicU32::new(0) }
    }

    /// The newest table and its number; none before the first series.
    #[inline(always)]
    fn newest(&self) -> Option<(usize, &[AtomicU32])> {
        let newest = self.newest.load(Ordering::Acquire) as usize;
        Some((newest, self.tables.get(newest)?.get()?))
    }

    /// The series with this hash that `is_it`. One inserted at the same time may be missed.
    #[inline(always)]
    pub(super) fn find(&self, hash: u64, is_it: impl Fn(usize) -> bool) -> Option<usize> {
        let (_, table) = self.newest()?;
        let tag = tag(hash);
        for step in 0..table.len() {
            let entry = table.get(place(hash, step, table.len()))?.load(Ordering::Acquire);
            let number = (entry & NUMBER).checked_sub(1)? as usize;
            if entry & !NUMBER == tag && is_it(number) {
                return Some(number);
            }
        }
        None
    }

    /// Adds the series of this number, which has `number` before it; `hash_of` gives their hashes.
    pub(super) fn insert(&self, hash: u64, number: usize, hash_of: impl Fn(usize) -> u64) {
        let newest = self.newest.load(Ordering::Relaxed) as usize;
        let table = self.tables[newest].get_or_make(|| table(newest));
        if (number + 1) * 8 <= table.len() * 7 || newest + 1 == TABLES {
            return put(table, hash, number);
        }
        let larger = self.tables[newest + 1].get_or_make(|| self::table(newest + 1));
        (0..number).for_each(|number| put(larger, hash_of(number), number));
        put(larger, hash, number);
        self.newest.store(newest as u32 + 1, Ordering::Release);
    }

    /// Memory of the tables.
    pub(super) fn bytes(&self) -> usize {
        self.tables.iter().filter_map(OnceBox::get).map(|table| size_of_val(&**table)).sum()
    }
}

fn table(number: usize) -> Box<[AtomicU32]> {
    (0..FIRST_LENGTH << number).map(|_| AtomicU32::new(0)).collect()
}

/// Where an entry is looked for at this step. The table's length is a power of two.
#[inline]
fn place(hash: u64, step: usize, length: usize) -> usize {
    (hash as usize).wrapping_add(step) & (length - 1)
}

#[inline]
fn tag(hash: u64) -> u32 {
    (hash >> 32) as u32 & !NUMBER
}

fn put(table: &[AtomicU32], hash: u64, number: usize) {
    let empty = |place: &usize| table[*place].load(Ordering::Relaxed) == 0;
    let mut places = (0..table.len()).map(|step| place(hash, step, table.len()));
    if let Some(place) = places.find(empty) {
        table[place].store(tag(hash) | (number as u32 + 1), Ordering::Release);
    }
}
