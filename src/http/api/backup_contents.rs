use actix_web::{HttpRequest, HttpResponse, get, web};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::backups::id_of;
use super::mailboxes::MailboxUse;
use super::mailboxes::message::MailboxMessage;
use super::sentence::sentence;
use super::{Listed, address_of, list, page_of};
use crate::backup::Id;
use crate::backup::items::{self, ItemsError};
use crate::base::{Address, MailboxId, Uid};
use crate::directory::{self, Account, Scope};
use crate::http::caller::{Allowed, BackupRead};
use crate::http::context::Context;
use crate::http::page::{ListParams, ListQuery, NoQuery};
use crate::http::problem::{Code, Problem};
use crate::mailbox::{self, Member};
use crate::store::{Archive, StoreError, View};

/// An account as a backup has it.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct BackupAccount {
    /// Its address.
    address: String,
    /// The name of the person or service.
    display_name: String,
    /// How many messages it had.
    messages: u64,
    /// Octets of those.
    size_bytes: u64,
    /// There is an account of that address now.
    is_there: bool,
}

/// A mailbox as a backup has it.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct BackupMailbox {
    /// Its name.
    name: String,
    /// What it was for.
    special_use: Option<MailboxUse>,
    /// How many messages it had.
    messages: u32,
    /// Octets of those.
    size_bytes: u64,
    /// The account has a mailbox of that name now.
    is_there: bool,
}

/// A message as a backup has it.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct BackupMessage {
    /// The mailbox that it lay in.
    mailbox: String,
    /// Its number in that mailbox, in the backup.
    uid: u32,
    /// Its id: that of the trace.
    id: String,
    /// Its From field, for people; empty without the scope `messages:read`, as all that it holds.
    from: String,
    /// Its To field, for people.
    to: String,
    /// Its Subject field, for people.
    subject: String,
    /// When it came in.
    at: String,
    /// Octets.
    size_bytes: u64,
    /// Its flags and keywords.
    flags: Vec<String>,
    /// The beginning of its text, at most 200 characters.
    preview: String,
    /// The account has it still, in whatever mailbox.
    is_there: bool,
}

page_of! {
    /// The accounts of a backup, by domain and local part.
    BackupAccountPage of BackupAccount
}

page_of! {
    /// The mailboxes of an account in a backup, INBOX first, then by name: all of them.
    BackupMailboxPage of BackupMailbox
}

page_of! {
    /// The messages of a mailbox in a backup, the newest first.
    BackupMessagePage of BackupMessage
}

impl From<ItemsError> for Problem {
    fn from(error: ItemsError) -> Self {
        let detail = sentence(&error.to_string());
        match error {
            ItemsError::Backup(error) => error.into(),
            ItemsError::NoAccount(_) | ItemsError::NoMailbox(_) => Self::new(Code::NotFound, detail),
            ItemsError::Store(error) => error.into(),
        }
    }
}

/// Lists the accounts of a backup.
#[utoipa::path(
    tag = "backups",
    params(("id" = String, Path, description = "The backup's id"), ListParams),
    responses(
        (status = 200, description = "A page of accounts", body = BackupAccountPage),
        (status = 404, description = "There is no such backup"),
        (status = 409, description = "A newer version of this program has made it, it is in use, or it is damaged"),
    )
)]
#[get("/backups/{id}/accounts")]
pub(in crate::http) async fn list_backup_accounts(
    allowed: Allowed<BackupRead>,
    request: HttpRequest,
    context: web::Data<Context>,
    path: web::Path<String>,
    query: ListQuery,
) -> Result<HttpResponse, Problem> {
    allowed.caller.need_unrestricted("look into backups")?;
    let id = id_of(&path)?;
    let query = query.allow(&[])?;
    let after = query.after_key(Address::parse)?;
    let found = look(&context, id, move |context, archive| {
        let listed = archive.read(|view| {
            let fetch = |after: Option<&Address>, limit| directory::accounts(view, None, after, limit);
            let listed = list(&query, after, fetch, |_| true, |account: &Account| account.address.clone())?;
            listed.try_map(|account| Ok((mailbox::usage(view, account.id)?, account)))
        })?;
        let here = context.store.view()?;
        Ok(listed.try_map(|(usage, account)| {
            Ok::<_, StoreError>(BackupAccount {
                is_there: directory::account(&here, &account.address)?.is_some(),
                address: account.address.to_string(),
                display_name: account.fields.display_name,
                messages: usage.messages,
                size_bytes: usage.size_bytes,
            })
        })?)
    })
    .await?;
    Ok(found.answer_as::<BackupAccountPage>(&request))
}

