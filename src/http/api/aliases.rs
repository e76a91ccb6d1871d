use actix_web::{HttpRequest, HttpResponse, delete, get, patch, put, web};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::state::Section;
use super::{Guard, address_of, audit_row, list, page_of, parse_all, show, stored};
use crate::base::Address;
use crate::directory::{self, AliasFields, DeleteAlias, Expn, Precondition, PutAlias};
use crate::http::body::{Body, Patch};
use crate::http::caller::{AccountsRead, AccountsWrite, Allowed};
use crate::http::context::Context;
use crate::http::etag;
use crate::http::managed::ManagedBy;
use crate::http::page::{ListParams, ListQuery, NoQuery};
use crate::http::problem::Problem;
use crate::store::{Read, StoreError, Tx};

/// An address that leads to others: an alias with one target, a group with more.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct Alias {
    /// The address.
    address: String,
    /// Where it leads: accounts, other aliases, addresses elsewhere.
    targets: Vec<String>,
    /// A disabled alias takes no mail.
    enabled: bool,
    /// Only mail from an authenticated account goes there.
    internal_only: bool,
    /// For people.
    note: String,
    /// Who is told its targets by EXPN, besides administrators and the accounts that it leads to.
    expn: AliasExpn,
    /// What keeps it as it is: `state` where a desired state that was applied has named it, else null. It can be changed
    /// by hand all the same: the next state that is applied sets it back.
    managed_by: Option<ManagedBy>,
    /// When it was created.
    created_at: String,
    /// When it was last changed.
    changed_at: String,
}

/// What is set of an alias. What is left out gets its default.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct AliasInput {
    /// Where it leads: accounts, other aliases, addresses elsewhere.
    #[schema(min_items = 1, max_items = 1000)]
    targets: Vec<String>,
    /// A disabled alias takes no mail.
    #[serde(default = "yes")]
    #[schema(default = true)]
    enabled: bool,
    /// Only mail from an authenticated account goes there.
    #[serde(default)]
    #[schema(default = false)]
    internal_only: bool,
    /// For people.
    #[serde(default)]
    #[schema(max_length = 1000)]
    note: String,
    /// Who is told its targets by EXPN, besides administrators and the accounts that it leads to.
    #[serde(default)]
    #[schema(default = "private")]
    expn: AliasExpn,
}

/// Who is told by EXPN where an alias leads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::http) enum AliasExpn {
    /// Nobody else.
    #[default]
    Private,
    /// Each account of its domain that has logged in.
    Domain,
    /// Each client, strangers too where the setting `smtp.vrfy` is `public`.
    Public,
}

/// What is changed of an alias (RFC 7396): what is left out stays.
// For the document alone: a patch is read as the `AliasInput` that it makes of the alias.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "the document alone has it")]
pub(in crate::http) struct AliasPatch {
    /// Where it leads: accounts, other aliases, addresses elsewhere.
    #[schema(min_items = 1, max_items = 1000, nullable = false)]
    targets: Option<Vec<String>>,
    /// A disabled alias takes no mail.
    enabled: Option<bool>,
    /// Only mail from an authenticated account goes there.
    internal_only: Option<bool>,
    /// For people.
    #[schema(max_length = 1000)]
    note: Option<String>,
    /// Who is told its targets by EXPN.
    expn: Option<AliasExpn>,
}

page_of! {
    /// Aliases by domain and name.
    AliasPage of Alias
}

fn yes() -> bool {
    true
}

impl Alias {
    fn of(row: &directory::Alias, managed_by: Option<ManagedBy>) -> Self {
        Self {
            address: row.address.to_string(),
            targets: row.fields.targets.iter().map(Address::to_string).collect(),
            enabled: row.fields.enabled,
            internal_only: row.fields.internal_only,
            note: row.fields.note.clone(),
            expn: AliasExpn::of(row.fields.expn),
            managed_by,
            created_at: row.created_at.rfc3339(),
            changed_at: row.changed_at.rfc3339(),
        }
    }
}

