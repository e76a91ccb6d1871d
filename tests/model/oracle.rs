//! What an SMTP session on port 25 has to answer, in as few lines as that takes.

use std::collections::BTreeSet;

/// What a client can say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    Ehlo,
    Helo,
    Mail,
    MailUnreadable,
    RcptAlice,
    RcptBob,
    RcptTeam,
    RcptUnknown,
    RcptElsewhere,
    RcptUnreadable,
    /// DATA, and a message behind the go-ahead.
    Data,
    /// DATA, and a message with a bare LF.
    DataUnclean,
    Rset,
    Noop,
    Vrfy,
    Help,
    Starttls,
    Unknown,
}

/// A session as it should be.
#[derive(Debug, Default)]
pub struct Oracle {
    hello: bool,
    secured: bool,
    /// Between MAIL and its end: who gets the message.
    transaction: Option<BTreeSet<&'static str>>,
    errors: u32,
    refused_recipients: u32,
}

/// What comes of a command.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    /// The code of the last reply.
    pub code: u16,
    /// Who has got a message by it.
    pub delivered: BTreeSet<&'static str>,
    /// The session is over, behind a 421 where `code` is not the reason.
    pub over: bool,
}

impl Oracle {
    /// Says what has to be answered.
    pub fn answer(&mut self, verb: Verb) -> Answer {
        let mut delivered = BTreeSet::new();
        let in_transaction = self.transaction.is_some();
        let code = match verb {
            Verb::Ehlo | Verb::Helo => {
                (self.hello, self.transaction) = (true, None);
                250
            }
            Verb::Mail | Verb::MailUnreadable if !self.hello || in_transaction => 503,
            Verb::Mail => {
                self.transaction = Some(BTreeSet::new());
                250
            }
            Verb::MailUnreadable => 501,
            Verb::RcptAlice => self.recipient(&["alice"]),
            Verb::RcptBob => self.recipient(&["bob"]),
            Verb::RcptTeam => self.recipient(&["alice", "bob"]),
            Verb::RcptUnknown | Verb::RcptElsewhere if in_transaction => {
                self.refused_recipients += 1;
                550
            }
            Verb::RcptUnreadable if in_transaction => 501,
            Verb::RcptUnknown | Verb::RcptElsewhere | Verb::RcptUnreadable => 503,
            Verb::Data | Verb::DataUnclean => match self.transaction.take() {
                None => 503,
                Some(none) if none.is_empty() => {
                    self.transaction = Some(none);
                    554
                }
                Some(_) if verb == Verb::DataUnclean => {
                    return Answer { code: 550, delivered, over: true };
                }
                Some(recipients) => {
                    (delivered, self.errors) = (recipients, 0);
                    250
                }
            },
            Verb::Rset => {
                self.transaction = None;
                250
            }
            Verb::Noop => 250,
            Verb::Vrfy => 252,
            Verb::Help => 214,
            Verb::Starttls if self.secured => 503,
            Verb::Starttls => {
                (self.secured, self.hello, self.transaction) = (true, false, None);
                220
            }
            Verb::Unknown => 500,
        };
        // A refused recipient has a budget of its own.
        self.errors += u32::from(code >= 500 && code != 550);
        Answer { code, delivered, over: self.errors >= 20 || self.refused_recipients >= 20 }
    }

    fn recipient(&mut self, accounts: &[&'static str]) -> u16 {
        match &mut self.transaction {
            Some(recipients) => {
                recipients.extend(accounts);
                250
            }
            None => 503,
        }
    }
}
