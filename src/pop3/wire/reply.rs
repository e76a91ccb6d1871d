use std::borrow::Cow;

/// An extended response code (RFC 2449 §8, RFC 3206).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// The credentials are at fault.
    Auth,
    /// Another session has the maildrop.
    InUse,
    /// A fault of ours; try again later.
    SysTemp,
}

impl Code {
    fn text(self) -> &'static str {
        match self {
            Self::Auth => "[AUTH] ",
            Self::InUse => "[IN-USE] ",
            Self::SysTemp => "[SYS/TEMP] ",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Status {
    Ok,
    Error,
    Challenge,
}

/// A reply, with the lines behind it when it has several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    status: Status,
    code: Option<Code>,
    text: Cow<'static, str>,
    lines: Option<Vec<Cow<'static, str>>>,
}

impl Reply {
    /// `+OK`
    pub fn ok(text: impl Into<Cow<'static, str>>) -> Self {
        Self { status: Status::Ok, code: None, text: clean(text.into()), lines: None }
    }

    /// `-ERR`
    pub fn error(text: impl Into<Cow<'static, str>>) -> Self {
        Self { status: Status::Error, ..Self::ok(text) }
    }

    /// `-ERR` with a response code.
    pub fn coded(code: Code, text: impl Into<Cow<'static, str>>) -> Self {
        Self { code: Some(code), ..Self::error(text) }
    }

    /// `+` and a challenge in base64, which may be empty.
    // RFC 5034 §4
    pub fn challenge(base64: impl Into<Cow<'static, str>>) -> Self {
        Self { status: Status::Challenge, ..Self::ok(base64) }
    }

    /// With lines behind it, to be ended by a dot.
    #[must_use]
    pub fn with_lines(mut self, lines: Vec<Cow<'static, str>>) -> Self {
        self.lines = Some(lines.into_iter().map(clean).collect());
        self
    }

    /// Appends it as it goes over the wire.
    // RFC 1939 §3
    pub fn write_to(&self, out: &mut Vec<u8>) {
        let status = match self.status {
            Status::Ok if self.text.is_empty() => "+OK",
            Status::Ok => "+OK ",
            Status::Error => "-ERR ",
            Status::Challenge => "+ ",
        };
        for part in [status, self.code.map_or("", Code::text), &self.text, "\r\n"] {
            out.extend_from_slice(part.as_bytes());
        }
        for line in self.lines.iter().flatten() {
            if line.starts_with('.') {
                out.push(b'.');
            }
            out.extend_from_slice(line.as_bytes());
            out.extend_from_slice(b"\r\n");
        }
        if self.lines.is_some() {
            out.extend_from_slice(b".\r\n");
        }
    }
}

/// A control character would end the line early: it becomes a question mark, whoever wrote it.
fn clean(text: Cow<'static, str>) -> Cow<'static, str> {
    if text.contains(char::is_control) { Cow::Owned(text.replace(char::is_control, "?")) } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(reply: &Reply, expected: &str) {
        let mut out = Vec::new();
        reply.write_to(&mut out);
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn replies_are_lines_that_nothing_breaks() {
        check(&Reply::ok("done"), "+OK done\r\n");
        check(&Reply::ok(""), "+OK\r\n");
        check(&Reply::challenge(""), "+ \r\n");
        check(&Reply::challenge("VXNl"), "+ VXNl\r\n");
        check(&Reply::error("no"), "-ERR no\r\n");
        check(&Reply::coded(Code::InUse, "busy"), "-ERR [IN-USE] busy\r\n");
        check(&Reply::ok("x\r\n+OK y"), "+OK x??+OK y\r\n");
        check(
            &Reply::ok("list").with_lines(vec!["a".into(), ".b".into(), "c\nd".into()]),
            "+OK list\r\na\r\n..b\r\nc?d\r\n.\r\n",
        );
        check(&Reply::ok("none").with_lines(vec![]), "+OK none\r\n.\r\n");
    }
}
