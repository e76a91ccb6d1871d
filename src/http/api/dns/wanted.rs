use super::shape::{RecordState, Requirement};
use crate::base::DomainName;
use crate::directory::Domain;
use crate::dkim::{self, Algorithm, DkimKey, DnsState, KeyState};
use crate::tlspolicy::StsPolicy;

/// Seconds that others may remember a record: an hour, so that a mistake is mended in one.
pub(super) const TTL_S: u32 = 3600;
/// The preference of the only server.
const PREFERENCE: u16 = 10;
/// Octets of a string of a TXT record.
// RFC 1035 §3.3
const STRING_BYTES: usize = 255;

/// A record that a domain needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    /// What it is for.
    pub purpose: Purpose,
    /// Of the domain's names, the one that it is for.
    pub domain: DomainName,
    /// Where it stands, without the last dot.
    pub name: String,
    pub kind: Kind,
    /// What it says: a text whole, the others as a zone file writes it.
    pub value: String,
    pub requirement: Requirement,
    /// What it does.
    pub why: &'static str,
}

/// A kind of record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    Mx { preference: u16, target: DomainName },
    Cname { target: DomainName },
    Txt,
}

/// What a record is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Purpose {
    Mx,
    Spf,
    Dkim { selector: String, algorithm: Algorithm, public: Vec<u8> },
    Dmarc,
    TlsRpt,
    MtaSts,
    MtaStsHost,
}

/// What a domain needs, under its own name and its other ones.
pub(super) fn of(domain: &Domain, hostname: &DomainName, keys: &[DkimKey]) -> Vec<Wanted> {
    let names = std::iter::once(&domain.name).chain(&domain.fields.aliases);
    let policy = domain.fields.mta_sts_mode.map(|mode| StsPolicy::own(mode, hostname));
    let of = |name: &DomainName| {
        let mut all = of_name(name, &domain.name, hostname, keys);
        all.extend(policy.iter().flat_map(|policy| of_policy(name, hostname, policy)));
        all
    };
    names.flat_map(of).collect()
}

/// What others find the MTA-STS policy by.
// RFC 8461 §3.1, §3.3
fn of_policy(name: &DomainName, hostname: &DomainName, policy: &StsPolicy) -> [Wanted; 2] {
    let wanted = |purpose, at, kind, value, why| {
        let (domain, requirement) = (name.clone(), Requirement::Recommended);
        Wanted { purpose, domain, name: at, kind, value, requirement, why }
    };
    [
        wanted(
            Purpose::MtaSts,
            format!("_mta-sts.{name}"),
            Kind::Txt,
            policy.record(),
            "MTA-STS: the domain has a policy for TLS; the id is another one whenever the policy is (RFC 8461).",
        ),
        wanted(
            Purpose::MtaStsHost,
            format!("mta-sts.{name}"),
            Kind::Cname { target: hostname.clone() },
            format!("{hostname}."),
            "MTA-STS: where others fetch the policy, over HTTPS with a certificate for this name.",
        ),
    ]
}

