use actix_web::{HttpRequest, HttpResponse, delete, get, put, web};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::accounts::may_change;
use super::{Listed, account_of, page_of, path_segment, show, stored};
use crate::base::{MailboxId, Uid, mailbox_name};
use crate::directory;
use crate::http::audited::{nothing, shown};
use crate::http::body::Body;
use crate::http::caller::{AccountsRead, AccountsWrite, Allowed};
use crate::http::context::Context;
use crate::http::etag;
use crate::http::page::NoQuery;
use crate::http::problem::{Code, Fault, Problem, Refusal};
use crate::mailbox::{self, CreateMailbox, DeleteMailbox, Folder, FolderRefused, SpecialUse, Subscribe};
use crate::store::{Read, Tx};

pub(in crate::http) mod append;
pub(in crate::http) mod change;
pub(in crate::http) mod content;
pub(in crate::http) mod message;
pub(in crate::http) mod messages;
mod part;

/// A mailbox (folder) of an account.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct Mailbox {
    /// Its name; `/` separates levels.
    name: String,
    /// What it is for.
    special_use: Option<MailboxUse>,
    /// Mail programs show it.
    subscribed: bool,
    /// With the UID, what a message is known by for ever (RFC 9051 §2.3.1.1).
    uid_validity: u32,
    /// The UID that the next message gets.
    uid_next: u32,
    /// How many messages there are.
    exists: u32,
    /// How many of them are not read yet.
    unseen: u32,
    /// Octets of the messages.
    size_bytes: u64,
}

/// What a mailbox is for (RFC 6154 §2).
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::http) enum MailboxUse {
    /// Mail that is kept.
    Archive,
    /// Mail that is being written.
    Drafts,
    /// Mail that is taken for spam.
    Junk,
    /// Mail that was sent.
    Sent,
    /// Mail that was deleted.
    Trash,
}

/// What is set of a mailbox.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct MailboxInput {
    /// What it is for: for a new mailbox, and one of each account.
    #[serde(default)]
    special_use: Option<MailboxUse>,
    /// Whether mail programs show it. Left out: a new one is shown, and an old one stays as it is.
    #[serde(default)]
    subscribed: Option<bool>,
}

page_of! {
    /// The mailboxes of an account, INBOX first, then by name: all of them.
    MailboxPage of Mailbox
}

impl MailboxUse {
    const ALL: [(Self, SpecialUse); 5] = [
        (Self::Archive, SpecialUse::Archive),
        (Self::Drafts, SpecialUse::Drafts),
        (Self::Junk, SpecialUse::Junk),
        (Self::Sent, SpecialUse::Sent),
        (Self::Trash, SpecialUse::Trash),
    ];

    pub(in crate::http::api) fn of(special_use: SpecialUse) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| *known == special_use).map(|(shown, _)| *shown)
    }

    fn stored(self) -> Option<SpecialUse> {
        Self::ALL.iter().find(|(shown, _)| *shown == self).map(|(_, known)| *known)
    }
}

impl Mailbox {
    /// `None` for a name that is no mailbox.
    fn of(folder: &Folder) -> Option<Self> {
        let (_, row) = folder.mailbox.as_ref()?;
        Some(Self {
            name: folder.name.clone(),
            special_use: row.special_use.and_then(MailboxUse::of),
            subscribed: folder.subscribed,
            uid_validity: row.uid_validity,
            uid_next: row.uid_next.0,
            exists: row.messages,
            unseen: row.unseen,
            size_bytes: row.size_bytes,
        })
    }
}

/// Lists the mailboxes of an account, INBOX first.
#[utoipa::path(
    tag = "mailboxes",
    params(("address" = String, Path, description = "The account's address, percent-encoded")),
    responses(
        (status = 200, description = "Its mailboxes", body = MailboxPage),
        (status = 404, description = "There is no such account"),
    )
)]
#[get("/accounts/{address}/mailboxes")]
pub(in crate::http) async fn list_mailboxes(
    allowed: Allowed<AccountsRead>,
    _none: NoQuery,
    context: web::Data<Context>,
    path: web::Path<String>,
) -> Result<web::Json<MailboxPage>, Problem> {
    let account = account_of(&context, &allowed.caller, &path)?;
    let items = context
        .store
        .read(move |view| Ok(mailbox::folders(view, account.id)?.iter().filter_map(Mailbox::of).collect()))
        .await?;
    Ok(web::Json(MailboxPage::from(Listed { items, next_cursor: None, count: None, count_exact: None })))
}

