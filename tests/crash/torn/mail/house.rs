//! The model: what the file must hold, and what each change makes of it.

use std::collections::{BTreeMap, BTreeSet};

use pillarbox::base::{JobId, MessageId, QueueId, SystemFlags, Timestamp};
use pillarbox::mailbox::FlagMode;
use pillarbox::queue::Verdict;

use super::change::{Change, Letter, Place, What};
use super::content::Content;

/// How long what went is kept.
pub const KEPT_MS: u64 = 5 * 60_000;
/// The mailboxes of a new account.
const FIRST: [&str; 6] = ["Archive", "Drafts", "INBOX", "Junk", "Sent", "Trash"];

/// All of a server's mail.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct House {
    /// It is known how long what goes is kept.
    pub keeps: bool,
    pub accounts: BTreeMap<&'static str, BTreeMap<String, Folder>>,
    /// The accounts, the oldest first: it is the postmaster's.
    pub by_age: Vec<&'static str>,
    pub queue: BTreeMap<QueueId, Waiting>,
    pub kept: BTreeMap<MessageId, Kept>,
    /// Whether each has ended.
    pub jobs: BTreeMap<JobId, bool>,
}

/// A mailbox, its messages by UID.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder {
    pub uid_next: u32,
    pub letters: BTreeMap<u32, Filed>,
}

/// A message in a mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filed {
    pub id: MessageId,
    pub item: Item,
    pub flags: u32,
    pub keywords: BTreeSet<String>,
}

/// A message, wherever it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    pub content: Content,
    pub sender: Option<String>,
    /// It came by an envelope.
    pub is_mail: bool,
}

/// An entry of the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    pub item: Item,
    pub recipient: String,
    /// Its sender is told when it fails.
    pub is_told: bool,
    pub is_held: bool,
    pub is_open: bool,
    pub attempts: u32,
}

/// A message that has gone and is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    pub at: Timestamp,
    pub item: Item,
}

impl House {
    /// Every message, wherever it is; some more than once.
    pub fn items(&self) -> impl Iterator<Item = (MessageId, &Item)> {
        let folders = self.accounts.values().flat_map(BTreeMap::values);
        let filed = folders.flat_map(|folder| folder.letters.values()).map(|filed| (filed.id, &filed.item));
        let queued = self.queue.iter().map(|(id, waiting)| (id.message, &waiting.item));
        filed.chain(queued).chain(self.kept.iter().map(|(id, kept)| (*id, &kept.item)))
    }

