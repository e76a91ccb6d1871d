use std::net::IpAddr;
use std::ops::Bound;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::AUDIT_TOPIC;
use super::mask::mask;
use crate::base::{AuditId, Timestamp, limits};
use crate::postcard_row;
use crate::store::{AnyTable, CrossCheck, Findings, Read, Span, StoreError, Table, Topic, Tx, View};

/// The counter of ids.
const IDS: &str = "audit";

/// The room's cross-checks.
pub const CHECKS: &[CrossCheck] = &[CrossCheck { name: "audit and its counter", run: check_counter }];

/// No id is given twice.
fn check_counter(view: &View, findings: &mut Findings) -> Result<(), StoreError> {
    let newest = newest_id(view)?;
    if newest > view.counter(IDS)? {
        findings.add("audit: the counter of its ids is behind").raise(IDS, newest);
    }
    Ok(())
}

fn newest_id(read: &impl Read) -> Result<u64, StoreError> {
    Ok(read.keys(&AUDIT, Span::all(), 1)?.first().map_or(0, |key| !key))
}

/// The rows, the newest first: the key is the id, turned over.
static AUDIT: Table<u64, AuditRow> = Table::new("audit");
/// The room's tables.
pub const TABLES: &[&dyn AnyTable] = &[&AUDIT];

/// Who does what, as a request shows it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Act {
    /// Who: an account's address, `token <id>`, or `owner` on the unix socket.
    pub actor: String,
    /// The token, where one was used.
    pub token_id: Option<String>,
    /// From where; `None` on the unix socket.
    pub ip: Option<IpAddr>,
    /// The operation, by its id in the OpenAPI document.
    pub action: String,
    /// The request's id, as in the log.
    pub request_id: String,
}

/// Something that was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditRow {
    /// When.
    pub at: Timestamp,
    /// Who, and what.
    pub act: Act,
    /// To what: a name as it stands in the path.
    pub target: String,
    before: Option<String>,
    after: Option<String>,
}
postcard_row!(AuditRow, 1);

/// Told to those who hear it ([`crate::store::Bus::hear`]) when a row is committed, and when more is said in it.
#[derive(Debug)]
pub struct Recorded {
    /// Which.
    pub id: AuditId,
    /// As it is now.
    pub row: AuditRow,
}

impl AuditRow {
    /// A row with what is shown of the thing, its secrets masked.
    pub(super) fn new(at: Timestamp, act: Act, target: String, before: Option<Value>, after: Option<Value>) -> Self {
        Self { at, act, target, before: before.map(text), after: after.map(text) }
    }

    /// The thing before; `None` where it was not there, or it is not about one thing.
    pub fn before(&self) -> Option<Value> {
        self.before.as_deref().and_then(|text| serde_json::from_str(text).ok())
    }

    /// The thing after.
    pub fn after(&self) -> Option<Value> {
        self.after.as_deref().and_then(|text| serde_json::from_str(text).ok())
    }

    /// About how many octets it takes in memory.
    pub fn weight_bytes(&self) -> usize {
        let shown = [&self.before, &self.after].into_iter().flatten().map(String::len).sum::<usize>();
        let Act { actor, action, request_id, .. } = &self.act;
        size_of::<Self>() + shown + [&self.target, actor, action, request_id].map(String::len).iter().sum::<usize>()
    }

    pub(super) fn complete(&mut self, after: Value) {
        self.after = Some(text(after));
    }
}

/// What is too long to keep says so.
fn text(mut value: Value) -> String {
    mask(&mut value);
    let text = value.to_string();
    if text.len() <= limits::AUDIT_SHOWN_BYTES {
        return text;
    }
    serde_json::json!({"cut": true, "size_bytes": text.len()}).to_string()
}

/// Adds a row.
pub(super) fn add(tx: &mut Tx<'_>, row: &AuditRow) -> Result<AuditId, StoreError> {
    // As with messages: the time, and never backwards.
    let id = AuditId(tx.next_from(IDS, row.at.ms() << 16, newest_id)?);
    put(tx, id, row)?;
    Ok(id)
}

pub(super) fn put(tx: &mut Tx<'_>, id: AuditId, row: &AuditRow) -> Result<(), StoreError> {
    tx.put(&AUDIT, &!id.0, row)?;
    tx.tell(|| Recorded { id, row: row.clone() });
    tx.announce(Topic(AUDIT_TOPIC, id.0));
    Ok(())
}

pub(super) fn get(read: &impl Read, id: AuditId) -> Result<Option<AuditRow>, StoreError> {
    read.get(&AUDIT, &!id.0)
}

pub(super) fn remove(tx: &mut Tx<'_>, id: AuditId) -> Result<(), StoreError> {
    tx.remove(&AUDIT, &!id.0).map(drop)
}

/// The first `limit` rows behind `behind`, the newest first: of those from `after` on, and before `before`.
///
/// # Errors
/// [`StoreError`].
pub fn rows(
    read: &impl Read,
    behind: Option<AuditId>,
    after: Option<Timestamp>,
    before: Option<Timestamp>,
    limit: usize,
) -> Result<Vec<(AuditId, AuditRow)>, StoreError> {
    let first_of = |at: Timestamp| AuditId(at.ms() << 16);
    // The greatest id comes first.
    let newest = [behind, before.map(first_of)].into_iter().flatten().min();
    let start = newest.map_or(Bound::Unbounded, |id| Bound::Excluded(!id.0));
    let end = after.map_or(Bound::Unbounded, |at| Bound::Included(!first_of(at).0));
    let found = read.rows(&AUDIT, Span::range((start, end)), limit)?;
    Ok(found.into_iter().map(|(key, row)| (AuditId(!key), row)).collect())
}
