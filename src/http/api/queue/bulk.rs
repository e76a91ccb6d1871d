use std::collections::HashSet;
use std::sync::Arc;

use actix_web::{HttpResponse, post, web};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::act;
use super::filter::{Sender, Wanted};
use super::shape::{QueueEntry, QueueState, Row};
use crate::audit::{Complete, Note};
use crate::base::{Address, AuditId, Host, QueueId, Timestamp, limits};
use crate::http::api::{jobs, parse_all};
use crate::http::body::Body;
use crate::http::caller::{Allowed, Caller, QueueWrite};
use crate::http::context::Context;
use crate::http::page::NoQuery;
use crate::http::problem::{Fault, Problem};
use crate::job::Progress;
use crate::jobs::{Failed, Order, Task};
use crate::queue::{self, Act, Action, Refused, Waiting};
use crate::store::{Halt, StoreError, View, WriteError};

/// An action on many entries: those that `ids` lists, those that the selector names, or `all`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct QueueActions {
    /// What is to be done.
    action: QueueAction,
    /// These entries.
    #[serde(default)]
    #[schema(min_items = 1, max_items = 10000)]
    ids: Option<Vec<String>>,
    /// Those that fit all that is said here; at least something.
    #[serde(default)]
    selector: Option<QueueSelector>,
    /// Every entry.
    #[serde(default)]
    #[schema(default = false)]
    all: bool,
    /// Why: for `hold` and `bounce`, which need it.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 500)]
    reason: Option<String>,
    /// When a hold ends by itself (RFC 3339): for `hold`. Left out: never.
    #[serde(default)]
    #[schema(format = DateTime)]
    until: Option<String>,
    /// Where the entries go: for `redirect`, which needs this or `route`. An address elsewhere.
    #[serde(default)]
    #[schema(max_length = 320)]
    recipient: Option<String>,
    /// By which way they go: for `redirect`. A route's name, or a server as in `relay.example.org:2525`.
    #[serde(default)]
    #[schema(max_length = 320)]
    route: Option<String>,
    /// Counts, shows the first 20, and changes nothing.
    #[serde(default)]
    #[schema(default = false)]
    dry_run: bool,
}

/// What can be done to many entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::http) enum QueueAction {
    /// Due at once.
    Retry,
    /// Held until released.
    Hold,
    /// Held no more.
    Release,
    /// Sent to another address, which needs the scope `messages:read` besides, or by another way. Not for tokens that are
    /// restricted to domains.
    Redirect,
    /// Given up; the senders are told.
    Bounce,
    /// Removed; nobody is told.
    Delete,
}

/// Which entries; what is left out fits all.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct QueueSelector {
    /// Recipients of this domain, or of an address literal.
    #[serde(default)]
    domain: Option<String>,
    /// From this address; `<>` is the null sender.
    #[serde(default)]
    sender: Option<String>,
    /// For this address.
    #[serde(default)]
    recipient: Option<String>,
    /// In this state.
    #[serde(default)]
    state: Option<QueueState>,
    /// What came in before this time (RFC 3339).
    #[serde(default)]
    #[schema(format = DateTime)]
    before: Option<String>,
    /// What came in at this time or later (RFC 3339).
    #[serde(default)]
    #[schema(format = DateTime)]
    after: Option<String>,
}

/// What an action would be about.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct QueuePreview {
    /// How many entries.
    count: u64,
    /// Nothing was changed.
    dry_run: bool,
    /// The first 20 of them.
    items: Vec<QueueEntry>,
}

/// Which entries are meant.
enum Chosen {
    Ids(Vec<QueueId>),
    Fitting(Wanted),
}

/// Refusals that a job's result lists; all are counted.
const REFUSALS: usize = 100;

