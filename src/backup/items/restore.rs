use std::convert::Infallible;
use std::sync::Arc;

use serde_json::Value;
use tokio::sync::Mutex;

use super::carry::{Loaded, StageError, load, stage};
use super::outcome::Outcome;
use super::source::{Folder, Source, Wanted};
use super::survey::missing;
use crate::base::{Clock, MailboxId, MessageId, Uid, limits, mailbox_name};
use crate::directory::{self, Account, Refused};
use crate::job::Progress;
use crate::jobs::{Failed, Task};
use crate::mailbox::{self, RestoreAccount, RestoreMailbox, RestoreMessages, Returning};
use crate::store::{Store, StoreError, WriteError};

/// One restore at a time: what one has found to be missing, no other brings back meanwhile.
pub(super) static TURN: Mutex<()> = Mutex::const_new(());

/// What is to be brought back, from where, and for whom.
pub struct Order {
    /// The copy.
    pub source: Source,
    /// What of it.
    pub wanted: Wanted,
    /// The account may be made again where it is missing: who asks may give all that it may do.
    pub may_make: bool,
    /// Who asks for it, for the trace, as in `http owner`.
    pub by: String,
    /// The file that the server has open.
    pub store: Store,
    /// The clock.
    pub clock: Arc<dyn Clock>,
}

/// Why it did not go on.
#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error("it was cancelled")]
    Cancelled,
    #[error("the disk is full")]
    Full,
    #[error("{address} can't be made again: {refused}")]
    Account { address: String, refused: Refused },
    #[error("the account was deleted meanwhile")]
    Gone,
    #[error("{0}")]
    Other(String),
}

impl From<StoreError> for Broken {
    fn from(error: StoreError) -> Self {
        Self::Other(error.to_string())
    }
}

impl From<WriteError<Infallible>> for Broken {
    fn from(error: WriteError<Infallible>) -> Self {
        Self::of(error, |never| match never {})
    }
}

impl Broken {
    fn of<R>(error: WriteError<R>, refused: impl FnOnce(R) -> Self) -> Self {
        match error {
            WriteError::Refused(reason) => refused(reason),
            WriteError::Full => Self::Full,
            WriteError::Panicked | WriteError::Damaged(_) => {
                Self::Other("a fault of the server: it is in the server's log".into())
            }
            WriteError::Closed(what) => Self::Other(what),
        }
    }
}

/// The work of a job that brings accounts, mailboxes or messages back, in transactions of bounded size. What is here
/// already is passed over: after a crash, or when it was cancelled, it may be run again.
///
/// # Errors
/// [`Failed`], with what was done all the same.
pub async fn restore(order: Order, task: Task) -> Result<Value, Failed> {
    let (backup, account) = (order.source.backup, order.wanted.account.clone());
    let mut work = Work { order, outcome: Outcome::default(), passed: 0, task };
    let done = work.run().await;
    let Work { outcome, .. } = work;
    let result = outcome.as_json(backup, account);
    match done.map_err(|broken| broken.to_string()).map(|()| outcome.problem()) {
        Ok(None) => Ok(result),
        Ok(Some(problem)) | Err(problem) => Err(Failed { problem, result: Some(result) }),
    }
}

struct Work {
    order: Order,
    outcome: Outcome,
    /// Messages of the copy that were passed by or brought back.
    passed: u64,
    task: Task,
}

impl Work {
    async fn run(&mut self) -> Result<(), Broken> {
        let _turn = self.task.cancel.clone().run_until_cancelled_owned(TURN.lock()).await.ok_or(Broken::Cancelled)?;
        let account = self.account().await?;
        let mut through = 0;
        for folder in self.order.source.folders.clone() {
            self.folder(&account, &folder).await?;
            // Those too that nobody had to look at.
            through += u64::from(folder.messages);
            self.passed = through;
            self.report();
        }
        let view = self.order.store.view()?;
        let used = mailbox::usage(&view, account.id)?;
        let quota_bytes = directory::quota_bytes(&view, &account)?;
        self.outcome.is_over_quota = quota_bytes.is_some_and(|quota_bytes| used.size_bytes > quota_bytes);
        Ok(())
    }

