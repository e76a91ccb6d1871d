use serde::{Deserialize, Serialize};

use super::route::ROUTE_TOPIC;
use super::route_change::{RouteRefused, check_text};
use super::rule_change::RuleRefused;
use crate::base::{Timestamp, limits};
use crate::postcard_row;
use crate::store::{Halt, Op, Read, StoreError, Table, Topic, Tx};

/// The pause of all that goes out, at 0.
pub(super) static PAUSE: Table<u8, Pause> = Table::new("queue_pause");

/// Nobody is dialled, and no peer is served, until an operator ends it or its time is over. Mail waits where it is; what
/// is being sent goes on to its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// Why, for people.
    pub reason: String,
    /// When it ends by itself; `None`: never.
    pub until: Option<Timestamp>,
    /// Since when.
    pub since: Timestamp,
}
postcard_row!(Pause, 1);

/// The pause that there is; `None` where there is none, or its time is over.
///
/// # Errors
/// [`StoreError`].
pub fn pause(read: &impl Read, now: Timestamp) -> Result<Option<Pause>, StoreError> {
    Ok(read.get(&PAUSE, &0)?.filter(|pause| pause.until.is_none_or(|until| now < until)))
}

/// Begins a pause, or changes the one that there is. Announces [`ROUTE_TOPIC`].
pub struct PutPause {
    /// Why.
    pub reason: String,
    /// When it ends by itself.
    pub until: Option<Timestamp>,
    /// Now.
    pub at: Timestamp,
}

impl Op for PutPause {
    type Plan = Timestamp;
    type Out = Pause;
    type Refused = RuleRefused;

    fn name(&self) -> &'static str {
        "queue.put_pause"
    }

    fn runs_when_full(&self) -> bool {
        true
    }

    fn check(&self, tx: &Tx<'_>) -> Result<Timestamp, Halt<RuleRefused>> {
        let field = |name, what: &str| Err(Halt::Refused(RuleRefused::Field(name, what.to_owned())));
        if let Err(RouteRefused::Field(name, what)) = check_text("reason", &self.reason, limits::NOTE_BYTES) {
            return field(name, &what);
        }
        if self.reason.is_empty() {
            return field("reason", "say why: it is shown with the queue");
        }
        if self.until.is_some_and(|until| until <= self.at) {
            return field("until", "this time has passed");
        }
        Ok(pause(tx, self.at)?.map_or(self.at, |pause| pause.since))
    }

    fn apply(&self, tx: &mut Tx<'_>, since: Timestamp) -> Result<Pause, StoreError> {
        let pause = Pause { reason: self.reason.clone(), until: self.until, since };
        tx.put(&PAUSE, &0, &pause)?;
        tx.announce(Topic(ROUTE_TOPIC, 0));
        Ok(pause)
    }
}

/// Ends the pause, if there is one. Announces [`ROUTE_TOPIC`].
pub struct EndPause;

impl Op for EndPause {
    type Plan = ();
    type Out = ();
    type Refused = RuleRefused;

    fn name(&self) -> &'static str {
        "queue.end_pause"
    }

    fn runs_when_full(&self) -> bool {
        true
    }

    fn check(&self, _: &Tx<'_>) -> Result<(), Halt<RuleRefused>> {
        Ok(())
    }

    fn apply(&self, tx: &mut Tx<'_>, (): ()) -> Result<(), StoreError> {
        tx.remove(&PAUSE, &0)?;
        tx.announce(Topic(ROUTE_TOPIC, 0));
        Ok(())
    }
}
