use std::collections::BTreeSet;
use std::sync::Arc;

use actix_web::{HttpResponse, post, web};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::backup_contents::{BackupMessage, message};
use super::sentence::sentence;
use super::{jobs, parse_all};
use crate::audit::Complete;
use crate::backup::items::{self, Source, Survey, Wanted};
use crate::backup::{Id, NoId};
use crate::base::{Address, AuditId, MessageId, Timestamp, Uid, limits, mailbox_name};
use crate::directory::Scope;
use crate::http::body::Body;
use crate::http::caller::{Allowed, Caller, RestoreWrite};
use crate::http::context::Context;
use crate::http::page::NoQuery;
use crate::http::problem::{Code, Fault, Problem};
use crate::jobs::{Failed, Order, Task};
use crate::mailbox;

/// What is to come back from a backup.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct RestoreItems {
    /// The backup's id.
    #[schema(min_length = 1, max_length = 64)]
    backup: String,
    /// What of it.
    selector: RestoreSelector,
    /// The mailbox into which it goes, which is made where it is missing. Left out: that in which it was. Of a whole account
    /// each mailbox goes below this one, under its own name.
    #[serde(default)]
    #[schema(min_length = 1)]
    into: Option<String>,
    /// Counts, shows the first 20 messages that would come back, and changes nothing.
    #[serde(default)]
    #[schema(default = false)]
    dry_run: bool,
}

/// An account of a backup, and what of its mail; what is left out fits all.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct RestoreSelector {
    /// The account's address. An account that is here no more is made again: its settings, its passwords as they were kept,
    /// and the aliases that led to it alone.
    #[schema(max_length = 320)]
    account: String,
    /// This mailbox.
    #[serde(default)]
    #[schema(min_length = 1)]
    mailbox: Option<String>,
    /// Messages with these UIDs in the backup; needs `mailbox`.
    #[serde(default)]
    #[schema(min_items = 1, max_items = 10000)]
    uids: Option<Vec<u32>>,
    /// The message with this id.
    #[serde(default)]
    message: Option<String>,
    /// Messages with this in their From, To, Cc or Subject, in any case. Needs the scope `messages:read` besides.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 320)]
    query: Option<String>,
    /// What came in at this time or later (RFC 3339).
    #[serde(default)]
    #[schema(format = DateTime)]
    after: Option<String>,
    /// What came in before this time (RFC 3339).
    #[serde(default)]
    #[schema(format = DateTime)]
    before: Option<String>,
}

/// What a restore would do.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct RestorePreview {
    /// Nothing was changed.
    dry_run: bool,
    /// The account.
    account: String,
    /// It is here no more, and would be made again.
    account_made: bool,
    /// What stands in the way of that.
    obstacle: Option<String>,
    /// The account that has the address is not the one that the backup holds: it was made since, by a restore or for
    /// somebody else, who would get this mail.
    account_another: bool,
    /// Messages that would come back.
    count: u64,
    /// Octets of those.
    size_bytes: u64,
    /// Messages that are meant and still here: they stay as they are.
    still_there: u64,
    /// Octets that the account's mail would take then.
    used_bytes: u64,
    /// Octets that it may take. That does not stop a restore.
    quota_bytes: Option<u64>,
    /// It would take more than it may.
    over_quota: bool,
    /// The mailboxes that are meant.
    mailboxes: Vec<RestoreMailbox>,
    /// The first 20 messages that would come back.
    items: Vec<BackupMessage>,
}

/// A mailbox into which messages would come back.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct RestoreMailbox {
    /// Its name in the backup.
    name: String,
    /// The mailbox into which they would come.
    into: String,
    /// That is missing, and would be made.
    made: bool,
    /// Why it can't be.
    obstacle: Option<String>,
    /// Messages that would come back.
    messages: u64,
    /// Octets of those.
    size_bytes: u64,
    /// Messages that are meant and still here.
    still_there: u64,
}