    /// Makes a change.
    pub fn make(&mut self, change: &Change) {
        let at = change.at;
        match &change.what {
            What::PutDomain => {}
            What::KeepFor => self.keeps = true,
            What::PutAccount(name) => {
                let first = FIRST.map(|folder| (folder.to_owned(), Folder::new()));
                self.accounts.insert(name, first.into_iter().collect());
                self.by_age.push(name);
            }
            What::DeleteAccount(name) => {
                self.accounts.remove(name);
                self.by_age.retain(|other| other != name);
            }
            What::Deliver { to, remote, sender, letter } => {
                // Sent once more after a crash, it is stored once.
                if self.items().all(|(_, item)| item.content.mark() != letter.mark) {
                    let item = Item { content: own(letter), sender: sender.map(str::to_owned), is_mail: true };
                    self.accept(change.id(), &item, (to, remote), sender.is_some());
                }
            }
            What::Append { name, to, letter, flags } => {
                let item = Item { content: own(letter), sender: None, is_mail: false };
                let keywords = BTreeSet::new();
                self.folder(name, to).put(Filed { id: change.id(), item, flags: *flags, keywords });
            }
            What::Expunge { place, only_deleted } => {
                let is_marked = |filed: &Filed| !only_deleted || SystemFlags(filed.flags).has(SystemFlags::DELETED);
                let folder = self.folder(place.name, &place.folder);
                let gone: Vec<u32> =
                    place.uids.iter().copied().filter(|uid| folder.letters.get(uid).is_some_and(is_marked)).collect();
                let gone = gone.into_iter().filter_map(|uid| folder.letters.remove(&uid)).collect();
                self.leave_mailboxes(gone, at);
            }
            What::Flag { place, mode, flags, keyword } => {
                let folder = self.folder(place.name, &place.folder);
                let keywords = keyword.map(str::to_owned).into_iter().collect::<BTreeSet<_>>();
                for uid in &place.uids {
                    if let Some(filed) = folder.letters.get_mut(uid) {
                        filed.flag(*mode, *flags, &keywords);
                    }
                }
            }
            What::Copy { place, to, moves } => self.copy(place, to, *moves),
            What::Create(name, folder) => {
                self.account(name).insert((*folder).to_owned(), Folder::new());
            }
            What::DeleteMailbox(name, folder) => {
                let folder = self.account(name).remove(folder).expect("it is there");
                self.leave_mailboxes(folder.letters.into_values().collect(), at);
            }
            What::Rename(name, from, to) => self.rename(name, from, to),
            What::Open(entries) => {
                entries.iter().for_each(|(id, _)| self.each(&[*id], |waiting| waiting.is_open = true));
            }
            What::Settle(outcomes) => self.settle(change, outcomes),
            What::Recover => {
                for waiting in self.queue.values_mut().filter(|waiting| waiting.is_open) {
                    (waiting.is_open, waiting.attempts) = (false, waiting.attempts + 1);
                }
            }
            What::Hold(id) => self.each(&[*id], |waiting| waiting.is_held = true),
            What::Release(id) => self.each(&[*id], |waiting| waiting.is_held = false),
            What::Drop(id) => self.leave_queue(*id, at),
            What::Redeliver { of, to, remote } => {
                let item = self.items().find(|(id, _)| id == of).map(|(_, item)| item.clone()).expect("it is there");
                // Of a stranger's message nobody is told: only who has an account here can know of it.
                let is_here = |sender: &str| self.accounts.keys().any(|name| address(name) == sender);
                let is_told = item.sender.as_deref().is_some_and(is_here);
                self.accept(change.id(), &item, (to, remote), is_told);
            }
            What::Reap => self.kept.retain(|_, kept| kept.at.plus_ms(KEPT_MS) > at),
            What::PutJob(id, has_ended) => drop(self.jobs.insert(*id, *has_ended)),
        }
    }

    fn account(&mut self, name: &str) -> &mut BTreeMap<String, Folder> {
        self.accounts.get_mut(name).expect("the account is there")
    }

    fn folder(&mut self, name: &str, folder: &str) -> &mut Folder {
        self.account(name).get_mut(folder).expect("the mailbox is there")
    }

    fn each(&mut self, entries: &[QueueId], change: impl Fn(&mut Waiting)) {
        entries.iter().for_each(|id| change(self.queue.get_mut(id).expect("the entry is there")));
    }

    /// A message comes in.
    fn accept(&mut self, id: MessageId, item: &Item, (to, remote): (&[&str], &[&str]), is_told: bool) {
        for name in to {
            self.folder(name, "INBOX").put(Filed::new(id, item));
        }
        for (number, recipient) in (0..).zip(remote) {
            self.queue.insert(QueueId { message: id, number }, Waiting::new(item, recipient, is_told));
        }
    }

    fn copy(&mut self, place: &Place, to: &str, moves: bool) {
        let from = self.folder(place.name, &place.folder);
        let copied: Vec<Filed> = place.uids.iter().filter_map(|uid| from.letters.get(uid)).cloned().collect();
        if moves {
            from.letters.retain(|uid, _| !place.uids.contains(uid));
        }
        copied.into_iter().for_each(|filed| self.folder(place.name, to).put(filed));
    }

    fn rename(&mut self, name: &str, from: &str, to: &str) {
        if from == "INBOX" {
            let moved = std::mem::take(&mut self.folder(name, from).letters);
            let mut folder = Folder::new();
            moved.into_values().for_each(|filed| folder.put(filed));
            self.account(name).insert(to.to_owned(), folder);
        } else {
            let folder = self.account(name).remove(from).expect("it is there");
            self.account(name).insert(to.to_owned(), folder);
        }
    }

