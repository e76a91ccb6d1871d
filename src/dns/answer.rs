use std::collections::BTreeSet;
use std::net::IpAddr;

use hickory_resolver::proto::rr::rdata::TLSA;
use hickory_resolver::proto::rr::{Name, RData, Record};

use crate::base::{DomainName, limits};
use crate::tlspolicy::Tlsa;

/// What the DNS says of a domain's mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MailServers {
    /// RFC 5321 §5.1: MX records, by preference, at most [`limits::MX_RECORDS`]. Empty when none of them names a host.
    Mx(Vec<(u16, DomainName)>),
    /// There are none: the domain itself is the server, when it has an address.
    Implicit,
    /// RFC 7505: it takes no mail.
    Null,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DnsError {
    /// The name does not exist.
    #[error("{0} does not exist in the DNS")]
    NoSuchName(DomainName),
    /// The name servers do not answer, or can't: to be tried again.
    #[error("the DNS gives no answer for {0}: {1}")]
    Temporary(DomainName, String),
}

/// What the MX records among `records` say of `name`.
pub(super) fn mail_servers(name: &Name, records: &[Record]) -> MailServers {
    let found: Vec<(u16, &Name)> = owned(name, records)
        .filter_map(|data| match data {
            RData::MX(mx) => Some((mx.preference, &mx.exchange)),
            _ => None,
        })
        .collect();
    if found.is_empty() {
        return MailServers::Implicit;
    }
    // RFC 7505 §3: a single record with the root as its exchange
    if let [(_, exchange)] = found.as_slice()
        && exchange.is_root()
    {
        return MailServers::Null;
    }
    let mut servers: Vec<(u16, DomainName)> =
        found.into_iter().filter_map(|(preference, exchange)| Some((preference, host(exchange)?))).collect();
    servers.sort();
    // A server that is named twice counts where it is preferred.
    let mut named = BTreeSet::new();
    servers.retain(|(_, host)| named.insert(host.clone()));
    servers.truncate(limits::MX_RECORDS);
    MailServers::Mx(servers)
}

/// The addresses among `records` that are `name`'s, in their order, each once, at most [`limits::HOST_ADDRESSES`].
pub(super) fn addresses(name: &Name, records: &[Record]) -> Vec<IpAddr> {
    let mut found = Vec::new();
    for data in owned(name, records) {
        let address = match data {
            RData::A(a) => IpAddr::V4(a.0),
            RData::AAAA(aaaa) => IpAddr::V6(aaaa.0),
            _ => continue,
        };
        if found.len() < limits::HOST_ADDRESSES && !found.contains(&address) {
            found.push(address);
        }
    }
    found
}

/// The texts of the TXT records among `records` that are `name`'s, each put together of its strings, at most
/// [`limits::TXT_RECORDS`]. What is too long, or no text, is cut or read as well as it can be: nothing of ours is so.
pub(super) fn texts(name: &Name, records: &[Record]) -> Vec<String> {
    let text = |data: &RData| match data {
        RData::TXT(txt) => {
            let octets: Vec<u8> = txt.txt_data.iter().flatten().copied().take(limits::TXT_BYTES).collect();
            Some(String::from_utf8_lossy(&octets).into_owned())
        }
        _ => None,
    };
    owned(name, records).filter_map(text).take(limits::TXT_RECORDS).collect()
}

/// What belongs to `name`, also by way of CNAME records: an answer may hold anything besides.
fn owned<'a>(name: &Name, records: &'a [Record]) -> impl Iterator<Item = &'a RData> {
    let names = aliases(name, records);
    records.iter().filter(move |record| names.contains(&record.name)).map(|record| &record.data)
}

/// A name, and those that it stands for by the CNAME records of an answer, in their order.
pub(super) fn aliases(name: &Name, records: &[Record]) -> Vec<Name> {
    let mut names = vec![name.clone()];
    // Each turn follows one link; a chain may stand in any order.
    for _ in 0..limits::CNAME_LINKS {
        let next = records.iter().find_map(|record| match &record.data {
            RData::CNAME(cname) if names.contains(&record.name) && !names.contains(&cname.0) => Some(cname.0.clone()),
            _ => None,
        });
        match next {
            Some(next) => names.push(next),
            None => break,
        }
    }
    names
}

/// What the owner of a CNAME record stands for.
pub(super) fn target(record: &Record) -> Option<Name> {
    match &record.data {
        RData::CNAME(cname) => Some(cname.0.clone()),
        _ => None,
    }
}

/// The TLSA records among `records` that are `name`'s, at most [`limits::TLSA_RECORDS`]; a `None` is one that nobody can go
/// by.
pub(super) fn tlsa(name: &Name, records: &[Record]) -> Vec<Option<Tlsa>> {
    let read = |data: &RData| match data {
        RData::TLSA(TLSA { cert_usage, selector, matching, cert_data, .. }) => {
            Some(Tlsa::read((*cert_usage).into(), (*selector).into(), (*matching).into(), cert_data))
        }
        _ => None,
    };
    owned(name, records).filter_map(read).take(limits::TLSA_RECORDS).collect()
}

