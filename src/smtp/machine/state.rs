use std::sync::Arc;

use super::input::{Driver, Identity, Peer};
use super::limiter::Counts;
use super::mail::{Sender, Transaction};
use crate::base::Timestamp;
use crate::sasl::{Channel, Exchange, Mechanism, Seeds, Terms};
use crate::smtp::wire::{LineLimit, Verb, reply};

/// Whom a session serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// Other servers, on port 25: only peers log in, nothing is relayed, line ends are strict.
    Mx,
    /// Our users' programs, on 587 and 465 (RFC 6409, RFC 8314): nobody sends without login.
    Submission,
    /// Peers that fetch their mail, on 366 (RFC 2645): nothing is sent to us.
    Odmr,
    /// A peer that we have dialled and that has swapped roles with us: it sends, and does nothing else.
    Reversed,
}

/// What holds for a session from its beginning to its end.
// No Debug: it holds keys.
pub struct Rules {
    /// Whom it serves.
    pub profile: Profile,
    /// Our name.
    pub hostname: String,
    /// Octets of a message.
    pub message_bytes_max: u64,
    /// Recipients of a transaction.
    pub recipients_max: usize,
    /// Whether STARTTLS can be had.
    pub has_tls: bool,
    /// Whether AUTH may be used in clear text: only where nobody is between us and the client.
    pub allows_cleartext_login: bool,
    /// On port 25: whether there is a peer that might log in by a secret from where this client is.
    pub takes_peers: bool,
    /// Whether a peer might log in from there by CRAM-MD5.
    pub takes_cram: bool,
    /// On port 366: whether it might do so without TLS.
    pub takes_cram_in_clear: bool,
    /// Whether this client may use ETRN because of where it is.
    pub takes_etrn: bool,
    /// Up to when a message may be held for a later time, as EHLO tells it; `None`: it may not.
    pub release_max: Option<Timestamp>,
    /// What VRFY and EXPN tell whom.
    pub vrfy: Vrfy,
    /// What logins begin with in which the password itself is not sent.
    pub seeds: Seeds,
}

/// What VRFY and EXPN tell whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vrfy {
    /// They are not there.
    Off,
    /// Nobody anything: 252 for every name.
    Nobody,
    /// The truth to those who have logged in, about what is theirs.
    Known,
    /// The truth to everybody.
    Everybody,
}

impl Vrfy {
    /// As the setting `smtp.vrfy` says.
    pub fn of(setting: &str) -> Self {
        match setting {
            "off" => Self::Off,
            "252" => Self::Nobody,
            "public" => Self::Everybody,
            _ => Self::Known,
        }
    }
}

/// The other side of the connection.
pub(super) struct Remote<D: Driver> {
    pub(super) rules: Arc<Rules>,
    /// What TLS says of the connection, where it is active.
    pub(super) tls: Option<Channel>,
    pub(super) identity: Option<Identity<D>>,
    /// VERB was said.
    pub(super) is_verbose: bool,
    /// Logins that were begun.
    pub(super) logins: u32,
    pub(super) counts: Counts,
}

/// A remote that has said HELO or EHLO.
pub(super) struct Client<D: Driver> {
    pub(super) remote: Remote<D>,
    pub(super) hello: Arc<Hello>,
}

/// What HELO or EHLO said.
#[derive(Debug, PartialEq, Eq)]
pub struct Hello {
    /// The name that the client gives itself. Nothing may depend on it.
    pub name: String,
    /// EHLO.
    pub is_extended: bool,
}

/// What a driver needs to know of the client.
pub struct Facts<D: Driver> {
    /// What it said of itself.
    pub hello: Arc<Hello>,
    /// Whether TLS is active.
    pub is_secured: bool,
    /// Who has logged in.
    pub identity: Option<Identity<D>>,
}

/// Where a session stands.
pub struct State<D: Driver>(pub(super) Place<D>);

pub(super) enum Place<D: Driver> {
    /// Before HELO or EHLO.
    Connected(Remote<D>),
    /// Between transactions.
    Ready(Client<D>),
    /// Behind MAIL.
    InTransaction(Client<D>, Transaction<D>),
    /// The client is in the middle of AUTH.
    LoggingIn(Client<D>, Mechanism, Exchange),
    /// The driver checks what the client claims.
    CheckingLogin(Client<D>),
    /// The client has proved who it is, and looks at our own proof.
    Confirming(Client<D>, Identity<D>),
    /// The driver checks the sender.
    CheckingSender(Client<D>, Transaction<D>),
    /// The driver checks a recipient.
    CheckingRecipient(Client<D>, Transaction<D>),
    /// The driver looks a name up; then it goes on from there.
    Verifying(Box<Place<D>>),
    /// The driver receives the data.
    Receiving(Client<D>, Transaction<D>),
    /// Between two chunks of a message.
    InChunks(Client<D>, Transaction<D>, D::Chunks),
    /// The driver receives a chunk; whether it is the last.
    ReceivingChunk(Client<D>, Transaction<D>, bool),
    /// The driver reads a chunk that nobody wants; what is answered then, and where it goes on.
    Skipping(Box<Place<D>>, reply::Fixed),
    /// The driver commits.
    Committing(Client<D>),
    /// The driver looks whether the roles may be swapped.
    CheckingSwap(Client<D>),
    /// The driver looks whether mail may be released, and releases it.
    CheckingEtrn(Client<D>),
    /// The driver starts TLS.
    Securing(Remote<D>),
    /// It is over.
    Closed,
}

