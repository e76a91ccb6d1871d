use std::net::IpAddr;

use crate::base::{Address, MessageId, Timestamp};

/// What the Received field tells of a message's arrival.
#[derive(Debug, Clone, Copy)]
pub struct Received<'a> {
    /// The name that the other side gave itself in HELO or EHLO.
    pub helo: &'a str,
    /// Its address; `None` for a pipe.
    pub peer_ip: Option<IpAddr>,
    /// Our name.
    pub by: &'a str,
    /// It said EHLO, not HELO.
    pub extended: bool,
    /// TLS version and cipher suite.
    pub tls: Option<&'a str>,
    /// It is logged in.
    pub authenticated: bool,
    /// The transaction uses SMTPUTF8.
    pub utf8: bool,
    /// The message's id.
    pub id: MessageId,
    /// The recipient, when there is only one.
    pub recipient: Option<&'a Address>,
    /// Now.
    pub at: Timestamp,
}

/// The Received field, folded, with its CRLF.
// RFC 5321 §4.4
pub fn received(facts: &Received<'_>) -> String {
    let _ = facts;
    todo!()
}
