//! SMTP, the client's side of a session: the driver owns the connection, carries out what the client machine asks for,
//! and hands the outcome of each recipient to its courier.
//!
//! Floor F4b.

mod convert;
mod send;
mod session;
#[cfg(test)]
mod tests;
mod words;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

pub use crate::smtp::machine::client::{Login, Room};

use crate::base::{Address, Clock, DomainName, MailOptions, MessageId, QueueId, Random, RcptOptions, Secret, limits};
use crate::net::Connection;
use crate::queue::{Content, Outcome};
use crate::sasl::Mechanism;
use crate::tls::{CertificateFault, Certified, ClientTls};
use crate::{queue, sasl};

/// Where the mail of a session comes from and where its outcomes go. `delivery` makes it.
pub trait Courier: Send {
    /// The next message for this session, with no more of its recipients than there is room for: the others come in a
    /// message of their own. `None` to end it.
    fn next(&mut self, room: Room) -> impl Future<Output = Option<Mail>> + Send;

    /// Commits the open attempt of these recipients: asked while the message is sent, and the end of data is held back
    /// until it is answered. An error: it is not sent, and the session ends without an outcome for these recipients.
    fn open(&mut self, recipients: &[QueueId]) -> impl Future<Output = Result<(), NotOpened>> + Send;

    /// A message that had to be changed to be sent, with its signatures made anew. The same where nobody here has signed it.
    fn sign_again(&self, converted: Vec<u8>) -> Vec<u8>;

    /// Takes outcomes, all of one message: each recipient of a [`Mail`] gets exactly one. Without one are those whose
    /// attempt could not be opened, and all recipients of a message that is not the session's first when the connection
    /// turns out to be closed before anything is answered about it: they may be sent over another connection at once.
    fn settle(&mut self, outcomes: Vec<Outcome>) -> impl Future<Output = ()> + Send;
}

/// The attempt could not be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the attempt could not be opened: {0}")]
pub struct NotOpened(pub String);

/// One message for some recipients at one destination.
pub struct Mail {
    /// The message.
    pub id: MessageId,
    /// The sender of the envelope.
    pub sender: Option<Address>,
    /// Its recipients.
    pub recipients: Vec<Recipient>,
    /// It holds octets above 127.
    pub eight_bit: bool,
    /// It needs SMTPUTF8.
    pub smtputf8: bool,
    /// What its sender asks for besides.
    pub options: MailOptions,
    /// The message itself.
    pub content: Content,
}

/// A recipient of a [`Mail`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipient {
    /// Its entry.
    pub id: QueueId,
    /// Where it goes.
    pub address: Address,
    /// What is asked for it.
    pub options: RcptOptions,
}

/// What a session is to do.
#[derive(Clone)]
pub struct Plan {
    /// Our name, for EHLO.
    pub hostname: DomainName,
    /// Who does this, for the trace, as in `delivery`.
    pub actor: String,
    /// The name by which the server was found.
    pub server: String,
    /// What is asked of TLS.
    pub tls: Tls,
    /// The policy that asks for it, for the trace, as in `mta-sts`; `None`: none does.
    pub policy: Option<&'static str>,
    /// Nothing is sent to a server without REQUIRETLS (RFC 8689).
    pub require_tls: bool,
    /// How to log in.
    pub login: Option<Login>,
    /// What is said when all our own mail is sent, instead of QUIT.
    pub then: Then,
    /// Messages in one session.
    pub messages_max: usize,
    /// How long the other side may take.
    pub patience: Patience,
    /// Stamps the attempts.
    pub clock: Arc<dyn Clock>,
    /// When the way to the server was begun to be looked for, by [`Clock::monotonic_ms`]: the first message's attempt
    /// has lasted since then.
    pub began_ms: u64,
}

impl Login {
    /// Who we are at a relay: by the password, as always.
    pub fn at_relay(login: &queue::Login, random: &dyn Random) -> Self {
        // PLAIN before LOGIN: it takes one round trip, and its form is a standard. SCRAM comes last: relays announce it that
        // have no keys for it of who was there before them, and there is no second try.
        let order = [Mechanism::Plain, Mechanism::Login, Mechanism::ScramSha256Plus, Mechanism::ScramSha256];
        Self::with(login, &order, random)
    }

    /// Who we are at a peer: by the strongest of these that it has.
    pub fn at_peer(login: &queue::Login, mechanisms: &[Mechanism], random: &dyn Random) -> Self {
        let order = Mechanism::ALL.into_iter().filter(|mechanism| mechanisms.contains(mechanism));
        Self::with(login, &order.collect::<Vec<_>>(), random)
    }

