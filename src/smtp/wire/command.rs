/// A verb that is known, whether or not it is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "a verb is its own name")]
pub enum Verb {
    Helo,
    Ehlo,
    Mail,
    Rcpt,
    Data,
    Rset,
    Noop,
    Quit,
    Help,
    Starttls,
    Auth,
    Vrfy,
    Expn,
    Turn,
    Etrn,
    Atrn,
    Bdat,
    Send,
    Soml,
    Saml,
    Verb,
}

const VERBS: [(Verb, &str); 21] = [
    (Verb::Mail, "MAIL"),
    (Verb::Rcpt, "RCPT"),
    (Verb::Data, "DATA"),
    (Verb::Ehlo, "EHLO"),
    (Verb::Helo, "HELO"),
    (Verb::Rset, "RSET"),
    (Verb::Noop, "NOOP"),
    (Verb::Quit, "QUIT"),
    (Verb::Help, "HELP"),
    (Verb::Starttls, "STARTTLS"),
    (Verb::Auth, "AUTH"),
    (Verb::Vrfy, "VRFY"),
    (Verb::Expn, "EXPN"),
    (Verb::Turn, "TURN"),
    (Verb::Etrn, "ETRN"),
    (Verb::Atrn, "ATRN"),
    (Verb::Bdat, "BDAT"),
    (Verb::Send, "SEND"),
    (Verb::Soml, "SOML"),
    (Verb::Saml, "SAML"),
    (Verb::Verb, "VERB"),
];

/// What a browser or a script in one would say to us (the cross-protocol attacks that ALPACA describes).
const OTHER_PROTOCOLS: [&str; 10] =
    ["GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "CONNECT", "TRACE", "PATCH", "PRI"];

/// One command line: the verb, and what stands behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request<'a> {
    /// The verb.
    pub verb: Verb,
    /// Everything behind the space that follows the verb, without spaces at its end.
    pub argument: &'a str,
}

/// Why a line is not a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// No such verb.
    #[error("unknown verb")]
    Unknown,
    /// HTTP: whatever follows was not meant for a mail server.
    #[error("another protocol")]
    OtherProtocol,
    /// A control character, or bytes that are not UTF-8.
    #[error("a control character, or not UTF-8")]
    Characters,
}

impl Verb {
    /// Its name.
    pub fn name(self) -> &'static str {
        VERBS.iter().find(|(verb, _)| *verb == self).map_or("", |(_, name)| name)
    }

    /// The verb of that name, in any case.
    // RFC 5321 §2.4
    pub fn parse(name: &str) -> Option<Self> {
        VERBS.iter().find(|(_, known)| name.eq_ignore_ascii_case(known)).map(|(verb, _)| *verb)
    }
}

/// Reads a line without its CRLF.
///
/// # Errors
/// [`CommandError`].
pub fn parse(line: &[u8]) -> Result<Request<'_>, CommandError> {
    // RFC 6531 §3.2: a command may be UTF-8; it never holds a control character.
    let text = std::str::from_utf8(line).map_err(|_| CommandError::Characters)?;
    if text.bytes().any(|byte| byte.is_ascii_control()) || (!text.is_ascii() && text.chars().any(char::is_control)) {
        return Err(CommandError::Characters);
    }
    // RFC 5321 §4.1.1: white space at the end of a line is tolerated.
    let text = text.trim_end_matches(' ');
    let (name, argument) = text.split_once(' ').unwrap_or((text, ""));
    match Verb::parse(name) {
        Some(verb) => Ok(Request { verb, argument }),
        None if OTHER_PROTOCOLS.contains(&name) => Err(CommandError::OtherProtocol),
        None => Err(CommandError::Unknown),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &[u8], expected: Result<(Verb, &str), CommandError>) {
        let expected = expected.map(|(verb, argument)| Request { verb, argument });
        assert_eq!(parse(line), expected, "{}", String::from_utf8_lossy(line));
    }

    #[test]
    fn a_line_is_a_verb_and_its_argument() {
        check(b"QUIT", Ok((Verb::Quit, "")));
        check(b"quit  ", Ok((Verb::Quit, "")));
        check(b"mAiL FROM:<a@b.test> SIZE=5 ", Ok((Verb::Mail, "FROM:<a@b.test> SIZE=5")));
        check("VRFY zoë".as_bytes(), Ok((Verb::Vrfy, "zoë")));
        check(b"STARTTLS", Ok((Verb::Starttls, "")));
        for (verb, name) in VERBS {
            check(name.as_bytes(), Ok((verb, "")));
            assert_eq!(verb.name(), name);
        }
        for unknown in ["", " ", " QUIT", "MAILFROM:<a@b.test>", "XCLIENT a", "STARTTLSX", "get / HTTP/1.1"] {
            check(unknown.as_bytes(), Err(CommandError::Unknown));
        }
        for line in ["GET / HTTP/1.1", "POST /", "CONNECT a:25 HTTP/1.1", "PRI * HTTP/2.0"] {
            check(line.as_bytes(), Err(CommandError::OtherProtocol));
        }
        for line in [
            &b"NOOP \0"[..],
            b"NO\rOP",
            b"NOOP\t",
            b"NOOP \x7f",
            b"NOOP \xff",
            b"\x16\x03\x01",
            "NOOP \u{85}".as_bytes(),
        ] {
            check(line, Err(CommandError::Characters));
        }
    }
}
