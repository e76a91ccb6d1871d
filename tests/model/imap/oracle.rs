//! What the mailboxes of one account should hold.

use std::collections::{BTreeMap, BTreeSet};

/// Flags of a message, without `\Recent`.
pub type Flags = BTreeSet<String>;
/// A mailbox, whatever it is called: a new one of the same name is another.
pub type BoxId = usize;

/// A message in a mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub flags: Flags,
    /// Its subject, which only its copies share.
    pub subject: u64,
    /// As the server told it last; 0: not yet.
    pub modseq: u64,
}

/// A mailbox.
#[derive(Debug, Clone, Default)]
pub struct Mailbox {
    /// 0: not told yet.
    pub uid_validity: u64,
    pub uid_next: u32,
    /// By UID.
    pub messages: BTreeMap<u32, Message>,
    /// HIGHESTMODSEQ as the server told it last.
    pub highest: u64,
}

/// What a step has done to messages, for the rules of MODSEQ.
#[derive(Debug, Default)]
pub struct Touched {
    /// Have changed: each has a new MODSEQ.
    pub changed: BTreeSet<(BoxId, u32)>,
    /// Were set to what they were: may have a new one.
    pub maybe: BTreeSet<(BoxId, u32)>,
    /// May be gone, or not: what is there after the step says which.
    pub may_be_gone: BTreeSet<(BoxId, u32)>,
    /// Have lost messages: HIGHESTMODSEQ is higher.
    pub lost: BTreeSet<BoxId>,
}

/// The account.
#[derive(Debug, Default)]
pub struct Oracle {
    pub names: BTreeMap<String, BoxId>,
    pub boxes: BTreeMap<BoxId, Mailbox>,
    /// Names that are none themselves and stand above others.
    pub hollow: BTreeSet<String>,
    /// No mailbox ever has a UIDVALIDITY that another one has had under any name.
    pub used_validities: BTreeSet<u64>,
    next_box: BoxId,
}

impl Oracle {
    pub fn find(&self, name: &str) -> Option<BoxId> {
        self.names.get(name).copied()
    }

    pub fn create(&mut self, name: &str) -> Option<BoxId> {
        if self.names.contains_key(name) {
            return None;
        }
        for (at, _) in name.match_indices('/') {
            if !self.names.contains_key(&name[..at]) {
                self.insert(&name[..at]);
            }
        }
        Some(self.insert(name))
    }

    fn insert(&mut self, name: &str) -> BoxId {
        self.next_box += 1;
        self.hollow.remove(name);
        self.names.insert(name.to_owned(), self.next_box);
        self.boxes.insert(self.next_box, Mailbox { uid_next: 1, ..Mailbox::default() });
        self.next_box
    }

    /// The mailbox that is gone by it.
    pub fn delete(&mut self, name: &str) -> Option<BoxId> {
        if name == "INBOX" {
            return None;
        }
        let gone = self.names.remove(name)?;
        self.boxes.remove(&gone);
        if self.names.keys().any(|other| other.starts_with(&format!("{name}/"))) {
            self.hollow.insert(name.to_owned());
        }
        Some(gone)
    }

    /// Whether RENAME works; the messages of INBOX are then those of the new mailbox, with UIDs that the server says.
    pub fn rename(&mut self, from: &str, to: &str, touched: &mut Touched) -> bool {
        let below = format!("{from}/");
        if !self.names.contains_key(from) || self.names.contains_key(to) || to == from || to.starts_with(&below) {
            return false;
        }
        if from == "INBOX" {
            let Some(new) = self.create(to) else { return false };
            let inbox = self.names[from];
            let moved = std::mem::take(&mut self.boxes.get_mut(&inbox).expect("INBOX is there").messages);
            if !moved.is_empty() {
                touched.lost.insert(inbox);
            }
            for message in moved.into_values() {
                self.add(new, message, touched);
            }
            return true;
        }
        // Superiors of the new name are made; then it and what is below get their new names.
        let moving: Vec<String> =
            self.names.keys().filter(|name| *name == from || name.starts_with(&below)).cloned().collect();
        for (at, _) in to.match_indices('/') {
            if !self.names.contains_key(&to[..at]) {
                self.insert(&to[..at]);
            }
        }
        for name in moving {
            let id = self.names.remove(&name).expect("it was listed");
            let new = format!("{to}{}", &name[from.len()..]);
            self.hollow.remove(&new);
            self.names.insert(new, id);
        }
        true
    }

    /// Adds a message with the next UID, which is returned.
    pub fn add(&mut self, to: BoxId, message: Message, touched: &mut Touched) -> u32 {
        let mailbox = self.boxes.get_mut(&to).expect("the mailbox is there");
        let uid = mailbox.uid_next;
        mailbox.uid_next += 1;
        mailbox.messages.insert(uid, Message { modseq: 0, ..message });
        touched.changed.insert((to, uid));
        uid
    }

    pub fn remove(&mut self, from: BoxId, uid: u32, touched: &mut Touched) {
        if self.boxes.get_mut(&from).and_then(|mailbox| mailbox.messages.remove(&uid)).is_some() {
            touched.lost.insert(from);
        }
    }

    /// A name without a mailbox is there only as long as there is something below it.
    pub fn forget_hollow(&mut self) {
        let names = &self.names;
        self.hollow.retain(|hollow| names.keys().any(|name| name.starts_with(&format!("{hollow}/"))));
    }

    pub fn message(&self, of: BoxId, uid: u32) -> Option<&Message> {
        self.boxes.get(&of)?.messages.get(&uid)
    }

    /// Changes the flags of a message that is there.
    pub fn change(&mut self, of: BoxId, uid: u32, change: &Change, touched: &mut Touched) {
        let Some(message) = self.boxes.get_mut(&of).and_then(|mailbox| mailbox.messages.get_mut(&uid)) else { return };
        let before = message.flags.clone();
        change.apply(&mut message.flags);
        if message.flags == before { &mut touched.maybe } else { &mut touched.changed }.insert((of, uid));
    }
}

/// What STORE does.
#[derive(Debug, Clone)]
pub enum Change {
    Set(Flags),
    Add(Flags),
    Remove(Flags),
}

impl Change {
    pub fn apply(&self, flags: &mut Flags) {
        match self {
            Self::Set(new) => flags.clone_from(new),
            Self::Add(new) => flags.extend(new.iter().cloned()),
            Self::Remove(old) => flags.retain(|flag| !old.contains(flag)),
        }
    }

    /// The item of STORE.
    pub fn text(&self, silent: bool) -> String {
        let (sign, flags) = match self {
            Self::Set(flags) => ("", flags),
            Self::Add(flags) => ("+", flags),
            Self::Remove(flags) => ("-", flags),
        };
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        format!("{sign}FLAGS{} ({})", if silent { ".SILENT" } else { "" }, flags.join(" "))
    }
}
