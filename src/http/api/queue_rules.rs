use actix_web::{HttpRequest, HttpResponse, delete, get, put, web};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::queue::act::hold_until;
use super::{Guard, audit_row, list, page_of, show, stored};
use crate::base::{Address, DomainName, Host, Timestamp};
use crate::http::body::Body;
use crate::http::caller::{Allowed, QueueRead, QueueWrite};
use crate::http::context::Context;
use crate::http::etag;
use crate::http::page::{ListParams, ListQuery, NoQuery};
use crate::http::problem::{Code, Fault, Problem, Refusal};
use crate::queue::{self, DeleteRule, EndPause, PutPause, PutRule, RuleAction, RuleFields, RuleMatch, RuleRefused};
use crate::store::{StoreError, Tx};

const WHAT: &str = "see or change the rules of the queue";

/// What an operator has decided for some mail on its way out, what is queued and what comes in.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct QueueRule {
    /// Its name.
    id: String,
    /// Which mail.
    #[serde(rename = "match")]
    matches: QueueRuleMatch,
    /// What becomes of it.
    action: QueueRuleAction,
    /// Why.
    reason: String,
    /// When it ends by itself; null: never.
    expires_at: Option<String>,
    /// That time has come: it does nothing any more.
    expired: bool,
    /// When it was created.
    created_at: String,
    /// When it was last changed.
    changed_at: String,
}

/// What is set of a rule.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct QueueRuleInput {
    /// Which mail.
    #[serde(rename = "match")]
    matches: QueueRuleMatch,
    /// What becomes of it.
    action: QueueRuleAction,
    /// For people: it is shown with what is held.
    #[schema(min_length = 1, max_length = 1000)]
    reason: String,
    /// When it ends by itself (RFC 3339): what it holds is released then. Left out: never.
    #[serde(default)]
    #[schema(format = DateTime)]
    expires_at: Option<String>,
}

/// Which mail a rule is for: exactly one of these.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct QueueRuleMatch {
    /// Mail to this domain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 255)]
    domain: Option<String>,
    /// Mail from this address, or from any of a domain, as in `@example.org`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 320)]
    sender: Option<String>,
    /// Mail to this address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 320)]
    recipient: Option<String>,
    /// Mail that this server would be given: a name as the MX records or a route say it, or an address literal. For
    /// `suspend` alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 255)]
    server: Option<String>,
}

/// What becomes of mail by a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::http) enum QueueRuleAction {
    /// It is held when its time comes, and does not expire. What is released goes out for one attempt.
    Hold,
    /// It waits where it is, nobody is dialled for it, and no peer gets it.
    Suspend,
}

/// Why nothing goes out, and for how long.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct QueuePauseInput {
    /// For people: it is shown with the queue.
    #[schema(min_length = 1, max_length = 1000)]
    reason: String,
    /// When it ends by itself (RFC 3339). Left out: never.
    #[serde(default)]
    #[schema(format = DateTime)]
    until: Option<String>,
}

/// A pause of all mail that goes out.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct QueuePause {
    /// Why.
    reason: String,
    /// When it ends by itself; null: never.
    until: Option<String>,
    /// When it began.
    since_at: String,
}

page_of! {
    /// Rules by name.
    QueueRulePage of QueueRule
}

/// Lists the rules that hold or suspend mail, by name. Not for tokens that are restricted to domains: a rule is about
/// other domains' mail.
#[utoipa::path(
    tag = "queue",
    params(ListParams),
    responses((status = 200, description = "A page of rules", body = QueueRulePage))
)]
#[get("/queue/rules")]
pub(in crate::http) async fn list_queue_rules(
    allowed: Allowed<QueueRead>,
    request: HttpRequest,
    context: web::Data<Context>,
    query: ListQuery,
) -> Result<HttpResponse, Problem> {
    allowed.caller.need_unrestricted(WHAT)?;
    let query = query.allow(&[])?;
    let after = query.after_key(|name| Ok::<_, std::convert::Infallible>(name.to_owned()))?;
    let now = context.delivery.now();
    let found = context
        .store
        .read(move |view| {
            let fetch = |after: Option<&String>, limit| queue::rules(view, after.map(String::as_str), limit);
            let listed = list(&query, after, fetch, |_| true, |row: &queue::Rule| row.name.clone())?;
            listed.try_map(|row| Ok::<_, StoreError>(QueueRule::of(&row, now)))
        })
        .await?;
    Ok(found.answer_as::<QueueRulePage>(&request))
}

/// Shows a rule.
#[utoipa::path(
    tag = "queue",
    params(("id" = String, Path, description = "The rule's name")),
    responses((status = 200, description = "The rule", body = QueueRule), (status = 304, description = "The client has it"))
)]
#[get("/queue/rules/{id}")]
pub(in crate::http) async fn get_queue_rule(
    allowed: Allowed<QueueRead>,
    _none: NoQuery,
    request: HttpRequest,
    context: web::Data<Context>,
    path: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    allowed.caller.need_unrestricted(WHAT)?;
    let row = find(&context, &path)?.ok_or_else(|| Problem::not_found("rule", &path))?;
    Ok(show(&request, etag::of(row.version), &QueueRule::of(&row, context.delivery.now())))
}

