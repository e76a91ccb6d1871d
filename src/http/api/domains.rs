use actix_web::{HttpRequest, HttpResponse, delete, get, patch, put, web};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::state::Section;
use super::{Guard, audit_row, domain_of, list, page_of, parse_all, show, stored};
use crate::base::{Address, DomainName};
use crate::directory::{self, DeleteDomain, DomainFields, PutDomain};
use crate::dkim::RemoveDomain;
use crate::http::body::{Body, Patch};
use crate::http::caller::{Allowed, Caller, DomainsRead, DomainsWrite};
use crate::http::context::Context;
use crate::http::etag;
use crate::http::managed::ManagedBy;
use crate::http::page::{ListParams, ListQuery, NoQuery};
use crate::http::problem::{Fault, Problem};
use crate::settings::Settings;
use crate::store::{Read, StoreError, Tx};
use crate::tlspolicy::Mode;

/// A domain that this server takes mail for.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct Domain {
    /// Its name: lower-case A-labels.
    name: String,
    /// Other names of the domain: every address in them is the same address in the domain.
    aliases: Vec<String>,
    /// A disabled domain takes no mail.
    enabled: bool,
    /// Where mail goes whose local part nobody has.
    catch_all: Option<String>,
    /// What separates a name from its tag, as in `alice+tag`; empty: nothing does.
    subaddress_sep: String,
    /// The quota of accounts that have none of their own.
    default_quota_bytes: Option<u64>,
    /// How many accounts it may have.
    #[schema(format = Int64)]
    max_accounts: Option<u32>,
    /// What the MTA-STS policy says that is published for it; null: none is published.
    mta_sts_mode: Option<MtaStsMode>,
    /// What keeps it as it is: `state` where a desired state that was applied has named it, else null. It can be changed
    /// by hand all the same: the next state that is applied sets it back.
    managed_by: Option<ManagedBy>,
    /// When it was created.
    created_at: String,
    /// When it was last changed.
    changed_at: String,
}

/// What is set of a domain. What is left out gets its default.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct DomainInput {
    /// Other names of the domain.
    #[serde(default)]
    #[schema(max_items = 100)]
    aliases: Vec<String>,
    /// A disabled domain takes no mail.
    #[serde(default = "yes")]
    #[schema(default = true)]
    enabled: bool,
    /// Where mail goes whose local part nobody has: an address.
    #[serde(default)]
    #[schema(max_length = 320)]
    catch_all: Option<String>,
    /// What separates a name from its tag; empty: nothing does. Default: the setting `directory.subaddress_separator`.
    #[serde(default)]
    #[schema(max_length = 8)]
    subaddress_sep: Option<String>,
    /// The quota of accounts that have none of their own.
    #[serde(default)]
    #[schema(minimum = 0)]
    default_quota_bytes: Option<u64>,
    /// How many accounts it may have.
    #[serde(default)]
    #[schema(format = Int64, minimum = 0, maximum = 4_294_967_295_u32)]
    max_accounts: Option<u32>,
    /// Publishes an MTA-STS policy for it (RFC 8461), which names this server, at
    /// `https://mta-sts.{domain}/.well-known/mta-sts.txt`. Null: none is published.
    #[serde(default)]
    mta_sts_mode: Option<MtaStsMode>,
}

/// How much an MTA-STS policy is in earnest. RFC 8461 §5.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::http) enum MtaStsMode {
    /// Others send to this server alone, over TLS with a certificate that a public CA vouches for, or not at all.
    Enforce,
    /// Others report what would fail, and send all the same.
    Testing,
    /// Older policies are to be forgotten.
    None,
}

impl From<Mode> for MtaStsMode {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Enforce => Self::Enforce,
            Mode::Testing => Self::Testing,
            Mode::None => Self::None,
        }
    }
}

impl From<MtaStsMode> for Mode {
    fn from(mode: MtaStsMode) -> Self {
        match mode {
            MtaStsMode::Enforce => Self::Enforce,
            MtaStsMode::Testing => Self::Testing,
            MtaStsMode::None => Self::None,
        }
    }
}

page_of! {
    /// Domains by name.
    DomainPage of Domain
}

fn yes() -> bool {
    true
}

impl Domain {
    fn of(domain: &directory::Domain, managed_by: Option<ManagedBy>) -> Self {
        let fields = &domain.fields;
        Self {
            name: domain.name.to_string(),
            aliases: fields.aliases.iter().map(DomainName::to_string).collect(),
            enabled: fields.enabled,
            catch_all: fields.catch_all.as_ref().map(Address::to_string),
            subaddress_sep: fields.subaddress_sep.clone(),
            default_quota_bytes: fields.default_quota_bytes,
            max_accounts: fields.max_accounts,
            mta_sts_mode: fields.mta_sts_mode.map(MtaStsMode::from),
            managed_by,
            created_at: domain.created_at.rfc3339(),
            changed_at: domain.changed_at.rfc3339(),
        }
    }
}

