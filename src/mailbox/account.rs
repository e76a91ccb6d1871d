use super::folder_op::add_first_mailboxes;
use super::going::{Going, let_account_go};
use crate::base::{Address, Timestamp};
use crate::directory::{
    self, Account, AccountChange, AccountPlan, Former, FormerPlan, Precondition, Put, Refused, Remade,
};
use crate::store::{Halt, Op, StoreError, Tx};

/// Creates or replaces an account; a new one gets its mailboxes.
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

    fn check(&self, tx: &Tx<'_>) -> Result<AccountPlan, Halt<Refused>> {
        directory::plan_account(tx, &self.0)
    }

    fn apply(&self, tx: &mut Tx<'_>, plan: AccountPlan) -> Result<Put<Account>, StoreError> {
        let put = directory::write_account(tx, &self.0, plan)?;
        if put.created {
            add_first_mailboxes(tx, put.row.id, self.0.at)?;
        }
        Ok(put)
    }
}

/// Makes an account again that a copy of the file has and that is here no more, with the mailboxes of a new one.
#[derive(Clone)]
pub struct RestoreAccount {
    /// As the copy has it.
    pub former: Former,
    /// Now.
    pub at: Timestamp,
}

impl Op for RestoreAccount {
    type Plan = FormerPlan;
    type Out = Remade;
    type Refused = Refused;

    fn name(&self) -> &'static str {
        "mailbox.restore_account"
    }

    fn check(&self, tx: &Tx<'_>) -> Result<FormerPlan, Halt<Refused>> {
        directory::plan_former(tx, &self.former, self.at)
    }

    fn apply(&self, tx: &mut Tx<'_>, plan: FormerPlan) -> Result<Remade, StoreError> {
        let remade = directory::write_former(tx, &self.former, plan)?;
        add_first_mailboxes(tx, remade.account.id, self.at)?;
        Ok(remade)
    }
}

/// Deletes an account with its credentials and all its mail: from here on there is no such account, and [`super::sweep`]
/// removes what it had.
#[derive(Debug, Clone)]
pub struct DeleteAccount {
    /// Its address.
    pub address: Address,
    /// What it depends on.
    pub precondition: Precondition,
    /// Who does it, for the trace of its messages, as in `http token 1f2e`.
    pub by: String,
    /// Now.
    pub at: Timestamp,
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

    fn check(&self, tx: &Tx<'_>) -> Result<Account, Halt<Refused>> {
        let account = directory::account(tx, &self.address)?.ok_or(Halt::Refused(Refused::NotFound))?;
        self.precondition.check(Some(account.version)).map_err(Halt::Refused)?;
        Ok(account)
    }

    fn apply(&self, tx: &mut Tx<'_>, account: Account) -> Result<(), StoreError> {
        directory::remove_account(tx, &account)?;
        let going = Going {
            owner: Some(account.address.to_string()),
            mailbox: None,
            by: self.by.clone(),
            at: self.at,
            text: "the account was deleted".to_owned(),
            // Who deletes an account wants its mail to be gone.
            is_kept: false,
        };
        let_account_go(tx, account.id, &going)
    }
}
