use std::fmt;

use serde::{Deserialize, Serialize};

use super::Timestamp;

/// What a sender asks for with a message besides its delivery: the parameters of MAIL that are kept with it and sent on.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct MailOptions {
    /// How much of the message a report returns (RFC 3461 §4.3); `None`: as the reporter likes.
    pub ret: Option<Ret>,
    /// The sender's own name for the message, decoded: printable ASCII (RFC 3461 §4.4).
    pub envelope_id: Option<String>,
    /// What it says of TLS (RFC 8689).
    pub tls: TlsWish,
    /// It is delivered to nobody before this (RFC 4865).
    pub release_at: Option<Timestamp>,
    /// By when it is to be delivered (RFC 2852).
    pub deliver_by: Option<DeliverBy>,
    /// From -9 to 9; 0 is what mail has that says nothing (RFC 6710 §1.1).
    pub priority: i8,
}

/// What a sender asks for one recipient: the parameters of RCPT.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RcptOptions {
    /// What the sender wants to be told (RFC 3461 §4.1); `None`: of failures, and of delays if the server likes.
    pub notify: Option<NotifyOn>,
    /// The recipient as the sender of the message had named it at first (RFC 3461 §4.2).
    pub original: Option<OriginalRecipient>,
}

/// How much of a message a report on its failure returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ret {
    /// All of it.
    Full,
    /// Its header.
    Headers,
}

/// What is reported of a recipient; nothing at all is `NEVER`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotifyOn {
    /// That it was delivered.
    pub success: bool,
    /// That it will not be.
    pub failure: bool,
    /// That it takes longer.
    pub delay: bool,
}

/// A recipient as it was named at first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OriginalRecipient {
    /// The type of its address, in lower case, as in `rfc822`: an atom.
    pub kind: String,
    /// The address, decoded: printable ASCII. One of type `utf-8` is kept in the form in which it came (RFC 6533 §3).
    pub address: String,
}

/// What a sender says of TLS on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum TlsWish {
    /// Nothing: as the recipient's domain and our routes say.
    #[default]
    Policy,
    /// No server may get it without TLS, and none that would not ask the next one for it (RFC 8689 §2).
    Required,
    /// Better without TLS, or with a certificate that does not hold, than not at all (RFC 8689 §3).
    Optional,
}

/// By when a message is to be delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliverBy {
    /// By when.
    pub at: Timestamp,
    /// What happens then.
    pub mode: ByMode,
    /// The sender is told of each server that takes it (RFC 2852 §4.1.3).
    pub trace: bool,
}

/// What happens to a message that is not delivered in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ByMode {
    /// The sender is told that it is delayed, and it is still tried.
    Notify,
    /// It goes back.
    Return,
}

/// What the next server has taken over from us with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PassedOn {
    /// It reports to the sender from here on (RFC 3461 §5.2.1).
    pub reports: bool,
    /// It knows by when the message is to be delivered (RFC 2852 §4.2).
    pub deadline: bool,
}

impl RcptOptions {
    /// Whether the sender wants to know that it was delivered.
    pub fn wants_success(&self) -> bool {
        self.notify.is_some_and(|notify| notify.success)
    }

    /// Whether the sender wants to know that it was not.
    // RFC 3461 §4.1: without NOTIFY, as of old
    pub fn wants_failure(&self) -> bool {
        self.notify.is_none_or(|notify| notify.failure)
    }

    /// Whether the sender may be told that it takes longer.
    pub fn wants_delay(&self) -> bool {
        self.notify.is_none_or(|notify| notify.delay)
    }

    /// The same for each of several recipients that this one leads to: of the success the sender is told once, by
    /// whoever makes several of one.
    // RFC 3461 §5.2.7.2
    #[must_use]
    pub fn without_success(&self) -> Self {
        let notify = self.notify.map(|notify| NotifyOn { success: false, ..notify });
        Self { notify, ..self.clone() }
    }
}

impl NotifyOn {
    /// Nothing is reported.
    pub const NEVER: Self = Self { success: false, failure: false, delay: false };
}

impl fmt::Display for NotifyOn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = [(self.success, "SUCCESS"), (self.failure, "FAILURE"), (self.delay, "DELAY")];
        let names: Vec<&str> = named.into_iter().filter(|(is_on, _)| *is_on).map(|(_, name)| name).collect();
        if names.is_empty() { f.write_str("NEVER") } else { f.write_str(&names.join(",")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_asked_for_is_as_of_old() {
        let check = |notify: Option<NotifyOn>, expected: (bool, bool, bool)| {
            let options = RcptOptions { notify, original: None };
            assert_eq!((options.wants_success(), options.wants_failure(), options.wants_delay()), expected);
        };
        check(None, (false, true, true));
        check(Some(NotifyOn::NEVER), (false, false, false));
        check(Some(NotifyOn { success: true, ..NotifyOn::NEVER }), (true, false, false));
    }

    #[test]
    fn of_several_each_is_told_of_but_its_success() {
        let notify = |text: &str| NotifyOn {
            success: text.contains("SUCCESS"),
            failure: text.contains("FAILURE"),
            delay: text.contains("DELAY"),
        };
        for (given, expected) in [("SUCCESS", "NEVER"), ("SUCCESS,FAILURE", "FAILURE"), ("DELAY", "DELAY")] {
            let options = RcptOptions { notify: Some(notify(given)), original: None };
            assert_eq!(options.without_success().notify.unwrap().to_string(), expected, "{given}");
        }
        assert_eq!(RcptOptions::default().without_success(), RcptOptions::default());
    }
}
