use super::input::{Driver, Identity};
use super::state::{Profile, Remote};
use crate::base::{Reply, Timestamp, limits};
use crate::smtp::wire::MailParameters;

/// An extension that is offered to some only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Offer {
    /// RFC 3461
    Dsn,
    /// RFC 8689
    RequireTls,
    /// RFC 4865
    FutureRelease,
    /// RFC 2852
    DeliverBy,
    /// RFC 6710
    MtPriority,
}

impl<D: Driver> Remote<D> {
    /// Whether this session may use it.
    pub(super) fn offers(&self, offer: Offer) -> bool {
        let profile = self.rules.profile;
        let is_user = profile == Profile::Submission;
        // What a stranger asks to be told, somebody else would hear: anybody may write any sender. So reports are promised
        // only to those whom we know; the server of a stranger then tells its sender itself that it has handed the
        // message on (RFC 3461 §5.2.2).
        let is_known = is_user || (profile == Profile::Mx && matches!(self.identity, Some(Identity::Peer(_))));
        match offer {
            Offer::Dsn | Offer::DeliverBy | Offer::MtPriority => is_known,
            // RFC 8689 §2: only inside TLS
            Offer::RequireTls => self.is_secured() && profile != Profile::Odmr,
            // RFC 4865 §3: where mail is submitted
            Offer::FutureRelease => is_user && self.rules.release_max.is_some(),
        }
    }

    /// Whether this session may use all these parameters.
    pub(super) fn takes(&self, parameters: &MailParameters) -> bool {
        let MailParameters { ret, envelope_id, require_tls, hold, by, priority } = parameters;
        [
            (ret.is_some() || envelope_id.is_some(), Offer::Dsn),
            (*require_tls, Offer::RequireTls),
            (hold.is_some(), Offer::FutureRelease),
            (by.is_some(), Offer::DeliverBy),
            (priority.is_some(), Offer::MtPriority),
        ]
        .into_iter()
        .all(|(is_asked, offer)| !is_asked || self.offers(offer))
    }

    /// The keywords of what is offered, behind what EHLO says already.
    pub(super) fn announce(&self, answer: Reply) -> Reply {
        let mut answer = answer;
        if self.offers(Offer::Dsn) {
            answer = answer.and("DSN");
        }
        if self.offers(Offer::RequireTls) {
            answer = answer.and("REQUIRETLS");
        }
        if let Some(until) = self.rules.release_max.filter(|_| self.offers(Offer::FutureRelease)) {
            // RFC 4865 §3: without a fraction
            let until = Timestamp(until.ms() / 1000 * 1000).rfc3339();
            answer = answer.and(format!("FUTURERELEASE {} {until}", limits::FUTURE_RELEASE_S));
        }
        if self.offers(Offer::DeliverBy) {
            answer = answer.and("DELIVERBY");
        }
        if self.offers(Offer::MtPriority) {
            // RFC 6710 appendix B
            answer = answer.and("MT-PRIORITY MIXER");
        }
        answer
    }
}
