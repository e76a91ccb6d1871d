use std::net::{IpAddr, SocketAddr};

use super::dane::Signed;
use crate::base::{DomainName, Enhanced, Networks, Random, limits};
use crate::dns::DnsError;
use crate::net::may_be_dialled;
use crate::queue::Words;

/// A server to dial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Server {
    /// The name by which it was found.
    pub(super) name: String,
    /// Where it is.
    pub(super) address: SocketAddr,
    /// Its preference: the lower goes first.
    pub(super) preference: u16,
    /// What is proved of it.
    pub(super) signed: Signed,
}

/// A host that takes mail, and what the DNS says of where it is.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    pub(super) preference: u16,
    pub(super) host: DomainName,
    pub(super) addresses: Result<Vec<IpAddr>, DnsError>,
    pub(super) signed: Signed,
}

/// A host that can be dialled.
struct Found {
    preference: u16,
    host: DomainName,
    addresses: Vec<IpAddr>,
    signed: Signed,
}

/// Why nobody can be dialled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unroutable {
    /// It won't be otherwise tomorrow.
    pub(super) is_permanent: bool,
    /// For the sender and the operator.
    pub(super) words: Words,
}

/// Who we are, for finding that mail would come back to us.
#[derive(Debug, Clone)]
pub(super) struct Own<'a> {
    /// Our name.
    pub(super) hostname: &'a DomainName,
    /// Where we take mail.
    pub(super) listeners: &'a [SocketAddr],
}

impl Own<'_> {
    fn is_at(&self, address: SocketAddr) -> bool {
        self.listeners.iter().any(|own| own.port() == address.port() && own.ip() == address.ip().to_canonical())
    }
}

impl Unroutable {
    pub(super) fn permanent(enhanced: Enhanced, text: impl Into<String>) -> Self {
        Self { is_permanent: true, words: Words::own(enhanced, text) }
    }

    pub(super) fn temporary(enhanced: Enhanced, text: impl Into<String>) -> Self {
        Self { is_permanent: false, words: Words::own(enhanced, text) }
    }

    /// RFC 7505 §4.2, RFC 7504 §4: 556 5.1.10
    pub(super) fn null_mx(domain: &DomainName) -> Self {
        Self::permanent(Enhanced(5, 1, 10), format!("{domain} takes no mail (null MX)"))
    }

    /// RFC 5321 §6.3
    pub(super) fn looped(domain: &DomainName) -> Self {
        let text = format!("the DNS sends mail for {domain} to this server, which does not take it: a mail loop");
        Self::permanent(Enhanced(5, 4, 6), text)
    }

    /// The DNS has no such name, or does not answer.
    pub(super) fn dns(error: &DnsError) -> Self {
        match error {
            DnsError::NoSuchName(name) => {
                Self::permanent(Enhanced(5, 1, 2), format!("the domain {name} does not exist in the DNS"))
            }
            DnsError::Temporary(..) => Self::temporary(Enhanced(4, 4, 3), error.to_string()),
        }
    }

    /// Permanent: whoever runs the domain has to change its records, and learns of it by a bounce that says so.
    fn forbidden(domain: &DomainName, address: IpAddr) -> Self {
        let text =
            format!("the DNS names only addresses for {domain} that are not of the public internet, as {address}");
        Self::permanent(Enhanced(5, 4, 4), text)
    }
}

/// The servers to dial for a domain, in their order: by preference, equal ones shuffled, addresses of both families in
/// turn, at most [`limits::SERVERS_TRIED`].
// RFC 5321 §5.1
pub(super) fn servers(
    domain: &DomainName,
    candidates: Vec<Candidate>,
    own: &Own<'_>,
    port: u16,
    allowed: &Networks,
    random: &dyn Random,
) -> Result<Vec<Server>, Unroutable> {
    let mut candidates = without_loops(domain, candidates, own, port)?;
    shuffle_equals(&mut candidates, random);
    let (mut hosts, mut failed, mut forbidden) = (Vec::new(), Vec::new(), None);
    for candidate in candidates {
        match candidate.addresses {
            Ok(addresses) => {
                let (good, bad): (Vec<IpAddr>, Vec<IpAddr>) =
                    addresses.into_iter().partition(|address| may_be_dialled(*address, allowed));
                forbidden = forbidden.or(bad.first().copied());
                if !good.is_empty() {
                    let Candidate { preference, host, signed, .. } = candidate;
                    hosts.push(Found { preference, host, addresses: alternate(good), signed });
                }
            }
            Err(error) => failed.push(error),
        }
    }
    if !hosts.is_empty() {
        return Ok(chosen(hosts, port));
    }
    // One that can't be asked for now may be the one that is good.
    if let Some(error) = failed.iter().find(|error| matches!(error, DnsError::Temporary(..))) {
        return Err(Unroutable::dns(error));
    }
    Err(match (forbidden, failed.first()) {
        (Some(address), _) => Unroutable::forbidden(domain, address),
        (None, Some(DnsError::NoSuchName(name))) => Unroutable::permanent(
            Enhanced(5, 1, 2),
            format!("none of the servers that the DNS names for {domain} exists, as {name}"),
        ),
        _ => Unroutable::permanent(Enhanced(5, 4, 4), format!("the DNS names no address for the mail of {domain}")),
    })
}

