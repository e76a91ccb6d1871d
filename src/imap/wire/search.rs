use std::borrow::Cow;

use super::reader::{Read, Reader};
use super::{Flag, Request, SequenceSet};
use crate::base::{SystemFlags, limits};

/// RFC 9051 §6.4.4, RFC 4731
#[derive(Debug)]
pub struct Search<'a> {
    /// The command began with UID.
    pub is_uid: bool,
    /// RETURN (…); `None` without it: the answer is then a SEARCH response.
    pub returns: Option<SearchReturn>,
    /// CHARSET, as it was given; `None`: UTF-8 is taken, of which US-ASCII is a part.
    pub charset: Option<Cow<'a, [u8]>>,
    /// What a message must fulfil.
    pub key: SearchKey<'a>,
}

/// RFC 4731 §3.1. `RETURN ()` is ALL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SearchReturn {
    /// MIN
    pub min: bool,
    /// MAX
    pub max: bool,
    /// ALL
    pub all: bool,
    /// COUNT
    pub count: bool,
}

/// What a message must fulfil.
#[derive(Debug, PartialEq, Eq)]
pub enum SearchKey<'a> {
    /// Everything in it; empty: every message.
    And(Vec<SearchKey<'a>>),
    /// One or the other.
    Or(Box<SearchKey<'a>>, Box<SearchKey<'a>>),
    /// Not that.
    Not(Box<SearchKey<'a>>),
    /// Numbers of messages.
    Sequence(SequenceSet),
    /// UID
    Uid(SequenceSet),
    /// SEEN, FLAGGED, KEYWORD …; UNSEEN is its NOT.
    Flag(Flag<'a>),
    /// RECENT (RFC 3501); NEW is RECENT UNSEEN, OLD is NOT RECENT.
    Recent,
    /// BEFORE, ON, SINCE, SENTBEFORE, SENTON, SENTSINCE
    Date {
        /// Which date.
        of: SentOrReceived,
        /// On which side.
        when: When,
        /// Days since 1970-01-01.
        day: i32,
    },
    /// LARGER: octets
    Larger(u64),
    /// SMALLER: octets
    Smaller(u64),
    /// MODSEQ (RFC 7162 §3.1.5): at least that.
    ModSeq(u64),
    /// HEADER, and FROM, TO, CC, BCC, SUBJECT by their field's name: the field is there and its value holds the text;
    /// empty: it is there.
    Header(Cow<'a, [u8]>, Cow<'a, [u8]>),
    /// BODY: the text is in the body.
    Body(Cow<'a, [u8]>),
    /// TEXT: the text is in the header or the body.
    Text(Cow<'a, [u8]>),
}

/// Which date of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SentOrReceived {
    /// That of its Date field.
    Sent,
    /// Its internal date.
    Received,
}

/// On which side of a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Before it.
    Before,
    /// On it.
    On,
    /// On it or later.
    Since,
}

const KEY: &str = "expected a SEARCH key such as ALL, UNSEEN, FROM \"smith\" or SINCE 1-Feb-1994";
const TEXT: &str = "expected a text behind the SEARCH key";

// RFC 9051 §6.4.4
pub(super) fn read<'a>(reader: &mut Reader<'a>, is_uid: bool) -> Read<Request<'a>> {
    reader.space(KEY)?;
    let mut returns = None;
    if reader.eat_word("RETURN") {
        reader.space("expected options behind RETURN, such as (MIN COUNT)")?;
        returns = Some(search_return(reader)?);
        reader.space(KEY)?;
    }
    let mut charset = None;
    if reader.eat_word("CHARSET") {
        reader.space("expected a charset behind CHARSET")?;
        charset = Some(reader.astring("expected a charset behind CHARSET")?);
        reader.space(KEY)?;
    }
    let mut keys = Keys { left: limits::IMAP_ITEMS };
    let mut all = vec![keys.read(reader, 0)?];
    while reader.has_more() {
        all.push(keys.read(reader, 0)?);
    }
    Ok(Request::Search(Search { is_uid, returns, charset, key: and(all) }))
}

