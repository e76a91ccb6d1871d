use actix_web::{HttpRequest, HttpResponse, delete, get, patch, put, web};
use serde_json::Value;

use super::state::Section;
use super::{Guard, address_of, audit_row, list, show, stored};
use crate::base::{Address, DomainName, Secret};
use crate::directory::{self, AccountChange, AccountFields, LoginError, PasswordHash, Scope};
use crate::http::body::{Body, Patch};
use crate::http::caller::{AccountsRead, AccountsWrite, Allowed, Caller};
use crate::http::context::Context;
use crate::http::etag;
use crate::http::page::{ListParams, ListQuery, NoQuery};
use crate::http::problem::{Code, Fault, Problem};
use crate::mailbox::{self, DeleteAccount, PutAccount};
use crate::store::{Read, StoreError, Tx};

mod shape;

pub(in crate::http) use shape::{Account, AccountInput, AccountPage};

/// Lists the accounts, by domain and name.
#[utoipa::path(
    tag = "directory",
    params(
        ListParams,
        ("domain" = Option<String>, Query, description = "Only accounts of this domain"),
        ("q" = Option<String>, Query, description = "Only addresses and names that contain this"),
    ),
    responses((status = 200, description = "A page of accounts", body = AccountPage))
)]
#[get("/accounts")]
pub(in crate::http) async fn list_accounts(
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
            let fetch = |after: Option<&Address>, limit| directory::accounts(view, domain.as_ref(), after, limit);
            let keep = |row: &directory::Account| {
                row.address.host.name().is_some_and(|domain| allowed.caller.reaches(domain))
                    && (row.address.key().contains(&part) || row.fields.display_name.to_lowercase().contains(&part))
            };
            let key = |row: &directory::Account| row.address.clone();
            list(&query, after, fetch, keep, key)?.try_map(|row| Ok(seen(view, &row)?.0))
        })
        .await?;
    Ok(found.answer_as::<AccountPage>(&request))
}

/// Shows an account.
#[utoipa::path(
    tag = "directory",
    params(("address" = String, Path, description = "The account's address, percent-encoded")),
    responses((status = 200, description = "The account", body = Account), (status = 304, description = "The client has it"))
)]
#[get("/accounts/{address}")]
pub(in crate::http) async fn get_account(
    allowed: Allowed<AccountsRead>,
    _none: NoQuery,
    request: HttpRequest,
    context: web::Data<Context>,
    path: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let (address, domain) = address_of(&path)?;
    allowed.caller.need_domain(&domain)?;
    let view = context.store.view()?;
    let row = directory::account(&view, &address)?.ok_or_else(|| Problem::not_found("account", &address))?;
    let (account, etag) = seen(&view, &row)?;
    Ok(show(&request, etag, &account))
}

/// Creates or replaces an account. Without `password` and `password_hash` the password that is there stays; a new
/// account without one can't log in.
#[utoipa::path(
    tag = "directory",
    params(("address" = String, Path, description = "The account's address, percent-encoded")),
    request_body = AccountInput,
    responses(
        (status = 200, description = "Replaced", body = Account),
        (status = 201, description = "Created", body = Account),
        (status = 409, description = "The address is an alias, or the domain has its maximum of accounts"),
    )
)]
#[put("/accounts/{address}")]
pub(in crate::http) async fn put_account(
    allowed: Allowed<AccountsWrite>,
    _none: NoQuery,
    request: HttpRequest,
    context: web::Data<Context>,
    path: web::Path<String>,
    body: Body<AccountInput>,
) -> Result<HttpResponse, Problem> {
    let (address, domain) = address_of(&path)?;
    allowed.caller.need_domain(&domain)?;
    let old = find(&context, &address)?;
    let guard = Guard::read(&request, old.as_ref().map(|account| account.version))?;
    let (fields, password) = body.0.read(&allowed.caller, old.as_ref())?;
    let password = hash(&context, password).await?;
    // What the caller may change was decided by what is there: it must still be that when the write runs.
    write(&context, &allowed, address, fields, password, guard).await
}

