use super::folders::{create, list, lsub, mailbox, select, status};
use super::reader::{Read, Reader, is_astring_char};
use super::{Command, MessageSet, Password, Request, fetch, flag, search};

/// A command that can't be read: `BAD`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct ParseError<'a> {
    /// The command's tag, where there is one; else the answer goes out untagged.
    pub tag: Option<&'a [u8]>,
    /// What is wrong with it and what was expected.
    pub what: &'static str,
}

/// Reads a whole command as [`super::Framer`] hands it out.
///
/// # Errors
/// [`ParseError`]
pub fn parse(command: &[u8]) -> Result<Command<'_>, ParseError<'_>> {
    let mut reader = Reader::new(command);
    let tag = tag(&mut reader).map_err(|what| ParseError { tag: None, what })?;
    let request = request(&mut reader).map_err(|what| ParseError { tag: Some(tag), what })?;
    Ok(Command { tag, request })
}

/// The tag and the space behind it.
// RFC 9051 §9 "tag"
pub(super) fn tag<'a>(reader: &mut Reader<'a>) -> Read<&'a [u8]> {
    const TAG: &str = "expected a tag and a command, such as: a1 NOOP";
    let tag = reader.take_while(|byte| is_astring_char(byte) && byte != b'+');
    if tag.is_empty() {
        return Err(TAG);
    }
    reader.space(TAG)?;
    Ok(tag)
}

fn request<'a>(reader: &mut Reader<'a>) -> Read<Request<'a>> {
    let mut verb = reader.word();
    let is_uid = verb.eq_ignore_ascii_case(b"UID");
    if is_uid {
        reader.space("expected COPY, EXPUNGE, FETCH, MOVE, SEARCH or STORE behind UID")?;
        verb = reader.word();
    }
    let row = VERBS.iter().find(|row| verb.eq_ignore_ascii_case(row.name.as_bytes()));
    let row = row.ok_or("unknown command")?;
    if is_uid && !row.has_uid {
        return Err("expected COPY, EXPUNGE, FETCH, MOVE, SEARCH or STORE behind UID");
    }
    let request = (row.read)(reader, is_uid)?;
    reader.end()?;
    Ok(request)
}

/// A command's name and the reader of its arguments, from the space before them on.
struct Verb {
    name: &'static str,
    read: for<'a> fn(&mut Reader<'a>, bool) -> Read<Request<'a>>,
    /// It may stand behind UID.
    has_uid: bool,
}

