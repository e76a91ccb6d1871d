use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig};
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError as Semantic, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, Record, RecordType};
use hickory_resolver::{ResolverBuilder, TokioResolver};
use rustls::{ClientConfig, RootCertStore};

use super::answer::{self, DnsError, MailServers};
use crate::base::{DomainName, limits};
use crate::telemetry::metrics;

/// Attempts that the time for one question is divided by: the first, and two more.
const TRIES: u32 = 3;

/// Asks the system's name servers, or those that were named: by UDP, and by TCP what does not fit. Its clones remember
/// together.
#[derive(Clone)]
pub struct Resolver {
    inner: TokioResolver,
    timeout: Duration,
}

/// What was found, or why nothing was.
enum Found {
    Answer(Lookup),
    /// The name exists, and has no such record.
    Nothing,
}

impl Resolver {
    /// A resolver that asks `servers`; the system's, as in /etc/resolv.conf, when it is empty. `timeout` is for one
    /// question with all its repetitions.
    ///
    /// # Errors
    /// Why there can be none.
    pub fn new(servers: &[SocketAddr], timeout: Duration) -> Result<Self, String> {
        let mut builder = builder(servers, timeout)?;
        // Named servers are all that is asked; a system's host names also stand in /etc/hosts.
        let hosts = if servers.is_empty() { ResolveHosts::Always } else { ResolveHosts::Never };
        builder.options_mut().use_hosts_file = hosts;
        Ok(Self { inner: builder.build().map_err(|error| error.to_string())?, timeout })
    }

    /// Who takes mail for `domain`. A CNAME is followed.
    ///
    /// # Errors
    /// [`DnsError`].
    pub async fn mail_servers(&self, domain: &DomainName) -> Result<MailServers, DnsError> {
        let name = absolute(domain)?;
        Ok(match self.ask(domain, &name, RecordType::MX).await? {
            Found::Answer(lookup) => answer::mail_servers(&name, lookup.answers()),
            Found::Nothing => MailServers::Implicit,
        })
    }

