use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hickory_resolver::Hosts;
use hickory_resolver::net::{DnsError as Semantic, NetError};
use hickory_resolver::proto::dnssec::{Proof, TrustAnchors};
use hickory_resolver::proto::op::{Query, ResponseCode};
use hickory_resolver::proto::rr::domain::usage::{INVALID, LOCALHOST, ONION};
use hickory_resolver::proto::rr::{Name, Record, RecordType};

use super::answer::{self, DnsError, MailServers};
use super::denials::{Denial, Denials};
use super::proof::{Standing, denied, judged, link, tlsa_bases};
use super::resolver::{absolute, look_up};
use super::verifying::Verifying;
use crate::base::{DomainName, limits};
use crate::tlspolicy::Tlsa;

/// Asks as [`Resolver`](super::Resolver) does, and proves by their signatures that answers are those of who runs the zone:
/// the chain is followed from the root's keys on, here and not by the name servers that are asked (RFC 4035 §4.9 would let
/// them, over a way that nobody can tamper with). What should be signed and can't be proved is no answer.
pub struct Prover {
    inner: Verifying,
    timeout: Duration,
    /// The system's host names, which nobody signs.
    hosts: Hosts,
    spared: Vec<DomainName>,
    denials: Denials,
    health: Mutex<Health>,
    /// Held by who finds out about the health.
    probing: tokio::sync::Mutex<()>,
}

/// The keys that proofs begin with.
#[derive(Clone)]
pub struct Anchors(pub(super) Arc<TrustAnchors>);

/// Where a host is, and whether that is proved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostAnswer {
    /// Its addresses, IPv6 and IPv4; empty when it has none.
    pub addresses: Vec<IpAddr>,
    /// The names below which its TLSA records are looked for, in their order; none where that is not proved.
    // RFC 7672 §2.2.2
    pub bases: Vec<DomainName>,
}

/// When the name servers were last asked for something that is signed, and when that was last proved.
#[derive(Default, Clone, Copy)]
struct Health {
    asked: Option<Instant>,
    proved: Option<Instant>,
}

/// What was found. What was not proved is not here, unless it is proved that nobody signs it.
enum Found {
    Answer { records: Vec<Record>, standing: Standing },
    Nothing { is_secure: bool },
}

/// Why nothing was.
enum Missing {
    NoSuchName,
    /// It should be signed, and is not, or wrongly.
    Unproved,
    /// There is no answer, and why.
    Temporary(String),
}

impl Anchors {
    /// The keys of the public DNS's root, which are part of the program.
    pub fn root() -> Self {
        Self(Arc::new(TrustAnchors::default()))
    }

    /// Reads DNSKEY records in the form of a zone file, as in `. IN DNSKEY 257 3 8 AwEAA…`.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn read(text: &str) -> Result<Self, String> {
        let anchors: TrustAnchors = text.parse().map_err(|error| format!("no DNSKEY records: {error}"))?;
        if anchors.is_empty() { Err("no DNSKEY record of the root".to_owned()) } else { Ok(Self(Arc::new(anchors))) }
    }
}

impl Health {
    /// Whether it is time to find out.
    fn is_due(self) -> bool {
        is_over(self.asked, limits::DNSSEC_PROBE_S)
    }

    fn is_able(self) -> bool {
        !is_over(self.proved, limits::DNSSEC_ABLE_S)
    }
}

fn is_over(at: Option<Instant>, seconds: u64) -> bool {
    at.is_none_or(|at| at.elapsed() >= Duration::from_secs(seconds))
}

impl Prover {
    /// As [`Resolver::new`](super::Resolver::new). `spared`: domains of which nobody need prove anything.
    ///
    /// # Errors
    /// Why there can be none.
    pub fn new(
        servers: &[SocketAddr],
        timeout: Duration,
        anchors: &Anchors,
        spared: Vec<DomainName>,
    ) -> Result<Self, String> {
        let hosts = if servers.is_empty() { Hosts::from_system().unwrap_or_default() } else { Hosts::default() };
        let inner = Verifying::new(servers, timeout, anchors)?;
        let (denials, health, probing) = (Denials::default(), Mutex::default(), tokio::sync::Mutex::default());
        Ok(Self { inner, timeout, hosts, spared, denials, health, probing })
    }

