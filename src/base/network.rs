use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A run of addresses: `192.0.2.0/24`, `2001:db8::/32`, or one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Network {
    first: IpAddr,
    prefix_bits: u8,
}

/// Not a network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a network: expected ADDRESS or ADDRESS/BITS with no bits set behind the prefix, as in 192.0.2.0/24"
)]
pub struct NetworkError(String);

impl Network {
    /// The network of `prefix_bits` that `address` is in; the address itself when that is more than it has.
    pub fn around(address: IpAddr, prefix_bits: u8) -> Self {
        let address = address.to_canonical();
        let (first, prefix_bits) = match address {
            IpAddr::V4(ip) => {
                let bits = prefix_bits.min(32);
                let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
                (IpAddr::V4(Ipv4Addr::from_bits(ip.to_bits() & mask)), bits)
            }
            IpAddr::V6(ip) => {
                let bits = prefix_bits.min(128);
                let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
                (IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() & mask)), bits)
            }
        };
        Self { first, prefix_bits }
    }

    /// Whether the address is in it. An IPv4 address mapped into IPv6 counts as the IPv4 address.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.first.is_ipv4() && Self::around(address, self.prefix_bits) == *self
    }

    /// Whether every address of `other` is in it.
    pub fn covers(&self, other: &Self) -> bool {
        self.prefix_bits <= other.prefix_bits && self.contains(other.first)
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let error = || NetworkError(text.to_owned());
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| error())?;
        let bits_max = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            Some(bits) => bits.parse::<u8>().ok().filter(|bits| *bits <= bits_max).ok_or_else(error)?,
            None => bits_max,
        };
        let network = Self::around(address, bits);
        // 192.0.2.7/24 is a slip of the pen: it could mean the address or the network.
        if network.first == address { Ok(network) } else { Err(error()) }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.prefix_bits)
    }
}

/// Some networks, as a setting holds them: separated by commas or spaces.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Networks(Vec<Network>);

impl Networks {
    /// Loopback.
    pub fn loopback() -> Self {
        Self(vec![
            Network::around(IpAddr::V4(Ipv4Addr::LOCALHOST), 8),
            Network::around(Ipv6Addr::LOCALHOST.into(), 128),
        ])
    }

    /// Whether the address is in one of them.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(address))
    }
}

impl FromStr for Networks {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let parts = text.split([',', ' ']).filter(|part| !part.is_empty());
        parts.map(str::parse).collect::<Result<_, _>>().map(Self)
    }
}

impl fmt::Display for Networks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&texts.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(networks: &str, inside: &[&str], outside: &[&str]) {
        let networks: Networks = networks.parse().unwrap();
        for address in inside {
            assert!(networks.contains(address.parse().unwrap()), "{address} in {networks}");
        }
        for address in outside {
            assert!(!networks.contains(address.parse().unwrap()), "{address} not in {networks}");
        }
        assert_eq!(networks.to_string().parse(), Ok(networks));
    }

    #[test]
    fn addresses_are_in_their_networks() {
        check("192.0.2.0/24", &["192.0.2.0", "192.0.2.255", "::ffff:192.0.2.9"], &["192.0.3.0", "192.0.1.255", "::1"]);
        check("192.0.2.7", &["192.0.2.7"], &["192.0.2.6"]);
        check("2001:db8::/32", &["2001:db8::1", "2001:db8:ffff::"], &["2001:db9::", "32.1.13.184"]);
        check("0.0.0.0/0", &["8.8.8.8"], &["::1"]);
        check("::/0", &["::1"], &["127.0.0.1"]);
        check("127.0.0.0/8, ::1", &["127.1.2.3", "::1"], &["128.0.0.1", "::2"]);
        check("", &[], &["127.0.0.1"]);
        assert_eq!(Networks::loopback(), "127.0.0.0/8,::1".parse().unwrap());
    }

    #[test]
    fn what_is_not_a_network_is_refused() {
        for wrong in ["x", "192.0.2.7/24", "192.0.2.0/33", "::/129", "192.0.2.0/", "/8", "192.0.2.0/-1", "192.0.2"] {
            assert!(wrong.parse::<Network>().is_err(), "{wrong}");
        }
    }
}
