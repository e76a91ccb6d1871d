use std::ops::ControlFlow;

use super::keywords::Names;
use super::message_row::MESSAGES;
use super::row::MAILBOXES;
use crate::base::{MailboxId, ModSeq};
use crate::store::{Halt, Op, Read, Span, Store, StoreError, Tx, WriteError};

/// How often the messages are looked at while others change them.
const LOOKS: usize = 3;

/// Where a mailbox has no room for these keywords, gives those free that none of its messages has any more. All messages
/// are read for that, but not by the writer: it only looks whether one was changed since.
///
/// # Errors
/// [`StoreError`]
pub async fn make_room_for_keywords(store: &Store, mailbox: MailboxId, wanted: &[String]) -> Result<(), StoreError> {
    let has_room = {
        let view = store.view()?;
        wanted.is_empty() || Names::with(&view, mailbox, wanted.iter().map(String::as_str))?.is_some()
    };
    if !has_room {
        free_keywords(store, mailbox).await?;
    }
    Ok(())
}

/// Gives the keywords of a mailbox free that none of its messages has; whether there were any.
///
/// # Errors
/// [`StoreError`]
pub async fn free_keywords(store: &Store, mailbox: MailboxId) -> Result<bool, StoreError> {
    for _ in 0..LOOKS {
        let seen = store.read(move |view| {
            let Some(row) = view.get(&MAILBOXES, &mailbox)? else { return Ok(None) };
            let mut used = 0;
            view.scan(&MESSAGES, Span::prefix(&mailbox), |_, message| {
                used |= message.keywords;
                ControlFlow::Continue(())
            })?;
            Ok(Some((row.modseq, used)))
        });
        let Some((modseq, used)) = seen.await? else { return Ok(false) };
        match store.write(FreeKeywords { mailbox, modseq, used }).await {
            Ok(freed) => return Ok(freed.into_inner()),
            Err(WriteError::Refused(Changed)) => {}
            Err(_) => return Ok(false),
        }
    }
    Ok(false)
}

/// Gives the keywords free that were not in use when the mailbox had that modseq.
#[derive(Debug)]
struct FreeKeywords {
    mailbox: MailboxId,
    modseq: ModSeq,
    used: u128,
}

/// A message was changed since.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Changed;

impl Op for FreeKeywords {
    type Plan = ();
    type Out = bool;
    type Refused = Changed;

    fn name(&self) -> &'static str {
        "mailbox.free_keywords"
    }

    fn runs_when_full(&self) -> bool {
        true
    }

    fn check(&self, tx: &Tx<'_>) -> Result<(), Halt<Changed>> {
        let row = tx.get(&MAILBOXES, &self.mailbox)?;
        match row.is_some_and(|row| row.modseq == self.modseq) {
            true => Ok(()),
            false => Err(Halt::Refused(Changed)),
        }
    }

    fn apply(&self, tx: &mut Tx<'_>, (): ()) -> Result<bool, StoreError> {
        let mut names = Names::read(tx, self.mailbox)?;
        let freed = names.free(self.used);
        names.write(tx)?;
        Ok(freed)
    }
}
