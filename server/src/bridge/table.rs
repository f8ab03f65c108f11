use std::sync::OnceLock;

/// Slots looked at before a table counts as full for a hash.
const STEPS_MAX: usize = 32;

/// What was made once for each key, found without a lock by the key's hash. Nothing is taken out, and nothing
/// comes in once the slots around a hash are taken: then the caller does without.
#[derive(Debug)]
pub(super) struct Table<K, V> {
    slots: Box<[Slot<K, V>]>,
}

type Slot<K, V> = OnceLock<Box<(K, V)>>;

impl<K, V> Table<K, V> {
    /// With room for `slots` at most, a power of two.
    pub(super) fn new(slots: usize) -> Self {
        Self { slots: (0..slots.next_power_of_two()).map(|_| OnceLock::new()).collect() }
    }

    /// The value of the key that `is_it`.
    pub(super) fn find(&self, hash: u64, is_it: impl Fn(&K) -> bool) -> Option<&V> {
        self.near(hash).map_while(OnceLock::get).find(|held| is_it(&held.0)).map(|held| &held.1)
    }

    /// Keeps the value of a key that was not found; if another thread was faster, what that one made is returned.
    /// None when there is no room.
    pub(super) fn keep(&self, hash: u64, key: K, value: V, is_it: impl Fn(&K) -> bool) -> Option<&V> {
        let mut made = Box::new((key, value));
        for slot in self.near(hash) {
            let Err(back) = slot.set(made) else { return slot.get().map(|held| &held.1) };
            made = back;
            if let Some(held) = slot.get().filter(|held| is_it(&held.0)) {
                return Some(&held.1);
            }
        }
        None
    }

    fn near(&self, hash: u64) -> impl Iterator<Item = &Slot<K, V>> {
        let last = self.slots.len() - 1;
        let places = (0..STEPS_MAX.min(self.slots.len())).map(move |step| (hash as usize).wrapping_add(step) & last);
        places.filter_map(|place| self.slots.get(place))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_kept_first_stays() {
        let table = Table::new(4);
        assert_eq!(table.find(7, |key| *key == "a"), None);
        assert_eq!(table.keep(7, "a", 1, |key| *key == "a"), Some(&1));
        assert_eq!(table.keep(7, "a", 2, |key| *key == "a"), Some(&1));
        assert_eq!(table.find(7, |key| *key == "a"), Some(&1));
    }

    #[test]
    fn keys_of_one_hash_are_told_apart_until_there_is_no_room() {
        let table = Table::new(64);
        for key in 0..STEPS_MAX {
            assert_eq!(table.keep(u64::MAX, key, key, |held| *held == key), Some(&key));
        }
        assert_eq!(table.keep(u64::MAX, 99, 99, |held| *held == 99), None);
        assert!((0..STEPS_MAX).all(|key| table.find(u64::MAX, |held| *held == key) == Some(&key)));
        assert_eq!(table.find(u64::MAX, |held| *held == 99), None);
    }

    #[test]
    fn threads_that_keep_the_same_key_get_the_same_value() {
        let table = Table::new(8);
        let values: Vec<usize> = std::thread::scope(|scope| {
            let keep = |value| table.keep(3, (), value, |()| true).copied();
            let threads: Vec<_> = (0..4).map(|value| scope.spawn(move || keep(value))).collect();
            threads.into_iter().filter_map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(values.len(), 4);
        assert!(values.iter().all(|value| *value == values[0]), "{values:?}");
    }
}