/// Creates or replaces a rule: it is for what is queued, and for what comes in. What is being sent at this moment goes on.
#[utoipa::path(
    tag = "queue",
    params(("id" = String, Path, description = "The rule's name: a-z, 0-9, `.`, `_`, `-`")),
    request_body = QueueRuleInput,
    responses(
        (status = 200, description = "Replaced", body = QueueRule),
        (status = 201, description = "Created", body = QueueRule),
        (status = 409, description = "Another rule is for the same mail, there are as many as there may be, or somebody changed it at the same moment"),
    )
)]
#[put("/queue/rules/{id}")]
pub(in crate::http) async fn put_queue_rule(
    allowed: Allowed<QueueWrite>,
    _none: NoQuery,
    request: HttpRequest,
    context: web::Data<Context>,
    path: web::Path<String>,
    body: Body<QueueRuleInput>,
) -> Result<HttpResponse, Problem> {
    allowed.caller.need_unrestricted(WHAT)?;
    let name = path.into_inner();
    let guard = Guard::read(&request, find(&context, &name)?.map(|rule| rule.version))?;
    let fields = body.0.fields()?;
    let op = PutRule { name: name.clone(), fields, precondition: guard.as_read, at: context.clock.now() };
    let put = allowed.write(&context, &name, op, shows(&name)).await;
    let put = put.map_err(|error| guard.problem(error))?.into_inner();
    let rule = QueueRule::of(&put.row, context.delivery.now());
    Ok(stored(put.created, "queue/rules", &put.row.name, etag::of(put.row.version), &rule))
}

/// Deletes a rule: what it has suspended goes out. What it holds stays held: release that.
#[utoipa::path(
    tag = "queue",
    params(("id" = String, Path, description = "The rule's name")),
    responses((status = 204, description = "Deleted"))
)]
#[delete("/queue/rules/{id}")]
pub(in crate::http) async fn delete_queue_rule(
    allowed: Allowed<QueueWrite>,
    _none: NoQuery,
    request: HttpRequest,
    context: web::Data<Context>,
    path: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    allowed.caller.need_unrestricted(WHAT)?;
    let name = path.into_inner();
    let guard = Guard::read(&request, find(&context, &name)?.map(|rule| rule.version))?;
    let op = DeleteRule { name: name.clone(), precondition: guard.asked };
    allowed.write(&context, &name, op, shows(&name)).await?.into_inner();
    Ok(HttpResponse::NoContent().finish())
}

/// Pauses all mail that goes out: nobody is dialled, and no peer is served. What is being sent at this moment goes on to
/// its end. `GET /queue/summary` shows the pause.
#[utoipa::path(
    tag = "queue",
    request_body = QueuePauseInput,
    responses((status = 200, description = "Nothing goes out", body = QueuePause))
)]
#[put("/queue/pause")]
pub(in crate::http) async fn put_queue_pause(
    allowed: Allowed<QueueWrite>,
    _none: NoQuery,
    context: web::Data<Context>,
    body: Body<QueuePauseInput>,
) -> Result<HttpResponse, Problem> {
    allowed.caller.need_unrestricted(WHAT)?;
    let until = hold_until(&context, body.0.until.as_deref())?;
    let op = PutPause { reason: body.0.reason, until, at: context.delivery.now() };
    let pause = allowed.write(&context, "pause", op, shows_pause()).await?.into_inner();
    Ok(HttpResponse::Ok().json(QueuePause::of(&pause)))
}

/// Ends the pause: mail goes out again.
#[utoipa::path(tag = "queue", responses((status = 204, description = "There is no pause")))]
#[delete("/queue/pause")]
pub(in crate::http) async fn delete_queue_pause(
    allowed: Allowed<QueueWrite>,
    _none: NoQuery,
    context: web::Data<Context>,
) -> Result<HttpResponse, Problem> {
    allowed.caller.need_unrestricted(WHAT)?;
    allowed.write(&context, "pause", EndPause, shows_pause()).await?.into_inner();
    Ok(HttpResponse::NoContent().finish())
}

fn find(context: &Context, name: &str) -> Result<Option<queue::Rule>, Problem> {
    Ok(queue::rule(&context.store.view()?, name)?)
}

/// Shows the rule, for the audit.
fn shows(name: &str) -> impl Fn(&Tx<'_>) -> Result<Option<Value>, StoreError> + use<> {
    let name = name.to_owned();
    move |tx| {
        let shown = |row: &queue::Rule| Ok((QueueRule::of(row, row.changed_at), etag::of(row.version)));
        audit_row(queue::rule(tx, &name)?, shown)
    }
}

