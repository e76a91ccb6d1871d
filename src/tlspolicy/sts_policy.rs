use std::fmt;

use serde::{Deserialize, Serialize};

use super::sts_record::{is_name, trim, trim_start};
use crate::base::{DomainName, limits};

/// What a domain asks of those who send to it.
// RFC 8461 §3.2
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StsPolicy {
    /// How much it is in earnest.
    pub mode: Mode,
    /// The servers that may take its mail; none where the mode is `none`.
    pub mx: Vec<MxPattern>,
    /// Seconds for which it holds after it was fetched.
    pub max_age_s: u64,
}

/// How much a policy is in earnest.
// RFC 8461 §5
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mode {
    /// Mail goes to the named servers alone, over TLS with a certificate that holds.
    Enforce,
    /// The domain wants to know what would fail, and gets its mail all the same.
    Testing,
    /// It has no policy any more.
    None,
}

/// The name of a server, or of all servers one label below a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MxPattern {
    /// One label stands before the name.
    is_wildcard: bool,
    name: DomainName,
}

/// Why what a domain's web server gave is no policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StsFault {
    /// Not UTF-8.
    #[error("the policy is not UTF-8")]
    Charset,
    /// Not `key: value`, or with characters that may not be there.
    #[error("line {0} of the policy is not of the form key: value")]
    Line(usize),
    /// There is no `version: STSv1`.
    #[error("the policy is not of version STSv1")]
    Version,
    /// There is no mode, or one that nobody knows.
    #[error("the mode of the policy is not enforce, testing or none")]
    Mode,
    /// There is no `max_age`, or it is no number of at most ten digits.
    #[error("the policy has no max_age, or one that is no number of seconds")]
    MaxAge,
    /// No `mx`, or one that is no name.
    #[error("the policy names no mx, or one that is not the name of a host")]
    Mx,
    /// More than [`limits::STS_MX`].
    #[error("the policy names more than {} mx", limits::STS_MX)]
    TooMany,
}

impl StsPolicy {
    /// Reads what stands at `/.well-known/mta-sts.txt`. Keys that are not known are passed over; of keys other than `mx` that
    /// come twice, the first counts. Empty lines at the end are.
    ///
    /// # Errors
    /// [`StsFault`].
    // RFC 8461 §3.2
    pub fn read(octets: &[u8]) -> Result<Self, StsFault> {
        let text = std::str::from_utf8(octets).map_err(|_| StsFault::Charset)?;
        let (mut version, mut mode, mut max_age, mut mx) = (None, None, None, Vec::new());
        for (number, line) in text.trim_end_matches(['\r', '\n']).split('\n').enumerate() {
            let (key, value) = field(line.strip_suffix('\r').unwrap_or(line)).ok_or(StsFault::Line(number + 1))?;
            match key {
                "version" => version = version.or(Some(value)),
                "mode" => mode = mode.or(Some(value)),
                "max_age" => max_age = max_age.or(Some(value)),
                "mx" if mx.len() == limits::STS_MX => return Err(StsFault::TooMany),
                "mx" => mx.push(MxPattern::read(value).ok_or(StsFault::Mx)?),
                _ => {}
            }
        }
        if version != Some("STSv1") {
            return Err(StsFault::Version);
        }
        let mode = match mode {
            Some("enforce") => Mode::Enforce,
            Some("testing") => Mode::Testing,
            Some("none") => Mode::None,
            _ => return Err(StsFault::Mode),
        };
        if mx.is_empty() && mode != Mode::None {
            return Err(StsFault::Mx);
        }
        let max_age_s = max_age.and_then(seconds).ok_or(StsFault::MaxAge)?;
        Ok(Self { mode, mx, max_age_s })
    }

    /// Whether the host may take the domain's mail.
    // RFC 8461 §4.1
    pub fn names(&self, host: &str) -> bool {
        self.mx.iter().any(|pattern| pattern.matches(host))
    }
}

impl MxPattern {
    /// The one server.
    pub(super) fn of(host: &DomainName) -> Self {
        Self { is_wildcard: false, name: host.clone() }
    }

    fn read(value: &str) -> Option<Self> {
        let (is_wildcard, name) = value.strip_prefix("*.").map_or((false, value), |name| (true, name));
        let name = DomainName::parse(name).ok().filter(|_| value.is_ascii())?;
        Some(Self { is_wildcard, name })
    }

    // RFC 8461 §4.1, RFC 6125 §6.4: the wildcard is for one whole label, the leftmost
    fn matches(&self, host: &str) -> bool {
        let name = match self.is_wildcard {
            true => host.split_once('.').filter(|(label, _)| !label.is_empty()).map(|(_, name)| name),
            false => Some(host),
        };
        name.is_some_and(|name| name.eq_ignore_ascii_case(self.name.as_str()))
    }
}

impl fmt::Display for MxPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let star = if self.is_wildcard { "*." } else { "" };
        write!(f, "{star}{}", self.name)
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Enforce => "enforce",
            Self::Testing => "testing",
            Self::None => "none",
        })
    }
}

