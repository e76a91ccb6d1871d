use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use actix_web::{HttpResponse, post, web};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::oneshot;
use utoipa::ToSchema;

use super::accounts::may_change;
use super::{address_of, jobs};
use crate::audit::Complete;
use crate::base::{Address, AuditId, JobId, MessageId, QueueId, limits};
use crate::directory::{self, AccountChange, EndSessions, Precondition, Refused};
use crate::http::body::OptionalBody;
use crate::http::caller::{AccountsWrite, Allowed};
use crate::http::context::Context;
use crate::http::page::NoQuery;
use crate::http::problem::{Code, Problem};
use crate::job::Progress;
use crate::jobs::{Failed, Order, Task};
use crate::mailbox::PutAccount;
use crate::queue::{self, Act, Action, State};
use crate::store::{StoreError, Tx, View, WriteError};
use crate::trace::{self, Kind, Subject};

/// How an account is switched off.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct DisableInput {
    /// Whether what the account has sent and what still waits in the queue is held, until an operator releases it: for an
    /// account that somebody else has got hold of. A job does it, which goes on until nothing of the account is being
    /// delivered any more.
    #[serde(default)]
    #[schema(default = false)]
    hold_queue: bool,
}

/// What was done with an account.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct AccountDone {
    /// Its address.
    address: String,
    /// Whether it takes mail and can log in.
    enabled: bool,
    /// Sessions of the admin page that have ended.
    sessions_ended: usize,
    /// Queue entries that are held now.
    entries_held: u64,
    /// The job that holds them; null: nothing was to be held. It may hold more.
    hold_job_id: Option<String>,
}

/// Switches an account off: nobody logs in any more, mail for it is refused, and its sessions end, those of mail programs
/// at once or before their next command. With `hold_queue`, what it has sent stays here.
#[utoipa::path(
    tag = "directory",
    params(("address" = String, Path, description = "The account's address, percent-encoded")),
    request_body(content = Option<DisableInput>, description = "May be left out"),
    responses(
        (status = 200, description = "It is off", body = AccountDone),
        (status = 404, description = "There is no such account"),
        (status = 409, description = "Somebody changed it at the same moment"),
    )
)]
#[post("/accounts/{address}/disable")]
pub(in crate::http) async fn disable_account(
    allowed: Allowed<AccountsWrite>,
    _none: NoQuery,
    context: web::Data<Context>,
    path: web::Path<String>,
    body: OptionalBody<DisableInput>,
) -> Result<HttpResponse, Problem> {
    let account = find(&context, &allowed, &path)?;
    let sessions = directory::sessions_of(&context.store.view()?, account.id)?.len();
    switch(&context, &allowed, &account, false).await?;
    let (mut entries_held, mut hold_job_id) = (0, None);
    if body.0.hold_queue {
        let job;
        (entries_held, job) = hold(&context, &allowed, &account).await?;
        hold_job_id = Some(job.to_string());
    }
    let address = account.address.to_string();
    let done = AccountDone { address, enabled: false, sessions_ended: sessions, entries_held, hold_job_id };
    Ok(HttpResponse::Ok().json(done))
}

/// Switches an account on again. What was held of it in the queue stays held.
#[utoipa::path(
    tag = "directory",
    params(("address" = String, Path, description = "The account's address, percent-encoded")),
    responses(
        (status = 200, description = "It is on", body = AccountDone),
        (status = 404, description = "There is no such account"),
        (status = 409, description = "Somebody changed it at the same moment"),
    )
)]
#[post("/accounts/{address}/enable")]
pub(in crate::http) async fn enable_account(
    allowed: Allowed<AccountsWrite>,
    _none: NoQuery,
    context: web::Data<Context>,
    path: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let account = find(&context, &allowed, &path)?;
    switch(&context, &allowed, &account, true).await?;
    let address = account.address.to_string();
    let done = AccountDone { address, enabled: true, sessions_ended: 0, entries_held: 0, hold_job_id: None };
    Ok(HttpResponse::Ok().json(done))
}

