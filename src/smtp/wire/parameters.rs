//! The parameters of MAIL and RCPT that say what is to become of a message: read, and written.

use super::arguments::ArgumentError;
use crate::base::{ByMode, DeliverBy, MailOptions, NotifyOn, OriginalRecipient, Ret, Timestamp, TlsWish, limits};

/// What MAIL asks for besides a delivery, as it was said: times count from when the message comes in.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MailParameters {
    /// RFC 3461 §4.3
    pub ret: Option<Ret>,
    /// RFC 3461 §4.4, decoded
    pub envelope_id: Option<String>,
    /// RFC 8689 §2
    pub require_tls: bool,
    /// RFC 4865 §3
    pub hold: Option<Hold>,
    /// RFC 2852 §4
    pub by: Option<By>,
    /// RFC 6710 §4.1
    pub priority: Option<i8>,
}

/// How long a message is held before it is delivered to anybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// For so many seconds.
    For(u32),
    /// Until then.
    Until(Timestamp),
}

/// By when it is to be delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct By {
    /// Seconds from now on; negative where that was in the past already.
    pub seconds: i64,
    /// What happens then.
    pub mode: ByMode,
    /// RFC 2852 §4.1.3
    pub trace: bool,
}

impl MailParameters {
    /// What is kept of them for a message that comes in now.
    pub fn options(&self, now: Timestamp) -> MailOptions {
        let release_at = self.hold.map(|hold| match hold {
            Hold::For(seconds) => now.plus_ms(u64::from(seconds) * 1000),
            Hold::Until(at) => at,
        });
        MailOptions {
            ret: self.ret,
            envelope_id: self.envelope_id.clone(),
            tls: if self.require_tls { TlsWish::Required } else { TlsWish::Policy },
            release_at: release_at.filter(|at| *at > now),
            deliver_by: self.by.map(|by| by.from(now)),
            priority: self.priority.unwrap_or(0),
        }
    }
}

impl By {
    fn from(self, now: Timestamp) -> DeliverBy {
        let ms = self.seconds.unsigned_abs().saturating_mul(1000);
        let at = if self.seconds < 0 { Timestamp(now.ms().saturating_sub(ms)) } else { now.plus_ms(ms) };
        DeliverBy { at, mode: self.mode, trace: self.trace }
    }

    /// What is left of a deadline.
    // RFC 2852 §4.2: each server takes off the time that the message has spent with it.
    pub fn left(deadline: DeliverBy, now: Timestamp) -> Self {
        const MOST: i64 = 999_999_999;
        let whole = |ms: u64| i64::try_from(ms / 1000).unwrap_or(MOST).min(MOST);
        let seconds = whole(deadline.at.ms_since(now)) - whole(now.ms_since(deadline.at));
        Self { seconds, mode: deadline.mode, trace: deadline.trace }
    }

    /// As MAIL writes it.
    pub(super) fn text(self) -> String {
        let mode = match self.mode {
            ByMode::Notify => "N",
            ByMode::Return => "R",
        };
        format!("{};{mode}{}", self.seconds, if self.trace { "T" } else { "" })
    }
}

/// Reads RET.
pub(super) fn ret(value: Option<&str>) -> Result<Ret, ArgumentError> {
    match value {
        Some(value) if value.eq_ignore_ascii_case("FULL") => Ok(Ret::Full),
        Some(value) if value.eq_ignore_ascii_case("HDRS") => Ok(Ret::Headers),
        _ => Err(ArgumentError::ParameterValue),
    }
}

/// Reads ENVID.
// RFC 3461 §4.4: up to 100 characters, printable ASCII as xtext
pub(super) fn envelope_id(value: Option<&str>) -> Result<String, ArgumentError> {
    let text = value.filter(|value| !value.is_empty()).and_then(xtext);
    text.filter(|text| text.len() <= limits::ENVELOPE_ID_BYTES && is_printable(text))
        .ok_or(ArgumentError::ParameterValue)
}

/// Reads NOTIFY.
// RFC 3461 §4.1: "NEVER", or some of the others
pub(super) fn notify(value: Option<&str>) -> Result<NotifyOn, ArgumentError> {
    let value = value.ok_or(ArgumentError::ParameterValue)?;
    let mut notify = NotifyOn::NEVER;
    if value.eq_ignore_ascii_case("NEVER") {
        return Ok(notify);
    }
    for word in value.split(',') {
        let asked = match word.to_ascii_uppercase().as_str() {
            "SUCCESS" => &mut notify.success,
            "FAILURE" => &mut notify.failure,
            "DELAY" => &mut notify.delay,
            _ => return Err(ArgumentError::ParameterValue),
        };
        *asked = true;
    }
    Ok(notify)
}

