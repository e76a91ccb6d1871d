use hickory_resolver::net::NoRecords;
use hickory_resolver::proto::dnssec::Proof;
use hickory_resolver::proto::dnssec::rdata::DNSSECRData;
use hickory_resolver::proto::rr::rdata::CNAME;
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use hickory_resolver::proto::serialize::binary::{BinDecodable, BinDecoder};

use super::answer;
use crate::base::DomainName;

/// How much of an answer is proved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// All of it.
    Secure,
    /// The first link of its chain of CNAME records.
    FirstLink,
    /// That nobody signs it.
    Insecure,
}

/// How much is proved of the records of that name and kind, by way of CNAME records; `None`: something should be and is
/// not, or there is nothing.
pub(super) fn judged(name: &Name, kind: RecordType, records: &[Record]) -> Option<Standing> {
    let names = answer::aliases(name, records);
    let counts =
        |record: &&Record| names.contains(&record.name) && [kind, RecordType::CNAME].contains(&record.record_type());
    let counted: Vec<&Record> = records.iter().filter(counts).collect();
    let all = counted.iter().map(|record| record.proof).min()?;
    let first = counted.iter().filter(|record| record.name == *name).map(|record| record.proof).min();
    match (all, first) {
        (Proof::Secure, _) => Some(Standing::Secure),
        (Proof::Insecure, Some(Proof::Secure)) => Some(Standing::FirstLink),
        (Proof::Insecure, _) => Some(Standing::Insecure),
        (Proof::Bogus | Proof::Indeterminate, _) => None,
    }
}

/// Whether it is proved that there is nothing, or that nobody signs what there is; `None`: neither.
// RFC 4035 §5.4: the library has verified the NSEC and NSEC3 records that are marked as secure, and what they deny. It takes
// an answer for an unsigned one where all that comes with it is unsigned, whatever its names are.
pub(super) fn denied(nothing: &NoRecords) -> Option<bool> {
    let authorities = nothing.authorities.as_deref().unwrap_or_default();
    let is_denial =
        |record: &&Record| matches!(record.data, RData::DNSSEC(DNSSECRData::NSEC(_) | DNSSECRData::NSEC3(_)));
    if authorities.iter().filter(is_denial).any(|record| record.proof.is_secure()) {
        return Some(true);
    }
    let is_of_zone = |record: &Record| record.proof.is_insecure() && record.name.zone_of(nothing.query.name());
    authorities.iter().any(is_of_zone).then_some(false)
}

/// Where the TLSA records of a host are, whose addresses these are.
// RFC 7672 §2.2.2: below the name that a chain of signed CNAME records ends with, else below the one that it begins with
pub(super) fn tlsa_bases(host: &DomainName, name: &Name, records: &[Record], standing: Standing) -> Vec<DomainName> {
    let mut bases = Vec::new();
    if standing == Standing::Secure {
        bases.extend(answer::aliases(name, records).last().and_then(answer::host));
    }
    if standing != Standing::Insecure && !bases.contains(host) {
        bases.push(host.clone());
    }
    bases
}

/// The CNAME record of a name that a record is, or says that there is: a DNAME record stands for one of each name below it.
// RFC 6672 §5.3.1: that record is never signed; it is proved by the DNAME record's signature and by how it is made
pub(super) fn link(name: &Name, record: &Record) -> Option<Record> {
    match &record.data {
        RData::CNAME(_) if record.name == *name => {
            (record.proof.is_secure() || record.proof.is_insecure()).then(|| record.clone())
        }
        RData::Unknown { code: RecordType::DNAME, rdata } if record.proof.is_secure() => {
            let target = Name::read(&mut BinDecoder::new(&rdata.anything)).ok()?;
            let mut link =
                Record::from_rdata(name.clone(), record.ttl, RData::CNAME(CNAME(moved(name, &record.name, &target)?)));
            link.proof = record.proof;
            Some(link)
        }
        _ => None,
    }
}

/// What a name below `owner` is called below `target`; what is too long for a name is none.
// RFC 6672 §2.2
fn moved(name: &Name, owner: &Name, target: &Name) -> Option<Name> {
    let below = name.iter().count().checked_sub(owner.iter().count()).filter(|below| *below > 0)?;
    if !owner.zone_of(name) {
        return None;
    }
    Name::from_labels(name.iter().take(below)).ok()?.append_domain(target).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::from_ascii(text).unwrap()
    }

    // RFC 6672 §2.2, its table
    #[test]
    fn a_name_below_a_dname_record_moves() {
        let check = |asked: &str, owner: &str, target: &str, expected: Option<&str>| {
            assert_eq!(
                moved(&name(asked), &name(owner), &name(target)),
                expected.map(name),
                "{asked} {owner} {target}"
            );
        };
        check("com.", "example.com.", "example.net.", None);
        check("example.com.", "example.com.", "example.net.", None);
        check("a.example.com.", "example.com.", "example.net.", Some("a.example.net."));
        check("a.b.example.com.", "example.com.", "example.net.", Some("a.b.example.net."));
        check("ab.example.com.", "b.example.com.", "example.net.", None);
        check("foo.example.com.", "example.com.", "example.net.", Some("foo.example.net."));
        check("a.x.example.com.", "x.example.com.", "example.net.", Some("a.example.net."));
        check("a.example.com.", "example.com.", "y.example.net.", Some("a.y.example.net."));
        check("cyc.example.com.", "example.com.", "example.com.", Some("cyc.example.com."));
        check("shortloop.x.x.", "x.", ".", Some("shortloop.x."));
        let long = format!("{}.x.", vec!["a".repeat(63); 3].join("."));
        check(&long, "x.", &format!("{}.", "b".repeat(63)), None);
    }

    #[test]
    fn only_a_proved_record_links() {
        let target = name("e.test.");
        let dname = |proof| {
            let rdata = hickory_resolver::proto::rr::rdata::NULL::with(vec![1, b'e', 4, b't', b'e', b's', b't', 0]);
            let mut record = Record::from_rdata(name("d.test."), 60, RData::Unknown { code: RecordType::DNAME, rdata });
            record.proof = proof;
            record
        };
        let cname = |proof| {
            let mut record = Record::from_rdata(name("a.d.test."), 60, RData::CNAME(CNAME(target.clone())));
            record.proof = proof;
            record
        };
        let check = |record: Record, expected: Option<&str>| {
            let seen = link(&name("a.d.test."), &record).map(|link| link.data);
            assert_eq!(seen, expected.map(|text| RData::CNAME(CNAME(name(text)))), "{record:?}");
        };
        check(dname(Proof::Secure), Some("a.e.test."));
        check(cname(Proof::Secure), Some("e.test."));
        check(cname(Proof::Insecure), Some("e.test."));
        for proof in [Proof::Bogus, Proof::Indeterminate] {
            check(cname(proof), None);
            check(dname(proof), None);
        }
        assert_eq!(link(&name("b.d.test."), &cname(Proof::Secure)), None);
    }
}
