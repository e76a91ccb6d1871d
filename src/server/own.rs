use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::net::Listener;

/// Where this machine takes mail from other servers, every address of its own: mail that the DNS sends there would come
/// back to us.
pub(super) fn addresses(bound: &[(Listener, SocketAddr)]) -> Vec<SocketAddr> {
    let smtp = bound.iter().filter(|(listener, _)| *listener == Listener::Smtp).map(|(_, address)| *address);
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    let (v4, v6) = (v4(&read("/proc/net/fib_trie")), v6(&read("/proc/net/if_inet6")));
    let all = smtp.flat_map(|bound| {
        let ips: Vec<IpAddr> = match bound.ip() {
            IpAddr::V4(Ipv4Addr::UNSPECIFIED) => v4.clone(),
            IpAddr::V6(Ipv6Addr::UNSPECIFIED) => v4.iter().chain(&v6).copied().collect(),
            ip => vec![ip.to_canonical()],
        };
        ips.into_iter().map(move |ip| SocketAddr::new(ip, bound.port())).collect::<Vec<_>>()
    });
    all.collect()
}

/// The machine's IPv4 addresses: in the kernel's tree of routes, the leaves that are local hosts.
fn v4(trie: &str) -> Vec<IpAddr> {
    let lines = trie.lines().map(str::trim);
    let leaves = lines.clone().zip(lines.skip(1)).filter(|(_, kind)| *kind == "/32 host LOCAL");
    let mut found: Vec<IpAddr> =
        leaves.filter_map(|(leaf, _)| leaf.strip_prefix("|-- ")?.parse::<Ipv4Addr>().ok()).map(IpAddr::V4).collect();
    found.sort();
    found.dedup();
    found
}

/// The machine's IPv6 addresses: the first word of each line, 32 hexadecimal digits.
fn v6(interfaces: &str) -> Vec<IpAddr> {
    let words = interfaces.lines().filter_map(|line| line.split(' ').next());
    words.filter_map(|word| u128::from_str_radix(word, 16).ok()).map(|bits| Ipv6Addr::from_bits(bits).into()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_s_tables_are_read() {
        let trie = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 0.0.0.0\n        /0 universe UNICAST\n     +-- 127.0.0.0/31 1 0 0\n           \
                    |-- 127.0.0.0\n              /8 host LOCAL\n           |-- 127.0.0.1\n              /32 host LOCAL\n     \
                    |-- 192.0.2.2\n        /32 host LOCAL\n     |-- 192.0.2.255\n        /32 link BROADCAST\nLocal:\n     \
                    |-- 192.0.2.2\n        /32 host LOCAL\n";
        assert_eq!(v4(trie), ["127.0.0.1", "192.0.2.2"].map(|ip| ip.parse::<IpAddr>().unwrap()));
        let interfaces = "00000000000000000000000000000001 01 80 10 80       lo\n\
                          20010db8000000000000000000000002 04 40 00 82     eth0\n";
        assert_eq!(v6(interfaces), ["::1", "2001:db8::2"].map(|ip| ip.parse::<IpAddr>().unwrap()));
        assert_eq!((v4("junk\n/32 host LOCAL"), v6("\nx y")), (vec![], vec![]));
    }

    #[test]
    fn a_listener_on_all_addresses_is_on_each() {
        let at = |text: &str| text.parse::<SocketAddr>().unwrap();
        let one = [(Listener::Smtp, at("127.0.0.9:2525")), (Listener::Pop3, at("127.0.0.9:110"))];
        assert_eq!(addresses(&one), [at("127.0.0.9:2525")]);
        let all = addresses(&[(Listener::Smtp, at("0.0.0.0:25"))]);
        assert!(all.contains(&at("127.0.0.1:25")), "{all:?}");
    }
}
