use super::Context;
use super::dane::Dane;
use super::servers::Server;
use super::sts::{self, Unknown};
use super::way::{To, Way};
use crate::base::{DomainName, Enhanced, Host, TlsWish};
use crate::queue::Words;
use crate::tlspolicy::{Mode, StsPolicy};

/// What is asked of TLS at a destination's servers, beyond what is done where it is offered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Demand {
    /// Nothing: also without TLS, or with any certificate (RFC 7435).
    Nothing,
    /// By the domain's MTA-STS policy: a server that it names, with a certificate that a CA vouches for.
    Sts(DomainName, StsPolicy),
    /// By the message's sender: a server that is proved to be one of the domain's, and asks the same of the next.
    RequireTls(Proof),
}

/// What proves that a server is one of the destination's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Proof {
    /// An administrator has named it.
    Route,
    /// The domain's MTA-STS policy names it; without one, it is called as the domain is.
    Sts(DomainName, Option<StsPolicy>),
    /// It would be that, and the policy can't be had at the moment.
    Unknown(DomainName),
}

impl Demand {
    /// What the sender asks, else the domain whose servers the DNS names. An administrator's route says itself what is
    /// asked there.
    // RFC 8461 §8.1: a policy is for who finds the servers by MX; RFC 8689 §4.2.2: and not for who waives it
    pub(super) async fn of(context: &Context, way: &Way) -> Self {
        match (&way.to, way.tls) {
            (To::Mx(Host::Name(domain)), TlsWish::Policy) => match sts::policy(context, domain).await {
                Ok(Some(policy)) => Self::Sts(domain.clone(), policy),
                Ok(None) | Err(Unknown) => Self::Nothing,
            },
            (To::Mx(Host::Name(domain)), TlsWish::Required) => {
                Self::RequireTls(match sts::policy(context, domain).await {
                    Ok(policy) => Proof::Sts(domain.clone(), policy),
                    Err(Unknown) => Proof::Unknown(domain.clone()),
                })
            }
            (_, TlsWish::Required) => Self::RequireTls(Proof::Route),
            (_, TlsWish::Policy | TlsWish::Optional) => Self::Nothing,
        }
    }

    /// Whether a server's certificate must be vouched for by a CA.
    pub(super) fn is_verified(&self) -> bool {
        match self {
            Self::Nothing => false,
            Self::Sts(_, policy) => policy.mode == Mode::Enforce,
            Self::RequireTls(_) => true,
        }
    }

    /// Whether a server must have REQUIRETLS.
    pub(super) fn requires_tls(&self) -> bool {
        matches!(self, Self::RequireTls(_))
    }

