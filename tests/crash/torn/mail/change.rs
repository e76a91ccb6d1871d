//! Changes, and which of them fit a state.

use std::collections::BTreeSet;

use pillarbox::base::{JobId, MessageId, QueueId, Random, Timestamp};
use pillarbox::mailbox::FlagMode;
use pillarbox::queue::Verdict;

use super::super::world::{below, bytes};
use super::content::{Content, FIELD};
use super::house::{Folder, House, Waiting};

/// Who may have an account here.
pub const NAMES: [&str; 3] = ["alice", "bob", "carol"];
/// Who is elsewhere.
const REMOTES: [&str; 4] = ["r0@far.test", "r1@far.test", "r2@far.test", "x@other.test"];
/// Who sends: each of them may be told that it failed.
const SENDERS: [&str; 3] = ["alice@example.test", "bob@example.test", "sender@elsewhere.test"];
/// Mailboxes that come and go.
const FOLDERS: [&str; 4] = ["A", "B", "C", "B/below"];
const KEYWORDS: [&str; 2] = ["$Forwarded", "work"];
/// Messages of an account, and entries of the queue, above which some go.
const CROWD: usize = 8;
/// The first moment.
const START: Timestamp = Timestamp(1_795_341_900_000);

/// A change, and when it is made.
#[derive(Debug, Clone)]
pub struct Change {
    pub at: Timestamp,
    pub what: What,
}

