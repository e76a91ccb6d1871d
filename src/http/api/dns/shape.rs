use serde::Serialize;
use utoipa::ToSchema;

use super::wanted::{Kind, Purpose, TTL_S, Wanted};

/// The DNS records of a domain.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct DomainDns {
    /// The domain's name.
    pub(super) domain: String,
    /// What it needs, under its own name and its other ones.
    pub(super) records: Vec<Record>,
}

/// A record that a domain needs, and what is there.
#[derive(Serialize, ToSchema)]
#[schema(as = DnsRecord)]
pub(in crate::http) struct Record {
    /// What it is for: `mx`, `spf`, `dkim`, `dmarc`, `tlsrpt`, `mta_sts` or `mta_sts_host`. There may be more.
    purpose: String,
    /// `dkim`: the key's selector.
    selector: Option<String>,
    /// The kind of record: `MX`, `TXT` or `CNAME`.
    r#type: String,
    /// Where it stands, without the last dot.
    name: String,
    /// For how long others may remember it.
    ttl_seconds: u32,
    /// What it says, as a zone file writes it: a text in quoted strings.
    value: String,
    /// `TXT`: the same whole and unquoted, as most forms of DNS providers want it.
    text: Option<String>,
    /// `MX`: its preference.
    priority: Option<u16>,
    /// `MX`, `CNAME`: the server.
    target: Option<String>,
    /// How much depends on it.
    requirement: Requirement,
    /// What the DNS has there.
    seen: Vec<String>,
    /// How that stands to what is wanted.
    pub(super) state: RecordState,
    /// What it does, for people.
    why: String,
    /// What to do; empty where it is as it should be.
    fix: String,
}

/// How much depends on a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = DnsRequirement)]
#[serde(rename_all = "snake_case")]
pub(in crate::http) enum Requirement {
    /// Mail does not come, or is not taken, without it.
    Required,
    /// Some take mail better with it.
    Recommended,
}

/// How what is in the DNS stands to what is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = DnsRecordState)]
#[serde(rename_all = "snake_case")]
pub(in crate::http) enum RecordState {
    /// As it should be.
    Ok,
    /// It is not there.
    Missing,
    /// There is something else.
    Wrong,
    /// The DNS gave no answer; or there is something of which only the domain's owner knows whether it will do.
    Unknown,
}

impl Record {
    pub(super) fn of(wanted: &Wanted, seen: Result<Vec<String>, String>) -> Self {
        let (state, fix) = match &seen {
            Ok(seen) => wanted.judge(seen),
            Err(error) => (RecordState::Unknown, format!("It could not be looked for: {error}.")),
        };
        let (r#type, priority, target, text) = match &wanted.kind {
            Kind::Mx { preference, target } => ("MX", Some(*preference), Some(target.to_string()), None),
            Kind::Cname { target } => ("CNAME", None, Some(target.to_string()), None),
            Kind::Txt => ("TXT", None, None, Some(wanted.value.clone())),
        };
        let selector = match &wanted.purpose {
            Purpose::Dkim { selector, .. } => Some(selector.clone()),
            _ => None,
        };
        Self {
            purpose: wanted.purpose.name().into(),
            selector,
            r#type: r#type.into(),
            name: wanted.name.clone(),
            ttl_seconds: TTL_S,
            value: wanted.zone_value(),
            text,
            priority,
            target,
            requirement: wanted.requirement,
            seen: seen.unwrap_or_default(),
            state,
            why: wanted.why.into(),
            fix,
        }
    }
}
