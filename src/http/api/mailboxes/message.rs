use serde::Serialize;
use utoipa::ToSchema;

use crate::base::{MailboxId, SystemFlags, Uid, limits};
use crate::http::api::page_of;
use crate::mailbox::{self, Member};
use crate::message::{decode_field, fields};
use crate::store::{Read, StoreError};

/// A message in a mailbox.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct MailboxMessage {
    /// Its number in the mailbox.
    pub uid: u32,
    /// Its id: that of the trace.
    pub id: String,
    /// Its From field, for people.
    pub from: String,
    /// Its To field, for people.
    pub to: String,
    /// Its Subject field, for people.
    pub subject: String,
    /// When it came in.
    pub at: String,
    /// Octets.
    pub size_bytes: u64,
    /// Its flags and keywords, as in `\Seen` and `$Forwarded`.
    pub flags: Vec<String>,
    /// The beginning of its text, at most 200 characters.
    pub preview: String,
}

page_of! {
    /// The messages of a mailbox, the newest first.
    MailboxMessagePage of MailboxMessage
}

impl MailboxMessage {
    /// `None` when it is not there (any more). Its body is not read.
    pub fn of(
        read: &impl Read,
        mailbox: MailboxId,
        keywords: &[String],
        member: &Member,
    ) -> Result<Option<Self>, StoreError> {
        let Some(head) = mailbox::head(read, mailbox, member.uid)? else { return Ok(None) };
        let mut preview = String::new();
        mailbox::summaries(read, mailbox, (member.uid, member.uid), |_, summary| {
            preview = summary.preview;
            std::ops::ControlFlow::Break(())
        })?;
        let Shown { from, to, subject, .. } = Shown::of(&head);
        Ok(Some(Self {
            uid: member.uid.0,
            id: member.message.to_string(),
            from,
            to,
            subject,
            at: member.internal_date.rfc3339(),
            size_bytes: member.size_bytes,
            flags: flags(member, keywords),
            preview,
        }))
    }

    /// The same by its UID.
    pub fn find(read: &impl Read, mailbox: MailboxId, uid: Uid) -> Result<Option<Self>, StoreError> {
        let Some(member) = mailbox::member(read, mailbox, uid)? else { return Ok(None) };
        Self::of(read, mailbox, &mailbox::keywords(read, mailbox)?, &member)
    }
}

impl MailboxMessage {
    /// What it is known by, and nothing of what it holds.
    pub fn without_content(self) -> Self {
        let (from, to, subject, preview) = Default::default();
        Self { from, to, subject, preview, ..self }
    }
}

/// The fields of a header that everybody looks at, as texts for people.
#[derive(Default)]
pub(in crate::http) struct Shown {
    pub from: String,
    pub to: String,
    pub cc: String,
    pub subject: String,
}

impl Shown {
    pub fn of(head: &[u8]) -> Self {
        let mut shown = Self::default();
        for field in fields(head) {
            let place = match field.name.len() {
                2 if field.is("To") => &mut shown.to,
                2 if field.is("Cc") => &mut shown.cc,
                4 if field.is("From") => &mut shown.from,
                7 if field.is("Subject") => &mut shown.subject,
                _ => continue,
            };
            if place.is_empty() {
                *place = text(field.value, limits::TRACED_HEADER_CHARS);
            }
        }
        shown
    }
}

/// A field's value for people: decoded, without control characters.
pub(super) fn text(value: &[u8], chars_max: usize) -> String {
    let text = decode_field(value);
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(chars_max).collect()
}

/// The names of a message's flags and keywords.
pub(super) fn flags(member: &Member, keywords: &[String]) -> Vec<String> {
    let system = SystemFlags::NAMES.iter().filter(|(flag, _)| member.flags.has(*flag)).map(|(_, name)| *name);
    let named = keywords.iter().take(limits::KEYWORDS).enumerate();
    let own = named.filter(|(bit, _)| member.keywords & 1 << bit != 0).map(|(_, name)| name.as_str());
    system.chain(own).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_shown_to_people() {
        let head = b"From: =?utf-8?Q?J=C3=BCrgen?= <j@x.test>\r\nTo: a@x.test,\r\n b@x.test\r\n\
            Subject: =?utf-8?B?4pyTIGRvbmU=?=\r\nSubject: second\r\nCc: c\x1b[31m\r\n";
        let shown = Shown::of(head);
        assert_eq!(shown.from, "Jürgen <j@x.test>");
        assert_eq!(shown.to, "a@x.test, b@x.test");
        assert_eq!(shown.subject, "✓ done");
        assert_eq!(shown.cc, "c [31m");
    }
}
