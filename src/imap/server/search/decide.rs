use super::query::{Key, Query};
use crate::imap::server::selected::Target;
use crate::imap::wire::When;
use crate::message;

/// Milliseconds of a day.
const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// What is known of a message so far. What is `None` has not been looked at.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Known<'a> {
    /// The day on which it was sent, where it says so.
    pub(super) sent: Option<Option<i32>>,
    pub(super) head: Option<&'a [u8]>,
    /// Which of [`Query::texts`] are in it.
    pub(super) texts: Found<'a>,
    /// Which of [`Query::bodies`] are in it.
    pub(super) bodies: Found<'a>,
}

/// Which texts were found.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Found<'a> {
    pub(super) so_far: &'a [bool],
    /// All was looked at: what was not found is not there.
    pub(super) is_final: bool,
}

impl Found<'_> {
    fn get(self, text: usize) -> Option<bool> {
        let is_found = self.so_far.get(text).copied().unwrap_or(false);
        (is_found || self.is_final).then_some(is_found)
    }
}

impl Query {
    /// Whether the message is meant; `None` when more has to be known of it.
    pub(super) fn decide(&self, target: &Target, known: Known<'_>) -> Option<bool> {
        self.key(&self.key, target, known)
    }

    fn key(&self, key: &Key, target: &Target, known: Known<'_>) -> Option<bool> {
        let member = &target.member;
        match key {
            Key::Constant(is_so) => Some(*is_so),
            Key::And(keys) => self.all(keys, target, known),
            Key::Or(keys) => match (self.key(&keys.0, target, known), self.key(&keys.1, target, known)) {
                (Some(true), _) | (_, Some(true)) => Some(true),
                (Some(false), Some(false)) => Some(false),
                _ => None,
            },
            Key::Not(key) => self.key(key, target, known).map(|is_so| !is_so),
            Key::Numbers(ranges) => Some(holds(ranges, target.number)),
            Key::Uids(ranges) => Some(holds(ranges, member.uid.0)),
            Key::Flag(flag) => Some(member.flags.has(*flag)),
            Key::Keyword(bit) => Some(member.keywords & bit != 0),
            Key::Recent => Some(member.uid >= self.recent_from),
            // RFC 9051 §6.4.4: time and time zone are disregarded; they are shown in UTC.
            Key::Received(when, day) => {
                Some(is_when(*when, i32::try_from(member.internal_date.0 / DAY_MS).unwrap_or(i32::MAX), *day))
            }
            Key::Sent(when, day) => known.sent.map(|sent| sent.is_some_and(|sent| is_when(*when, sent, *day))),
            Key::Larger(size_bytes) => Some(member.size_bytes > *size_bytes),
            Key::Smaller(size_bytes) => Some(member.size_bytes < *size_bytes),
            Key::ModSeq(modseq) => Some(member.modseq.0 >= *modseq),
            Key::Header(name, text) => known.head.map(|head| has_field(head, name, text)),
            Key::Text(text) => known.texts.get(*text),
            Key::Body(text) => known.bodies.get(*text),
        }
    }

    fn all(&self, keys: &[Key], target: &Target, known: Known<'_>) -> Option<bool> {
        let mut is_decided = true;
        for key in keys {
            match self.key(key, target, known) {
                Some(false) => return Some(false),
                Some(true) => {}
                None => is_decided = false,
            }
        }
        is_decided.then_some(true)
    }
}

fn holds(ranges: &[(u32, u32)], number: u32) -> bool {
    let place = ranges.partition_point(|(_, last)| *last < number);
    ranges.get(place).is_some_and(|(first, _)| *first <= number)
}

fn is_when(when: When, day: i32, asked: i32) -> bool {
    match when {
        When::Before => day < asked,
        When::On => day == asked,
        When::Since => day >= asked,
    }
}