/// RFC 5321 §5.1: when we are one of the servers, those that are not preferred over us would send the mail back.
fn without_loops(
    domain: &DomainName,
    candidates: Vec<Candidate>,
    own: &Own<'_>,
    port: u16,
) -> Result<Vec<Candidate>, Unroutable> {
    let is_own = |candidate: &Candidate| {
        let addresses = candidate.addresses.as_deref().unwrap_or_default();
        candidate.host == *own.hostname || addresses.iter().any(|ip| own.is_at(SocketAddr::new(*ip, port)))
    };
    let ours = candidates.iter().filter(|candidate| is_own(candidate)).map(|candidate| candidate.preference).min();
    let Some(ours) = ours else { return Ok(candidates) };
    let left: Vec<Candidate> = candidates.into_iter().filter(|candidate| candidate.preference < ours).collect();
    if left.is_empty() { Err(Unroutable::looped(domain)) } else { Ok(left) }
}

/// RFC 5321 §5.1: "the sender-SMTP MUST randomize them to spread the load".
fn shuffle_equals(candidates: &mut [Candidate], random: &dyn Random) {
    candidates.sort_by_key(|candidate| candidate.preference);
    for equals in candidates.chunk_by_mut(|a, b| a.preference == b.preference) {
        for place in (1..equals.len()).rev() {
            let other = usize::try_from(random.next_u64() % (place as u64 + 1)).unwrap_or(0);
            equals.swap(place, other);
        }
    }
}

/// IPv6 and IPv4 in turn, each family in the order of the DNS.
fn alternate(addresses: Vec<IpAddr>) -> Vec<IpAddr> {
    let (v6, v4): (Vec<IpAddr>, Vec<IpAddr>) = addresses.into_iter().partition(IpAddr::is_ipv6);
    let (mut v6, mut v4) = (v6.into_iter(), v4.into_iter());
    let mut mixed = Vec::new();
    loop {
        let before = mixed.len();
        mixed.extend(v6.next());
        mixed.extend(v4.next());
        if mixed.len() == before {
            return mixed;
        }
    }
}

