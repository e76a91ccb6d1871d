use crate::base::{Address, AddressError};

/// Levels of comments inside comments that are read. RFC 5322 names no limit; nobody means more.
const COMMENT_DEPTH: usize = 50;

/// Why a list of addresses could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AddressListError {
    /// It breaks the grammar of RFC 5322 §3.4, the obsolete forms included.
    #[error("the list of addresses is malformed")]
    Malformed,
    /// It is not UTF-8.
    #[error("the list of addresses is not UTF-8")]
    Encoding,
    /// Something in the place of an address is none.
    #[error(transparent)]
    Address(#[from] AddressError),
}

/// The addresses in the value of a From, Sender, To or similar field: display names, comments and group names are
/// read and dropped. A group without members has none.
///
/// # Errors
/// [`AddressListError`] for the list as a whole: half a list must not pass for the whole one.
// RFC 5322 §3.4, §4.4
pub fn addresses(value: &[u8]) -> Result<Vec<Address>, AddressListError> {
    // RFC 6532 §3.2: outside ASCII, an address is UTF-8.
    let text = std::str::from_utf8(value).map_err(|_| AddressListError::Encoding)?;
    let mut list = List::default();
    let mut tokens = Tokens { rest: text };
    while let Some(token) = tokens.next_token()? {
        list.take(token)?;
    }
    list.end()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token<'a> {
    /// Letters and whatever else is no special.
    Atom(&'a str),
    /// With its quotes.
    Quoted(&'a str),
    /// With its brackets.
    Literal(&'a str),
    /// One of `<>:;@,.`
    Special(char),
}

struct Tokens<'a> {
    rest: &'a str,
}

impl<'a> Tokens<'a> {
    /// The next token behind white space and comments.
    fn next_token(&mut self) -> Result<Option<Token<'a>>, AddressListError> {
        loop {
            self.rest = self.rest.trim_start_matches([' ', '\t', '\r', '\n']);
            match self.rest.chars().next() {
                None => return Ok(None),
                Some('(') => self.skip_comment()?,
                Some('"') => return self.bracketed('"').map(|text| Some(Token::Quoted(text))),
                Some('[') => return self.bracketed(']').map(|text| Some(Token::Literal(text))),
                Some(c @ ('<' | '>' | ':' | ';' | '@' | ',' | '.')) => {
                    self.take(1);
                    return Ok(Some(Token::Special(c)));
                }
                Some(_) => {
                    let end = self.rest.find([
                        ' ', '\t', '\r', '\n', '(', ')', '"', '[', ']', '\\', '<', '>', ':', ';', '@', ',', '.',
                    ]);
                    return match self.take(end.unwrap_or(self.rest.len())) {
                        // A `)`, `]` or `\` that nothing has opened.
                        "" => Err(AddressListError::Malformed),
                        atom if atom.contains(char::is_control) => Err(AddressListError::Malformed),
                        atom => Ok(Some(Token::Atom(atom))),
                    };
                }
            }
        }
    }

    fn take(&mut self, len: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at_checked(len).unwrap_or((self.rest, ""));
        self.rest = rest;
        taken
    }

    /// Counts levels instead of recursing: a comment may hold as many parentheses as a header block has bytes.
    fn skip_comment(&mut self) -> Result<(), AddressListError> {
        let mut depth = 0_usize;
        let mut quoted = false;
        for (at, c) in self.rest.char_indices() {
            match c {
                _ if quoted => quoted = false,
                '\\' => quoted = true,
                '(' if depth == COMMENT_DEPTH => return Err(AddressListError::Malformed),
                '(' => depth += 1,
                ')' => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth == 0 {
                self.take(at.saturating_add(1));
                return Ok(());
            }
        }
        Err(AddressListError::Malformed)
    }

    /// A quoted string or a domain literal, with its delimiters.
    fn bracketed(&mut self, closing: char) -> Result<&'a str, AddressListError> {
        let mut quoted = false;
        for (at, c) in self.rest.char_indices().skip(1) {
            match c {
                _ if quoted => quoted = false,
                '\\' => quoted = true,
                c if c == closing => return Ok(self.take(at.saturating_add(1))),
                _ => {}
            }
        }
        Err(AddressListError::Malformed)
    }
}

/// Where in the list we are.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Words that turn out to be a display name, a group's name, or an address without brackets.
    #[default]
    Words,
    /// Behind `<@`, up to the colon: a route, which is dropped.
    Route,
    /// Behind `<`.
    Angle,
    /// Behind `>`, up to the comma.
    Behind,
}

