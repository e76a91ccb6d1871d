use super::sts_policy::{Mode, MxPattern, StsPolicy};
use crate::base::{DomainName, limits};

/// Octets of the hash that an id is made of: 20 hexadecimal digits.
const ID_BYTES: usize = 10;

impl StsPolicy {
    /// What a domain of ours asks of those who send to it, where `host` takes its mail.
    // RFC 8461 §8.3: one that says none is there so that older ones are forgotten, so it need not last.
    pub fn own(mode: Mode, host: &DomainName) -> Self {
        let (mx, max_age_s) = match mode {
            Mode::Enforce => (vec![MxPattern::of(host)], limits::STS_OWN_ENFORCE_S),
            Mode::Testing => (vec![MxPattern::of(host)], limits::STS_OWN_TESTING_S),
            Mode::None => (Vec::new(), limits::STS_OWN_TESTING_S),
        };
        Self { mode, mx, max_age_s }
    }

    /// As it stands at `/.well-known/mta-sts.txt`.
    // RFC 8461 §3.2
    pub fn text(&self) -> String {
        let mx: String = self.mx.iter().map(|pattern| format!("mx: {pattern}\r\n")).collect();
        format!("version: STSv1\r\nmode: {}\r\n{mx}max_age: {}\r\n", self.mode, self.max_age_s)
    }

    /// What the TXT record at `_mta-sts.` and the domain says: its id is another one whenever the policy is.
    // RFC 8461 §3.1
    pub fn record(&self) -> String {
        let hash = blake3::hash(self.text().as_bytes());
        let id: String = hash.as_bytes().iter().take(ID_BYTES).map(|byte| format!("{byte:02x}")).collect();
        format!("v=STSv1; id={id};")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tlspolicy::sts_id;

    fn own(mode: Mode, host: &str) -> StsPolicy {
        StsPolicy::own(mode, &host.parse().unwrap())
    }

    // RFC 8461 §3.2
    #[test]
    fn a_policy_of_ours_is_written_as_others_read_it() {
        let check = |mode, expected: &str| {
            let policy = own(mode, "mail.x.test");
            assert_eq!(policy.text(), expected);
            assert_eq!(StsPolicy::read(policy.text().as_bytes()), Ok(policy));
        };
        check(Mode::Enforce, "version: STSv1\r\nmode: enforce\r\nmx: mail.x.test\r\nmax_age: 1209600\r\n");
        check(Mode::Testing, "version: STSv1\r\nmode: testing\r\nmx: mail.x.test\r\nmax_age: 86400\r\n");
        check(Mode::None, "version: STSv1\r\nmode: none\r\nmax_age: 86400\r\n");
    }

    // RFC 8461 §3.1
    #[test]
    fn another_policy_has_another_id() {
        let id = |policy: StsPolicy| sts_id([policy.record().as_str()]).expect("an id");
        let first = id(own(Mode::Enforce, "mail.x.test"));
        assert_eq!((first.len(), id(own(Mode::Enforce, "mail.x.test"))), (20, first.clone()));
        for other in
            [own(Mode::Testing, "mail.x.test"), own(Mode::None, "mail.x.test"), own(Mode::Enforce, "mx.x.test")]
        {
            assert_ne!(id(other), first);
        }
    }
}
