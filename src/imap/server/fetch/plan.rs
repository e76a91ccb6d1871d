use super::section::{Section, Wanted};
use crate::imap::server::context::Enabled;
use crate::imap::wire::{Fetch, FetchItem};

/// What a FETCH asks of each message, in the order in which it is answered.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) items: Vec<Item>,
    /// A summary is needed.
    pub(super) summary: bool,
    /// More of the summary than its envelope is needed.
    pub(super) structure: bool,
    /// Heads or bodies are needed.
    pub(super) content: bool,
    /// Bodies are needed.
    pub(super) body: bool,
    /// `\Seen` is set.
    pub(super) sets_seen: bool,
    /// MODSEQ is told wherever flags are. RFC 7162 §3.1
    pub(super) tells_modseq: bool,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Item {
    Uid,
    Flags,
    ModSeq,
    InternalDate,
    Size,
    Envelope,
    Structure { is_extended: bool },
    Section(Section),
}

impl Plan {
    pub(super) fn of(fetch: &Fetch<'_>, enabled: Enabled) -> Self {
        let mut plan = Self {
            items: Vec::with_capacity(fetch.items.len() + 2),
            summary: false,
            structure: false,
            content: false,
            body: false,
            sets_seen: false,
            tells_modseq: enabled.condstore,
        };
        // RFC 9051 §6.4.9: with UID FETCH the UID is always told.
        if fetch.messages.is_uid && !fetch.items.contains(&FetchItem::Uid) {
            plan.add(Item::Uid);
        }
        for item in &fetch.items {
            plan.add_asked(item);
        }
        // RFC 7162 §3.1.4.1: CHANGEDSINCE asks for MODSEQ, too; §3.1: where CONDSTORE is enabled, flags come with it.
        if fetch.changed_since.is_some() || (enabled.condstore && plan.items.contains(&Item::Flags)) {
            plan.add(Item::ModSeq);
        }
        plan
    }

    fn add_asked(&mut self, item: &FetchItem<'_>) {
        match item {
            FetchItem::Envelope => self.add(Item::Envelope),
            FetchItem::Flags => self.add(Item::Flags),
            FetchItem::InternalDate => self.add(Item::InternalDate),
            FetchItem::Size => self.add(Item::Size),
            FetchItem::Uid => self.add(Item::Uid),
            FetchItem::ModSeq => self.add(Item::ModSeq),
            FetchItem::Body => self.add(Item::Structure { is_extended: false }),
            FetchItem::BodyStructure => self.add(Item::Structure { is_extended: true }),
            FetchItem::Rfc822(section) => {
                let section = Section::rfc822(section);
                // RFC 3501 §6.4.5: RFC822.HEADER leaves the flag as it is.
                self.sets_seen |= section.wanted != Wanted::Header;
                self.add(Item::Section(section));
            }
            FetchItem::Section { section, partial, peek } => {
                self.sets_seen |= !peek;
                self.add(Item::Section(Section::new(section, *partial)));
            }
        }
    }

    fn add(&mut self, item: Item) {
        if self.items.contains(&item) {
            return;
        }
        match &item {
            Item::Envelope => self.summary = true,
            Item::Structure { .. } => (self.summary, self.structure) = (true, true),
            Item::Section(section) => {
                self.structure |= section.needs_structure();
                self.summary |= self.structure;
                self.content = true;
                self.body |= section.needs_body();
            }
            Item::Uid | Item::Flags | Item::ModSeq | Item::InternalDate | Item::Size => {}
        }
        self.items.push(item);
    }
}
