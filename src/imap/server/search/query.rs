use encoding_rs::{Encoding, UTF_8};

use crate::base::{SystemFlags, Uid, limits};
use crate::imap::server::selected::Selected;
use crate::imap::wire::{Answer, Code, Flag, SearchKey, SentOrReceived, SequenceSet, When};
use crate::message;

/// A SEARCH as it is asked of each message. It borrows nothing, for the threads that read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Query {
    pub(super) key: Key,
    /// What TEXT asks for.
    pub(super) texts: Vec<String>,
    /// What BODY asks for.
    pub(super) bodies: Vec<String>,
    /// The day on which it was sent is asked for.
    pub(super) asks_sent: bool,
    /// Header fields are asked for.
    pub(super) asks_head: bool,
    /// MODSEQ is asked for.
    pub(super) asks_modseq: bool,
    pub(super) recent_from: Uid,
}

/// What a message must fulfil.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Key {
    Constant(bool),
    And(Vec<Key>),
    Or(Box<(Key, Key)>),
    Not(Box<Key>),
    Numbers(Vec<(u32, u32)>),
    Uids(Vec<(u32, u32)>),
    Flag(SystemFlags),
    Keyword(u128),
    Recent,
    Received(When, i32),
    Sent(When, i32),
    Larger(u64),
    Smaller(u64),
    ModSeq(u64),
    /// A field's name, and what its value holds, with its case folded.
    Header(String, String),
    /// One of [`Query::texts`].
    Text(usize),
    /// One of [`Query::bodies`].
    Body(usize),
}

/// What the keys are read against.
struct Reader<'a> {
    selected: &'a Selected,
    charset: &'static Encoding,
    query: Query,
}

impl Query {
    /// # Errors
    /// The answer to a charset that nobody knows, or to more texts than are looked for.
    pub(super) fn of(selected: &Selected, charset: Option<&[u8]>, key: &SearchKey<'_>) -> Result<Self, Answer> {
        // RFC 9051 §6.4.4: US-ASCII is a part of UTF-8.
        let charset = match charset {
            Some(label) if !label.eq_ignore_ascii_case(b"US-ASCII") => {
                Encoding::for_label(label).ok_or_else(bad_charset)?
            }
            _ => UTF_8,
        };
        let query = Self {
            key: Key::Constant(true),
            texts: Vec::new(),
            bodies: Vec::new(),
            asks_sent: false,
            asks_head: false,
            asks_modseq: false,
            recent_from: selected.recent_from,
        };
        let mut reader = Reader { selected, charset, query };
        let key = reader.key(key)?;
        Ok(Self { key, ..reader.query })
    }
}

impl Query {
    /// Whether the text of messages is asked for.
    pub(super) fn asks_text(&self) -> bool {
        !self.texts.is_empty() || !self.bodies.is_empty()
    }
}

impl Reader<'_> {
    fn key(&mut self, key: &SearchKey<'_>) -> Result<Key, Answer> {
        Ok(match key {
            SearchKey::And(keys) => Key::And(keys.iter().map(|key| self.key(key)).collect::<Result<_, _>>()?),
            SearchKey::Or(one, other) => Key::Or(Box::new((self.key(one)?, self.key(other)?))),
            SearchKey::Not(key) => Key::Not(Box::new(self.key(key)?)),
            SearchKey::Sequence(set) => {
                Key::Numbers(resolve(set, u32::try_from(self.selected.told.len()).unwrap_or(u32::MAX)))
            }
            SearchKey::Uid(set) => {
                Key::Uids(resolve(set, self.selected.told.iter().last().map_or(0, |(_, member)| member.uid.0)))
            }
            SearchKey::Flag(Flag::System(flag)) => Key::Flag(*flag),
            SearchKey::Flag(Flag::Keyword(name)) => self.keyword(name),
            SearchKey::Flag(Flag::Foreign(_)) => Key::Constant(false),
            SearchKey::Recent => Key::Recent,
            SearchKey::Date { of: SentOrReceived::Received, when, day } => Key::Received(*when, *day),
            SearchKey::Date { of: SentOrReceived::Sent, when, day } => {
                self.query.asks_sent = true;
                Key::Sent(*when, *day)
            }
            SearchKey::Larger(size_bytes) => Key::Larger(*size_bytes),
            SearchKey::Smaller(size_bytes) => Key::Smaller(*size_bytes),
            SearchKey::ModSeq(modseq) => {
                self.query.asks_modseq = true;
                Key::ModSeq(*modseq)
            }
            SearchKey::Header(name, text) => {
                self.query.asks_head = true;
                Key::Header(String::from_utf8_lossy(name).into_owned(), self.text(text)?)
            }
            SearchKey::Text(text) => {
                let text = self.text(text)?;
                let place = place(&mut self.query.texts, text);
                self.bounded(place.map_or(Key::Constant(true), Key::Text))?
            }
            SearchKey::Body(text) => {
                let text = self.text(text)?;
                let place = place(&mut self.query.bodies, text);
                self.bounded(place.map_or(Key::Constant(true), Key::Body))?
            }
        })
    }

    /// The key, as long as there are not too many texts: each message is looked through once for each of them.
    fn bounded(&self, key: Key) -> Result<Key, Answer> {
        if self.query.texts.len() + self.query.bodies.len() <= limits::IMAP_SEARCH_TEXTS {
            return Ok(key);
        }
        let most = limits::IMAP_SEARCH_TEXTS;
        Err(Answer::no(format!("at most {most} texts are looked for at a time")).with(Code::Limit))
    }

    fn keyword(&self, name: &[u8]) -> Key {
        let known = &self.selected.told.keywords;
        match known.iter().position(|known| known.as_bytes().eq_ignore_ascii_case(name)) {
            Some(bit) => Key::Keyword(1u128.checked_shl(bit as u32).unwrap_or(0)),
            None => Key::Constant(false),
        }
    }

    /// A text in its charset, with its case folded.
    fn text(&self, text: &[u8]) -> Result<String, Answer> {
        let decoded = self.charset.decode_without_bom_handling_and_without_replacement(text);
        decoded.map(|text| message::fold(&text)).ok_or_else(|| Answer::bad("a text is not in its charset"))
    }
}

fn resolve(set: &SequenceSet, highest: u32) -> Vec<(u32, u32)> {
    // In an empty mailbox not even `*` is a message.
    if highest == 0 { Vec::new() } else { set.resolve(highest) }
}

/// Where a text is among those that are looked for together; `None` for the empty one, which is everywhere.
fn place(texts: &mut Vec<String>, text: String) -> Option<usize> {
    if text.is_empty() {
        return None;
    }
    Some(texts.iter().position(|known| *known == text).unwrap_or_else(|| {
        texts.push(text);
        texts.len() - 1
    }))
}

fn bad_charset() -> Answer {
    Answer::no("the charset is not known").with(Code::BadCharset("UTF-8"))
}
