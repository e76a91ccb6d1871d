use actix_web::{HttpRequest, HttpResponse, get, web};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::{list, page_of};
use crate::audit::{self, AuditRow};
use crate::base::AuditId;
use crate::http::caller::{Allowed, AuditRead};
use crate::http::context::Context;
use crate::http::page::{ListParams, ListQuery};
use crate::http::problem::Problem;

/// Something that was done by REST.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct AuditEntry {
    /// Its id.
    id: String,
    /// When it was done.
    at: String,
    /// Who did it: an account's address, `token <id>`, `owner` on the unix socket, or `setup`.
    actor: String,
    /// The token that was used; null: none.
    token_id: Option<String>,
    /// From where; null: through the unix socket.
    ip: Option<String>,
    /// What was done: the operation's id in this document.
    action: String,
    /// To what: names as they stand in the path.
    target: String,
    /// The thing before, its secrets masked; null where it was not there, or where there is nothing to show.
    #[schema(value_type = Option<Object>)]
    before: Option<Value>,
    /// The thing after, its secrets masked; of an action on many, what came of it.
    #[schema(value_type = Option<Object>)]
    after: Option<Value>,
    /// The request's id, as in the log and in `X-Request-Id`.
    request_id: String,
}

page_of! {
    /// What was done, the newest first.
    AuditPage of AuditEntry
}

impl AuditEntry {
    fn of((id, row): &(AuditId, AuditRow)) -> Self {
        Self {
            id: id.to_string(),
            at: row.at.rfc3339(),
            actor: row.act.actor.clone(),
            token_id: row.act.token_id.clone(),
            ip: row.act.ip.map(|ip| ip.to_string()),
            action: row.act.action.clone(),
            target: row.target.clone(),
            before: row.before(),
            after: row.after(),
            request_id: row.act.request_id.clone(),
        }
    }
}

/// Lists who changed what, and who read what is people's own; the newest first. It is kept for `audit.keep_seconds`.
#[utoipa::path(
    tag = "audit",
    params(
        ListParams,
        ("actor" = Option<String>, Query, description = "Only what this one did"),
        ("action" = Option<String>, Query, description = "Only this operation"),
        ("target" = Option<String>, Query, description = "Only what was done to names that contain this"),
        ("after" = Option<String>, Query, description = "Only what was done at this time or later (RFC 3339)"),
        ("before" = Option<String>, Query, description = "Only what was done before this time (RFC 3339)"),
    ),
    responses((status = 200, description = "A page of what was done", body = AuditPage))
)]
#[get("/audit")]
pub(in crate::http) async fn list_audit(
    allowed: Allowed<AuditRead>,
    request: HttpRequest,
    context: web::Data<Context>,
    query: ListQuery,
) -> Result<HttpResponse, Problem> {
    allowed.caller.need_unrestricted("see who changed what")?;
    let query = query.allow(&["actor", "action", "target", "after", "before"])?;
    let behind = query.after_key(str::parse::<AuditId>)?;
    let (after, before) = (query.time("after")?, query.time("before")?);
    let word = |name: &str| query.filter(name).map(str::to_lowercase);
    let (actor, action, target) = (word("actor"), word("action"), word("target"));
    let found = context
        .store
        .read(move |view| {
            let fetch = |behind: Option<&AuditId>, limit| audit::rows(view, behind.copied(), after, before, limit);
            let keep = |(_, row): &(AuditId, AuditRow)| {
                actor.as_ref().is_none_or(|actor| row.act.actor.to_lowercase() == *actor)
                    && action.as_ref().is_none_or(|action| row.act.action == *action)
                    && target.as_ref().is_none_or(|target| row.target.to_lowercase().contains(target))
            };
            list(&query, behind, fetch, keep, |(id, _): &(AuditId, AuditRow)| *id)
        })
        .await?;
    Ok(found.answer::<AuditPage, _>(&request, AuditEntry::of))
}
