use std::sync::Arc;

use crate::base::{Address, DomainName, MessageIds};
use crate::queue::Policy;

/// What the server's outbound side needs to know: one for the whole server.
#[derive(Debug)]
pub struct Outbound {
    /// The server's name: the reporting MTA of its bounces.
    pub hostname: DomainName,
    /// How long mail is tried.
    pub policy: Policy,
    /// `delivery.capture_to`: mail for elsewhere goes to this account instead, and nothing leaves the machine.
    pub capture_to: Option<Address>,
    /// Where the ids of bounces come from. One for the whole server.
    pub ids: Arc<MessageIds>,
}
