use actix_web::{HttpRequest, HttpResponse, delete, patch, web};
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use super::message::MailboxMessage;
use super::{mailbox_of, no_message, uid_of};
use crate::base::{MailboxId, ModSeq, SystemFlags, Uid, limits};
use crate::directory::{Precondition, Scope};
use crate::http::api::accounts::may_change;
use crate::http::api::{account_of, show};
use crate::http::body::Body;
use crate::http::caller::{Allowed, Caller, MessagesWrite};
use crate::http::context::Context;
use crate::http::etag;
use crate::http::page::NoQuery;
use crate::http::problem::{Code, Fault, Problem, Refusal};
use crate::mailbox::{self, ChangeFlags, Expunge, FlagMode, FlagsRefused, Member};
use crate::store::Tx;

/// Which flags a message gets and loses.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct FlagChange {
    /// These are set: `\Seen`, `\Answered`, `\Flagged`, `\Deleted`, `\Draft`, or keywords as `$Forwarded`.
    #[serde(default)]
    #[schema(max_items = 100)]
    flags_add: Vec<String>,
    /// These are taken away.
    #[serde(default)]
    #[schema(max_items = 100)]
    flags_remove: Vec<String>,
}

/// Changes the flags of a message. Mail programs that have the mailbox open see it at once. Without the scope
/// `messages:read` the answer has empty texts in the place of `from`, `to`, `subject` and `preview`.
#[utoipa::path(
    tag = "mailboxes",
    params(
        ("address" = String, Path, description = "The account's address, percent-encoded"),
        ("mailbox" = String, Path, description = "The mailbox's name, percent-encoded: `/` is `%2F`"),
        ("uid" = u32, Path, description = "The message's number in the mailbox"),
    ),
    request_body = FlagChange,
    responses(
        (status = 200, description = "The message as it is now", body = MailboxMessage),
        (status = 409, description = "The mailbox has as many keywords as it may have"),
    )
)]
#[patch("/accounts/{address}/mailboxes/{mailbox}/messages/{uid}")]
pub(in crate::http) async fn patch_mailbox_message(
    allowed: Allowed<MessagesWrite>,
    _none: NoQuery,
    request: HttpRequest,
    context: web::Data<Context>,
    path: web::Path<(String, String, String)>,
    body: Body<FlagChange>,
) -> Result<HttpResponse, Problem> {
    let (mailbox, member) = find(&context, &allowed.caller, &path)?;
    let mut unchanged_since = unchanged_since(&request, &member)?;
    let mut faults = Vec::new();
    let add = parse("/flags_add", &body.0.flags_add, &mut faults);
    let remove = parse("/flags_remove", &body.0.flags_remove, &mut faults);
    for (place, name) in body.0.flags_remove.iter().enumerate() {
        if body.0.flags_add.iter().any(|added| added.eq_ignore_ascii_case(name)) {
            faults.push(Fault::body(format!("/flags_remove/{place}"), "excluded", "it is among flags_add too"));
        }
    }
    if !faults.is_empty() {
        return Err(Problem::invalid(faults));
    }
    let shows = allowed.caller.has(Scope::MessagesRead);
    let target = format!("{}/{}/{}", path.0, path.1, path.2);
    if shows && body.0.flags_add.is_empty() && body.0.flags_remove.is_empty() {
        // No change, which would be written down: but a look.
        allowed.note(&context, &target, Some(json!({"id": member.message.to_string()}))).await?;
    }
    for (mode, (flags, keywords)) in [(FlagMode::Add, add), (FlagMode::Remove, remove)] {
        if flags == SystemFlags::NONE && keywords.is_empty() {
            continue;
        }
        if mode == FlagMode::Add {
            mailbox::make_room_for_keywords(&context.store, mailbox, &keywords).await?;
        }
        let uids = vec![(member.uid, member.uid)];
        let op = ChangeFlags { mailbox, uids, mode, flags, keywords, unchanged_since };
        let what = json!({"flags_add": body.0.flags_add, "flags_remove": body.0.flags_remove});
        let changed = allowed.write(&context, &target, op, move |_| Ok(Some(what.clone()))).await?.into_inner();
        if !changed.modified.is_empty() {
            return Err(Problem::new(Code::PreconditionFailed, "It was changed meanwhile: read it again."));
        }
        unchanged_since = unchanged_since.map(|since| changed.modseq.unwrap_or(since));
    }
    let view = context.store.view()?;
    let gone = || no_message(member.uid);
    let message = MailboxMessage::find(&view, mailbox, member.uid)?.ok_or_else(gone)?;
    let member = mailbox::member(&view, mailbox, member.uid)?.ok_or_else(gone)?;
    let message = if shows { message } else { message.without_content() };
    Ok(show(&request, etag::of(member.modseq.0), &message))
}

