use std::collections::HashMap;

use super::Event;

/// The copies in an account's mailboxes.
#[derive(Default)]
pub(super) struct Copies<'a> {
    /// By the name that the mailbox had when it was told.
    mailboxes: HashMap<&'a str, Copied>,
    /// Counts what was put anywhere.
    puts: u64,
    pub(super) delivered: Option<&'a Event>,
    pub(super) fetched: Option<&'a Event>,
    pub(super) removed: Option<&'a Event>,
    pub(super) moved: Option<&'a Event>,
    /// The last that was brought back from a backup.
    pub(super) restored: Option<&'a Event>,
}

/// Copies in one mailbox.
#[derive(Default)]
struct Copied {
    /// Below zero where more were taken out than were put in: it had another name before, or those that were put in are
    /// counted with others.
    count: i64,
    /// The number of the last that was put in.
    last: u64,
}

impl<'a> Copies<'a> {
    /// Copies were put into a mailbox.
    pub(super) fn add(&mut self, event: &'a Event) {
        self.delivered = Some(event);
        self.put(mailbox_of(event), event.times());
    }

    /// Copies were brought back from a backup.
    pub(super) fn restore(&mut self, event: &'a Event) {
        self.restored = Some(event);
        // Since then it lies there, whatever was before.
        self.moved = None;
        self.add(event);
    }

    /// One was moved. Where there were others before it, of which only the number is known, each went on from where the
    /// one before it had come.
    pub(super) fn move_one(&mut self, event: &'a Event) {
        self.moved = Some(event);
        self.take(event.text.strip_prefix("from ").unwrap_or_default(), 1);
        self.put(mailbox_of(event), 1);
    }

    /// Copies were removed.
    pub(super) fn remove(&mut self, event: &'a Event) {
        self.removed = Some(event);
        self.take(event.mailbox.as_deref().unwrap_or_default(), event.times());
    }

    /// How many there are. Their sum is right in whatever order they came and went.
    pub(super) fn left(&self) -> u64 {
        u64::try_from(self.mailboxes.values().map(|copied| copied.count).sum::<i64>()).unwrap_or_default()
    }

    /// The mailbox that the last of them is in, or was in.
    pub(super) fn mailbox(&self) -> Option<&'a str> {
        if self.left() == 0 {
            let removed = self.removed.and_then(|event| event.mailbox.as_deref());
            return removed.or_else(|| self.latest(|_| true));
        }
        self.latest(|copied| copied.count > 0)
    }

    fn latest(&self, suits: impl Fn(&Copied) -> bool) -> Option<&'a str> {
        let suiting = self.mailboxes.iter().filter(|(_, copied)| suits(copied));
        suiting.max_by_key(|(_, copied)| copied.last).map(|(name, _)| *name)
    }

    fn put(&mut self, mailbox: &'a str, times: u64) {
        self.puts += 1;
        let copied = self.mailboxes.entry(mailbox).or_default();
        copied.count = copied.count.saturating_add_unsigned(times);
        copied.last = self.puts;
    }

    fn take(&mut self, mailbox: &'a str, times: u64) {
        let copied = self.mailboxes.entry(mailbox).or_default();
        copied.count = copied.count.saturating_sub_unsigned(times);
    }
}

fn mailbox_of(event: &Event) -> &str {
    let named = event.mailbox.as_deref().or_else(|| event.text.strip_prefix("put into "));
    named.unwrap_or("INBOX")
}