    /// Who we are at a peer that knows us by the certificate that it is shown.
    pub fn by_certificate() -> Self {
        let (user, secret, nonce) = (String::new(), Secret::new(String::new()), String::new());
        Self { user, secret, mechanisms: vec![Mechanism::External], nonce }
    }

    fn with(login: &queue::Login, mechanisms: &[Mechanism], random: &dyn Random) -> Self {
        let mut seed = Secret::new([0; 32]);
        random.fill(seed.expose_mut());
        Self {
            user: login.user.clone(),
            secret: Secret::new(login.secret.clone()),
            mechanisms: mechanisms.to_vec(),
            nonce: sasl::nonce(seed.expose(), 0),
        }
    }
}

/// What is asked of TLS in a session. The configurations are made by `tls`.
#[derive(Clone)]
pub enum Tls {
    /// None: the connection was swapped, its TLS stays as it is.
    Keep,
    /// STARTTLS when it is offered; `Failed` says so when the handshake fails, and the caller dials again without it.
    Opportunistic(Arc<ClientTls>),
    /// STARTTLS, or nothing is sent.
    Required(Arc<ClientTls>),
    /// The handshake is made before the greeting.
    Implicit(Arc<ClientTls>),
    /// In the clear: after a handshake has failed, where TLS is not asked for.
    Never,
}

/// How a session goes on when our own mail is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Then {
    /// QUIT.
    Quit,
    /// RFC 821 §3.8
    Turn,
    /// RFC 2645, with the domains that are asked for.
    Atrn(Vec<DomainName>),
    /// RFC 1985, one each.
    Etrn(Vec<DomainName>),
    /// Log in, look, and leave: nothing is sent and nothing is asked for.
    Look,
}

/// RFC 5321 §4.5.3.2: how long the other side may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// For 220: 5 minutes.
    pub greeting: Duration,
    /// For the answer to EHLO, MAIL, RCPT, AUTH, STARTTLS, RSET: 5 minutes.
    pub reply: Duration,
    /// For the answer to DATA: 2 minutes.
    pub data: Duration,
    /// For taking a block of the message: 3 minutes.
    pub block: Duration,
    /// For the answer to the end of data: 10 minutes.
    pub end: Duration,
    /// For the answer to TURN and ATRN: 10 minutes (RFC 2645 §5.2.1 asks for so much).
    pub turn: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            greeting: Duration::from_secs(limits::CLIENT_REPLY_S),
            reply: Duration::from_secs(limits::CLIENT_REPLY_S),
            data: Duration::from_secs(limits::CLIENT_DATA_S),
            block: Duration::from_secs(limits::CLIENT_BLOCK_S),
            end: Duration::from_secs(limits::CLIENT_END_S),
            turn: Duration::from_secs(limits::CLIENT_TURN_S),
        }
    }
}

/// How a session ended.
#[expect(clippy::large_enum_variant, reason = "there is one for each session, for a moment")]
pub enum Ended {
    /// It is over.
    Closed(Summary),
    /// The roles are swapped: the other side speaks next, as the client.
    Swap(Connection, Summary),
}

/// What came of a session.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// Messages that were taken for at least one recipient.
    pub sent: u64,
    /// Recipients that were refused.
    pub refused: u64,
    /// What it broke at, where it did: before or between messages nobody else tells.
    pub failure: Option<Failure>,
    /// What was answered to TURN, ATRN or ETRN: code and text.
    pub answer: Option<(u16, String)>,
    /// What was said until it broke, for the trace of the mail that it was begun for; empty where it did not break.
    pub dialogue: String,
    /// What came of TLS, where a handshake was begun.
    pub tls: Option<TlsEnd>,
}

/// What came of a TLS handshake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TlsEnd {
    /// It was made, and this is known of the server's certificate.
    Made(Certified),
    /// It failed.
    Failed {
        /// What is wrong with the server's certificate, where it is that.
        certificate: Option<CertificateFault>,
        /// In words.
        why: String,
    },
}

/// Where and why a session broke.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// How far it came.
    pub stage: crate::queue::Stage,
    /// What was answered, or what happened.
    pub words: crate::queue::Words,
    /// The server asked us to come back later (421), or the connection broke: leave this address alone for a while.
    pub is_busy: bool,
}

/// Runs a session from the greeting to its end.
pub async fn drive<C: Courier>(connection: Connection, plan: &Plan, courier: &mut C) -> Ended {
    session::Session::new(connection, plan, courier).run().await
}