/// Does something to many entries, as a job. Its result says `matched`, `done`, `refused`, and the first 100 refusals; an
/// entry that is named by its id and damaged in the file is one of these.
#[utoipa::path(
    tag = "queue",
    request_body = QueueActions,
    responses(
        (status = 200, description = "With `dry_run`: what it would be about", body = QueuePreview),
        (status = 202, description = "The job is started", body = jobs::Job),
    )
)]
#[post("/queue/actions")]
pub(in crate::http) async fn act_on_queue(
    allowed: Allowed<QueueWrite>,
    _none: NoQuery,
    context: web::Data<Context>,
    body: Body<QueueActions>,
) -> Result<HttpResponse, Problem> {
    let QueueActions { action, ids, selector, all, reason, until, recipient, route, dry_run } = body.0;
    let chosen = choose(ids, selector, all)?;
    let reason = reason_of(action, reason)?;
    let caller = allowed.caller;
    let doing = match action {
        QueueAction::Retry => Some(Action::Retry),
        QueueAction::Hold => {
            Some(Action::Hold { reason: reason.clone(), until: act::hold_until(&context, until.as_deref())? })
        }
        QueueAction::Release => Some(Action::Release),
        QueueAction::Redirect => {
            caller.need_unrestricted("redirect many entries")?;
            let action = act::redirection(&context, &caller, recipient.as_deref(), route.as_deref())?;
            if let Action::Redirect { to: Some(to), .. } = &action {
                act::may_read(&caller, to)?;
            }
            Some(action)
        }
        QueueAction::Delete => Some(Action::Drop),
        QueueAction::Bounce => None,
    };
    if until.is_some() && action != QueueAction::Hold {
        return Err(Problem::invalid(vec![Fault::body("/until", "excluded", "only hold has an end")]));
    }
    for (name, value) in [("recipient", &recipient), ("route", &route)] {
        if value.is_some() && action != QueueAction::Redirect {
            let message = format!("only redirect has a {name}");
            return Err(Problem::invalid(vec![Fault::body(format!("/{name}"), "excluded", message)]));
        }
    }
    if dry_run {
        let shown = context.clone().into_inner();
        let preview = context.store.read(move |view| preview(view, &shown, &caller, &chosen)).await?;
        return Ok(HttpResponse::Ok().json(preview));
    }
    let target = super::shape::word(&action);
    let note =
        Note { act: allowed.act, target: target.clone(), at: context.clock.now(), after: Some(chosen.as_json()) };
    // Before the work: no entry is touched that the audit does not know of.
    let note = context.store.write(note).await?.into_inner();
    let order = Order { kind: "queue_action", target, actor: caller.name(), session: None };
    let work = Work { context: context.clone().into_inner(), caller, chosen, doing, reason, note };
    let id = context.jobs.start(order, move |task| work.run(task)).await.map_err(jobs::not_started)?;
    jobs::started(&context, id)
}

fn choose(ids: Option<Vec<String>>, selector: Option<QueueSelector>, all: bool) -> Result<Chosen, Problem> {
    let mut faults = Vec::new();
    let chosen = match (ids, selector, all) {
        (Some(ids), None, false) => {
            let mut known = HashSet::new();
            let ids = parse_all("/ids", &ids, str::parse::<QueueId>, &mut faults);
            Chosen::Ids(ids.into_iter().filter(|id| known.insert(*id)).collect())
        }
        (None, Some(selector), false) => Chosen::Fitting(selector.wanted(&mut faults)),
        (None, None, true) => Chosen::Fitting(Wanted::default()),
        (None, None, false) => {
            let message = "say which: ids, a selector, or {\"all\": true}";
            return Err(Problem::invalid(vec![Fault::body("/selector", "required", message)]));
        }
        _ => {
            let message = "ids, selector and all exclude each other";
            return Err(Problem::invalid(vec![Fault::body("/selector", "excluded", message)]));
        }
    };
    if faults.is_empty() { Ok(chosen) } else { Err(Problem::invalid(faults)) }
}

fn reason_of(action: QueueAction, reason: Option<String>) -> Result<String, Problem> {
    let needs = matches!(action, QueueAction::Hold | QueueAction::Bounce);
    let fault = |code, message| Err(Problem::invalid(vec![Fault::body("/reason", code, message)]));
    match reason {
        None if needs => fault("required", "say why: it is shown with the entry, and in a bounce"),
        Some(_) if !needs => fault("excluded", "only hold and bounce have a reason"),
        reason => Ok(reason.unwrap_or_default()),
    }
}

impl QueueSelector {
    fn wanted(self, faults: &mut Vec<Fault>) -> Wanted {
        let is_empty = self.state.is_none()
            && [&self.domain, &self.sender, &self.recipient, &self.before, &self.after]
                .into_iter()
                .all(Option::is_none);
        if is_empty {
            faults.push(Fault::body(
                "/selector",
                "empty",
                "an empty selector: to mean every entry, say {\"all\": true}",
            ));
        }
        let time =
            |text: &str| Timestamp::parse_rfc3339(text).ok_or("not a time as in 2027-01-31T00:00:00Z (RFC 3339)");
        Wanted {
            state: self.state,
            domain: read("domain", self.domain, Host::parse, faults),
            sender: read("sender", self.sender, Sender::parse, faults),
            recipient: read("recipient", self.recipient, Address::parse, faults),
            before: read("before", self.before, time, faults),
            after: read("after", self.after, time, faults),
        }
    }
}

