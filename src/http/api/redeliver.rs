use actix_web::{HttpRequest, HttpResponse, post, web};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::queue::route_to;
use super::sent::{RecipientResult, Resolved};
use super::{parse_all, wrong_id};
use crate::base::{Address, MessageId};
use crate::directory::Scope;
use crate::http::audited::nothing;
use crate::http::body::Body;
use crate::http::caller::{Allowed, Caller, QueueWrite};
use crate::http::context::Context;
use crate::http::page::NoQuery;
use crate::http::problem::{Code, Fault, Problem, Refusal};
use crate::intake::{self, Origin, Redeliver, RedeliverRefused, Redeliverable, Wish};
use crate::trace::{self, Subject};

/// To whom a message is delivered once more.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct RedeliveryInput {
    /// These addresses. Left out: the recipients that it had.
    #[serde(default)]
    #[schema(min_items = 1, max_items = 1000)]
    recipients: Option<Vec<String>>,
    /// The way to those elsewhere, for this message alone: a route's name, or a server as in `relay.example.org` or
    /// `relay.example.org:2525`. Left out: as routes and peers say. Not for tokens that are restricted to domains.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 320)]
    route: Option<String>,
    /// Says what would become of it, and does nothing.
    #[serde(default)]
    #[schema(default = false)]
    dry_run: bool,
}

/// A message that is delivered once more.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct Redelivery {
    /// The id of the new message; its story names the old one. Null for a dry run.
    id: Option<String>,
    /// What becomes of it for each recipient.
    recipients: Vec<RecipientResult>,
    /// Nothing was done.
    dry_run: bool,
}

/// Delivers a message once more, as a new one: from the copy that is kept for some time after its last user has let it go
/// (`queue.keep_delivered_seconds`), or from the mailbox or the queue that still holds it. Who has not had it reads it
/// then: for a recipient who is none of those that it had, the scope `messages:read` is needed besides.
#[utoipa::path(
    tag = "trace",
    params(("mid" = String, Path, description = "The message's id")),
    request_body = RedeliveryInput,
    responses(
        (status = 202, description = "It is on disk, or would be", body = Redelivery),
        (status = 403, description = "The caller lacks the scope, or `messages:read` for a recipient who has not had it, or is restricted to other domains"),
        (status = 404, description = "Nothing is known of this message"),
        (status = 409, description = "A mailbox has become full meanwhile; or it never was mail to somebody: its owner has put it into a mailbox"),
        (status = 410, description = "Its content is not kept any more: `body_gone`"),
    )
)]
#[post("/trace/{mid}/redeliver")]
pub(in crate::http) async fn redeliver_message(
    allowed: Allowed<QueueWrite>,
    _none: NoQuery,
    request: HttpRequest,
    context: web::Data<Context>,
    path: web::Path<String>,
    body: Body<RedeliveryInput>,
) -> Result<HttpResponse, Problem> {
    let of: MessageId = path.parse().map_err(|error| wrong_id("mid", error))?;
    let RedeliveryInput { recipients, route, dry_run } = body.0;
    let mut faults = Vec::new();
    let named = recipients.map(|texts| parse_all("/recipients", &texts, Address::parse, &mut faults));
    if !faults.is_empty() {
        return Err(Problem::invalid(faults));
    }
    let via = route.map(|text| route_to(&context, &allowed.caller, &text)).transpose()?;
    let known = context.store.read(move |view| intake::redeliverable(view, of)).await?;
    let known = known.ok_or_else(|| missing(&context, of))?;
    let wanted = recipients_for(&allowed.caller, of, &known, named)?;
    if !known.is_mail {
        let detail = "Its owner has put it into a mailbox; it never was mail to somebody.";
        return Err(Problem::new(Code::Conflict, detail));
    }
    let resolved = {
        let view = context.store.view()?;
        Resolved::of(&view, &context, &wanted, known.size_bytes)?
    };
    resolved.need_somebody(|place| Fault::body(format!("/recipients/{place}"), "", ""))?;
    if dry_run {
        return Ok(HttpResponse::Accepted().json(Redelivery { id: None, recipients: resolved.results, dry_run }));
    }
    let origin = Origin {
        actor: allowed.caller.name(),
        peer_ip: request.peer_addr().map(|peer| peer.ip()),
        ..Origin::default()
    };
    let outbound = context.delivery.outbound.clone();
    let recipients = resolved.recipients.clone();
    let (source, at) = (known.source, context.clock.now());
    let wish = Wish { of, source, recipients, via, origin, at, outbound };
    let op = Redeliver::prepare(&context.store, wish).await?.ok_or_else(gone)?;
    let accepted = allowed.write(&context, of, op, nothing).await?.into_inner();
    let id = Some(accepted.id.to_string());
    Ok(HttpResponse::Accepted().json(Redelivery { id, recipients: resolved.results_of(&accepted), dry_run }))
}

/// To whom it goes, as far as the caller may decide that. Who is restricted to domains may hand on what its own users
/// have sent; of what others have sent to them, to its own users alone.
fn recipients_for(
    caller: &Caller,
    of: MessageId,
    known: &Redeliverable,
    named: Option<Vec<Address>>,
) -> Result<Vec<Address>, Problem> {
    let reaches = |address: &Address| address.host.name().is_some_and(|domain| caller.reaches(domain));
    let is_own = !caller.is_restricted() || known.sender.as_ref().is_some_and(reaches);
    if !is_own && !known.recipients.iter().any(reaches) {
        return Err(unknown(of));
    }
    let wanted = match named {
        Some(named) => {
            if let Some(other) = named.iter().find(|address| !is_own && !reaches(address)) {
                let detail = format!("The token is restricted to domains, and {other} is in none of them.");
                return Err(Problem::new(Code::Forbidden, detail));
            }
            let is_new = |address: &&Address| !known.known_to.contains(&address.key());
            if let Some(new) = named.iter().find(is_new).filter(|_| !caller.has(Scope::MessagesRead)) {
                let scope = Scope::MessagesRead;
                let detail = format!("{new} has not had the message, and would read it: this needs the scope {scope}.");
                return Err(Problem::new(Code::Forbidden, detail));
            }
            named
        }
        None => known.recipients.iter().filter(|address| is_own || reaches(address)).cloned().collect(),
    };
    if wanted.is_empty() {
        let message = "it is not known who had got it: say to whom it is to go";
        return Err(Problem::invalid(vec![Fault::body("/recipients", "required", message)]));
    }
    Ok(wanted)
}

/// 410 for a message whose story is known, 404 for any other.
fn missing(context: &Context, of: MessageId) -> Problem {
    let story = context.store.view().and_then(|view| trace::story(&view, Subject::Message(of)));
    match story {
        Ok(story) if story.is_empty() => unknown(of),
        Ok(_) => gone(),
        Err(error) => error.into(),
    }
}

fn unknown(of: MessageId) -> Problem {
    Problem::not_found("message that is known with the id", of)
}

fn gone() -> Problem {
    let detail =
        "Its content is not kept any more (setting queue.keep_delivered_seconds): its sender has to send it again.";
    Problem::new(Code::BodyGone, detail)
}

impl Refusal for RedeliverRefused {
    fn is_precondition(&self) -> bool {
        false
    }

    fn problem(self) -> Problem {
        match self {
            Self::BodyGone => gone(),
            Self::Message(refused) => refused.problem(),
        }
    }
}