impl<D: Driver> State<D> {
    /// A session that begins; with what TLS says where it came before the first octet (port 465).
    pub fn new(rules: Arc<Rules>, tls: Option<Channel>) -> Self {
        Self::with(rules, tls, None)
    }

    /// A session with a peer that has swapped roles with us: we have dialled it, and know who it is.
    pub fn reversed(rules: Arc<Rules>, tls: Option<Channel>, peer: D::Peer) -> Self {
        Self::with(rules, tls, Some(Identity::Peer(peer)))
    }

    fn with(rules: Arc<Rules>, tls: Option<Channel>, identity: Option<Identity<D>>) -> Self {
        let counts = Counts::default();
        Self(Place::Connected(Remote { rules, tls, identity, is_verbose: false, logins: 0, counts }))
    }

    /// How long the next line may be.
    pub fn line_limit(&self) -> LineLimit {
        match self.0 {
            Place::LoggingIn(..) | Place::Confirming(..) => LineLimit::AuthAnswer,
            _ => LineLimit::Command,
        }
    }

    /// The transaction whose data is received.
    pub fn receiving(&self) -> Option<&Transaction<D>> {
        match &self.0 {
            Place::Receiving(_, transaction) | Place::ReceivingChunk(_, transaction, _) => Some(transaction),
            _ => None,
        }
    }

    /// What is known of a client that has said who it is.
    pub fn facts(&self) -> Option<Facts<D>> {
        self.0.client().map(Client::facts)
    }

    /// Who sends, in the transaction that is open.
    pub fn sender(&self) -> Option<&Arc<Sender>> {
        match &self.0 {
            Place::InTransaction(_, transaction)
            | Place::CheckingSender(_, transaction)
            | Place::CheckingRecipient(_, transaction)
            | Place::InChunks(_, transaction, _)
            | Place::ReceivingChunk(_, transaction, _)
            | Place::Receiving(_, transaction) => Some(&transaction.sender),
            _ => None,
        }
    }

    /// Whether it is over.
    pub fn is_closed(&self) -> bool {
        matches!(self.0, Place::Closed)
    }
}

/// The remote that every place but the last has: written down once, for a borrow, a mutable borrow, and by value.
macro_rules! remote_of {
    ($place:expr, $again:ident $(, $borrow:tt $($mutable:tt)?)?) => {
        match $place {
            Place::Connected(remote) | Place::Securing(remote) => Some(remote),
            Place::Ready(client)
            | Place::InTransaction(client, _)
            | Place::LoggingIn(client, ..)
            | Place::CheckingLogin(client)
            | Place::Confirming(client, _)
            | Place::CheckingSender(client, _)
            | Place::CheckingRecipient(client, _)
            | Place::Receiving(client, _)
            | Place::InChunks(client, ..)
            | Place::ReceivingChunk(client, ..)
            | Place::Committing(client)
            | Place::CheckingSwap(client)
            | Place::CheckingEtrn(client) => Some($($borrow $($mutable)?)? client.remote),
            Place::Verifying(place) | Place::Skipping(place, _) => place.$again(),
            Place::Closed => None,
        }
    };
}

impl<D: Driver> Place<D> {
    pub(super) fn remote(&self) -> Option<&Remote<D>> {
        remote_of!(self, remote, &)
    }

    fn client(&self) -> Option<&Client<D>> {
        match self {
            Self::Ready(client)
            | Self::InTransaction(client, _)
            | Self::LoggingIn(client, ..)
            | Self::CheckingLogin(client)
            | Self::Confirming(client, _)
            | Self::CheckingSender(client, _)
            | Self::CheckingRecipient(client, _)
            | Self::Receiving(client, _)
            | Self::InChunks(client, ..)
            | Self::ReceivingChunk(client, ..)
            | Self::Committing(client)
            | Self::CheckingSwap(client)
            | Self::CheckingEtrn(client) => Some(client),
            Self::Verifying(place) | Self::Skipping(place, _) => place.client(),
            Self::Connected(_) | Self::Securing(_) | Self::Closed => None,
        }
    }

    pub(super) fn counts(&mut self) -> Option<&mut Counts> {
        self.remote_mut().map(|remote| &mut remote.counts)
    }

    fn remote_mut(&mut self) -> Option<&mut Remote<D>> {
        remote_of!(self, remote_mut, &mut)
    }

    /// The same place, where replies tell more from now on, or no more.
    pub(super) fn verbose(mut self, is_verbose: bool) -> Self {
        if let Some(remote) = self.remote_mut() {
            remote.is_verbose = is_verbose;
        }
        self
    }