impl DomainInput {
    pub(super) fn of(fields: &DomainFields) -> Self {
        Self {
            aliases: fields.aliases.iter().map(DomainName::to_string).collect(),
            enabled: fields.enabled,
            catch_all: fields.catch_all.as_ref().map(Address::to_string),
            subaddress_sep: Some(fields.subaddress_sep.clone()),
            default_quota_bytes: fields.default_quota_bytes,
            max_accounts: fields.max_accounts,
            mta_sts_mode: fields.mta_sts_mode.map(MtaStsMode::from),
        }
    }

    pub(super) fn fields(self, settings: &Settings) -> Result<DomainFields, Problem> {
        let mut faults = Vec::new();
        let aliases = parse_all("/aliases", &self.aliases, DomainName::parse, &mut faults);
        let catch_all = self.catch_all.and_then(|text| match Address::parse(&text) {
            Ok(address) => Some(address),
            Err(error) => {
                faults.push(Fault::body("/catch_all", "malformed", error.to_string()));
                None
            }
        });
        if !faults.is_empty() {
            return Err(Problem::invalid(faults));
        }
        let default = DomainFields::new(settings);
        Ok(DomainFields {
            aliases,
            enabled: self.enabled,
            catch_all,
            subaddress_sep: self.subaddress_sep.unwrap_or(default.subaddress_sep),
            default_quota_bytes: self.default_quota_bytes,
            max_accounts: self.max_accounts,
            mta_sts_mode: self.mta_sts_mode.map(Mode::from),
        })
    }
}

/// Lists the domains, by name.
#[utoipa::path(
    tag = "directory",
    params(ListParams, ("q" = Option<String>, Query, description = "Only names that contain this")),
    responses((status = 200, description = "A page of domains", body = DomainPage))
)]
#[get("/domains")]
pub(in crate::http) async fn list_domains(
    allowed: Allowed<DomainsRead>,
    request: HttpRequest,
    context: web::Data<Context>,
    query: ListQuery,
) -> Result<HttpResponse, Problem> {
    let query = query.allow(&["q"])?;
    let after = query.after_key(DomainName::parse)?;
    let part = query.filter("q").unwrap_or_default().to_lowercase();
    let found = context
        .store
        .read(move |view| {
            let fetch = |after: Option<&DomainName>, limit| directory::domains(view, after, limit);
            let keep = |row: &directory::Domain| allowed.caller.reaches(&row.name) && row.name.as_str().contains(&part);
            let key = |row: &directory::Domain| row.name.clone();
            list(&query, after, fetch, keep, key)?.try_map(|row| Ok(seen(view, &row)?.0))
        })
        .await?;
    Ok(found.answer_as::<DomainPage>(&request))
}

/// Shows a domain.
#[utoipa::path(
    tag = "directory",
    params(("domain" = String, Path, description = "The domain's name")),
    responses((status = 200, description = "The domain", body = Domain), (status = 304, description = "The client has it"))
)]
#[get("/domains/{domain}")]
pub(in crate::http) async fn get_domain(
    allowed: Allowed<DomainsRead>,
    _none: NoQuery,
    request: HttpRequest,
    context: web::Data<Context>,
    path: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let name = domain_of(&path)?;
    allowed.caller.need_domain(&name)?;
    let view = context.store.view()?;
    let row = directory::domain(&view, &name)?.ok_or_else(|| Problem::not_found("domain", &name))?;
    let (domain, etag) = seen(&view, &row)?;
    Ok(show(&request, etag, &domain))
}

/// Creates or replaces a domain.
#[utoipa::path(
    tag = "directory",
    params(("domain" = String, Path, description = "The domain's name; U-labels become A-labels")),
    request_body = DomainInput,
    responses(
        (status = 200, description = "Replaced", body = Domain),
        (status = 201, description = "Created", body = Domain),
        (status = 409, description = "The name is another domain's alias, or somebody changed it at the same moment"),
    )
)]
#[put("/domains/{domain}")]
pub(in crate::http) async fn put_domain(
    allowed: Allowed<DomainsWrite>,
    _none: NoQuery,
    request: HttpRequest,
    context: web::Data<Context>,
    path: web::Path<String>,
    body: Body<DomainInput>,
) -> Result<HttpResponse, Problem> {
    let name = domain_of(&path)?;
    allowed.caller.need_domain(&name)?;
    let old = find(&context, &name)?;
    let guard = Guard::read(&request, old.as_ref().map(|domain| domain.version))?;
    let fields = body.0.fields(&context.live.now())?;
    may_set(&allowed.caller, &fields, old.as_ref())?;
    // What the caller may set was decided by what is there: it must still be that when the write runs.
    write(&context, &allowed, name, fields, guard).await
}

