use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use crate::block::Block;

/// Wrong tokens that an address may show in a row.
const BURST: u32 = 10;
/// Then one in so long.
const EVERY: Duration = Duration::from_secs(6);
/// The same for all addresses together. It binds those that were wrong already: whoever was not is always heard.
const BURST_OF_ALL: u32 = 100;
const EVERY_OF_ALL: Duration = Duration::from_millis(600);
/// Addresses that are kept; the least guilty one goes first.
const ADDRESSES_MAX: usize = 4_096;

/// Who was wrong lately, so that nobody can try tokens one after another.
///
/// It is a bucket an address, kept as the moment when it is full again: that is a map and a comparison. Limiters of
/// other crates neither bound the addresses that they keep nor tell the two limits apart as it is done here.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    full_at: HashMap<Block, Duration>,
    all_full_at: Duration,
}

impl Attempts {
    /// How long an address has to wait until its next token is looked at; `now` is since any moment, always the same.
    ///
    /// # Errors
    /// It has to wait.
    pub(super) fn check(&self, address: IpAddr, now: Duration) -> Result<(), Duration> {
        let Some(full_at) = self.full_at.get(&Block::of(address)) else { return Ok(()) };
        let wait = wait(*full_at, BURST, EVERY, now).max(wait(self.all_full_at, BURST_OF_ALL, EVERY_OF_ALL, now));
        if wait.is_zero() { Ok(()) } else { Err(wait) }
    }

    /// An address showed a wrong token. Returns how many others there was no room for any more.
    pub(super) fn failed(&mut self, address: IpAddr, now: Duration) -> u64 {
        self.all_full_at = self.all_full_at.max(now) + EVERY_OF_ALL;
        let address = Block::of(address);
        let full_at = self.full_at.get(&address).copied().unwrap_or_default();
        let let_go = if full_at.is_zero() { self.make_room(now) } else { 0 };
        self.full_at.insert(address, full_at.max(now) + EVERY);
        let_go
    }

    fn make_room(&mut self, now: Duration) -> u64 {
        if self.full_at.len() < ADDRESSES_MAX {
            return 0;
        }
        self.full_at.retain(|_, full_at| *full_at > now);
        if self.full_at.len() < ADDRESSES_MAX {
            return 0;
        }
        let least = self.full_at.iter().min_by_key(|(_, full_at)| **full_at).map(|(address, _)| *address);
        least.and_then(|least| self.full_at.remove(&least)).map_or(0, |_| 1)
    }
}

fn wait(full_at: Duration, burst: u32, every: Duration, now: Duration) -> Duration {
    full_at.saturating_sub(now + every * (burst - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn after_some_wrong_ones_an_address_waits_and_others_do_not() {
        let (mut attempts, now) = (Attempts::default(), Duration::from_secs(1_000));
        let (guesser, other) = (address("192.0.2.1"), address("192.0.2.2"));
        for _ in 0..BURST {
            assert_eq!(attempts.check(guesser, now), Ok(()));
            attempts.failed(guesser, now);
        }
        assert_eq!((attempts.check(guesser, now), attempts.check(other, now)), (Err(EVERY), Ok(())));
        assert_eq!(attempts.check(guesser, now + EVERY), Ok(()));
        attempts.failed(guesser, now + EVERY);
        assert_eq!(attempts.check(guesser, now + EVERY), Err(EVERY), "one at a time");
        assert_eq!(attempts.check(guesser, now + EVERY * (BURST + 2)), Ok(()));
    }

    #[test]
    fn all_addresses_of_a_network_of_ipv6_are_one() {
        let (mut attempts, now) = (Attempts::default(), Duration::ZERO);
        (0..BURST).for_each(|number| _ = attempts.failed(address(&format!("2001:db8:1:1::{number}")), now));
        assert!(attempts.check(address("2001:db8:1:1:ffff::1"), now).is_err());
        assert!(attempts.check(address("2001:db8:1:2::1"), now).is_ok());
    }

    #[test]
    fn many_addresses_that_are_wrong_wait_for_each_other_and_no_others_do() {
        let (mut attempts, now) = (Attempts::default(), Duration::ZERO);
        let numbered = |number: u32| IpAddr::V4((0x0A00_0000 + number).into());
        (0..BURST_OF_ALL).for_each(|number| _ = attempts.failed(numbered(number), now));
        assert!(attempts.check(numbered(3), now).is_err(), "it was wrong once");
        assert!(attempts.check(numbered(BURST_OF_ALL), now).is_ok());
    }

    #[test]
    fn no_more_addresses_are_kept_than_may_be_and_the_guiltiest_stays() {
        let (mut attempts, now) = (Attempts::default(), Duration::from_secs(9));
        let guesser = address("192.0.2.1");
        (0..BURST).for_each(|_| _ = attempts.failed(guesser, now));
        let numbered = |number: u32| IpAddr::V4((0x0A00_0000 + number).into());
        let let_go: u64 = (0..5_000).map(|number| attempts.failed(numbered(number), now)).sum();
        assert_eq!((attempts.full_at.len(), let_go), (ADDRESSES_MAX, 5_001 - ADDRESSES_MAX as u64));
        assert!(attempts.check(guesser, now).is_err());
    }
}