// RFC 4731 §3.1
fn search_return(reader: &mut Reader<'_>) -> Read<SearchReturn> {
    let mut returns = SearchReturn::default();
    let options = reader.list("expected options behind RETURN, such as (MIN COUNT)", |reader| {
        let word = reader.word();
        let is = |name: &str| word.eq_ignore_ascii_case(name.as_bytes());
        match () {
            () if is("MIN") => returns.min = true,
            () if is("MAX") => returns.max = true,
            () if is("ALL") => returns.all = true,
            () if is("COUNT") => returns.count = true,
            () => return Err("unknown option behind RETURN: MIN, MAX, ALL and COUNT are known"),
        }
        Ok(())
    })?;
    returns.all |= options.is_empty();
    Ok(returns)
}

fn and(mut keys: Vec<SearchKey<'_>>) -> SearchKey<'_> {
    match keys.pop() {
        Some(key) if keys.is_empty() => key,
        Some(key) => {
            keys.push(key);
            SearchKey::And(keys)
        }
        None => SearchKey::And(keys),
    }
}

fn not(key: SearchKey<'_>) -> SearchKey<'_> {
    SearchKey::Not(Box::new(key))
}

/// Reads the keys of one command.
struct Keys {
    /// How many more it may have.
    left: usize,
}

impl Keys {
    fn read<'a>(&mut self, reader: &mut Reader<'a>, depth: usize) -> Read<SearchKey<'a>> {
        self.left = self.left.checked_sub(1).ok_or("a SEARCH has too many keys")?;
        if depth > limits::IMAP_DEPTH {
            return Err("SEARCH keys are nested too deeply");
        }
        let depth = depth.saturating_add(1);
        match reader.peek() {
            Some(b'(') => Ok(and(reader.full_list(KEY, |reader| self.read(reader, depth))?)),
            Some(b'0'..=b'9' | b'*') => reader.sequence_set().map(SearchKey::Sequence),
            _ => self.word(reader, depth),
        }
    }

    fn word<'a>(&mut self, reader: &mut Reader<'a>, depth: usize) -> Read<SearchKey<'a>> {
        let word = reader.word();
        let is = |name: &&str| word.eq_ignore_ascii_case(name.as_bytes());
        if is(&"NOT") {
            reader.space(KEY)?;
            return self.read(reader, depth).map(not);
        }
        if is(&"OR") {
            reader.space(KEY)?;
            let one = self.read(reader, depth)?;
            reader.space("expected a second SEARCH key behind OR")?;
            return Ok(SearchKey::Or(Box::new(one), Box::new(self.read(reader, depth)?)));
        }
        let (_, read) = KEYS.iter().find(|(name, _)| is(name)).ok_or(KEY)?;
        read(reader)
    }
}

type ReadKey = for<'a> fn(&mut Reader<'a>) -> Read<SearchKey<'a>>;