/// Ends the account's sessions, of the admin page and of mail programs, and forgets the logins that were verified: the next
/// one is verified anew.
#[utoipa::path(
    tag = "directory",
    params(("address" = String, Path, description = "The account's address, percent-encoded")),
    responses(
        (status = 200, description = "It is logged out", body = AccountDone),
        (status = 404, description = "There is no such account"),
    )
)]
#[post("/accounts/{address}/logout")]
pub(in crate::http) async fn log_out_account(
    allowed: Allowed<AccountsWrite>,
    _none: NoQuery,
    context: web::Data<Context>,
    path: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let account = find(&context, &allowed, &path)?;
    let id = account.id;
    let show = move |tx: &Tx<'_>| Ok(Some(json!({"sessions": directory::sessions_of(tx, id)?.len()})));
    let ended = allowed.write(&context, &account.address, EndSessions { account: id }, show).await?.into_inner();
    context.authenticator.forget();
    let (address, enabled) = (account.address.to_string(), account.fields.enabled);
    let done = AccountDone { address, enabled, sessions_ended: ended, entries_held: 0, hold_job_id: None };
    Ok(HttpResponse::Ok().json(done))
}

/// The account of the path, where the caller may change it.
fn find(context: &Context, allowed: &Allowed<AccountsWrite>, path: &str) -> Result<directory::Account, Problem> {
    let (address, domain) = address_of(path)?;
    allowed.caller.need_domain(&domain)?;
    let account = directory::account(&context.store.view()?, &address)?;
    let account = account.ok_or_else(|| Problem::not_found("account", &address))?;
    may_change(&allowed.caller, &account)?;
    Ok(account)
}

/// Switches it on or off, and nothing else of it.
async fn switch(
    context: &Context,
    allowed: &Allowed<AccountsWrite>,
    account: &directory::Account,
    enabled: bool,
) -> Result<(), Problem> {
    let change = AccountChange {
        address: account.address.clone(),
        fields: directory::AccountFields { enabled, ..account.fields.clone() },
        password: None,
        precondition: Precondition::Version(account.version),
        at: context.clock.now(),
    };
    let id = account.id;
    let show = move |tx: &Tx<'_>| -> Result<Option<Value>, StoreError> {
        Ok(directory::account_by_id(tx, id)?.map(|account| json!({"enabled": account.fields.enabled})))
    };
    let done = allowed.write(context, &account.address, PutAccount(change), show).await;
    done.map(|done| drop(done.into_inner())).map_err(|error| match error {
        WriteError::Refused(Refused::Precondition) => {
            Problem::new(Code::Conflict, "Somebody else changed it at the same moment: send the request again.")
        }
        error => error.into(),
    })
}

/// Begins to hold what the account has sent and what still waits: how many entries are held when the queue was gone
/// through once, or that has taken long, and the job that goes on.
async fn hold(
    context: &web::Data<Context>,
    allowed: &Allowed<AccountsWrite>,
    account: &directory::Account,
) -> Result<(u64, JobId), Problem> {
    let address = account.address.to_string();
    let note = allowed.note(context, &address, Some(json!({"hold_queue": true}))).await?;
    let actor = allowed.caller.name();
    let order = Order { kind: "hold_account", target: address.clone(), actor: actor.clone(), session: None };
    let (first, once) = oneshot::channel();
    let held = Arc::new(AtomicU64::new(0));
    let holding = Holding {
        context: context.clone().into_inner(),
        account: account.address.clone(),
        actor,
        note,
        held: Arc::clone(&held),
        first: Some(first),
    };
    let job = context.jobs.start(order, move |task| holding.run(task)).await.map_err(jobs::not_started)?;
    // The job says how it went where nobody hears of its first pass.
    let _ = tokio::time::timeout(Duration::from_secs(limits::HOLD_WAIT_S), once).await;
    Ok((held.load(Ordering::Relaxed), job))
}

/// The job.
struct Holding {
    context: Arc<Context>,
    account: Address,
    /// Who holds it.
    actor: String,
    /// Its row in the audit.
    note: AuditId,
    /// Entries that were held so far.
    held: Arc<AtomicU64>,
    /// Told when the queue was gone through once.
    first: Option<oneshot::Sender<()>>,
}

impl Holding {
    /// Holds what is not being delivered, again and again until nothing is: what fails for now waits again.
    async fn run(mut self, task: Task) -> Result<Value, Failed> {
        let done = self.work(&task).await;
        let after = json!({"hold_queue": true, "entries_held": self.held.load(Ordering::Relaxed)});
        if let Err(error) = self.context.store.write(Complete { id: self.note, after }).await {
            tracing::warn!(%error, "the audit does not say what was held of an account");
        }
        done
    }