/// Shows the pause, for the audit.
fn shows_pause() -> impl Fn(&Tx<'_>) -> Result<Option<Value>, StoreError> {
    |tx| Ok(queue::pause(tx, Timestamp(0))?.and_then(|pause| serde_json::to_value(QueuePause::of(&pause)).ok()))
}

impl QueuePause {
    pub(super) fn of(pause: &queue::Pause) -> Self {
        let until = pause.until.map(Timestamp::rfc3339);
        Self { reason: pause.reason.clone(), until, since_at: pause.since.rfc3339() }
    }
}

impl QueueRule {
    fn of(row: &queue::Rule, now: Timestamp) -> Self {
        Self {
            id: row.name.clone(),
            matches: QueueRuleMatch::of(&row.fields.matches),
            action: match row.fields.action {
                RuleAction::Hold => QueueRuleAction::Hold,
                RuleAction::Suspend => QueueRuleAction::Suspend,
            },
            reason: row.fields.reason.clone(),
            expires_at: row.fields.until.map(Timestamp::rfc3339),
            expired: !row.is_on(now),
            created_at: row.created_at.rfc3339(),
            changed_at: row.changed_at.rfc3339(),
        }
    }
}

impl QueueRuleMatch {
    fn of(matches: &RuleMatch) -> Self {
        let none = Self { domain: None, sender: None, recipient: None, server: None };
        match matches {
            RuleMatch::Recipient(address) => Self { recipient: Some(address.to_string()), ..none },
            RuleMatch::Sender(address) => Self { sender: Some(address.to_string()), ..none },
            RuleMatch::SenderDomain(domain) => Self { sender: Some(format!("@{domain}")), ..none },
            RuleMatch::Domain(domain) => Self { domain: Some(domain.to_string()), ..none },
            RuleMatch::Server(host) => Self { server: Some(host.to_string()), ..none },
        }
    }

    fn read(self) -> Result<RuleMatch, Fault> {
        let wrong = |place: &str, error: &dyn std::fmt::Display| {
            Fault::body(format!("/match/{place}"), "malformed", error.to_string())
        };
        match (self.domain, self.sender, self.recipient, self.server) {
            (Some(domain), None, None, None) => {
                DomainName::parse(&domain).map(RuleMatch::Domain).map_err(|error| wrong("domain", &error))
            }
            (None, Some(sender), None, None) => match sender.strip_prefix('@') {
                Some(domain) => DomainName::parse(domain).map(RuleMatch::SenderDomain),
                None => Address::parse(&sender).map(RuleMatch::Sender),
            }
            .map_err(|error| wrong("sender", &error)),
            (None, None, Some(recipient), None) => {
                Address::parse(&recipient).map(RuleMatch::Recipient).map_err(|error| wrong("recipient", &error))
            }
            (None, None, None, Some(server)) => {
                Host::parse(&server).map(RuleMatch::Server).map_err(|error| wrong("server", &error))
            }
            _ => Err(Fault::body("/match", "not_one", "exactly one of domain, sender, recipient and server")),
        }
    }
}

impl QueueRuleInput {
    fn fields(self) -> Result<RuleFields, Problem> {
        let wrong = || Fault::body("/expires_at", "malformed", "not a time as in 2027-01-31T00:00:00Z (RFC 3339)");
        let until = self.expires_at.as_deref().map(|text| Timestamp::parse_rfc3339(text).ok_or_else(wrong)).transpose();
        let matches = self.matches.read();
        match (matches, until) {
            (Ok(matches), Ok(until)) => {
                let action = match self.action {
                    QueueRuleAction::Hold => RuleAction::Hold,
                    QueueRuleAction::Suspend => RuleAction::Suspend,
                };
                Ok(RuleFields { matches, action, reason: self.reason, until })
            }
            (matches, until) => Err(Problem::invalid(matches.err().into_iter().chain(until.err()).collect())),
        }
    }
}

impl Refusal for RuleRefused {
    fn is_precondition(&self) -> bool {
        matches!(self, Self::Precondition(_))
    }

    fn problem(self) -> Problem {
        let detail = self.to_string();
        match self {
            Self::Precondition(_) => Problem::new(Code::PreconditionFailed, "It was changed meanwhile: read it again."),
            Self::Taken(_) => Problem::new(Code::Conflict, format!("{detail}: change that one, or delete it.")),
            Self::TooMany => Problem::new(Code::Conflict, format!("{detail}: delete some.")),
            Self::Unknown => Problem::new(Code::NotFound, "There is no such rule."),
            Self::Field("name", what) => Problem::invalid(vec![Fault::parameter("id", "malformed", what)]),
            Self::Field(name, what) => Problem::invalid(vec![Fault::body(format!("/{name}"), "not_allowed", what)]),
        }
    }
}