    /// The account here: made again where it is missing.
    async fn account(&mut self) -> Result<Account, Broken> {
        let Order { source, store, clock, may_make, .. } = &self.order;
        if let Some(account) = source.account_here(&store.view()?)? {
            self.outcome.is_account_another = source.is_another(&account);
            return Ok(account);
        }
        if !may_make {
            return Err(Broken::Gone);
        }
        let op = RestoreAccount { former: source.former.clone(), at: clock.now() };
        let address = source.former.account.address.to_string();
        let remade =
            store.write(op).await.map_err(|error| Broken::of(error, |refused| Broken::Account { address, refused }));
        let remade = remade?.into_inner();
        self.outcome.account_made = true;
        remade.aliases.iter().for_each(|address| self.outcome.aliases_made.add(address.to_string()));
        for (address, refused) in remade.left_out {
            self.outcome.aliases_left_out.add((address.to_string(), refused.to_string()));
        }
        Ok(remade.account)
    }

    /// What is meant of one mailbox, slice by slice.
    async fn folder(&mut self, account: &Account, folder: &Folder) -> Result<(), Broken> {
        let mut target = None;
        if self.order.wanted.is_whole() {
            target = self.target(account, folder).await?;
            if target.is_none() {
                return Ok(());
            }
        }
        let mut behind = Some(Uid(0));
        while let Some(from) = behind {
            if self.task.cancel.is_cancelled() {
                return Err(Broken::Cancelled);
            }
            self.report();
            let (uids, next) = self.missing_in(account, folder, from).await?;
            behind = next;
            if uids.is_empty() {
                continue;
            }
            if target.is_none() {
                target = self.target(account, folder).await?;
            }
            match target {
                Some(mailbox) => self.bring_all(account, folder, mailbox, uids).await?,
                None => return Ok(()),
            }
        }
        Ok(())
    }

    /// The next messages of a mailbox of the copy that are meant and not here, and where to go on.
    async fn missing_in(
        &mut self,
        account: &Account,
        folder: &Folder,
        behind: Uid,
    ) -> Result<(Vec<Uid>, Option<Uid>), Broken> {
        let Order { source, wanted, store, .. } = &self.order;
        let (archive, store, wanted) = (source.archive.clone(), store.clone(), wanted.clone());
        let (account, folder) = (account.clone(), folder.clone());
        let (looked_at, next, missing) = blocking(move || {
            let slice = archive.read(|view| wanted.slice(view, folder.id, behind))?;
            Ok((slice.looked_at, slice.next, missing(&store, Some(&account), &folder, slice.meant)?))
        })
        .await?;
        self.passed += (looked_at - missing.messages.len()) as u64;
        self.outcome.still_there += missing.still_there as u64;
        self.outcome.matched += (missing.messages.len() + missing.still_there) as u64;
        Ok((missing.messages.iter().map(|one| one.uid).collect(), next))
    }

    /// The mailbox into which the messages of one in the copy go; `None` where there can't be one.
    async fn target(&mut self, account: &Account, folder: &Folder) -> Result<Option<MailboxId>, Broken> {
        let Order { wanted, store, clock, .. } = &self.order;
        let name = wanted.target(&folder.name);
        if mailbox_name(&name).as_deref() != Some(name.as_str()) {
            self.outcome.mailboxes_left_out.add((name, "no mailbox can have that name".into()));
            return Ok(None);
        }
        let op = RestoreMailbox {
            account: account.id,
            name: name.clone(),
            special_use: folder.special_use.filter(|_| wanted.into.is_none()),
            subscribed: folder.subscribed || wanted.into.is_some(),
            at: clock.now(),
        };
        match store.write(op).await.map(|found| found.into_inner()) {
            Ok(found) => {
                if found.is_new {
                    self.outcome.mailboxes_made.add(name);
                }
                Ok(Some(found.id))
            }
            Err(WriteError::Refused(refused)) => {
                self.outcome.mailboxes_left_out.add((name, refused.to_string()));
                Ok(None)
            }
            Err(error) => Err(Broken::of(error, |_| Broken::Gone)),
        }
    }