impl AliasExpn {
    fn of(expn: Expn) -> Self {
        match expn {
            Expn::Private => Self::Private,
            Expn::Domain => Self::Domain,
            Expn::Public => Self::Public,
        }
    }

    fn read(self) -> Expn {
        match self {
            Self::Private => Expn::Private,
            Self::Domain => Expn::Domain,
            Self::Public => Expn::Public,
        }
    }
}

impl AliasInput {
    pub(super) fn of(fields: &AliasFields) -> Self {
        Self {
            targets: fields.targets.iter().map(Address::to_string).collect(),
            enabled: fields.enabled,
            internal_only: fields.internal_only,
            note: fields.note.clone(),
            expn: AliasExpn::of(fields.expn),
        }
    }

    pub(super) fn fields(self) -> Result<AliasFields, Problem> {
        let mut faults = Vec::new();
        let targets = parse_all("/targets", &self.targets, Address::parse, &mut faults);
        if !faults.is_empty() {
            return Err(Problem::invalid(faults));
        }
        let Self { enabled, internal_only, note, expn, .. } = self;
        Ok(AliasFields { targets, enabled, internal_only, note, expn: expn.read() })
    }
}

/// Lists the aliases, by domain and name.
#[utoipa::path(
    tag = "directory",
    params(
        ListParams,
        ("domain" = Option<String>, Query, description = "Only aliases of this domain"),
        ("q" = Option<String>, Query, description = "Only aliases whose address or a target contains this"),
    ),
    responses((status = 200, description = "A page of aliases", body = AliasPage))
)]
#[get("/aliases")]
pub(in crate::http) async fn list_aliases(
    allowed: Allowed<AccountsRead>,
    request: HttpRequest,
    context: web::Data<Context>,
    query: ListQuery,
) -> Result<HttpResponse, Problem> {
    let query = query.allow(&["domain", "q"])?;
    let after = query.after_key(Address::parse)?;
    let domain = query.domain(&allowed.caller)?;
    let part = query.filter("q").unwrap_or_default().to_lowercase();
    let found = context
        .store
        .read(move |view| {
            let fetch = |after: Option<&Address>, limit| directory::aliases(view, domain.as_ref(), after, limit);
            let has_part = |address: &Address| address.key().contains(&part);
            let keep = |row: &directory::Alias| {
                row.address.host.name().is_some_and(|domain| allowed.caller.reaches(domain))
                    && (has_part(&row.address) || row.fields.targets.iter().any(has_part))
            };
            let key = |row: &directory::Alias| row.address.clone();
            list(&query, after, fetch, keep, key)?.try_map(|row| Ok(seen(view, &row)?.0))
        })
        .await?;
    Ok(found.answer_as::<AliasPage>(&request))
}

/// Shows an alias.
#[utoipa::path(
    tag = "directory",
    params(("address" = String, Path, description = "The alias's address, percent-encoded")),
    responses((status = 200, description = "The alias", body = Alias), (status = 304, description = "The client has it"))
)]
#[get("/aliases/{address}")]
pub(in crate::http) async fn get_alias(
    allowed: Allowed<AccountsRead>,
    _none: NoQuery,
    request: HttpRequest,
    context: web::Data<Context>,
    path: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let (address, domain) = address_of(&path)?;
    allowed.caller.need_domain(&domain)?;
    let view = context.store.view()?;
    let row = directory::alias(&view, &address)?.ok_or_else(|| Problem::not_found("alias", &address))?;
    let (alias, etag) = seen(&view, &row)?;
    Ok(show(&request, etag, &alias))
}