/// Reads ORCPT.
// RFC 3461 §4.2; RFC 6533 §3: of type utf-8 it is not xtext, but a form of its own
pub(super) fn original_recipient(value: Option<&str>) -> Result<OriginalRecipient, ArgumentError> {
    let read = || {
        let value = value.filter(|value| value.len() <= limits::ORIGINAL_RECIPIENT_BYTES)?;
        let (kind, address) = value.split_once(';')?;
        let kind = kind.to_ascii_lowercase();
        let is_type = !kind.is_empty() && kind.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        let address = match kind.as_str() {
            "utf-8" => Some(address.to_owned()).filter(|text| !text.contains(|c: char| c.is_control() || c == ' ')),
            _ => xtext(address).filter(|text| is_printable(text)),
        };
        address.filter(|text| is_type && !text.is_empty()).map(|address| OriginalRecipient { kind, address })
    };
    read().ok_or(ArgumentError::ParameterValue)
}

/// ORCPT as RCPT writes it.
pub(super) fn original_recipient_text(original: &OriginalRecipient) -> String {
    let OriginalRecipient { kind, address } = original;
    if kind == "utf-8" { format!("{kind};{}", ascii_form(address)) } else { format!("{kind};{}", to_xtext(address)) }
}

/// An address beyond ASCII in the form that goes anywhere.
// RFC 6533 §3: utf-8-addr-xtext
fn ascii_form(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii() { c.to_string() } else { format!("\\x{{{:X}}}", u32::from(c)) }).collect()
}

/// Reads HOLDFOR.
// RFC 4865 §3: 1*9DIGIT, without leading zeros; those do no harm
pub(super) fn hold_for(value: Option<&str>) -> Result<Hold, ArgumentError> {
    let digits = value.filter(|v| (1..=9).contains(&v.len()) && v.bytes().all(|b| b.is_ascii_digit()));
    digits.and_then(|digits| digits.parse().ok()).map(Hold::For).ok_or(ArgumentError::ParameterValue)
}

/// Reads HOLDUNTIL.
pub(super) fn hold_until(value: Option<&str>) -> Result<Hold, ArgumentError> {
    value.and_then(Timestamp::parse_rfc3339).map(Hold::Until).ok_or(ArgumentError::ParameterValue)
}

/// Reads BY.
// RFC 2852 §4: by-time ";" by-mode [by-trace]; with R, the time must not have passed
pub(super) fn by(value: Option<&str>) -> Result<By, ArgumentError> {
    let read = || {
        let (time, rest) = value?.split_once(';')?;
        let digits = time.strip_prefix(['-', '+']).unwrap_or(time);
        let fits = (1..=9).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
        let number: i64 = digits.parse().ok().filter(|_| fits)?;
        let seconds = if time.starts_with('-') { -number } else { number };
        let (mode, trace) = match rest.to_ascii_uppercase().as_str() {
            "N" => (ByMode::Notify, false),
            "NT" => (ByMode::Notify, true),
            "R" => (ByMode::Return, false),
            "RT" => (ByMode::Return, true),
            _ => return None,
        };
        (mode == ByMode::Notify || seconds > 0).then_some(By { seconds, mode, trace })
    };
    read().ok_or(ArgumentError::ParameterValue)
}

/// Reads MT-PRIORITY.
// RFC 6710 §4.1, §6: -9 to 9
pub(super) fn priority(value: Option<&str>) -> Result<i8, ArgumentError> {
    let read = || {
        let value = value?;
        let digit = value.strip_prefix('-').unwrap_or(value);
        let fits = digit.len() == 1 && digit.bytes().all(|byte| byte.is_ascii_digit()) && value != "-0";
        value.parse().ok().filter(|_| fits)
    };
    read().ok_or(ArgumentError::ParameterValue)
}

/// Decodes xtext.
// RFC 3461 §4
pub(super) fn xtext(value: &str) -> Option<String> {
    let mut bytes = value.bytes();
    let mut out = Vec::with_capacity(value.len());
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'+' => {
                let digit = |b: u8| match b {
                    b'0'..=b'9' => Some(b - b'0'),
                    b'A'..=b'F' => Some(b - b'A' + 10),
                    _ => None,
                };
                digit(bytes.next()?)? << 4 | digit(bytes.next()?)?
            }
            b'=' => return None,
            b'!'..=b'~' => byte,
            _ => return None,
        });
    }
    String::from_utf8(out).ok()
}

/// Encodes as xtext.
pub(super) fn to_xtext(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'+' | b'=' => out.push_str(&format!("+{byte:02X}")),
            b'!'..=b'~' => out.push(char::from(byte)),
            _ => out.push_str(&format!("+{byte:02X}")),
        }
    }
    out
}

