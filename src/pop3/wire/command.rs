use crate::base::{Secret, limits};

/// A command, its arguments read. Numbers are as the client wrote them: whether there is such a message is for the
/// session to say.
pub enum Command<'a> {
    /// RFC 1939 §7
    User(&'a str),
    /// RFC 1939 §7. The password may hold spaces.
    Pass(Secret<String>),
    /// RFC 5034 §4; without a mechanism it asks for the list (RFC 1734's habit).
    Auth(Option<AuthArguments<'a>>),
    /// RFC 2595 §4
    Stls,
    /// RFC 2449 §5
    Capa,
    /// RFC 1939 §5
    Stat,
    /// RFC 1939 §5
    List(Option<u32>),
    /// RFC 1939 §7
    Uidl(Option<u32>),
    /// RFC 1939 §5
    Retr(u32),
    /// RFC 1939 §7: the header and so many lines of the body.
    Top(u32, u32),
    /// RFC 1939 §5
    Dele(u32),
    /// RFC 1939 §5
    Noop,
    /// RFC 1939 §5
    Rset,
    /// RFC 1939 §4, §6
    Quit,
}

/// What stands behind AUTH.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuthArguments<'a> {
    /// The mechanism's name.
    pub mechanism: &'a [u8],
    /// The initial response, still encoded.
    pub initial: Option<&'a [u8]>,
}

/// Why a line is no command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// No such verb.
    #[error("unknown command")]
    Unknown,
    /// The verb's arguments are not what it takes; the text says what it takes.
    #[error("{0}")]
    Syntax(&'static str),
    /// Another protocol speaks: somebody has pointed a browser at us (ALPACA).
    #[error("another protocol")]
    Foreign,
}

type Read = for<'a> fn(&'a [u8]) -> Option<Command<'a>>;

/// Each verb, the reader of its arguments, and how it is used.
const VERBS: [(&str, Read, &str); 14] = [
    ("USER", user, "usage: USER name"),
    ("PASS", pass, "usage: PASS password"),
    ("AUTH", auth, "usage: AUTH mechanism [initial-response]"),
    ("STLS", |rest| none(rest, Command::Stls), "usage: STLS"),
    ("CAPA", |rest| none(rest, Command::Capa), "usage: CAPA"),
    ("STAT", |rest| none(rest, Command::Stat), "usage: STAT"),
    ("LIST", |rest| optional_number(rest).map(Command::List), "usage: LIST [message]"),
    ("UIDL", |rest| optional_number(rest).map(Command::Uidl), "usage: UIDL [message]"),
    ("RETR", |rest| number(rest).map(Command::Retr), "usage: RETR message"),
    ("TOP", top, "usage: TOP message lines"),
    ("DELE", |rest| number(rest).map(Command::Dele), "usage: DELE message"),
    ("NOOP", |rest| none(rest, Command::Noop), "usage: NOOP"),
    ("RSET", |rest| none(rest, Command::Rset), "usage: RSET"),
    ("QUIT", |rest| none(rest, Command::Quit), "usage: QUIT"),
];

/// First words of HTTP and SMTP clients.
const FOREIGN: [&str; 9] = ["GET", "POST", "PUT", "HEAD", "OPTIONS", "CONNECT", "DELETE", "HELO", "EHLO"];

/// Reads a line without its CRLF.
///
/// # Errors
/// [`CommandError`].
// RFC 1939 §3: a keyword, in any case, and arguments behind single spaces
pub fn parse(line: &[u8]) -> Result<Command<'_>, CommandError> {
    let space = line.iter().position(|byte| *byte == b' ').unwrap_or(line.len());
    let (verb, rest) = line.split_at_checked(space).unwrap_or((line, &[]));
    let is = |name: &&str| verb.eq_ignore_ascii_case(name.as_bytes());
    if let Some((_, read, usage)) = VERBS.iter().find(|(name, ..)| is(name)) {
        return read(rest).ok_or(CommandError::Syntax(usage));
    }
    Err(if FOREIGN.iter().any(is) { CommandError::Foreign } else { CommandError::Unknown })
}

/// The arguments, without the space before them; spaces behind them do no harm.
fn arguments(rest: &[u8]) -> &[u8] {
    rest.strip_prefix(b" ").unwrap_or(rest).trim_ascii_end()
}

fn none<'a>(rest: &[u8], command: Command<'a>) -> Option<Command<'a>> {
    arguments(rest).is_empty().then_some(command)
}

fn user(rest: &[u8]) -> Option<Command<'_>> {
    let name = std::str::from_utf8(arguments(rest)).ok()?;
    (!name.is_empty() && !name.contains(char::is_control)).then_some(Command::User(name))
}

fn pass(rest: &[u8]) -> Option<Command<'_>> {
    // Spaces before and behind belong to the password.
    let password = std::str::from_utf8(rest.strip_prefix(b" ")?).ok()?;
    let is_password = (1..=limits::PASSWORD_BYTES).contains(&password.len()) && !password.contains('\0');
    is_password.then(|| Command::Pass(Secret::new(password.to_owned())))
}

