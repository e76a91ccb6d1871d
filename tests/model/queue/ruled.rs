//! A rule that holds some mail, in one change with what it holds: so no other step meets it.

use std::convert::Infallible;

use pillarbox::base::{Address, QueueId, Timestamp};
use pillarbox::directory::Precondition;
use pillarbox::queue::{DeleteRule, HoldByRule, PutRule, RuleAction, RuleFields, RuleMatch, RuleRefused};
use pillarbox::store::{Halt, Op, StoreError, Tx};

/// Its name, and why.
const RULE: &str = "spree";
const WHY: &str = "asked them";
/// What is said of what it holds.
pub const REASON: &str = "asked them (rule spree)";

/// Holds an entry by a rule for its recipient.
pub struct Ruled {
    pub entry: QueueId,
    pub recipient: Address,
    pub at: Timestamp,
}

impl Op for Ruled {
    type Plan = ();
    type Out = ();
    type Refused = Infallible;

    fn name(&self) -> &'static str {
        "ruled"
    }

    fn check(&self, _: &Tx<'_>) -> Result<(), Halt<Infallible>> {
        Ok(())
    }

    fn apply(&self, tx: &mut Tx<'_>, (): ()) -> Result<(), StoreError> {
        let matches = RuleMatch::Recipient(self.recipient.clone());
        let fields = RuleFields { matches, action: RuleAction::Hold, reason: WHY.into(), until: None };
        let put = PutRule { name: RULE.into(), fields, precondition: Precondition::None, at: self.at };
        let plan = put.check(tx).map_err(broken)?;
        put.apply(tx, plan)?;
        HoldByRule { entries: vec![self.entry], at: self.at }.apply(tx, ())?;
        let delete = DeleteRule { name: RULE.into(), precondition: Precondition::None };
        let plan = delete.check(tx).map_err(broken)?;
        delete.apply(tx, plan)
    }
}

fn broken(halt: Halt<RuleRefused>) -> StoreError {
    match halt {
        Halt::Broken(error) => error,
        Halt::Refused(refused) => panic!("a rule was refused: {refused}"),
    }
}