const fn verb(name: &'static str, read: for<'a> fn(&mut Reader<'a>, bool) -> Read<Request<'a>>) -> Verb {
    Verb { name, read, has_uid: false }
}

const fn uid_verb(name: &'static str, read: for<'a> fn(&mut Reader<'a>, bool) -> Read<Request<'a>>) -> Verb {
    Verb { name, read, has_uid: true }
}

/// The most frequent first.
const VERBS: [Verb; 34] = [
    uid_verb("FETCH", fetch::read),
    uid_verb("STORE", flag::read),
    uid_verb("SEARCH", search::read),
    verb("NOOP", |_, _| Ok(Request::Noop)),
    verb("IDLE", |_, _| Ok(Request::Idle)),
    verb("STATUS", |reader, _| status(reader)),
    verb("SELECT", |reader, _| select(reader, false)),
    verb("EXAMINE", |reader, _| select(reader, true)),
    uid_verb("COPY", |reader, is_uid| copy(reader, is_uid, false)),
    uid_verb("MOVE", |reader, is_uid| copy(reader, is_uid, true)),
    uid_verb("EXPUNGE", expunge),
    verb("LIST", |reader, _| list(reader)),
    verb("LSUB", |reader, _| lsub(reader)),
    verb("APPEND", |_, _| Err("APPEND needs a message as a literal: mailbox, flags, date-time, {size}")),
    verb("LOGIN", |reader, _| login(reader)),
    verb("AUTHENTICATE", |reader, _| authenticate(reader)),
    verb("CAPABILITY", |_, _| Ok(Request::Capability)),
    verb("ID", |reader, _| id(reader)),
    verb("ENABLE", |reader, _| enable(reader)),
    verb("NAMESPACE", |_, _| Ok(Request::Namespace)),
    verb("CHECK", |_, _| Ok(Request::Check)),
    verb("CLOSE", |_, _| Ok(Request::Close)),
    verb("UNSELECT", |_, _| Ok(Request::Unselect)),
    verb("LOGOUT", |_, _| Ok(Request::Logout)),
    verb("STARTTLS", |_, _| Ok(Request::StartTls)),
    verb("COMPRESS", |reader, _| compress(reader)),
    verb("CREATE", |reader, _| create(reader)),
    verb("DELETE", |reader, _| mailbox(reader).map(Request::Delete)),
    verb("RENAME", |reader, _| Ok(Request::Rename { from: mailbox(reader)?, to: mailbox(reader)? })),
    verb("SUBSCRIBE", |reader, _| mailbox(reader).map(Request::Subscribe)),
    verb("UNSUBSCRIBE", |reader, _| mailbox(reader).map(Request::Unsubscribe)),
    verb("GETQUOTA", |reader, _| quota_root(reader).map(Request::GetQuota)),
    verb("GETQUOTAROOT", |reader, _| mailbox(reader).map(Request::GetQuotaRoot)),
    verb("SETQUOTA", |reader, _| set_quota(reader)),
];

// RFC 9051 §6.4.7, §6.4.8
fn copy<'a>(reader: &mut Reader<'a>, is_uid: bool, moves: bool) -> Read<Request<'a>> {
    reader.space("expected a sequence set and a mailbox")?;
    let set = reader.sequence_set()?;
    let mailbox = mailbox(reader)?;
    Ok(Request::Copy { messages: MessageSet { set, is_uid }, mailbox, moves })
}

// RFC 9051 §6.4.3, §6.4.9
fn expunge<'a>(reader: &mut Reader<'a>, is_uid: bool) -> Read<Request<'a>> {
    if !is_uid {
        return Ok(Request::Expunge(None));
    }
    reader.space("expected a sequence set behind UID EXPUNGE")?;
    reader.sequence_set().map(|set| Request::Expunge(Some(set)))
}

// RFC 9051 §6.2.3
fn login<'a>(reader: &mut Reader<'a>) -> Read<Request<'a>> {
    const LOGIN: &str = "expected a user's name and a password behind LOGIN";
    reader.space(LOGIN)?;
    let user = reader.astring(LOGIN)?;
    reader.space(LOGIN)?;
    Ok(Request::Login { user, password: Password(reader.astring(LOGIN)?) })
}

// RFC 9051 §6.2.2, RFC 4959 §3
fn authenticate<'a>(reader: &mut Reader<'a>) -> Read<Request<'a>> {
    const AUTHENTICATE: &str = "expected a mechanism behind AUTHENTICATE, such as PLAIN";
    reader.space(AUTHENTICATE)?;
    let mechanism = reader.atom(AUTHENTICATE)?;
    let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
    let initial = if reader.has_more() { Some(reader.take_while(is_base64)) } else { None };
    Ok(Request::Authenticate { mechanism, initial })
}

// RFC 2971 §3.1
fn id<'a>(reader: &mut Reader<'a>) -> Read<Request<'a>> {
    const ID: &str = "expected NIL or pairs of strings behind ID, such as (\"name\" \"Mutt\")";
    reader.space(ID)?;
    if reader.eat_word("NIL") {
        return Ok(Request::Id(Vec::new()));
    }
    let pair = |reader: &mut Reader<'a>| {
        let name = reader.string(ID)?;
        reader.space(ID)?;
        Ok((name, reader.nstring(ID)?))
    };
    reader.list(ID, pair).map(Request::Id)
}

