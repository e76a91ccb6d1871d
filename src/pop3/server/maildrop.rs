use crate::base::{MailboxId, Uid};
use crate::mailbox::Entry;

/// What a session works on: the INBOX as it was at login. Numbers, sizes and ids stay what they are until the end,
/// whatever others do meanwhile.
// RFC 1939 §5
#[derive(Debug)]
pub(super) struct Maildrop {
    mailbox: MailboxId,
    entries: Vec<Entry>,
    /// Which messages are marked as deleted, by their place in `entries`.
    deleted: Vec<bool>,
}

/// What a listing shows of each message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Listing {
    Sizes,
    Uidls,
}

impl Maildrop {
    pub(super) fn new(mailbox: MailboxId, entries: Vec<Entry>) -> Self {
        let deleted = vec![false; entries.len()];
        Self { mailbox, entries, deleted }
    }

    pub(super) fn mailbox(&self) -> MailboxId {
        self.mailbox
    }

    /// The message of that number, unless it is marked as deleted.
    pub(super) fn entry(&self, number: u32) -> Option<&Entry> {
        self.place(number).and_then(|at| self.entries.get(at))
    }

    /// Marks a message as deleted; whether there was one to mark.
    pub(super) fn delete(&mut self, number: u32) -> bool {
        let place = self.place(number);
        if let Some(mark) = place.and_then(|at| self.deleted.get_mut(at)) {
            *mark = true;
        }
        place.is_some()
    }

    /// Takes all marks away.
    pub(super) fn reset(&mut self) {
        self.deleted.fill(false);
    }

    /// How many messages are not marked, and their octets.
    pub(super) fn totals(&self) -> (usize, u64) {
        self.present().fold((0, 0), |(count, octets), (_, entry)| (count + 1, octets + entry.size_bytes))
    }

    /// One message's line of a listing, unless it is marked as deleted.
    pub(super) fn line(&self, listing: Listing, number: u32) -> Option<String> {
        self.entry(number).map(|entry| line(listing, number, entry))
    }

    /// The lines of a listing of all messages that are not marked, without their CRLF.
    pub(super) fn lines(&self, listing: Listing) -> impl Iterator<Item = String> {
        self.present().map(move |(number, entry)| line(listing, number, entry))
    }

    /// The messages that are marked.
    pub(super) fn deleted_uids(&self) -> Vec<Uid> {
        self.entries.iter().zip(&self.deleted).filter(|(_, deleted)| **deleted).map(|(entry, _)| entry.uid).collect()
    }

    fn place(&self, number: u32) -> Option<usize> {
        let at = (number as usize).checked_sub(1)?;
        (self.deleted.get(at) == Some(&false)).then_some(at)
    }

    fn present(&self) -> impl Iterator<Item = (u32, &Entry)> {
        let numbered = (1..).zip(self.entries.iter().zip(&self.deleted));
        numbered.filter(|(_, (_, deleted))| !**deleted).map(|(number, (entry, _))| (number, entry))
    }
}

fn line(listing: Listing, number: u32, entry: &Entry) -> String {
    match listing {
        Listing::Sizes => format!("{number} {}", entry.size_bytes),
        Listing::Uidls => format!("{number} {}", entry.uidl),
    }
}