    /// The addresses of a host, IPv6 and IPv4; empty when the name has none.
    ///
    /// # Errors
    /// [`DnsError`]; none when one of the two kinds was found.
    pub async fn addresses(&self, host: &DomainName) -> Result<Vec<IpAddr>, DnsError> {
        let name = absolute(host)?;
        let (v6, v4) = tokio::join!(self.ask(host, &name, RecordType::AAAA), self.ask(host, &name, RecordType::A));
        let mut found = Vec::new();
        let mut failed = None;
        for answer in [v6, v4] {
            match answer {
                Ok(Found::Answer(lookup)) => found.extend(answer::addresses(&name, lookup.answers())),
                Ok(Found::Nothing) => {}
                // A name server that fails to answer one of them may be lying by saying of the other that there is no
                // such name: to be asked again goes before gone for good.
                Err(error @ DnsError::Temporary(..)) => failed = Some(error),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        match failed {
            Some(error) if found.is_empty() => Err(error),
            _ => Ok(found),
        }
    }

    /// Asks anew for who takes mail for `domain`, when that is asked next.
    pub fn forget_mail_servers(&self, domain: &DomainName) {
        if let Ok(name) = absolute(domain) {
            self.inner.clear_lookup_cache(name, RecordType::MX);
        }
    }

    /// Asks anew for the addresses of a host, when they are asked for next.
    pub fn forget_addresses(&self, host: &DomainName) {
        if let Ok(name) = absolute(host) {
            self.inner.clear_lookup_cache(name.clone(), RecordType::AAAA);
            self.inner.clear_lookup_cache(name, RecordType::A);
        }
    }

    /// The texts of the TXT records at `name`, which is `domain` or below it; none where there is no such name. A CNAME is
    /// followed. `fresh`: not what was answered before.
    ///
    /// # Errors
    /// [`DnsError`].
    pub async fn texts(&self, name: &str, domain: &DomainName, fresh: bool) -> Result<Vec<String>, DnsError> {
        let name = Name::from_ascii(format!("{name}.")).map_err(|_| DnsError::NoSuchName(domain.clone()))?;
        if fresh {
            self.inner.clear_lookup_cache(name.clone(), RecordType::TXT);
        }
        match self.ask(domain, &name, RecordType::TXT).await {
            Ok(Found::Answer(lookup)) => Ok(answer::texts(&name, lookup.answers())),
            Ok(Found::Nothing) | Err(DnsError::NoSuchName(_)) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// The records of an answer, of whatever name they are; `None`: there is no answer.
    pub(super) async fn records(&self, name: &Name, kind: RecordType) -> Option<Vec<Record>> {
        // Which name it was is for nobody to read.
        let asked = DomainName::parse("localhost").ok()?;
        match self.ask(&asked, name, kind).await {
            Ok(Found::Answer(lookup)) => Some(lookup.answers().to_vec()),
            Ok(Found::Nothing) | Err(DnsError::NoSuchName(_)) => Some(Vec::new()),
            Err(DnsError::Temporary(..)) => None,
        }
    }

    pub(super) fn inner(&self) -> &TokioResolver {
        &self.inner
    }

    async fn ask(&self, asked: &DomainName, name: &Name, kind: RecordType) -> Result<Found, DnsError> {
        match look_up(&self.inner, name, kind, self.timeout).await {
            Ok(lookup) => Ok(Found::Answer(lookup)),
            Err(NetError::Dns(Semantic::NoRecordsFound(nothing))) => match nothing.response_code {
                ResponseCode::NXDomain => Err(DnsError::NoSuchName(asked.clone())),
                ResponseCode::NoError => Ok(Found::Nothing),
                code => Err(DnsError::Temporary(asked.clone(), code.to_string())),
            },
            Err(error) => Err(DnsError::Temporary(asked.clone(), error.to_string())),
        }
    }
}

impl std::fmt::Debug for Resolver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Resolver").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

/// What asks `servers`, or the system's where there are none.
pub(super) fn builder(
    servers: &[SocketAddr],
    timeout: Duration,
) -> Result<ResolverBuilder<TokioRuntimeProvider>, String> {
    let named = || {
        // As the C library does where nothing is configured.
        let local = [SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 53)];
        let servers = if servers.is_empty() { &local } else { servers };
        let config = ResolverConfig::from_name_servers(servers.iter().copied().map(name_server).collect());
        TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
    };
    let mut builder = if servers.is_empty() {
        TokioResolver::builder_tokio().unwrap_or_else(|error| {
            tracing::warn!(%error, "/etc/resolv.conf names no name server: asking 127.0.0.1");
            named()
        })
    } else {
        named()
    };
    let options = builder.options_mut();
    options.timeout = timeout / TRIES;
    options.attempts = TRIES as usize - 1;
    options.cache_size = limits::DNS_CACHE_ANSWERS;
    options.positive_max_ttl = Some(Duration::from_secs(limits::DNS_TTL_S));
    options.negative_max_ttl = Some(Duration::from_secs(limits::DNS_NEGATIVE_TTL_S));
    options.try_tcp_on_error = true;
    Ok(builder.with_tls_config(no_tls()?))
}

/// Asks for so long at most, and counts it.
pub(super) async fn look_up(
    inner: &TokioResolver,
    name: &Name,
    kind: RecordType,
    within: Duration,
) -> Result<Lookup, NetError> {
    let begin = Instant::now();
    let answer = match tokio::time::timeout(within, inner.lookup(name.clone(), kind)).await {
        Ok(answer) => answer,
        Err(_) => Err(NetError::Timeout),
    };
    let outcome = match &answer {
        Ok(_) => "found",
        Err(NetError::Dns(Semantic::NoRecordsFound(_) | Semantic::Nsec { .. })) => "nothing",
        Err(_) => "failed",
    };
    metrics().looked_up(outcome, begin.elapsed());
    if let Ok(lookup) = &answer {
        let records = lookup.answers().len() + lookup.authorities().len() + lookup.additionals().len();
        if records > limits::DNS_CACHED_RECORDS {
            // The cache counts answers and not octets.
            inner.clear_lookup_cache(name.clone(), kind);
        }
    }
    answer
}

/// Name servers are asked in the clear. Left to itself, the library looks for the system's authorities all the same, and
/// refuses to work in a container that has none.
fn no_tls() -> Result<ClientConfig, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.map_err(|error| error.to_string())?;
    Ok(config.with_root_certificates(RootCertStore::empty()).with_no_client_auth())
}

fn name_server(address: SocketAddr) -> NameServerConfig {
    let (mut udp, mut tcp) = (ConnectionConfig::udp(), ConnectionConfig::tcp());
    (udp.port, tcp.port) = (address.port(), address.port());
    NameServerConfig::new(address.ip(), true, vec![udp, tcp])
}

/// Never completed by the system's search list.
pub(super) fn absolute(domain: &DomainName) -> Result<Name, DnsError> {
    Name::from_ascii(format!("{domain}.")).map_err(|_| DnsError::NoSuchName(domain.clone()))
}

#[cfg(test)]
mod tests {
    use super::super::scripted::{Answer, Scripted};
    use super::*;

    fn domain(text: &str) -> DomainName {
        text.parse().unwrap()
    }

    async fn resolver(zone: &[(&str, Answer)]) -> (Resolver, Scripted) {
        let scripted = Scripted::start(zone).await;
        (Resolver::new(&[scripted.address()], Duration::from_millis(900)).unwrap(), scripted)
    }

    async fn check(zone: &[(&str, Answer)], expected: Result<MailServers, &str>) {
        let (resolver, _server) = resolver(zone).await;
        let seen = resolver.mail_servers(&domain("d.test")).await;
        match (&seen, &expected) {
            (Ok(seen), Ok(expected)) => assert_eq!(seen, expected, "{zone:?}"),
            (Err(error), Err(word)) => assert!(error.to_string().contains(word), "{zone:?}: {error}"),
            _ => panic!("{zone:?}: {seen:?} and not {expected:?}"),
        }
    }

    #[tokio::test]
    async fn a_domain_s_servers_are_what_the_dns_says() {
        let mx = |servers: &[(u16, &str)]| {
            Ok(MailServers::Mx(servers.iter().map(|(preference, host)| (*preference, domain(host))).collect()))
        };
        check(&[("MX d.test", Answer::mx(&[(20, "b.test"), (10, "a.test")]))], mx(&[(10, "a.test"), (20, "b.test")]))
            .await;
        check(&[("MX d.test", Answer::mx(&[(0, "")]))], Ok(MailServers::Null)).await;
        check(&[("MX d.test", Answer::Nothing)], Ok(MailServers::Implicit)).await;
        check(&[("MX d.test", Answer::Code(3))], Err("does not exist")).await;
        check(&[("MX d.test", Answer::Code(2))], Err("no answer")).await;
        check(&[("MX d.test", Answer::Code(5))], Err("no answer")).await;
        check(&[("MX d.test", Answer::Silence)], Err("no answer")).await;
        check(&[("MX d.test", Answer::Garbage)], Err("no answer")).await;
        check(
            &[("MX d.test", Answer::cname("e.test")), ("MX e.test", Answer::mx(&[(1, "a.test")]))],
            mx(&[(1, "a.test")]),
        )
        .await;
        check(&[("MX d.test", Answer::cname("d.test"))], Ok(MailServers::Implicit)).await;
    }

    #[tokio::test]
    async fn what_does_not_fit_a_datagram_comes_by_tcp() {
        let many: Vec<(u16, String)> = (0..800).map(|n| (n, format!("mx-{n:04}.hosts.d.test"))).collect();
        let many: Vec<(u16, &str)> = many.iter().map(|(n, host)| (*n, host.as_str())).collect();
        let (resolver, server) = resolver(&[("MX d.test", Answer::mx(&many))]).await;
        let MailServers::Mx(seen) = resolver.mail_servers(&domain("d.test")).await.unwrap() else { panic!("no MX") };
        assert_eq!((seen.len(), seen[0].1.as_str()), (limits::MX_RECORDS, "mx-0000.hosts.d.test"));
        assert!(server.asked_by_tcp() >= 1);
    }

    #[tokio::test]
    async fn an_answer_is_remembered_and_a_large_one_is_not() {
        let (resolver, server) = resolver(&[("MX d.test", Answer::mx(&[(1, "a.test")]))]).await;
        for _ in 0..3 {
            resolver.mail_servers(&domain("d.test")).await.unwrap();
        }
        assert_eq!(server.asked(), 1);
        let large: Vec<(u16, String)> = (0..200).map(|n| (n, format!("a{n}.test"))).collect();
        let large: Vec<(u16, &str)> = large.iter().map(|(n, host)| (*n, host.as_str())).collect();
        server.set("MX d.test", Answer::mx(&large));
        server.set("MX e.test", Answer::mx(&large));
        for turn in 1..=2 {
            let before = server.asked();
            resolver.mail_servers(&domain("e.test")).await.unwrap();
            assert!(server.asked() > before, "turn {turn}");
        }
    }

    #[tokio::test]
    async fn texts_are_read_and_asked_for_anew() {
        let name = "s1._domainkey.d.test";
        let long = format!("v=DKIM1; p={}", "A".repeat(392));
        let (resolver, server) = resolver(&[(&format!("TXT {name}"), Answer::Txt(vec!["first".into()]))]).await;
        let ask = async |fresh| resolver.texts(name, &domain("d.test"), fresh).await.map_err(|error| error.to_string());
        assert_eq!(ask(false).await, Ok(vec!["first".into()]));
        server.set(&format!("TXT {name}"), Answer::Txt(vec![long.clone(), "second".into()]));
        assert_eq!(ask(false).await, Ok(vec!["first".into()]), "it is remembered");
        let mut seen = ask(true).await.unwrap();
        seen.sort();
        assert_eq!(seen, ["second".into(), long]);
        server.set(&format!("TXT {name}"), Answer::Nothing);
        assert_eq!(ask(true).await, Ok(Vec::new()));
        server.set(&format!("TXT {name}"), Answer::Code(2));
        assert!(ask(true).await.unwrap_err().contains("no answer"));
    }

    #[tokio::test]
    async fn a_host_has_addresses_of_both_kinds_or_one() {
        let v6 = Answer::Aaaa(vec!["2001:db8::1".parse().unwrap()]);
        let v4 = Answer::A(vec!["192.0.2.1".parse().unwrap()]);
        let check = async |zone: &[(&str, Answer)], expected: Result<&[&str], &str>| {
            let (resolver, _server) = resolver(zone).await;
            let seen = resolver.addresses(&domain("h.test")).await;
            match (&seen, expected) {
                (Ok(seen), Ok(expected)) => {
                    let texts: Vec<String> = seen.iter().map(ToString::to_string).collect();
                    assert_eq!(texts, expected, "{zone:?}");
                }
                (Err(error), Err(word)) => assert!(error.to_string().contains(word), "{zone:?}: {error}"),
                _ => panic!("{zone:?}: {seen:?} and not {expected:?}"),
            }
        };
        check(&[("AAAA h.test", v6.clone()), ("A h.test", v4.clone())], Ok(&["2001:db8::1", "192.0.2.1"])).await;
        check(&[("AAAA h.test", Answer::Nothing), ("A h.test", v4.clone())], Ok(&["192.0.2.1"])).await;
        check(&[("AAAA h.test", Answer::Code(2)), ("A h.test", v4.clone())], Ok(&["192.0.2.1"])).await;
        check(&[("AAAA h.test", Answer::Nothing), ("A h.test", Answer::Nothing)], Ok(&[])).await;
        check(&[("AAAA h.test", Answer::Code(3)), ("A h.test", Answer::Code(3))], Err("does not exist")).await;
        check(&[("AAAA h.test", Answer::Code(3)), ("A h.test", Answer::Code(2))], Err("no answer")).await;
        check(
            &[("AAAA h.test", Answer::Nothing), ("A h.test", Answer::cname("i.test")), ("A i.test", v4)],
            Ok(&["192.0.2.1"]),
        )
        .await;
    }
}
