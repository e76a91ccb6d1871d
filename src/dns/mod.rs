//! The Domain Name System: which servers take mail for a domain, and where they are.
//!
//! Floor F4a.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::base::DomainName;

/// Asks the system's name servers, or those that were named.
pub struct Resolver {
    _private: (),
}

/// What the DNS says of a domain's mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MailServers {
    /// RFC 5321 §5.1: MX records, by preference.
    Mx(Vec<(u16, DomainName)>),
    /// There are none: the domain itself is the server, when it has an address.
    Implicit,
    /// RFC 7505: it takes no mail.
    Null,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DnsError {
    /// The name does not exist.
    #[error("{0} does not exist in the DNS")]
    NoSuchName(DomainName),
    /// The name servers do not answer, or can't: to be tried again.
    #[error("the DNS gives no answer for {0}: {1}")]
    Temporary(DomainName, String),
}

impl Resolver {
    /// A resolver that asks `servers`; the system's, as in /etc/resolv.conf, when it is empty.
    ///
    /// # Errors
    /// What is wrong with the system's configuration.
    pub fn new(servers: &[SocketAddr], timeout: Duration) -> Result<Self, String> {
        let _ = (servers, timeout);
        todo!()
    }

    /// Who takes mail for `domain`. A CNAME is followed.
    ///
    /// # Errors
    /// [`DnsError`].
    pub async fn mail_servers(&self, domain: &DomainName) -> Result<MailServers, DnsError> {
        let _ = domain;
        todo!()
    }

    /// The addresses of a host, IPv6 and IPv4; empty when the name has none.
    ///
    /// # Errors
    /// [`DnsError`].
    pub async fn addresses(&self, host: &DomainName) -> Result<Vec<IpAddr>, DnsError> {
        let _ = host;
        todo!()
    }
}
