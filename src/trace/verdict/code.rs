use std::fmt;
use std::str::FromStr;

use super::fault::Fault;

/// Closed lists whose values are words of the REST interface.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$value_doc:meta])* $value:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$value_doc])* $value,)*
        }

        impl $name {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$value),*];

            /// Its word.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$value => $word,)*
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = UnknownWord;

            fn from_str(text: &str) -> Result<Self, UnknownWord> {
                Self::ALL.iter().copied().find(|value| value.as_str() == text).ok_or(UnknownWord)
            }
        }
    };
}

/// Not a word of the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not one of the words of this list")]
pub struct UnknownWord;

words! {
    /// How it stands with a message, or with one of its recipients.
    Outcome {
        /// It was not taken in: its sender was told so.
        Refused = "refused",
        /// It is in the queue, and will be tried.
        Waiting = "waiting",
        /// An operator holds it.
        Held = "held",
        /// Another server has taken responsibility for it.
        HandedOver = "handed_over",
        /// A copy is in a mailbox here.
        InMailbox = "in_mailbox",
        /// It was in a mailbox here, and no copy is left.
        Removed = "removed",
        /// It was given up, and somebody was told.
        Bounced = "bounced",
        /// An operator has removed it from the queue, and nobody was told.
        Dropped = "dropped",
        /// It is in the queue, and the other server may have it already.
        Uncertain = "uncertain",
        /// Its recipients differ. Only of a whole message.
        Mixed = "mixed",
        /// What is left of the story does not say.
        Unknown = "unknown",
    }
}

words! {
    /// Where a message comes from and goes to.
    Direction {
        /// From elsewhere.
        In = "in",
        /// From here, for at least one recipient elsewhere.
        Out = "out",
        /// From here to here.
        Local = "local",
    }
}

words! {
    /// What a verdict says, for programs.
    Code {
        /// A copy is in a mailbox here.
        Delivered = "delivered",
        /// The next server has it.
        HandedOver = "handed_over",
        /// A peer has fetched it.
        HandedToPeer = "handed_to_peer",
        /// It was deleted by POP3.
        RemovedPop3 = "removed_pop3",
        /// It was deleted by IMAP.
        RemovedImap = "removed_imap",
        /// An operator has deleted it, or its mailbox.
        RemovedOperator = "removed_operator",
        /// It is about to be tried for the first time, or at once.
        WaitingFirstAttempt = "waiting_first_attempt",
        /// It waits for a peer that fetches it.
        WaitingPeer = "waiting_peer",
        /// The server answered neither yes nor no for now, for a reason of its own.
        WaitingServerTrouble = "waiting_server_trouble",
        /// The server can't be reached.
        WaitingReceiverDown = "waiting_receiver_down",
        /// The server does not answer in time.
        WaitingTimeout = "waiting_timeout",
        /// The server lets unknown senders wait.
        WaitingGreylisted = "waiting_greylisted",
        /// The server takes no more mail from here for now.
        WaitingRateLimited = "waiting_rate_limited",
        /// The server takes no mail from here, for now.
        WaitingBlocked = "waiting_blocked",
        /// The server takes it for spam, for now.
        WaitingSpam = "waiting_spam",
        /// The server could not verify the sender, for now.
        WaitingUnauthenticated = "waiting_unauthenticated",
        /// The recipient's mailbox is full.
        WaitingMailboxFull = "waiting_mailbox_full",
        /// The address is not taken, for now.
        WaitingNoSuchAddress = "waiting_no_such_address",
        /// The server has not taken our login.
        WaitingLoginFailed = "waiting_login_failed",
        /// No connection with TLS could be made.
        WaitingTls = "waiting_tls",
        /// The DNS does not answer.
        WaitingDns = "waiting_dns",
        /// The mail goes in a circle.
        WaitingLoop = "waiting_loop",
        /// The message can't be taken as it is, for now.
        WaitingContent = "waiting_content",
        /// This server has trouble.
        WaitingOurTrouble = "waiting_our_trouble",
        /// An operator holds it.
        Held = "held",
        /// The other server may have it, and will be sent it again.
        Uncertain = "uncertain",
        /// There is no such address.
        BouncedNoSuchAddress = "bounced_no_such_address",
        /// The mailbox is disabled.
        BouncedMailboxDisabled = "bounced_mailbox_disabled",
        /// The mailbox is full.
        BouncedMailboxFull = "bounced_mailbox_full",
        /// The message is too big.
        BouncedTooBig = "bounced_too_big",
        /// The server does not take mail for that domain from us.
        BouncedRelayingDenied = "bounced_relaying_denied",
        /// The server blocks mail from here.
        BouncedBlocked = "bounced_blocked",
        /// The server takes it for spam.
        BouncedSpam = "bounced_spam",
        /// The server could not verify the sender.
        BouncedUnauthenticated = "bounced_unauthenticated",
        /// The server has not taken our login.
        BouncedLoginFailed = "bounced_login_failed",
        /// No connection with TLS could be made.
        BouncedTls = "bounced_tls",
        /// There is no such domain.
        BouncedNoSuchDomain = "bounced_no_such_domain",
        /// The domain takes no mail.
        BouncedNoMailDomain = "bounced_no_mail_domain",
        /// The DNS names no server that could be used.
        BouncedNoServer = "bounced_no_server",
        /// The mail goes in a circle.
        BouncedLoop = "bounced_loop",
        /// The server does not take the sender's address.
        BouncedSender = "bounced_sender",
        /// The server does not take the message as it is.
        BouncedContent = "bounced_content",
        /// The server has refused it for another reason.
        BouncedOther = "bounced_other",
        /// It was tried until its time was over.
        BouncedExpired = "bounced_expired",
        /// The peer did not fetch it before its time was over.
        BouncedExpiredPeer = "bounced_expired_peer",
        /// An operator has bounced it.
        BouncedOperator = "bounced_operator",
        /// An operator has removed it from the queue.
        Dropped = "dropped",
        /// There is no such address here.
        RefusedNoSuchAddress = "refused_no_such_address",
        /// The domain is not here, and the sender had not logged in.
        RefusedNotOurDomain = "refused_not_our_domain",
        /// The address takes mail from our own users only.
        RefusedInternalOnly = "refused_internal_only",
        /// The account is disabled.
        RefusedMailboxDisabled = "refused_mailbox_disabled",
        /// The mailbox is full.
        RefusedMailboxFull = "refused_mailbox_full",
        /// The message is too big.
        RefusedTooBig = "refused_too_big",
        /// The sender has not logged in.
        RefusedLoginFirst = "refused_login_first",
        /// The user has written as somebody else.
        RefusedNotYourAddress = "refused_not_your_address",
        /// The sender's address can't be taken.
        RefusedSender = "refused_sender",
        /// The message is not as it has to be.
        RefusedContent = "refused_content",
        /// The message goes in a circle.
        RefusedLoop = "refused_loop",
        /// The sender has made too many mistakes, or asked for too much.
        RefusedRateLimited = "refused_rate_limited",
        /// This server had trouble.
        RefusedOurTrouble = "refused_our_trouble",
        /// It was refused for another reason.
        RefusedOther = "refused_other",
        /// Somebody could not log in.
        LoginFailed = "login_failed",
        /// The sender went away in the middle of the message.
        Aborted = "aborted",
        /// The recipients differ.
        Mixed = "mixed",
        /// What is left of the story does not say.
        Unknown = "unknown",
    }
}

