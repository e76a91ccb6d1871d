use std::borrow::Cow;

use memchr::memchr;

use crate::base::limits;

/// Items for which a list has room at first.
const LIST_ITEMS: usize = 12;

/// What was read, or what is wrong and what was expected.
pub(super) type Read<T> = Result<T, &'static str>;

/// Reads the pieces of which commands are made from the front of a command's octets.
///
/// Stricter than it needs to be nowhere, laxer than the grammar only here: where one space must stand, more may; spaces
/// may stand inside of parentheses at both ends, and at the end of a command.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(octets: &'a [u8]) -> Self {
        Self { rest: octets }
    }

    /// The next octet, which stays.
    pub(super) fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// Takes the octet when it is next.
    pub(super) fn eat(&mut self, byte: u8) -> bool {
        match self.rest.split_first() {
            Some((first, rest)) if *first == byte => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    /// Takes the octet, or says what was expected.
    pub(super) fn expect(&mut self, byte: u8, what: &'static str) -> Read<()> {
        if self.eat(byte) { Ok(()) } else { Err(what) }
    }

    /// Takes a space, or several.
    pub(super) fn space(&mut self, what: &'static str) -> Read<()> {
        self.expect(b' ', what)?;
        self.spaces();
        Ok(())
    }

    /// Takes spaces where there are some.
    pub(super) fn spaces(&mut self) {
        while self.eat(b' ') {}
    }

    /// Takes spaces where something else follows.
    pub(super) fn has_more(&mut self) -> bool {
        let before = self.rest;
        self.spaces();
        let has_more = before.len() > self.rest.len() && !self.rest.is_empty();
        if !has_more {
            self.rest = before;
        }
        has_more
    }

    /// The command ends here.
    pub(super) fn end(&mut self) -> Read<()> {
        self.spaces();
        if self.rest.is_empty() { Ok(()) } else { Err("the command goes on where it should end") }
    }

    /// Takes octets while they are of that kind.
    pub(super) fn take_while(&mut self, is: impl Fn(u8) -> bool) -> &'a [u8] {
        let end = self.rest.iter().position(|byte| !is(*byte)).unwrap_or(self.rest.len());
        self.take(end).unwrap_or_default()
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(taken)
    }

    /// A word of the protocol: letters, digits, `.`, `-`, `=`. It may be empty.
    pub(super) fn word(&mut self) -> &'a [u8] {
        self.take_while(|byte| is_of(byte, WORD))
    }

    /// Takes the word when it is next, in any case.
    pub(super) fn eat_word(&mut self, word: &str) -> bool {
        let mut ahead = *self;
        let is_next = ahead.word().eq_ignore_ascii_case(word.as_bytes());
        if is_next {
            *self = ahead;
        }
        is_next
    }

    // RFC 9051 §9 "atom"
    pub(super) fn atom(&mut self, what: &'static str) -> Read<&'a [u8]> {
        let atom = self.take_while(is_atom_char);
        if atom.is_empty() { Err(what) } else { Ok(atom) }
    }

    /// An atom with `]`, a quoted string or a literal.
    // RFC 9051 §9 "astring"
    pub(super) fn astring(&mut self, what: &'static str) -> Read<Cow<'a, [u8]>> {
        if matches!(self.peek(), Some(b'"' | b'{')) {
            return self.string(what);
        }
        let text = self.take_while(is_astring_char);
        if text.is_empty() { Err(what) } else { Ok(Cow::Borrowed(text)) }
    }

    /// The same, where `%` and `*` may stand outside of quotes.
    // RFC 9051 §9 "list-mailbox"
    pub(super) fn list_mailbox(&mut self, what: &'static str) -> Read<Cow<'a, [u8]>> {
        if matches!(self.peek(), Some(b'"' | b'{')) {
            return self.string(what);
        }
        let text = self.take_while(|byte| is_astring_char(byte) || matches!(byte, b'%' | b'*'));
        if text.is_empty() { Err(what) } else { Ok(Cow::Borrowed(text)) }
    }

    /// A quoted string or a literal.
    // RFC 9051 §9 "string"
    pub(super) fn string(&mut self, what: &'static str) -> Read<Cow<'a, [u8]>> {
        match self.peek() {
            Some(b'"') => self.quoted(),
            Some(b'{') => self.literal().map(Cow::Borrowed),
            _ => Err(what),
        }
    }

    /// A string or NIL.
    pub(super) fn nstring(&mut self, what: &'static str) -> Read<Option<Cow<'a, [u8]>>> {
        if self.eat_word("NIL") { Ok(None) } else { self.string(what).map(Some) }
    }

    // RFC 9051 §9 "quoted"; octets above 127 are for UTF-8 (RFC 6855 §3)
    fn quoted(&mut self) -> Read<Cow<'a, [u8]>> {
        self.eat(b'"');
        let mut unescaped: Option<Vec<u8>> = None;
        loop {
            let plain = self.take_while(|byte| !matches!(byte, b'"' | b'\\' | b'\r' | b'\n' | 0));
            if let Some(text) = &mut unescaped {
                text.extend_from_slice(plain);
            }
            match self.take(1) {
                Some(b"\"") => return Ok(unescaped.map_or(Cow::Borrowed(plain), Cow::Owned)),
                Some(b"\\") => {
                    let text = unescaped.get_or_insert_with(|| plain.to_vec());
                    match self.take(1) {
                        Some(escaped @ (b"\"" | b"\\")) => text.extend_from_slice(escaped),
                        _ => return Err("in a quoted string, only \" and \\ may follow a backslash"),
                    }
                }
                Some(_) => return Err("a quoted string may not hold CR, LF or NUL"),
                None => return Err("a quoted string has no end"),
            }
        }
    }

    // RFC 9051 §9 "literal"; RFC 7888 §8
    fn literal(&mut self) -> Read<&'a [u8]> {
        let size = self.announcement()?;
        let size = usize::try_from(size).map_err(|_| "a literal is too long")?;
        let octets = self.take(size).ok_or("a literal is shorter than announced")?;
        if memchr(0, octets).is_some() { Err("a literal may not hold NUL") } else { Ok(octets) }
    }

    /// The announcement of a literal with its CRLF: how many octets follow.
    pub(super) fn announcement(&mut self) -> Read<u64> {
        const WRONG: &str = "expected a literal such as {5} or {5+} at the end of a line";
        self.expect(b'{', WRONG)?;
        let size = self.number64(WRONG)?;
        self.eat(b'+');
        self.expect(b'}', WRONG)?;
        self.expect(b'\r', WRONG)?;
        self.expect(b'\n', WRONG)?;
        Ok(size)
    }

    /// Nothing is left.
    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// How many octets are left.
    pub(super) fn len(&self) -> usize {
        self.rest.len()
    }

    /// A number of 32 bits.
    // RFC 9051 §9 "number"
    pub(super) fn number(&mut self, what: &'static str) -> Read<u32> {
        u32::try_from(self.number64(what)?).map_err(|_| "a number is too large: it may have 32 bits")
    }

    /// A number of 32 bits that is not 0.
    // RFC 9051 §9 "nz-number"
    pub(super) fn nz_number(&mut self, what: &'static str) -> Read<u32> {
        match self.number(what)? {
            0 => Err("a number is 0 where numbers begin with 1"),
            number => Ok(number),
        }
    }

    /// A number of 63 bits.
    // RFC 9051 §9 "number64"; RFC 7162 §7 "mod-sequence-value"
    pub(super) fn number64(&mut self, what: &'static str) -> Read<u64> {
        let digits = self.take_while(|byte| byte.is_ascii_digit());
        if digits.is_empty() {
            return Err(what);
        }
        let add = |sum: u64, digit: &u8| sum.wrapping_mul(10).wrapping_add(u64::from(digit.wrapping_sub(b'0')));
        // 18 digits always fit, and few numbers have more.
        let number = match digits.len() {
            0..=18 => Some(digits.iter().fold(0, add)),
            _ => std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok()),
        };
        number.filter(|number| *number <= i64::MAX as u64).ok_or("a number is too large: it may have 63 bits")
    }

    /// A list in parentheses, which may be empty.
    pub(super) fn list<T>(&mut self, what: &'static str, mut item: impl FnMut(&mut Self) -> Read<T>) -> Read<Vec<T>> {
        self.expect(b'(', what)?;
        self.spaces();
        if self.eat(b')') {
            return Ok(Vec::new());
        }
        // Few lists are longer.
        let mut items = Vec::with_capacity(LIST_ITEMS);
        loop {
            if items.len() >= limits::IMAP_ITEMS {
                return Err("a list has too many items");
            }
            items.push(item(self)?);
            let spaced = self.eat(b' ');
            self.spaces();
            if self.eat(b')') {
                return Ok(items);
            }
            if !spaced {
                return Err("expected a space or ) behind an item of a list");
            }
        }
    }

    /// The same, where the list may not be empty.
    pub(super) fn full_list<T>(&mut self, what: &'static str, item: impl FnMut(&mut Self) -> Read<T>) -> Read<Vec<T>> {
        let items = self.list(what, item)?;
        if items.is_empty() { Err(what) } else { Ok(items) }
    }
}

// RFC 9051 §9 "ATOM-CHAR"
pub(super) fn is_atom_char(byte: u8) -> bool {
    is_of(byte, ATOM)
}

// RFC 9051 §9 "ASTRING-CHAR"
pub(super) fn is_astring_char(byte: u8) -> bool {
    is_of(byte, ASTRING)
}

fn is_of(byte: u8, kind: u8) -> bool {
    KINDS.get(usize::from(byte)).is_some_and(|kinds| kinds & kind != 0)
}

const ATOM: u8 = 1;
const ASTRING: u8 = 2;
const WORD: u8 = 4;

/// What each octet may be part of: one look instead of a comparison for each special.
static KINDS: [u8; 256] = kinds();

#[expect(clippy::indexing_slicing, reason = "it is done when this is compiled")]
const fn kinds() -> [u8; 256] {
    let mut kinds = [0; 256];
    let mut byte = 0x21;
    while byte < 0x7f {
        let octet = byte as u8;
        if !matches!(octet, b'(' | b')' | b'{' | b'%' | b'*' | b'"' | b'\\') {
            kinds[byte] |= ASTRING;
            if octet != b']' {
                kinds[byte] |= ATOM;
            }
        }
        if octet.is_ascii_alphanumeric() || matches!(octet, b'.' | b'-' | b'=') {
            kinds[byte] |= WORD;
        }
        byte += 1;
    }
    kinds
}
