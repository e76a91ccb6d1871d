use super::Context;
use super::servers::Server;
use super::sts;
use super::way::Way;
use crate::base::{DomainName, Enhanced, Host};
use crate::queue::Words;
use crate::tlspolicy::{Mode, StsPolicy};

/// What the domain of the mail asks of TLS at its servers, beyond what is done where it is offered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Demand {
    /// Nothing: also without TLS, or with any certificate (RFC 7435).
    Nothing,
    /// By its MTA-STS policy: a server that the policy names, with a certificate that a CA vouches for.
    Sts(DomainName, StsPolicy),
}

impl Demand {
    /// What the domain asks whose servers the DNS names. An administrator's route says itself what is asked there.
    // RFC 8461 §8.1: a policy is for who finds the servers by MX
    pub(super) async fn of(context: &Context, way: &Way) -> Self {
        match way {
            Way::Mx(Host::Name(domain)) => match sts::policy(context, domain).await {
                Some(policy) => Self::Sts(domain.clone(), policy),
                None => Self::Nothing,
            },
            Way::Mx(Host::Literal(_)) | Way::Relay { .. } | Way::Peer { .. } => Self::Nothing,
        }
    }

    /// Whether a server's certificate must be vouched for by a CA.
    pub(super) fn is_verified(&self) -> bool {
        matches!(self, Self::Sts(_, policy) if policy.mode == Mode::Enforce)
    }

    /// For the record of an attempt.
    pub(super) fn name(&self) -> Option<&'static str> {
        match self {
            Self::Nothing => None,
            Self::Sts(_, policy) if policy.mode == Mode::Enforce => Some("mta-sts"),
            Self::Sts(..) => Some("mta-sts testing"),
        }
    }

    /// The servers that may have the mail.
    ///
    /// # Errors
    /// For the sender and the operator, where there is none: another time there may be.
    // RFC 8461 §4.1, §5: none is tried that the policy does not name
    pub(super) fn admitted(&self, servers: Vec<Server>) -> Result<Vec<Server>, Words> {
        let Self::Sts(domain, policy) = self else { return Ok(servers) };
        if policy.mode != Mode::Enforce {
            return Ok(servers);
        }
        let first = servers.first().map(|server| server.name.clone()).unwrap_or_default();
        let admitted: Vec<Server> = servers.into_iter().filter(|server| policy.names(&server.name)).collect();
        if admitted.is_empty() {
            // RFC 3463 §3.8: other or undefined security status
            let text = format!("the MTA-STS policy of {domain} names none of the servers in the DNS, as {first}");
            return Err(Words::own(Enhanced(4, 7, 0), text));
        }
        Ok(admitted)
    }

    /// Says for which policy's sake a server got nothing.
    pub(super) fn explain(&self, words: Words) -> Words {
        match self {
            Self::Sts(domain, policy) if policy.mode == Mode::Enforce => {
                Words { text: format!("by the MTA-STS policy of {domain}: {}", words.text), ..words }
            }
            Self::Sts(..) | Self::Nothing => words,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sts(mode: &str) -> Demand {
        let text = format!("version: STSv1\nmode: {mode}\nmx: *.d.test\nmax_age: 60\n");
        Demand::Sts("d.test".parse().unwrap(), StsPolicy::read(text.as_bytes()).unwrap())
    }

    fn check(demand: &Demand, servers: &[&str], expected: Result<&[&str], &str>) {
        let server =
            |name: &&str| Server { name: (*name).to_owned(), address: "192.0.2.1:25".parse().unwrap(), preference: 10 };
        let seen = demand.admitted(servers.iter().map(server).collect());
        let seen = seen.map(|servers| servers.into_iter().map(|server| server.name).collect::<Vec<_>>());
        match (seen, expected) {
            (Ok(seen), Ok(expected)) => assert_eq!(seen, expected, "{demand:?}"),
            (Err(words), Err(text)) => {
                assert!(words.text.contains(text) && words.enhanced == Some((4, 7, 0)), "{words:?}");
            }
            (seen, _) => panic!("{demand:?}: {seen:?}"),
        }
    }

    #[test]
    fn only_servers_of_the_policy_are_tried() {
        check(&sts("enforce"), &["evil.test", "mx.d.test"], Ok(&["mx.d.test"]));
        check(&sts("enforce"), &["evil.test", "d.test"], Err("names none of the servers in the DNS, as evil.test"));
        check(&sts("testing"), &["evil.test"], Ok(&["evil.test"]));
        check(&Demand::Nothing, &["evil.test"], Ok(&["evil.test"]));
    }

    #[test]
    fn a_policy_in_force_asks_for_a_certificate() {
        let asked = |demand: Demand| (demand.is_verified(), demand.name());
        assert_eq!(asked(sts("enforce")), (true, Some("mta-sts")));
        assert_eq!(asked(sts("testing")), (false, Some("mta-sts testing")));
        assert_eq!(asked(Demand::Nothing), (false, None));
        let words = |demand: Demand| demand.explain(Words::own(Enhanced(4, 7, 5), "no TLS")).text;
        assert_eq!(words(sts("enforce")), "by the MTA-STS policy of d.test: no TLS");
        assert_eq!((words(sts("testing")), words(Demand::Nothing)), ("no TLS".into(), "no TLS".into()));
    }
}
