use std::net::IpAddr;

/// What counts as one address: an IPv4 address, or the /64 that one network has of IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Block {
    V4(u32),
    V6(u64),
}

impl Block {
    pub(crate) fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address.to_bits()),
            IpAddr::V6(address) => Self::V6((address.to_bits() >> 64) as u64),
        }
    }

    /// The /48 that a customer of a provider has of IPv6, with 65,536 blocks.
    pub(crate) const fn site(self) -> Option<u64> {
        match self {
            Self::V4(_) => None,
            Self::V6(network) => Some(network >> 16),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(address: &str) -> Block {
        Block::of(address.parse().unwrap())
    }

    #[test]
    fn a_network_of_ipv6_is_one_address_and_a_mapped_address_is_the_one_it_maps() {
        assert_eq!(block("2001:db8::1"), block("2001:db8::ffff:ffff:ffff:ffff"));
        assert_ne!(block("2001:db8::1"), block("2001:db8:0:1::1"));
        assert_eq!(block("::ffff:192.0.2.1"), block("192.0.2.1"));
        assert_ne!(block("192.0.2.1"), block("192.0.2.2"));
    }

    #[test]
    fn networks_of_one_site_begin_alike() {
        assert_eq!(block("2001:db8:7:1::1").site(), block("2001:db8:7:ffff::1").site());
        assert_ne!(block("2001:db8:7::1").site(), block("2001:db8:8::1").site());
        assert_eq!(block("192.0.2.1").site(), None);
    }
}
