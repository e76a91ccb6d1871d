use serde_json::{Value, json};

use super::shape::{QueueState, Row};
use crate::base::{Address, AddressError, Host, MessageId, QueueId, Timestamp};
use crate::delivery::Claims;
use crate::http::page::ListQuery;
use crate::http::problem::Problem;
use crate::queue::{self, Waiting};
use crate::store::{Read, StoreError};

/// The word for the null sender.
const NULL_SENDER: &str = "<>";

/// Which entries are looked for.
#[derive(Default)]
pub(super) struct Wanted {
    pub state: Option<QueueState>,
    pub domain: Option<Host>,
    pub sender: Option<Sender>,
    pub recipient: Option<Address>,
    pub before: Option<Timestamp>,
    pub after: Option<Timestamp>,
}

/// A sender of an envelope.
pub(super) enum Sender {
    Null,
    Address(Address),
}

impl Sender {
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        if text == NULL_SENDER { Ok(Self::Null) } else { Address::parse(text).map(Self::Address) }
    }

    fn address(&self) -> Option<&Address> {
        match self {
            Self::Null => None,
            Self::Address(address) => Some(address),
        }
    }
}

impl Wanted {
    /// What the parameters of a list say.
    pub fn of_query(query: &ListQuery) -> Result<Self, Problem> {
        Ok(Self {
            state: query.word("state", "due, waiting, in_flight or held")?,
            domain: query.read("domain", Host::parse)?,
            sender: query.read("sender", Sender::parse)?,
            recipient: query.read("recipient", Address::parse)?,
            before: query.time("before")?,
            after: query.time("after")?,
        })
    }

    /// The same for the audit: what is not asked for is null.
    pub fn as_json(&self) -> Value {
        json!({
            "state": self.state,
            "domain": self.domain.as_ref().map(Host::to_string),
            "sender": self.sender.as_ref().map(|sender| match sender {
                Sender::Null => NULL_SENDER.to_owned(),
                Sender::Address(address) => address.to_string(),
            }),
            "recipient": self.recipient.as_ref().map(Address::to_string),
            "before": self.before.map(Timestamp::rfc3339),
            "after": self.after.map(Timestamp::rfc3339),
        })
    }

    /// The first `limit` entries behind `after` that can be wanted; fewer at the end alone. Each is still to be compared
    /// by [`Wanted::takes`].
    pub fn fetch(
        &self,
        read: &impl Read,
        claims: &Claims,
        now: Timestamp,
        after: Option<QueueId>,
        limit: usize,
    ) -> Result<Vec<Row>, StoreError> {
        // An id begins with its time.
        let (mut rows, mut after) = (Vec::new(), after.max(self.after.and_then(just_before)));
        loop {
            let left = limit.saturating_sub(rows.len());
            let mut entries: Vec<Waiting> = match (&self.domain, &self.sender) {
                (Some(domain), _) => queue::entries_of_domain(read, &domain.to_string(), after, left)?,
                (None, Some(sender)) => queue::entries_of_sender(read, sender.address(), after, left)?,
                (None, None) => queue::entries(read, after, left)?,
            };
            after = entries.last().map(|one| one.id).or(after);
            entries.retain(|one| self.before.is_none_or(|before| one.id.message.at() < before));
            let is_end = entries.len() < left;
            rows.extend(Row::gather(read, claims, now, entries)?);
            // As many again as have lost their message.
            if is_end || rows.len() >= limit {
                return Ok(rows);
            }
        }
    }

    /// Whether an entry is wanted.
    pub fn takes(&self, row: &Row) -> bool {
        let is_from = |sender: &Sender| match (sender, &row.message.sender) {
            (Sender::Null, sender) => sender.is_none(),
            (Sender::Address(wanted), Some(sender)) => wanted.key() == sender.key(),
            (Sender::Address(_), None) => false,
        };
        self.state.is_none_or(|state| row.state == state)
            && self.domain.as_ref().is_none_or(|domain| row.entry.recipient.host == *domain)
            && self.sender.as_ref().is_none_or(is_from)
            && self.recipient.as_ref().is_none_or(|wanted| wanted.key() == row.entry.recipient.key())
            && self.after.is_none_or(|after| row.id.message.at() >= after)
            && self.before.is_none_or(|before| row.id.message.at() < before)
    }
}

/// The last id that an entry could have before that time.
fn just_before(at: Timestamp) -> Option<QueueId> {
    let first = at.ms().checked_shl(16).filter(|first| first >> 16 == at.ms()).unwrap_or(u64::MAX);
    first.checked_sub(1).map(|last| QueueId { message: MessageId(last), number: u32::MAX })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_before_a_time_are_passed_over() {
        let at = |ms: u64, sequence: u64| QueueId { message: MessageId(ms << 16 | sequence), number: 3 };
        let edge = just_before(Timestamp(1000)).unwrap();
        assert!(at(999, 65_535) < edge && edge < QueueId { number: 0, ..at(1000, 0) });
        assert_eq!(just_before(Timestamp(0)), None);
        assert!(just_before(Timestamp(u64::MAX)).unwrap() > at(1 << 47, 0));
    }
}