    /// Whether an operator says that nothing is proved of that domain: a negative trust anchor.
    // RFC 7646 §2: it is for what is below, too
    pub fn spares(&self, domain: &DomainName) -> bool {
        let is_below = |spared: &DomainName| {
            let above = domain.as_str().strip_suffix(spared.as_str());
            above.is_some_and(|above| above.is_empty() || above.ends_with('.'))
        };
        self.spared.iter().any(is_below)
    }

    /// Whether the name servers pass on what a proof takes: they gave the root's signed SOA record, and the signed word that
    /// it has no MX record, within the last [`limits::DNSSEC_ABLE_S`]. Who gives these and holds back the signatures of
    /// others later does not get around them.
    pub async fn is_able(&self) -> bool {
        let is_first = self.health().asked.is_none();
        // One question does for all, and only at first all wait for its answer.
        let probing = if is_first { Some(self.probing.lock().await) } else { self.probing.try_lock().ok() };
        if probing.is_some() && self.health().is_due() {
            self.probe().await;
        }
        drop(probing);
        self.health().is_able()
    }

    fn health(&self) -> Health {
        *self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn probe(&self) {
        let before = self.health();
        let patience = self.timeout.min(Duration::from_secs(limits::DNSSEC_PROBE_ANSWER_S));
        // No answer at all: what is asked next says so, and the mail waits for that.
        let is_proved = tokio::time::timeout(patience, self.proves_root()).await.unwrap_or(false);
        let now = Some(Instant::now());
        let proved = if is_proved { now } else { before.proved };
        *self.health.lock().unwrap_or_else(PoisonError::into_inner) = Health { asked: now, proved };
        if is_proved {
            return;
        }
        if before.is_able() {
            tracing::error!(
                event = "dnssec_lost",
                "the name servers pass on no signatures any more: mail waits where they are missing"
            );
        } else if before.asked.is_none() {
            tracing::warn!(
                event = "dnssec_none",
                "the name servers pass on no signatures of the root: mail is sent without DANE"
            );
        }
    }

    /// Whether it is proved what the root has, and what it has not: without the latter nobody can know what is unsigned.
    async fn proves_root(&self) -> bool {
        let (root, resolver) = (Name::root(), self.inner.get());
        let answer = look_up(&resolver, &root, RecordType::SOA, self.timeout).await;
        if !answer.is_ok_and(|lookup| judged(&root, RecordType::SOA, lookup.answers()) == Some(Standing::Secure)) {
            return false;
        }
        match look_up(&resolver, &root, RecordType::MX, self.timeout).await {
            Err(NetError::Dns(Semantic::NoRecordsFound(nothing))) => denied(&nothing) == Some(true),
            _ => false,
        }
    }

    /// Who takes mail for `domain`, and whether that is proved. A CNAME is followed.
    ///
    /// # Errors
    /// [`DnsError`].
    pub async fn mail_servers(&self, domain: &DomainName) -> Result<(MailServers, bool), DnsError> {
        let name = absolute(domain)?;
        Ok(match self.ask(domain, &name, RecordType::MX).await? {
            Found::Answer { records, standing } => {
                (answer::mail_servers(&name, &records), standing == Standing::Secure)
            }
            Found::Nothing { is_secure } => (MailServers::Implicit, is_secure),
        })
    }

    /// Where a host is.
    ///
    /// # Errors
    /// [`DnsError`]; none when addresses of one of the two kinds were found.
    pub async fn host(&self, host: &DomainName) -> Result<HostAnswer, DnsError> {
        let name = absolute(host)?;
        let (v6, v4) = tokio::join!(self.ask(host, &name, RecordType::AAAA), self.ask(host, &name, RecordType::A));
        let (mut addresses, mut bases, mut failed) = (Vec::new(), None::<Vec<DomainName>>, None);
        for answer in [v6, v4] {
            match answer {
                Ok(Found::Answer { records, standing }) => {
                    addresses.extend(answer::addresses(&name, &records));
                    let of_answer = tlsa_bases(host, &name, &records, standing);
                    // Those that hold for both kinds.
                    bases = Some(match bases {
                        Some(bases) => bases.into_iter().filter(|base| of_answer.contains(base)).collect(),
                        None => of_answer,
                    });
                }
                Ok(Found::Nothing { .. }) => {}
                // As of the other resolver: to be asked again goes before gone for good.
                Err(error @ DnsError::Temporary(..)) => failed = Some(error),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        match failed {
            Some(error) if addresses.is_empty() => Err(error),
            _ => Ok(HostAnswer { addresses, bases: bases.unwrap_or_default() }),
        }
    }

    /// The TLSA records of the mail server at `base`, each that nobody can go by as `None`; none where that there are none,
    /// or that nobody signs them, is proved.
    ///
    /// # Errors
    /// [`DnsError::Temporary`]: whether there are any can't be known now.
    // RFC 7672 §2.2
    pub async fn tlsa(&self, base: &DomainName, port: u16) -> Result<Vec<Option<Tlsa>>, DnsError> {
        // RFC 6698 §3; what is too long for a name has none.
        let Ok(name) = Name::from_ascii(format!("_{port}._tcp.{base}.")) else { return Ok(Vec::new()) };
        match self.ask(base, &name, RecordType::TLSA).await {
            Ok(Found::Answer { records, standing: Standing::Secure }) => Ok(answer::tlsa(&name, &records)),
            Ok(Found::Answer { .. } | Found::Nothing { .. }) | Err(DnsError::NoSuchName(_)) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    async fn ask(&self, asked: &DomainName, name: &Name, kind: RecordType) -> Result<Found, DnsError> {
        if let Some(lookup) = self.hosts.lookup_static_host(&Query::query(name.clone(), kind)) {
            return Ok(Found::Answer { records: lookup.answers().to_vec(), standing: Standing::Insecure });
        }
        let found = match self.whole(name, kind).await {
            Err(Missing::Unproved) => {
                let linked = tokio::time::timeout(self.timeout, self.linked(name, kind)).await;
                linked.unwrap_or(Err(Missing::Unproved))
            }
            found => found,
        };
        found.map_err(|missing| match missing {
            Missing::NoSuchName => DnsError::NoSuchName(asked.clone()),
            Missing::Unproved => {
                let what = format!("what DNSSEC says of the {kind} records can't be proved");
                DnsError::Temporary(asked.clone(), what)
            }
            Missing::Temporary(what) => DnsError::Temporary(asked.clone(), what),
        })
    }

    /// What the name servers answer, with all that it is by way of.
    async fn whole(&self, name: &Name, kind: RecordType) -> Result<Found, Missing> {
        let is_nothing = |Denial { is_of_name, is_secure }: Denial| match is_of_name {
            true => Err(Missing::NoSuchName),
            false => Ok(Found::Nothing { is_secure }),
        };
        if let Some(denial) = self.denials.get(name, kind) {
            return is_nothing(denial);
        }
        // RFC 6761 §6: these are answered without asking.
        let is_own = [&LOCALHOST, &INVALID, &ONION].into_iter().any(|usage| usage.zone_of(name));
        let (code, is_secure, authorities) = match look_up(&self.inner.get(), name, kind, self.timeout).await {
            Ok(lookup) => {
                let records = lookup.answers().to_vec();
                let standing = if is_own { Some(Standing::Insecure) } else { judged(name, kind, &records) };
                return standing.map(|standing| Found::Answer { records, standing }).ok_or(Missing::Unproved);
            }
            // Of a chain that it has followed by itself, the library says how its end stands and nothing of its links.
            Err(NetError::Dns(Semantic::NoRecordsFound(nothing))) if nothing.query.name() != name => {
                return Err(Missing::Unproved);
            }
            Err(NetError::Dns(Semantic::Nsec { query, .. })) if query.name() != name => return Err(Missing::Unproved),
            Err(NetError::Dns(Semantic::NoRecordsFound(nothing))) => {
                let is_secure = if is_own { Some(false) } else { denied(&nothing) };
                (nothing.response_code, is_secure, nothing.authorities.as_deref().unwrap_or_default().to_vec())
            }
            // RFC 5155 §12.1.1: an opt-out says of unsigned delegations neither that they are nor that they are not
            Err(NetError::Dns(Semantic::Nsec { response, proof: Proof::Insecure, .. })) => {
                (response.response_code, Some(false), response.authorities.clone())
            }
            Err(NetError::Dns(Semantic::Nsec { .. } | Semantic::DnssecBogus)) => return Err(Missing::Unproved),
            Err(error) => return Err(Missing::Temporary(error.to_string())),
        };
        let is_of_name = match code {
            ResponseCode::NXDomain => true,
            ResponseCode::NoError => false,
            code => return Err(Missing::Temporary(code.to_string())),
        };
        let denial = Denial { is_of_name, is_secure: is_secure.ok_or(Missing::Unproved)? };
        self.denials.put(name, kind, denial, &authorities);
        is_nothing(denial)
    }

    /// The same, with each link of the chain asked for by itself: the library takes a chain for bogus of which a link is by
    /// a DNAME record, or at whose end there is nothing.
    async fn linked(&self, name: &Name, kind: RecordType) -> Result<Found, Missing> {
        let (mut at, mut links, mut questions) = (name.clone(), Vec::new(), limits::DNSSEC_LINK_QUESTIONS);
        while links.len() < limits::CNAME_LINKS {
            let next = self.link(&at, &mut questions).await.ok_or(Missing::Unproved)?;
            at = answer::target(&next).ok_or(Missing::Unproved)?;
            links.push(next);
            match self.whole(&at, kind).await {
                Err(Missing::Unproved) => {}
                Ok(Found::Answer { records, .. }) => {
                    links.extend(records);
                    let standing = judged(name, kind, &links).ok_or(Missing::Unproved)?;
                    return Ok(Found::Answer { records: links, standing });
                }
                Ok(Found::Nothing { is_secure }) => {
                    let is_secure = is_secure && links.iter().all(|link| link.proof.is_secure());
                    return Ok(Found::Nothing { is_secure });
                }
                missing => return missing,
            }
        }
        Err(Missing::Unproved)
    }

    /// The name's CNAME record, if it has one that is proved, or that nobody signs.
    async fn link(&self, name: &Name, questions: &mut usize) -> Option<Record> {
        let above = std::iter::successors(Some(name.base_name()), |name| Some(name.base_name()));
        let above = above.take_while(|name| !name.is_root()).map(|name| (name, RecordType::DNAME));
        for (owner, kind) in std::iter::once((name.clone(), RecordType::CNAME)).chain(above) {
            *questions = questions.checked_sub(1)?;
            let Ok(lookup) = look_up(&self.inner.get(), &owner, kind, self.timeout).await else { continue };
            if let Some(link) = lookup.answers().iter().find_map(|record| link(name, record)) {
                return Some(link);
            }
        }
        None
    }
}

impl std::fmt::Debug for Prover {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Prover").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_name_server_that_says_nothing_does_not_hold_up_the_first_mail() {
        let silent = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let servers = [silent.local_addr().unwrap()];
        let hour = Duration::from_secs(3600);
        let prover = Prover::new(&servers, hour, &Anchors::root(), Vec::new()).unwrap();
        assert_eq!(tokio::time::timeout(hour / 60, prover.is_able()).await, Ok(false));
    }

    // RFC 7646 §2
    #[tokio::test]
    async fn what_is_below_a_spared_domain_is_spared() {
        let spared = ["lan", "corp.example.com"].map(|name| name.parse().unwrap()).to_vec();
        let server = "127.0.0.1:1".parse().unwrap();
        let prover = Prover::new(&[server], Duration::from_secs(1), &Anchors::root(), spared).unwrap();
        for (name, is_spared) in [
            ("lan", true),
            ("mail.lan", true),
            ("corp.example.com", true),
            ("a.b.corp.example.com", true),
            ("example.com", false),
            ("notcorp.example.com", false),
            ("island", false),
            ("corp.example.com.test", false),
        ] {
            assert_eq!(prover.spares(&name.parse().unwrap()), is_spared, "{name}");
        }
    }
}