// RFC 9051 §6.4.4, RFC 3501 §6.4.4 (NEW, OLD, RECENT), RFC 7162 §3.1.5 (MODSEQ)
const KEYS: [(&str, ReadKey); 34] = [
    ("ALL", |_| Ok(SearchKey::And(Vec::new()))),
    ("ANSWERED", |_| Ok(flag(SystemFlags::ANSWERED))),
    ("BCC", |reader| header(reader, b"Bcc")),
    ("BEFORE", |reader| date(reader, SentOrReceived::Received, When::Before)),
    ("BODY", |reader| text(reader).map(SearchKey::Body)),
    ("CC", |reader| header(reader, b"Cc")),
    ("DELETED", |_| Ok(flag(SystemFlags::DELETED))),
    ("DRAFT", |_| Ok(flag(SystemFlags::DRAFT))),
    ("FLAGGED", |_| Ok(flag(SystemFlags::FLAGGED))),
    ("FROM", |reader| header(reader, b"From")),
    ("HEADER", |reader| Ok(SearchKey::Header(text(reader)?, text(reader)?))),
    ("KEYWORD", keyword),
    ("LARGER", |reader| number(reader).map(SearchKey::Larger)),
    ("MODSEQ", mod_seq),
    ("NEW", |_| Ok(SearchKey::And(vec![SearchKey::Recent, not(flag(SystemFlags::SEEN))]))),
    ("OLD", |_| Ok(not(SearchKey::Recent))),
    ("ON", |reader| date(reader, SentOrReceived::Received, When::On)),
    ("RECENT", |_| Ok(SearchKey::Recent)),
    ("SEEN", |_| Ok(flag(SystemFlags::SEEN))),
    ("SENTBEFORE", |reader| date(reader, SentOrReceived::Sent, When::Before)),
    ("SENTON", |reader| date(reader, SentOrReceived::Sent, When::On)),
    ("SENTSINCE", |reader| date(reader, SentOrReceived::Sent, When::Since)),
    ("SINCE", |reader| date(reader, SentOrReceived::Received, When::Since)),
    ("SMALLER", |reader| number(reader).map(SearchKey::Smaller)),
    ("SUBJECT", |reader| header(reader, b"Subject")),
    ("TEXT", |reader| text(reader).map(SearchKey::Text)),
    ("TO", |reader| header(reader, b"To")),
    ("UID", uid),
    ("UNANSWERED", |_| Ok(not(flag(SystemFlags::ANSWERED)))),
    ("UNDELETED", |_| Ok(not(flag(SystemFlags::DELETED)))),
    ("UNDRAFT", |_| Ok(not(flag(SystemFlags::DRAFT)))),
    ("UNFLAGGED", |_| Ok(not(flag(SystemFlags::FLAGGED)))),
    ("UNKEYWORD", |reader| keyword(reader).map(not)),
    ("UNSEEN", |_| Ok(not(flag(SystemFlags::SEEN)))),
];

fn flag(flag: SystemFlags) -> SearchKey<'static> {
    SearchKey::Flag(Flag::System(flag))
}

fn text<'a>(reader: &mut Reader<'a>) -> Read<Cow<'a, [u8]>> {
    reader.space(TEXT)?;
    reader.astring(TEXT)
}

fn header<'a>(reader: &mut Reader<'a>, name: &'static [u8]) -> Read<SearchKey<'a>> {
    text(reader).map(|text| SearchKey::Header(Cow::Borrowed(name), text))
}

fn keyword<'a>(reader: &mut Reader<'a>) -> Read<SearchKey<'a>> {
    const KEYWORD: &str = "expected a keyword such as $Forwarded";
    reader.space(KEYWORD)?;
    reader.atom(KEYWORD).map(|keyword| SearchKey::Flag(Flag::Keyword(keyword)))
}

fn date<'a>(reader: &mut Reader<'a>, of: SentOrReceived, when: When) -> Read<SearchKey<'a>> {
    reader.space("expected a date behind the SEARCH key")?;
    reader.date().map(|day| SearchKey::Date { of, when, day })
}

fn number(reader: &mut Reader<'_>) -> Read<u64> {
    const NUMBER: &str = "expected a number behind the SEARCH key";
    reader.space(NUMBER)?;
    reader.number64(NUMBER)
}

fn uid<'a>(reader: &mut Reader<'a>) -> Read<SearchKey<'a>> {
    reader.space("expected a sequence set behind UID")?;
    reader.sequence_set().map(SearchKey::Uid)
}

// RFC 7162 §3.1.5: the name and kind of an entry say nothing, since a message has one modseq for all of its flags.
fn mod_seq<'a>(reader: &mut Reader<'a>) -> Read<SearchKey<'a>> {
    const MODSEQ: &str = "expected a number behind MODSEQ";
    const KIND: &str = "expected priv, shared or all behind the name of a MODSEQ entry";
    reader.space(MODSEQ)?;
    if reader.peek() == Some(b'"') {
        if !reader.string(MODSEQ)?.starts_with(b"/flags/") {
            return Err("expected the name of a MODSEQ entry, such as \"/flags/\\\\Seen\"");
        }
        reader.space(KIND)?;
        let kind = reader.word();
        if !["priv", "shared", "all"].iter().any(|known| kind.eq_ignore_ascii_case(known.as_bytes())) {
            return Err(KIND);
        }
        reader.space(MODSEQ)?;
    }
    reader.number64(MODSEQ).map(SearchKey::ModSeq)
}