fn is_printable(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check<T: std::fmt::Debug + PartialEq>(
        read: fn(Option<&str>) -> Result<T, ArgumentError>,
        good: &[(&str, T)],
        bad: &[&str],
    ) {
        for (value, expected) in good {
            assert_eq!(read(Some(value)).as_ref(), Ok(expected), "{value}");
        }
        for value in bad {
            assert_eq!(read(Some(value)), Err(ArgumentError::ParameterValue), "{value}");
        }
        assert_eq!(read(None), Err(ArgumentError::ParameterValue));
    }

    #[test]
    fn reports_are_asked_for() {
        check(ret, &[("FULL", Ret::Full), ("hdrs", Ret::Headers)], &["", "HEADERS", "FULL,HDRS"]);
        check(
            envelope_id,
            &[("abc", "abc".to_owned()), ("a+2Bb+3D+20c", "a+b= c".to_owned())],
            &["", "a=b", "a+b", "a+2b", "a+0A", "é", "+E9", &"x".repeat(101)],
        );
        let notify_on = |success, failure, delay| NotifyOn { success, failure, delay };
        check(
            notify,
            &[
                ("NEVER", NotifyOn::NEVER),
                ("success", notify_on(true, false, false)),
                ("FAILURE,DELAY", notify_on(false, true, true)),
                ("DELAY,SUCCESS,FAILURE", notify_on(true, true, true)),
            ],
            &["", "NEVER,SUCCESS", "SUCCESS,", ",", "SOMETIMES", "SUCCESS FAILURE"],
        );
    }

    #[test]
    fn the_first_name_of_a_recipient_has_a_type() {
        let original = |kind: &str, address: &str| OriginalRecipient { kind: kind.into(), address: address.into() };
        check(
            original_recipient,
            &[
                ("rfc822;a@x.test", original("rfc822", "a@x.test")),
                ("RFC822;a+2Bb@x.test", original("rfc822", "a+b@x.test")),
                ("utf-8;é@x.test", original("utf-8", "é@x.test")),
                ("utf-8;\\x{E9}@x.test", original("utf-8", "\\x{E9}@x.test")),
            ],
            &[
                "",
                "rfc822",
                "rfc822;",
                ";a@x.test",
                "rf c;a",
                "rfc822;a=b",
                "rfc822;a+0D+0Ab",
                "rfc822;é@x.test",
                "utf-8;a b",
            ],
        );
        let long = format!("rfc822;{}", "x".repeat(limits::ORIGINAL_RECIPIENT_BYTES));
        assert!(original_recipient(Some(&long)).is_err());
        for text in ["rfc822;a+2Bb@x.test", "utf-8;\\x{E9}@x.test"] {
            assert_eq!(original_recipient_text(&original_recipient(Some(text)).unwrap()), text);
        }
        assert_eq!(original_recipient_text(&original("utf-8", "é@x.test")), "utf-8;\\x{E9}@x.test");
    }

    #[test]
    fn times_and_priorities_are_numbers() {
        check(hold_for, &[("0", Hold::For(0)), ("86400", Hold::For(86_400))], &["", "-1", "1000000000", "1h"]);
        let until = Hold::Until(Timestamp(1_795_341_900_000));
        check(hold_until, &[("2026-11-22T10:05:00Z", until)], &["", "tomorrow", "2026-11-22", "1795341900"]);
        let by_of = |seconds, mode, trace| By { seconds, mode, trace };
        check(
            by,
            &[
                ("120;R", by_of(120, ByMode::Return, false)),
                ("+120;rt", by_of(120, ByMode::Return, true)),
                ("-5;N", by_of(-5, ByMode::Notify, false)),
                ("0;NT", by_of(0, ByMode::Notify, true)),
            ],
            &["", "120", "120;", "120;X", "0;R", "-1;R", "1000000000;N", "--1;N", "1;TN", ";R"],
        );
        check(priority, &[("0", 0), ("9", 9), ("-9", -9)], &["", "10", "-10", "+3", "-0", "-", "3.5"]);
    }

    #[test]
    fn a_deadline_counts_from_where_it_was_heard() {
        let now = Timestamp(1_795_341_900_000);
        let kept =
            MailParameters { by: by(Some("120;R")).ok(), hold: Some(Hold::For(60)), ..MailParameters::default() };
        let options = kept.options(now);
        assert_eq!(options.release_at, Some(now.plus_ms(60_000)));
        let deadline = options.deliver_by.unwrap();
        let left = |seconds: u64| By::left(deadline, now.plus_ms(seconds * 1000)).text();
        assert_eq!((left(0), left(119), left(150)), ("120;R".into(), "1;R".into(), "-30;R".into()));
        // What is over is no hold.
        let past = MailParameters { hold: Some(Hold::Until(Timestamp(5))), ..MailParameters::default() };
        assert_eq!(past.options(now).release_at, None);
    }

    proptest! {
        #[test]
        fn xtext_comes_back(text in "[ -~]{0,40}") {
            prop_assert_eq!(xtext(&to_xtext(&text)), Some(text));
        }
    }
}