#[derive(Debug, Default)]
struct List {
    found: Vec<Address>,
    place: Place,
    in_group: bool,
    /// The address as far as it has come, without white space and comments.
    spec: String,
    /// The last token was a word: another word makes it a phrase, which no address is.
    after_word: bool,
    /// Two words stood side by side.
    is_phrase: bool,
}

impl List {
    fn take(&mut self, token: Token<'_>) -> Result<(), AddressListError> {
        use Place::{Angle, Behind, Route, Words};
        match (self.place, token) {
            (Route, Token::Special(':')) => self.place = Angle,
            (Route, Token::Special('@' | ',' | '.') | Token::Atom(_) | Token::Literal(_)) => {}
            (Words, Token::Special('<')) => self.begin(Angle),
            // RFC 5322 §4.4: obs-angle-addr
            (Angle, Token::Special('@')) if self.spec.is_empty() => self.place = Route,
            (Angle, Token::Special('>')) => {
                self.add()?;
                self.place = Behind;
            }
            // RFC 5322 §3.4: group
            (Words, Token::Special(':')) if !self.in_group && !self.spec.is_empty() => {
                self.in_group = true;
                self.begin(Words);
            }
            (Words | Behind, Token::Special(c @ (',' | ';'))) => {
                self.end_member()?;
                if c == ';' {
                    if !self.in_group {
                        return Err(AddressListError::Malformed);
                    }
                    self.in_group = false;
                    self.place = Behind;
                }
            }
            (Words | Angle, Token::Special(c @ ('@' | '.'))) => {
                self.spec.push(c);
                self.after_word = false;
            }
            (Words | Angle, Token::Atom(word) | Token::Quoted(word) | Token::Literal(word)) => {
                self.is_phrase |= self.after_word;
                self.after_word = true;
                self.spec.push_str(word);
            }
            _ => return Err(AddressListError::Malformed),
        }
        Ok(())
    }

    fn begin(&mut self, place: Place) {
        self.place = place;
        self.spec.clear();
        self.after_word = false;
        self.is_phrase = false;
    }

    fn add(&mut self) -> Result<(), AddressListError> {
        if self.is_phrase {
            return Err(AddressListError::Malformed);
        }
        self.found.push(Address::parse(&self.spec)?);
        Ok(())
    }

    /// At a comma, a semicolon or the end. RFC 5322 §4.4: empty members are obsolete but still read.
    fn end_member(&mut self) -> Result<(), AddressListError> {
        if self.place == Place::Words && !self.spec.is_empty() {
            self.add()?;
        }
        self.begin(Place::Words);
        Ok(())
    }