    /// What is left when everything that the client has said is dropped, but for its login.
    pub(super) fn into_remote(self) -> Option<Remote<D>> {
        remote_of!(self, into_remote)
    }

    /// What is left when the transaction and everything else that is half done is dropped.
    pub(super) fn without_transaction(self) -> Self {
        match self {
            Self::InTransaction(client, _)
            | Self::LoggingIn(client, ..)
            | Self::CheckingLogin(client)
            | Self::Confirming(client, _)
            | Self::CheckingSender(client, _)
            | Self::CheckingRecipient(client, _)
            | Self::Receiving(client, _)
            | Self::InChunks(client, ..)
            | Self::ReceivingChunk(client, ..)
            | Self::Committing(client)
            | Self::CheckingSwap(client)
            | Self::CheckingEtrn(client) => Self::Ready(client),
            Self::Securing(remote) => Self::Connected(remote),
            Self::Verifying(place) | Self::Skipping(place, _) => place.without_transaction(),
            Self::Connected(_) | Self::Ready(_) | Self::Closed => self,
        }
    }
}

impl<D: Driver> Remote<D> {
    /// Whether AUTH would be taken now.
    pub(super) fn may_log_in(&self) -> bool {
        self.identity.is_none() && self.takes_logins() && (self.is_private() || self.may_log_in_in_clear())
    }

    /// Whether a login is taken here though it can be listened to: by RFC 2645 §5.1, whose customers know CRAM-MD5 alone.
    pub(super) fn may_log_in_in_clear(&self) -> bool {
        self.rules.profile == Profile::Odmr && self.rules.takes_cram_in_clear && !self.is_private()
    }

    /// The mechanisms of AUTH that this session has, the strongest first. Of accounts only hashes are kept, so theirs are
    /// those in which the password is sent.
    pub(super) fn mechanisms(&self) -> Vec<Mechanism> {
        let can_be_bound = self.tls.as_ref().is_some_and(Channel::can_be_bound);
        if !self.is_private() {
            return if self.may_log_in_in_clear() { vec![Mechanism::CramMd5] } else { Vec::new() };
        }
        match self.rules.profile {
            Profile::Submission => Mechanism::PASSWORDS.to_vec(),
            Profile::Mx | Profile::Odmr | Profile::Reversed => {
                let takes_secrets = self.rules.profile != Profile::Mx || self.rules.takes_peers;
                let is_there = |mechanism: &Mechanism| match mechanism {
                    Mechanism::External => self.is_certified(),
                    _ if !takes_secrets => false,
                    Mechanism::ScramSha256Plus => can_be_bound,
                    Mechanism::CramMd5 => self.rules.takes_cram,
                    _ => true,
                };
                Mechanism::ALL.into_iter().filter(is_there).collect()
            }
        }
    }

    /// What the next login begins with.
    pub(super) fn next_terms(&mut self) -> Terms {
        self.logins += 1;
        self.rules.seeds.terms(self.logins, self.tls.clone().unwrap_or_default())
    }

    /// Whether TLS is active.
    pub(super) fn is_secured(&self) -> bool {
        self.tls.is_some()
    }

    /// Whether the client has shown a certificate. It is asked for one only where a peer might log in by it, and by ODMR inside TLS.
    fn is_certified(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.client_certificate.is_some())
    }

    /// Whether there is anybody who could log in here. On port 25 nobody is told so in the clear.
    pub(super) fn takes_logins(&self) -> bool {
        match self.rules.profile {
            Profile::Submission | Profile::Odmr => true,
            Profile::Mx => (self.rules.takes_peers || self.is_certified()) && self.is_private(),
            Profile::Reversed => false,
        }
    }

    /// Whether a peer has logged in that may use this verb of the TURN family.
    pub(super) fn is_peer_for(&self, verb: Verb) -> bool {
        matches!(&self.identity, Some(Identity::Peer(peer)) if peer.may(verb))
    }

    /// Whether ETRN would release anything for this client.
    pub(super) fn may_etrn(&self) -> bool {
        self.rules.takes_etrn || self.is_peer_for(Verb::Etrn)
    }

    /// Whether VERB would be taken: it shows where mail goes.
    pub(super) fn may_be_verbose(&self) -> bool {
        match &self.identity {
            Some(Identity::Account(account)) => D::runs_the_server(account),
            Some(Identity::Peer(_)) => self.rules.profile != Profile::Reversed,
            None => false,
        }
    }

    /// Whether a password may cross this connection.
    pub(super) fn is_private(&self) -> bool {
        self.is_secured() || self.rules.allows_cleartext_login
    }

    /// Whether STARTTLS would be taken now.
    pub(super) fn may_start_tls(&self) -> bool {
        self.rules.has_tls && !self.is_secured() && self.rules.profile != Profile::Reversed
    }
}

impl<D: Driver> Client<D> {
    pub(super) fn facts(&self) -> Facts<D> {
        Facts {
            hello: Arc::clone(&self.hello),
            is_secured: self.remote.is_secured(),
            identity: self.remote.identity.clone(),
        }
    }
}
