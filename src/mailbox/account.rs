use crate::base::Address;
use crate::directory::{Account, AccountChange, AccountPlan, Precondition, Put, Refused};
use crate::store::{Halt, Op, StoreError, Tx};

/// The mailbox that every account has.
pub(super) const INBOX: &str = "INBOX";

/// Creates or replaces an account; a new one gets its INBOX.
#[derive(Clone)]
pub struct PutAccount(pub AccountChange);

impl Op for PutAccount {
    type Plan = AccountPlan;
    type Out = Put<Account>;
    type Refused = Refused;

    fn name(&self) -> &'static str {
        "mailbox.put_account"
    }

    fn runs_when_full(&self) -> bool {
        true
    }

    fn check(&self, _tx: &Tx<'_>) -> Result<AccountPlan, Halt<Refused>> {
        todo!()
    }

    fn apply(&self, _tx: &mut Tx<'_>, _plan: AccountPlan) -> Result<Put<Account>, StoreError> {
        todo!()
    }
}

/// Deletes an account with its credentials and all its mail.
#[derive(Debug, Clone)]
pub struct DeleteAccount {
    /// Its address.
    pub address: Address,
    /// What it depends on.
    pub precondition: Precondition,
}

impl Op for DeleteAccount {
    type Plan = Account;
    type Out = ();
    type Refused = Refused;

    fn name(&self) -> &'static str {
        "mailbox.delete_account"
    }

    fn runs_when_full(&self) -> bool {
        true
    }

    fn check(&self, _tx: &Tx<'_>) -> Result<Account, Halt<Refused>> {
        todo!()
    }

    fn apply(&self, _tx: &mut Tx<'_>, _account: Account) -> Result<(), StoreError> {
        todo!()
    }
}
