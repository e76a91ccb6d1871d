use super::expunge::{Removal, remove_messages};
use super::row::{MAILBOX_BY_NAME, MAILBOXES, MESSAGES, MODSEQ_LOG, Mailbox, MailboxRef, USAGE};
use super::{INBOX, MAILBOX_TOPIC};
use crate::base::{AccountId, Address, MailboxId, ModSeq, Timestamp, Uid};
use crate::directory::{self, Account, AccountChange, AccountPlan, Precondition, Put, Refused};
use crate::store::{Halt, Op, Read, Span, StoreError, Topic, Tx};

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

    fn check(&self, tx: &Tx<'_>) -> Result<AccountPlan, Halt<Refused>> {
        directory::plan_account(tx, &self.0)
    }

    fn apply(&self, tx: &mut Tx<'_>, plan: AccountPlan) -> Result<Put<Account>, StoreError> {
        let put = directory::write_account(tx, &self.0, plan)?;
        if put.created {
            create_mailbox(tx, put.row.id, INBOX, self.0.at)?;
        }
        Ok(put)
    }
}

fn create_mailbox(tx: &mut Tx<'_>, account: AccountId, name: &str, at: Timestamp) -> Result<MailboxId, StoreError> {
    let number = tx.next("mailbox.mailbox")?;
    let id = MailboxId(u32::try_from(number).map_err(|_| StoreError::Damaged {
        table: "counters",
        what: format!("mailbox number {number} does not fit"),
    })?);
    let mailbox = Mailbox {
        account,
        name: name.to_owned(),
        // RFC 9051 §2.3.1.1: the time of creation makes a new mailbox of an old name another one.
        uid_validity: u32::try_from(at.ms() / 1000).unwrap_or(u32::MAX).max(1),
        uid_next: Uid(1),
        // RFC 7162 §3.1.2.1: never 0
        modseq: ModSeq(1),
        messages: 0,
        size_bytes: 0,
    };
    tx.put(&MAILBOXES, &id, &mailbox)?;
    tx.put(&MAILBOX_BY_NAME, &(account, name.to_owned()), &MailboxRef(id))?;
    Ok(id)
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

    fn runs_when_full(&self) -> bool {
        true
    }

    fn check(&self, tx: &Tx<'_>) -> Result<Account, Halt<Refused>> {
        let account = directory::account(tx, &self.address)?.ok_or(Halt::Refused(Refused::NotFound))?;
        self.precondition.check(Some(account.version)).map_err(Halt::Refused)?;
        Ok(account)
    }

    fn apply(&self, tx: &mut Tx<'_>, account: Account) -> Result<(), StoreError> {
        let removal = Removal { by: &self.by, peer_ip: None, at: self.at, text: "the account was deleted" };
        for ((_, name), MailboxRef(id)) in tx.rows(&MAILBOX_BY_NAME, Span::prefix(&account.id), usize::MAX)? {
            let mut uids = Vec::new();
            tx.scan(&MESSAGES, Span::prefix(&id), |(_, uid), _| {
                uids.push(uid);
                std::ops::ControlFlow::Continue(())
            })?;
            remove_messages(tx, id, &uids, &removal)?;
            for (key, _) in tx.rows(&MODSEQ_LOG, Span::prefix(&id), usize::MAX)? {
                tx.remove(&MODSEQ_LOG, &key)?;
            }
            tx.remove(&MAILBOXES, &id)?;
            tx.remove(&MAILBOX_BY_NAME, &(account.id, name))?;
            tx.announce(Topic(MAILBOX_TOPIC, u64::from(id.0)));
        }
        tx.remove(&USAGE, &account.id)?;
        directory::remove_account(tx, &account)
    }
}