fn auth(rest: &[u8]) -> Option<Command<'_>> {
    let mut words = arguments(rest).split(|byte| *byte == b' ');
    let mechanism = words.next().filter(|word| !word.is_empty());
    let initial = words.next();
    let is_whole = words.next().is_none() && initial.is_none_or(|word| !word.is_empty());
    is_whole.then(|| Command::Auth(mechanism.map(|mechanism| AuthArguments { mechanism, initial })))
}

fn top(rest: &[u8]) -> Option<Command<'_>> {
    let arguments = arguments(rest);
    let space = arguments.iter().position(|byte| *byte == b' ')?;
    let (message, lines) = arguments.split_at_checked(space)?;
    Some(Command::Top(number(message)?, number(lines)?))
}

fn optional_number(rest: &[u8]) -> Option<Option<u32>> {
    if arguments(rest).is_empty() { Some(None) } else { number(rest).map(Some) }
}

/// Digits alone. A number that is too large is no message's number and more lines than any message has.
fn number(rest: &[u8]) -> Option<u32> {
    let digits = arguments(rest);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let add = |sum: u32, digit: &u8| sum.saturating_mul(10).saturating_add(u32::from(digit.wrapping_sub(b'0')));
    Some(digits.iter().fold(0, add))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(line: &[u8]) -> Result<String, CommandError> {
        let opt = |number: Option<u32>| number.map_or("-".to_owned(), |number| number.to_string());
        parse(line).map(|command| match command {
            Command::User(name) => format!("user {name}"),
            Command::Pass(password) => format!("pass {}", password.expose()),
            Command::Auth(None) => "auth".into(),
            Command::Auth(Some(AuthArguments { mechanism, initial })) => {
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                format!("auth {} {}", text(mechanism), initial.map_or("-".into(), text))
            }
            Command::Stls => "stls".into(),
            Command::Capa => "capa".into(),
            Command::Stat => "stat".into(),
            Command::List(number) => format!("list {}", opt(number)),
            Command::Uidl(number) => format!("uidl {}", opt(number)),
            Command::Retr(number) => format!("retr {number}"),
            Command::Top(number, lines) => format!("top {number} {lines}"),
            Command::Dele(number) => format!("dele {number}"),
            Command::Noop => "noop".into(),
            Command::Rset => "rset".into(),
            Command::Quit => "quit".into(),
        })
    }

    fn check(line: &str, expected: Result<&str, CommandError>) {
        assert_eq!(shown(line.as_bytes()), expected.map(str::to_owned), "{line:?}");
    }

    #[test]
    fn commands_are_read_in_any_case() {
        check("USER alice@example.test", Ok("user alice@example.test"));
        check("user zoë", Ok("user zoë"));
        check("PASS a b  c ", Ok("pass a b  c "));
        check("pASS  x", Ok("pass  x"));
        check("AUTH", Ok("auth"));
        check("AUTH PLAIN", Ok("auth PLAIN -"));
        check("AUTH PLAIN AGEAYg==", Ok("auth PLAIN AGEAYg=="));
        check("AUTH PLAIN =", Ok("auth PLAIN ="));
        check("stls", Ok("stls"));
        check("Capa ", Ok("capa"));
        check("STAT", Ok("stat"));
        check("LIST", Ok("list -"));
        check("LIST 7", Ok("list 7"));
        check("UIDL 007", Ok("uidl 7"));
        check("RETR 99999999999999999999", Ok("retr 4294967295"));
        check("TOP 1 0", Ok("top 1 0"));
        check("DELE 1", Ok("dele 1"));
        check("NOOP", Ok("noop"));
        check("RSET", Ok("rset"));
        check("QUIT", Ok("quit"));
    }

    #[test]
    fn what_is_no_command_is_said() {
        let wrong = [
            "USER",
            "USER ",
            "USER a\nQUIT",
            "USER a\0",
            "PASS",
            "PASS ",
            "PASS a\0b",
            "AUTH PLAIN a b",
            "AUTH PLAIN  a",
            "STLS now",
        ];
        let wrong = wrong.into_iter().chain([
            "STAT 1",
            "LIST a",
            "LIST 1 2",
            "LIST -1",
            "LIST +1",
            "RETR",
            "RETR 1 2",
            "TOP 1",
            "TOP 1  2 3",
        ]);
        for line in wrong.chain(["TOP 1 -1", "TOP a 1", "DELE", "DELE 0x1", "NOOP x", "QUIT\nQUIT x", "QUIT\rx"]) {
            let seen = shown(line.as_bytes());
            assert!(matches!(seen, Err(CommandError::Syntax(_) | CommandError::Unknown)), "{line:?} {seen:?}");
        }
        for line in ["", " ", "USE", "USERS a", "XTND", "APOP a b", " QUIT", "QUIT\0", "TOP\t1 1"] {
            check(line, Err(CommandError::Unknown));
        }
        for line in ["GET / HTTP/1.1", "post / HTTP/1.0", "CONNECT x:25 HTTP/1.1", "EHLO x"] {
            check(line, Err(CommandError::Foreign));
        }
        assert_eq!(shown(b"USER \xff"), Err(CommandError::Syntax("usage: USER name")));
    }

    proptest! {
        #[test]
        fn no_line_makes_it_panic(verb in "(USER|PASS|AUTH|LIST|TOP|RETR)?", rest in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = shown(&[verb.as_bytes(), &rest].concat());
        }
    }
}
