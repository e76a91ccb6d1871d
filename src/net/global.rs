use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::base::Networks;

/// Whether we may dial an address that the DNS, or a sender, has named: one of the public internet, or one that the
/// administrator allows. Anybody may point a name at a machine that only we can reach.
pub fn may_be_dialled(address: IpAddr, allowed: &Networks) -> bool {
    is_global(address) || allowed.contains(address)
}

// RFC 6890 and the IANA registries that it began. The networks for documentation are left out: nothing is there.
fn is_global(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(ip) => is_global_v4(ip),
        IpAddr::V6(ip) => is_global_v6(ip),
    }
}

fn is_global_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    let is_special = a == 0
        || ip.is_private()
        || ip.is_loopback()
        || ip.is_link_local()
        // RFC 6598
        || (a == 100 && (64..128).contains(&b))
        // RFC 6890 §2.1: IETF protocol assignments
        || (a == 192 && b == 0 && c == 0)
        // RFC 2544
        || (a == 198 && (18..20).contains(&b))
        // Multicast, reserved, broadcast
        || a >= 224;
    !is_special
}

fn is_global_v6(ip: Ipv6Addr) -> bool {
    let words = ip.segments();
    let embedded = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        is_global_v4(Ipv4Addr::new(a, b, c, d))
    };
    match words {
        // Unspecified, loopback, mapped and compatible: no AAAA record has a use for an IPv4 address.
        [0, 0, 0, 0, 0, ..] => false,
        // RFC 6052 §2.1: as good as what is in it
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => embedded(high, low),
        // RFC 8215: translation inside a network
        [0x64, 0xff9b, 1, ..] => false,
        // RFC 6666: discard
        [0x100, 0, 0, 0, ..] => false,
        // RFC 4380: Teredo ends at somebody's own machine
        [0x2001, 0, ..] => false,
        // RFC 3056
        [0x2002, high, low, ..] => embedded(high, low),
        // Unique local (RFC 4193), link-local, site-local, multicast
        [first, ..] => {
            first & 0xfe00 != 0xfc00 && first & 0xffc0 != 0xfe80 && first & 0xffc0 != 0xfec0 && first < 0xff00
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(addresses: &[&str], allowed: &str, expected: bool) {
        let allowed = allowed.parse().unwrap();
        for address in addresses {
            assert_eq!(may_be_dialled(address.parse().unwrap(), &allowed), expected, "{address} with {allowed}");
        }
    }

    #[test]
    fn only_the_public_internet_is_dialled() {
        check(&["8.8.8.8", "192.0.1.1", "100.63.255.255", "100.128.0.1", "172.15.0.1", "172.32.0.1"], "", true);
        check(&["192.0.2.1", "198.17.0.1", "198.20.0.1", "223.255.255.255", "2001:db8::1", "2a00::1"], "", true);
        check(&["64:ff9b::808:808", "2002:808:808::1"], "", true);
        check(
            &["0.0.0.0", "0.1.2.3", "127.0.0.1", "127.255.255.255", "10.0.0.1", "172.16.0.1", "192.168.1.1"],
            "",
            false,
        );
        check(&["169.254.169.254", "100.64.0.1", "192.0.0.8", "198.18.0.1", "224.0.0.1", "255.255.255.255"], "", false);
        check(
            &["::", "::1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::7f00:1", "fc00::1", "fd12::1", "fe80::1"],
            "",
            false,
        );
        check(
            &["fec0::1", "ff02::1", "100::1", "2001::1", "64:ff9b::7f00:1", "64:ff9b:1::1", "2002:7f00:1::1"],
            "",
            false,
        );
        check(&["127.0.0.1", "127.9.9.9", "8.8.8.8"], "127.0.0.0/8", true);
        check(&["::1", "10.0.0.1"], "127.0.0.0/8", false);
        check(&["::1", "fd12::1"], "::1,fc00::/7", true);
    }
}