/// Lists the mailboxes of an account in a backup, INBOX first.
#[utoipa::path(
    tag = "backups",
    params(
        ("id" = String, Path, description = "The backup's id"),
        ("address" = String, Path, description = "The account's address, percent-encoded"),
    ),
    responses(
        (status = 200, description = "Its mailboxes", body = BackupMailboxPage),
        (status = 404, description = "There is no such backup, or no such account in it"),
        (status = 409, description = "A newer version of this program has made it, it is in use, or it is damaged"),
    )
)]
#[get("/backups/{id}/accounts/{address}/mailboxes")]
pub(in crate::http) async fn list_backup_mailboxes(
    allowed: Allowed<BackupRead>,
    _none: NoQuery,
    context: web::Data<Context>,
    path: web::Path<(String, String)>,
) -> Result<web::Json<BackupMailboxPage>, Problem> {
    allowed.caller.need_unrestricted("look into backups")?;
    let (id, (address, _)) = (id_of(&path.0)?, address_of(&path.1)?);
    let items = look(&context, id, move |context, archive| {
        let folders = archive.read(|view| match directory::account(view, &address)? {
            Some(account) => items::folders(view, account.id).map(Some),
            None => Ok(None),
        })?;
        let folders = folders.ok_or_else(|| ItemsError::NoAccount(address.clone()))?;
        let here = context.store.view()?;
        let account = directory::account(&here, &address)?;
        let is_there = |name: &str| match &account {
            Some(account) => Ok::<_, StoreError>(mailbox::folder(&here, account.id, name)?.is_some()),
            None => Ok(false),
        };
        let mut items = Vec::with_capacity(folders.len());
        for folder in folders {
            items.push(BackupMailbox {
                is_there: is_there(&folder.name)?,
                name: folder.name,
                special_use: folder.special_use.and_then(MailboxUse::of),
                messages: folder.messages,
                size_bytes: folder.size_bytes,
            });
        }
        Ok(items)
    })
    .await?;
    Ok(web::Json(BackupMailboxPage::from(Listed { items, next_cursor: None, count: None, count_exact: None })))
}

