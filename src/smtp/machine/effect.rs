use std::sync::Arc;

use super::input::{Driver, Identity};
use super::mail::{Sender, Transaction};
use super::state::Facts;
use super::swap::{Node, SwapRequest};
use crate::base::{RcptOptions, Reply};
use crate::sasl::{Claim, Mechanism};
use crate::smtp::wire::{Chunk, ForwardPath, LineEnds};

/// What the driver is to do. Those that ask something stand last in their list, and the machine waits for the answer.
pub enum Effect<D: Driver> {
    /// Append to the write buffer.
    Reply(Reply),
    /// Send what is in the write buffer.
    Flush,
    /// Wait before what follows: the client has gone beyond a soft limit.
    Delay,
    /// May this sender send? Answer with [`super::Input::Sender`].
    CheckSender {
        /// Who asks.
        facts: Facts<D>,
        /// For whom.
        sender: Arc<Sender>,
    },
    /// Is this recipient ours, or may this client send there? Answer with [`super::Input::Recipient`].
    CheckRecipient {
        /// Who asks.
        facts: Facts<D>,
        /// The transaction's sender.
        sender: Arc<Sender>,
        /// For whom the message is to be.
        recipient: ForwardPath,
        /// What is asked for this recipient.
        options: RcptOptions,
    },
    /// Is that true? Answer with [`super::Input::Login`].
    Authenticate {
        /// How it came.
        mechanism: Mechanism,
        /// What the client claims.
        claim: Claim,
    },
    /// Whose mailbox is this? Answer with [`super::Input::Verified`].
    Verify {
        /// Who asks; `None`: a stranger.
        identity: Option<Identity<D>>,
        /// What is asked.
        question: Question,
    },
    /// Who is in this list? Answer with [`super::Input::Verified`].
    Expand {
        /// Who asks; `None`: a stranger.
        identity: Option<Identity<D>>,
        /// What is asked.
        question: Question,
    },
    /// Read to the end of data. Answer with [`super::Input::Data`].
    ReceiveData {
        /// From whom it comes.
        facts: Facts<D>,
        /// What is done with bare line ends.
        line_ends: LineEnds,
        /// Octets above which nothing is kept.
        bytes_max: u64,
    },
    /// Read the octets of a chunk, all of them and no more, also when the message is refused in their midst. Answer with
    /// [`super::Input::Chunk`].
    ReceiveChunk {
        /// From whom it comes.
        facts: Facts<D>,
        /// What has come before; `None`: it is the first.
        before: Option<D::Chunks>,
        /// How much it is.
        chunk: Chunk,
        /// What is done with bare line ends.
        line_ends: LineEnds,
        /// Octets of the message above which nothing is kept.
        bytes_max: u64,
    },
    /// Read so many octets and forget them. Answer with [`super::Input::Skipped`].
    SkipChunk(u64),
    /// Commit the message. Answer with [`super::Input::Committed`] or [`super::Input::NotCommitted`].
    Commit {
        /// From whom it comes.
        facts: Facts<D>,
        /// Sender and recipients.
        transaction: Transaction<D>,
        /// What was received.
        body: D::Body,
    },
    /// May the roles be swapped? Answer with [`super::Input::Swap`].
    CheckSwap {
        /// Who asks.
        peer: D::Peer,
        /// For what.
        request: SwapRequest,
    },
    /// Release mail, if this client may ask for it. Answer with [`super::Input::Etrn`].
    CheckEtrn {
        /// Who asks, where somebody has logged in.
        identity: Option<Identity<D>>,
        /// Which mail.
        node: Node,
    },
    /// The session is over and the connection goes on with roles swapped: everything is flushed, nothing is buffered.
    Swap(D::Swap),
    /// Flush, then start TLS as the server. Answer with [`super::Input::Secured`].
    StartTls,
    /// Flush and close.
    Close,
    /// Close without sending another octet of this step.
    Drop,
}

/// What VRFY or EXPN asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// An address, a local part or a name.
    pub name: String,
    /// The answer may hold more than ASCII (RFC 6531 §3.7.4.2).
    pub smtputf8: bool,
}

/// The effects of one step, in the order in which they are to be carried out.
pub struct Effects<D: Driver>(Vec<Effect<D>>);

impl<D: Driver> Effects<D> {
    pub(super) fn none() -> Self {
        Self(Vec::new())
    }

    pub(super) fn one(effect: Effect<D>) -> Self {
        let mut effects = Vec::with_capacity(4);
        effects.push(effect);
        Self(effects)
    }

    pub(super) fn reply(reply: impl Into<Reply>) -> Self {
        Self::one(Effect::Reply(reply.into()))
    }

    #[must_use]
    pub(super) fn then(mut self, effect: Effect<D>) -> Self {
        self.0.push(effect);
        self
    }

    #[must_use]
    pub(super) fn delayed(mut self) -> Self {
        self.0.insert(0, Effect::Delay);
        self
    }

    /// Whether one of them asks for an answer: then no other input may come before it.
    pub fn ask(&self) -> bool {
        use Effect::{
            Authenticate, CheckEtrn, CheckRecipient, CheckSender, CheckSwap, Commit, Expand, ReceiveChunk, ReceiveData,
            SkipChunk, StartTls, Verify,
        };
        let is_question = |effect: &Effect<D>| {
            matches!(
                effect,
                CheckSender { .. }
                    | CheckRecipient { .. }
                    | Authenticate { .. }
                    | Verify { .. }
                    | Expand { .. }
                    | CheckSwap { .. }
                    | CheckEtrn { .. }
                    | ReceiveData { .. }
                    | ReceiveChunk { .. }
                    | SkipChunk(_)
                    | Commit { .. }
                    | StartTls
            )
        };
        self.0.last().is_some_and(is_question)
    }
}

impl<D: Driver> IntoIterator for Effects<D> {
    type Item = Effect<D>;
    type IntoIter = std::vec::IntoIter<Effect<D>>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}
