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
    verb("APPEND", |_, _| Err("APPEND needs a message as a literal behind the mailbox, flags and date-time")),
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
    use super::super::tests::canonical;
    use super::*;

    /// `expected`: the command's canonical text, or a part of what is wrong with it.
    fn check(command: &str, expected: Result<&str, &str>) {
        match (parse(format!("a {command}").as_bytes()), expected) {
            (Err(seen), Err(expected)) => {
                assert!(seen.what.contains(expected), "{command:?}: {seen}");
                assert_eq!(seen.tag, Some(b"a".as_slice()));
            }
            (seen, expected) => {
                let seen = seen.map(|command| canonical::text(&command.request));
                assert_eq!(seen.as_deref().map_err(|error| error.what), expected, "{command:?}");
            }
        }
    }

    #[test]
    fn a_command_has_a_tag() {
        for (command, tag) in
            [("a NOOP", "a"), ("A.1]-~! NOOP", "A.1]-~!"), ("{ x", ""), ("", ""), ("a", ""), (" a NOOP", "")]
        {
            let seen =
                parse(command.as_bytes()).map_or_else(|error| error.tag.unwrap_or_default(), |command| command.tag);
            assert_eq!(seen, tag.as_bytes(), "{command:?}");
        }
        for command in ["+ NOOP", "a+ NOOP", "\"a\" NOOP", "a\tNOOP", "ä NOOP", "* OK", "\0 NOOP", "a(b NOOP"] {
            assert_eq!(parse(command.as_bytes()).unwrap_err().tag, None, "{command:?}");
        }
    }

    #[test]
    fn commands_without_arguments_have_none() {
        let names =
            ["CAPABILITY", "NOOP", "LOGOUT", "STARTTLS", "NAMESPACE", "IDLE", "CHECK", "CLOSE", "UNSELECT", "EXPUNGE"];
        for name in names {
            check(name, Ok(name));
            check(&name.to_lowercase(), Ok(name));
            check(&format!("{name} x"), Err("goes on where it should end"));
            check(&format!("{name}x"), Err("unknown command"));
        }
        for unknown in
            ["", " ", "X", "UIDFETCH 1 FLAGS", "NO\rOP", "NOOP\0", "SORT (DATE) UTF-8 ALL", "\"NOOP\"", "{4}\r\nNOOP"]
        {
            assert!(parse(format!("a {unknown}").as_bytes()).is_err(), "{unknown:?}");
        }
    }

    #[test]
    fn strings_are_atoms_quoted_or_literals() {
        check("LOGIN alice secret", Ok(r#"LOGIN "alice" "secret""#));
        check(r#"login "a\"b" "c\\d e""#, Ok(r#"LOGIN "a\"b" "c\\d e""#));
        check("LOGIN {5}\r\nalice {6+}\r\nsecret", Ok(r#"LOGIN "alice" "secret""#));
        check("LOGIN {0}\r\n {2}\r\n\r\n", Ok("LOGIN \"\" {2}\r\n\r\n"));
        check("LOGIN a]b \"\"", Ok(r#"LOGIN "a]b" """#));
        check("LOGIN a", Err("user's name and a password"));
        check("LOGIN a b c", Err("goes on"));
        check(r#"LOGIN a "b"#, Err("no end"));
        check(r#"LOGIN a "b\"#, Err("backslash"));
        check(r#"LOGIN a "b\c""#, Err("backslash"));
        check("LOGIN a \"b\r\nc\"", Err("CR, LF or NUL"));
        check("LOGIN a \"b\0\"", Err("CR, LF or NUL"));
        check("LOGIN a {1}\r\n\0", Err("NUL"));
        check("LOGIN a {5}\r\nb", Err("shorter"));
        check("LOGIN a {5}b", Err("literal"));
        check("LOGIN a ~{1}\r\nb", Err("goes on"));
        check("LOGIN a b%", Err("goes on"));
        check("LOGIN a pässword", Err("goes on"));
        check(r#"LOGIN "a""b""#, Err("user's name and a password"));
        check("LOGIN (a) b", Err("user's name and a password"));
        let shown = format!("{:?}", parse(b"a LOGIN alice secret").unwrap());
        assert!(!shown.contains("secret"), "{shown}");
    }

    #[test]
    fn sessions_are_set_up() {
        check("AUTHENTICATE plain", Ok("AUTHENTICATE PLAIN"));
        check("AUTHENTICATE PLAIN AGEAYg==", Ok("AUTHENTICATE PLAIN AGEAYg=="));
        check("AUTHENTICATE SCRAM-SHA-256 =", Ok("AUTHENTICATE SCRAM-SHA-256 ="));
        check("AUTHENTICATE", Err("mechanism"));
        check("AUTHENTICATE PLAIN a b", Err("goes on"));
        check("AUTHENTICATE PLAIN \"a\"", Err("goes on"));
        check(r#"ID ("name" "Mutt" "os" NIL)"#, Ok(r#"ID ("name" "Mutt" "os" NIL)"#));
        check("id nil", Ok("ID NIL"));
        check("ID ()", Ok("ID NIL"));
        check("ID", Err("NIL or pairs"));
        check(r#"ID ("name")"#, Err("NIL or pairs"));
        check("ID (name x)", Err("NIL or pairs"));
        check("ENABLE condstore UTF8=ACCEPT", Ok("ENABLE CONDSTORE UTF8=ACCEPT"));
        check("ENABLE", Err("capabilities"));
        check("COMPRESS deflate", Ok("COMPRESS DEFLATE"));
        check("COMPRESS", Err("algorithm"));
    }

    #[test]
    fn mailboxes_are_named() {
        check("SELECT inbox", Ok("SELECT \"INBOX\""));
        check("EXAMINE \"a b\" (condstore)", Ok("EXAMINE \"a b\" (CONDSTORE)"));
        check("SELECT a ()", Err("SELECT parameters"));
        check("SELECT a (FOO)", Err("unknown SELECT parameter"));
        check("SELECT", Err("name of a mailbox"));
        check("SELECT a b", Err("SELECT parameters"));
        check("CREATE a (USE (\\Sent \\Junk))", Ok("CREATE \"a\" (USE (\\Sent \\Junk))"));
        check("CREATE a (use ())", Ok("CREATE \"a\""));
        check("CREATE a (USE (Sent))", Err("special uses"));
        check("CREATE a (USE (\\))", Err("special uses"));
        check("CREATE a (USE (\\\\Sent))", Err("special uses"));
        check("CREATE a (FOO)", Err("unknown CREATE parameter"));
        check("RENAME a b", Ok(r#"RENAME "a" "b""#));
        check("RENAME a", Err("name of a mailbox"));
        check("DELETE {3}\r\na b", Ok(r#"DELETE "a b""#));
        check("SUBSCRIBE a", Ok("SUBSCRIBE \"a\""));
        check("UNSUBSCRIBE a", Ok("UNSUBSCRIBE \"a\""));
        check("STATUS a (messages UIDNEXT appendlimit)", Ok("STATUS \"a\" (MESSAGES UIDNEXT APPENDLIMIT)"));
        check("STATUS a ()", Err("STATUS items"));
        check("STATUS a MESSAGES", Err("STATUS items"));
        check("STATUS a (FOO)", Err("unknown STATUS item"));
        check("GETQUOTA \"\"", Ok("GETQUOTA \"\""));
        check("GETQUOTAROOT inbox", Ok("GETQUOTAROOT \"INBOX\""));
        check("SETQUOTA \"\" (STORAGE 512 MESSAGE 5)", Ok("SETQUOTA \"\" ()"));
        check("SETQUOTA \"\" (STORAGE)", Err("limits"));
    }

    #[test]
    fn mailboxes_are_listed() {
        check(r#"LIST "" *"#, Ok(r#"LIST "" "*""#));
        check(r#"LIST "" """#, Ok(r#"LIST "" """#));
        check("lsub a %/b*", Ok(r#"LSUB "a" "%/b*""#));
        check(r#"LIST () "" *"#, Ok(r#"LIST () "" ("*") RETURN ()"#));
        check(r#"LIST (subscribed recursivematch) "" %"#, Ok(r#"LIST (SUBSCRIBED RECURSIVEMATCH) "" ("%") RETURN ()"#));
        check(r#"LIST "" (a "b c" %)"#, Ok(r#"LIST () "" ("a" "b c" "%") RETURN ()"#));
        let returns = r#"LIST "" * RETURN (children STATUS (MESSAGES SIZE) SUBSCRIBED SPECIAL-USE)"#;
        check(returns, Ok(r#"LIST () "" ("*") RETURN (SUBSCRIBED CHILDREN SPECIAL-USE STATUS (MESSAGES SIZE))"#));
        check(r#"LIST (RECURSIVEMATCH) "" *"#, Err("RECURSIVEMATCH needs"));
        check(r#"LIST (RECURSIVEMATCH REMOTE) "" *"#, Err("RECURSIVEMATCH needs"));
        check(r#"LIST (FOO) "" *"#, Err("unknown LIST selection"));
        check(r#"LIST "" * RETURN (FOO)"#, Err("unknown option behind RETURN"));
        check(r#"LIST "" * RETURN (STATUS ())"#, Err("STATUS items"));
        check(r#"LIST "" * FOO"#, Err("expected RETURN"));
        check(r#"LIST "" ()"#, Err("pattern"));
        check("LIST *", Err("name of a mailbox"));
        check("LIST a", Err("pattern"));
        check(r#"LSUB "" (a)"#, Err("pattern"));
    }

    #[test]
    fn messages_are_fetched() {
        check("FETCH 1 ALL", Ok("FETCH 1 (FLAGS INTERNALDATE RFC822.SIZE ENVELOPE)"));
        check("FETCH 1 fast", Ok("FETCH 1 (FLAGS INTERNALDATE RFC822.SIZE)"));
        check("FETCH 1 FULL", Ok("FETCH 1 (FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODY)"));
        check("uid fetch 1:*,5 flags", Ok("UID FETCH 1:*,5 (FLAGS)"));
        check("FETCH 1 (BODY BODY[] BODY.PEEK[]<0.5>)", Ok("FETCH 1 (BODY BODY[] BODY.PEEK[]<0.5>)"));
        check(
            "FETCH 1 (rfc822 RFC822.header rfc822.text rfc822.size)",
            Ok("FETCH 1 (RFC822 RFC822.HEADER RFC822.TEXT RFC822.SIZE)"),
        );
        check("FETCH 1 BODY[1.2.header]", Ok("FETCH 1 (BODY[1.2.HEADER])"));
        check("FETCH 1 BODY[1.MIME]<5.6>", Ok("FETCH 1 (BODY[1.MIME]<5.6>)"));
        check("FETCH 1 BODY[HEADER.FIELDS (Date \"X-A\")]", Ok(r#"FETCH 1 (BODY[HEADER.FIELDS ("Date" "X-A")])"#));
        check("FETCH 1 BODY[4.HEADER.FIELDS.NOT ({4}\r\nDate)]", Ok(r#"FETCH 1 (BODY[4.HEADER.FIELDS.NOT ("Date")])"#));
        check("FETCH 1 (FLAGS) (CHANGEDSINCE 5)", Ok("FETCH 1 (FLAGS) (CHANGEDSINCE 5)"));
        for wrong in [
            "()",
            "(ALL)",
            "FOO",
            "(FLAGS FOO)",
            "FLAGS UID",
            "(FLAGS UID",
            "(FLAGS)UID",
            "(FLAGS,UID)",
            "BODY.PEEK",
            "RFC822.PEEK",
        ] {
            assert!(parse(format!("a FETCH 1 {wrong}").as_bytes()).is_err(), "{wrong:?}");
        }
        for wrong in [
            "[0]",
            "[1.]",
            "[.1]",
            "[1",
            "[MIME]",
            "[FOO]",
            "[1.FOO]",
            "[HEADER.FIELDS]",
            "[HEADER.FIELDS ()]",
            "[TEXT.1]",
            "[1 ]",
        ] {
            assert!(parse(format!("a FETCH 1 BODY{wrong}").as_bytes()).is_err(), "{wrong:?}");
        }
        for wrong in ["<>", "<1>", "<1.>", "<.1>", "<1.0>", "<1.2", "<-1.2>", "<1.9999999999999999999>", "<1.2>x"] {
            assert!(parse(format!("a FETCH 1 BODY[]{wrong}").as_bytes()).is_err(), "{wrong:?}");
        }
        check("FETCH 0 FLAGS", Err("begin with 1"));
        check("FETCH $ FLAGS", Err("sequence set"));
        check("FETCH 1 FLAGS (CHANGEDSINCE)", Err("number behind CHANGEDSINCE"));
        check("FETCH 1 FLAGS (CHANGEDSINCE 9223372036854775808)", Err("63 bits"));
        check("FETCH 1 FLAGS ()", Err("FETCH modifiers"));
        check("FETCH 1", Err("FETCH items"));
    }

    #[test]
    fn flags_are_stored() {
        check("STORE 1 FLAGS ()", Ok("STORE 1 FLAGS ()"));
        check("uid store 1,2 +flags.silent (\\seen $Forwarded)", Ok("UID STORE 1,2 +FLAGS.SILENT (\\Seen $Forwarded)"));
        check("STORE 1 -FLAGS \\Deleted x", Ok("STORE 1 -FLAGS (\\Deleted x)"));
        check(
            "STORE 1 (UNCHANGEDSINCE 0) FLAGS.SILENT (\\Recent)",
            Ok("STORE 1 (UNCHANGEDSINCE 0) FLAGS.SILENT (\\Recent)"),
        );
        check("STORE 1 FLAGS", Err("flag"));
        check("STORE 1 FLAGS (\\*)", Err("flag"));
        check("STORE 1 FLAGS (\\)", Err("flag"));
        check("STORE 1 FLAGS (\\\\Seen)", Err("flag"));
        check("STORE 1 FLAGS (a]b)", Err("space or )"));
        check("STORE 1 FLAGS (\"a\")", Err("flag"));
        check("STORE 1 FLAGSX (a)", Err("expected FLAGS"));
        check("STORE 1 *FLAGS (a)", Err("expected FLAGS"));
        check("STORE 1 + FLAGS (a)", Err("expected FLAGS"));
        check("STORE 1 (FOO 1) FLAGS (a)", Err("unknown STORE modifier"));
        check("STORE 1 () FLAGS (a)", Err("STORE modifier"));
    }

    #[test]
    fn messages_are_copied_and_removed() {
        check("COPY 1:5 inbox", Ok("COPY 1:5 \"INBOX\""));
        check("UID MOVE * \"a b\"", Ok("UID MOVE * \"a b\""));
        check("COPY 1", Err("name of a mailbox"));
        check("COPY a b", Err("sequence set"));
        check("UID EXPUNGE 1:5", Ok("UID EXPUNGE 1:5"));
        check("UID EXPUNGE", Err("sequence set"));
        check("EXPUNGE 1", Err("goes on"));
        check("UID NOOP", Err("behind UID"));
        check("UID UID FETCH 1 FLAGS", Err("unknown command"));
        check("UID", Err("behind UID"));
    }

    #[test]
    fn messages_are_searched() {
        check("SEARCH all", Ok("SEARCH ALL"));
        check("UID SEARCH UNSEEN 1:5 uid 7", Ok("UID SEARCH (NOT SEEN 1:5 UID 7)"));
        check("SEARCH NEW OLD RECENT", Ok("SEARCH ((RECENT NOT SEEN) NOT RECENT RECENT)"));
        check("SEARCH OR NOT seen (ANSWERED DRAFT) (ALL)", Ok("SEARCH (OR NOT SEEN (ANSWERED DRAFT) ALL)"));
        check(
            "SEARCH FROM a to \"b c\" CC {1}\r\nd",
            Ok(r#"SEARCH (HEADER "From" "a" HEADER "To" "b c" HEADER "Cc" "d")"#),
        );
        check("SEARCH HEADER X-A \"\" BODY b TEXT c", Ok(r#"SEARCH (HEADER "X-A" "" BODY "b" TEXT "c")"#));
        check("SEARCH KEYWORD $a UNKEYWORD b", Ok("SEARCH (KEYWORD $a NOT KEYWORD b)"));
        check("SEARCH SINCE 1-Feb-1994 SENTON \"02-mar-1995\"", Ok("SEARCH (SINCE 1-Feb-1994 SENTON 2-Mar-1995)"));
        check("SEARCH LARGER 5 SMALLER 9223372036854775807", Ok("SEARCH (LARGER 5 SMALLER 9223372036854775807)"));
        check("SEARCH MODSEQ 5 MODSEQ \"/flags/\\\\Seen\" all 6", Ok("SEARCH (MODSEQ 5 MODSEQ 6)"));
        check("SEARCH RETURN (min COUNT) CHARSET \"utf-8\" 1", Ok("SEARCH RETURN (MIN COUNT) CHARSET \"utf-8\" 1"));
        check("SEARCH RETURN () *", Ok("SEARCH RETURN (ALL) *"));
        check("SEARCH RETURN (SAVE) 1", Err("unknown option behind RETURN"));
        check("SEARCH RETURN (MIN)", Err("SEARCH key"));
        check("SEARCH CHARSET UTF-8", Err("SEARCH key"));
        check("SEARCH", Err("SEARCH key"));
        check("SEARCH FOO", Err("SEARCH key"));
        check("SEARCH ()", Err("SEARCH key"));
        check("SEARCH (SEEN", Err("space or )"));
        check("SEARCH SEEN)", Err("goes on"));
        check("SEARCH NOT", Err("SEARCH key"));
        check("SEARCH OR SEEN", Err("second SEARCH key"));
        check("SEARCH FROM", Err("text"));
        check("SEARCH HEADER a", Err("text"));
        check("SEARCH SINCE 30-Feb-1994", Err("does not have that day"));
        check("SEARCH SINCE yesterday", Err("date"));
        check("SEARCH KEYWORD \\Seen", Err("keyword"));
        check("SEARCH LARGER -1", Err("number"));
        check("SEARCH MODSEQ \"/x\" all 6", Err("MODSEQ entry"));
        check("SEARCH MODSEQ \"/flags/x\" some 6", Err("priv, shared or all"));
    }

    #[test]
    fn spaces_do_no_harm() {
        check("NOOP  ", Ok("NOOP"));
        check(" NOOP", Ok("NOOP"));
        check("UID  FETCH  1  ( FLAGS  UID )  ( CHANGEDSINCE  5 ) ", Ok("UID FETCH 1 (FLAGS UID) (CHANGEDSINCE 5)"));
        check("SEARCH  ( SEEN )  1 ", Ok("SEARCH (SEEN 1)"));
        check("STORE 1  +FLAGS  \\Seen  x ", Ok("STORE 1 +FLAGS (\\Seen x)"));
    }
}
