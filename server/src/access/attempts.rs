use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use crate::block::Block;

/// Wrong tokens that an address may show in a row, then one in so long.
const ADDRESS: Pace = Pace { burst: 10, every: Duration::from_secs(6) };
/// The same for all networks of a site, of which one guesser can have 65,536.
const SITE: Pace = Pace { burst: 50, every: Duration::from_millis(1_200) };
/// The same for all addresses together. It binds those that were wrong already: whoever was not is always heard.
const ALL: Pace = Pace { burst: 100, every: Duration::from_millis(600) };
/// Addresses that are kept, and sites; the least guilty one goes first.
const KEPT_MAX: usize = 4_096;

/// Who was wrong lately, so that nobody can try tokens one after another.
///
/// It is a bucket an address, kept as the moment when it is full again: that is a map and a comparison. Limiters of
/// other crates neither bound the addresses that they keep nor tell the limits apart as it is done here.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    addresses: Buckets<Block>,
    sites: Buckets<u64>,
    all_full_at: Duration,
}

/// When the buckets are full again that are not.
#[derive(Debug)]
struct Buckets<K>(HashMap<K, Duration>);

/// How fast a bucket is emptied and filled.
#[derive(Clone, Copy)]
struct Pace {
    burst: u32,
    every: Duration,
}

impl Attempts {
    /// How long an address has to wait until its next token is looked at; `now` is since any moment, always the same.
    ///
    /// # Errors
    /// It has to wait.
    pub(super) fn check(&self, address: IpAddr, now: Duration) -> Result<(), Duration> {
        let block = block(address);
        let own = self.addresses.full_at(block, now).map(|full_at| {
            // Whoever was wrong shares what there is for all that were.
            ADDRESS.wait(full_at, now).max(ALL.wait(self.all_full_at, now))
        });
        let site = block.site().and_then(|site| self.sites.full_at(site, now));
        let wait = own.unwrap_or_default().max(site.map(|full_at| SITE.wait(full_at, now)).unwrap_or_default());
        if wait.is_zero() { Ok(()) } else { Err(wait) }
    }

    /// An address showed a wrong token. Returns how many others there was no room for any more.
    pub(super) fn failed(&mut self, address: IpAddr, now: Duration) -> u64 {
        self.all_full_at = ALL.spend(self.all_full_at, now);
        let block = block(address);
        let let_go = self.addresses.spend(block, ADDRESS, now);
        let_go + block.site().map_or(0, |site| self.sites.spend(site, SITE, now))
    }
}

/// Whoever is on this machine is one, whichever of its millions of addresses they take.
fn block(address: IpAddr) -> Block {
    let is_here = address.to_canonical().is_loopback();
    Block::of(if is_here { Ipv4Addr::LOCALHOST.into() } else { address })
}

impl<K: Copy + Eq + Hash> Buckets<K> {
    fn full_at(&self, whose: K, now: Duration) -> Option<Duration> {
        self.0.get(&whose).copied().filter(|full_at| *full_at > now)
    }

    /// Returns how many others were let go for it.
    fn spend(&mut self, whose: K, pace: Pace, now: Duration) -> u64 {
        let held = self.0.get(&whose).copied();
        let let_go = if held.is_none() { self.make_room(now) } else { 0 };
        self.0.insert(whose, pace.spend(held.unwrap_or_default(), now));
        let_go
    }

    fn make_room(&mut self, now: Duration) -> u64 {
        if self.0.len() < KEPT_MAX {
            return 0;
        }
        self.0.retain(|_, full_at| *full_at > now);
        if self.0.len() < KEPT_MAX {
            return 0;
        }
        let least = self.0.iter().min_by_key(|(_, full_at)| **full_at).map(|(whose, _)| *whose);
        least.and_then(|least| self.0.remove(&least)).map_or(0, |_| 1)
    }
}

impl<K> Default for Buckets<K> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl Pace {
    /// Until one more may be taken.
    fn wait(self, full_at: Duration, now: Duration) -> Duration {
        full_at.saturating_sub(now + self.every * (self.burst - 1))
    }

