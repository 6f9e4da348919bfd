//! Where visitors sit: every device has an address of its own, in ranges of big access networks of several countries.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// First address of 2^20 of one access network each.
const NETWORKS: [Ipv4Addr; 11] = [
    Ipv4Addr::new(24, 16, 0, 0),  // United States
    Ipv4Addr::new(73, 32, 0, 0),  // United States
    Ipv4Addr::new(98, 192, 0, 0), // United States
    Ipv4Addr::new(81, 128, 0, 0), // United Kingdom
    Ipv4Addr::new(86, 128, 0, 0), // United Kingdom
    Ipv4Addr::new(87, 128, 0, 0), // Germany
    Ipv4Addr::new(90, 0, 0, 0),   // France
    Ipv4Addr::new(83, 32, 0, 0),  // Spain
    Ipv4Addr::new(79, 0, 0, 0),   // Italy
    Ipv4Addr::new(126, 0, 0, 0),  // Japan
    Ipv4Addr::new(177, 32, 0, 0), // Brazil
];

/// Devices on IPv6: one in so many.
const V6_EVERY: u64 = 12;

/// The address of a device. Different for the first ten million devices.
pub(super) fn of(device: u64) -> IpAddr {
    if device % V6_EVERY == V6_EVERY - 1 {
        // A /64 of its own in a German network.
        let prefix = 0x2003_00c0_0000_0000_u128 | u128::from((device / V6_EVERY) & 0xffff_ffff);
        return Ipv6Addr::from((prefix << 64) | 0x1c5e_21ff_fe3a_0b17).into();
    }
    let network = NETWORKS.iter().cycle().nth(usize::try_from(device % 11).unwrap_or_default());
    let first = network.copied().unwrap_or(Ipv4Addr::new(24, 16, 0, 0));
    // An odd factor keeps hosts apart and spreads neighbours.
    let host = (device / 11).wrapping_mul(777_767) & 0xf_ffff;
    Ipv4Addr::from(u32::from(first) + u32::try_from(host).unwrap_or_default()).into()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_two_devices_share_an_address() {
        let all: HashSet<IpAddr> = (0..200_000).map(of).collect();
        assert_eq!(all.len(), 200_000);
        assert!(all.iter().any(IpAddr::is_ipv6));
    }
}