/// Brings an account, a mailbox or messages back from a backup into the running server, as a job. Messages keep their id,
/// date, flags (but for `\Deleted`) and every octet, and get a new UID. What is still here stays as it is and is not doubled,
/// so that it can be run again. The quota of the account does not stop it. The job's result says `matched`, `restored`,
/// `still_there`, what was made and what stood in the way of anything (the first 20 of each), and with `account_another` that
/// the account that has the address is not the one that the backup holds.
#[utoipa::path(
    tag = "backups",
    request_body = RestoreItems,
    responses(
        (status = 200, description = "With `dry_run`: what it would do", body = RestorePreview),
        (status = 202, description = "The job is started", body = jobs::Job),
        (status = 404, description = "There is no such backup, or it has no such account or mailbox"),
        (status = 409, description = "The account can't be made again, a newer version has made the backup, or it is damaged"),
    )
)]
#[post("/restore/items")]
pub(in crate::http) async fn restore_items(
    allowed: Allowed<RestoreWrite>,
    _none: NoQuery,
    context: web::Data<Context>,
    body: Body<RestoreItems>,
) -> Result<HttpResponse, Problem> {
    allowed.caller.need_unrestricted("restore from backups")?;
    let RestoreItems { backup, selector, into, dry_run } = body.0;
    let (backup, wanted) = read(&backup, selector, into)?;
    if wanted.query.is_some() && !allowed.caller.has(Scope::MessagesRead) {
        let detail = "To choose by what messages hold needs the scope messages:read besides.";
        return Err(Problem::new(Code::Forbidden, detail));
    }
    let shown = as_json(&wanted);
    let (opened, source) = (context.clone(), wanted.clone());
    let source = web::block(move || Source::open(&opened.backups, &opened.store, backup, &source));
    let source = source.await.map_err(Problem::internal)??;
    if dry_run {
        let shows_content = allowed.caller.has(Scope::MessagesRead);
        allowed.note(&context, backup, Some(json!({"dry_run": true, "selector": shown}))).await?;
        let preview = web::block(move || preview(&context, &source, &wanted, shows_content));
        return Ok(HttpResponse::Ok().json(preview.await.map_err(Problem::internal)??));
    }
    let may_make = may_make(&context, &allowed.caller, &source)?;
    // Before the work: nothing comes back that the audit does not know of.
    let note = allowed.note(&context, backup, Some(json!({"selector": shown}))).await?;
    let by = allowed.caller.name();
    let order = Order { kind: "restore_items", target: wanted.account.to_string(), actor: by.clone(), session: None };
    let (store, clock) = (context.store.clone(), Arc::clone(&context.clock));
    let work = Work {
        context: context.clone(),
        order: items::Order { source, wanted, may_make, by, store, clock },
        note,
        shown,
    };
    let id = context.jobs.start(order, move |task| work.run(task)).await.map_err(jobs::not_started)?;
    jobs::started(&context, id)
}

/// Whether the account is to be made again: it is not here. Then nothing may stand in its way, and who asks may give its
/// roles. One that is here is not made again when it is deleted before the job comes to it: nobody was asked then.
fn may_make(context: &Context, caller: &Caller, source: &Source) -> Result<bool, Problem> {
    let view = context.store.view()?;
    if source.account_here(&view)?.is_some() {
        return Ok(false);
    }
    source.former.account.fields.roles.iter().try_for_each(|role| caller.need_role(role))?;
    match crate::directory::obstacle(&view, &source.former, context.clock.now())? {
        None => Ok(true),
        Some(refused) => {
            let address = &source.former.account.address;
            Err(Problem::new(Code::Conflict, format!("{address} can't be made again: {refused}.")))
        }
    }
}

/// The job.
struct Work {
    context: web::Data<Context>,
    order: items::Order,
    /// Its row in the audit.
    note: AuditId,
    shown: Value,
}

impl Work {
    /// Does it, and says in the audit what has come of it.
    async fn run(self, task: Task) -> Result<Value, Failed> {
        let done = items::restore(self.order, task).await;
        let result = match &done {
            Ok(result) => result.clone(),
            Err(failed) => json!({"problem": failed.problem, "result": failed.result}),
        };
        let after = json!({"selector": self.shown, "result": result});
        if let Err(error) = self.context.store.write(Complete { id: self.note, after }).await {
            tracing::warn!(%error, "the audit does not say what has come of a restore");
        }
        done
    }
}

