use std::net::IpAddr;

use super::Context;
use super::dane::Dane;
use super::demand::Demand;
use super::servers::Server;
use super::way::{To, Way};
use crate::base::{DomainName, Host, TlsWish, limits};
use crate::queue::Stage;
use crate::smtp::client::{Summary, Tls, TlsEnd};
use crate::tls::{CertificateFault, Certified};
use crate::tlspolicy::StsPolicy;
use crate::tlsreport::{Day, Failure, Note, PolicySeen, ResultKind};

/// What a session has shown of TLS.
pub(super) struct Shown<'a> {
    pub(super) server: &'a Server,
    /// Our address.
    pub(super) local: IpAddr,
    /// How TLS was asked for.
    pub(super) tls: &'a Tls,
    pub(super) summary: &'a Summary,
}

/// Why TLS was not as it was to be.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Fault {
    kind: ResultKind,
    /// What the kind does not say.
    reason: Option<String>,
}

impl Context {
    /// Notes what a session has shown, for the domain's daily report.
    pub(super) fn note_tls(&self, way: &Way, demand: &Demand, shown: &Shown<'_>) {
        let Some(domain) = reported(way) else { return };
        // RFC 8461 §2: MTA-STS does not override DANE
        let dane = shown.server.signed.dane.as_ref();
        let policy = sts(demand).filter(|_| !matches!(dane, Some(Dane::Published(_))));
        let Some(result) = judged(shown, policy) else { return };
        let seen = match (dane, policy) {
            (Some(Dane::Published(published)), _) => PolicySeen::tlsa(&published.base, &published.records),
            (_, Some(policy)) => PolicySeen::sts(policy),
            (Some(Dane::Unusable(_)), None) | (None, None) => PolicySeen::NoneFound,
        };
        if let Some(Dane::Unusable(base)) = dane {
            let fault = Fault { kind: ResultKind::TlsaInvalid, reason: None };
            self.note_result(domain, PolicySeen::tlsa(base, &[]), Some(shown.failure(fault)));
            // Beside that, what another policy says; without one there is nothing else that was gone by.
            if policy.is_none() {
                return;
            }
        }
        self.note_result(domain, seen, result.err().map(|fault| shown.failure(fault)));
    }

    /// Notes that it can't be known whether a server's certificate is published.
    pub(super) fn note_unproved(&self, domain: &DomainName, base: &DomainName) {
        let fault = Fault { kind: ResultKind::DnssecInvalid, reason: None };
        self.note_unmet(domain, PolicySeen::tlsa(base, &[]), fault, Some(base.as_str()));
    }

    /// Notes that no server of the domain is one that its policy names.
    pub(super) fn note_unnamed(&self, way: &Way, demand: &Demand, server: Option<&str>) {
        let (Some(domain), Some(policy)) = (reported(way), sts(demand)) else { return };
        self.note_unmet(domain, PolicySeen::sts(policy), unnamed(), server);
    }

    /// Notes that a domain's policy could not be had: one failure for each time that it was asked for.
    pub(super) fn note_unfetched(&self, domain: &DomainName, kind: ResultKind) {
        self.note_unmet(domain, PolicySeen::sts_unknown(), Fault { kind, reason: None }, None);
    }

    /// Notes what failed before a session.
    fn note_unmet(&self, domain: &DomainName, policy: PolicySeen, fault: Fault, mx: Option<&str>) {
        let (Fault { kind, reason }, mx) = (fault, mx.map(str::to_owned));
        self.note_result(domain, policy, Some(Failure { kind, sending_ip: None, mx, receiving_ip: None, reason }));
    }

    fn note_result(&self, domain: &DomainName, policy: PolicySeen, failure: Option<Failure>) {
        if self.state.notes_tls() {
            let day = Day::of(self.clock.now());
            self.store.ride(Note { day, domain: domain.clone(), policy, failure });
        }
    }
}

/// The domain that is told of a session: whose servers the DNS names, and whose policy is gone by. That of a report is
/// not: it waives the policy.
// RFC 8460 §3
fn reported(way: &Way) -> Option<&DomainName> {
    match (&way.to, way.tls) {
        (To::Mx(Host::Name(domain)), TlsWish::Policy) => Some(domain),
        _ => None,
    }
}

fn sts(demand: &Demand) -> Option<&StsPolicy> {
    match demand {
        Demand::Sts(_, policy) => Some(policy),
        _ => None,
    }
}

/// Whether TLS was as it was to be; `None`: the session has not come so far.
// RFC 8460 §4.3
fn judged(shown: &Shown<'_>, policy: Option<&StsPolicy>) -> Option<Result<(), Fault>> {
    // What is sent in the clear after a handshake has failed belongs to the same attempt.
    if !matches!(shown.tls, Tls::Opportunistic(_) | Tls::Required(_)) {
        return None;
    }
    Some(match &shown.summary.tls {
        Some(TlsEnd::Made(Certified::Unverified(why))) if policy.is_some() => Err(of_certificate(*why)),
        // RFC 8461 §5: where a policy is on trial, it gets the mail all the same
        Some(TlsEnd::Made(_)) if policy.is_some_and(|policy| !policy.names(&shown.server.name)) => Err(unnamed()),
        Some(TlsEnd::Made(_)) => Ok(()),
        Some(TlsEnd::Failed { certificate: Some(why), .. }) => Err(of_certificate(*why)),
        Some(TlsEnd::Failed { certificate: None, why }) => Err(Fault::other(why)),
        None => {
            let failed_at = shown.summary.failure.as_ref().map(|failure| failure.stage);
            if matches!(failed_at, Some(Stage::Connect | Stage::Greeting | Stage::Hello)) {
                return None;
            }
            Err(Fault { kind: ResultKind::StartTlsNotSupported, reason: None })
        }
    })
}

