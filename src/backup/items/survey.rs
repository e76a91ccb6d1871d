use std::ops::ControlFlow;

use super::source::{Folder, Source, Wanted, each_slice};
use crate::base::{Timestamp, Uid, limits, mailbox_name};
use crate::directory::{self, Refused};
use crate::mailbox::{self, Listed};
use crate::store::{Store, StoreError};

/// What bringing something back would do. Nothing is done.
#[derive(Debug, Default)]
pub struct Survey {
    /// The account is not here, and would be made again.
    pub is_account_new: bool,
    /// Why it can't be.
    pub obstacle: Option<Refused>,
    /// The account that has the address here is not the one of the copy: it was made since, by a restore or for somebody
    /// else.
    pub is_account_another: bool,
    /// The mailboxes that something would come into.
    pub folders: Vec<SurveyedFolder>,
    /// The first messages that would come back.
    pub first: Vec<SurveyedMessage>,
    /// Octets that the account's mail may take here; `None`: any number.
    pub quota_bytes: Option<u64>,
    /// Octets that it would take.
    pub used_bytes: u64,
}

/// A mailbox that something would come into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SurveyedFolder {
    /// Its name in the copy.
    pub name: String,
    /// The mailbox that the messages would come into.
    pub into: String,
    /// That is missing, and would be made.
    pub is_new: bool,
    /// The name of that can't be a mailbox's.
    pub is_impossible: bool,
    /// Messages that would come back.
    pub messages: u64,
    /// Octets of those.
    pub size_bytes: u64,
    /// Messages that are meant and still here.
    pub still_there: u64,
}

/// A message that would come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SurveyedMessage {
    /// The place of its mailbox among [`Source::folders`].
    pub folder: usize,
    /// Its UID there.
    pub uid: Uid,
}

impl Survey {
    /// Looks. Blocks: all messages that may be meant are looked at.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn of(source: &Source, wanted: &Wanted, store: &Store, now: Timestamp) -> Result<Self, StoreError> {
        let mut survey = Self::default();
        let here = {
            let view = store.view()?;
            let here = source.account_here(&view)?;
            survey.is_account_new = here.is_none();
            survey.is_account_another = here.as_ref().is_some_and(|here| source.is_another(here));
            if here.is_none() {
                survey.obstacle = directory::obstacle(&view, &source.former, now)?;
            }
            let account = here.as_ref().unwrap_or(&source.former.account);
            survey.quota_bytes = directory::quota_bytes(&view, account)?;
            if let Some(account) = &here {
                survey.used_bytes = mailbox::usage(&view, account.id)?.size_bytes;
            }
            here
        };
        for (place, folder) in source.folders.iter().enumerate() {
            let found = survey.look(source, wanted, store, here.as_ref(), (place, folder))?;
            survey.used_bytes += found.size_bytes;
            let is_meant = wanted.is_whole() || found.messages + found.still_there > 0;
            survey.folders.extend(is_meant.then_some(found));
        }
        Ok(survey)
    }

    /// Whether the account's mail would take more than it may.
    pub fn is_over_quota(&self) -> bool {
        self.quota_bytes.is_some_and(|quota_bytes| self.used_bytes > quota_bytes)
    }

    fn look(
        &mut self,
        source: &Source,
        wanted: &Wanted,
        store: &Store,
        here: Option<&directory::Account>,
        (place, folder): (usize, &Folder),
    ) -> Result<SurveyedFolder, StoreError> {
        let into = wanted.target(&folder.name);
        let is_new = match here {
            Some(account) => mailbox::folder(&store.view()?, account.id, &into)?.is_none(),
            None => into != mailbox::INBOX,
        };
        let is_impossible = mailbox_name(&into).as_deref() != Some(into.as_str());
        let name = folder.name.clone();
        let (messages, size_bytes, still_there) = (0, 0, 0);
        let mut found = SurveyedFolder { name, into, is_new, is_impossible, messages, size_bytes, still_there };
        each_slice(source, wanted, folder, |_, slice| {
            let missing = missing(store, here, folder, slice.meant)?;
            found.still_there += missing.still_there as u64;
            for one in &missing.messages {
                found.messages += 1;
                found.size_bytes += one.size_bytes;
                if self.first.len() < limits::PREVIEW_ITEMS {
                    self.first.push(SurveyedMessage { folder: place, uid: one.uid });
                }
            }
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(found)
    }
}

/// Those of some messages that the account has no more.
pub(super) struct Missing {
    pub(super) messages: Vec<Listed>,
    pub(super) still_there: usize,
}

pub(super) fn missing(
    store: &Store,
    here: Option<&directory::Account>,
    folder: &Folder,
    meant: Vec<Listed>,
) -> Result<Missing, StoreError> {
    let Some(account) = here else { return Ok(Missing { messages: meant, still_there: 0 }) };
    let places = meant.iter().map(|one| (one.uid, one.identity));
    let there = mailbox::still_there(&store.view()?, account.id, folder.id, places)?;
    let all = meant.len();
    let messages: Vec<Listed> = meant.into_iter().filter(|one| !there.contains(&one.identity)).collect();
    Ok(Missing { still_there: all - messages.len(), messages })
}