fn of_name(name: &DomainName, domain: &DomainName, hostname: &DomainName, keys: &[DkimKey]) -> Vec<Wanted> {
    let text = |purpose, at: String, value: String, requirement, why| Wanted {
        purpose,
        domain: name.clone(),
        name: at,
        kind: Kind::Txt,
        value,
        requirement,
        why,
    };
    let mut all = vec![
        Wanted {
            purpose: Purpose::Mx,
            domain: name.clone(),
            name: name.to_string(),
            kind: Kind::Mx { preference: PREFERENCE, target: hostname.clone() },
            value: format!("{PREFERENCE} {hostname}."),
            requirement: Requirement::Required,
            why: "Mail for the domain comes to this server.",
        },
        text(
            Purpose::Spf,
            name.to_string(),
            "v=spf1 mx -all".into(),
            Requirement::Required,
            "SPF: only the domain's mail servers send in its name (RFC 7208).",
        ),
    ];
    for key in keys {
        let requirement = match (key.state, key.algorithm) {
            // Its record has to stay for mail that is on its way; mail that is sent now does not need it.
            (KeyState::Retiring { .. }, _) => Requirement::Recommended,
            (_, Algorithm::Rsa2048) => Requirement::Required,
            (_, Algorithm::Ed25519) => Requirement::Recommended,
        };
        let why = match key.state {
            KeyState::Pending => "DKIM: with it, the key begins to sign the domain's mail (RFC 6376).",
            KeyState::Active { .. } => "DKIM: the domain's mail is signed with this key (RFC 6376).",
            KeyState::Retiring { .. } => {
                "DKIM: mail on its way was signed with this key; the record can go when this line does."
            }
        };
        let purpose =
            Purpose::Dkim { selector: key.selector.clone(), algorithm: key.algorithm, public: key.public.clone() };
        let value = dkim::record_value(key.algorithm, &key.public);
        all.push(text(purpose, dkim::record_name(&key.selector, name), value, requirement, why));
    }
    all.push(text(
        Purpose::Dmarc,
        format!("_dmarc.{name}"),
        format!("v=DMARC1; p=none; rua=mailto:postmaster@{domain}"),
        Requirement::Recommended,
        "DMARC: what others do with mail that is not proved to be yours, and where they report (RFC 7489). When the reports \
         show that all your mail passes, say p=quarantine, and then p=reject.",
    ));
    // RFC 8460 §3
    all.push(text(
        Purpose::TlsRpt,
        format!("_smtp._tls.{name}"),
        format!("v=TLSRPTv1; rua=mailto:postmaster@{domain}"),
        Requirement::Recommended,
        "TLS reporting: where others say each day how often TLS to this server failed them (RFC 8460).",
    ));
    all
}

impl Purpose {
    /// As the interface says it.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Mx => "mx",
            Self::Spf => "spf",
            Self::Dkim { .. } => "dkim",
            Self::Dmarc => "dmarc",
            Self::TlsRpt => "tlsrpt",
            Self::MtaSts => "mta_sts",
            Self::MtaStsHost => "mta_sts_host",
        }
    }
}

impl Wanted {
    /// What it says, as a zone file writes it: a text in quoted strings.
    // RFC 1035 §5.1
    pub(super) fn zone_value(&self) -> String {
        if self.kind != Kind::Txt {
            return self.value.clone();
        }
        let strings = self.value.as_bytes().chunks(STRING_BYTES).map(|piece| {
            let text = String::from_utf8_lossy(piece);
            format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
        });
        strings.collect::<Vec<_>>().join(" ")
    }

    /// A line of a zone file.
    pub(super) fn zone_line(&self) -> String {
        let kind = match self.kind {
            Kind::Mx { .. } => "MX",
            Kind::Cname { .. } => "CNAME",
            Kind::Txt => "TXT",
        };
        format!("{}. {TTL_S} IN {kind} {}\n", self.name, self.zone_value())
    }

    /// How what is there stands to what is wanted, and what to do.
    pub(super) fn judge(&self, seen: &[String]) -> (RecordState, String) {
        match &self.purpose {
            Purpose::Mx => self.judge_mx(seen),
            Purpose::Spf => self.judge_one(seen, "v=spf1"),
            Purpose::Dmarc => self.judge_one(seen, "v=DMARC1"),
            Purpose::TlsRpt => self.judge_one(seen, "v=TLSRPTv1"),
            Purpose::MtaSts => self.judge_one(seen, "v=STSv1"),
            Purpose::MtaStsHost => self.judge_host(seen),
            Purpose::Dkim { algorithm, public, .. } => match dkim::judge(*algorithm, public, seen) {
                DnsState::Published => ok(),
                DnsState::Missing | DnsState::Unknown => self.missing(),
                DnsState::Wrong => {
                    (RecordState::Wrong, "Publish this value, whole, and no other TXT record at this name.".into())
                }
            },
        }
    }