    fn settle(&mut self, change: &Change, outcomes: &[(QueueId, Verdict)]) {
        let mut failed: Vec<Waiting> = Vec::new();
        for (id, verdict) in outcomes {
            let waiting = self.queue.get_mut(id).expect("the entry is there");
            (waiting.is_open, waiting.attempts) = (false, waiting.attempts + 1);
            if *verdict == Verdict::Failed {
                failed.push(waiting.clone());
            }
            if *verdict != Verdict::Deferred {
                self.leave_queue(*id, change.at);
            }
        }
        let Some(Waiting { item, is_told, .. }) = failed.first().cloned() else { return };
        let mut recipients: Vec<String> = failed.into_iter().map(|waiting| waiting.recipient).collect();
        recipients.sort_unstable();
        let content = Content::report(&item.content, recipients);
        let report = Item { content, sender: None, is_mail: true };
        let sender = item.sender.filter(|_| is_told);
        let reader = match &sender {
            Some(sender) => match sender.strip_suffix("@example.test") {
                None => return self.accept(change.id(), &report, (&[], &[sender]), false),
                Some(name) => self.by_age.iter().find(|known| **known == name),
            },
            None => None,
        };
        // A report that can't be returned is the postmaster's.
        if let Some(name) = reader.or(self.by_age.first()).copied() {
            self.accept(change.id(), &report, (&[name], &[]), false);
        }
    }

    /// Messages have left mailboxes: what was mail, and is in no other, is kept.
    fn leave_mailboxes(&mut self, gone: Vec<Filed>, at: Timestamp) {
        for filed in gone {
            let mut folders = self.accounts.values().flat_map(BTreeMap::values);
            let is_there = folders.any(|folder| folder.letters.values().any(|other| other.id == filed.id));
            if !is_there && filed.item.is_mail {
                self.keep(filed.id, filed.item, at);
            }
        }
    }

    /// An entry leaves the queue: with the last one of a message, that is kept.
    fn leave_queue(&mut self, id: QueueId, at: Timestamp) {
        let gone = self.queue.remove(&id).expect("the entry is there");
        if self.queue.keys().all(|other| other.message != id.message) {
            self.keep(id.message, gone.item, at);
        }
    }

    fn keep(&mut self, id: MessageId, item: Item, at: Timestamp) {
        let kept = self.kept.entry(id).or_insert(Kept { at, item });
        kept.at = kept.at.max(at);
    }
}

impl Folder {
    fn new() -> Self {
        Self { uid_next: 1, letters: BTreeMap::new() }
    }

    fn put(&mut self, filed: Filed) {
        self.letters.insert(self.uid_next, filed);
        self.uid_next += 1;
    }
}

impl Filed {
    fn new(id: MessageId, item: &Item) -> Self {
        Self { id, item: item.clone(), flags: 0, keywords: BTreeSet::new() }
    }

    fn flag(&mut self, mode: FlagMode, flags: u32, keywords: &BTreeSet<String>) {
        match mode {
            FlagMode::Replace => (self.flags, self.keywords) = (flags, keywords.clone()),
            FlagMode::Add => {
                self.flags |= flags;
                self.keywords.extend(keywords.iter().cloned());
            }
            FlagMode::Remove => {
                self.flags &= !flags;
                self.keywords.retain(|keyword| !keywords.contains(keyword));
            }
        }
    }
}

impl Waiting {
    fn new(item: &Item, recipient: &str, is_told: bool) -> Self {
        let (item, recipient) = (item.clone(), recipient.to_owned());
        Self { item, recipient, is_told, is_held: false, is_open: false, attempts: 0 }
    }
}

/// The address of an account.
pub fn address(name: &str) -> String {
    format!("{name}@example.test")
}

fn own(letter: &Letter) -> Content {
    Content::own(letter.mark, &letter.head, &letter.body)
}