    async fn bring_all(
        &mut self,
        account: &Account,
        folder: &Folder,
        mailbox: MailboxId,
        mut uids: Vec<Uid>,
    ) -> Result<(), Broken> {
        while !uids.is_empty() {
            let (archive, from) = (self.order.source.archive.clone(), folder.id);
            let (loaded, rest) = blocking(move || {
                let loaded = load(&archive, from, &uids);
                let taken = loaded.last().map_or(uids.len(), |(last, _)| {
                    uids.iter().position(|uid| uid == last).map_or(uids.len(), |place| place + 1)
                });
                Ok((loaded, uids.split_off(taken)))
            })
            .await?;
            uids = rest;
            self.bring(account, folder, mailbox, loaded).await?;
            self.report();
        }
        Ok(())
    }

    /// Brings messages over that are in memory, but for long bodies.
    async fn bring(
        &mut self,
        account: &Account,
        folder: &Folder,
        mailbox: MailboxId,
        loaded: Vec<(Uid, Loaded)>,
    ) -> Result<(), Broken> {
        let (mut batch, mut weight_bytes) = (Vec::new(), 0);
        for (uid, read) in loaded {
            self.passed += 1;
            if self.task.cancel.is_cancelled() {
                return Err(Broken::Cancelled);
            }
            let staged = match read {
                Ok((archived, body)) => {
                    let staged = stage(&self.order.source.archive, &self.order.store, body).await;
                    staged.map(|body| Returning { archived, body })
                }
                Err(error) => Err(StageError::Damaged(error)),
            };
            match staged {
                Ok(returning) => {
                    weight_bytes += returning.weight_bytes();
                    batch.push(returning);
                }
                Err(StageError::Damaged(error)) => {
                    self.outcome.damaged.add((folder.name.clone(), uid, error.to_string()));
                }
                Err(StageError::Write(error)) => return Err(error.into()),
            }
            if weight_bytes >= limits::RESTORED_AT_ONCE_BYTES {
                self.write(account, mailbox, std::mem::take(&mut batch)).await?;
                weight_bytes = 0;
            }
        }
        self.write(account, mailbox, batch).await
    }

    async fn write(&mut self, account: &Account, mailbox: MailboxId, messages: Vec<Returning>) -> Result<(), Broken> {
        if messages.is_empty() {
            return Ok(());
        }
        let keywords: Vec<String> =
            messages.iter().flat_map(|returning| returning.archived.keywords.iter().cloned()).collect();
        mailbox::make_room_for_keywords(&self.order.store, mailbox, &keywords).await?;
        let op = RestoreMessages {
            account: account.id,
            mailbox,
            messages,
            // Its id was given out behind those of all messages that were there when it began.
            newest: MessageId(self.task.id.0),
            by: self.order.by.clone(),
            origin: format!("from the backup {}", self.order.source.backup),
            at: self.order.clock.now(),
        };
        let restored = self.order.store.write(op).await.map_err(|error| Broken::of(error, |_| Broken::Gone))?;
        let restored = restored.into_inner();
        self.outcome.restored += restored.uids.len() as u64;
        self.outcome.size_bytes += restored.size_bytes;
        self.outcome.without_keywords += restored.without_keywords as u64;
        restored.conflicts.into_iter().for_each(|id| self.outcome.conflicts.add(id));
        Ok(())
    }

    fn report(&self) {
        let total = self.order.source.folders.iter().map(|folder| u64::from(folder.messages)).sum();
        let progress = Progress { done: self.passed.min(total), total: Some(total), unit: "messages".into() };
        self.task.report(progress);
    }
}

/// Runs what waits for the disk on another thread.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, Broken> {
    let done = tokio::task::spawn_blocking(work).await.map_err(|error| Broken::Other(error.to_string()))?;
    Ok(done?)
}
