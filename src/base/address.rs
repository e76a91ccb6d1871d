use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;

use super::limits;

/// Why a text is not an address or a domain. A validator never repairs its input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// There is no `@`, or nothing on one side of it.
    #[error("an address has the form local@domain")]
    Form,
    /// The local part holds what only a quoted string may hold, or a control character.
    #[error("the part before the @ has a character that is not allowed there")]
    LocalPart,
    /// RFC 5321 §4.5.3.1.1
    #[error("the part before the @ is longer than 64 octets")]
    LocalPartLength,
    /// Not a host name.
    #[error(
        "the domain is not a host name: letters, digits and hyphens in labels of 1 to 63, joined by dots, no dot at the end"
    )]
    Domain,
    /// RFC 5321 §4.5.3.1.2
    #[error("the domain is longer than 255 octets")]
    DomainLength,
    /// `[…]` that holds no IP address.
    #[error("the address literal is not [IPv4] or [IPv6:…]")]
    Literal,
}

/// A domain name: lower-case A-labels, no dot at the end.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct DomainName(String);

impl DomainName {
    /// Reads a host name; U-labels become A-labels (RFC 5890 §2.3.2.1).
    ///
    /// # Errors
    /// [`AddressError::Domain`] or [`AddressError::DomainLength`].
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        if text.len() > limits::DOMAIN_BYTES {
            return Err(AddressError::DomainLength);
        }
        let name = if text.is_ascii() && !text.to_ascii_lowercase().contains("xn--") {
            text.to_ascii_lowercase()
        } else {
            idna::domain_to_ascii_strict(text).map_err(|_| AddressError::Domain)?
        };
        if name.len() > limits::DOMAIN_BYTES {
            return Err(AddressError::DomainLength);
        }
        let is_label = |label: &str| {
            (1..=63).contains(&label.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        };
        // A name of digits and dots alone would be taken for an IPv4 address.
        let looks_like_an_address = name.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        if looks_like_an_address || !name.split('.').all(is_label) {
            return Err(AddressError::Domain);
        }
        Ok(Self(name))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DomainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for DomainName {
    type Err = AddressError;
    fn from_str(text: &str) -> Result<Self, AddressError> {
        Self::parse(text)
    }
}

impl<'de> Deserialize<'de> for DomainName {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// The part before the `@`, unquoted, in its original spelling.
///
/// Equality is of spelling; whether two reach the same account is said by [`LocalPart::key`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LocalPart(String);

impl LocalPart {
    /// Reads a dot-string or a quoted string (RFC 5321 §4.1.2, RFC 6531 §3.3).
    ///
    /// # Errors
    /// [`AddressError::LocalPart`] or [`AddressError::LocalPartLength`].
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        if text.len() > limits::LOCAL_PART_BYTES {
            return Err(AddressError::LocalPartLength);
        }
        let inside = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        match inside {
            Some(inside) if text.len() >= 2 => Self::unquote(inside),
            _ if is_dot_string(text) => Ok(Self(text.to_owned())),
            _ => Err(AddressError::LocalPart),
        }
    }

    fn unquote(inside: &str) -> Result<Self, AddressError> {
        let mut value = String::with_capacity(inside.len());
        let mut chars = inside.chars();
        while let Some(c) = chars.next() {
            let c = match c {
                // RFC 5321 §4.1.2: quoted-pairSMTP
                '\\' => chars.next().filter(|c| (' '..='~').contains(c)).ok_or(AddressError::LocalPart)?,
                '"' => return Err(AddressError::LocalPart),
                c if c.is_control() => return Err(AddressError::LocalPart),
                c => c,
            };
            value.push(c);
        }
        if value.is_empty() { Err(AddressError::LocalPart) } else { Ok(Self(value)) }
    }

    /// The spelling, without quotes.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What it is looked up by: NFC, lower case.
    pub fn key(&self) -> String {
        self.0.nfc().collect::<String>().to_lowercase().nfc().collect()
    }
}

// RFC 5321 §4.1.2: Dot-string; RFC 6531 §3.3 adds UTF8-non-ascii to atext
fn is_dot_string(text: &str) -> bool {
    let is_atext =
        |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c) || (!c.is_ascii() && !c.is_control());
    text.split('.').all(|atom| !atom.is_empty() && atom.chars().all(is_atext))
}

impl fmt::Display for LocalPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if is_dot_string(&self.0) {
            return f.write_str(&self.0);
        }
        f.write_str("\"")?;
        for c in self.0.chars() {
            if c == '"' || c == '\\' {
                f.write_str("\\")?;
            }
            write!(f, "{c}")?;
        }
        f.write_str("\"")
    }
}

/// What stands after the `@`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Host {
    /// A domain name.
    Name(DomainName),
    /// An address literal: `[192.0.2.1]`, `[IPv6:2001:db8::1]` (RFC 5321 §4.1.3).
    Literal(IpAddr),
}

