use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};

use crate::base::limits;

/// That there is nothing, and how that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Denial {
    /// Not even the name.
    pub(super) is_of_name: bool,
    /// By a signature, and not since nobody signs there.
    pub(super) is_secure: bool,
}

/// Remembers that there is nothing, which the library does not where it verifies: most servers have neither an IPv6
/// address nor TLSA records, and would be asked for both before each session.
#[derive(Default)]
pub(super) struct Denials(Mutex<HashMap<(Name, RecordType), (Instant, Denial)>>);

impl Denials {
    pub(super) fn get(&self, name: &Name, kind: RecordType) -> Option<Denial> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (until, denial) = all.get(&(name.clone(), kind))?;
        (Instant::now() < *until).then_some(*denial)
    }

    /// For as long as the SOA record among `authorities` says, if there is one.
    // RFC 2308 §5: the lesser of its TTL and its MINIMUM field; no SOA record, no caching
    pub(super) fn put(&self, name: &Name, kind: RecordType, denial: Denial, authorities: &[Record]) {
        let seconds =
            authorities.iter().filter(|record| record.name.zone_of(name)).find_map(|record| match &record.data {
                RData::SOA(soa) => Some(record.ttl.min(soa.minimum)),
                _ => None,
            });
        let seconds = u64::from(seconds.unwrap_or(0)).min(limits::DNS_NEGATIVE_TTL_S);
        if seconds == 0 {
            return;
        }
        let now = Instant::now();
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= limits::DNS_DENIALS {
            all.retain(|_, (until, _)| now < *until);
        }
        if all.len() >= limits::DNS_DENIALS {
            all.clear();
        }
        all.insert((name.clone(), kind), (now + Duration::from_secs(seconds), denial));
    }
}

#[cfg(test)]
mod tests {
    use hickory_resolver::proto::rr::rdata::SOA;

    use super::*;

    fn name(text: &str) -> Name {
        Name::from_ascii(text).unwrap()
    }

    fn soa(owner: &str, ttl: u32, minimum: u32) -> Record {
        let soa = SOA::new(name("ns.test."), name("admin.test."), 1, 3600, 600, 86400, minimum);
        Record::from_rdata(name(owner), ttl, RData::SOA(soa))
    }

    // RFC 2308 §5
    #[test]
    fn what_is_not_there_is_remembered_for_as_long_as_its_zone_says() {
        let denial = Denial { is_of_name: false, is_secure: true };
        let check = |authorities: &[Record], is_remembered: bool| {
            let denials = Denials::default();
            denials.put(&name("mx.d.test."), RecordType::AAAA, denial, authorities);
            let seen = denials.get(&name("mx.d.test."), RecordType::AAAA);
            assert_eq!(seen, is_remembered.then_some(denial), "{authorities:?}");
            assert_eq!(denials.get(&name("mx.d.test."), RecordType::A), None);
            assert_eq!(denials.get(&name("d.test."), RecordType::AAAA), None);
        };
        check(&[soa("d.test.", 3600, 3600)], true);
        check(&[soa("d.test.", 0, 3600)], false);
        check(&[soa("d.test.", 3600, 0)], false);
        check(&[soa("e.test.", 3600, 3600)], false);
        check(&[], false);
    }

    #[test]
    fn not_more_is_remembered_than_may_be() {
        let (denials, denial) = (Denials::default(), Denial { is_of_name: true, is_secure: false });
        let soa = [soa("test.", 3600, 3600)];
        for number in 0..=limits::DNS_DENIALS {
            denials.put(&name(&format!("{number}.test.")), RecordType::A, denial, &soa);
        }
        assert_eq!(denials.0.lock().unwrap().len(), 1);
        assert!(denials.get(&name(&format!("{}.test.", limits::DNS_DENIALS)), RecordType::A).is_some());
    }
}