// RFC 5161 §3.1
fn enable<'a>(reader: &mut Reader<'a>) -> Read<Request<'a>> {
    const ENABLE: &str = "expected capabilities behind ENABLE, such as CONDSTORE";
    reader.space(ENABLE)?;
    let mut names = vec![reader.atom(ENABLE)?];
    while reader.has_more() {
        if names.len() >= crate::base::limits::IMAP_ITEMS {
            return Err("ENABLE names too many capabilities");
        }
        names.push(reader.atom(ENABLE)?);
    }
    Ok(Request::Enable(names))
}

// RFC 4978 §3
fn compress<'a>(reader: &mut Reader<'a>) -> Read<Request<'a>> {
    const COMPRESS: &str = "expected an algorithm behind COMPRESS: DEFLATE is known";
    reader.space(COMPRESS)?;
    reader.atom(COMPRESS).map(Request::Compress)
}

fn quota_root<'a>(reader: &mut Reader<'a>) -> Read<std::borrow::Cow<'a, [u8]>> {
    const ROOT: &str = "expected the name of a quota root, such as \"\"";
    reader.space(ROOT)?;
    reader.astring(ROOT)
}

// RFC 9208 §4.1.1
fn set_quota<'a>(reader: &mut Reader<'a>) -> Read<Request<'a>> {
    const LIMITS: &str = "expected limits behind the quota root, such as (STORAGE 512)";
    quota_root(reader)?;
    reader.space(LIMITS)?;
    reader.list(LIMITS, |reader| {
        reader.atom(LIMITS)?;
        reader.space(LIMITS)?;
        reader.number64(LIMITS)
    })?;
    Ok(Request::SetQuota)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `expected`: a part of the request as it is shown, or of what is wrong with it.
    fn check(command: &str, expected: Result<&str, &str>) {
        match (parse(command.as_bytes()), expected) {
            (Ok(seen), Ok(expected)) => {
                assert_eq!(seen.tag, b"a");
                let seen = format!("{:?}", seen.request);
                assert!(seen.contains(expected), "{command:?}: {seen}");
            }
            (Err(seen), Err(expected)) => assert!(seen.what.contains(expected), "{command:?}: {seen}"),
            (seen, _) => panic!("{command:?}: {seen:?}"),
        }
    }

    #[test]
    fn a_first_look() {
        check("a NOOP", Ok("Noop"));
        check(
            "a UID FETCH 1:*,5 (UID FLAGS BODY.PEEK[HEADER.FIELDS (Date {4}\r\nFrom)]<0.10> RFC822.SIZE) (CHANGEDSINCE 5)",
            Ok("HeaderFields"),
        );
        check(
            "a UID FETCH 1:* (FLAGS)",
            Ok(
                "Fetch { messages: MessageSet { set: SequenceSet { ranges: [(Number(1), Highest)] }, is_uid: true }, items: [Flags], changed_since: None }",
            ),
        );
        check(
            "a LIST \"\" \"*\" RETURN (SPECIAL-USE STATUS (MESSAGES))",
            Ok("special_use: true, status: Some([Messages])"),
        );
        check("a UID SEARCH RETURN (COUNT) NOT (OR SEEN FROM {1}\r\nx) 1:5", Ok("And([Not(Or("));
        check("a STORE 1 (UNCHANGEDSINCE 5) +FLAGS.SILENT (\\Seen $x)", Ok("Some(5)"));
        check("a STORE 1 FLAGS \\Seen \\Deleted", Ok("flags: [System(SystemFlags(1)), System(SystemFlags(8))]"));
        check("a ID (\"name\" \"x\" \"y\" NIL)", Ok("Id("));
        check("a LOGIN {5}\r\nalice {6+}\r\nsecret", Ok("Login"));
        check("a CREATE Sent (USE (\\Sent))", Ok("special_uses: [["));
        check("a SELECT INBOX (CONDSTORE)", Ok("condstore: true"));
        check("a UID NOOP", Err("behind UID"));
        check("a FETCH 0 FLAGS", Err("begin with 1"));
        check("a", Err("tag"));
    }
}
