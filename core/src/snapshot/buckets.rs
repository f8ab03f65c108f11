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

    /// Takes the counts of `earlier` away, and the buckets that are empty then.
    pub(super) fn take_away(&mut self, earlier: &Self) -> Result<(), MergeError> {
        for (index, count) in &earlier.0 {
            let place = self.0.binary_search_by_key(index, |(index, _)| *index).map_err(|_| MergeError::WentBack)?;
            self.0[place].1 = self.0[place].1.checked_sub(*count).ok_or(MergeError::WentBack)?;
        }
        self.0.retain(|(_, count)| *count > 0);
        Ok(())
    }
}