    fn end(mut self) -> Result<Vec<Address>, AddressListError> {
        if self.in_group || matches!(self.place, Place::Angle | Place::Route) {
            return Err(AddressListError::Malformed);
        }
        self.end_member()?;
        Ok(self.found)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(value: &str, expected: Result<&[&str], AddressListError>) {
        let seen = addresses(value.as_bytes()).map(|list| list.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(seen, expected.map(|list| list.iter().map(|a| (*a).to_owned()).collect()), "{value:?}");
    }

    #[test]
    fn the_forms_of_rfc_5322() {
        check("alice@example.test", Ok(&["alice@example.test"]));
        check("<alice@example.test>", Ok(&["alice@example.test"]));
        check("Alice <alice@example.test>", Ok(&["alice@example.test"]));
        check("\"Alice, A. <x@y.test>\" <alice@example.test>", Ok(&["alice@example.test"]));
        check("=?UTF-8?Q?J=C3=B6rg?= <a@x.test>, Jörg Ü. <b@x.test>", Ok(&["a@x.test", "b@x.test"]));
        check("J. R. Public <a@x.test>", Ok(&["a@x.test"]));
        check("(c (nested \\) \") c) a (x) @ (y) x.test (z)", Ok(&["a@x.test"]));
        check("a . b @ x . test", Ok(&["a.b@x.test"]));
        check("\"a b\"@x.test", Ok(&["\"a b\"@x.test"]));
        check("\"<@,;:\\\"\" <\"a@b\"@x.test>", Ok(&["\"a@b\"@x.test"]));
        check("a@[192.0.2.1], <b@[IPv6:2001:db8::1]>", Ok(&["a@[192.0.2.1]", "b@[IPv6:2001:db8::1]"]));
        check("Friends: a@x.test, B <b@x.test>;", Ok(&["a@x.test", "b@x.test"]));
        check("undisclosed recipients:;", Ok(&[]));
        check("A: a@x.test;, b@x.test, C: c@x.test;", Ok(&["a@x.test", "b@x.test", "c@x.test"]));
        check("<@one.test,@two.test:a@x.test>", Ok(&["a@x.test"]));
        check(", a@x.test,, b@x.test ,", Ok(&["a@x.test", "b@x.test"]));
        check("a@x.test,\r\n b@x.test", Ok(&["a@x.test", "b@x.test"]));
        check("", Ok(&[]));
    }

    #[test]
    fn half_a_list_is_no_list() {
        use AddressListError::{Address as No, Malformed};
        for wrong in [
            "a@x.test b@y.test",
            "a b@x.test",
            "<a@x.test",
            "a@x.test>",
            "<a@x.test> <b@x.test>",
            "<a@x.test> b@x.test",
            "(a@x.test",
            "a@x.test)",
            "\"a@x.test",
            "a@[1.2.3.4",
            "A: B: a@x.test;;",
            "A: a@x.test",
            ": a@x.test;",
            "a@x.test;",
            "a\\b@x.test",
            "<a@x.test, b@x.test>",
            "a\0@x.test",
        ] {
            check(wrong, Err(Malformed));
        }
        check("Alice", Err(No(AddressError::Form)));
        check("a@x.test, Alice", Err(No(AddressError::Form)));
        check("<>", Err(No(AddressError::Form)));
        check("a..b@x.test", Err(No(AddressError::LocalPart)));
        check("a@x..test", Err(No(AddressError::Domain)));
        assert_eq!(addresses(b"\xff@x.test"), Err(AddressListError::Encoding));
    }

    #[test]
    fn a_bomb_of_parentheses_or_commas_is_read_once() {
        let bomb = format!("{}a@x.test", "(".repeat(1_000_000));
        assert_eq!(addresses(bomb.as_bytes()), Err(AddressListError::Malformed));
        assert_eq!(addresses(",".repeat(1_000_000).as_bytes()), Ok(vec![]));
        assert_eq!(addresses("()".repeat(500_000).as_bytes()), Ok(vec![]));
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back(locals in proptest::collection::vec("[a-z\" ]{1,5}|[a-z.<>@,;:()]{1,9}", 1..5)) {
            let quote = |local: &str| format!("\"{}\"@x.test", local.replace('"', "\\\""));
            let known: Vec<Address> = locals.iter().map(|local| Address::parse(&quote(local)).unwrap()).collect();
            let listed: Vec<String> = known.iter().map(|address| format!("N (c) <{address}>")).collect();
            prop_assert_eq!(addresses(listed.join(", ").as_bytes()), Ok(known));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100), text in "[a@.<>\"(),:;\\[\\]\\\\ é\r\n]{0,60}") {
            let _ = addresses(&bytes);
            let _ = addresses(text.as_bytes());
        }
    }
}
