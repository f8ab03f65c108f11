use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::MergeError;

/// Index and count of the buckets that are not empty, ascending.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Buckets(Vec<(i32, u64)>);

impl Buckets {
    pub(crate) fn as_slice(&self) -> &[(i32, u64)] {
        &self.0
    }

    pub(crate) fn copy_from(&mut self, other: &Self) {
        self.0.clone_from(&other.0);
    }

    /// To count in buckets whose indices ascend.
    pub(crate) fn grow(&mut self) -> Growing<'_> {
        Growing { held: self.0.len(), place: 0, buckets: &mut self.0 }
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// Counts in a bucket; cheapest when indices ascend.
    pub(crate) fn add(&mut self, index: i32, count: u64) {
        match self.0.last() {
            Some((last, _)) if *last >= index => self.add_between(index, count),
            _ => self.0.push((index, count)),
        }
    }

    fn add_between(&mut self, index: i32, count: u64) {
        match self.0.binary_search_by_key(&index, |(index, _)| *index) {
            Ok(place) => self.0[place].1 = self.0[place].1.saturating_add(count),
            Err(place) => self.0.insert(place, (index, count)),
        }
    }

    /// Halves the indices so often, and joins the buckets that get the same.
    pub(super) fn coarsen(&mut self, halvings: u32) {
        if halvings == 0 {
            return;
        }
        self.0.iter_mut().for_each(|(index, _)| *index >>= halvings);
        self.0.dedup_by(|next, kept| {
            let is_same = next.0 == kept.0;
            if is_same {
                kept.1 = kept.1.saturating_add(next.1);
            }
            is_same
        });
    }

    /// Adds the buckets of another, their indices halved so often.
    pub(super) fn merge(&mut self, other: &Self, halvings: u32) {
        other.0.iter().for_each(|(index, count)| self.add(index >> halvings, *count));
    }

    /// Takes the counts of `earlier` away, its indices halved so often, and the buckets that are empty then.
    pub(super) fn take_away(&mut self, earlier: &Self, halvings: u32) -> Result<(), MergeError> {
        let mut place = 0;
        for (index, before) in &earlier.0 {
            let index = index >> halvings;
            while self.0.get(place).is_some_and(|(held, _)| *held < index) {
                place += 1;
            }
            let (_, count) = self.0.get_mut(place).filter(|(held, _)| *held == index).ok_or(MergeError::WentBack)?;
            *count = count.checked_sub(*before).ok_or(MergeError::WentBack)?;
        }
        self.0.retain(|(_, count)| *count > 0);
        Ok(())
    }
}

/// Buckets that are being counted in, in ascending order: as many steps as there are buckets, where each
/// by itself would move all those behind it.
pub(crate) struct Growing<'a> {
    buckets: &'a mut Vec<(i32, u64)>,
    /// Those that were there; new ones wait behind them.
    held: usize,
    /// Of those that were there, the first that is not below the newest index.
    place: usize,
}

impl Growing<'_> {
    /// Counts in the bucket of an index above that of the call before.
    pub(crate) fn add(&mut self, index: i32, count: u64) {
        let held = &mut self.buckets[..self.held];
        self.place += held[self.place..].partition_point(|(held, _)| *held < index);
        match held.get_mut(self.place).filter(|(held, _)| *held == index) {
            Some((_, counted)) => *counted = counted.saturating_add(count),
            None => self.buckets.push((index, count)),
        }
    }
}

impl Drop for Growing<'_> {
    fn drop(&mut self) {
        let first_new = self.buckets.get(self.held);
        let last_held = self.held.checked_sub(1).and_then(|last| self.buckets.get(last));
        if first_new.zip(last_held).is_some_and(|(new, held)| new.0 < held.0) {
            // Two runs that ascend are merged.
            self.buckets.sort_by_key(|(index, _)| *index);
        }
    }
}