/// Two addresses of each host as long as there is room, then the others of the first hosts: a host with many addresses
/// does not keep the next one from its turn.
fn chosen(hosts: Vec<Found>, port: u16) -> Vec<Server> {
    let mut room = limits::SERVERS_TRIED;
    let mut taken: Vec<usize> = hosts
        .iter()
        .map(|found| {
            let count = found.addresses.len().min(limits::ADDRESSES_TRIED).min(room);
            room -= count;
            count
        })
        .collect();
    for (found, taken) in hosts.iter().zip(&mut taken) {
        let more = (found.addresses.len() - *taken).min(room);
        *taken += more;
        room -= more;
    }
    let each = hosts.into_iter().zip(taken);
    each.flat_map(|(Found { preference, host, addresses, signed }, count)| {
        let server = move |ip: IpAddr| Server {
            name: host.to_string(),
            address: SocketAddr::new(ip.to_canonical(), port),
            preference,
            signed: signed.clone(),
        };
        addresses.into_iter().take(count).map(server)
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::base::SeededRandom;

    fn domain(text: &str) -> DomainName {
        text.parse().unwrap()
    }

    /// As in `10 a 192.0.2.1 2001:db8::1`, `10 a nxdomain`, `10 a servfail`, `10 a`.
    fn candidate(text: &str) -> Candidate {
        let mut words = text.split(' ');
        let preference = words.next().unwrap().parse().unwrap();
        let host = domain(&format!("{}.test", words.next().unwrap()));
        let addresses = match words.clone().next() {
            Some("nxdomain") => Err(DnsError::NoSuchName(host.clone())),
            Some("servfail") => Err(DnsError::Temporary(host.clone(), "server failure".into())),
            _ => Ok(words.map(|word| word.parse().unwrap()).collect()),
        };
        Candidate { preference, host, addresses, signed: Signed::default() }
    }

    fn route(candidates: &[&str], seed: u64) -> Result<Vec<Server>, Unroutable> {
        let (hostname, listeners) = (domain("us.test"), ["198.51.100.25:25".parse().unwrap()]);
        let own = Own { hostname: &hostname, listeners: &listeners };
        let candidates = candidates.iter().map(|text| candidate(text)).collect();
        servers(&domain("d.test"), candidates, &own, 25, &Networks::default(), &SeededRandom::new(seed))
    }

    fn check(candidates: &[&str], expected: Result<&[&str], (bool, Enhanced, &str)>) {
        let seen = route(candidates, 1);
        match (&seen, &expected) {
            (Ok(servers), Ok(expected)) => {
                let texts: Vec<String> =
                    servers.iter().map(|server| format!("{} {}", server.name, server.address.ip())).collect();
                assert_eq!(texts, *expected, "{candidates:?}");
            }
            (Err(seen), Err((is_permanent, Enhanced(class, subject, detail), word))) => {
                assert_eq!(seen.is_permanent, *is_permanent, "{candidates:?}: {seen:?}");
                assert_eq!(seen.words.enhanced, Some((*class, *subject, *detail)), "{candidates:?}: {seen:?}");
                assert!(seen.words.text.contains(word), "{candidates:?}: {seen:?}");
            }
            _ => panic!("{candidates:?}: {seen:?} and not {expected:?}"),
        }
    }

    #[test]
    fn servers_come_by_preference_and_families_in_turn() {
        check(&["20 b 192.0.2.2", "10 a 192.0.2.1"], Ok(&["a.test 192.0.2.1", "b.test 192.0.2.2"]));
        check(
            &["10 a 192.0.2.1 192.0.2.2 2001:db8::1 2001:db8::2"],
            Ok(&["a.test 2001:db8::1", "a.test 192.0.2.1", "a.test 2001:db8::2", "a.test 192.0.2.2"]),
        );
        check(&["10 a servfail", "20 b 192.0.2.2"], Ok(&["b.test 192.0.2.2"]));
        check(&["10 a", "20 b nxdomain", "30 c 192.0.2.2"], Ok(&["c.test 192.0.2.2"]));
    }

    #[test]
    fn not_more_are_dialled_than_may_be_and_every_host_has_its_turn() {
        let all = "192.0.2.1 192.0.2.2 192.0.2.3 192.0.2.4 192.0.2.5 192.0.2.6 192.0.2.7";
        let (a, b) = (format!("10 a {all}"), format!("20 b {all}"));
        let seen = route(&[&a], 1).unwrap();
        assert_eq!(seen.len(), limits::SERVERS_TRIED);
        let names = |servers: &[Server]| servers.iter().map(|server| server.name[..1].to_owned()).collect::<String>();
        assert_eq!(names(&route(&[&a, &b], 1).unwrap()), "aaabb");
        assert_eq!(names(&route(&[&a, &b, "30 c 192.0.2.1"], 1).unwrap()), "aabbc");
    }

    #[test]
    fn equal_servers_are_shuffled() {
        let orders: BTreeSet<String> = (0..200)
            .map(|seed| {
                let seen =
                    route(&["10 a 192.0.2.1", "10 b 192.0.2.2", "10 c 192.0.2.3", "20 z 192.0.2.9"], seed).unwrap();
                assert_eq!(seen[3].name, "z.test");
                seen.iter().map(|server| server.name[..1].to_owned()).collect()
            })
            .collect();
        assert_eq!(orders.len(), 6, "{orders:?}");
    }

    #[test]
    fn mail_does_not_come_back_to_us() {
        let looped = Err((true, Enhanced(5, 4, 6), "loop"));
        check(&["10 us 192.0.2.1"], looped);
        check(&["10 a 198.51.100.25"], looped);
        check(&["10 a 192.0.2.1", "20 us 192.0.2.2", "20 b 192.0.2.3", "30 c 192.0.2.4"], Ok(&["a.test 192.0.2.1"]));
        check(&["10 us", "20 a 192.0.2.1"], looped);
        check(&["10 us", "5 a servfail"], Err((false, Enhanced(4, 4, 3), "a.test")));
    }

    #[test]
    fn what_is_not_of_the_public_internet_is_not_dialled() {
        let forbidden = |text| Err((true, Enhanced(5, 4, 4), text));
        check(&["10 a 127.0.0.1"], forbidden("127.0.0.1"));
        check(&["10 a ::ffff:127.0.0.1"], forbidden("public internet"));
        check(&["10 a 127.0.0.1", "20 b 10.0.0.1"], forbidden("127.0.0.1"));
        check(&["10 a 127.0.0.1 192.0.2.1"], Ok(&["a.test 192.0.2.1"]));
        check(&["10 a 127.0.0.1", "20 b servfail"], Err((false, Enhanced(4, 4, 3), "b.test")));
        check(&["10 a 127.0.0.1", "20 b nxdomain"], forbidden("127.0.0.1"));
    }

    #[test]
    fn a_domain_without_servers_is_told_apart_from_one_that_can_not_be_asked_for() {
        check(&[], Err((true, Enhanced(5, 4, 4), "no address")));
        check(&["10 a"], Err((true, Enhanced(5, 4, 4), "no address")));
        check(&["10 a nxdomain", "20 b nxdomain"], Err((true, Enhanced(5, 1, 2), "a.test")));
        check(&["10 a nxdomain", "20 b servfail"], Err((false, Enhanced(4, 4, 3), "b.test")));
    }
}