/// Shows a mailbox of an account.
#[utoipa::path(
    tag = "mailboxes",
    params(
        ("address" = String, Path, description = "The account's address, percent-encoded"),
        ("mailbox" = String, Path, description = "The mailbox's name, percent-encoded: `/` is `%2F`"),
    ),
    responses(
        (status = 200, description = "The mailbox", body = Mailbox),
        (status = 304, description = "The client has it"),
    )
)]
#[get("/accounts/{address}/mailboxes/{mailbox}")]
pub(in crate::http) async fn get_mailbox(
    allowed: Allowed<AccountsRead>,
    _none: NoQuery,
    request: HttpRequest,
    context: web::Data<Context>,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, Problem> {
    let account = account_of(&context, &allowed.caller, &path.0)?;
    let name = name_of(&path.1)?;
    let mailbox = find(&context, &account, &name)?.ok_or_else(|| Problem::not_found("mailbox", &name))?;
    Ok(show(&request, etag::of_content(&mailbox), &mailbox))
}

/// Creates a mailbox of an account, with those above it that are not there; or says whether mail programs show one that
/// is there.
#[utoipa::path(
    tag = "mailboxes",
    params(
        ("address" = String, Path, description = "The account's address, percent-encoded"),
        ("mailbox" = String, Path, description = "The mailbox's name, percent-encoded: `/` is `%2F`"),
    ),
    request_body = MailboxInput,
    responses(
        (status = 200, description = "It is there", body = Mailbox),
        (status = 201, description = "Created", body = Mailbox),
        (status = 409, description = "It is there for something else, another mailbox has that use, or there are too many"),
    )
)]
#[put("/accounts/{address}/mailboxes/{mailbox}")]
pub(in crate::http) async fn put_mailbox(
    allowed: Allowed<AccountsWrite>,
    _none: NoQuery,
    request: HttpRequest,
    context: web::Data<Context>,
    path: web::Path<(String, String)>,
    body: Body<MailboxInput>,
) -> Result<HttpResponse, Problem> {
    let account = account_of(&context, &allowed.caller, &path.0)?;
    may_change(&allowed.caller, &account)?;
    let name = name_of(&path.1)?;
    let MailboxInput { special_use, subscribed } = body.0;
    let target = format!("{}/{name}", account.address);
    let old = find(&context, &account, &name)?;
    match &old {
        Some(old) => {
            etag::expect_content(&request, &etag::of_content(old))?;
            if special_use.is_some() && special_use != old.special_use {
                let detail = format!("{name} is there already, and what a mailbox is for does not change.");
                return Err(Problem::new(Code::Conflict, detail));
            }
        }
        None => {
            etag::expect(&request, None)?;
            let special_use = special_use.and_then(MailboxUse::stored);
            let op = CreateMailbox { account: account.id, name: name.clone(), special_use, at: context.clock.now() };
            allowed.write(&context, &target, op, nothing).await?.into_inner();
        }
    }
    let subscribed = subscribed.unwrap_or_else(|| old.as_ref().is_none_or(|old| old.subscribed));
    if subscribed != old.as_ref().is_some_and(|old| old.subscribed) {
        let op = Subscribe { account: account.id, name: name.clone(), subscribed };
        let show = move |_: &Tx<'_>| Ok(Some(json!({"subscribed": subscribed})));
        allowed.write(&context, &target, op, show).await?.into_inner();
    }
    let mailbox = find(&context, &account, &name)?.ok_or_else(|| Problem::not_found("mailbox", &name))?;
    let folder = format!("accounts/{}/mailboxes", path_segment(&account.address.to_string()));
    Ok(stored(old.is_none(), &folder, &name, etag::of_content(&mailbox), &mailbox))
}

/// Deletes a mailbox of an account with its messages. Those below it stay, and INBOX is always there.
#[utoipa::path(
    tag = "mailboxes",
    params(
        ("address" = String, Path, description = "The account's address, percent-encoded"),
        ("mailbox" = String, Path, description = "The mailbox's name, percent-encoded: `/` is `%2F`"),
    ),
    responses((status = 204, description = "Deleted"), (status = 409, description = "It is INBOX"))
)]
#[delete("/accounts/{address}/mailboxes/{mailbox}")]
pub(in crate::http) async fn delete_mailbox(
    allowed: Allowed<AccountsWrite>,
    _none: NoQuery,
    request: HttpRequest,
    context: web::Data<Context>,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, Problem> {
    let account = account_of(&context, &allowed.caller, &path.0)?;
    may_change(&allowed.caller, &account)?;
    let name = name_of(&path.1)?;
    let old = find(&context, &account, &name)?.ok_or_else(|| Problem::not_found("mailbox", &name))?;
    etag::expect_content(&request, &etag::of_content(&old))?;
    let target = format!("{}/{name}", account.address);
    let (id, what) = (account.id, shown(Some(&old)));
    let op = DeleteMailbox { account: id, name: name.clone(), by: allowed.caller.name(), at: context.clock.now() };
    let show = move |tx: &Tx<'_>| Ok(mailbox::folder(tx, id, &name)?.and_then(|_| what.clone()));
    allowed.write(&context, target, op, show).await?.into_inner();
    Ok(HttpResponse::NoContent().finish())
}

impl Refusal for FolderRefused {
    fn is_precondition(&self) -> bool {
        false
    }

    fn problem(self) -> Problem {
        match self {
            Self::NotFound => Problem::new(Code::NotFound, "There is no such mailbox."),
            refused => {
                let mut detail = refused.to_string();
                detail.get_mut(..1).map(str::make_ascii_uppercase);
                Problem::new(Code::Conflict, format!("{detail}."))
            }
        }
    }
}

/// The mailbox's name of the path.
fn name_of(path: &str) -> Result<String, Problem> {
    mailbox_name(path).ok_or_else(|| {
        let message = "not empty, no control characters, no empty level, not too long";
        Problem::invalid(vec![Fault::parameter("mailbox", "malformed", message)])
    })
}

/// The mailbox of the path, where there is one.
fn mailbox_of(read: &impl Read, account: &directory::Account, path: &str) -> Result<MailboxId, Problem> {
    let name = name_of(path)?;
    let found = mailbox::folder(read, account.id, &name)?;
    found.map(|(id, _)| id).ok_or_else(|| Problem::not_found("mailbox", &name))
}

/// The UID of the path.
fn uid_of(path: &str) -> Result<Uid, Problem> {
    let fault = || Problem::invalid(vec![Fault::parameter("uid", "malformed", "a number from 1 to 4294967295")]);
    path.parse().ok().filter(|uid| *uid > 0).map(Uid).ok_or_else(fault)
}

fn no_message(uid: Uid) -> Problem {
    Problem::not_found("message with the UID", uid)
}

fn find(context: &Context, account: &directory::Account, name: &str) -> Result<Option<Mailbox>, Problem> {
    let folders = mailbox::folders(&context.store.view()?, account.id)?;
    Ok(folders.iter().find(|folder| folder.name == name).and_then(Mailbox::of))
}
