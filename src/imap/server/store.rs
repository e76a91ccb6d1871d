use super::context::{Context, Enabled};
use super::fault::{no_such_number, read_only, unavailable, unsynced};
use super::fetch::write_modseq;
use super::flags::{begin_fetch, runs, settable, write_flags};
use super::link::{End, Link};
use super::selected::{Selected, Target};
use crate::base::{ModSeq, SystemFlags, Uid};
use crate::imap::wire::{Answer, Code, FlagMode, Store, write_number};
use crate::mailbox::{self, ChangeFlags, FlagsRefused, Member};
use crate::store::WriteError;

/// STORE and UID STORE. RFC 9051 §6.4.6, RFC 7162 §3.1.3
pub(super) async fn store(
    link: &mut Link,
    context: &Context,
    selected: &mut Selected,
    enabled: Enabled,
    store: &Store<'_>,
) -> Result<Answer, End> {
    let Some(targets) = selected.targets(&store.messages) else { return Ok(no_such_number()) };
    let Some((flags, keywords)) = settable(&store.change.flags) else {
        return Ok(Answer::bad("there is no such system flag"));
    };
    if selected.read_only {
        return Ok(read_only());
    }
    let change = ChangeFlags {
        mailbox: selected.mailbox,
        uids: runs(&targets),
        mode: match store.change.mode {
            FlagMode::Replace => mailbox::FlagMode::Replace,
            FlagMode::Add => mailbox::FlagMode::Add,
            FlagMode::Remove => mailbox::FlagMode::Remove,
        },
        flags,
        keywords: keywords.clone(),
        unchanged_since: store.unchanged_since.map(ModSeq),
    };
    if change.mode != mailbox::FlagMode::Remove
        && let Err(error) = mailbox::make_room_for_keywords(&context.store, change.mailbox, &keywords).await
    {
        return Ok(unavailable(&error));
    }
    let uids = change.uids.clone();
    let changed = match context.store.write(change).await {
        Ok(changed) => changed.into_inner(),
        Err(error) => return Ok(refusal(&error)),
    };
    // What has become of the flags of these is told below.
    if let Err(error) = selected.sync(link, &context.store, enabled, false, &uids).await {
        return unsynced(error);
    }
    let asked = Asked { mode: store.change.mode, flags, keywords: mask(&selected.told.keywords, &keywords) };
    let is_uid = store.messages.is_uid;
    let telling = Telling { is_uid, tells_modseq: enabled.condstore || store.unchanged_since.is_some() };
    for target in &targets {
        let Some(now) = selected.told.at(target.number).copied() else { continue };
        let is_left_alone = changed.modified.binary_search(&now.uid).is_ok();
        // RFC 9051 §6.4.6: `.SILENT` is for a client that knows what becomes of the flags. Where another session had a
        // hand in it, it does not.
        let is_known = store.is_silent && !is_left_alone && asked.of(&target.member) == (now.flags, now.keywords);
        let is_unchanged = is_left_alone && now == target.member;
        if is_known {
            if telling.tells_modseq && now.modseq != target.member.modseq {
                telling.modseq(link.output(), target.number, &now);
            }
        } else if !is_unchanged {
            telling.flags(link.output(), selected, target.number, &now);
        }
        link.relieve().await?;
    }
    if changed.modified.is_empty() {
        return Ok(Answer::ok("STORE done"));
    }
    let modified = modified(&targets, &changed.modified, is_uid);
    Ok(Answer::ok("some messages have changed since, and were left as they are").with(Code::Modified(modified)))
}

/// The change as it was asked for.
struct Asked {
    mode: FlagMode,
    flags: SystemFlags,
    keywords: u128,
}

impl Asked {
    /// What it makes of a message's flags.
    fn of(&self, member: &Member) -> (SystemFlags, u128) {
        match self.mode {
            FlagMode::Replace => (self.flags, self.keywords),
            FlagMode::Add => (member.flags | self.flags, member.keywords | self.keywords),
            FlagMode::Remove => (member.flags & !self.flags, member.keywords & !self.keywords),
        }
    }
}