fn read<T, E: std::fmt::Display>(
    name: &str,
    text: Option<String>,
    parse: impl Fn(&str) -> Result<T, E>,
    faults: &mut Vec<Fault>,
) -> Option<T> {
    match text.as_deref().map(parse)? {
        Ok(value) => Some(value),
        Err(error) => {
            faults.push(Fault::body(format!("/selector/{name}"), "malformed", error.to_string()));
            None
        }
    }
}

impl Chosen {
    /// For the audit.
    fn as_json(&self) -> Value {
        match self {
            Self::Ids(ids) => {
                let listed: Vec<String> = ids.iter().take(limits::PREVIEW_ITEMS).map(QueueId::to_string).collect();
                json!({"ids": listed, "named": ids.len()})
            }
            Self::Fitting(wanted) => json!({"selector": wanted.as_json()}),
        }
    }

    /// The entries among some that come next.
    fn slice(
        &self,
        view: &View,
        context: &Context,
        caller: &Caller,
        after: Option<QueueId>,
    ) -> Result<Slice, StoreError> {
        let (claims, now) = (&context.delivery.claims, context.delivery.now());
        let mut damaged = Vec::new();
        let (mut rows, next) = match self {
            Self::Ids(ids) => {
                let start = after.and_then(|after| ids.iter().position(|id| *id == after)).map_or(0, |place| place + 1);
                let ids = &ids[start..ids.len().min(start + limits::QUEUE_SLICE)];
                let mut entries = Vec::with_capacity(ids.len());
                for id in ids {
                    let sound = queue::sound_entry(view, *id).and_then(|entry| {
                        queue::sound_message(view, *id)?;
                        Ok(Waiting { id: *id, entry })
                    });
                    match sound {
                        Ok(waiting) => entries.push(waiting),
                        // Whose it is can't be read: it is named to who may see all.
                        Err(Halt::Refused(Refused::Damaged(id))) if !caller.is_restricted() => damaged.push(id),
                        Err(Halt::Refused(_)) => {}
                        Err(Halt::Broken(error)) => return Err(error),
                    }
                }
                (Row::gather(view, claims, now, entries)?, ids.last().copied())
            }
            Self::Fitting(wanted) => {
                let rows = wanted.fetch(view, claims, now, after, limits::QUEUE_SLICE)?;
                let next = rows.last().map(|row| row.id);
                (rows.into_iter().filter(|row| wanted.takes(row)).collect(), next)
            }
        };
        rows.retain(|row| row.is_reached_by(caller));
        Ok(Slice { rows, damaged, next })
    }
}

/// A piece of what is chosen.
struct Slice {
    rows: Vec<Row>,
    /// Those that are named, and whose rows do not decode.
    damaged: Vec<QueueId>,
    /// Where to go on; `None` behind the last.
    next: Option<QueueId>,
}

fn preview(view: &View, context: &Context, caller: &Caller, chosen: &Chosen) -> Result<QueuePreview, StoreError> {
    let mut preview = QueuePreview { count: 0, dry_run: true, items: Vec::new() };
    let mut after = None;
    loop {
        let Slice { rows, next, .. } = chosen.slice(view, context, caller, after)?;
        preview.count += rows.len() as u64;
        for row in rows.iter().take(limits::PREVIEW_ITEMS - preview.items.len()) {
            preview.items.push(QueueEntry::of(view, row)?);
        }
        if next.is_none() {
            return Ok(preview);
        }
        after = next;
    }
}

/// The job.
struct Work {
    context: Arc<Context>,
    caller: Caller,
    chosen: Chosen,
    /// The action on the queue; `None` for a bounce, which is an outcome.
    doing: Option<Action>,
    reason: String,
    /// Its row in the audit.
    note: AuditId,
}

/// What it has come to.
#[derive(Default)]
struct Tally {
    matched: u64,
    done: u64,
    refused: u64,
    refusals: Vec<Value>,
}