impl Host {
    /// Reads a domain name or an address literal.
    ///
    /// # Errors
    /// [`AddressError::Domain`], [`AddressError::DomainLength`] or [`AddressError::Literal`].
    // RFC 5321 §4.1.3
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let Some(inside) = text.strip_prefix('[') else {
            return DomainName::parse(text).map(Self::Name);
        };
        let inside = inside.strip_suffix(']').ok_or(AddressError::Literal)?;
        let is_v6 = inside.get(..5).is_some_and(|tag| tag.eq_ignore_ascii_case("IPv6:"));
        let ip = if is_v6 {
            inside[5..].parse::<Ipv6Addr>().map(IpAddr::V6)
        } else {
            inside.parse::<Ipv4Addr>().map(IpAddr::V4)
        };
        ip.map(Self::Literal).map_err(|_| AddressError::Literal)
    }

    /// The domain name, where it is one.
    pub fn name(&self) -> Option<&DomainName> {
        match self {
            Self::Name(name) => Some(name),
            Self::Literal(_) => None,
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => name.fmt(f),
            Self::Literal(IpAddr::V4(ip)) => write!(f, "[{ip}]"),
            Self::Literal(IpAddr::V6(ip)) => write!(f, "[IPv6:{ip}]"),
        }
    }
}

/// A mail address: `local@host`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Address {
    /// Before the `@`.
    pub local: LocalPart,
    /// After it.
    pub host: Host,
}

impl Address {
    /// Reads `local@host` (RFC 5321 §4.1.2, Mailbox).
    ///
    /// # Errors
    /// Any [`AddressError`].
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        // A quoted local part may hold an @; a host may not.
        let (local, host) = text.rsplit_once('@').ok_or(AddressError::Form)?;
        if local.is_empty() || host.is_empty() {
            return Err(AddressError::Form);
        }
        Ok(Self { local: LocalPart::parse(local)?, host: Host::parse(host)? })
    }

    /// The address that every domain must have.
    // RFC 5321 §4.5.1
    pub fn postmaster(domain: &DomainName) -> Self {
        Self { local: LocalPart("postmaster".to_owned()), host: Host::Name(domain.clone()) }
    }

    /// What it is looked up by: `local@host` with both sides normalised. Unquoted, so not for the wire.
    pub fn key(&self) -> String {
        format!("{}@{}", self.local.key(), self.host)
    }

    /// Whether it can go to a peer without SMTPUTF8 (RFC 6531).
    pub fn is_ascii(&self) -> bool {
        self.local.0.is_ascii()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.local, self.host)
    }
}

impl FromStr for Address {
    type Err = AddressError;
    fn from_str(text: &str) -> Result<Self, AddressError> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(input: &str, expected: Result<(&str, &str), AddressError>) {
        let seen = Address::parse(input).map(|a| (a.to_string(), a.key()));
        assert_eq!(seen, expected.map(|(text, key)| (text.into(), key.into())), "{input}");
    }

    #[test]
    fn addresses_are_read_whole_or_refused() {
        check("Alice@Example.TEST", Ok(("Alice@example.test", "alice@example.test")));
        check("\"a b\"@x.test", Ok(("\"a b\"@x.test", "a b@x.test")));
        check("\"plain\"@x.test", Ok(("plain@x.test", "plain@x.test")));
        check("\"a\\\"@b\"@x.test", Ok(("\"a\\\"@b\"@x.test", "a\"@b@x.test")));
        check(
            "Jos\u{65}\u{301}@bücher.example",
            Ok(("Jos\u{65}\u{301}@xn--bcher-kva.example", "josé@xn--bcher-kva.example")),
        );
        check("u@[192.0.2.1]", Ok(("u@[192.0.2.1]", "u@[192.0.2.1]")));
        check("u@[IPv6:2001:db8::1]", Ok(("u@[IPv6:2001:db8::1]", "u@[IPv6:2001:db8::1]")));
        for wrong in ["", "@", "a@", "@b", "nobody"] {
            check(wrong, Err(AddressError::Form));
        }
        for wrong in [
            "a..b@x.test",
            ".a@x.test",
            "a.@x.test",
            "a b@x.test",
            "a\r\n@x.test",
            "\"\"@x.test",
            "\"a\n\"@x.test",
            "a\"b@x.test",
        ] {
            check(wrong, Err(AddressError::LocalPart));
        }
        for wrong in ["a@x.test.", "a@-x.test", "a@x..test", "a@x test", "a@192.0.2.1", "a@x\0.test"] {
            check(wrong, Err(AddressError::Domain));
        }
        check("a@[bad]", Err(AddressError::Literal));
        check(&format!("{}@x.test", "a".repeat(65)), Err(AddressError::LocalPartLength));
        check(&format!("a@{}.test", "b.".repeat(130)), Err(AddressError::DomainLength));
    }
}
