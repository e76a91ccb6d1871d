use std::borrow::Cow;

use super::{Flag, SequenceSet};

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