impl Tally {
    fn refuse(&mut self, refused: Refused) {
        self.refused += 1;
        if self.refusals.len() < REFUSALS {
            self.refusals.push(json!({"id": refused.id().to_string(), "problem": refused.to_string()}));
        }
    }

    fn result(&self) -> Value {
        json!({"matched": self.matched, "done": self.done, "refused": self.refused, "refusals": self.refusals})
    }
}

impl Work {
    /// Does it, and says in the audit what has come of it.
    async fn run(self, task: Task) -> Result<Value, Failed> {
        let done = self.work(task).await;
        let mut after = self.chosen.as_json();
        after["result"] = match &done {
            Ok(result) => result.clone(),
            Err(failed) => json!({"problem": failed.problem, "result": failed.result}),
        };
        if let Err(error) = self.context.store.write(Complete { id: self.note, after }).await {
            tracing::warn!(%error, "the audit does not say what has come of an action on many");
        }
        done
    }

    async fn work(&self, task: Task) -> Result<Value, Failed> {
        let (mut tally, mut after) = (Tally::default(), None);
        let is_urgent = self.doing.as_ref().is_some_and(act::is_urgent);
        if is_urgent {
            self.context.delivery.urge();
        }
        loop {
            if task.cancel.is_cancelled() {
                return Err(Failed { problem: "it was ended half-way".into(), result: Some(tally.result()) });
            }
            // Not on a reader thread: it is a bounded piece, and the caller stays with the job.
            let slice = self.context.store.view().and_then(|view| {
                let Slice { rows, damaged, next } = self.chosen.slice(&view, &self.context, &self.caller, after)?;
                Ok((rows.into_iter().map(|row| row.id).collect::<Vec<_>>(), damaged, next))
            });
            let broken = |error: &dyn std::fmt::Display, tally: &Tally| Failed {
                problem: error.to_string(),
                result: Some(tally.result()),
            };
            let (ids, damaged, next) = slice.map_err(|error| broken(&error, &tally))?;
            tally.matched += (ids.len() + damaged.len()) as u64;
            damaged.into_iter().for_each(|id| tally.refuse(Refused::Damaged(id)));
            let groups = if self.doing.is_none() { by_message(ids) } else { vec![ids] };
            for group in groups {
                self.act(group, &mut tally).await.map_err(|error| broken(&error, &tally))?;
            }
            task.report(Progress { done: tally.done + tally.refused, total: None, unit: "entries".into() });
            match next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        if is_urgent {
            self.context.delivery.wake();
        }
        Ok(tally.result())
    }

    async fn act_once(&self, action: Action, ids: &[QueueId], actor: &str) -> Result<(), WriteError<Refused>> {
        let context = &self.context;
        let claims = act::claims(context, ids, &action)?;
        let op = Act { entries: ids.to_vec(), action, actor: actor.to_owned(), at: context.clock.now() };
        context.store.write(op).await?.into_inner();
        drop(claims);
        Ok(())
    }

    /// Acts on all of them but those that are refused.
    async fn act(&self, mut ids: Vec<QueueId>, tally: &mut Tally) -> Result<(), WriteError<Refused>> {
        let actor = self.caller.name();
        while !ids.is_empty() {
            let context = &self.context;
            let done = match self.doing.clone() {
                Some(action) => self.act_once(action, &ids, &actor).await,
                None => {
                    let op = act::bounce(context, &actor, ids.clone(), &self.reason);
                    context.store.write(op).await.map(|done| drop(done.into_inner()))
                }
            };
            match done {
                Ok(()) => {
                    tally.done += ids.len() as u64;
                    return Ok(());
                }
                Err(WriteError::Refused(refused)) => {
                    tally.refuse(refused);
                    ids.retain(|other| *other != refused.id());
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Bounces are about one message each: its sender gets one report, in whatever order its recipients were named.
fn by_message(mut ids: Vec<QueueId>) -> Vec<Vec<QueueId>> {
    ids.sort_unstable();
    ids.chunk_by(|one, other| one.message == other.message).map(<[QueueId]>::to_vec).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::MessageId;

    #[test]
    fn a_message_is_bounced_once() {
        let id = |message: u64, number: u32| QueueId { message: MessageId(message), number };
        let groups = by_message(vec![id(2, 1), id(1, 0), id(2, 0), id(1, 4)]);
        assert_eq!(groups, [vec![id(1, 0), id(1, 4)], vec![id(2, 0), id(2, 1)]]);
    }
}