/// What may be changed. Whoever is named is there.
#[derive(Debug, Clone)]
pub enum What {
    PutDomain,
    KeepFor,
    PutAccount(&'static str),
    DeleteAccount(&'static str),
    Deliver {
        to: Vec<&'static str>,
        remote: Vec<&'static str>,
        sender: Option<&'static str>,
        letter: Letter,
    },
    Append {
        name: &'static str,
        to: String,
        letter: Letter,
        flags: u32,
    },
    Expunge {
        place: Place,
        only_deleted: bool,
    },
    Flag {
        place: Place,
        mode: FlagMode,
        flags: u32,
        keyword: Option<&'static str>,
    },
    Copy {
        place: Place,
        to: String,
        moves: bool,
    },
    Create(&'static str, &'static str),
    DeleteMailbox(&'static str, String),
    Rename(&'static str, String, &'static str),
    /// Each with its recipient.
    Open(Vec<(QueueId, String)>),
    Settle(Vec<(QueueId, Verdict)>),
    Recover,
    Hold(QueueId),
    Release(QueueId),
    Drop(QueueId),
    Redeliver {
        of: MessageId,
        to: Vec<&'static str>,
        remote: Vec<&'static str>,
    },
    Reap,
    PutJob(JobId, bool),
}

/// A message that comes in.
#[derive(Debug, Clone)]
pub struct Letter {
    pub mark: u64,
    pub head: Vec<u8>,
    pub body: Vec<u8>,
}

/// Some messages of a mailbox.
#[derive(Debug, Clone)]
pub struct Place {
    pub name: &'static str,
    pub folder: String,
    pub uids: BTreeSet<u32>,
}

impl Change {
    /// Up to half a minute after `clock`.
    pub fn after(clock: Timestamp, random: &dyn Random, what: What) -> Self {
        Self { at: clock.max(START).plus_ms(1 + below(random, 30_000)), what }
    }

    /// The id of the message that it makes.
    pub fn id(&self) -> MessageId {
        MessageId(self.at.0 << 16)
    }
}

impl What {
    /// Whether what comes behind it can't be prepared before it is made.
    pub fn is_alone(&self) -> bool {
        !matches!(
            self,
            Self::Deliver { .. }
                | Self::Append { .. }
                | Self::Expunge { .. }
                | Self::Flag { .. }
                | Self::Copy { .. }
                | Self::Open(_)
                | Self::Settle(_)
                | Self::Hold(_)
                | Self::Release(_)
                | Self::Drop(_)
                | Self::PutJob(..)
        )
    }
}

impl Letter {
    fn draw(random: &dyn Random) -> Self {
        let mark = random.next_u64();
        // Most are small; some take several chunks.
        let longest = [0, 200, 500, 3_000, 5_000, 9_000, 20_000, 70_000][below(random, 8) as usize];
        let head = [FIELD, format!("{mark:016x}\r\n").as_bytes()].concat();
        Self { mark, head, body: bytes(random, longest) }
    }
}

/// A change that fits.
pub fn choose(house: Option<&House>, random: &dyn Random) -> What {
    let Some(house) = house else { return What::PutDomain };
    if !house.keeps {
        return What::KeepFor;
    }
    let name = pick(random, &NAMES);
    let Some(folders) = house.accounts.get(name) else { return What::PutAccount(name) };
    if folders.values().map(|folder| folder.letters.len()).sum::<usize>() > CROWD {
        let fullest = folders.iter().max_by_key(|(_, folder)| folder.letters.len()).map(|(folder, _)| folder);
        return expunge(house, name, fullest.expect("a mailbox"), random);
    }
    if house.queue.len() > CROWD {
        return settle(house, random).unwrap_or(What::Recover);
    }
    let fitting = match below(random, 44) {
        0 => Some(What::DeleteAccount(name)),
        1..=3 => mailboxes(house, name, random),
        4..=7 => append(house, name, random),
        8..=11 => with_place(house, name, random, |place| flag(place, random)),
        12..=15 => with_place(house, name, random, |place| copy(house, place, random)),
        16 | 17 => Some(expunge(house, name, &folder_of(house, name, random), random)),
        18..=21 => open(house, random),
        22..=25 => settle(house, random),
        26 => Some(What::Recover),
        27..=29 => act(house, random),
        30 | 31 => redeliver(house, random),
        32 => Some(What::Reap),
        33 => Some(job(house)),
        _ => None,
    };
    fitting.unwrap_or_else(|| deliver(house, name, random))
}

fn pick<T: Copy>(random: &dyn Random, all: &[T]) -> T {
    all[below(random, all.len() as u64) as usize]
}

/// Those of them that chance picks.
fn some<T: Copy>(random: &dyn Random, all: impl IntoIterator<Item = T>) -> Vec<T> {
    all.into_iter().filter(|_| below(random, 2) == 0).collect()
}

fn deliver(house: &House, name: &'static str, random: &dyn Random) -> What {
    let to = house.accounts.keys().copied().filter(|other| *other == name || below(random, 3) == 0).collect();
    let remote = if below(random, 2) == 0 { some(random, REMOTES) } else { Vec::new() };
    let sender = (below(random, 6) > 0).then(|| pick(random, &SENDERS));
    What::Deliver { to, remote, sender, letter: Letter::draw(random) }
}

fn append(house: &House, name: &'static str, random: &dyn Random) -> Option<What> {
    let to = folder_of(house, name, random);
    Some(What::Append { name, to, letter: Letter::draw(random), flags: below(random, 32) as u32 })
}

fn folder_of(house: &House, name: &'static str, random: &dyn Random) -> String {
    let folders = &house.accounts[name];
    // Most of it happens in INBOX.
    let place = below(random, folders.len() as u64) as usize;
    if below(random, 2) == 0 { "INBOX".to_owned() } else { folders.keys().nth(place).expect("it is there").clone() }
}

/// What fits some messages of a mailbox that has any.
fn with_place(
    house: &House,
    name: &'static str,
    random: &dyn Random,
    what: impl FnOnce(Place) -> Option<What>,
) -> Option<What> {
    let has_mail = |(_, folder): &(&String, &Folder)| !folder.letters.is_empty();
    let full: Vec<&String> = house.accounts[name].iter().filter(has_mail).map(|(folder, _)| folder).collect();
    let folder = (*full.get(below(random, full.len().max(1) as u64) as usize)?).clone();
    let uids: BTreeSet<u32> = some(random, house.accounts[name][&folder].letters.keys().copied()).into_iter().collect();
    if uids.is_empty() { None } else { what(Place { name, folder, uids }) }
}

fn flag(place: Place, random: &dyn Random) -> Option<What> {
    let mode = pick(random, &[FlagMode::Add, FlagMode::Remove, FlagMode::Replace]);
    let keyword = (below(random, 2) == 0).then(|| pick(random, &KEYWORDS));
    Some(What::Flag { place, mode, flags: below(random, 32) as u32, keyword })
}

fn copy(house: &House, place: Place, random: &dyn Random) -> Option<What> {
    let to = folder_of(house, place.name, random);
    (to != place.folder).then(|| What::Copy { place, to, moves: below(random, 2) == 0 })
}

fn expunge(house: &House, name: &'static str, folder: &str, random: &dyn Random) -> What {
    let uids = some(random, house.accounts[name][folder].letters.keys().copied()).into_iter().collect();
    let place = Place { name, folder: folder.to_owned(), uids };
    What::Expunge { place, only_deleted: below(random, 4) == 0 }
}

fn mailboxes(house: &House, name: &'static str, random: &dyn Random) -> Option<What> {
    let folders = &house.accounts[name];
    let (free, there): (Vec<&str>, Vec<&str>) = FOLDERS.iter().partition(|folder| !folders.contains_key(**folder));
    let (free, there) = (pick_any(random, &free), pick_any(random, &there));
    match below(random, 4) {
        0 => Some(What::DeleteMailbox(name, there?.to_owned())),
        // B goes with what is below it.
        1 if there? != "B" && free? != "B/below" => Some(What::Rename(name, there?.to_owned(), free?)),
        2 if free? != "B/below" => Some(What::Rename(name, "INBOX".to_owned(), free?)),
        _ if free? != "B/below" || folders.contains_key("B") => Some(What::Create(name, free?)),
        _ => None,
    }
}

fn pick_any<'a>(random: &dyn Random, all: &[&'a str]) -> Option<&'a str> {
    (!all.is_empty()).then(|| pick(random, all))
}