/// Whether a field of that name is there whose value holds the text, whose case is folded.
// RFC 9051 §6.4.4
fn has_field(head: &[u8], name: &str, text: &str) -> bool {
    message::fields(head).filter(|field| field.is(name)).any(|field| {
        let value = field.unfolded();
        if value.is_ascii() && memchr::memmem::find(&value, b"=?").is_none() {
            text.is_ascii() && memchr::memmem::find(&value.to_ascii_lowercase(), text.as_bytes()).is_some()
        } else {
            message::fold(&message::decode_field(&value)).contains(text)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{MessageId, ModSeq, SystemFlags, Timestamp, Uid};
    use crate::mailbox::Member;

    fn check(key: Key, known: Known<'_>, expected: Option<bool>) {
        let member = Member {
            uid: Uid(7),
            flags: SystemFlags::SEEN,
            keywords: 0b10,
            modseq: ModSeq(9),
            message: MessageId(1),
            size_bytes: 100,
            internal_date: Timestamp(3 * DAY_MS + 5),
        };
        let query = Query {
            key,
            texts: Vec::new(),
            bodies: Vec::new(),
            asks_sent: false,
            asks_head: false,
            asks_modseq: false,
            recent_from: Uid(8),
        };
        assert_eq!(query.decide(&Target { number: 2, member }, known), expected, "{:?}", query.key);
    }

    fn now(key: Key, expected: bool) {
        check(key, Known::default(), Some(expected));
    }

    #[test]
    fn what_is_in_memory_decides_at_once() {
        now(Key::Numbers(vec![(1, 1), (3, 9)]), false);
        now(Key::Numbers(vec![(1, 1), (2, 2)]), true);
        now(Key::Uids(vec![(5, 8)]), true);
        now(Key::Flag(SystemFlags::SEEN), true);
        now(Key::Flag(SystemFlags::DELETED), false);
        now(Key::Keyword(0b10), true);
        now(Key::Keyword(0b01), false);
        now(Key::Recent, false);
        now(Key::Larger(100), false);
        now(Key::Larger(99), true);
        now(Key::Smaller(100), false);
        now(Key::Smaller(101), true);
        now(Key::ModSeq(9), true);
        now(Key::ModSeq(10), false);
        for (when, at) in
            [(When::Before, [false, false, true]), (When::On, [false, true, false]), (When::Since, [true, true, false])]
        {
            for (day, expected) in (2..).zip(at) {
                now(Key::Received(when, day), expected);
            }
        }
    }

    #[test]
    fn what_is_cheap_decides_for_what_is_dear() {
        let (yes, no, open) = (|| Key::Constant(true), || Key::Constant(false), || Key::Body(0));
        now(Key::And(vec![open(), no()]), false);
        now(Key::Or(Box::new((open(), yes()))), true);
        now(Key::And(vec![]), true);
        now(Key::Not(Box::new(Key::And(vec![open(), no()]))), true);
        for key in [
            Key::And(vec![open(), yes()]),
            Key::Or(Box::new((no(), open()))),
            Key::Not(Box::new(open())),
            Key::Sent(When::On, 1),
            Key::Header("a".into(), String::new()),
        ] {
            check(key, Known::default(), None);
        }
    }

    #[test]
    fn what_was_read_decides() {
        let sent = |day| Known { sent: Some(day), ..Known::default() };
        check(Key::Sent(When::Since, 5), sent(Some(5)), Some(true));
        check(Key::Sent(When::Before, 5), sent(None), Some(false));
        let bodies = |so_far, is_final| Known { bodies: Found { so_far, is_final }, ..Known::default() };
        check(Key::Body(0), bodies(&[false], false), None);
        check(Key::Body(0), bodies(&[false], true), Some(false));
        check(Key::Body(0), bodies(&[true], false), Some(true));
    }

    #[test]
    fn fields_are_found_by_their_text() {
        let head = b"Subject: Hello\r\n World\r\nTo: =?utf-8?q?J=C3=BCrgen?= <a@b>\r\nX-Empty:\r\n";
        let known = Known { head: Some(head), ..Known::default() };
        for (name, text, expected) in [
            ("SUBJECT", "hello world", true),
            ("subject", "lo wor", true),
            ("subject", "worlds", false),
            ("to", "jürgen", true),
            ("to", "a@b", true),
            ("to", "=c3", false),
            ("x-empty", "", true),
            ("x-empty", "a", false),
            ("x-none", "", false),
        ] {
            check(Key::Header(name.into(), text.into()), known, Some(expected));
        }
    }
}
