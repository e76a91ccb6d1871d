use serde::{Deserialize, Serialize};

use super::row::Mailbox;
use crate::base::{MailboxId, ModSeq, Uid, limits};
use crate::store::{Read, Row, Span, StoreError, Table, Tx};

/// What changed in each mailbox, by its change counter.
pub(super) static MODSEQ_LOG: Table<(MailboxId, ModSeq), Change> = Table::new("modseq_log");

/// Rows that are cut off the log at a time.
pub(super) const SLICE: u64 = 500;
/// Rows that are read together to be removed.
const ROWS_AT_ONCE: usize = 100;

/// One change of a mailbox: one modseq, one row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Change {
    /// What was done.
    pub(super) kind: ChangeKind,
    /// To which messages: first and last UID of each run, ascending.
    pub(super) uids: Vec<(Uid, Uid)>,
}

/// What was done to messages of a mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum ChangeKind {
    /// They came in.
    Added,
    /// They were removed.
    Expunged,
    /// Their flags were changed.
    Flags,
}

/// The runs as distances: from the last of the run before to the first, and from there to the last.
#[derive(Serialize, Deserialize)]
struct Packed {
    kind: ChangeKind,
    steps: Vec<(u32, u32)>,
}

impl Row for Change {
    const VERSION: u8 = 2;

    fn encode(&self, out: &mut Vec<u8>) {
        let mut behind = 0;
        let steps = self.uids.iter().map(|(first, last)| {
            let step = (first.0.wrapping_sub(behind), last.0.wrapping_sub(first.0));
            behind = last.0;
            step
        });
        let packed = Packed { kind: self.kind, steps: steps.collect() };
        // Writing plain data to memory can't fail; an empty row would be seen as damage.
        if let Ok(bytes) = postcard::to_stdvec(&packed) {
            out.extend_from_slice(&bytes);
        }
    }

    fn decode(version: u8, bytes: &[u8]) -> Option<Self> {
        let (packed, rest): (Packed, _) = postcard::take_from_bytes(bytes).ok()?;
        if !rest.is_empty() || !matches!(version, 1 | 2) {
            return None;
        }
        let mut behind = 0u32;
        let run = |(step, more): (u32, u32)| match version {
            // Version 1 had the UIDs themselves.
            1 => Some((Uid(step), Uid(more))),
            _ => {
                let first = behind.checked_add(step)?;
                behind = first.checked_add(more)?;
                Some((Uid(first), Uid(behind)))
            }
        };
        Some(Self { kind: packed.kind, uids: packed.steps.into_iter().map(run).collect::<Option<_>>()? })
    }
}

/// Writes a change, and cuts the log where it has become too long.
pub(super) fn write(tx: &mut Tx<'_>, id: MailboxId, row: &mut Mailbox, change: &Change) -> Result<(), StoreError> {
    if change.uids.len() > limits::LOGGED_RUNS {
        // To read the mailbox anew is then cheaper than to follow its log, and nobody's quota counts the log.
        row.log_floor = row.modseq;
        return remove_rows(tx, || Span::prefix(&id));
    }
    tx.put(&MODSEQ_LOG, &(id, row.modseq), change)?;
    if row.modseq.0 - row.log_floor.0 < limits::MODSEQ_LOG_ROWS + SLICE {
        return Ok(());
    }
    // Every modseq has its row, so that a slice of modseqs is one of rows.
    let floor = ModSeq(row.log_floor.0 + SLICE);
    row.log_floor = floor;
    remove_rows(tx, || Span::range((id, ModSeq(0))..=(id, floor)))
}

/// A few rows are in memory at a time, since a row may be long.
fn remove_rows(tx: &mut Tx<'_>, span: impl Fn() -> Span<(MailboxId, ModSeq)>) -> Result<(), StoreError> {
    loop {
        let rows = tx.rows(&MODSEQ_LOG, span(), ROWS_AT_ONCE)?;
        if rows.is_empty() {
            return Ok(());
        }
        for (key, _) in rows {
            tx.remove(&MODSEQ_LOG, &key)?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(uids: &[(u32, u32)]) {
        let uids: Vec<_> = uids.iter().map(|(first, last)| (Uid(*first), Uid(*last))).collect();
        let change = Change { kind: ChangeKind::Flags, uids };
        let mut row = Vec::new();
        change.encode(&mut row);
        assert_eq!(Change::decode(2, &row), Some(change.clone()));
        let old = postcard::to_stdvec(&(change.kind, &change.uids)).unwrap();
        assert_eq!(Change::decode(1, &old), Some(change));
        assert_eq!(Change::decode(3, &row), None);
    }

    #[test]
    fn a_change_reads_as_it_was_written_in_either_version() {
        check(&[]);
        check(&[(1, 1)]);
        check(&[(1, 3), (7, 7), (4_000_000_000, u32::MAX)]);
    }

    #[test]
    fn every_second_of_ten_thousand_messages_fits_a_small_row() {
        let uids = (0..5_000).map(|n| (Uid(2 * n + 1), Uid(2 * n + 1))).collect();
        let mut row = Vec::new();
        Change { kind: ChangeKind::Flags, uids }.encode(&mut row);
        assert!(row.len() < 10_010, "{} octets", row.len());
    }
}
