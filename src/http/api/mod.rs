//! The operations under `/api/v1`: each reads its request, calls the rooms below, and shapes the answer.

pub(super) mod about;
pub(super) mod accounts;
pub(super) mod aliases;
pub(super) mod domains;
pub(super) mod resolve;
pub(super) mod tokens;

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;

use super::etag::has_tag;
use super::path_segment;
use super::problem::{Code, Fault, Problem, Refusal};
use crate::base::{Address, AddressError, DomainName, limits};
use crate::directory::{Precondition, Refused};
use crate::store::{StoreError, WriteError};

impl Refusal for Refused {
    fn problem(self) -> Problem {
        let detail = self.to_string();
        match self {
            Self::NotFound => Problem::new(Code::NotFound, "There is no such thing."),
            Self::Precondition => Problem::new(Code::PreconditionFailed, "It was changed meanwhile: read it again."),
            Self::Conflict(_) | Self::NotEmpty | Self::TooManyAccounts(_) => Problem::new(Code::Conflict, detail),
            Self::NoDomain(_) => Problem::invalid(vec![Fault::parameter("address", "no_such_domain", detail)]),
            Self::Invalid { pointer, code, message } => Problem::invalid(vec![Fault::body(pointer, code, message)]),
        }
    }
}

/// The problem of a write that hangs on the version that this request itself has read. A client that `asked` for no
/// precondition is told of a conflict and may simply send the request again.
fn lost_race(error: WriteError<Refused>, asked: Precondition) -> Problem {
    match (error, asked) {
        (WriteError::Refused(Refused::Precondition), Precondition::None) => {
            Problem::new(Code::Conflict, "Somebody else changed it at the same moment: send the request again.")
        }
        (error, _) => error.into(),
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

/// A run of rows, and the key behind which there are more.
struct Found<T, K> {
    items: Vec<T>,
    next: Option<K>,
}

/// Gathers the first `limit` rows behind `after` that `keep` accepts; `fetch` gives at most so many behind a key.
fn gather<T, K>(
    limit: usize,
    mut after: Option<K>,
    fetch: impl Fn(Option<&K>, usize) -> Result<Vec<T>, StoreError>,
    keep: impl Fn(&T) -> bool,
    key: impl Fn(&T) -> K,
) -> Result<Found<T, K>, StoreError> {
    let mut items = Vec::new();
    // One more than asked for says whether there are more.
    let batch = limit.min(limits::PAGE_ITEMS_MAX) + 1;
    loop {
        let rows = fetch(after.as_ref(), batch)?;
        let is_end = rows.len() < batch;
        for row in rows {
            after = Some(key(&row));
            if !keep(&row) {
                continue;
            }
            if items.len() == limit {
                return Ok(Found { next: items.last().map(key), items });
            }
            items.push(row);
        }
        if is_end {
            return Ok(Found { items, next: None });
        }
    }
}

/// How many rows `keep` accepts, as `?count=true` asks; it stops at [`limits::COUNT_MAX`].
#[derive(Clone, Copy)]
struct Count {
    rows: u64,
    is_exact: bool,
}

fn count<T, K>(
    is_wanted: bool,
    fetch: impl Fn(Option<&K>, usize) -> Result<Vec<T>, StoreError>,
    keep: impl Fn(&T) -> bool,
    key: impl Fn(&T) -> K,
) -> Result<Option<Count>, StoreError> {
    if !is_wanted {
        return Ok(None);
    }
    let found = gather(limits::COUNT_MAX, None, fetch, keep, key)?;
    Ok(Some(Count { rows: found.items.len() as u64, is_exact: found.next.is_none() }))
}

/// A replace that hangs on the version which was just read, unless the client named one itself.
fn at_version(precondition: Precondition, version: u64) -> Precondition {
    match precondition {
        Precondition::None => Precondition::Version(version),
        asked => asked,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_join_without_gap_or_double() {
        let rows: Vec<u32> = (0..23).collect();
        let fetch = |after: Option<&u32>, limit: usize| {
            Ok(rows.iter().copied().filter(|row| after.is_none_or(|after| row > after)).take(limit).collect())
        };
        for limit in 1..=25 {
            let (mut seen, mut after) = (Vec::new(), None);
            loop {
                let found = gather(limit, after, fetch, |row| row % 3 != 0, |row| *row).unwrap();
                assert!(found.items.len() == limit || found.next.is_none());
                seen.extend(found.items);
                after = found.next;
                if after.is_none() {
                    break;
                }
            }
            assert_eq!(seen, rows.iter().copied().filter(|row| row % 3 != 0).collect::<Vec<_>>(), "{limit}");
        }
    }
}