/// Deletes a message from a mailbox, at once. Mail programs that have the mailbox open see it at once.
#[utoipa::path(
    tag = "mailboxes",
    params(
        ("address" = String, Path, description = "The account's address, percent-encoded"),
        ("mailbox" = String, Path, description = "The mailbox's name, percent-encoded: `/` is `%2F`"),
        ("uid" = u32, Path, description = "The message's number in the mailbox"),
    ),
    responses((status = 204, description = "Deleted"))
)]
#[delete("/accounts/{address}/mailboxes/{mailbox}/messages/{uid}")]
pub(in crate::http) async fn delete_mailbox_message(
    allowed: Allowed<MessagesWrite>,
    _none: NoQuery,
    request: HttpRequest,
    context: web::Data<Context>,
    path: web::Path<(String, String, String)>,
) -> Result<HttpResponse, Problem> {
    let (mailbox, member) = find(&context, &allowed.caller, &path)?;
    unchanged_since(&request, &member)?;
    let op = Expunge {
        mailbox,
        uids: vec![(member.uid, member.uid)],
        only_deleted: false,
        by: allowed.caller.name(),
        peer_ip: request.peer_addr().map(|peer| peer.ip()),
        at: context.clock.now(),
    };
    let target = format!("{}/{}/{}", path.0, path.1, path.2);
    let what = json!({"id": member.message.to_string()});
    let show = move |tx: &Tx<'_>| Ok(mailbox::member(tx, mailbox, member.uid)?.map(|_| what.clone()));
    match allowed.write(&context, target, op, show).await?.into_inner().messages {
        0 => Err(no_message(member.uid)),
        _ => Ok(HttpResponse::NoContent().finish()),
    }
}

impl Refusal for FlagsRefused {
    fn is_precondition(&self) -> bool {
        false
    }

    fn problem(self) -> Problem {
        match self {
            Self::Gone => Problem::new(Code::NotFound, "The mailbox was deleted."),
            Self::TooManyKeywords => {
                let detail = format!("The mailbox has {} keywords, as many as it may have.", limits::KEYWORDS);
                Problem::new(Code::Conflict, detail)
            }
        }
    }
}

fn find(
    context: &Context,
    caller: &Caller,
    (address, name, uid): &(String, String, String),
) -> Result<(MailboxId, Member), Problem> {
    let account = account_of(context, caller, address)?;
    may_change(caller, &account)?;
    let uid: Uid = uid_of(uid)?;
    let view = context.store.view()?;
    let mailbox = mailbox_of(&view, &account, name)?;
    let member = mailbox::member(&view, mailbox, uid)?.ok_or_else(|| no_message(uid))?;
    Ok((mailbox, member))
}

/// What the client asks for by If-Match, as the mailbox counts its changes.
fn unchanged_since(request: &HttpRequest, member: &Member) -> Result<Option<ModSeq>, Problem> {
    match etag::expect(request, Some(member.modseq.0))? {
        Precondition::Version(version) => Ok(Some(ModSeq(version))),
        Precondition::None | Precondition::Absent | Precondition::Present => Ok(None),
    }
}

/// Flags as they are named; the faults of those that can't be set.
fn parse(pointer: &str, names: &[String], faults: &mut Vec<Fault>) -> (SystemFlags, Vec<String>) {
    let (mut system, mut keywords) = (SystemFlags::NONE, Vec::new());
    for (place, name) in names.iter().enumerate() {
        if let Some(flag) = SystemFlags::parse(name.as_bytes()) {
            system = system | flag;
        } else if is_keyword(name) {
            keywords.push(name.clone());
        } else {
            let message = "a system flag as \\Seen, or a keyword: ASCII without space and (){%*\"\\]";
            faults.push(Fault::body(format!("{pointer}/{place}"), "malformed", message));
        }
    }
    (system, keywords)
}

// RFC 9051 §9: flag-keyword is an atom
fn is_keyword(name: &str) -> bool {
    (1..=limits::KEYWORD_BYTES).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_graphic() && !b"(){%*\"\\]".contains(&byte))
}
