use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header;
use actix_web::{HttpResponse, get, post, web};
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};

use super::dkim_keys::find_domain;
use super::jobs;
use crate::base::{DomainName, limits};
use crate::directory::Domain;
use crate::dns::{DnsError, MailServers, Resolver};
use crate::http::caller::{Allowed, DomainsRead};
use crate::http::context::Context;
use crate::http::page::NoQuery;
use crate::http::problem::{Code, Problem};
use crate::jobs::{Failed, Order, Task};
use crate::{delivery, dkim};

mod shape;
mod wanted;

use shape::{DomainDns, Record, RecordState};
use wanted::{Kind, Wanted};

/// Says which DNS records a domain needs, and which of them are there: for the domain's own name and for its other ones.
/// The DNS is asked, for what is not known from a moment ago; what it gives no answer for within some seconds is `unknown`.
#[utoipa::path(
    tag = "directory",
    params(("domain" = String, Path, description = "The domain's name")),
    responses(
        (status = 200, description = "The records", body = DomainDns),
        (status = 404, description = "There is no such domain"),
    )
)]
#[get("/domains/{domain}/dns")]
pub(in crate::http) async fn get_domain_dns(
    allowed: Allowed<DomainsRead>,
    _none: NoQuery,
    context: web::Data<Context>,
    path: web::Path<String>,
) -> Result<web::Json<DomainDns>, Problem> {
    let domain = find_domain(&context, &allowed.caller, &path)?;
    let (wanted, out) = (wanted_by(&context, &domain)?, Arc::clone(&context.delivery));
    // Where the resolver's connections live.
    let records = context.jobs.aside(async move { look(&out, wanted, false).await }).await;
    let records = records.ok_or_else(|| Problem::new(Code::NotReady, "The server is stopping."))?;
    Ok(web::Json(DomainDns { domain: domain.name.to_string(), records }))
}

/// Gives the records that a domain needs as lines of a zone file (RFC 1035 §5).
#[utoipa::path(
    tag = "directory",
    params(("domain" = String, Path, description = "The domain's name")),
    responses(
        (status = 200, description = "The lines", body = String, content_type = "text/dns"),
        (status = 404, description = "There is no such domain"),
    )
)]
#[get("/domains/{domain}/dns/zone")]
pub(in crate::http) async fn get_domain_zone(
    allowed: Allowed<DomainsRead>,
    _none: NoQuery,
    context: web::Data<Context>,
    path: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let domain = find_domain(&context, &allowed.caller, &path)?;
    let lines: Vec<String> = wanted_by(&context, &domain)?.iter().map(Wanted::zone_line).collect();
    // RFC 4027
    let kind = (header::CONTENT_TYPE, "text/dns; charset=utf-8");
    Ok(HttpResponse::Ok().insert_header(kind).body(lines.concat()))
}

/// Asks the DNS anew for the records that a domain needs, as a job whose result says `records`, as `GET` shows them, and
/// how many there are of each state.
#[utoipa::path(
    tag = "directory",
    params(("domain" = String, Path, description = "The domain's name")),
    responses(
        (status = 202, description = "The job is started", body = jobs::Job),
        (status = 404, description = "There is no such domain"),
    )
)]
#[post("/domains/{domain}/dns/check")]
pub(in crate::http) async fn check_domain_dns(
    allowed: Allowed<DomainsRead>,
    _none: NoQuery,
    context: web::Data<Context>,
    path: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let domain = find_domain(&context, &allowed.caller, &path)?;
    let (wanted, out) = (wanted_by(&context, &domain)?, Arc::clone(&context.delivery));
    let order =
        Order { kind: "dns_check", target: domain.name.to_string(), actor: allowed.caller.name(), session: None };
    let work = async move |_task: Task| Ok::<Value, Failed>(counted(look(&out, wanted, true).await));
    let id = context.jobs.start(order, work).await.map_err(jobs::not_started)?;
    jobs::started(&context, id)
}

/// What the domain needs, by what it is now.
fn wanted_by(context: &Context, domain: &Domain) -> Result<Vec<Wanted>, Problem> {
    let keys = dkim::keys(&context.store.view()?, &domain.name)?;
    Ok(wanted::of(domain, &context.delivery.outbound.hostname, &keys))
}

/// Looks for all of them, in their order.
async fn look(out: &delivery::Context, wanted: Vec<Wanted>, fresh: bool) -> Vec<Record> {
    let end = Instant::now() + Duration::from_millis(limits::DNS_RECORDS_MS);
    let all = stream::iter(wanted).map(|wanted| async move {
        let seen = timeout_at(end, seen(&out.resolver, &wanted, fresh)).await;
        let seen = seen.unwrap_or_else(|_| Err("the DNS did not answer in time".into()));
        Record::of(&wanted, seen)
    });
    all.buffered(limits::DNS_RECORDS_AT_ONCE).collect().await
}

/// What the DNS has there.
async fn seen(resolver: &Resolver, wanted: &Wanted, fresh: bool) -> Result<Vec<String>, String> {
    match &wanted.kind {
        Kind::Mx { .. } => {
            if fresh {
                resolver.forget_mail_servers(&wanted.domain);
            }
            mail_servers(resolver, &wanted.domain).await
        }
        Kind::Cname { target } => leads_to(resolver, wanted, target, fresh).await,
        Kind::Txt => resolver.texts(&wanted.name, &wanted.domain, fresh).await.map_err(|error| error.to_string()),
    }
}

async fn mail_servers(resolver: &Resolver, domain: &DomainName) -> Result<Vec<String>, String> {
    match resolver.mail_servers(domain).await {
        Ok(MailServers::Mx(servers)) => {
            Ok(servers.into_iter().map(|(preference, host)| format!("{preference} {host}.")).collect())
        }
        Ok(MailServers::Null) => Ok(vec!["0 .".into()]),
        Ok(MailServers::Implicit) | Err(DnsError::NoSuchName(_)) => Ok(Vec::new()),
        Err(error) => Err(error.to_string()),
    }
}

/// Where a host leads: to the target, by whatever records, or else its addresses.
async fn leads_to(
    resolver: &Resolver,
    wanted: &Wanted,
    target: &DomainName,
    fresh: bool,
) -> Result<Vec<String>, String> {
    let host = DomainName::parse(&wanted.name).map_err(|error| error.to_string())?;
    if fresh {
        resolver.forget_addresses(&host);
        resolver.forget_addresses(target);
    }
    let (found, ours) = tokio::join!(resolver.addresses(&host), resolver.addresses(target));
    let found = match found {
        Err(DnsError::NoSuchName(_)) => Vec::new(),
        found => found.map_err(|error| error.to_string())?,
    };
    if ours.is_ok_and(|ours| found.iter().any(|address| ours.contains(address))) {
        return Ok(vec![wanted.value.clone()]);
    }
    Ok(found.iter().map(ToString::to_string).collect())
}

fn counted(records: Vec<Record>) -> Value {
    let count = |state| records.iter().filter(|record| record.state == state).count();
    json!({
        "ok": count(RecordState::Ok),
        "missing": count(RecordState::Missing),
        "wrong": count(RecordState::Wrong),
        "unknown": count(RecordState::Unknown),
        "records": records,
    })
}
