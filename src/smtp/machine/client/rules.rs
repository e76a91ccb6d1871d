use crate::base::{DomainName, Secret};
use crate::sasl::Mechanism;

/// What holds for a session from its beginning to its end.
// No Debug: it holds a password.
pub struct Rules {
    /// Our name.
    pub hostname: DomainName,
    /// When STARTTLS is used.
    pub start_tls: StartTls,
    /// How to log in; nothing is sent without it then.
    pub login: Option<Login>,
    /// The server is on this machine: nobody listens in on a password.
    pub is_loopback: bool,
    /// What is said when all mail is sent.
    pub then: Then,
    /// Messages in one session.
    pub messages_max: usize,
    /// A server that does not have REQUIRETLS gets nothing: every message needs it.
    pub require_tls: bool,
}

/// When STARTTLS is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartTls {
    /// Never: TLS is active already, or it is not wanted.
    Never,
    /// When it is offered.
    Offered,
    /// Nothing is sent without it.
    Required,
}

/// Who we are at the server.
#[derive(Clone)]
pub struct Login {
    /// The user name.
    pub user: String,
    /// The password.
    pub secret: Secret<String>,
    /// By what it may be said, the best first.
    pub mechanisms: Vec<Mechanism>,
    /// Random, and of this session alone: printable ASCII without a comma.
    pub nonce: String,
}

/// How a session goes on when all mail is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Then {
    /// QUIT.
    Quit,
    /// RFC 821 §3.8
    Turn,
    /// RFC 2645
    Atrn(Vec<DomainName>),
    /// RFC 1985, one after the other.
    Etrn(Vec<DomainName>),
    /// No mail is asked for: log in and leave.
    Look,
}
