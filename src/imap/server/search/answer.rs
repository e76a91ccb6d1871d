use crate::imap::server::selected::Target;
use crate::imap::wire::{SearchReturn, write_number, write_ranges};

/// What a search has found, and how it is told.
pub(super) struct Found<'a> {
    /// The messages, by number.
    pub(super) messages: &'a [Target],
    /// They are told by UID.
    pub(super) is_uid: bool,
    /// MODSEQ was asked for. RFC 7162 §3.1.5
    pub(super) tells_modseq: bool,
}

impl Found<'_> {
    fn name(&self, target: &Target) -> u32 {
        if self.is_uid { target.member.uid.0 } else { target.number }
    }

    /// RFC 9051 §7.3.4 "SEARCH" of IMAP4rev1
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"* SEARCH");
        for target in self.messages {
            out.push(b' ');
            write_number(out, u64::from(self.name(target)));
        }
        if let Some(highest) =
            self.messages.iter().map(|target| target.member.modseq).max().filter(|_| self.tells_modseq)
        {
            out.extend_from_slice(b" (MODSEQ ");
            write_number(out, highest.0);
            out.push(b')');
        }
        out.extend_from_slice(b"\r\n");
    }

    /// RFC 4731 §3.1: what was not found is not told, except for COUNT.
    pub(super) fn write_extended(&self, out: &mut Vec<u8>, tag: &[u8], returns: SearchReturn) {
        out.extend_from_slice(b"* ESEARCH (TAG \"");
        out.extend_from_slice(tag);
        out.extend_from_slice(b"\")");
        if self.is_uid {
            out.extend_from_slice(b" UID");
        }
        let all = returns.all || returns == SearchReturn::default();
        if let [first, ..] = self.messages
            && let [.., last] = self.messages
        {
            for (is_asked, word, target) in [(returns.min, "MIN", first), (returns.max, "MAX", last)] {
                if is_asked {
                    word_and_number(out, word, u64::from(self.name(target)));
                }
            }
            if all {
                out.extend_from_slice(b" ALL ");
                write_ranges(out, &self.ranges());
            }
        }
        if returns.count {
            word_and_number(out, "COUNT", self.messages.len() as u64);
        }
        if let Some(modseq) = self.modseq(returns, all).filter(|_| self.tells_modseq) {
            word_and_number(out, "MODSEQ", modseq);
        }
        out.extend_from_slice(b"\r\n");
    }

    fn ranges(&self) -> Vec<(u32, u32)> {
        let mut ranges: Vec<(u32, u32)> = Vec::new();
        for name in self.messages.iter().map(|target| self.name(target)) {
            match ranges.last_mut() {
                Some((_, last)) if *last + 1 == name => *last = name,
                _ => ranges.push((name, name)),
            }
        }
        ranges
    }

    /// The highest modseq of the messages that are told.
    // RFC 7162 §3.1.10
    fn modseq(&self, returns: SearchReturn, all: bool) -> Option<u64> {
        let told: Vec<&Target> = if all || returns.count {
            self.messages.iter().collect()
        } else {
            let first = self.messages.first().filter(|_| returns.min);
            first.into_iter().chain(self.messages.last().filter(|_| returns.max)).collect()
        };
        told.iter().map(|target| target.member.modseq.0).max()
    }
}

fn word_and_number(out: &mut Vec<u8>, word: &str, number: u64) {
    out.push(b' ');
    out.extend_from_slice(word.as_bytes());
    out.push(b' ');
    write_number(out, number);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{MessageId, ModSeq, SystemFlags, Timestamp, Uid};
    use crate::mailbox::Member;

    fn targets() -> Vec<Target> {
        let one = |(number, uid, modseq)| Target {
            number,
            member: Member {
                uid: Uid(uid),
                flags: SystemFlags::NONE,
                keywords: 0,
                modseq: ModSeq(modseq),
                message: MessageId(1),
                size_bytes: 1,
                internal_date: Timestamp(0),
            },
        };
        [(1, 5, 30), (2, 6, 90), (4, 9, 40)].map(one).into()
    }

    fn check(messages: &[Target], is_uid: bool, tells_modseq: bool, returns: Option<SearchReturn>, expected: &str) {
        let found = Found { messages, is_uid, tells_modseq };
        let mut out = Vec::new();
        match returns {
            None => found.write(&mut out),
            Some(returns) => found.write_extended(&mut out, b"a1", returns),
        }
        assert_eq!(String::from_utf8(out).unwrap(), format!("{expected}\r\n"));
    }

    #[test]
    fn a_search_response_names_each_message() {
        check(&targets(), false, false, None, "* SEARCH 1 2 4");
        check(&targets(), true, true, None, "* SEARCH 5 6 9 (MODSEQ 90)");
        check(&[], true, true, None, "* SEARCH");
    }

    #[test]
    fn an_esearch_response_tells_what_was_asked_for() {
        let returns = |min, max, all, count| Some(SearchReturn { min, max, all, count });
        let all = targets();
        check(&all, false, false, returns(false, false, false, false), "* ESEARCH (TAG \"a1\") ALL 1:2,4");
        check(
            &all,
            true,
            false,
            returns(true, true, true, true),
            "* ESEARCH (TAG \"a1\") UID MIN 5 MAX 9 ALL 5:6,9 COUNT 3",
        );
        check(&[], true, false, returns(true, true, true, true), "* ESEARCH (TAG \"a1\") UID COUNT 0");
        check(&[], false, true, returns(false, false, true, false), "* ESEARCH (TAG \"a1\")");
        check(&all, false, true, returns(true, false, false, false), "* ESEARCH (TAG \"a1\") MIN 1 MODSEQ 30");
        check(&all, false, true, returns(true, true, false, false), "* ESEARCH (TAG \"a1\") MIN 1 MAX 4 MODSEQ 40");
        check(&all, false, true, returns(false, false, false, true), "* ESEARCH (TAG \"a1\") COUNT 3 MODSEQ 90");
    }
}
