use std::borrow::Cow;
use std::fmt;

/// An enhanced status code (RFC 3463 §2): class, subject, detail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Enhanced(pub u8, pub u16, pub u16);

impl fmt::Display for Enhanced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

/// Whose fault a refusal is. A fault of ours is always temporary: a server error never bounces mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nobody's: it went well.
    None,
    /// The other side's.
    Theirs,
    /// Ours.
    Ours,
}

/// An SMTP reply as a value: what is said, and privately why.
///
/// The public lines never carry the cause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    code: u16,
    enhanced: Option<Enhanced>,
    lines: Vec<Cow<'static, str>>,
    cause: Option<String>,
    fault: Fault,
}

impl Reply {
    /// A reply of one line, with an enhanced code.
    ///
    /// # Panics
    /// In debug builds, when the classes of the two codes differ (RFC 2034 §4) or `text` holds a control character.
    pub fn new(code: u16, enhanced: Enhanced, text: impl Into<Cow<'static, str>>) -> Self {
        debug_assert_eq!(code / 100, u16::from(enhanced.0), "code class and enhanced class are the same");
        Self::plain(code, text).enhanced_by(enhanced)
    }

    /// A reply without an enhanced code: the greeting, HELO, EHLO, 334 and 354 (RFC 2034 §4).
    ///
    /// # Panics
    /// In debug builds, when `text` holds a control character.
    pub fn plain(code: u16, text: impl Into<Cow<'static, str>>) -> Self {
        let fault = if code < 400 { Fault::None } else { Fault::Theirs };
        Self { code, enhanced: None, lines: vec![clean(text.into())], cause: None, fault }
    }

    fn enhanced_by(mut self, enhanced: Enhanced) -> Self {
        self.enhanced = Some(enhanced);
        self
    }

    /// A fault of ours: the reply is temporary whatever happened, and `cause` is for the log alone.
    pub fn our_fault(
        code: u16,
        enhanced: Enhanced,
        text: impl Into<Cow<'static, str>>,
        cause: impl Into<String>,
    ) -> Self {
        debug_assert_eq!(code / 100, 4, "a fault of ours is temporary");
        let mut reply = Self::new(code, enhanced, text).because(cause);
        reply.fault = Fault::Ours;
        reply
    }

    /// Adds a line.
    #[must_use]
    pub fn and(mut self, line: impl Into<Cow<'static, str>>) -> Self {
        self.lines.push(clean(line.into()));
        self
    }

    /// Adds the private cause.
    #[must_use]
    pub fn because(mut self, cause: impl Into<String>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// The three digits.
    pub fn code(&self) -> u16 {
        self.code
    }

    /// The enhanced code, where the reply has one.
    pub fn enhanced(&self) -> Option<Enhanced> {
        self.enhanced
    }

    /// The first line's text.
    pub fn text(&self) -> &str {
        self.lines.first().map_or("", |line| line)
    }

    /// What the log may say about it.
    pub fn cause(&self) -> Option<&str> {
        self.cause.as_deref()
    }

    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        self.fault
    }

    /// 2xx or 3xx.
    pub fn is_positive(&self) -> bool {
        self.code < 400
    }

    /// Appends the reply as it goes over the wire (RFC 5321 §4.2.1), every line with its CRLF.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        let last = self.lines.len().saturating_sub(1);
        for (number, line) in self.lines.iter().enumerate() {
            let separator = if number == last { ' ' } else { '-' };
            out.extend_from_slice(format!("{}{separator}", self.code).as_bytes());
            if let Some(enhanced) = self.enhanced {
                out.extend_from_slice(format!("{enhanced} ").as_bytes());
            }
            out.extend_from_slice(line.as_bytes());
            out.extend_from_slice(b"\r\n");
        }
    }
}

/// A control character in a reply would end its line early: it becomes a question mark, whoever wrote it.
fn clean(text: Cow<'static, str>) -> Cow<'static, str> {
    if text.chars().any(char::is_control) {
        Cow::Owned(text.chars().map(|c| if c.is_control() { '?' } else { c }).collect())
    } else {
        text
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.enhanced {
            Some(enhanced) => write!(f, "{} {enhanced} {}", self.code, self.text()),
            None => write!(f, "{} {}", self.code, self.text()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire(reply: &Reply) -> String {
        let mut out = Vec::new();
        reply.write_to(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn lines_are_joined_by_hyphens_and_ended_by_a_space() {
        assert_eq!(
            wire(&Reply::plain(250, "mx.example").and("SIZE 1").and("HELP")),
            "250-mx.example\r\n250-SIZE 1\r\n250 HELP\r\n"
        );
        assert_eq!(wire(&Reply::new(214, Enhanced(2, 0, 0), "a").and("b")), "214-2.0.0 a\r\n214 2.0.0 b\r\n");
    }

    #[test]
    fn the_cause_stays_private_and_no_text_can_end_a_line() {
        let reply = Reply::our_fault(451, Enhanced(4, 3, 0), "try\r\n250 later", "disk on fire");
        assert_eq!(wire(&reply), "451 4.3.0 try??250 later\r\n");
        assert_eq!((reply.cause(), reply.fault()), (Some("disk on fire"), Fault::Ours));
    }
}
