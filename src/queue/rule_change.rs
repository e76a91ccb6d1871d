use super::QUEUE_TOPIC;
use super::entry::{message_of, replace};
use super::park::{each_at_rest, note};
use super::route::ROUTE_TOPIC;
use super::route_change::{RouteRefused, check_name, check_text};
use super::row::{Entry, NEVER, State};
use super::rule::{
    RULE_PLACES, RULE_VERSION, RULES, Rule, RuleAction, RuleFields, RuleMatch, RuleName, Rules, highest_version, rule,
};
use crate::base::{QueueId, Timestamp, limits};
use crate::directory::{Precondition, Put};
use crate::store::{Halt, Op, Read, Span, StoreError, Topic, Tx};
use crate::trace::Kind;

/// Why a rule is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuleRefused {
    /// The precondition does not hold; the version that is there.
    #[error("the rule was changed meanwhile")]
    Precondition(Option<u64>),
    /// Another rule is for the same mail.
    #[error("the rule {0} is for the same mail")]
    Taken(String),
    /// No such rule.
    #[error("there is no such rule")]
    Unknown,
    /// There are as many as there may be.
    #[error("there are {} rules already", limits::QUEUE_RULES)]
    TooMany,
    /// A field has a value that it can't have; the first is its name.
    #[error("{0}: {1}")]
    Field(&'static str, String),
}

/// Creates or replaces a rule; `Out` says whether it is new. Announces [`ROUTE_TOPIC`].
pub struct PutRule {
    /// Its name: 1 to 64 of `a-z`, `0-9`, `.`, `_` and `-`, a letter or digit first.
    pub name: String,
    /// What is set.
    pub fields: RuleFields,
    /// What must hold.
    pub precondition: Precondition,
    /// Now.
    pub at: Timestamp,
}

impl Op for PutRule {
    type Plan = Option<Rule>;
    type Out = Put<Rule>;
    type Refused = RuleRefused;

    fn name(&self) -> &'static str {
        "queue.put_rule"
    }

    fn runs_when_full(&self) -> bool {
        true
    }

    fn check(&self, tx: &Tx<'_>) -> Result<Option<Rule>, Halt<RuleRefused>> {
        let old = rule(tx, &self.name)?;
        check_precondition(self.precondition, old.as_ref()).map_err(Halt::Refused)?;
        check_fields(&self.name, &self.fields, self.at).map_err(Halt::Refused)?;
        match tx.get(&RULE_PLACES, &self.fields.matches.place())? {
            Some(RuleName(holder)) if holder != self.name => return Err(Halt::Refused(RuleRefused::Taken(holder))),
            _ => {}
        }
        if old.is_none() && tx.keys(&RULES, Span::all(), limits::QUEUE_RULES)?.len() == limits::QUEUE_RULES {
            return Err(Halt::Refused(RuleRefused::TooMany));
        }
        Ok(old)
    }

    fn apply(&self, tx: &mut Tx<'_>, old: Option<Rule>) -> Result<Put<Rule>, StoreError> {
        if let Some(old) = &old {
            tx.remove(&RULE_PLACES, &old.fields.matches.place())?;
        }
        let row = Rule {
            name: self.name.clone(),
            fields: self.fields.clone(),
            version: tx.next(RULE_VERSION, highest_version)?,
            created_at: old.as_ref().map_or(self.at, |old| old.created_at),
            changed_at: self.at,
        };
        tx.put(&RULES, &self.name, &row)?;
        tx.put(&RULE_PLACES, &row.fields.matches.place(), &RuleName(self.name.clone()))?;
        tx.announce(Topic(ROUTE_TOPIC, 0));
        Ok(Put { row, created: old.is_none() })
    }
}

/// Deletes a rule: what it has suspended goes, what it holds stays held. Announces [`ROUTE_TOPIC`].
pub struct DeleteRule {
    /// Its name.
    pub name: String,
    /// What must hold.
    pub precondition: Precondition,
}

