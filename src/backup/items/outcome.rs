use serde_json::{Value, json};

use crate::base::{MessageId, Uid, limits};

/// What a restore has done so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The account was not here, and was made again.
    pub account_made: bool,
    /// The account that was here is not the one of the copy: it was made since, by a restore or for somebody else.
    pub is_account_another: bool,
    /// Aliases that were made again with it.
    pub aliases_made: Few<String>,
    /// Aliases that something stood in the way of, and what.
    pub aliases_left_out: Few<(String, String)>,
    /// Mailboxes that were missing, and were made again.
    pub mailboxes_made: Few<String>,
    /// Mailboxes that could not be made, and why: nothing came back into them.
    pub mailboxes_left_out: Few<(String, String)>,
    /// Messages that were meant.
    pub matched: u64,
    /// Those that came back.
    pub restored: u64,
    /// Octets of those.
    pub size_bytes: u64,
    /// Those that were still here.
    pub still_there: u64,
    /// Those whose id belongs to another message here.
    pub conflicts: Few<MessageId>,
    /// How many came back without some of their keywords.
    pub without_keywords: u64,
    /// Those that can't be read in the copy, and why.
    pub damaged: Few<(String, Uid, String)>,
    /// The account's mail takes more than it may.
    pub is_over_quota: bool,
}

/// The first [`limits::RESTORE_LISTED`] of what may be very many; all are counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Few<T> {
    /// Those.
    pub first: Vec<T>,
    /// How many there are.
    pub count: u64,
}

impl<T> Few<T> {
    pub(super) fn add(&mut self, one: T) {
        self.count += 1;
        if self.first.len() < limits::RESTORE_LISTED {
            self.first.push(one);
        }
    }
}

impl<T> Default for Few<T> {
    fn default() -> Self {
        Self { first: Vec::new(), count: 0 }
    }
}

impl Outcome {
    /// For the job's result: all is counted, and of what went wrong the first ones are listed.
    pub fn as_json(&self, backup: impl ToString, account: impl ToString) -> Value {
        let listed = |pairs: &Few<(String, String)>| -> Vec<Value> {
            pairs.first.iter().map(|(name, reason)| json!({"name": name, "reason": reason})).collect()
        };
        let conflicts: Vec<String> = self.conflicts.first.iter().map(MessageId::to_string).collect();
        let damaged = self.damaged.first.iter();
        let damaged: Vec<Value> =
            damaged.map(|(mailbox, uid, reason)| json!({"mailbox": mailbox, "uid": uid.0, "reason": reason})).collect();
        json!({
            "backup": backup.to_string(),
            "account": account.to_string(),
            "account_made": self.account_made,
            "account_another": self.is_account_another,
            "aliases_made": self.aliases_made.first,
            "aliases_left_out": listed(&self.aliases_left_out),
            "mailboxes_made": self.mailboxes_made.first,
            "mailboxes_left_out": listed(&self.mailboxes_left_out),
            "matched": self.matched,
            "restored": self.restored,
            "size_bytes": self.size_bytes,
            "still_there": self.still_there,
            "conflicts": self.conflicts.count,
            "conflict_ids": conflicts,
            "without_keywords": self.without_keywords,
            "damaged": self.damaged.count,
            "damaged_messages": damaged,
            "over_quota": self.is_over_quota,
        })
    }

    /// What prevented some of it; `None` when all came back that was missing.
    pub fn problem(&self) -> Option<String> {
        let parts = [
            (self.damaged.count, "can't be read in the backup"),
            (self.conflicts.count, "have the id of another message here"),
            (self.mailboxes_left_out.count, "mailboxes could not be made"),
        ];
        let said: Vec<String> =
            parts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
        (!said.is_empty()).then(|| format!("{} messages came back; of the others: {}", self.restored, said.join(", ")))
    }
}