    fn judge_mx(&self, seen: &[String]) -> (RecordState, String) {
        let Kind::Mx { target, .. } = &self.kind else { return ok() };
        let is_ours = |line: &String| line.split(' ').next_back() == Some(&format!("{target}."));
        match seen {
            [] => self.missing(),
            seen if seen.iter().any(is_ours) => ok(),
            _ => (RecordState::Wrong, "Mail for the domain goes to other servers: publish this record instead.".into()),
        }
    }

    fn judge_host(&self, seen: &[String]) -> (RecordState, String) {
        match seen {
            [] => self.missing(),
            seen if seen.contains(&self.value) => ok(),
            _ => {
                let fix = "It leads to another machine: see that it hands on to this server what is asked there.";
                (RecordState::Unknown, fix.into())
            }
        }
    }

    /// Where there may be one record of a kind: the wanted one, or another of which only its owner knows whether it does.
    // RFC 7208 §4.5, RFC 7489 §6.6.3, RFC 8460 §3, RFC 8461 §3.1: of several none counts
    fn judge_one(&self, seen: &[String], version: &str) -> (RecordState, String) {
        let is_one = |text: &&String| {
            let rest = text.strip_prefix(version);
            rest.is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_alphanumeric()))
        };
        let found: Vec<&String> = seen.iter().filter(is_one).collect();
        match (found.as_slice(), &self.purpose) {
            ([], _) => self.missing(),
            ([one], _) if **one == self.value => ok(),
            // Any policy of the domain's owner will do.
            ([_], Purpose::Dmarc | Purpose::TlsRpt) => ok(),
            ([_], Purpose::MtaSts) => {
                (RecordState::Wrong, "It is of another policy, or of an older one: publish this record instead.".into())
            }
            ([one], _) if one.split(' ').any(|term| matches!(term, "mx" | "+mx")) => ok(),
            ([_], _) => {
                let fix = "There is another one: see that it names this server, as `mx` does.";
                (RecordState::Unknown, fix.into())
            }
            _ => (RecordState::Wrong, "There are several, so that none counts: leave one.".into()),
        }
    }

    fn missing(&self) -> (RecordState, String) {
        (RecordState::Missing, "Publish this record.".into())
    }
}

