use sha2::{Digest, Sha256, Sha512};

/// A TLSA record that a mail server can be proved by. RFC 6698 §2.1
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tlsa {
    /// What has to match.
    pub usage: Usage,
    /// Which part of it.
    pub selector: Selector,
    /// With what it is compared.
    pub matching: Matching,
    /// The octets that it is compared with.
    data: Vec<u8>,
}

/// Whose certificate a record speaks of, by the names of RFC 7218 §2.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Usage {
    /// DANE-TA(2): that of a CA among those that the server shows, or the record's own.
    Ta,
    /// DANE-EE(3): the server's own; neither its names nor its dates count.
    Ee,
}

/// Which part of a certificate a record speaks of. RFC 6698 §2.1.2
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Selector {
    /// Cert(0): all of it.
    Certificate,
    /// SPKI(1): its public key (SubjectPublicKeyInfo).
    Key,
}

/// What a record holds of that part. RFC 6698 §2.1.3
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Matching {
    /// Full(0): the part itself.
    Full,
    /// SHA2-256(1).
    Sha256,
    /// SHA2-512(2).
    Sha512,
}

/// What is compared with a record: a certificate, and its public key.
#[derive(Debug, Clone, Copy)]
pub struct Shown<'a> {
    /// In DER form.
    pub certificate: &'a [u8],
    /// Its SubjectPublicKeyInfo in DER form.
    pub key: &'a [u8],
}

impl Tlsa {
    /// A record of those numbers; `None`: mail can't go by it.
    // RFC 7672 §3.1.3: PKIX-TA(0) and PKIX-EE(1) are treated as unusable, as what nobody has defined (RFC 6698 §4.1)
    pub fn read(usage: u8, selector: u8, matching: u8, data: &[u8]) -> Option<Self> {
        let usage = match usage {
            2 => Usage::Ta,
            3 => Usage::Ee,
            _ => return None,
        };
        let selector = match selector {
            0 => Selector::Certificate,
            1 => Selector::Key,
            _ => return None,
        };
        let matching = match (matching, data.len()) {
            (0, 1..) => Matching::Full,
            (1, 32) => Matching::Sha256,
            (2, 64) => Matching::Sha512,
            _ => return None,
        };
        Some(Self { usage, selector, matching, data: data.to_vec() })
    }

    /// Its numbers and the octets, as zone files and reports have them.
    // RFC 6698 §2.2
    pub fn text(&self) -> String {
        let usage = match self.usage {
            Usage::Ta => 2,
            Usage::Ee => 3,
        };
        let selector = match self.selector {
            Selector::Certificate => 0,
            Selector::Key => 1,
        };
        let matching = match self.matching {
            Matching::Full => 0,
            Matching::Sha256 => 1,
            Matching::Sha512 => 2,
        };
        let data: String = self.data.iter().map(|byte| format!("{byte:02X}")).collect();
        format!("{usage} {selector} {matching} {data}")
    }

    /// Whether it is of that certificate.
    pub fn is_of(&self, shown: &Shown<'_>) -> bool {
        let part = match self.selector {
            Selector::Certificate => shown.certificate,
            Selector::Key => shown.key,
        };
        match self.matching {
            Matching::Full => part == self.data,
            Matching::Sha256 => Sha256::digest(part).as_slice() == self.data,
            Matching::Sha512 => Sha512::digest(part).as_slice() == self.data,
        }
    }

    /// The whole certificate, where the record is one: a server need not show it.
    pub fn certificate(&self) -> Option<&[u8]> {
        let is_whole = self.selector == Selector::Certificate && self.matching == Matching::Full;
        is_whole.then_some(&*self.data)
    }
}

/// The records that count: of digests of the same thing only those of the strongest function, so that one that is broken
/// some day opens nothing where a better one is published too.
// RFC 7671 §9
pub fn agile(records: Vec<Tlsa>) -> Vec<Tlsa> {
    let is_beaten = |record: &Tlsa| {
        let beats = |other: &Tlsa| {
            (other.usage, other.selector) == (record.usage, record.selector) && other.matching > record.matching
        };
        record.matching != Matching::Full && records.iter().any(beats)
    };
    let beaten: Vec<bool> = records.iter().map(is_beaten).collect();
    records.into_iter().zip(beaten).filter(|(_, is_beaten)| !is_beaten).map(|(record, _)| record).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHOWN: Shown<'_> = Shown { certificate: b"certificate", key: b"key" };

    fn digest(matching: u8, part: &[u8]) -> Vec<u8> {
        match matching {
            0 => part.to_vec(),
            1 => Sha256::digest(part).to_vec(),
            _ => Sha512::digest(part).to_vec(),
        }
    }

    #[test]
    fn a_record_matches_what_it_was_made_of() {
        for usage in [2, 3] {
            for (selector, part, other) in
                [(0, b"certificate".as_slice(), b"key".as_slice()), (1, b"key", b"certificate")]
            {
                for matching in [0, 1, 2] {
                    let record = |part| Tlsa::read(usage, selector, matching, &digest(matching, part)).unwrap();
                    assert!(record(part).is_of(&SHOWN), "{usage} {selector} {matching}");
                    assert!(!record(other).is_of(&SHOWN), "{usage} {selector} {matching}");
                    let whole = (selector, matching) == (0, 0);
                    assert_eq!(record(part).certificate(), whole.then_some(part), "{usage} {selector} {matching}");
                }
            }
        }
    }

    #[test]
    fn what_nobody_can_go_by_is_no_record() {
        let check = |usage, selector, matching, octets, is_usable| {
            let data = vec![1; octets];
            assert_eq!(
                Tlsa::read(usage, selector, matching, &data).is_some(),
                is_usable,
                "{usage} {selector} {matching}"
            );
        };
        check(3, 1, 1, 32, true);
        for (usage, selector, matching, octets) in [
            (0, 0, 1, 32),
            (1, 1, 1, 32),
            (4, 0, 1, 32),
            (255, 0, 1, 32),
            (3, 2, 1, 32),
            (3, 1, 3, 32),
            (3, 1, 255, 48),
        ] {
            check(usage, selector, matching, octets, false);
        }
        // Cut short, or of another function.
        check(3, 1, 1, 31, false);
        check(3, 1, 1, 64, false);
        check(3, 1, 2, 32, false);
        check(2, 0, 0, 0, false);
    }

    #[test]
    fn a_weaker_digest_does_not_count_beside_a_stronger_one_of_the_same() {
        let record = |text: &str| {
            let numbers: Vec<u8> = text.split(' ').map(|number| number.parse().unwrap()).collect();
            Tlsa::read(numbers[0], numbers[1], numbers[2], &digest(numbers[2], b"x")).unwrap()
        };
        let check = |all: &[&str], left: &[&str]| {
            let records = |texts: &[&str]| texts.iter().map(|text| record(text)).collect::<Vec<_>>();
            assert_eq!(agile(records(all)), records(left), "{all:?}");
        };
        check(&["3 1 1", "3 1 2", "3 1 1"], &["3 1 2"]);
        check(&["3 1 1", "3 0 2", "2 1 2"], &["3 1 1", "3 0 2", "2 1 2"]);
        check(&["3 1 0", "3 1 2"], &["3 1 0", "3 1 2"]);
        check(&[], &[]);
    }
}