/// Changes some fields of an account (RFC 7396), or its password.
#[utoipa::path(
    tag = "directory",
    params(("address" = String, Path, description = "The account's address, percent-encoded")),
    request_body(content = AccountInput, content_type = "application/merge-patch+json"),
    responses(
        (status = 200, description = "Changed", body = Account),
        (status = 409, description = "Somebody changed it at the same moment"),
    )
)]
#[patch("/accounts/{address}")]
pub(in crate::http) async fn patch_account(
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
    let guard = Guard::read(&request, old.as_ref().map(|account| account.version))?;
    let old = old.ok_or_else(|| Problem::not_found("account", &address))?;
    let input: AccountInput = patch.apply(&AccountInput::of(&old.fields))?;
    let (fields, password) = input.read(&allowed.caller, Some(&old))?;
    let password = hash(&context, password).await?;
    write(&context, &allowed, address, fields, password, guard).await
}

/// Deletes an account with all its mail.
#[utoipa::path(
    tag = "directory",
    params(("address" = String, Path, description = "The account's address, percent-encoded")),
    responses(
        (status = 204, description = "Deleted, and its mail too"),
        (status = 409, description = "Somebody changed it at the same moment"),
    )
)]
#[delete("/accounts/{address}")]
pub(in crate::http) async fn delete_account(
    allowed: Allowed<AccountsWrite>,
    _none: NoQuery,
    request: HttpRequest,
    context: web::Data<Context>,
    path: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let (address, domain) = address_of(&path)?;
    allowed.caller.need_domain(&domain)?;
    let old = find(&context, &address)?;
    let guard = Guard::read(&request, old.as_ref().map(|account| account.version))?;
    let old = old.ok_or_else(|| Problem::not_found("account", &address))?;
    may_change(&allowed.caller, &old)?;
    let (by, at) = (allowed.caller.name(), context.clock.now());
    let op = DeleteAccount { address: address.clone(), precondition: guard.as_read, by, at };
    let done = allowed.write(&context, &address, op, shows(&address)).await;
    done.map_err(|error| guard.problem(error))?.into_inner();
    Ok(HttpResponse::NoContent().finish())
}

fn find(context: &Context, address: &Address) -> Result<Option<directory::Account>, Problem> {
    Ok(directory::account(&context.store.view()?, address)?)
}

/// Shows the account, for the audit.
fn shows(address: &Address) -> impl Fn(&Tx<'_>) -> Result<Option<Value>, StoreError> + use<> {
    let address = address.clone();
    move |tx| audit_row(directory::account(tx, &address)?, |row| seen(tx, row))
}

/// The account as it is shown, and its ETag.
fn seen(read: &impl Read, row: &directory::Account) -> Result<(Account, String), StoreError> {
    let usage = mailbox::usage(read, row.id)?;
    let login = directory::last_login(read, row.id)?;
    let managed_by = Section::Accounts.managed_by(read, &row.address.key(), row.created_at)?;
    let login_at = login.as_ref().map_or(0, |login| login.at.ms());
    let moving = [usage.size_bytes, usage.messages, login_at, managed_by.is_some().into()];
    let account = Account::of(row, &usage, directory::password_changed_at(read, row.id)?, login, managed_by);
    Ok((account, etag::moving(row.version, &moving)))
}

/// A password as the request gives it.
pub(super) enum NewPassword {
    /// To be hashed.
    Plain(Secret<String>),
    /// From another server.
    Hash(PasswordHash),
}

async fn hash(context: &Context, password: Option<NewPassword>) -> Result<Option<PasswordHash>, Problem> {
    match password {
        None => Ok(None),
        Some(NewPassword::Hash(hash)) => Ok(Some(hash)),
        Some(NewPassword::Plain(password)) => match context.authenticator.hash(password).await {
            Ok(hash) => Ok(Some(hash)),
            Err(LoginError::Broken(cause)) => Err(Problem::internal(cause)),
            Err(LoginError::Busy | LoginError::Refused) => {
                Err(Problem::new(Code::Busy, "Too many passwords are being worked on: try again in a moment."))
            }
        },
    }
}