/// A name that can be a host's; what is none can't be dialled.
pub(super) fn host(name: &Name) -> Option<DomainName> {
    DomainName::parse(name.to_ascii().trim_end_matches('.')).ok()
}

#[cfg(test)]
mod tests {
    use hickory_resolver::proto::rr::rdata::{A, AAAA, CNAME, MX, TXT};

    use super::*;

    fn name(text: &str) -> Name {
        Name::from_ascii(text).unwrap()
    }

    fn mx(owner: &str, preference: u16, exchange: &str) -> Record {
        Record::from_rdata(name(owner), 60, RData::MX(MX::new(preference, name(exchange))))
    }

    fn cname(owner: &str, target: &str) -> Record {
        Record::from_rdata(name(owner), 60, RData::CNAME(CNAME(name(target))))
    }

    fn check(records: &[Record], expected: &str) {
        let seen = match mail_servers(&name("d.test."), records) {
            MailServers::Mx(servers) => {
                servers.iter().map(|(preference, host)| format!("{preference} {host}")).collect::<Vec<_>>().join(", ")
            }
            MailServers::Implicit => "implicit".to_owned(),
            MailServers::Null => "null".to_owned(),
        };
        assert_eq!(seen, expected);
    }

    #[test]
    fn mx_records_are_sorted_and_what_is_no_host_is_left_out() {
        check(&[], "implicit");
        check(&[mx("d.test.", 20, "B.test."), mx("d.test.", 10, "a.test.")], "10 a.test, 20 b.test");
        check(&[mx("d.test.", 20, "a.test."), mx("d.test.", 10, "a.test.")], "10 a.test");
        check(&[mx("d.test.", 0, ".")], "null");
        check(&[mx("d.test.", 0, "."), mx("d.test.", 1, "a.test.")], "1 a.test");
        check(&[mx("d.test.", 0, "127.0.0.1.")], "");
        check(&[mx("other.test.", 1, "a.test.")], "implicit");
        check(&[mx("c.test.", 1, "a.test."), cname("d.test.", "c.test.")], "1 a.test");
        check(&[cname("d.test.", "c.test."), cname("c.test.", "d.test."), mx("x.test.", 1, "a.test.")], "implicit");
    }

    #[test]
    fn no_answer_is_too_large() {
        let many: Vec<Record> = (0..10_000u16).rev().map(|n| mx("d.test.", n, &format!("h{n}.test."))).collect();
        let MailServers::Mx(kept) = mail_servers(&name("d.test."), &many) else { panic!("no MX") };
        assert_eq!(kept.len(), limits::MX_RECORDS);
        assert_eq!((kept[0].0, kept[9].0), (0, 9));
        let a = |n: u32| Record::from_rdata(name("h.test."), 60, RData::A(A(n.into())));
        let many: Vec<Record> = (0..10_000).map(a).collect();
        assert_eq!(addresses(&name("h.test."), &many).len(), limits::HOST_ADDRESSES);
    }

    #[test]
    fn texts_are_put_together_of_their_strings() {
        let txt = |owner: &str, strings: &[&str]| {
            let strings = strings.iter().map(|text| (*text).to_owned()).collect();
            Record::from_rdata(name(owner), 60, RData::TXT(TXT::new(strings)))
        };
        let records = [
            cname("s._domainkey.d.test.", "s.keys.test."),
            txt("s.keys.test.", &["v=DKIM1; ", "p=", "YQ=="]),
            txt("s.keys.test.", &[]),
            txt("other.test.", &["x"]),
        ];
        assert_eq!(texts(&name("s._domainkey.d.test."), &records), ["v=DKIM1; p=YQ==", ""]);
        let long = vec!["x".repeat(255); 200];
        let long = Record::from_rdata(name("d.test."), 60, RData::TXT(TXT::new(long)));
        let many = vec![long; 100];
        let seen = texts(&name("d.test."), &many);
        assert_eq!((seen.len(), seen[0].len()), (limits::TXT_RECORDS, limits::TXT_BYTES));
    }

    #[test]
    fn addresses_are_those_of_the_name() {
        let records = [
            cname("h.test.", "x.test."),
            Record::from_rdata(name("x.test."), 60, RData::A(A::new(192, 0, 2, 1))),
            Record::from_rdata(name("y.test."), 60, RData::A(A::new(192, 0, 2, 2))),
            Record::from_rdata(name("X.test."), 60, RData::AAAA(AAAA("2001:db8::1".parse().unwrap()))),
        ];
        let expected: Vec<IpAddr> = ["192.0.2.1", "2001:db8::1"].map(|text| text.parse().unwrap()).into();
        assert_eq!(addresses(&name("h.test."), &records), expected);
    }
}
