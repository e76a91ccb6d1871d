use std::borrow::Cow;

/// The end of a command's answer, without its tag. RFC 9051 §7.1
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// How it went.
    pub status: Status,
    /// What a program is to know.
    pub code: Option<Code>,
    /// What a person is to know: no line ends.
    pub text: Cow<'static, str>,
}

/// How a command went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It was done.
    Ok,
    /// It could not be done.
    No,
    /// It was not understood, or is not allowed here.
    Bad,
}

/// Response codes, each under the RFC that has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Code {
    /// RFC 3501 §7.1
    Alert,
    /// RFC 3501 §7.1: the capabilities, separated by spaces.
    Capability(String),
    /// RFC 3501 §7.1: the charsets that are taken.
    BadCharset(&'static str),
    /// RFC 3501 §7.1
    Parse,
    /// RFC 3501 §7.1: flags with a space between two.
    PermanentFlags(String),
    /// RFC 3501 §7.1
    ReadOnly,
    /// RFC 3501 §7.1
    ReadWrite,
    /// RFC 3501 §7.1
    TryCreate,
    /// RFC 3501 §7.1
    UidNext(u32),
    /// RFC 3501 §7.1
    UidValidity(u32),
    /// RFC 3501 §7.1: the number of the first message without `\Seen`.
    Unseen(u32),
    /// RFC 4315 §3: UIDVALIDITY, UIDs as ranges.
    AppendUid(u32, Vec<(u32, u32)>),
    /// RFC 4315 §3: UIDVALIDITY, source and target UIDs, in the same order.
    CopyUid(u32, Vec<u32>, Vec<u32>),
    /// RFC 4315 §3
    UidNotSticky,
    /// RFC 7162 §3.1.2.1
    HighestModSeq(u64),
    /// RFC 7162 §3.1.3: numbers or UIDs, as the command had them.
    Modified(Vec<(u32, u32)>),
    /// RFC 4978 §3
    CompressionActive,
    /// RFC 7889 §4, RFC 4469
    TooBig,
    /// RFC 6154 §3
    UseAttr,
    /// RFC 9051 §7.1 (RFC 3516)
    UnknownCte,
    /// RFC 5530 §3
    Unavailable,
    /// RFC 5530 §3
    AuthenticationFailed,
    /// RFC 5530 §3
    AuthorizationFailed,
    /// RFC 5530 §3
    PrivacyRequired,
    /// RFC 5530 §3
    ExpungeIssued,
    /// RFC 5530 §3
    ServerBug,
    /// RFC 5530 §3
    ClientBug,
    /// RFC 5530 §3
    Cannot,
    /// RFC 5530 §3
    Limit,
    /// RFC 5530 §3
    OverQuota,
    /// RFC 5530 §3
    AlreadyExists,
    /// RFC 5530 §3
    NonExistent,
    /// RFC 9051 §7.1: the mailbox was closed by the SELECT of another.
    Closed,
    /// RFC 9051 §7.1
    HasChildren,
}

impl Answer {
    /// `OK`
    pub fn ok(text: impl Into<Cow<'static, str>>) -> Self {
        Self { status: Status::Ok, code: None, text: text.into() }
    }

    /// `NO`
    pub fn no(text: impl Into<Cow<'static, str>>) -> Self {
        Self { status: Status::No, code: None, text: text.into() }
    }

    /// `BAD`
    pub fn bad(text: impl Into<Cow<'static, str>>) -> Self {
        Self { status: Status::Bad, code: None, text: text.into() }
    }

    /// The same with a code.
    #[must_use]
    pub fn with(self, code: Code) -> Self {
        Self { code: Some(code), ..self }
    }
}
