use super::answer::Answer;
use crate::sasl::Mechanism;

/// What a server's answer to EHLO announces (RFC 5321 §4.1.1.1), as far as a client makes use of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Extensions {
    /// RFC 2920
    pub pipelining: bool,
    /// RFC 1870
    pub size: Size,
    /// RFC 6152
    pub eight_bit_mime: bool,
    /// RFC 3207
    pub starttls: bool,
    /// The mechanisms of AUTH (RFC 4954) that are built here.
    pub auth: Vec<Mechanism>,
    /// RFC 6531
    pub smtputf8: bool,
    /// RFC 3030
    pub chunking: bool,
    /// RFC 3461
    pub dsn: bool,
    /// RFC 8689
    pub require_tls: bool,
    /// RFC 2852
    pub deliver_by: bool,
    /// RFC 6710
    pub mt_priority: bool,
    /// RFC 9422
    pub limits: Limits,
}

/// What LIMITS says: how much one session, and one transaction, may bring. `None`: it does not say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// MAILMAX: transactions of a session.
    pub mails: Option<usize>,
    /// RCPTMAX: recipients of a transaction.
    pub recipients: Option<usize>,
    /// RCPTDOMAINMAX: domains of a transaction's recipients.
    pub domains: Option<usize>,
}

/// What SIZE says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Size {
    /// It is not announced.
    #[default]
    Unknown,
    /// MAIL takes the parameter; no limit is told.
    Any,
    /// Octets that a message may have.
    Max(u64),
}

impl Extensions {
    /// Reads the lines behind the first. What is not known, or not understood, is passed over.
    pub fn read(answer: &Answer) -> Self {
        let mut extensions = Self::default();
        for line in answer.lines().iter().skip(1) {
            extensions.add(line);
        }
        extensions
    }

    fn add(&mut self, line: &str) {
        let mut words = line.split_ascii_whitespace();
        // RFC 5321 §2.4: a keyword is known in any case.
        let keyword = words.next().unwrap_or_default().to_ascii_uppercase();
        match keyword.as_str() {
            "PIPELINING" => self.pipelining = true,
            "8BITMIME" => self.eight_bit_mime = true,
            "STARTTLS" => self.starttls = true,
            "SMTPUTF8" => self.smtputf8 = true,
            "CHUNKING" => self.chunking = true,
            "DSN" => self.dsn = true,
            "REQUIRETLS" => self.require_tls = true,
            "DELIVERBY" => self.deliver_by = true,
            "MT-PRIORITY" => self.mt_priority = true,
            "LIMITS" => words.for_each(|word| self.limits.add(word)),
            "SIZE" => self.size = size(words.next()),
            "AUTH" => self.add_mechanisms(words),
            // Servers of the nineties write AUTH=LOGIN for clients of their time.
            _ => {
                if let Some(first) = keyword.strip_prefix("AUTH=") {
                    self.add_mechanisms(std::iter::once(first).chain(words));
                }
            }
        }
    }

    fn add_mechanisms<'a>(&mut self, names: impl Iterator<Item = &'a str>) {
        for mechanism in names.filter_map(|name| Mechanism::parse(name.as_bytes())) {
            if !self.auth.contains(&mechanism) {
                self.auth.push(mechanism);
            }
        }
    }
}

impl Limits {
    // RFC 9422 §4: what is not known, or no number from 1 on, is passed over.
    fn add(&mut self, word: &str) {
        let Some((name, value)) = word.split_once('=') else { return };
        let digits = Some(value).filter(|value| value.bytes().all(|byte| byte.is_ascii_digit()));
        let number = digits.and_then(|digits| digits.parse().ok()).filter(|number| *number > 0);
        let place = match name.to_ascii_uppercase().as_str() {
            "MAILMAX" => &mut self.mails,
            "RCPTMAX" => &mut self.recipients,
            "RCPTDOMAINMAX" => &mut self.domains,
            _ => return,
        };
        *place = number.or(*place);
    }
}

// RFC 1870 §4: without a number, or with 0, no fixed limit is in force.
fn size(value: Option<&str>) -> Size {
    match value {
        Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => match digits.parse().unwrap_or(u64::MAX) {
            0 => Size::Any,
            octets => Size::Max(octets),
        },
        _ => Size::Any,
    }
}

#[cfg(test)]
mod tests {
    use super::super::answer::AnswerReader;
    use super::*;

    fn check(lines: &[&str], expected: &Extensions) {
        let mut text: String =
            ["mx.test PIPELINING"].iter().chain(lines).map(|line| format!("250-{line}\r\n")).collect();
        text.push_str("250 OK\r\n");
        let (_, answer) = AnswerReader::default().read(text.as_bytes());
        assert_eq!(Extensions::read(&answer.unwrap().unwrap()), *expected, "{lines:?}");
    }

    #[test]
    fn keywords_are_known_in_any_case() {
        let none = Extensions::default();
        check(&[], &none);
        check(
            &["pipelining", "8BitMIME", "STARTTLS", "SMTPUTF8", "ENHANCEDSTATUSCODES", "ETRN", "ATRN", "TURN"],
            &Extensions { pipelining: true, eight_bit_mime: true, starttls: true, smtputf8: true, ..none.clone() },
        );
        check(&["", " ", "X-FOO bar", "PIPELINING8", "STARTTLSX", "AUTH", "AUTH=", "AUTH GSSAPI XOAUTH2"], &none);
        for (line, size) in [
            ("SIZE", Size::Any),
            ("SIZE 0", Size::Any),
            ("size 1000", Size::Max(1000)),
            ("SIZE 1000 x", Size::Max(1000)),
            ("SIZE many", Size::Any),
            ("SIZE -1", Size::Any),
            ("SIZE 99999999999999999999", Size::Max(u64::MAX)),
        ] {
            check(&[line], &Extensions { size, ..none.clone() });
        }
        check(
            &["CHUNKING", "dsn", "REQUIRETLS", "DELIVERBY 10", "MT-PRIORITY MIXER"],
            &Extensions {
                chunking: true,
                dsn: true,
                require_tls: true,
                deliver_by: true,
                mt_priority: true,
                ..none.clone()
            },
        );
        let limits = |mails, recipients, domains| Limits { mails, recipients, domains };
        for (line, limits) in [
            ("LIMITS", limits(None, None, None)),
            ("LIMITS MAILMAX=10 RCPTMAX=1000 RCPTDOMAINMAX=1", limits(Some(10), Some(1000), Some(1))),
            ("limits rcptmax=5 COLOURMAX=3 MAILMAX", limits(None, Some(5), None)),
            ("LIMITS MAILMAX=0 RCPTMAX=-1 RCPTDOMAINMAX=99999999999999999999", limits(None, None, None)),
        ] {
            check(&[line], &Extensions { limits, ..none.clone() });
        }
        let auth = vec![Mechanism::Login, Mechanism::Plain];
        check(&["AUTH GSSAPI login PLAIN"], &Extensions { auth: auth.clone(), ..none.clone() });
        check(&["AUTH=LOGIN PLAIN", "AUTH LOGIN PLAIN"], &Extensions { auth, ..none });
    }
}
