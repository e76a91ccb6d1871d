use std::sync::Arc;

use crate::base::{Address, AddressError, DomainName, MessageIds};
use crate::dkim::Signers;
use crate::queue::Policy;
use crate::settings::Settings;

/// What the server's outbound side needs to know: one for the whole server.
#[derive(Debug, Clone)]
pub struct Outbound {
    /// The server's name: the reporting MTA of its bounces.
    pub hostname: DomainName,
    /// How long mail is tried.
    pub policy: Policy,
    /// `delivery.capture_to`: mail for elsewhere goes to this account instead, and nothing leaves the machine.
    pub capture_to: Option<Address>,
    /// Where the ids of bounces come from. One for the whole server.
    pub ids: Arc<MessageIds>,
    /// Signs what begins its way here. One for the whole server.
    pub signers: Arc<Signers>,
    /// How senders of forwarded mail are rewritten; `None`: they stay.
    pub srs: Option<Srs>,
    /// `arc.seal`: strangers' mail that we forward is sealed by whoever forwards it.
    pub seals: bool,
}

/// How the senders of strangers' mail that we forward are rewritten.
#[derive(Debug, Clone, Default)]
pub struct Srs {
    /// `srs.domain`: where their addresses are, when it is a domain of ours; else where the address is that forwards.
    pub domain: Option<DomainName>,
}

impl Outbound {
    /// As the settings say.
    ///
    /// # Errors
    /// [`AddressError`] when `delivery.capture_to` is no address.
    pub fn of(settings: &Settings, hostname: DomainName, ids: Arc<MessageIds>) -> Result<Self, AddressError> {
        let capture_to = match settings.delivery_capture_to.as_str() {
            "" => None,
            text => Some(Address::parse(text)?),
        };
        let policy = Policy {
            retry_seconds: settings.queue_retry_seconds.clone(),
            expiry_seconds: settings.queue_expiry_seconds,
            bounce_expiry_seconds: settings.queue_bounce_expiry_seconds,
            hold_expiry_seconds: settings.queue_hold_expiry_seconds,
            delay_notice_seconds: settings.queue_delay_notice_seconds,
        };
        let srs = settings.srs_enabled.then(|| Srs { domain: DomainName::parse(&settings.srs_domain).ok() });
        Ok(Self { hostname, policy, capture_to, ids, signers: Arc::default(), srs, seals: settings.arc_seal })
    }
}
