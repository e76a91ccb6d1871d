use std::collections::VecDeque;
use std::sync::Arc;

use super::envelope::{Addressing, Envelope, Taken};
use super::fate::{Fate, Stage};
use super::rules::{Rules, StartTls};
use crate::base::DomainName;
use crate::sasl::{Channel, Responder};
use crate::smtp::wire::Extensions;

/// Where a session stands.
pub struct State(pub(super) Place);

/// What is waited for, and so for how long (RFC 5321 §4.5.3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// The 220.
    Greeting,
    /// The answer to a command.
    Reply,
    /// The answer to DATA.
    Data,
    /// The answer to the end of data.
    End,
    /// The answer to TURN or ATRN.
    Turn,
    /// The answer to QUIT: nothing depends on it.
    Quit,
}

/// What is known of a server from its first octet on.
pub(super) struct Session {
    pub(super) rules: Arc<Rules>,
    /// What TLS says of the connection, where it is active.
    pub(super) tls: Option<Channel>,
}

/// A server that has taken EHLO or HELO, and AUTH where that is asked for.
pub(super) struct Link {
    pub(super) session: Session,
    pub(super) extensions: Extensions,
    /// Messages that it was asked to take.
    pub(super) messages: usize,
}

/// Whether the server may believe that a transaction is open.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Slate {
    Clean,
    Written,
}

/// What is done behind RSET.
pub(super) enum Afterwards {
    Begin(Envelope),
    Part,
}

/// Of committing the attempt and of sending the message: what is done.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    Neither,
    Opened,
    Sent,
}

pub(super) enum Place {
    /// Before the 220.
    Greeting(Session),
    /// EHLO is said.
    Ehlo(Session),
    /// HELO is said.
    Helo(Session),
    /// STARTTLS is said; what EHLO announced, in case that we go on without it.
    AskingTls(Session, Extensions),
    /// The driver shakes hands.
    Securing(Session),
    /// AUTH is said, or an answer in it.
    LoggingIn(Link, Responder),
    /// The driver looks for a message.
    Idle(Link, Slate),
    /// RSET is said.
    Resetting(Link, Afterwards),
    /// The driver converts the message.
    Converting(Link, Envelope),
    /// Answers to MAIL, RCPT or DATA are waited for.
    Addressing(Link, Addressing),
    /// The message is sent, and the attempt committed.
    Sending(Link, Taken, Progress),
    /// The end of data is said.
    Ending(Link, Taken),
    /// DATA was taken though no recipient was: an empty message is ended (RFC 2920 §3.1).
    Withdrawing(Link, Vec<Fate>),
    /// TURN or ATRN is said.
    Swapping,
    /// ETRN is said; the domains that are still to be named.
    Flushing(VecDeque<DomainName>),
    /// QUIT is said.
    Quitting,
    /// It is over.
    Closed,
}

impl State {
    /// A session that begins; with what TLS says where it is active already.
    pub fn new(rules: Rules, tls: Option<Channel>) -> Self {
        Self(Place::Greeting(Session { rules: Arc::new(rules), tls }))
    }

    /// What is waited for.
    pub fn patience(&self) -> Patience {
        match &self.0 {
            Place::Greeting(_) => Patience::Greeting,
            Place::Addressing(_, addressing) if addressing.expects_data() => Patience::Data,
            Place::Ending(..) | Place::Withdrawing(..) => Patience::End,
            Place::Swapping => Patience::Turn,
            Place::Quitting => Patience::Quit,
            _ => Patience::Reply,
        }
    }

    /// Whether it is over.
    pub fn is_closed(&self) -> bool {
        matches!(self.0, Place::Closed)
    }
}

impl Session {
    /// Whether a password may cross this connection.
    pub(super) fn is_private(&self) -> bool {
        self.tls.is_some() || self.rules.is_loopback
    }

    /// Whether STARTTLS is to be used, and whether nothing is sent without it.
    pub(super) fn start_tls(&self) -> StartTls {
        if self.tls.is_some() { StartTls::Never } else { self.rules.start_tls }
    }
}

impl Place {
    /// How far the session has come.
    pub(super) fn stage(&self) -> Stage {
        match self {
            Self::Greeting(_) => Stage::Greeting,
            Self::Ehlo(_) | Self::Helo(_) => Stage::Hello,
            Self::AskingTls(..) | Self::Securing(_) => Stage::Tls,
            Self::LoggingIn(..) => Stage::Login,
            Self::Addressing(_, addressing) => addressing.stage(),
            Self::Sending(..) => Stage::Data,
            Self::Ending(..) | Self::Withdrawing(..) => Stage::End,
            _ => Stage::Sender,
        }
    }

    /// Answers that are still to come to what was said.
    pub(super) fn outstanding(&self) -> usize {
        match self {
            Self::Addressing(_, addressing) => addressing.outstanding(),
            Self::Securing(_) | Self::Idle(..) | Self::Converting(..) | Self::Sending(..) | Self::Closed => 0,
            _ => 1,
        }
    }
}