async fn write(
    context: &Context,
    allowed: &Allowed<AccountsWrite>,
    address: Address,
    fields: AccountFields,
    password: Option<PasswordHash>,
    guard: Guard,
) -> Result<HttpResponse, Problem> {
    let at = context.clock.now();
    let change = AccountChange { address: address.clone(), fields, password, precondition: guard.as_read, at };
    let put = allowed.write(context, &address, PutAccount(change), shows(&address)).await;
    let put = put.map_err(|error| guard.problem(error))?.into_inner();
    let (account, etag) = seen(&context.store.view()?, &put.row)?;
    Ok(stored(put.created, "accounts", &put.row.address.to_string(), etag, &account))
}

/// Whether an account's fields give it, or one that it can log in to, more than the caller has.
pub(super) fn may_set(
    caller: &Caller,
    fields: &AccountFields,
    old: Option<&directory::Account>,
) -> Result<(), Problem> {
    let had = |role: &directory::Role| old.is_some_and(|old| old.fields.roles.contains(role));
    for role in fields.roles.iter().filter(|role| !had(role)) {
        match role {
            directory::Role::User => {}
            directory::Role::DomainAdmin(_) => caller.need_role(role)?,
            directory::Role::Operator | directory::Role::Admin => {
                caller.need_admin("give the roles operator and admin")?
            }
        }
    }
    if let Some(old) = old {
        may_change(caller, old)?;
    }
    let had = |target: &Address| {
        let forward = old.and_then(|old| old.fields.forward.as_ref());
        forward.is_some_and(|forward| forward.to.contains(target))
    };
    if let (Some(old), Some(forward)) = (old, &fields.forward)
        && !forward.to.iter().all(had)
    {
        may_read(caller, old, "To forward another's mail")?;
    }
    let had = |name: &String| old.is_some_and(|old| old.fields.send_as.contains(name));
    fields.send_as.iter().filter(|name| !had(name)).try_for_each(|name| may_send_as(caller, name))
}

/// Whether the caller reaches the domain of an address that an account may send as.
fn may_send_as(caller: &Caller, name: &str) -> Result<(), Problem> {
    match name.rsplit_once('@').and_then(|(_, domain)| DomainName::parse(domain).ok()) {
        Some(domain) => caller.need_domain(&domain),
        None => caller.need_unrestricted("let anybody send as an address that is in no domain"),
    }
}

/// Who sets an administrator's password is an administrator; who deletes one makes room for another.
pub(super) fn may_change(caller: &Caller, account: &directory::Account) -> Result<(), Problem> {
    if account.fields.roles.iter().any(|role| matches!(role, directory::Role::Operator | directory::Role::Admin)) {
        caller.need_admin("change or delete an account with the roles operator and admin")?;
    }
    // Nor does anybody reach by another's password what they don't reach by themselves.
    account.fields.roles.iter().try_for_each(|role| match role {
        directory::Role::DomainAdmin(_) => caller.need_role(role),
        _ => Ok(()),
    })?;
    account.fields.send_as.iter().try_for_each(|name| may_send_as(caller, name))
}

/// Whether the caller may have an account's mail shown, to themselves or to others, by a way that its owner does not see
/// as they see a new main password.
pub(super) fn may_read(caller: &Caller, account: &directory::Account, what: &str) -> Result<(), Problem> {
    let is_own = matches!(caller, Caller::Session(login) if login.account.id == account.id);
    if is_own || caller.has(Scope::MessagesRead) {
        return Ok(());
    }
    Err(Problem::new(Code::Forbidden, format!("{what} is to read it: that needs the scope messages:read too.")))
}

fn both_passwords() -> Problem {
    Problem::invalid(vec![Fault::body("/password_hash", "excluded", "password and password_hash exclude each other")])
}
