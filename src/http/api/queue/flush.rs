use actix_web::{HttpResponse, post, web};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::filter::Sender;
use super::shape::{QueueEntry, QueueState, Row};
use crate::audit::Complete;
use crate::base::{Address, DomainName, limits};
use crate::http::body::Body;
use crate::http::caller::{Allowed, Caller, QueueWrite};
use crate::http::context::Context;
use crate::http::page::NoQuery;
use crate::http::problem::{Fault, Problem};
use crate::queue::{Selector, State};
use crate::store::StoreError;
use crate::turn;

/// What is to go out at once: `all`, or what the selector names.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct QueueFlush {
    /// Everything that waits for its next attempt. What waits for a peer goes on waiting: name the peer or its domain.
    #[serde(default)]
    #[schema(default = false)]
    all: bool,
    /// A part of it.
    #[serde(default)]
    selector: Option<FlushSelector>,
    /// Counts, shows the first 20, and changes nothing.
    #[serde(default)]
    #[schema(default = false)]
    dry_run: bool,
}

/// A part of the queue: exactly one of these.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct FlushSelector {
    /// What goes to this domain, also when it waits for a peer: for one attempt.
    #[serde(default)]
    domain: Option<String>,
    /// What comes from this address; `<>` is the null sender.
    #[serde(default)]
    sender: Option<String>,
    /// What waits for this peer: for one attempt.
    #[serde(default)]
    peer: Option<String>,
}

/// What a flush did.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct QueueFlushed {
    /// Entries that are due now.
    count: u64,
    /// Nothing was changed.
    dry_run: bool,
    /// With `dry_run`: the first 20 of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    items: Option<Vec<QueueEntry>>,
}

/// Makes entries due at once. What an operator holds stays held, and what is being delivered is left alone.
#[utoipa::path(
    tag = "queue",
    request_body = QueueFlush,
    responses(
        (status = 200, description = "With `dry_run`: what would be due", body = QueueFlushed),
        (status = 202, description = "They are due", body = QueueFlushed),
    )
)]
#[post("/queue/flush")]
pub(in crate::http) async fn flush_queue(
    allowed: Allowed<QueueWrite>,
    _none: NoQuery,
    context: web::Data<Context>,
    body: Body<QueueFlush>,
) -> Result<HttpResponse, Problem> {
    let dry_run = body.0.dry_run;
    let selector = body.0.selector(&context)?;
    may_flush(&allowed.caller, &selector)?;
    if dry_run {
        return Ok(HttpResponse::Ok().json(preview(&context, selector).await?));
    }
    let what = named(&selector);
    let note = allowed.note(&context, "queue", Some(json!({"selector": what}))).await?;
    let count = context.delivery.flush(selector, &allowed.caller.name()).await?;
    let after = json!({"selector": what, "count": count});
    context.store.write(Complete { id: note, after }).await?.into_inner();
    Ok(HttpResponse::Accepted().json(QueueFlushed { count, dry_run, items: None }))
}

impl QueueFlush {
    fn selector(self, context: &Context) -> Result<Selector, Problem> {
        let fault = |pointer: &str, code, message: &str| Problem::invalid(vec![Fault::body(pointer, code, message)]);
        let Some(selector) = self.selector else {
            let message = "say which: {\"all\": true}, or a selector with domain, sender or peer";
            return if self.all { Ok(Selector::All) } else { Err(fault("/selector", "required", message)) };
        };
        if self.all {
            return Err(fault("/selector", "excluded", "all and a selector exclude each other"));
        }
        let wrong = |pointer: &str, error: &dyn std::fmt::Display| fault(pointer, "malformed", &error.to_string());
        match (selector.domain, selector.sender, selector.peer) {
            (Some(domain), None, None) => {
                let domain = DomainName::parse(&domain).map_err(|error| wrong("/selector/domain", &error))?;
                Ok(Selector::Domain(domain))
            }
            (None, Some(sender), None) => match Sender::parse(&sender) {
                Ok(Sender::Null) => Ok(Selector::Sender(None)),
                Ok(Sender::Address(address)) => Ok(Selector::Sender(Some(address))),
                Err(error) => Err(wrong("/selector/sender", &error)),
            },
            (None, None, Some(peer)) => match turn::peer(&context.store.view()?, &peer)? {
                Some(_) => Ok(Selector::Peer(peer)),
                None => Err(fault("/selector/peer", "no_such_peer", &format!("there is no peer {peer}"))),
            },
            _ => Err(fault("/selector", "not_one", "exactly one of domain, sender and peer")),
        }
    }
}

/// The selector, for the audit.
fn named(selector: &Selector) -> Value {
    match selector {
        Selector::All => json!("all"),
        Selector::Domain(domain) => json!({"domain": domain.as_str()}),
        Selector::Sender(sender) => json!({"sender": sender.as_ref().map_or_else(String::new, Address::to_string)}),
        Selector::Peer(peer) => json!({"peer": peer}),
    }
}

/// A token that is restricted to domains flushes what is for them, or comes from them, alone.
fn may_flush(caller: &Caller, selector: &Selector) -> Result<(), Problem> {
    match selector {
        Selector::Domain(domain) => caller.need_domain(domain),
        Selector::Sender(sender) => match sender.as_ref().and_then(|sender| sender.host.name()) {
            Some(domain) if caller.reaches(domain) => Ok(()),
            _ => caller.need_unrestricted("flush mail of other domains"),
        },
        Selector::All | Selector::Peer(_) => caller.need_unrestricted("flush the whole queue or a peer's mail"),
    }
}

async fn preview(context: &Context, selector: Selector) -> Result<QueueFlushed, StoreError> {
    let (claims, now) = (context.delivery.claims.clone(), context.delivery.now());
    let releases = matches!(selector, Selector::Domain(_) | Selector::Peer(_));
    let is_flushed = move |row: &Row| {
        let fits = match row.entry.state {
            State::Waiting { .. } => true,
            State::Parked { .. } => releases,
            State::Held { .. } => false,
        };
        fits && row.state != QueueState::InFlight
    };
    context
        .store
        .read(move |view| {
            let (mut count, mut items, mut after) = (0, Vec::new(), None);
            loop {
                let slice = selector.slice(view, after, limits::QUEUE_SLICE)?;
                for row in Row::gather(view, &claims, now, slice.entries)?.iter().filter(|row| is_flushed(row)) {
                    count += 1;
                    if items.len() < limits::PREVIEW_ITEMS {
                        items.push(QueueEntry::of(view, row)?);
                    }
                }
                match slice.next {
                    Some(next) => after = Some(next),
                    None => return Ok(QueueFlushed { count, dry_run: true, items: Some(items) }),
                }
            }
        })
        .await
}
