//! What is there after a restart, as POP3, IMAP and REST say it, and what has arrived elsewhere.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::appender::MAILBOX;
use super::compare::{self, Copy, Expect};
use super::creator;
use super::load::{self, Attempt, Outcome};
use crate::imap::{Imap, Value, item};
use crate::sink::Sink;
use crate::site::{PASSWORD, Site};
use crate::wire::Pop3;

/// What was looked at before of each account and was well, by address.
pub type Known = BTreeMap<String, Rows>;

/// The messages of the mailboxes of an account: [`Attempt::id`]s and octets.
#[derive(Default)]
pub struct Rows {
    /// By their ids in POP3, which are never used again.
    inbox: HashMap<String, (String, usize)>,
    /// By their UIDs.
    filed: HashMap<u32, (String, usize)>,
}

/// Where each message is.
pub struct Found {
    /// The INBOXes, by address: how many copies of each [`Attempt::id`], and their octets.
    inboxes: BTreeMap<String, Vec<(String, usize)>>,
    /// The queue: the server's ids of the messages, and the recipients.
    queued: BTreeSet<(String, String)>,
    /// Elsewhere: [`Attempt::id`]s and recipients.
    arrived: HashSet<(String, String)>,
    /// Copies of messages that nobody has an answer for.
    pub unheard: usize,
}

impl Found {
    /// Looks at every INBOX by POP3 and IMAP, at the mailboxes of the appenders, and asks REST for the counts and the
    /// queue. Each message is there once where it was acknowledged and at most once elsewhere. What is not yet `known`
    /// is read and is as it was sent: a message that was acknowledged to several in the INBOX of one of them, by
    /// `turn`.
    pub fn whole(
        site: &Site,
        sink: &Sink,
        known: &mut Known,
        (sent, appended): (&[Attempt], &[Attempt]),
        turn: usize,
    ) -> Self {
        let users: BTreeSet<String> = known.keys().cloned().collect();
        let readers: HashMap<&str, Option<&str>> =
            sent.iter().map(|attempt| (attempt.id.as_str(), reader(attempt, &users, turn))).collect();
        let (mut inboxes, mut unheard) = (BTreeMap::new(), 0);
        std::thread::scope(|scope| {
            let readers = &readers;
            let looks = known.iter_mut().map(|(user, rows)| {
                scope.spawn(move || (user.clone(), look_at(site, user, rows, readers, sent, appended)))
            });
            for one in looks.collect::<Vec<_>>() {
                let (user, (copies, more)) = one.join().expect("an account is as it has to be");
                inboxes.insert(user, copies);
                unheard += more;
            }
        });
        Self::with(site, sink, inboxes, unheard)
    }

    /// The same without the contents, and without comparing.
    pub fn listed(site: &Site, sink: &Sink, users: &[String]) -> Self {
        let list = |user: &String| {
            let mut session = Imap::login(site.address("imap"), user, PASSWORD).expect("the account logs in");
            (user.clone(), without_uids(&list(&mut session, "INBOX")))
        };
        let inboxes = std::thread::scope(|scope| {
            let lists: Vec<_> = users.iter().map(|user| scope.spawn(move || list(user))).collect();
            lists.into_iter().map(|one| one.join().expect("an INBOX is listed")).collect()
        });
        Self::with(site, sink, inboxes, 0)
    }

    fn with(site: &Site, sink: &Sink, inboxes: BTreeMap<String, Vec<(String, usize)>>, unheard: usize) -> Self {
        let text = |item: &serde_json::Value, field: &str| item[field].as_str().expect("a text").to_owned();
        // First the queue: what leaves it meanwhile is then seen on the other side.
        let queue = creator::list(site, "/api/v1/queue");
        let queued = queue.iter().map(|entry| (text(entry, "message_id"), text(entry, "recipient"))).collect();
        let mut arrived = HashSet::new();
        for taken in sink.taken() {
            let id = taken.message_id.trim_end_matches("@example.test").to_owned();
            arrived.extend(taken.recipients.into_iter().map(|recipient| (id.clone(), recipient)));
        }
        Self { inboxes, queued, arrived, unheard }
    }

    /// Whether a recipient's copy is there: in the INBOX, or for one elsewhere in the queue or over there.
    fn has(&self, attempt: &Attempt, recipient: &str) -> bool {
        match self.inboxes.get(recipient) {
            Some(copies) => copies.iter().any(|(id, _)| *id == attempt.id),
            None => {
                let id = attempt.server_id.clone().unwrap_or_default();
                self.queued.contains(&(id, recipient.to_owned()))
                    || self.arrived.contains(&(attempt.id.clone(), recipient.to_owned()))
            }
        }
    }

