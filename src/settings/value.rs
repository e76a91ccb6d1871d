use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Where a setting's value comes from; the later wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// Nobody set it.
    Default,
    /// The data file.
    File,
    /// `PILLARBOX_SET`.
    Environment,
    /// `--set`.
    Flag,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Default => "default",
            Self::File => "file",
            Self::Environment => "env",
            Self::Flag => "flag",
        })
    }
}

/// What a value may be. The unit stands at the end of the key: `_bytes`, `_seconds`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A whole number from 0 on.
    Number,
    /// Any text without control characters.
    Text,
    /// Networks with commas between them, as in `192.0.2.0/24,2001:db8::/32`; a single address is a network of one.
    Networks,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Number => "a whole number",
            Self::Text => "a text without control characters",
            Self::Networks => "networks with commas between them, as in 192.0.2.0/24,2001:db8::/32",
        })
    }
}

/// One entry of the closed list.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// As in `limits.recipients`.
    pub name: &'static str,
    /// What its value may be.
    pub kind: Kind,
    /// The value when nobody sets one.
    pub default: &'static str,
    /// What it means.
    pub doc: &'static str,
}

impl Key {
    /// Whether it is needed before the data file is open, so that it can't be kept there.
    pub fn precedes_file(&self) -> bool {
        self.name.starts_with("store.") || self.name.starts_with("disk.")
    }
}

/// Why a setting is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingError {
    /// Not `KEY=VALUE`.
    #[error("setting {0:?} has no value: the form is KEY=VALUE")]
    Form(String),
    /// Not in the list.
    #[error("there is no setting {name:?}; the nearest is {nearest}")]
    Unknown {
        /// What was asked for.
        name: String,
        /// The key that is spelled most like it.
        nearest: &'static str,
    },
    /// The value is not of the key's kind.
    #[error("setting {name}: {value:?} is not {kind}")]
    Value {
        /// The key.
        name: &'static str,
        /// What was given.
        value: String,
        /// What is wanted.
        kind: Kind,
    },
    /// The key is needed before the data file is open.
    #[error("setting {0} is needed before the data file is open: give it by --set or PILLARBOX_SET")]
    PrecedesFile(&'static str),
}

/// A network of IP addresses: an address and the number of its bits that count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    address: IpAddr,
    prefix_bits: u8,
}

/// Not a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a network has the form 192.0.2.0/24 or 2001:db8::/32; one address alone is a network of one")]
pub struct NetworkError;

impl Network {
    /// Whether `ip` is one of the network's; an IPv4 address in IPv6 form counts as IPv4.
    pub fn contains(&self, ip: IpAddr) -> bool {
        let (ip, network) = (ip.to_canonical(), self.address);
        if ip.is_ipv4() != network.is_ipv4() {
            return false;
        }
        let (bits, whole) = match network {
            IpAddr::V4(_) => (96 + u32::from(self.prefix_bits), 128),
            IpAddr::V6(_) => (u32::from(self.prefix_bits), 128),
        };
        let differing = number(ip) ^ number(network);
        bits == 0 || differing.checked_shr(whole - bits).unwrap_or(0) == 0
    }
}

/// Both families as one 128-bit number, IPv4 in its mapped form.
fn number(ip: IpAddr) -> u128 {
    let v6: Ipv6Addr = match ip {
        IpAddr::V4(v4) => v4.to_ipv6_mapped(),
        IpAddr::V6(v6) => v6,
    };
    v6.to_bits()
}

impl FromStr for Network {
    type Err = NetworkError;
    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| NetworkError)?;
        let bits_max = if address.is_ipv4() { 32 } else { 128 };
        let prefix_bits = match bits {
            Some(bits) if bits.bytes().all(|b| b.is_ascii_digit()) => bits.parse().map_err(|_| NetworkError)?,
            Some(_) => return Err(NetworkError),
            None => bits_max,
        };
        if prefix_bits > bits_max { Err(NetworkError) } else { Ok(Self { address, prefix_bits }) }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix_bits)
    }
}

/// A type that a setting may have.
pub(super) trait Value: Sized {
    const KIND: Kind;
    fn parse(text: &str) -> Option<Self>;
}

macro_rules! number_value {
    ($($name:ty),*) => {$(
        impl Value for $name {
            const KIND: Kind = Kind::Number;
            fn parse(text: &str) -> Option<Self> {
                // A sign would parse, and is a slip.
                text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok())?
            }
        }
    )*};
}
number_value!(u64, usize);

impl Value for String {
    const KIND: Kind = Kind::Text;
    fn parse(text: &str) -> Option<Self> {
        (!text.chars().any(char::is_control)).then(|| text.to_owned())
    }
}

impl Value for Vec<Network> {
    const KIND: Kind = Kind::Networks;
    fn parse(text: &str) -> Option<Self> {
        text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(|part| part.parse().ok()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(network: &str, ip: &str, expected: bool) {
        let network: Network = network.parse().unwrap();
        assert_eq!(network.contains(ip.parse().unwrap()), expected, "{network} {ip}");
    }

    #[test]
    fn a_network_holds_its_addresses_and_no_others() {
        check("127.0.0.0/8", "127.255.0.1", true);
        check("127.0.0.0/8", "128.0.0.1", false);
        check("127.0.0.0/8", "::ffff:127.0.0.1", true);
        check("192.0.2.7", "192.0.2.7", true);
        check("192.0.2.7", "192.0.2.6", false);
        check("192.0.2.7/24", "192.0.2.200", true);
        check("0.0.0.0/0", "203.0.113.9", true);
        check("0.0.0.0/0", "2001:db8::1", false);
        check("::/0", "203.0.113.9", false);
        check("::/0", "2001:db8::1", true);
        check("2001:db8::/32", "2001:db8:ffff::1", true);
        check("2001:db8::/32", "2001:db9::1", false);
        check("::1/128", "::1", true);
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for wrong in ["", "x", "192.0.2.0/33", "192.0.2.0/", "192.0.2.0/+8", "::/129", "192.0.2/24", "1.2.3.4/8/8"] {
            assert!(wrong.parse::<Network>().is_err(), "{wrong}");
        }
    }
}
