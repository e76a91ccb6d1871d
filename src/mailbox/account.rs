use super::expunge::Removal;
use super::folder::mailboxes;
use super::folder_op::{add_first_mailboxes, remove_mailbox};
use super::row::{SUBSCRIPTIONS, USAGE};
use crate::base::{Address, Timestamp, limits};
use crate::directory::{self, Account, AccountChange, AccountPlan, Precondition, Put, Refused};
use crate::store::{Halt, Op, Read, Span, StoreError, Tx};

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

/// Deletes an account with its credentials and all its mail.
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

    fn weight_bytes(&self) -> usize {
        // It may be long: nothing else waits in its batch.
        limits::BATCH_BYTES
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
        // Who deletes an account wants its mail to be gone.
        let text = "the account was deleted";
        let removal = Removal { by: &self.by, peer_ip: None, at: self.at, text, is_kept: false };
        for (id, _) in mailboxes(tx, account.id)? {
            remove_mailbox(tx, id, &removal)?;
        }
        for (key, _) in tx.rows(&SUBSCRIPTIONS, Span::prefix(&account.id), usize::MAX)? {
            tx.remove(&SUBSCRIPTIONS, &key)?;
        }
        tx.remove(&USAGE, &account.id)?;
        directory::remove_account(tx, &account)
    }
}