    /// A message is there for all its recipients or for none, and for all where it was acknowledged; and nothing is
    /// queued that nobody has sent. Every message has the id that the server gave it.
    pub fn assert_whole(&self, attempts: &[Attempt], expect: Expect) {
        let mut known = HashSet::new();
        for attempt in attempts {
            let id = attempt.server_id.as_ref().expect("each was answered in the end");
            known.insert(id.as_str());
            let missing: Vec<&String> = attempt.recipients.iter().filter(|to| !self.has(attempt, to)).collect();
            let must = attempt.outcome == Outcome::Acknowledged || expect == Expect::Everything;
            let is_well = missing.is_empty() || (!must && missing.len() == attempt.recipients.len());
            assert!(is_well, "{} ({id}, {:?}) is not there for {missing:?}", attempt.id, attempt.outcome);
        }
        if expect == Expect::Everything {
            let strangers: Vec<_> = self.queued.iter().filter(|(id, _)| !known.contains(id.as_str())).collect();
            assert!(strangers.is_empty(), "queued by nobody: {strangers:?}");
            self.assert_once();
        }
    }

    /// No INBOX has a message twice.
    fn assert_once(&self) {
        for (user, copies) in &self.inboxes {
            let mut counts: HashMap<&str, usize> = HashMap::new();
            copies.iter().for_each(|(id, _)| *counts.entry(id).or_default() += 1);
            let doubles: Vec<_> = counts.into_iter().filter(|(_, count)| *count > 1).collect();
            assert!(doubles.is_empty(), "{user} has some twice: {doubles:?}");
        }
    }

    /// Entries of the queue.
    pub fn queued(&self) -> usize {
        self.queued.len()
    }
}

/// What arrived elsewhere is as it was sent.
pub fn assert_arrived(sink: &Sink, attempts: &[Attempt]) -> usize {
    let sent: HashMap<&str, &Attempt> = attempts.iter().map(|attempt| (attempt.id.as_str(), attempt)).collect();
    let taken = sink.taken();
    for message in &taken {
        let id = message.message_id.trim_end_matches("@example.test");
        let attempt = sent.get(id).unwrap_or_else(|| panic!("{id} arrived, which nobody has sent"));
        assert_eq!(message.digest, attempt.digest, "{id} arrived as it was sent");
    }
    taken.len()
}

/// In whose INBOX a message is read, when it is new; `None`: in each that has it.
fn reader<'a>(attempt: &'a Attempt, users: &BTreeSet<String>, turn: usize) -> Option<&'a str> {
    let here: Vec<&String> = attempt.recipients.iter().filter(|recipient| users.contains(*recipient)).collect();
    let drawn = usize::from(attempt.digest[turn % attempt.digest.len()]);
    let is_known_to_be_there = attempt.outcome == Outcome::Acknowledged && !here.is_empty();
    is_known_to_be_there.then(|| here[drawn % here.len()].as_str())
}

/// The messages of an account's INBOX, in order, and how many of its messages nobody had an answer for.
fn look_at(
    site: &Site,
    user: &str,
    rows: &mut Rows,
    readers: &HashMap<&str, Option<&str>>,
    sent: &[Attempt],
    appended: &[Attempt],
) -> (Vec<(String, usize)>, usize) {
    let mut session = Imap::login(site.address("imap"), user, PASSWORD).expect("the account logs in");
    let listed = list(&mut session, "INBOX");
    let copies = read_inbox(site, user, rows, &listed, readers);
    let compared = compare::compare(user, copies.into_iter(), sent, Expect::Acknowledged);
    assert!(compared.faults.is_empty(), "{}", compared.faults.join("\n"));
    let (filed, more) = read_filed(&mut session, user, rows, appended);
    let copies = without_uids(&listed);
    let bytes = |copies: &[(String, usize)]| copies.iter().map(|(_, bytes)| bytes).sum::<usize>();
    for (mailbox, copies) in [("INBOX", &copies), (MAILBOX, &filed)] {
        let (status, row) = site.rest("GET", &format!("/api/v1/accounts/{user}/mailboxes/{mailbox}"), "");
        let said = (row["exists"].as_u64(), row["size_bytes"].as_u64());
        let expected = (Some(copies.len() as u64), Some(bytes(copies) as u64));
        assert_eq!(said, expected, "{mailbox} of {user}: {status} {row}");
    }
    (copies, compared.unacknowledged + more)
}

