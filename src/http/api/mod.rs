//! The operations under `/api/v1`: each reads its request, calls the rooms below, and shapes the answer.

pub(super) mod about;
pub(super) mod account_actions;
pub(super) mod accounts;
pub(super) mod aliases;
pub(super) mod app_passwords;
pub(super) mod audit;
pub(super) mod backup_contents;
pub(super) mod backups;
pub(super) mod dkim_keys;
pub(super) mod dns;
pub(super) mod domains;
pub(super) mod events;
mod guard;
pub(super) mod jobs;
mod list;
pub(super) mod logs;
pub(super) mod mail_routes;
pub(super) mod mailboxes;
pub(super) mod maintenance;
pub(super) mod overview;
pub(super) mod peers;
pub(super) mod queue;
pub(super) mod queue_rules;
pub(super) mod redeliver;
pub(super) mod resolve;
pub(super) mod restore;
pub(super) mod restore_items;
mod secret;
pub(super) mod send;
mod sent;
mod sentence;
pub(super) mod session;
pub(super) mod settings;
pub(super) mod setup;
pub(super) mod state;
pub(super) mod tokens;
pub(super) mod trace;
pub(super) mod turn_sessions;
pub(super) mod wait;

use guard::Guard;
use list::{Listed, list, page_of};

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use serde_json::Value;

use super::audited::shown;
use super::caller::Caller;
use super::context::Context;
use super::etag::has_tag;
use super::path_segment;
use super::problem::{Code, Fault, Problem, Refusal};
use crate::base::{Address, AddressError, DomainName};
use crate::directory::{self, Account, Refused};
use crate::store::StoreError;

impl Refusal for std::convert::Infallible {
    fn is_precondition(&self) -> bool {
        match *self {}
    }

    fn problem(self) -> Problem {
        match self {}
    }
}

impl Refusal for Refused {
    fn is_precondition(&self) -> bool {
        *self == Self::Precondition
    }

    fn problem(self) -> Problem {
        let detail = self.to_string();
        match self {
            Self::NotFound => Problem::new(Code::NotFound, "There is no such thing."),
            Self::Precondition => Problem::new(Code::PreconditionFailed, "It was changed meanwhile: read it again."),
            Self::Conflict(_) | Self::NotEmpty | Self::TooManyAccounts(_) | Self::TooManyAppPasswords => {
                Problem::new(Code::Conflict, detail)
            }
            Self::NoDomain(_) => Problem::invalid(vec![Fault::parameter("address", "no_such_domain", detail)]),
            Self::Invalid { pointer, code, message } => Problem::invalid(vec![Fault::body(pointer, code, message)]),
        }
    }
}

/// The domain name of the path.
fn domain_of(path: &str) -> Result<DomainName, Problem> {
    DomainName::parse(path).map_err(|error| wrong_parameter("domain", error))
}

/// The address of the path and its domain; an address literal is nobody's to administer.
fn address_of(path: &str) -> Result<(Address, DomainName), Problem> {
    let address = Address::parse(path).map_err(|error| wrong_parameter("address", error))?;
    let domain = address.host.name().cloned().ok_or_else(|| wrong_parameter("address", AddressError::Domain))?;
    Ok((address, domain))
}

/// The account of the path, where the caller reaches it.
fn account_of(context: &Context, caller: &Caller, path: &str) -> Result<Account, Problem> {
    let (address, domain) = address_of(path)?;
    caller.need_domain(&domain)?;
    let account = directory::account(&context.store.view()?, &address)?;
    account.ok_or_else(|| Problem::not_found("account", &address))
}

/// An id of the path that is none.
fn wrong_id(name: &str, error: crate::base::IdError) -> Problem {
    Problem::invalid(vec![Fault::parameter(name, "malformed", error.to_string())])
}

fn wrong_parameter(name: &str, error: AddressError) -> Problem {
    Problem::invalid(vec![Fault::parameter(name, "malformed", error.to_string())])
}

/// Reads each text of a list in the body, and names those that can't be read.
fn parse_all<T, E: std::fmt::Display>(
    pointer: &str,
    texts: &[String],
    parse: impl Fn(&str) -> Result<T, E>,
    faults: &mut Vec<Fault>,
) -> Vec<T> {
    let mut values = Vec::with_capacity(texts.len());
    for (place, text) in texts.iter().enumerate() {
        match parse(text) {
            Ok(value) => values.push(value),
            Err(error) => faults.push(Fault::body(format!("{pointer}/{place}"), "malformed", error.to_string())),
        }
    }
    values
}

/// A row as `seen` shows it, for the audit.
fn audit_row<R, T: Serialize>(
    row: Option<R>,
    seen: impl FnOnce(&R) -> Result<(T, String), StoreError>,
) -> Result<Option<Value>, StoreError> {
    row.map_or(Ok(None), |row| Ok(shown(Some(seen(&row)?.0))))
}

/// The answer to a GET of one resource.
fn show(request: &HttpRequest, etag: String, resource: &impl Serialize) -> HttpResponse {
    let is_fresh = has_tag(request, &etag);
    let mut response = if is_fresh { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    response.insert_header((header::ETAG, etag)).insert_header((header::CACHE_CONTROL, "no-cache"));
    if is_fresh { response.finish() } else { response.json(resource) }
}

/// The answer to a create or replace.
fn stored(created: bool, folder: &str, name: &str, etag: String, resource: &impl Serialize) -> HttpResponse {
    let mut response = if created { HttpResponse::Created() } else { HttpResponse::Ok() };
    if created {
        response.insert_header((header::LOCATION, format!("/api/v1/{folder}/{}", path_segment(name))));
    }
    response.insert_header((header::ETAG, etag)).json(resource)
}