    /// For the record of an attempt at a server of which that is published.
    // RFC 8461 §2: MTA-STS does not override DANE
    pub(super) fn name(&self, dane: Option<&Dane>) -> Option<&'static str> {
        match (self, dane) {
            (Self::RequireTls(_), _) => Some("requiretls"),
            (_, Some(dane @ Dane::Published(_))) => Some(dane.name()),
            (Self::Sts(_, policy), _) if policy.mode == Mode::Enforce => Some("mta-sts"),
            (_, Some(dane)) => Some(dane.name()),
            (Self::Sts(..), None) => Some("mta-sts testing"),
            (Self::Nothing, None) => None,
        }
    }

    /// The servers that may have the mail.
    ///
    /// # Errors
    /// For the sender and the operator, where there is none.
    pub(super) fn admitted(&self, servers: Vec<Server>) -> Result<Vec<Server>, Words> {
        let first = servers.first().map(|server| server.name.clone()).unwrap_or_default();
        let none = match self {
            // RFC 8461 §4.1, §5: none is tried that the policy does not name. RFC 3463 §3.8: 4.7.0, other or undefined
            // security status
            Self::Sts(domain, policy) if policy.mode == Mode::Enforce => {
                let is_published = |server: &Server| matches!(server.signed.dane, Some(Dane::Published(_)));
                let admitted = named(servers, |server| policy.names(&server.name) || is_published(server));
                let text = format!("the MTA-STS policy of {domain} names none of the servers in the DNS, as {first}");
                return admitted.ok_or_else(|| Words::own(Enhanced(4, 7, 0), text));
            }
            Self::Nothing | Self::Sts(..) | Self::RequireTls(Proof::Route) => return Ok(servers),
            Self::RequireTls(Proof::Unknown(domain)) => {
                let text = format!("REQUIRETLS: the MTA-STS policy of {domain} can't be fetched");
                let admitted = named(servers, |server| server.signed.is_named);
                return admitted.ok_or_else(|| Words::own(Enhanced(4, 7, 0), text));
            }
            // RFC 8689 §4.2.1: the name of a server that an MX record gives is validated, by DNSSEC or by MTA-STS
            Self::RequireTls(Proof::Sts(domain, policy)) => {
                let is_of_policy = |name: &str| policy.as_ref().is_some_and(|policy| policy.names(name));
                let is_good = |Server { name, signed, .. }: &Server| {
                    signed.is_named || is_of_policy(name) || name == domain.as_str()
                };
                named(servers, is_good).ok_or(domain)
            }
        };
        // RFC 8689 §4.2.1: encryption needed
        none.map_err(|domain| {
            let text =
                format!("REQUIRETLS: nothing proves that {first} is a server of {domain}: neither MTA-STS nor DNSSEC");
            Words::own(Enhanced(5, 7, 10), text)
        })
    }

    /// Says for which policy's sake a server got nothing.
    pub(super) fn explain(&self, server: &Server, words: Words) -> Words {
        let words = match &server.signed.dane {
            Some(dane @ Dane::Published(_)) => dane.explain(words),
            Some(dane) if !self.is_verified() => dane.explain(words),
            _ => words,
        };
        match self {
            Self::Sts(..) if matches!(server.signed.dane, Some(Dane::Published(_))) => words,
            Self::Sts(domain, policy) if policy.mode == Mode::Enforce => {
                Words { text: format!("by the MTA-STS policy of {domain}: {}", words.text), ..words }
            }
            Self::RequireTls(_) => {
                // RFC 8689 §4.2.1: there is no TLS to be had. A handshake that fails may do better another time.
                let is_without = words.code.is_none() && words.enhanced == Some((4, 7, 4));
                let enhanced = if is_without { Some((5, 7, 10)) } else { words.enhanced };
                Words { text: format!("REQUIRETLS: {}", words.text), enhanced, ..words }
            }
            Self::Sts(..) | Self::Nothing => words,
        }
    }
}