/// POP3 has the messages that IMAP has, in the same order, and what it gives of those that are to be read is of them.
fn read_inbox(
    site: &Site,
    user: &str,
    rows: &mut Rows,
    listed: &BTreeMap<u32, (String, usize)>,
    readers: &HashMap<&str, Option<&str>>,
) -> Vec<Copy> {
    let mut session = Pop3::login(site.address("pop3"), user, PASSWORD).expect("the account logs in");
    let listing = session.listing().expect("UIDL and LIST answer");
    let by_imap = listed.values().map(|(_, bytes)| bytes);
    assert!(listing.iter().map(|(_, bytes)| bytes).eq(by_imap), "IMAP and POP3 see the same INBOX of {user}");
    let (mut copies, mut seen) = (Vec::new(), HashMap::new());
    for (number, ((uidl, _), row)) in (1..).zip(listing.into_iter().zip(listed.values())) {
        let id = &row.0;
        let is_known = rows.inbox.get(&uidl).is_some_and(|known| {
            assert_eq!(known, row, "{uidl} in the INBOX of {user}");
            true
        });
        let is_read_elsewhere = readers.get(id.as_str()).copied().flatten().is_some_and(|reader| reader != user);
        copies.push(if is_known || is_read_elsewhere {
            Copy::Known(id.clone())
        } else {
            let content = session.retrieve(number).expect("RETR answers");
            assert_eq!((&load::id_of(&content), content.len()), (id, row.1), "{uidl} in the INBOX of {user}");
            Copy::Read(content)
        });
        let doubled = seen.insert(uidl, row.clone());
        assert!(doubled.is_none(), "{user} has two messages of one id: {doubled:?}");
    }
    session.quit().expect("QUIT answers");
    rows.inbox = seen;
    copies
}

fn read_filed(session: &mut Imap, user: &str, rows: &mut Rows, appended: &[Attempt]) -> (Vec<(String, usize)>, usize) {
    let listed = list(session, MAILBOX);
    let new: Vec<String> = listed.keys().filter(|uid| !rows.filed.contains_key(*uid)).map(u32::to_string).collect();
    let mut contents: HashMap<u32, Vec<u8>> = HashMap::new();
    if !new.is_empty() {
        let all = session.ok(&format!("UID FETCH {} (BODY.PEEK[])", new.join(","))).expect("FETCH answers");
        for (_, items) in all.fetches() {
            let content = item(items, "BODY[]").and_then(Value::bytes).expect("a body").to_vec();
            contents.insert(uid_of(items), content);
        }
    }
    let copy = |(uid, row): (&u32, &(String, usize))| match rows.filed.get(uid) {
        Some(known) => {
            assert_eq!(known, row, "UID {uid} in {MAILBOX} of {user}");
            Copy::Known(row.0.clone())
        }
        None => {
            let content = contents.remove(uid).unwrap_or_else(|| panic!("UID {uid} in {MAILBOX} of {user} is read"));
            assert_eq!(content.len(), row.1, "UID {uid} in {MAILBOX} of {user}");
            Copy::Read(content)
        }
    };
    let copies: Vec<Copy> = listed.iter().map(copy).collect();
    let compared = compare::compare(user, copies.into_iter(), appended, Expect::Acknowledged);
    assert!(compared.faults.is_empty(), "{MAILBOX}: {}", compared.faults.join("\n"));
    let filed = without_uids(&listed);
    rows.filed = listed.into_iter().collect();
    (filed, compared.unacknowledged)
}

/// The ids and octets of all messages of a mailbox, by UID; none is there twice.
fn list(session: &mut Imap, mailbox: &str) -> BTreeMap<u32, (String, usize)> {
    session.ok(&format!("EXAMINE {mailbox}")).expect("it opens");
    let all = session.ok("UID FETCH 1:* (RFC822.SIZE BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])").expect("FETCH answers");
    let mut rows = BTreeMap::new();
    for (_, items) in all.fetches() {
        let size = item(items, "RFC822.SIZE").and_then(Value::number).expect("a size");
        let is_field = |value: &&Value| value.bytes().is_some_and(|bytes| bytes.starts_with(b"Message-ID:"));
        let field = items.iter().find(is_field).and_then(Value::bytes).expect("a Message-ID field");
        let uid = uid_of(items);
        assert!(rows.insert(uid, (load::id_of(field), size as usize)).is_none(), "UID {uid} comes twice");
    }
    rows
}

fn uid_of(items: &[Value]) -> u32 {
    item(items, "UID").and_then(Value::number).and_then(|uid| uid.try_into().ok()).expect("a UID")
}

/// In order.
fn without_uids(rows: &BTreeMap<u32, (String, usize)>) -> Vec<(String, usize)> {
    let mut rows: Vec<_> = rows.values().cloned().collect();
    rows.sort_unstable();
    rows
}