/// The policy does not name the server: there is no result of that name.
fn unnamed() -> Fault {
    Fault::other("the policy does not name the server")
}

fn of_certificate(why: CertificateFault) -> Fault {
    match why {
        CertificateFault::OtherName => Fault { kind: ResultKind::CertificateHostMismatch, reason: None },
        CertificateFault::Expired => Fault { kind: ResultKind::CertificateExpired, reason: None },
        CertificateFault::UnknownIssuer
        | CertificateFault::NotValidYet
        | CertificateFault::Malformed
        | CertificateFault::NotTrusted => {
            Fault { kind: ResultKind::CertificateNotTrusted, reason: Some(why.to_string()) }
        }
    }
}

impl Shown<'_> {
    fn failure(&self, Fault { kind, reason }: Fault) -> Failure {
        Failure {
            kind,
            sending_ip: Some(self.local),
            mx: Some(self.server.name.clone()),
            receiving_ip: Some(self.server.address.ip()),
            reason,
        }
    }
}

impl Fault {
    // RFC 8460 §4.3.3: what is none of the others, and then in words
    fn other(why: &str) -> Self {
        let reason = why[..why.floor_char_boundary(limits::TLS_RESULT_REASON_BYTES)].to_owned();
        Self { kind: ResultKind::ValidationFailure, reason: Some(reason) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::dane::Signed;
    use super::*;
    use crate::base::Enhanced;
    use crate::queue::Words;
    use crate::smtp::client;
    use crate::tls::Roots;
    use crate::tlspolicy::Mode;

    /// By no policy, or by one that names those servers; a fault is expected by its name, and its reason behind a colon.
    fn check(tls: Option<TlsEnd>, failed_at: Option<Stage>, named: Option<&str>, expected: Option<Result<(), &str>>) {
        let (name, address) = ("mx.d.test".into(), "192.0.2.1:25".parse().unwrap());
        let server = Server { name, address, preference: 10, signed: Signed::default() };
        let words = Words::own(Enhanced(4, 4, 2), "x");
        let failure = failed_at.map(|stage| client::Failure { stage, words, is_busy: false });
        let summary = Summary { tls, failure, ..Summary::default() };
        let asked = Tls::Opportunistic(Roots::public().unwrap().opportunistic().unwrap());
        let policy = named.map(|name| StsPolicy::own(Mode::Testing, &name.parse().unwrap()));
        let shown = |tls: &Tls| {
            judged(&Shown { server: &server, local: server.address.ip(), tls, summary: &summary }, policy.as_ref())
        };
        let said = |fault: Fault| match fault.reason {
            Some(reason) => format!("{}: {reason}", fault.kind.name()),
            None => fault.kind.name().to_owned(),
        };
        let seen = shown(&asked).map(|result| result.map_err(said));
        let expected = expected.map(|result| result.map_err(str::to_owned));
        assert_eq!(seen, expected, "{summary:?} {named:?}");
        assert_eq!(shown(&Tls::Never), None);
    }

    // RFC 8460 §4.3
    #[test]
    fn what_a_session_shows_is_told_by_its_name() {
        let made = |why| Some(TlsEnd::Made(Certified::Unverified(why)));
        let failed = |certificate, why: &str| Some(TlsEnd::Failed { certificate, why: why.to_owned() });
        let (ours, other) = (Some("mx.d.test"), Some("mx.other.test"));
        check(Some(TlsEnd::Made(Certified::Verified)), None, ours, Some(Ok(())));
        check(made(CertificateFault::OtherName), None, None, Some(Ok(())));
        for (why, name) in [
            (CertificateFault::OtherName, "certificate-host-mismatch"),
            (CertificateFault::Expired, "certificate-expired"),
            (CertificateFault::UnknownIssuer, "certificate-not-trusted: unknown issuer"),
            (CertificateFault::NotValidYet, "certificate-not-trusted: not valid yet"),
        ] {
            check(made(why), None, ours, Some(Err(name)));
            check(failed(Some(why), "no"), Some(Stage::Tls), ours, Some(Err(name)));
        }
        let unnamed = "validation-failure: the policy does not name the server";
        check(Some(TlsEnd::Made(Certified::Verified)), None, other, Some(Err(unnamed)));
        check(failed(None, "an alert"), Some(Stage::Tls), None, Some(Err("validation-failure: an alert")));
        let long = format!("{}\u{e9}", "x".repeat(limits::TLS_RESULT_REASON_BYTES - 1));
        let cut = format!("validation-failure: {}", &long[..limits::TLS_RESULT_REASON_BYTES - 1]);
        check(failed(None, &long), Some(Stage::Tls), None, Some(Err(&cut)));
        check(None, None, None, Some(Err("starttls-not-supported")));
        check(None, Some(Stage::Tls), ours, Some(Err("starttls-not-supported")));
        check(None, Some(Stage::Sender), None, Some(Err("starttls-not-supported")));
        check(None, Some(Stage::Greeting), None, None);
        check(None, Some(Stage::Hello), None, None);
    }
}
