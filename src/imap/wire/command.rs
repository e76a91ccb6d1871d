use std::borrow::Cow;
use std::fmt;

use super::{Fetch, Search, SequenceSet};
use crate::base::SystemFlags;

/// A command: what the client wants, under the tag by which it will know the answer.
#[derive(Debug)]
pub struct Command<'a> {
    /// The tag.
    pub tag: &'a [u8],
    /// What is asked for.
    pub request: Request<'a>,
}

/// A password on its way to being verified: it is never shown.
pub struct Password<'a>(pub Cow<'a, [u8]>);

impl fmt::Debug for Password<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// A name and its value. RFC 2971 §3.3
pub type IdPair<'a> = (Cow<'a, [u8]>, Option<Cow<'a, [u8]>>);

/// What a client can ask for. Names of mailboxes are as they were sent: [`super::mailbox_name`] decodes them.
#[derive(Debug)]
pub enum Request<'a> {
    /// RFC 9051 §6.1.1
    Capability,
    /// RFC 9051 §6.1.2
    Noop,
    /// RFC 9051 §6.1.3
    Logout,
    /// RFC 2971: names and values; empty for NIL.
    Id(Vec<IdPair<'a>>),
    /// RFC 9051 §6.2.1
    StartTls,
    /// RFC 9051 §6.2.2, RFC 4959
    Authenticate {
        /// The mechanism.
        mechanism: &'a [u8],
        /// The initial response in base64; `=` is an empty one.
        initial: Option<&'a [u8]>,
    },
    /// RFC 9051 §6.2.3
    Login {
        /// Who.
        user: Cow<'a, [u8]>,
        /// With which password.
        password: Password<'a>,
    },
    /// RFC 5161: names of capabilities.
    Enable(Vec<&'a [u8]>),
    /// RFC 9051 §6.3.2, §6.3.3
    Select {
        /// The mailbox.
        mailbox: Cow<'a, [u8]>,
        /// EXAMINE
        read_only: bool,
        /// RFC 7162 §3.1.8: `(CONDSTORE)`
        condstore: bool,
    },
    /// RFC 9051 §6.3.4, RFC 6154 §3
    Create {
        /// The mailbox.
        mailbox: Cow<'a, [u8]>,
        /// `USE (…)`: special uses, with their backslash.
        special_uses: Vec<&'a [u8]>,
    },
    /// RFC 9051 §6.3.5
    Delete(Cow<'a, [u8]>),
    /// RFC 9051 §6.3.6
    Rename {
        /// The old name.
        from: Cow<'a, [u8]>,
        /// The new name.
        to: Cow<'a, [u8]>,
    },
    /// RFC 9051 §6.3.7
    Subscribe(Cow<'a, [u8]>),
    /// RFC 9051 §6.3.8
    Unsubscribe(Cow<'a, [u8]>),
    /// RFC 9051 §6.3.9, RFC 5258, RFC 5819, RFC 6154
    List(List<'a>),
    /// RFC 3501 §6.3.9
    Lsub {
        /// What the pattern is relative to.
        reference: Cow<'a, [u8]>,
        /// The pattern.
        pattern: Cow<'a, [u8]>,
    },
    /// RFC 2342
    Namespace,
    /// RFC 9051 §6.3.11
    Status {
        /// The mailbox.
        mailbox: Cow<'a, [u8]>,
        /// What is to be said of it.
        items: Vec<StatusItem>,
    },
    /// RFC 2177
    Idle,
    /// RFC 9208 §4.1.2
    GetQuota(Cow<'a, [u8]>),
    /// RFC 9208 §4.1.3
    GetQuotaRoot(Cow<'a, [u8]>),
    /// RFC 9208 §4.1.1: only administrators may, and not over IMAP; its form is read so that the answer is NO.
    SetQuota,
    /// RFC 4978: the algorithm.
    Compress(&'a [u8]),
    /// RFC 3501 §6.4.1
    Check,
    /// RFC 9051 §6.4.1
    Close,
    /// RFC 3691
    Unselect,
    /// RFC 9051 §6.4.3, §6.4.9: `UID EXPUNGE` names messages.
    Expunge(Option<SequenceSet>),
    /// RFC 9051 §6.4.4
    Search(Search<'a>),
    /// RFC 9051 §6.4.5
    Fetch(Fetch<'a>),
    /// RFC 9051 §6.4.6
    Store(Store<'a>),
    /// RFC 9051 §6.4.7, §6.4.8
    Copy {
        /// What is copied.
        messages: MessageSet,
        /// To where.
        mailbox: Cow<'a, [u8]>,
        /// MOVE
        moves: bool,
    },
    // APPEND is not among them: its message is not read into memory. See `super::append`.
}

/// The messages that a command is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageSet {
    /// Their numbers.
    pub set: SequenceSet,
    /// The numbers are UIDs: the command began with UID.
    pub is_uid: bool,
}

/// RFC 9051 §6.4.6, RFC 7162 §3.1.3
#[derive(Debug)]
pub struct Store<'a> {
    /// Which messages.
    pub messages: MessageSet,
    /// Only those that have not changed since that modseq.
    pub unchanged_since: Option<u64>,
    /// What becomes of their flags.
    pub change: FlagChange<'a>,
    /// `.SILENT`
    pub is_silent: bool,
}

/// A change of flags.
#[derive(Debug)]
pub struct FlagChange<'a> {
    /// How.
    pub mode: FlagMode,
    /// Which.
    pub flags: Vec<Flag<'a>>,
}

/// How flags are changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FlagMode {
    /// `FLAGS`
    Replace,
    /// `+FLAGS`
    Add,
    /// `-FLAGS`
    Remove,
}

/// A flag as a client names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Flag<'a> {
    /// One of those that are kept.
    System(SystemFlags),
    /// `\Recent`, or another name with a backslash that nobody may set.
    Foreign(&'a [u8]),
    /// A keyword, as it was spelled.
    Keyword(&'a [u8]),
}

/// RFC 5258 §3
#[derive(Debug)]
pub struct List<'a> {
    /// Which mailboxes are asked for.
    pub selection: ListSelection,
    /// What the patterns are relative to.
    pub reference: Cow<'a, [u8]>,
    /// The patterns; several only in the extended form.
    pub patterns: Vec<Cow<'a, [u8]>>,
    /// What is to be said of them.
    pub returns: ListReturn,
    /// The extended form was used: selection options, several patterns or RETURN.
    pub is_extended: bool,
}

/// RFC 5258 §3.1
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ListSelection {
    /// SUBSCRIBED
    pub subscribed: bool,
    /// REMOTE: there are none.
    pub remote: bool,
    /// RECURSIVEMATCH
    pub recursive_match: bool,
    /// SPECIAL-USE (RFC 6154 §2)
    pub special_use: bool,
}

/// RFC 5258 §3.2
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ListReturn {
    /// SUBSCRIBED
    pub subscribed: bool,
    /// CHILDREN
    pub children: bool,
    /// SPECIAL-USE (RFC 6154 §2)
    pub special_use: bool,
    /// STATUS (RFC 5819)
    pub status: Option<Vec<StatusItem>>,
}

/// What STATUS can say of a mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatusItem {
    /// MESSAGES
    Messages,
    /// RECENT (RFC 3501)
    Recent,
    /// UIDNEXT
    UidNext,
    /// UIDVALIDITY
    UidValidity,
    /// UNSEEN
    Unseen,
    /// DELETED (RFC 9051)
    Deleted,
    /// DELETED-STORAGE (RFC 9208 §4.1.4)
    DeletedStorage,
    /// SIZE (RFC 8438)
    Size,
    /// HIGHESTMODSEQ (RFC 7162)
    HighestModSeq,
    /// APPENDLIMIT (RFC 7889)
    AppendLimit,
}