/// The entries of a message that an operator does not hold and for which `fits`.
fn entries(house: &House, random: &dyn Random, fits: impl Fn(&Waiting) -> bool) -> Vec<QueueId> {
    let fitting = house.queue.iter().filter(|(_, waiting)| !waiting.is_held && fits(waiting));
    let fitting: Vec<QueueId> = fitting.map(|(id, _)| *id).collect();
    let Some(first) = fitting.get(below(random, fitting.len().max(1) as u64) as usize) else { return Vec::new() };
    let of_message = fitting.iter().filter(|id| id.message == first.message).copied();
    of_message.filter(|id| id == first || below(random, 2) == 0).collect()
}

fn open(house: &House, random: &dyn Random) -> Option<What> {
    let entries = entries(house, random, |waiting| !waiting.is_open);
    let entries: Vec<_> = entries.into_iter().map(|id| (id, house.queue[&id].recipient.clone())).collect();
    (!entries.is_empty()).then_some(What::Open(entries))
}

fn settle(house: &House, random: &dyn Random) -> Option<What> {
    let verdict = |id: QueueId| {
        // Nobody takes a message before it was opened.
        let verdicts = [Verdict::Deferred, Verdict::Failed, Verdict::Delivered, Verdict::Delivered];
        (id, pick(random, if house.queue[&id].is_open { &verdicts } else { &verdicts[..2] }))
    };
    let outcomes: Vec<_> = entries(house, random, |_| true).into_iter().map(verdict).collect();
    (!outcomes.is_empty()).then_some(What::Settle(outcomes))
}

fn act(house: &House, random: &dyn Random) -> Option<What> {
    let free: Vec<QueueId> = house.queue.iter().filter(|(_, entry)| !entry.is_open).map(|(id, _)| *id).collect();
    let id = *free.get(below(random, free.len().max(1) as u64) as usize)?;
    Some(match below(random, 3) {
        0 => What::Drop(id),
        _ if house.queue[&id].is_held => What::Release(id),
        _ => What::Hold(id),
    })
}

fn redeliver(house: &House, random: &dyn Random) -> Option<What> {
    let items = house.items().filter(|(_, item)| item.is_mail && matches!(item.content, Content::Own { .. }));
    let ids: Vec<MessageId> = items.map(|(id, _)| id).collect::<BTreeSet<_>>().into_iter().collect();
    let of = *ids.get(below(random, ids.len().max(1) as u64) as usize)?;
    let (to, remote) = (some(random, house.accounts.keys().copied()), some(random, REMOTES));
    (!to.is_empty() || !remote.is_empty()).then_some(What::Redeliver { of, to, remote })
}

fn job(house: &House) -> What {
    let running = house.jobs.iter().find(|(_, has_ended)| !**has_ended);
    match running {
        Some((id, _)) => What::PutJob(*id, true),
        // They are far below those of messages.
        None => What::PutJob(JobId(house.jobs.len() as u64 + 1), false),
    }
}
