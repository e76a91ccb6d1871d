use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};

use super::row::Entry;
use crate::base::{Address, DomainName, Host, Timestamp};
use crate::postcard_row;
use crate::store::{Read, Span, StoreError, Table};

/// The counter of the rules' versions.
pub(super) const RULE_VERSION: &str = "queue.rule_version";

/// The rules, by name.
pub(super) static RULES: Table<String, Rule> = Table::new("queue_rules");
/// The rule for each kind of mail: see [`RuleMatch::place`].
pub(super) static RULE_PLACES: Table<(u8, String), RuleName> = Table::new("queue_rule_places");

/// A rule's name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RuleName(pub(super) String);
postcard_row!(RuleName, 1);

/// What an operator has decided for some mail on its way out, what is queued and what comes in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// Its name.
    pub name: String,
    /// What an operator sets.
    pub fields: RuleFields,
    /// Changes with every change of the row, and never comes back.
    pub version: u64,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub changed_at: Timestamp,
}
postcard_row!(Rule, 1);

/// What an operator sets of a rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleFields {
    /// Which mail.
    pub matches: RuleMatch,
    /// What becomes of it.
    pub action: RuleAction,
    /// Why, for people.
    pub reason: String,
    /// When it ends by itself; `None`: never.
    pub until: Option<Timestamp>,
}

/// Which mail a rule is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum RuleMatch {
    /// Mail to this address.
    Recipient(Address),
    /// Mail from this address.
    Sender(Address),
    /// Mail from any address of this domain.
    SenderDomain(DomainName),
    /// Mail to this domain.
    Domain(DomainName),
    /// Mail that would be given to the server of this name. It can only be suspended: that is known when it is dialled.
    Server(Host),
}

/// What becomes of mail by a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RuleAction {
    /// Each entry is held when its time comes, until it is released or the rule's time is over. It does not expire.
    Hold,
    /// It waits where it is, and nobody is dialled for it. It goes when the rule does.
    Suspend,
}

impl RuleMatch {
    /// Where a rule for this mail is found.
    pub(super) fn place(&self) -> (u8, String) {
        match self {
            Self::Recipient(address) => (0, address.key()),
            Self::Sender(address) => (1, address.key()),
            Self::SenderDomain(domain) => (2, domain.to_string()),
            Self::Domain(domain) => (3, domain.to_string()),
            Self::Server(host) => (4, host.to_string()),
        }
    }
}

impl Rule {
    /// Whether its time is not over.
    pub fn is_on(&self, now: Timestamp) -> bool {
        self.fields.until.is_none_or(|until| now < until)
    }

    /// Why something is held by it, for people.
    pub fn reason(&self) -> String {
        format!("{} (rule {})", self.fields.reason, self.name)
    }
}

/// The rules for mail, for a look at many entries: where there is none, that is known at once.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    is_empty: bool,
    now: Timestamp,
}

impl Rules {
    /// Those that are there now.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn at(read: &impl Read, now: Timestamp) -> Result<Self, StoreError> {
        Ok(Self { is_empty: read.keys(&RULE_PLACES, Span::all(), 1)?.is_empty(), now })
    }

    /// The rule for an entry of a message from that sender: one that holds goes before one that suspends, among these
    /// that for the recipient first, then for the sender, its domain, the recipient's domain. What is `released` goes out
    /// by hand: no rule holds it, but what is suspended waits.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn of(
        self,
        read: &impl Read,
        entry: &Entry,
        sender: Option<&Address>,
        released: bool,
    ) -> Result<Option<Rule>, StoreError> {
        if self.is_empty {
            return Ok(None);
        }
        let places = [
            Some(RuleMatch::Recipient(entry.recipient.clone())),
            sender.cloned().map(RuleMatch::Sender),
            sender.and_then(|sender| sender.host.name()).cloned().map(RuleMatch::SenderDomain),
            entry.recipient.host.name().cloned().map(RuleMatch::Domain),
        ];
        let mut suspends = None;
        for place in places.into_iter().flatten() {
            match self.found(read, &place)? {
                Some(rule) if rule.fields.action == RuleAction::Hold => {
                    if !released {
                        return Ok(Some(rule));
                    }
                }
                rule => suspends = suspends.or(rule),
            }
        }
        Ok(suspends)
    }

    /// The rule for a server.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn of_server(self, read: &impl Read, name: &str) -> Result<Option<Rule>, StoreError> {
        match Host::parse(name) {
            Ok(host) if !self.is_empty => self.found(read, &RuleMatch::Server(host)),
            _ => Ok(None),
        }
    }

    fn found(self, read: &impl Read, matches: &RuleMatch) -> Result<Option<Rule>, StoreError> {
        let Some(RuleName(name)) = read.get(&RULE_PLACES, &matches.place())? else { return Ok(None) };
        Ok(read.get(&RULES, &name)?.filter(|rule| rule.is_on(self.now)))
    }
}

/// The rule of that name.
///
/// # Errors
/// [`StoreError`].
pub fn rule(read: &impl Read, name: &str) -> Result<Option<Rule>, StoreError> {
    read.get(&RULES, &name.to_owned())
}

/// The first `limit` rules behind `after`, by name; also those whose time is over.
///
/// # Errors
/// [`StoreError`].
pub fn rules(read: &impl Read, after: Option<&str>, limit: usize) -> Result<Vec<Rule>, StoreError> {
    let span = match after {
        Some(after) => Span::all().after(&after.to_owned()),
        None => Span::all(),
    };
    Ok(read.rows(&RULES, span, limit)?.into_iter().map(|(_, rule)| rule).collect())
}

/// The highest version that a rule has.
pub(super) fn highest_version(read: &impl Read) -> Result<u64, StoreError> {
    let mut highest = 0;
    read.scan(&RULES, Span::all(), |_, rule| {
        highest = highest.max(rule.version);
        ControlFlow::Continue(())
    })?;
    Ok(highest)
}
