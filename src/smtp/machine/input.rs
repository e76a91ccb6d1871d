use crate::base::{MessageId, Reply};
use crate::sasl::Channel;
use crate::smtp::wire::{DataFaults, Verb};

/// What a driver's answers are made of. The machine carries these values and looks at none of them, but for the id of
/// a receipt and the verbs of a peer.
pub trait Driver: Sized + 'static {
    /// A user of ours.
    type Account: Clone;
    /// Another server with which roles may be swapped.
    type Peer: Peer;
    /// Leave to swap roles, with whatever the driver needs for it.
    type Swap;
    /// A recipient that was accepted, as the directory resolved it.
    type Recipient;
    /// A message that was received and not yet committed.
    type Body;
    /// What of a message has come by BDAT.
    type Chunks;
    /// Proof of a commit: what a 250 at the end of data is made of.
    type Receipt: Receipt;

    /// Whether this user runs the server, and so may see what VERB shows.
    fn runs_the_server(account: &Self::Account) -> bool;

    /// Where a recipient leads, a line each, for a client that has said VERB.
    fn leads(recipient: &Self::Recipient) -> Vec<String>;
}

/// Proof that a message is committed and synced.
pub trait Receipt {
    /// The id that the sender is told.
    fn message_id(&self) -> MessageId;

    /// What has become of it, a line each, for a client that has said VERB.
    fn story(&self) -> Vec<String>;
}

/// Another server that we know.
pub trait Peer: Clone {
    /// Whether it may use this verb of the TURN family.
    fn may(&self, verb: Verb) -> bool;
}

/// Who has logged in.
pub enum Identity<D: Driver> {
    /// A user of ours, who sends to anywhere.
    Account(D::Account),
    /// A peer, which sends to us and swaps roles.
    Peer(D::Peer),
}

impl<D: Driver> Clone for Identity<D> {
    fn clone(&self) -> Self {
        match self {
            Self::Account(account) => Self::Account(account.clone()),
            Self::Peer(peer) => Self::Peer(peer.clone()),
        }
    }
}

/// A login that is right.
pub struct Welcome<D: Driver> {
    /// Who it is.
    pub identity: Identity<D>,
    /// What proves to the client that we know its secret, in base64: it is sent before the client is told that it is in.
    pub proof: Option<String>,
}

/// What comes in: a line, an event of the connection, or the driver's answer to an effect.
pub enum Input<'a, D: Driver> {
    /// The connection stands (with TLS, where it is implicit) and the client has not spoken yet.
    Connected,
    /// The connection stands and the client has spoken before the greeting.
    EarlyTalk,
    /// A line without its CRLF.
    Line {
        /// The line.
        line: &'a [u8],
        /// Whether more octets have come behind it.
        is_followed: bool,
    },
    /// A line above the limit was skipped.
    LineTooLong,
    /// A line feed without a carriage return.
    BareLf,
    /// The answer to [`super::Effect::CheckSender`].
    Sender(Result<(), Reply>),
    /// The answer to [`super::Effect::CheckRecipient`].
    Recipient(Result<D::Recipient, Reply>),
    /// The answer to [`super::Effect::Authenticate`].
    Login(Result<Welcome<D>, LoginRefusal>),
    /// The answer to [`super::Effect::Verify`] and to [`super::Effect::Expand`].
    Verified(Reply),
    /// The answer to [`super::Effect::CheckSwap`].
    Swap(SwapAnswer<D>),
    /// The answer to [`super::Effect::CheckEtrn`]: what the client is told.
    Etrn(Reply),
    /// The answer to [`super::Effect::StartTls`]: the handshake is done, and this is what it says of the connection.
    Secured(Channel),
    /// The answer to [`super::Effect::ReceiveData`]: the end of data was seen.
    Data(DataEnd<D::Body>),
    /// The answer to [`super::Effect::ReceiveChunk`]: all its octets were read.
    Chunk(ChunkEnd<D>),
    /// The answer to [`super::Effect::SkipChunk`]: they were.
    Skipped,
    /// The answer to [`super::Effect::Commit`]: the message is on disk. Only this leads to a 250 after the end of data.
    Committed(D::Receipt),
    /// The answer to [`super::Effect::Commit`]: it is not.
    NotCommitted(Reply),
    /// The server stops.
    Stop,
    /// The login is good no more.
    LoggedOut,
    /// The client was silent for too long.
    Idle,
    /// The session has reached its limit of time or octets.
    Exhausted,
}

/// How the data ended.
pub enum DataEnd<B> {
    /// Received whole.
    Taken(B),
    /// The message breaks the rules of the wire.
    Faulty(DataFaults),
    /// It was larger than the limit; nothing of it was kept.
    TooLarge,
    /// The driver can't take it.
    Refused(Reply),
}

/// What a chunk has led to.
pub enum ChunkEnd<D: Driver> {
    /// More is to come.
    More(D::Chunks),
    /// It was the last, or the message is refused already.
    End(DataEnd<D::Body>),
}

/// Whether the roles may be swapped.
pub enum SwapAnswer<D: Driver> {
    /// They may: the machine says so and hands the leave to the driver.
    Granted(D::Swap),
    /// Not now, or not for what was asked.
    Refused(Reply),
    /// Octets have come behind the command meanwhile.
    Followed,
}

/// Why a login was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoginRefusal {
    /// The login or the password is wrong.
    Wrong,
    /// It could not be checked; the reply is temporary.
    Unchecked(Reply),
}