fn ok() -> (RecordState, String) {
    (RecordState::Ok, String::new())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Timestamp;
    use crate::directory::DomainFields;
    use crate::settings::Settings;
    use crate::tlspolicy::Mode;

    fn name(text: &str) -> DomainName {
        DomainName::parse(text).unwrap()
    }

    fn wanted() -> Vec<Wanted> {
        wanted_with(None)
    }

    fn wanted_with(mta_sts_mode: Option<Mode>) -> Vec<Wanted> {
        let aliases = vec![name("y.test")];
        let fields = DomainFields { aliases, mta_sts_mode, ..DomainFields::new(&Settings::default()) };
        let (created_at, changed_at) = (Timestamp(0), Timestamp(0));
        let domain = Domain { name: name("x.test"), fields, version: 1, created_at, changed_at };
        let key = DkimKey {
            domain: name("x.test"),
            selector: "s1".into(),
            algorithm: Algorithm::Ed25519,
            private: Vec::new(),
            public: b"the key".to_vec(),
            state: KeyState::Pending,
            dns: DnsState::Unknown,
            dns_since: None,
            seen_in: Vec::new(),
            version: 1,
            created_at: Timestamp(0),
        };
        of(&domain, &name("mail.x.test"), &[key])
    }

    #[test]
    fn every_name_of_the_domain_has_its_records() {
        let lines: String = wanted().iter().map(Wanted::zone_line).collect();
        let of = |name: &str| {
            format!(
                "{name}. 3600 IN MX 10 mail.x.test.\n{name}. 3600 IN TXT \"v=spf1 mx -all\"\n\
                 s1._domainkey.{name}. 3600 IN TXT \"v=DKIM1; k=ed25519; p=dGhlIGtleQ==\"\n\
                 _dmarc.{name}. 3600 IN TXT \"v=DMARC1; p=none; rua=mailto:postmaster@x.test\"\n\
                 _smtp._tls.{name}. 3600 IN TXT \"v=TLSRPTv1; rua=mailto:postmaster@x.test\"\n"
            )
        };
        assert_eq!(lines, of("x.test") + &of("y.test"));
    }

    #[test]
    fn a_long_text_is_cut_into_strings() {
        let long = Wanted { value: "a".repeat(300), ..wanted().remove(1) };
        assert_eq!(long.zone_value(), format!("\"{}\" \"{}\"", "a".repeat(255), "a".repeat(45)));
    }

    // RFC 8461 §3.1, §3.3
    #[test]
    fn a_policy_is_found_by_two_records() {
        let lines: String = wanted_with(Some(Mode::Testing)).iter().map(Wanted::zone_line).collect();
        let policy = StsPolicy::own(Mode::Testing, &name("mail.x.test")).record();
        for name in ["x.test", "y.test"] {
            let expected =
                format!("_mta-sts.{name}. 3600 IN TXT \"{policy}\"\nmta-sts.{name}. 3600 IN CNAME mail.x.test.\n");
            assert!(lines.contains(&expected), "{lines}");
        }
        assert_eq!(lines.lines().count(), 2 * 7);
    }

    fn check(place: usize, seen: &[&str], expected: RecordState) {
        let wanted = wanted_with(Some(Mode::Enforce)).remove(place);
        let seen: Vec<String> = seen.iter().map(|text| (*text).to_owned()).collect();
        let (state, fix) = wanted.judge(&seen);
        assert_eq!(state, expected, "{wanted:?}: {seen:?}");
        assert_eq!(fix.is_empty(), expected == RecordState::Ok);
    }

    #[test]
    fn what_is_there_is_judged() {
        check(0, &[], RecordState::Missing);
        check(0, &["5 other.test.", "10 mail.x.test."], RecordState::Ok);
        check(0, &["10 notmail.x.test."], RecordState::Wrong);
        check(1, &["something else", "v=spf1 mx -all"], RecordState::Ok);
        check(1, &["v=spf10 mx -all"], RecordState::Missing);
        check(1, &["v=spf1 include:z.test mx ~all"], RecordState::Ok);
        check(1, &["v=spf1 ip4:192.0.2.1 -all"], RecordState::Unknown);
        check(1, &["v=spf1 mx -all", "v=spf1 a -all"], RecordState::Wrong);
        check(2, &["v=DKIM1; k=ed25519; p=dGhlIGtleQ=="], RecordState::Ok);
        check(2, &["v=DKIM1; k=ed25519; p="], RecordState::Wrong);
        check(3, &["v=DMARC1; p=reject"], RecordState::Ok);
        check(3, &["v=DMARC1; p=reject", "v=DMARC1; p=none"], RecordState::Wrong);
        check(4, &["v=DMARC1; p=reject"], RecordState::Missing);
        check(4, &["v=TLSRPTv1; rua=https://reports.test/"], RecordState::Ok);
        check(4, &["v=TLSRPTv1; rua=mailto:a@x.test", "v=TLSRPTv1; rua=mailto:b@x.test"], RecordState::Wrong);
        let own = StsPolicy::own(Mode::Enforce, &name("mail.x.test")).record();
        check(5, &["v=STSv10; id=1;"], RecordState::Missing);
        check(5, &["v=spf1 -all", &own], RecordState::Ok);
        check(5, &["v=STSv1; id=1;"], RecordState::Wrong);
        check(5, &[&own, "v=STSv1; id=1;"], RecordState::Wrong);
        check(6, &[], RecordState::Missing);
        check(6, &["mail.x.test."], RecordState::Ok);
        check(6, &["192.0.2.1"], RecordState::Unknown);
    }
}
