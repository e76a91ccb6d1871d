//! What a mailbox holds, as one session knows it that has it to itself.

use std::collections::{BTreeMap, BTreeSet};

use crate::imap::{Imap, Value, item};
use crate::mails;

/// A message; its content is made again from the seed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    pub id: String,
    pub seed: u64,
    pub size_bytes: usize,
    pub flags: BTreeSet<String>,
    /// As it was told last; 0: it was not told.
    pub modseq: u64,
}

impl Item {
    pub fn content(&self) -> Vec<u8> {
        mails::of_size(&self.id, self.seed, self.size_bytes)
    }
}

/// A mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shelf {
    pub name: &'static str,
    pub uid_validity: u64,
    pub uid_next: u32,
    /// By UID.
    pub items: BTreeMap<u32, Item>,
    /// The highest MODSEQ that was told of it.
    pub highest: u64,
}

impl Shelf {
    /// A new one, made by that session.
    pub fn make(session: &mut Imap, name: &'static str) -> Self {
        session.ok(&format!("CREATE {name}")).expect("a mailbox is made");
        let opened = session.ok(&format!("SELECT {name} (CONDSTORE)")).expect("it opens");
        let number = |code: &str| opened.code_number(code).unwrap_or_else(|| panic!("{code} in {opened:?}"));
        let uid_next = number("UIDNEXT").try_into().expect("a UID");
        Self {
            name,
            uid_validity: number("UIDVALIDITY"),
            uid_next,
            items: BTreeMap::new(),
            highest: number("HIGHESTMODSEQ"),
        }
    }

    /// Puts a message in, which gets the next UID.
    pub fn put(&mut self, item: Item) -> u32 {
        let uid = self.uid_next;
        self.uid_next += 1;
        self.items.insert(uid, Item { modseq: 0, ..item });
        uid
    }

    /// What is wrong with the server's mailbox, if it should be this; else takes its UIDNEXT and MODSEQs over.
    pub fn differs(&mut self, seen: &Seen) -> Result<(), String> {
        if seen.uid_validity != self.uid_validity {
            return Err(format!("UIDVALIDITY {} was {}", seen.uid_validity, self.uid_validity));
        }
        if seen.uid_next < self.uid_next {
            return Err(format!("UIDNEXT {} was {}", seen.uid_next, self.uid_next));
        }
        if seen.highest < self.highest {
            return Err(format!("HIGHESTMODSEQ {} was {}", seen.highest, self.highest));
        }
        if !seen.messages.keys().eq(self.items.keys()) {
            let of = |keys: Vec<&u32>| format!("{keys:?}");
            return Err(format!(
                "UIDs {}, not {}",
                of(seen.messages.keys().collect()),
                of(self.items.keys().collect())
            ));
        }
        for (uid, item) in &mut self.items {
            let message = &seen.messages[uid];
            if message.flags != item.flags {
                return Err(format!("UID {uid} has {:?}, not {:?}", message.flags, item.flags));
            }
            if item.modseq != 0 && message.modseq != item.modseq {
                return Err(format!("UID {uid} has MODSEQ {}, not {}", message.modseq, item.modseq));
            }
            if message.content != item.content() {
                return Err(format!("UID {uid}, {}, is not as it was appended", item.id));
            }
        }
        for (uid, item) in &mut self.items {
            item.modseq = seen.messages[uid].modseq;
        }
        (self.uid_next, self.highest) = (seen.uid_next, seen.highest);
        Ok(())
    }
}

/// What a server says of a mailbox.
pub struct Seen {
    uid_validity: u64,
    uid_next: u32,
    highest: u64,
    messages: BTreeMap<u32, SeenMessage>,
}

struct SeenMessage {
    flags: BTreeSet<String>,
    modseq: u64,
    content: Vec<u8>,
}

impl Seen {
    /// Looks at a mailbox without changing it.
    pub fn look(session: &mut Imap, name: &str) -> Self {
        let opened = session.ok(&format!("EXAMINE {name} (CONDSTORE)")).expect("it opens");
        let number = |code: &str| opened.code_number(code).unwrap_or_else(|| panic!("{code} in {opened:?}"));
        let mut messages = BTreeMap::new();
        let all = session.ok("UID FETCH 1:* (FLAGS MODSEQ BODY.PEEK[])").expect("FETCH answers");
        for (_, items) in all.fetches() {
            let uid = item(items, "UID").and_then(Value::number).and_then(|uid| uid.try_into().ok()).expect("a UID");
            let flags = flags_of(item(items, "FLAGS").expect("FLAGS"));
            let content = item(items, "BODY[]").and_then(Value::bytes).expect("a body").to_vec();
            messages.insert(uid, SeenMessage { flags, modseq: modseq_of(items).expect("MODSEQ"), content });
        }
        let uid_next = number("UIDNEXT").try_into().expect("a UID");
        Self { uid_validity: number("UIDVALIDITY"), uid_next, highest: number("HIGHESTMODSEQ"), messages }
    }

    /// The contents of all messages, with their UIDs.
    pub fn contents(self) -> impl Iterator<Item = (u32, Vec<u8>)> {
        self.messages.into_iter().map(|(uid, message)| (uid, message.content))
    }
}

/// A list of flags without `\Recent`.
pub fn flags_of(value: &Value) -> BTreeSet<String> {
    let flags = value.list().unwrap_or_default().iter().filter_map(Value::bytes);
    flags.map(|flag| String::from_utf8_lossy(flag).into_owned()).filter(|flag| flag != "\\Recent").collect()
}

/// MODSEQ of a FETCH response.
pub fn modseq_of(items: &[Value]) -> Option<u64> {
    item(items, "MODSEQ")?.list()?.first()?.number()
}