    /// When it is full again after one more was taken. There is no debt: an empty bucket is as far as it goes.
    fn spend(self, full_at: Duration, now: Duration) -> Duration {
        (full_at.max(now) + self.every).min(now + self.every * self.burst)
    }
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
        for _ in 0..ADDRESS.burst {
            assert_eq!(attempts.check(guesser, now), Ok(()));
            attempts.failed(guesser, now);
        }
        assert_eq!((attempts.check(guesser, now), attempts.check(other, now)), (Err(ADDRESS.every), Ok(())));
        assert_eq!(attempts.check(guesser, now + ADDRESS.every), Ok(()));
        attempts.failed(guesser, now + ADDRESS.every);
        assert_eq!(attempts.check(guesser, now + ADDRESS.every), Err(ADDRESS.every), "one at a time");
        assert_eq!(attempts.check(guesser, now + ADDRESS.every * (ADDRESS.burst + 2)), Ok(()));
    }

    #[test]
    fn all_addresses_of_a_network_of_ipv6_are_one() {
        let (mut attempts, now) = (Attempts::default(), Duration::ZERO);
        (0..ADDRESS.burst).for_each(|number| _ = attempts.failed(address(&format!("2001:db8:1:1::{number}")), now));
        assert!(attempts.check(address("2001:db8:1:1:ffff::1"), now).is_err());
        assert!(attempts.check(address("2001:db8:1:2::1"), now).is_ok());
    }

    #[test]
    fn many_addresses_that_are_wrong_wait_for_each_other_and_no_others_do() {
        let (mut attempts, now) = (Attempts::default(), Duration::ZERO);
        let numbered = |number: u32| IpAddr::V4((0x0A00_0000 + number).into());
        (0..ALL.burst).for_each(|number| _ = attempts.failed(numbered(number), now));
        assert!(attempts.check(numbered(3), now).is_err(), "it was wrong once");
        assert!(attempts.check(numbered(ALL.burst), now).is_ok());
    }

    #[test]
    fn no_more_addresses_are_kept_than_may_be_and_the_guiltiest_stays() {
        let (mut attempts, now) = (Attempts::default(), Duration::from_secs(9));
        let guesser = address("192.0.2.1");
        (0..ADDRESS.burst).for_each(|_| _ = attempts.failed(guesser, now));
        let numbered = |number: u32| IpAddr::V4((0x0A00_0000 + number).into());
        let let_go: u64 = (0..5_000).map(|number| attempts.failed(numbered(number), now)).sum();
        assert_eq!((attempts.addresses.0.len(), let_go), (KEPT_MAX, 5_001 - KEPT_MAX as u64));
        assert!(attempts.check(guesser, now).is_err());
    }

    #[test]
    fn many_that_guessed_leave_no_debt_to_one_that_mistypes() {
        let (mut attempts, now) = (Attempts::default(), Duration::from_secs(1_000));
        let numbered = |number: u32| IpAddr::V4((0x0A00_0000 + number).into());
        (0..10_000).for_each(|number| _ = attempts.failed(numbered(number), now));
        let human = address("192.0.2.1");
        attempts.failed(human, now);
        let wait = attempts.check(human, now).unwrap_err();
        assert!(wait <= ADDRESS.every, "{wait:?}");
    }

    #[test]
    fn whoever_was_not_wrong_lately_does_not_wait_for_those_that_were() {
        let (mut attempts, now) = (Attempts::default(), Duration::from_secs(1_000));
        let numbered = |number: u32| IpAddr::V4((0x0A00_0000 + number).into());
        let (human, later) = (address("192.0.2.1"), now + ADDRESS.every);
        attempts.failed(human, now);
        (0..ALL.burst * 2).for_each(|number| _ = attempts.failed(numbered(number), later));
        assert!(attempts.addresses.0.contains_key(&block(human)), "it is still kept");
        assert!(attempts.check(numbered(0), later).is_err());
        assert_eq!(attempts.check(human, later), Ok(()));
    }

    #[test]
    fn this_machine_is_one_whichever_of_its_addresses_it_takes() {
        let (mut attempts, now) = (Attempts::default(), Duration::from_secs(1_000));
        (1..=ADDRESS.burst).for_each(|last| _ = attempts.failed(address(&format!("127.0.0.{last}")), now));
        for other in ["127.255.255.254", "::1", "::ffff:127.0.0.99"] {
            assert_eq!(attempts.check(address(other), now), Err(ADDRESS.every), "{other}");
        }
        assert_eq!(attempts.check(address("126.0.0.1"), now), Ok(()));
    }

    #[test]
    fn whoever_has_a_site_of_ipv6_cannot_take_another_network_each_time() {
        let (mut attempts, now) = (Attempts::default(), Duration::from_secs(1_000));
        let network = |number: u32| address(&format!("2001:db8:1:{number:x}::1"));
        let heard = (0..10_000).filter(|number| {
            let is_heard = attempts.check(network(*number), now).is_ok();
            if is_heard {
                attempts.failed(network(*number), now);
            }
            is_heard
        });
        assert_eq!(heard.count(), SITE.burst as usize);
        assert_eq!(attempts.check(network(60_000), now), Err(SITE.every));
        assert!(attempts.check(address("2001:db8:2::1"), now).is_ok(), "another site");
        assert!(attempts.check(network(60_000), now + SITE.every).is_ok());
    }
}