impl Op for DeleteRule {
    type Plan = Rule;
    type Out = ();
    type Refused = RuleRefused;

    fn name(&self) -> &'static str {
        "queue.delete_rule"
    }

    fn runs_when_full(&self) -> bool {
        true
    }

    fn check(&self, tx: &Tx<'_>) -> Result<Rule, Halt<RuleRefused>> {
        let old = rule(tx, &self.name)?.ok_or(Halt::Refused(RuleRefused::Unknown))?;
        check_precondition(self.precondition, Some(&old)).map_err(Halt::Refused)?;
        Ok(old)
    }

    fn apply(&self, tx: &mut Tx<'_>, old: Rule) -> Result<(), StoreError> {
        tx.remove(&RULES, &self.name)?;
        tx.remove(&RULE_PLACES, &old.fields.matches.place())?;
        tx.announce(Topic(ROUTE_TOPIC, 0));
        Ok(())
    }
}

/// Holds waiting entries that a rule is for, until that ends. Those that are gone, that wait for something else, that an
/// operator has released, in an open attempt, or that no rule holds any more are passed over.
pub struct HoldByRule {
    /// Which.
    pub entries: Vec<QueueId>,
    /// Now.
    pub at: Timestamp,
}

impl Op for HoldByRule {
    type Plan = ();
    type Out = ();
    type Refused = std::convert::Infallible;

    fn name(&self) -> &'static str {
        "queue.hold_by_rule"
    }

    fn weight_bytes(&self) -> usize {
        512 * (self.entries.len() + 1)
    }

    fn runs_when_full(&self) -> bool {
        true
    }

    fn check(&self, _: &Tx<'_>) -> Result<(), Halt<Self::Refused>> {
        Ok(())
    }

    fn apply(&self, tx: &mut Tx<'_>, (): ()) -> Result<(), StoreError> {
        let rules = Rules::at(tx, self.at)?;
        each_at_rest(tx, &self.entries, |tx, id, entry| {
            if entry.state != (State::Waiting { released: false }) {
                return Ok(());
            }
            let message = message_of(tx, id)?;
            let rule = rules.of(tx, &entry, message.sender.as_ref(), false)?;
            let Some(rule) = rule.filter(|rule| rule.fields.action == RuleAction::Hold) else { return Ok(()) };
            let reason = rule.reason();
            let text = rule.fields.until.map_or_else(|| reason.clone(), |until| format!("{reason} (until {until})"));
            note(tx, id, &entry, Kind::Held, text, self.at)?;
            let due = rule.fields.until.unwrap_or(NEVER);
            replace(tx, id, &entry, &Entry { state: State::Held { reason }, due, ..entry.clone() })
        })?;
        tx.announce(Topic(QUEUE_TOPIC, 0));
        Ok(())
    }
}

fn check_precondition(precondition: Precondition, old: Option<&Rule>) -> Result<(), RuleRefused> {
    let version = old.map(|old| old.version);
    precondition.check(version).map_err(|_| RuleRefused::Precondition(version))
}

fn check_fields(name: &str, fields: &RuleFields, now: Timestamp) -> Result<(), RuleRefused> {
    let as_rule = |refused| match refused {
        RouteRefused::Field(field, what) => RuleRefused::Field(field, what),
        _ => RuleRefused::Field("name", refused.to_string()),
    };
    check_name(name).and_then(|()| check_text("reason", &fields.reason, limits::NOTE_BYTES)).map_err(as_rule)?;
    if fields.reason.is_empty() {
        return Err(RuleRefused::Field("reason", "say why: it is shown with what is held".into()));
    }
    if matches!(fields.matches, RuleMatch::Server(_)) && fields.action == RuleAction::Hold {
        return Err(RuleRefused::Field("action", "mail for a server can be suspended, and not held".into()));
    }
    match fields.until {
        Some(until) if until <= now => Err(RuleRefused::Field("expires_at", "this time has passed".into())),
        _ => Ok(()),
    }
}
