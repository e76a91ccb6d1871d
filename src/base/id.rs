use std::fmt;
use std::str::FromStr;
use std::sync::Mutex;

use serde::{Deserialize, Serialize};

use super::Timestamp;

/// Crockford's base 32, lower case: no i, l, o, u.
const CROCKFORD: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// Characters that hold 64 bits in base 32.
const TEXT_LEN: usize = 13;

/// Not an id of this kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an id: expected `{prefix}` and 13 characters of 0-9a-z without i, l, o, u")]
pub struct IdError {
    prefix: &'static str,
}

fn write_text(f: &mut fmt::Formatter<'_>, prefix: &str, value: u64) -> fmt::Result {
    let mut text = [0u8; TEXT_LEN];
    for (place, out) in text.iter_mut().rev().enumerate() {
        *out = CROCKFORD[((value >> (5 * place as u32)) & 31) as usize];
    }
    write!(f, "{prefix}{}", std::str::from_utf8(&text).unwrap_or_default())
}

fn read_text(text: &str, prefix: &'static str) -> Result<u64, IdError> {
    let error = IdError { prefix };
    let digits = text.strip_prefix(prefix).ok_or(error)?.as_bytes();
    if digits.len() != TEXT_LEN {
        return Err(error);
    }
    digits.iter().try_fold(0u64, |value, digit| {
        let place = CROCKFORD.iter().position(|c| *c == digit.to_ascii_lowercase()).ok_or(error)?;
        // 13 characters hold 65 bits: the first may not be above 15.
        value.checked_mul(32).map(|v| v | place as u64).ok_or(error)
    })
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_text(f, $prefix, self.0)
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                read_text(text, $prefix).map(Self)
            }
        }
    };
}

text_id! {
    /// A message, for ever: milliseconds since 1970 << 16 | sequence. Text: `m_` and 13 Crockford letters.
    ///
    /// It stands in the 250, the trace, POP3's UIDL and IMAP's EMAILID; it is never reused and never goes backwards.
    MessageId, "m_"
}
text_id! {
    /// An SMTP transaction that was refused before there was a message. Text: `t_` and 13 Crockford letters.
    TraceId, "t_"
}

text_id! {
    /// A piece of long work. Text: `j_` and 13 Crockford letters.
    JobId, "j_"
}
text_id! {
    /// A session in which roles were to be swapped. Text: `s_` and 13 Crockford letters.
    SessionId, "s_"
}

text_id! {
    /// Something that was done by REST: milliseconds since 1970 << 16 | sequence. Text: `a_` and 13 Crockford letters.
    AuditId, "a_"
}

/// One recipient of a queued message, for ever. Text: `q_`, the message's 13 letters, `_` and the recipient's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct QueueId {
    /// The message.
    pub message: MessageId,
    /// The recipient's number in it, from 0 on.
    pub number: u32,
}

impl fmt::Display for QueueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_text(f, "q_", self.message.0)?;
        write!(f, "_{}", self.number)
    }
}

impl FromStr for QueueId {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        let error = IdError { prefix: "q_" };
        let (message, number) = text.rsplit_once('_').ok_or(error)?;
        let message = MessageId(read_text(message, "q_")?);
        let is_number = number == "0" || (!number.starts_with('0') && number.bytes().all(|b| b.is_ascii_digit()));
        let number = is_number.then(|| number.parse().ok()).flatten().ok_or(error)?;
        Ok(Self { message, number })
    }
}

impl MessageId {
    /// When the id was made.
    pub fn at(self) -> Timestamp {
        Timestamp(self.0 >> 16)
    }
}

impl TraceId {
    /// When the id was made.
    pub fn at(self) -> Timestamp {
        Timestamp(self.0 >> 16)
    }
}

/// Hands out ids (of messages, refused transactions, jobs and swaps) that only ever rise, whatever the clock does.
#[derive(Debug, Default)]
pub struct MessageIds(Mutex<u64>);

impl MessageIds {
    /// Ids above `newest`, the newest that the file knows.
    pub fn after(newest: u64) -> Self {
        Self(Mutex::new(newest))
    }

    fn next(&self, now: Timestamp) -> u64 {
        let mut last = self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        *last = (now.0 << 16).max(last.saturating_add(1));
        *last
    }

    /// A message's id.
    pub fn message(&self, now: Timestamp) -> MessageId {
        MessageId(self.next(now))
    }

    /// A refused transaction's id.
    pub fn refused(&self, now: Timestamp) -> TraceId {
        TraceId(self.next(now))
    }

    /// A job's id.
    pub fn job(&self, now: Timestamp) -> JobId {
        JobId(self.next(now))
    }

    /// The id of a session that swaps roles.
    pub fn session(&self, now: Timestamp) -> SessionId {
        SessionId(self.next(now))
    }
}

macro_rules! number_id {
    ($(#[$doc:meta])* $name:ident, $inner:ty) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number_id! {
    /// An account; never reused.
    AccountId, u32
}
number_id! {
    /// A mailbox (folder) of an account; never reused.
    MailboxId, u32
}
number_id! {
    /// A stored body; never reused.
    BlobId, u64
}
number_id! {
    /// A message's number in its mailbox (RFC 9051 §2.3.1.1): rises, is never reused.
    Uid, u32
}
number_id! {
    /// A mailbox's change counter (RFC 7162 §3.1).
    ModSeq, u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_number_are_one() {
        for value in [0, 1, 31, 32, u64::MAX, 1_795_341_900_123 << 16] {
            let text = MessageId(value).to_string();
            assert_eq!(text.len(), 15);
            assert_eq!(text.parse(), Ok(MessageId(value)), "{text}");
        }
        for wrong in
            ["", "m_", "t_0000000000000", "m_000000000000", "m_000000000000i", "m_zzzzzzzzzzzzz", "m_00000000000000"]
        {
            assert!(wrong.parse::<MessageId>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_queue_id_names_message_and_recipient() {
        let id = QueueId { message: MessageId(1_795_341_900_123 << 16), number: 12 };
        let text = id.to_string();
        assert!(text.starts_with("q_") && text.ends_with("_12"), "{text}");
        assert_eq!(text.parse(), Ok(id));
        for wrong in
            ["q_0000000000000", "q_0000000000000_", "q_0000000000000_01", "q_0000000000000_+1", "m_0000000000000_1"]
        {
            assert!(wrong.parse::<QueueId>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn ids_rise_when_the_clock_stands_or_falls() {
        let ids = MessageIds::default();
        let mut last = ids.message(Timestamp(1_000_000));
        for now in [1_000_000, 999_000, 0, 1_000_000, 1_000_001] {
            let next = ids.message(Timestamp(now));
            assert!(next > last);
            last = next;
        }
        assert_eq!(last.at(), Timestamp(1_000_001));
        assert!(MessageIds::after(last.0 + 70_000).message(Timestamp(5)) > last);
    }
}