/// Key and value of a line.
fn field(line: &str) -> Option<(&str, &str)> {
    let (key, value) = line.split_once(':')?;
    let value = trim(trim_start(value));
    let is_fine = is_name(key) && !value.is_empty() && !value.chars().any(char::is_control);
    is_fine.then_some((key, value))
}

// RFC 8461 §3.2: 1*10(DIGIT), and no more than a year
fn seconds(text: &str) -> Option<u64> {
    let is_number = (1..=10).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    let number: u64 = text.parse().ok().filter(|_| is_number)?;
    Some(number.min(limits::STS_MAX_AGE_S))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<(Mode, &[&str], u64), StsFault>) {
        let seen = StsPolicy::read(text.as_bytes()).map(|policy| {
            let mx: Vec<String> = policy.mx.iter().map(ToString::to_string).collect();
            (policy.mode, mx, policy.max_age_s)
        });
        let expected = expected.map(|(mode, mx, age)| (mode, mx.iter().map(ToString::to_string).collect(), age));
        assert_eq!(seen, expected, "{text:?}");
    }

    const WHOLE: &str = "version: STSv1\nmode: enforce\nmx: a.test\nmax_age: 60\n";

    // RFC 8461 §3.2
    #[test]
    fn a_policy_is_read() {
        check(
            "version: STSv1\r\nmode: enforce\r\nmx: mail.example.com\r\nmx: *.example.net\r\nmx: backupmx.example.com\r\nmax_age: 604800\r\n",
            Ok((Mode::Enforce, &["mail.example.com", "*.example.net", "backupmx.example.com"], 604_800)),
        );
        check(WHOLE, Ok((Mode::Enforce, &["a.test"], 60)));
        check(WHOLE.trim_end(), Ok((Mode::Enforce, &["a.test"], 60)));
        check(&format!("{WHOLE}\r\n\n"), Ok((Mode::Enforce, &["a.test"], 60)));
        check("max_age:0\nmode:none\nversion:STSv1 \t", Ok((Mode::None, &[], 0)));
        check(
            "version: STSv1\nmode: testing\nmode: enforce\nmax_age: 9999999999\nmax_age: 1\nnext.thing-1: what ever: it \u{e4}\nmx:\tA.Test\n",
            Ok((Mode::Testing, &["a.test"], 31_557_600)),
        );
    }

    #[test]
    fn what_is_no_policy_is_told_apart() {
        let with = |from: &str, to: &str| WHOLE.replace(from, to);
        for (text, fault) in [
            (String::new(), StsFault::Line(1)),
            (with("mode: enforce\n", "\n"), StsFault::Line(2)),
            (with("mode: enforce", "mode enforce"), StsFault::Line(2)),
            (with("mode: enforce", "mode:"), StsFault::Line(2)),
            (with("mode: enforce", " mode: enforce"), StsFault::Line(2)),
            (with("mode: enforce", "mode: en\rforce"), StsFault::Line(2)),
            (with("mode: enforce", "mode: enforce\0"), StsFault::Line(2)),
            (with("STSv1", "STSv2"), StsFault::Version),
            (with("version: STSv1\n", ""), StsFault::Version),
            (with("enforce", "Enforce"), StsFault::Mode),
            (with("mode: enforce\n", ""), StsFault::Mode),
            (with("mx: a.test\n", ""), StsFault::Mx),
            (with("a.test", "*"), StsFault::Mx),
            (with("a.test", "a.*.test"), StsFault::Mx),
            (with("a.test", "a.test."), StsFault::Mx),
            (with("a.test", "b\u{fc}cher.test"), StsFault::Mx),
            (with("a.test", "192.0.2.1"), StsFault::Mx),
            (with("60", "60s"), StsFault::MaxAge),
            (with("60", "-1"), StsFault::MaxAge),
            (with("60", "00000000060"), StsFault::MaxAge),
            (with("max_age: 60\n", ""), StsFault::MaxAge),
            (format!("{WHOLE}{}", "mx: b.test\n".repeat(limits::STS_MX)), StsFault::TooMany),
        ] {
            check(&text, Err(fault));
        }
        assert_eq!(StsPolicy::read(b"version: STSv1\n\xff: 1\n"), Err(StsFault::Charset));
    }

    // RFC 8461 §4.1
    #[test]
    fn a_wildcard_stands_for_one_label() {
        let text = "version: STSv1\nmode: enforce\nmx: mail.a.test\nmx: *.b.test\nmax_age: 60\n";
        let policy = StsPolicy::read(text.as_bytes()).unwrap();
        for (host, expected) in [
            ("mail.a.test", true),
            ("MAIL.a.TEST", true),
            ("a.test", false),
            ("x.mail.a.test", false),
            ("mx.b.test", true),
            ("b.test", false),
            (".b.test", false),
            ("x.mx.b.test", false),
            ("xb.test", false),
            ("", false),
        ] {
            assert_eq!(policy.names(host), expected, "{host}");
        }
    }
}
