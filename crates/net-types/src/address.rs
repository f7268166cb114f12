use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A range of addresses: a network and the length of its prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressRange {
    /// Any address of the network.
    pub network: IpAddr,
    /// How many leading bits count: up to 32 or 128.
    pub prefix: u8,
}

impl AddressRange {
    /// Returns the range of one address.
    #[must_use]
    pub const fn one(address: IpAddr) -> Self {
        let prefix = match address {
            IpAddr::V4(_) => 32,
            IpAddr::V6(_) => 128,
        };
        Self { network: address, prefix }
    }

    /// Tells whether an address is in the range; an IPv4-mapped IPv6 address counts as IPv4 (RFC 5118 §4.9).
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.network.to_canonical(), address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let shift = 32_u32.saturating_sub(u32::from(self.prefix));
                u32::from(network).checked_shr(shift) == u32::from(address).checked_shr(shift)
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let shift = 128_u32.saturating_sub(u32::from(self.prefix));
                u128::from(network).checked_shr(shift) == u128::from(address).checked_shr(shift)
            }
            _ => false,
        }
    }
}

/// Tells whether an address belongs to the public Internet: not loopback, private, link-local, shared,
/// multicast, reserved or unspecified (the registries of RFC 6890).
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = address.is_loopback()
        || address.is_private()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_documentation()
        || a == 0
        || a >= 240
        || (a == 100 && (b & 0xC0) == 64)
        || (a, b, c) == (192, 0, 0)
        || (a == 198 && (b & 0xFE) == 18);
    !special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, c, d, e, f, g, h] = address.segments();
    let [g1, g2] = g.to_be_bytes();
    let [h1, h2] = h.to_be_bytes();
    let embedded = Ipv4Addr::new(g1, g2, h1, h2);
    let mapped = (a, b, c, d, e, f) == (0, 0, 0, 0, 0, 0xFFFF);
    let nat64 = (a, b, c, d, e, f) == (0x64, 0xFF9B, 0, 0, 0, 0);
    if mapped || nat64 {
        return is_public_v4(embedded);
    }
    if a == 0x2002 {
        // 6to4 carries an IPv4 address behind its prefix.
        let ([b1, b2], [c1, c2]) = (b.to_be_bytes(), c.to_be_bytes());
        return is_public_v4(Ipv4Addr::new(b1, b2, c1, c2));
    }
    // Only 2000::/3 is handed out; 2001:db8::/32 and 2001::/32 (Teredo) are not servers' addresses.
    (a & 0xE000) == 0x2000 && !(a == 0x2001 && (b == 0xDB8 || b == 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_holds_the_addresses_of_its_prefix() {
        let range = AddressRange { network: "10.1.0.0".parse().unwrap(), prefix: 16 };

        assert!(range.contains("10.1.255.1".parse().unwrap()));
        assert!(range.contains("::ffff:10.1.2.3".parse().unwrap()));
        assert!(!range.contains("10.2.0.1".parse().unwrap()));
        assert!(!range.contains("2001:db8::1".parse().unwrap()));
        assert!(AddressRange { prefix: 0, ..range }.contains("192.0.2.1".parse().unwrap()));
        assert!(!AddressRange::one("::1".parse().unwrap()).contains("::2".parse().unwrap()));
    }

    #[test]
    fn only_addresses_of_the_internet_are_public() {
        for public in
            ["8.8.8.8", "100.63.0.1", "172.32.0.1", "2a00:1450::1", "2001:4860::8888", "::ffff:8.8.8.8"]
        {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
        for other in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "198.18.0.1",
            "::",
            "::1",
            "fe80::1",
            "fd00::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "64:ff9b::a00:1",
            "2002:7f00:1::",
            "2001:db8::1",
        ] {
            assert!(!is_public(other.parse().unwrap()), "{other}");
        }
    }
}