fn preview(
    context: &Context,
    source: &Source,
    wanted: &Wanted,
    shows_content: bool,
) -> Result<RestorePreview, Problem> {
    let survey = Survey::of(source, wanted, &context.store, context.clock.now())?;
    let mut items = Vec::with_capacity(survey.first.len());
    for one in &survey.first {
        let folder = &source.folders[one.folder];
        let seen = source.archive.read(|view| match mailbox::member(view, folder.id, one.uid)? {
            Some(member) => message(view, (folder.id, &folder.name), &member, shows_content),
            None => Ok(None),
        })?;
        items.extend(seen.map(|(_, message)| message));
    }
    Ok(RestorePreview {
        dry_run: true,
        account: source.former.account.address.to_string(),
        account_made: survey.is_account_new,
        obstacle: survey.obstacle.as_ref().map(|refused| sentence(&refused.to_string())),
        account_another: survey.is_account_another,
        count: survey.folders.iter().map(|folder| folder.messages).sum(),
        size_bytes: survey.folders.iter().map(|folder| folder.size_bytes).sum(),
        still_there: survey.folders.iter().map(|folder| folder.still_there).sum(),
        used_bytes: survey.used_bytes,
        quota_bytes: survey.quota_bytes,
        over_quota: survey.is_over_quota(),
        mailboxes: survey
            .folders
            .into_iter()
            .map(|folder| RestoreMailbox {
                name: folder.name,
                into: folder.into,
                made: folder.is_new,
                obstacle: folder.is_impossible.then(|| "No mailbox can have that name.".into()),
                messages: folder.messages,
                size_bytes: folder.size_bytes,
                still_there: folder.still_there,
            })
            .collect(),
        items,
    })
}

fn read(backup: &str, selector: RestoreSelector, into: Option<String>) -> Result<(Id, Wanted), Problem> {
    let RestoreSelector { account, mailbox, uids, message, query, after, before } = selector;
    let mut faults = Vec::new();
    let backup =
        one("/backup", Some(backup), |text| text.parse::<Id>().map_err(|error: NoId| error.to_string()), &mut faults);
    let account =
        one("/selector/account", Some(&account), |text| Address::parse(text).map_err(|e| e.to_string()), &mut faults);
    let name =
        |text: &str| mailbox_name(text).ok_or_else(|| "not empty, no control characters, not too long".to_owned());
    let mailbox = one("/selector/mailbox", mailbox.as_deref(), name, &mut faults);
    let into = one("/into", into.as_deref(), name, &mut faults);
    let message = one(
        "/selector/message",
        message.as_deref(),
        |text| text.parse::<MessageId>().map_err(|e| e.to_string()),
        &mut faults,
    );
    let time = |text: &str| {
        Timestamp::parse_rfc3339(text).ok_or_else(|| "not a time as in 2027-01-31T00:00:00Z (RFC 3339)".to_owned())
    };
    let after = one("/selector/after", after.as_deref(), time, &mut faults);
    let before = one("/selector/before", before.as_deref(), time, &mut faults);
    let texts = uids.map(|uids| uids.iter().map(u32::to_string).collect::<Vec<_>>());
    let uid = |text: &str| text.parse().ok().filter(|uid| *uid > 0).map(Uid).ok_or("a number from 1 to 4294967295");
    let uids = texts.map(|texts| parse_all("/selector/uids", &texts, uid, &mut faults));
    if uids.as_ref().is_some_and(|uids| uids.is_empty() || uids.len() > limits::RESTORE_UIDS) {
        faults.push(Fault::body("/selector/uids", "out_of_range", format!("from 1 to {} UIDs", limits::RESTORE_UIDS)));
    }
    let uids = uids.map(BTreeSet::from_iter);
    if uids.is_some() && mailbox.is_none() {
        faults.push(Fault::body("/selector/mailbox", "required", "UIDs are those of one mailbox: say which"));
    }
    if query.as_ref().is_some_and(String::is_empty) {
        faults.push(Fault::body("/selector/query", "empty", "an empty query: leave it out to mean all"));
    }
    match (backup, account) {
        (Some(backup), Some(account)) if faults.is_empty() => {
            Ok((backup, Wanted { account, mailbox, uids, message, query, after, before, into }))
        }
        _ => Err(Problem::invalid(faults)),
    }
}

fn one<T>(
    pointer: &str,
    text: Option<&str>,
    parse: impl Fn(&str) -> Result<T, String>,
    faults: &mut Vec<Fault>,
) -> Option<T> {
    match parse(text?) {
        Ok(value) => Some(value),
        Err(error) => {
            faults.push(Fault::body(pointer, "malformed", error));
            None
        }
    }
}

/// For the audit.
fn as_json(wanted: &Wanted) -> Value {
    let Wanted { account, mailbox, uids, message, query, after, before, into } = wanted;
    json!({
        "account": account.to_string(),
        "mailbox": mailbox,
        "uids": uids.as_ref().map(BTreeSet::len),
        "message": message.map(|id| id.to_string()),
        "query": query,
        "after": after.map(Timestamp::rfc3339),
        "before": before.map(Timestamp::rfc3339),
        "into": into,
    })
}