impl Code {
    /// Of what waits after an attempt.
    pub(super) fn waiting(fault: Fault) -> Self {
        match fault {
            Fault::NoSuchAddress | Fault::MailboxDisabled => Self::WaitingNoSuchAddress,
            Fault::MailboxFull => Self::WaitingMailboxFull,
            Fault::RelayingDenied | Fault::Blocked | Fault::Sender => Self::WaitingBlocked,
            Fault::Spam => Self::WaitingSpam,
            Fault::Unauthenticated => Self::WaitingUnauthenticated,
            Fault::Login => Self::WaitingLoginFailed,
            Fault::Tls => Self::WaitingTls,
            Fault::Dns | Fault::NoSuchDomain | Fault::NoMailDomain | Fault::NoServer => Self::WaitingDns,
            Fault::ReceiverDown => Self::WaitingReceiverDown,
            Fault::Timeout => Self::WaitingTimeout,
            Fault::Greylisted => Self::WaitingGreylisted,
            Fault::RateLimited => Self::WaitingRateLimited,
            Fault::Loop => Self::WaitingLoop,
            Fault::TooBig | Fault::Content => Self::WaitingContent,
            Fault::OurTrouble => Self::WaitingOurTrouble,
            Fault::ServerTrouble | Fault::Other => Self::WaitingServerTrouble,
        }
    }

    /// Of what was refused for good elsewhere.
    pub(super) fn bounced(fault: Fault) -> Self {
        match fault {
            Fault::NoSuchAddress => Self::BouncedNoSuchAddress,
            Fault::MailboxDisabled => Self::BouncedMailboxDisabled,
            Fault::MailboxFull => Self::BouncedMailboxFull,
            Fault::TooBig => Self::BouncedTooBig,
            Fault::RelayingDenied => Self::BouncedRelayingDenied,
            Fault::Blocked | Fault::Greylisted | Fault::RateLimited => Self::BouncedBlocked,
            Fault::Spam => Self::BouncedSpam,
            Fault::Unauthenticated => Self::BouncedUnauthenticated,
            Fault::Login => Self::BouncedLoginFailed,
            Fault::Tls => Self::BouncedTls,
            Fault::NoSuchDomain => Self::BouncedNoSuchDomain,
            Fault::NoMailDomain => Self::BouncedNoMailDomain,
            Fault::NoServer | Fault::Dns => Self::BouncedNoServer,
            Fault::Loop => Self::BouncedLoop,
            Fault::Sender => Self::BouncedSender,
            Fault::Content => Self::BouncedContent,
            Fault::ReceiverDown | Fault::Timeout | Fault::ServerTrouble | Fault::OurTrouble | Fault::Other => {
                Self::BouncedOther
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_word_is_one_value() {
        for code in Code::ALL {
            assert_eq!(code.as_str().parse(), Ok(*code));
        }
        let words: HashSet<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(words.len(), Code::ALL.len());
        assert_eq!("lost".parse::<Outcome>(), Err(UnknownWord));
    }
}