/// The servers that are good, where there is one.
fn named(servers: Vec<Server>, is_good: impl Fn(&Server) -> bool) -> Option<Vec<Server>> {
    let good: Vec<Server> = servers.into_iter().filter(is_good).collect();
    (!good.is_empty()).then_some(good)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::dane::Signed;
    use super::*;
    use crate::tls::Published;
    use crate::tlspolicy::Tlsa;

    fn sts(mode: &str) -> Demand {
        let text = format!("version: STSv1\nmode: {mode}\nmx: *.d.test\nmax_age: 60\n");
        Demand::Sts("d.test".parse().unwrap(), StsPolicy::read(text.as_bytes()).unwrap())
    }

    fn required(mode: Option<&str>) -> Demand {
        let policy = mode.map(|mode| match sts(mode) {
            Demand::Sts(_, policy) => policy,
            _ => unreachable!(),
        });
        Demand::RequireTls(Proof::Sts("d.test".parse().unwrap(), policy))
    }

    /// As in `mx.test`, `mx.test signed`, `mx.test dane`, `mx.test unusable`.
    fn server(text: &str) -> Server {
        let (name, signed) = text.split_once(' ').unwrap_or((text, ""));
        let base: DomainName = name.parse().unwrap();
        let dane = match signed {
            "dane" => {
                let records = vec![Tlsa::read(3, 1, 1, &[1; 32]).unwrap()];
                Some(Dane::Published(Arc::new(Published { base, names: Vec::new(), records })))
            }
            "unusable" => Some(Dane::Unusable(base)),
            _ => None,
        };
        let signed = Signed { is_named: !signed.is_empty(), dane };
        Server { name: name.to_owned(), address: "192.0.2.1:25".parse().unwrap(), preference: 10, signed }
    }

    /// A refusal is expected as in `4.7.0 a part of the text`.
    fn check(demand: &Demand, servers: &[&str], expected: Result<&[&str], &str>) {
        let seen = demand.admitted(servers.iter().map(|text| server(text)).collect());
        let seen = seen.map(|servers| servers.into_iter().map(|server| server.name).collect::<Vec<_>>());
        match (seen, expected) {
            (Ok(seen), Ok(expected)) => assert_eq!(seen, expected, "{demand:?}"),
            (Err(words), Err(expected)) => {
                let (enhanced, text) = expected.split_once(' ').unwrap();
                let (class, subject, detail) = words.enhanced.unwrap();
                assert_eq!(format!("{class}.{subject}.{detail}"), enhanced, "{words:?}");
                assert!(words.text.contains(text), "{words:?}");
            }
            (seen, _) => panic!("{demand:?}: {seen:?}"),
        }
    }

    #[test]
    fn only_servers_of_the_policy_are_tried() {
        check(&sts("enforce"), &["evil.test", "mx.d.test"], Ok(&["mx.d.test"]));
        let none = "4.7.0 names none of the servers in the DNS, as evil.test";
        check(&sts("enforce"), &["evil.test", "d.test"], Err(none));
        check(&sts("testing"), &["evil.test"], Ok(&["evil.test"]));
        // DANE goes before it, where it proves anything.
        check(&sts("enforce"), &["a.test signed", "b.test dane", "c.test unusable"], Ok(&["b.test"]));
        check(&Demand::Nothing, &["evil.test"], Ok(&["evil.test"]));
    }

    // RFC 8689 §4.2.1
    #[test]
    fn where_tls_is_required_a_server_is_proved_to_be_one() {
        for mode in ["enforce", "testing"] {
            check(&required(Some(mode)), &["evil.test", "mx.d.test", "d.test"], Ok(&["mx.d.test", "d.test"]));
        }
        check(&required(None), &["d.test"], Ok(&["d.test"]));
        check(&required(None), &["mx.d.test"], Err("5.7.10 nothing proves that mx.d.test is"));
        let unknown = Demand::RequireTls(Proof::Unknown("d.test".parse().unwrap()));
        check(&unknown, &["d.test"], Err("4.7.0 can't be fetched"));
        for demand in [unknown, required(None)] {
            check(&demand, &["evil.test", "a.test signed", "b.test dane"], Ok(&["a.test", "b.test"]));
        }
        check(&Demand::RequireTls(Proof::Route), &["relay.test"], Ok(&["relay.test"]));
        let explained =
            |enhanced| required(None).explain(&server("d.test"), Words::own(enhanced, "no")).enhanced.unwrap();
        assert_eq!((explained(Enhanced(4, 7, 4)), explained(Enhanced(4, 7, 5))), ((5, 7, 10), (4, 7, 5)));
        assert!(required(None).is_verified() && required(None).requires_tls());
    }

    #[test]
    fn a_policy_in_force_asks_for_a_certificate() {
        let asked = |demand: Demand| (demand.is_verified(), demand.name(None));
        assert_eq!(asked(sts("enforce")), (true, Some("mta-sts")));
        assert_eq!(asked(sts("testing")), (false, Some("mta-sts testing")));
        assert_eq!(asked(Demand::Nothing), (false, None));
        let explained =
            |demand: &Demand, name: &str| demand.explain(&server(name), Words::own(Enhanced(4, 7, 5), "no TLS"));
        let words = |demand: Demand| explained(&demand, "mx.d.test").text;
        assert_eq!(words(sts("enforce")), "by the MTA-STS policy of d.test: no TLS");
        assert_eq!((words(sts("testing")), words(Demand::Nothing)), ("no TLS".into(), "no TLS".into()));
        let check = |demand: Demand, name: &str, policy: &str, said: &str| {
            assert_eq!(demand.name(server(name).signed.dane.as_ref()), Some(policy), "{demand:?} {name}");
            assert_eq!(explained(&demand, name).text, said, "{demand:?} {name}");
        };
        for demand in [Demand::Nothing, sts("testing"), sts("enforce")] {
            check(demand, "mx.test dane", "dane", "by the TLSA records of mx.test (DANE): no TLS");
        }
        for demand in [Demand::Nothing, sts("testing")] {
            check(demand, "mx.test unusable", "dane unusable", "by the TLSA records of mx.test (DANE): no TLS");
        }
        check(sts("enforce"), "mx.test unusable", "mta-sts", "by the MTA-STS policy of d.test: no TLS");
        check(required(None), "d.test dane", "requiretls", "REQUIRETLS: by the TLSA records of d.test (DANE): no TLS");
    }
}