/// Lists the messages of a mailbox in a backup, the newest first. What they hold is shown to those alone who have the scope
/// `messages:read` besides.
#[utoipa::path(
    tag = "backups",
    params(
        ("id" = String, Path, description = "The backup's id"),
        ("address" = String, Path, description = "The account's address, percent-encoded"),
        ("mailbox" = String, Path, description = "The mailbox's name, percent-encoded: `/` is `%2F`"),
        ("q" = Option<String>, Query, description = "Only messages with this in their From, To, Cc or Subject, in any case"),
        ListParams,
    ),
    responses(
        (status = 200, description = "A page of messages", body = BackupMessagePage),
        (status = 404, description = "There is no such backup, or no such account or mailbox in it"),
        (status = 409, description = "A newer version of this program has made it, it is in use, or it is damaged"),
    )
)]
#[get("/backups/{id}/accounts/{address}/mailboxes/{mailbox}/messages")]
pub(in crate::http) async fn list_backup_messages(
    allowed: Allowed<BackupRead>,
    request: HttpRequest,
    context: web::Data<Context>,
    path: web::Path<(String, String, String)>,
    query: ListQuery,
) -> Result<HttpResponse, Problem> {
    allowed.caller.need_unrestricted("look into backups")?;
    let (id, (address, _), name) = (id_of(&path.0)?, address_of(&path.1)?, path.2.clone());
    let query = query.allow(&["q"])?;
    let below = query.after_key(|text| text.parse().map(Uid))?;
    let shows_content = allowed.caller.has(Scope::MessagesRead);
    if !shows_content && query.filter("q").is_some() {
        let detail = "To look for what messages hold needs the scope messages:read besides.";
        return Err(Problem::new(Code::Forbidden, detail));
    }
    allowed.note(&context, format!("{id}/{address}/{name}"), Some(json!({"limit": query.limit}))).await?;
    let found = look(&context, id, move |context, archive| {
        let account = archive.read(|view| directory::account(view, &address))?;
        let account = account.ok_or_else(|| ItemsError::NoAccount(address.clone()))?;
        let folder = archive.read(|view| mailbox::folder(view, account.id, &name))?;
        let (mailbox, _) = folder.ok_or_else(|| ItemsError::NoMailbox(name.clone()))?;
        let wanted = query.filter("q").map(str::to_lowercase);
        let listed = archive.read(|view| {
            let fetch = |below: Option<&Uid>, limit| mailbox::newest_members(view, mailbox, below.copied(), limit);
            let keep = |member: &Member| match &wanted {
                Some(wanted) => {
                    let head = mailbox::head(view, mailbox, member.uid);
                    head.is_ok_and(|head| head.is_some_and(|head| items::says(&head, wanted)))
                }
                None => true,
            };
            let listed = list(&query, below, fetch, keep, |member: &Member| member.uid)?;
            listed.try_map(|member| message(view, (mailbox, &name), &member, shows_content))
        })?;
        let Listed { items, next_cursor, count, count_exact } = listed;
        let mut items: Vec<_> = items.into_iter().flatten().collect();
        mark(context, &address, mailbox, &mut items)?;
        let items = items.into_iter().map(|(_, shown)| shown).collect();
        Ok(Listed { items, next_cursor, count, count_exact })
    })
    .await?;
    Ok(found.answer_as::<BackupMessagePage>(&request))
}

/// A message of a backup with what tells it from others; `None` when it is not there.
pub(super) type Seen = Option<(mailbox::Identity, BackupMessage)>;

/// A message as it is shown, not yet compared with what is here.
pub(super) fn message(
    view: &View,
    (mailbox, name): (MailboxId, &str),
    member: &Member,
    shows_content: bool,
) -> Result<Seen, StoreError> {
    let Some(identity) = mailbox::identity(view, mailbox, member.uid)? else { return Ok(None) };
    let keywords = mailbox::keywords(view, mailbox)?;
    let Some(shown) = MailboxMessage::of(view, mailbox, &keywords, member)? else { return Ok(None) };
    let shown = if shows_content { shown } else { shown.without_content() };
    let MailboxMessage { uid, id, from, to, subject, at, size_bytes, flags, preview } = shown;
    let (mailbox, is_there) = (name.to_owned(), false);
    let shown = BackupMessage { mailbox, uid, id, from, to, subject, at, size_bytes, flags, preview, is_there };
    Ok(Some((identity, shown)))
}

/// Says of each whether the account has it still.
fn mark(
    context: &Context,
    address: &Address,
    mailbox: MailboxId,
    messages: &mut [(mailbox::Identity, BackupMessage)],
) -> Result<(), StoreError> {
    let here = context.store.view()?;
    let Some(account) = directory::account(&here, address)? else { return Ok(()) };
    let places = messages.iter().map(|(identity, message)| (Uid(message.uid), *identity));
    let there = mailbox::still_there(&here, account.id, mailbox, places)?;
    for (identity, message) in messages {
        message.is_there = there.contains(identity);
    }
    Ok(())
}

/// Looks into a backup, on a thread that may wait for the disk.
async fn look<T: Send + 'static>(
    context: &web::Data<Context>,
    id: Id,
    look: impl FnOnce(&Context, &Archive) -> Result<T, ItemsError> + Send + 'static,
) -> Result<T, Problem> {
    let context = context.clone();
    let looked = move || {
        let archive = items::open(&context.backups, &context.store, id).map_err(ItemsError::from)?;
        look(&context, &archive)
    };
    Ok(web::block(looked).await.map_err(Problem::internal)??)
}
