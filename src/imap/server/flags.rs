use super::selected::{Selected, Target};
use crate::base::{SystemFlags, Uid};
use crate::imap::wire::{Flag, write_number};
use crate::mailbox::Member;

/// Writes a message's flags with their parentheses, as in `(\Seen $Forwarded \Recent)`.
pub(super) fn write_flags(out: &mut Vec<u8>, selected: &Selected, member: &Member) {
    write_flag_list(out, &selected.told.keywords, member, member.uid >= selected.recent_from);
}

/// The same where the mailbox is not at hand: `keywords` are the names of its keywords by their bit.
pub(super) fn write_flag_list(out: &mut Vec<u8>, keywords: &[String], member: &Member, is_recent: bool) {
    out.push(b'(');
    let begin = out.len();
    let mut name = |name: &[u8]| {
        if out.len() > begin {
            out.push(b' ');
        }
        out.extend_from_slice(name);
    };
    for (flag, flag_name) in SystemFlags::NAMES {
        if member.flags.has(flag) {
            name(flag_name.as_bytes());
        }
    }
    let mut left = member.keywords;
    while left != 0 {
        if let Some(keyword) = keywords.get(left.trailing_zeros() as usize) {
            name(keyword.as_bytes());
        }
        left &= left - 1;
    }
    // RFC 3501 §2.3.2
    if is_recent {
        name(b"\\Recent");
    }
    out.push(b')');
}

/// Begins a FETCH response, as in `* 7 FETCH (`.
pub(super) fn begin_fetch(out: &mut Vec<u8>, number: u32) {
    out.extend_from_slice(b"* ");
    write_number(out, u64::from(number));
    out.extend_from_slice(b" FETCH (");
}

/// Flags as a client names them, as the mailbox keeps them; `None` when one is among them that nobody may set.
pub(super) fn settable(flags: &[Flag<'_>]) -> Option<(SystemFlags, Vec<String>)> {
    let mut system = SystemFlags::NONE;
    let mut keywords = Vec::new();
    for flag in flags {
        match flag {
            Flag::System(flag) => system = system | *flag,
            Flag::Keyword(name)
                if keywords.iter().any(|known: &String| known.as_bytes().eq_ignore_ascii_case(name)) => {}
            Flag::Keyword(name) => keywords.push(String::from_utf8_lossy(name).into_owned()),
            // RFC 3501 §2.3.2: a client can't alter it. Those that copy a message with all the flags that it had
            // elsewhere name it all the same.
            Flag::Foreign(name) if name.eq_ignore_ascii_case(b"\\Recent") => {}
            Flag::Foreign(_) => return None,
        }
    }
    Some((system, keywords))
}

/// UIDs as runs of first and last. Between two messages that follow each other by number there is no third, so a run
/// goes on over UIDs that are not there (any more).
pub(super) fn runs<'a>(targets: impl IntoIterator<Item = &'a Target>) -> Vec<(Uid, Uid)> {
    let mut runs: Vec<(Uid, Uid)> = Vec::new();
    let mut before = None;
    for target in targets {
        let uid = target.member.uid;
        match runs.last_mut() {
            Some((_, last)) if before.is_some_and(|before: u32| before + 1 == target.number) => *last = uid,
            _ => runs.push((uid, uid)),
        }
        before = Some(target.number);
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{MessageId, ModSeq, Timestamp};

    fn member(uid: u32, flags: SystemFlags, keywords: u128) -> Member {
        Member {
            uid: Uid(uid),
            flags,
            keywords,
            modseq: ModSeq(1),
            message: MessageId(1),
            size_bytes: 1,
            internal_date: Timestamp(0),
        }
    }

    fn check(flags: SystemFlags, keywords: u128, is_recent: bool, expected: &str) {
        let mut out = Vec::new();
        let names: Vec<String> = (0..128).map(|bit| format!("k{bit}")).collect();
        write_flag_list(&mut out, &names, &member(1, flags, keywords), is_recent);
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn flags_stand_in_their_order() {
        check(SystemFlags::NONE, 0, false, "()");
        check(SystemFlags::SEEN, 0, false, "(\\Seen)");
        check(SystemFlags::SEEN | SystemFlags::ANSWERED, 0b101, false, "(\\Answered \\Seen k0 k2)");
        check(SystemFlags::NONE, 1 << 127, true, "(k127 \\Recent)");
        check(SystemFlags::NONE, 0, true, "(\\Recent)");
    }

    #[test]
    fn runs_go_over_gaps_and_end_where_a_message_is_left_out() {
        let targets: Vec<Target> = [(1, 3), (2, 7), (4, 9), (5, 10)]
            .map(|(number, uid)| Target { number, member: member(uid, SystemFlags::NONE, 0) })
            .into();
        assert_eq!(runs(&targets), [(Uid(3), Uid(7)), (Uid(9), Uid(10))]);
        assert_eq!(runs(&[]), []);
    }

    #[test]
    fn nobody_sets_what_is_not_kept() {
        let flags = [Flag::System(SystemFlags::SEEN), Flag::Keyword(b"$Junk"), Flag::Foreign(b"\\recent")];
        assert_eq!(settable(&flags), Some((SystemFlags::SEEN, vec!["$Junk".to_owned()])));
        assert_eq!(settable(&[Flag::Foreign(b"\\Other")]), None);
    }
}
