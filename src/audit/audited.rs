use std::convert::Infallible;

use serde_json::Value;

use super::row::{Act, AuditRow, add, get, put};
use crate::base::{AuditId, Timestamp};
use crate::store::{Halt, Op, StoreError, Tx};

/// An op with its row in the audit, in one transaction: neither is there without the other. `F` shows the thing that it
/// changes, as JSON; it is called before and after.
pub struct Audited<O, F> {
    /// The change.
    pub op: O,
    /// Who makes it.
    pub act: Act,
    /// What is changed, by its name.
    pub target: String,
    /// Now.
    pub at: Timestamp,
    /// Shows it; `None` where it is not there.
    pub show: F,
}

impl<O, F> Op for Audited<O, F>
where
    O: Op,
    F: Fn(&Tx<'_>) -> Result<Option<Value>, StoreError> + Send + 'static,
{
    type Plan = (O::Plan, Option<Value>);
    type Out = O::Out;
    type Refused = O::Refused;

    fn name(&self) -> &'static str {
        self.op.name()
    }

    fn weight_bytes(&self) -> usize {
        self.op.weight_bytes() + 1024
    }

    fn runs_when_full(&self) -> bool {
        self.op.runs_when_full()
    }

    fn is_expendable(&self) -> bool {
        self.op.is_expendable()
    }

    fn check(&self, tx: &Tx<'_>) -> Result<Self::Plan, Halt<O::Refused>> {
        let plan = self.op.check(tx)?;
        Ok((plan, (self.show)(tx)?))
    }

    fn apply(&self, tx: &mut Tx<'_>, (plan, before): Self::Plan) -> Result<O::Out, StoreError> {
        let out = self.op.apply(tx, plan)?;
        let after = (self.show)(tx)?;
        add(tx, &AuditRow::new(self.at, self.act.clone(), self.target.clone(), before, after))?;
        Ok(out)
    }
}

/// A row alone: for what was read, and for what one transaction does not do.
#[derive(Debug, Clone)]
pub struct Note {
    /// Who does it.
    pub act: Act,
    /// To what.
    pub target: String,
    /// Now.
    pub at: Timestamp,
    /// What is to be said of it.
    pub after: Option<Value>,
}

impl Op for Note {
    type Plan = ();
    type Out = AuditId;
    type Refused = Infallible;

    fn name(&self) -> &'static str {
        "audit.note"
    }

    fn runs_when_full(&self) -> bool {
        true
    }

    fn check(&self, _: &Tx<'_>) -> Result<(), Halt<Infallible>> {
        Ok(())
    }

    fn apply(&self, tx: &mut Tx<'_>, (): ()) -> Result<AuditId, StoreError> {
        add(tx, &AuditRow::new(self.at, self.act.clone(), self.target.clone(), None, self.after.clone()))
    }
}

/// Says in a row that is there what has come of it: of work that many transactions have done.
#[derive(Debug, Clone)]
pub struct Complete {
    /// The row.
    pub id: AuditId,
    /// What has come of it.
    pub after: Value,
}

impl Op for Complete {
    type Plan = Option<AuditRow>;
    type Out = ();
    type Refused = Infallible;

    fn name(&self) -> &'static str {
        "audit.complete"
    }

    fn runs_when_full(&self) -> bool {
        true
    }

    fn check(&self, tx: &Tx<'_>) -> Result<Option<AuditRow>, Halt<Infallible>> {
        Ok(get(tx, self.id)?)
    }

    fn apply(&self, tx: &mut Tx<'_>, row: Option<AuditRow>) -> Result<(), StoreError> {
        let Some(mut row) = row else { return Ok(()) };
        row.complete(self.after.clone());
        put(tx, self.id, &row)
    }
}