    async fn work(&mut self, task: &Task) -> Result<Value, Failed> {
        loop {
            let in_flight = self.pass(task).await?;
            if let Some(first) = self.first.take() {
                let _ = first.send(());
            }
            if in_flight == 0 {
                return Ok(self.result());
            }
            tokio::select! {
                () = task.cancel.cancelled() => return Err(self.failed("it was ended half-way")),
                () = tokio::time::sleep(Duration::from_secs(1)) => {}
            }
        }
    }

    /// Goes through the queue once; how many entries of the account are being delivered.
    async fn pass(&self, task: &Task) -> Result<u64, Failed> {
        let (mut after, mut in_flight) = (None, 0);
        loop {
            if task.cancel.is_cancelled() {
                return Err(self.failed("it was ended half-way"));
            }
            let account = self.account.clone();
            let slice = self.context.store.read(move |view| slice_of(view, &account, after)).await;
            let (entries, next) = slice.map_err(|error| self.failed(&error.to_string()))?;
            in_flight += self.hold(entries).await.map_err(|error| self.failed(&error.to_string()))?;
            let done = self.held.load(Ordering::Relaxed);
            task.report(Progress { done, total: None, unit: "entries".into() });
            match next {
                Some(next) => after = Some(next),
                None => return Ok(in_flight),
            }
        }
    }

    /// Holds entries; how many of them are being delivered.
    async fn hold(&self, mut entries: Vec<QueueId>) -> Result<u64, WriteError<queue::Refused>> {
        let mut in_flight = 0;
        while !entries.is_empty() {
            let reason = format!("{} was disabled", self.account);
            let act = Act {
                entries: entries.clone(),
                action: Action::Hold { reason, until: None },
                actor: self.actor.clone(),
                at: self.context.clock.now(),
            };
            match self.context.store.write(act).await {
                Ok(done) => {
                    done.into_inner();
                    self.held.fetch_add(entries.len() as u64, Ordering::Relaxed);
                    return Ok(in_flight);
                }
                Err(WriteError::Refused(refused)) => {
                    in_flight += u64::from(matches!(refused, queue::Refused::InFlight(_)));
                    entries.retain(|other| *other != refused.id());
                }
                Err(error) => return Err(error),
            }
        }
        Ok(in_flight)
    }

    fn result(&self) -> Value {
        json!({"entries_held": self.held.load(Ordering::Relaxed)})
    }

    fn failed(&self, why: &str) -> Failed {
        Failed { problem: why.to_owned(), result: Some(self.result()) }
    }
}

/// The entries of the account among the next in the queue that are not held yet, and where to go on.
fn slice_of(
    view: &View,
    account: &Address,
    after: Option<QueueId>,
) -> Result<(Vec<QueueId>, Option<QueueId>), StoreError> {
    let entries = queue::entries(view, after, limits::QUEUE_SLICE)?;
    let next = entries.last().filter(|_| entries.len() == limits::QUEUE_SLICE).map(|last| last.id);
    let (mut found, mut last) = (Vec::new(), None);
    for queue::Waiting { id, entry } in entries {
        if matches!(entry.state, State::Held { .. }) {
            continue;
        }
        // The entries of a message stand side by side.
        let is_theirs = match last {
            Some((message, is_theirs)) if message == id.message => is_theirs,
            _ => has_sent(view, account, id.message)?,
        };
        last = Some((id.message, is_theirs));
        if is_theirs {
            found.push(id);
        }
    }
    Ok((found, next))
}

/// Whether the account has sent a message: as itself, or, as the story tells, under another address that it may use.
fn has_sent(view: &View, account: &Address, id: MessageId) -> Result<bool, StoreError> {
    let sender = queue::message_if_sound(view, id)?.and_then(|message| message.sender);
    if sender.is_some_and(|sender| sender.key() == account.key()) {
        return Ok(true);
    }
    let name = account.to_string();
    let story = trace::story(view, Subject::Message(id))?;
    let mut accepted = story.iter().filter(|event| event.kind == Kind::Accepted);
    Ok(accepted.any(|event| event.actor.rsplit(' ').next() == Some(name.as_str())))
}