/// How a message's flags are told.
struct Telling {
    is_uid: bool,
    // RFC 7162 §3.1.3
    tells_modseq: bool,
}

impl Telling {
    fn flags(&self, out: &mut Vec<u8>, selected: &Selected, number: u32, member: &Member) {
        self.begin(out, number, member);
        out.extend_from_slice(b"FLAGS ");
        write_flags(out, selected, member);
        if self.tells_modseq {
            out.push(b' ');
            write_modseq(out, member.modseq);
        }
        out.extend_from_slice(b")\r\n");
    }

    fn modseq(&self, out: &mut Vec<u8>, number: u32, member: &Member) {
        self.begin(out, number, member);
        write_modseq(out, member.modseq);
        out.extend_from_slice(b")\r\n");
    }

    fn begin(&self, out: &mut Vec<u8>, number: u32, member: &Member) {
        begin_fetch(out, number);
        // RFC 9051 §6.4.9: with UID STORE the UID is always told.
        if self.is_uid {
            out.extend_from_slice(b"UID ");
            write_number(out, u64::from(member.uid.0));
            out.push(b' ');
        }
    }
}

/// The bits of keywords, of which some may be none of the mailbox's.
fn mask(known: &[String], keywords: &[String]) -> u128 {
    let bit = |keyword: &String| known.iter().position(|known| known.eq_ignore_ascii_case(keyword));
    keywords.iter().filter_map(bit).fold(0, |mask, bit| mask | 1u128.checked_shl(bit as u32).unwrap_or(0))
}

/// The messages that were left alone, as the command has named them. RFC 7162 §3.1.3
fn modified(targets: &[Target], left_alone: &[Uid], is_uid: bool) -> Vec<(u32, u32)> {
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for target in targets.iter().filter(|target| left_alone.binary_search(&target.member.uid).is_ok()) {
        let name = if is_uid { target.member.uid.0 } else { target.number };
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == name => *last = name,
            _ => ranges.push((name, name)),
        }
    }
    ranges
}

fn refusal(error: &WriteError<FlagsRefused>) -> Answer {
    match error {
        WriteError::Refused(FlagsRefused::TooManyKeywords) => {
            Answer::no("the mailbox has as many keywords as it may have").with(Code::Limit)
        }
        WriteError::Refused(FlagsRefused::Gone) => Answer::no("the mailbox was deleted").with(Code::NonExistent),
        other => unavailable(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{MessageId, Timestamp};

    fn target(number: u32, uid: u32) -> Target {
        let member = Member {
            uid: Uid(uid),
            flags: SystemFlags::SEEN,
            keywords: 0b11,
            modseq: ModSeq(1),
            message: MessageId(1),
            size_bytes: 1,
            internal_date: Timestamp(0),
        };
        Target { number, member }
    }

    #[test]
    fn what_a_change_makes_of_flags() {
        let asked = |mode| Asked { mode, flags: SystemFlags::DRAFT, keywords: 0b10 }.of(&target(1, 1).member);
        assert_eq!(asked(FlagMode::Replace), (SystemFlags::DRAFT, 0b10));
        assert_eq!(asked(FlagMode::Add), (SystemFlags::SEEN | SystemFlags::DRAFT, 0b11));
        assert_eq!(asked(FlagMode::Remove), (SystemFlags::SEEN, 0b01));
    }

    #[test]
    fn keywords_are_known_in_any_case() {
        let known = ["a".to_owned(), "$Junk".into(), "b".into()];
        assert_eq!(mask(&known, &["$JUNK".to_owned(), "A".into(), "c".into()]), 0b11);
    }

    #[test]
    fn what_was_left_alone_is_named_as_it_was_asked_for() {
        let targets = [target(1, 10), target(2, 11), target(3, 20), target(4, 21)];
        let left = [Uid(10), Uid(20), Uid(21)];
        assert_eq!(modified(&targets, &left, false), [(1, 1), (3, 4)]);
        assert_eq!(modified(&targets, &left, true), [(10, 10), (20, 21)]);
    }
}