/// Changes some fields of a domain (RFC 7396).
#[utoipa::path(
    tag = "directory",
    params(("domain" = String, Path, description = "The domain's name")),
    request_body(content = DomainInput, content_type = "application/merge-patch+json"),
    responses(
        (status = 200, description = "Changed", body = Domain),
        (status = 409, description = "Somebody changed it at the same moment"),
    )
)]
#[patch("/domains/{domain}")]
pub(in crate::http) async fn patch_domain(
    allowed: Allowed<DomainsWrite>,
    _none: NoQuery,
    request: HttpRequest,
    context: web::Data<Context>,
    path: web::Path<String>,
    patch: Patch,
) -> Result<HttpResponse, Problem> {
    let name = domain_of(&path)?;
    allowed.caller.need_domain(&name)?;
    let old = find(&context, &name)?;
    let guard = Guard::read(&request, old.as_ref().map(|domain| domain.version))?;
    let old = old.ok_or_else(|| Problem::not_found("domain", &name))?;
    let input: DomainInput = patch.apply(&DomainInput::of(&old.fields))?;
    let fields = input.fields(&context.live.now())?;
    may_set(&allowed.caller, &fields, Some(&old))?;
    write(&context, &allowed, name, fields, guard).await
}

/// Deletes a domain that has no accounts and no aliases, and its DKIM keys.
#[utoipa::path(
    tag = "directory",
    params(("domain" = String, Path, description = "The domain's name")),
    responses(
        (status = 204, description = "Deleted"),
        (status = 409, description = "It still has accounts or aliases"),
    )
)]
#[delete("/domains/{domain}")]
pub(in crate::http) async fn delete_domain(
    allowed: Allowed<DomainsWrite>,
    _none: NoQuery,
    request: HttpRequest,
    context: web::Data<Context>,
    path: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let name = domain_of(&path)?;
    allowed.caller.need_domain(&name)?;
    let guard = Guard::read(&request, find(&context, &name)?.map(|domain| domain.version))?;
    let op = RemoveDomain(DeleteDomain { name: name.clone(), precondition: guard.asked });
    allowed.write(&context, &name, op, shows(&name)).await?.into_inner();
    Ok(HttpResponse::NoContent().finish())
}

fn find(context: &Context, name: &DomainName) -> Result<Option<directory::Domain>, Problem> {
    Ok(directory::domain(&context.store.view()?, name)?)
}

/// 403 where a domain takes another name that is not the caller's to give: mail for it would stay here.
fn may_set(caller: &Caller, fields: &DomainFields, old: Option<&directory::Domain>) -> Result<(), Problem> {
    let had = |alias: &DomainName| old.is_some_and(|old| old.fields.aliases.contains(alias));
    fields.aliases.iter().filter(|alias| !had(alias)).try_for_each(|alias| caller.need_domain(alias))
}

/// The domain as it is shown, and its ETag.
fn seen(read: &impl Read, row: &directory::Domain) -> Result<(Domain, String), StoreError> {
    let managed_by = Section::Domains.managed_by(read, row.name.as_str(), row.created_at)?;
    Ok((Domain::of(row, managed_by), etag::managed(row.version, managed_by)))
}

/// Shows the domain, for the audit.
fn shows(name: &DomainName) -> impl Fn(&Tx<'_>) -> Result<Option<Value>, StoreError> + use<> {
    let name = name.clone();
    move |tx| audit_row(directory::domain(tx, &name)?, |row| seen(tx, row))
}

async fn write(
    context: &Context,
    allowed: &Allowed<DomainsWrite>,
    name: DomainName,
    fields: DomainFields,
    guard: Guard,
) -> Result<HttpResponse, Problem> {
    let op = PutDomain { name: name.clone(), fields, precondition: guard.as_read, at: context.clock.now() };
    let put = allowed.write(context, &name, op, shows(&name)).await.map_err(|error| guard.problem(error))?.into_inner();
    let (domain, etag) = seen(&context.store.view()?, &put.row)?;
    Ok(stored(put.created, "domains", put.row.name.as_str(), etag, &domain))
}