/// Creates or replaces an alias.
#[utoipa::path(
    tag = "directory",
    params(("address" = String, Path, description = "The alias's address, percent-encoded")),
    request_body = AliasInput,
    responses(
        (status = 200, description = "Replaced", body = Alias),
        (status = 201, description = "Created", body = Alias),
        (status = 409, description = "The address is an account's"),
    )
)]
#[put("/aliases/{address}")]
pub(in crate::http) async fn put_alias(
    allowed: Allowed<AccountsWrite>,
    _none: NoQuery,
    request: HttpRequest,
    context: web::Data<Context>,
    path: web::Path<String>,
    body: Body<AliasInput>,
) -> Result<HttpResponse, Problem> {
    let (address, domain) = address_of(&path)?;
    allowed.caller.need_domain(&domain)?;
    let guard = Guard::read(&request, find(&context, &address)?.map(|alias| alias.version))?;
    write(&context, &allowed, address, body.0.fields()?, guard, guard.asked).await
}

/// Changes some fields of an alias (RFC 7396).
#[utoipa::path(
    tag = "directory",
    params(("address" = String, Path, description = "The alias's address, percent-encoded")),
    request_body(content = AliasPatch, content_type = "application/merge-patch+json"),
    responses(
        (status = 200, description = "Changed", body = Alias),
        (status = 409, description = "Somebody changed it at the same moment"),
    )
)]
#[patch("/aliases/{address}")]
pub(in crate::http) async fn patch_alias(
    allowed: Allowed<AccountsWrite>,
    _none: NoQuery,
    request: HttpRequest,
    context: web::Data<Context>,
    path: web::Path<String>,
    patch: Patch,
) -> Result<HttpResponse, Problem> {
    let (address, domain) = address_of(&path)?;
    allowed.caller.need_domain(&domain)?;
    let old = find(&context, &address)?;
    let guard = Guard::read(&request, old.as_ref().map(|alias| alias.version))?;
    let old = old.ok_or_else(|| Problem::not_found("alias", &address))?;
    let fields = patch.apply(&AliasInput::of(&old.fields))?.fields()?;
    write(&context, &allowed, address, fields, guard, guard.as_read).await
}

/// Deletes an alias.
#[utoipa::path(
    tag = "directory",
    params(("address" = String, Path, description = "The alias's address, percent-encoded")),
    responses((status = 204, description = "Deleted"))
)]
#[delete("/aliases/{address}")]
pub(in crate::http) async fn delete_alias(
    allowed: Allowed<AccountsWrite>,
    _none: NoQuery,
    request: HttpRequest,
    context: web::Data<Context>,
    path: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let (address, domain) = address_of(&path)?;
    allowed.caller.need_domain(&domain)?;
    let guard = Guard::read(&request, find(&context, &address)?.map(|alias| alias.version))?;
    let op = DeleteAlias { address: address.clone(), precondition: guard.asked };
    allowed.write(&context, &address, op, shows(&address)).await?.into_inner();
    Ok(HttpResponse::NoContent().finish())
}

fn find(context: &Context, address: &Address) -> Result<Option<directory::Alias>, Problem> {
    Ok(directory::alias(&context.store.view()?, address)?)
}

/// The alias as it is shown, and its ETag.
fn seen(read: &impl Read, row: &directory::Alias) -> Result<(Alias, String), StoreError> {
    let managed_by = Section::Aliases.managed_by(read, &row.address.key(), row.created_at)?;
    Ok((Alias::of(row, managed_by), etag::managed(row.version, managed_by)))
}

/// Shows the alias, for the audit.
fn shows(address: &Address) -> impl Fn(&Tx<'_>) -> Result<Option<Value>, StoreError> + use<> {
    let address = address.clone();
    move |tx| audit_row(directory::alias(tx, &address)?, |row| seen(tx, row))
}

async fn write(
    context: &Context,
    allowed: &Allowed<AccountsWrite>,
    address: Address,
    fields: AliasFields,
    guard: Guard,
    precondition: Precondition,
) -> Result<HttpResponse, Problem> {
    let op = PutAlias { address: address.clone(), fields, precondition, at: context.clock.now() };
    let put = allowed.write(context, &address, op, shows(&address)).await;
    let put = put.map_err(|error| guard.problem(error))?.into_inner();
    let (alias, etag) = seen(&context.store.view()?, &put.row)?;
    Ok(stored(put.created, "aliases", &put.row.address.to_string(), etag, &alias))
}
