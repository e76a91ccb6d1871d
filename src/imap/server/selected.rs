use std::sync::Arc;

use super::context::Enabled;
use super::flags::write_flags;
use super::link::{End, Link};
use super::select::tell_flags;
use super::snapshot::Snapshot;
use super::view::View;
use crate::base::{MailboxId, Uid};
use crate::imap::wire::{MessageSet, SequenceSet, Star, write_number};
use crate::mailbox::Member;
use crate::store::{Store, StoreError};

/// An open mailbox, as the client knows it.
pub(super) struct Selected {
    pub(super) mailbox: MailboxId,
    /// EXAMINE
    pub(super) read_only: bool,
    /// What the client has been told: numbers of messages are those in here, whatever has happened since.
    pub(super) told: Snapshot,
    pub(super) view: Arc<View>,
    /// The first UID that is `\Recent` in this session (RFC 3501 §2.3.2).
    pub(super) recent_from: Uid,
}

/// A message that a command is about.
#[derive(Debug, Clone, Copy)]
pub(super) struct Target {
    /// Its number, as the client knows it.
    pub(super) number: u32,
    /// What is known of it.
    pub(super) member: Member,
}

/// Why the client could not be told.
#[derive(Debug, thiserror::Error)]
pub(super) enum SyncError {
    #[error(transparent)]
    End(#[from] End),
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Another session has deleted the mailbox: the session ends with BYE (RFC 2180 §3.3).
    #[error("the mailbox was deleted")]
    Gone,
}

impl Selected {
    /// The messages of a set, by number. UIDs that are not there are passed over (RFC 9051 §6.4.9); a number that is not
    /// there makes the command `BAD`: `None`.
    pub(super) fn targets(&self, messages: &MessageSet) -> Option<Vec<Target>> {
        let ranges = if messages.is_uid { self.uid_ranges(&messages.set) } else { self.number_ranges(&messages.set)? };
        let mut targets = Vec::new();
        for (first, last) in ranges {
            targets.reserve((last - first) as usize + 1);
            let found = self.told.iter_from(first).take_while(|(number, _)| *number <= last);
            targets.extend(found.map(|(number, member)| Target { number, member: *member }));
        }
        Some(targets)
    }

    /// The numbers of a set's messages as ranges that are sorted and merged; `None` when one is not there.
    // RFC 3501 §9: a number above the messages there are is an error, and so is `*` where there are none.
    pub(super) fn number_ranges(&self, set: &SequenceSet) -> Option<Vec<(u32, u32)>> {
        let count = self.count();
        let is_there = |number: &Star| match number {
            Star::Number(number) => *number <= count,
            Star::Highest => count > 0,
        };
        let all_there = set.ranges.iter().all(|(first, last)| is_there(first) && is_there(last));
        all_there.then(|| set.resolve(count))
    }

    /// The numbers of the messages whose UIDs are in the set, as ranges.
    pub(super) fn uid_ranges(&self, set: &SequenceSet) -> Vec<(u32, u32)> {
        let Some(highest) = self.told.at(self.count()) else { return Vec::new() };
        let mut ranges: Vec<(u32, u32)> = Vec::new();
        for (first, last) in set.resolve(highest.uid.0) {
            let first = self.told.first_from(Uid(first));
            let behind = last.checked_add(1).map_or(self.count() + 1, |next| self.told.first_from(Uid(next)));
            if first < behind {
                ranges.push((first, behind - 1));
            }
        }
        ranges
    }

    fn count(&self) -> u32 {
        u32::try_from(self.told.len()).unwrap_or(u32::MAX)
    }

    /// How many messages there are, and how many of them are recent. RFC 3501 §7.3.1, §7.3.2
    pub(super) fn tell_count(&self, out: &mut Vec<u8>) {
        let recent = (self.count() + 1).saturating_sub(self.told.first_from(self.recent_from));
        for (count, name) in [(self.count(), &b" EXISTS\r\n"[..]), (recent, b" RECENT\r\n")] {
            out.extend_from_slice(b"* ");
            write_number(out, count.into());
            out.extend_from_slice(name);
        }
    }

    /// Tells the client what has changed since it was told last. `expunges`: removals may be told now, which changes the
    /// numbers of messages (RFC 9051 §7.5.1: not during FETCH, STORE, SEARCH). `silent`: sorted runs of UIDs whose
    /// flags the client knows already, or is about to be told: these are taken over without a word.
    pub(super) async fn sync(
        &mut self,
        link: &mut Link,
        store: &Store,
        enabled: Enabled,
        expunges: bool,
        silent: &[(Uid, Uid)],
    ) -> Result<(), SyncError> {
        let now = self.view.now(store).await?.ok_or(SyncError::Gone)?;
        Ok(self.tell(link, now, enabled, expunges, silent).await?)
    }

    /// Tells the client what has changed up to `now`.
    async fn tell(
        &mut self,
        link: &mut Link,
        now: Snapshot,
        enabled: Enabled,
        expunges: bool,
        silent: &[(Uid, Uid)],
    ) -> Result<(), End> {
        let difference = self.told.difference(&now);
        let renamed = self.told.renamed_keywords(&now);
        let has_new_keywords = self.told.keywords != now.keywords;
        self.told = if expunges || difference.removed.is_empty() {
            now
        } else {
            now.with_removed(&self.told, &difference.removed)
        };
        if expunges {
            // From the last to the first, so that none changes the number of another.
            for number in difference.removed.iter().rev() {
                tell(link.output(), *number, b" EXPUNGE\r\n");
                link.relieve().await?;
            }
        }
        if has_new_keywords {
            tell_flags(link.output(), &self.told, self.read_only);
        }
        if !difference.added.is_empty() {
            if !self.read_only {
                self.view.claim_recent(self.told.uid_next, false);
            }
            self.tell_count(link.output());
        }
        for (_, was, is) in &difference.changed {
            if is_in(silent, is.uid) {
                continue;
            }
            let had_others = (was.keywords | is.keywords) & renamed != 0;
            let has_other_flags = was.flags != is.flags || was.keywords != is.keywords || had_others;
            if has_other_flags || enabled.condstore {
                self.tell_member(link.output(), is, has_other_flags, enabled);
                link.relieve().await?;
            }
        }
        Ok(())
    }

    // RFC 9051 §7.5.2
    fn tell_member(&self, out: &mut Vec<u8>, member: &Member, with_flags: bool, enabled: Enabled) {
        let Some(number) = self.told.number_of(member.uid) else { return };
        tell(out, number, b" FETCH (UID ");
        write_number(out, member.uid.0.into());
        if with_flags {
            out.extend_from_slice(b" FLAGS ");
            write_flags(out, self, member);
        }
        // RFC 7162 §3.2
        if enabled.condstore {
            out.extend_from_slice(b" MODSEQ (");
            write_number(out, member.modseq.0);
            out.push(b')');
        }
        out.extend_from_slice(b")\r\n");
    }
}

/// Whether a UID is in one of these runs, which are sorted.
fn is_in(runs: &[(Uid, Uid)], uid: Uid) -> bool {
    let at = runs.partition_point(|(_, last)| *last < uid);
    runs.get(at).is_some_and(|(first, _)| *first <= uid)
}

fn tell(out: &mut Vec<u8>, number: u32, what: &[u8]) {
    out.extend_from_slice(b"* ");
    write_number(out, number.into());
    out.extend_from_slice(what);
}

#[cfg(test)]
mod tests;
