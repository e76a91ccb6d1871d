use super::row::{KEYWORDS, Keywords};
use crate::base::{MailboxId, limits};
use crate::store::{Read, StoreError, Tx};

/// The keywords of a mailbox, and those that an op adds.
#[derive(Debug)]
pub struct Names {
    mailbox: MailboxId,
    names: Vec<String>,
    is_changed: bool,
}

impl Names {
    pub(super) fn read(read: &impl Read, mailbox: MailboxId) -> Result<Self, StoreError> {
        let names = read.get(&KEYWORDS, &mailbox)?.unwrap_or_default().0;
        Ok(Self { mailbox, names, is_changed: false })
    }

    /// The same with these names among them; `None` when there would be too many: [`super::make_room_for_keywords`] looks
    /// whether some of them are in use no more.
    pub(super) fn with<'a>(
        read: &impl Read,
        mailbox: MailboxId,
        mut wanted: impl Iterator<Item = &'a str>,
    ) -> Result<Option<Self>, StoreError> {
        let mut names = Self::read(read, mailbox)?;
        Ok(wanted.all(|name| names.take(name)).then_some(names))
    }

    /// Gives the bits free that are not among `used`; whether there were any.
    pub(super) fn free(&mut self, used: u128) -> bool {
        let unused = self.names.iter_mut().enumerate().filter(|(at, name)| used & 1 << at == 0 && !name.is_empty());
        let mut freed = false;
        for (_, name) in unused {
            name.clear();
            freed = true;
        }
        self.is_changed |= freed;
        freed
    }

    /// The bits of those of the names that are known, in any case.
    pub(super) fn bits<'a>(&self, wanted: impl Iterator<Item = &'a str>) -> u128 {
        wanted.filter_map(|name| self.place(name)).fold(0, |bits, place| bits | 1 << place)
    }

    /// The names of these bits.
    pub(super) fn of(&self, bits: u128) -> impl Iterator<Item = &str> + Clone {
        self.names.iter().enumerate().filter(move |(at, _)| bits & 1 << at != 0).map(|(_, name)| name.as_str())
    }

    /// Writes them, if there are new ones.
    pub(super) fn write(self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        if !self.is_changed {
            return Ok(());
        }
        tx.put(&KEYWORDS, &self.mailbox, &Keywords(self.names))
    }

    /// The same names for another mailbox, which has none.
    pub(super) fn copied_to(self, mailbox: MailboxId) -> Self {
        let is_changed = !self.names.is_empty();
        Self { mailbox, is_changed, ..self }
    }

    // RFC 9051 §2.3.2: keywords are not case-sensitive.
    fn place(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|known| !name.is_empty() && known.eq_ignore_ascii_case(name))
    }

    /// Adds the name if it is new; whether it is there now.
    fn take(&mut self, name: &str) -> bool {
        if self.place(name).is_some() {
            return true;
        }
        if let Some(free) = self.names.iter_mut().find(|name| name.is_empty()) {
            name.clone_into(free);
        } else if self.names.len() < limits::KEYWORDS {
            self.names.push(name.to_owned());
        } else {
            return false;
        }
        self.is_changed = true;
        true
    }
}
