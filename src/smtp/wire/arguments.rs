use super::parameters::{self, MailParameters, xtext};
use super::path::{self, ForwardPath, Mailbox, PathError};
use crate::base::{Address, RcptOptions, limits};

/// What MAIL says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailArguments {
    /// The reverse-path; `None` is `<>`.
    pub sender: Option<Mailbox>,
    /// Octets that the client says it will send (RFC 1870 §6).
    pub size_bytes: Option<u64>,
    /// RFC 6531 §3.4
    pub smtputf8: bool,
    /// What is asked for besides. Whether the session offers it is for the machine to say.
    pub parameters: MailParameters,
}

/// What RCPT says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RcptArguments {
    /// The forward-path.
    pub recipient: ForwardPath,
    /// What is asked for besides.
    pub options: RcptOptions,
}

/// Why an argument is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ArgumentError {
    /// `FROM:` or `TO:` is missing, or the path has not the form of one.
    #[error("the argument does not have the verb's form")]
    Syntax,
    /// There is a path, but what it holds is no address.
    #[error("the address is not one")]
    Address,
    /// A parameter that is not known.
    #[error("unknown parameter")]
    UnknownParameter,
    /// A known parameter with a value that it can't have, or given twice.
    #[error("bad parameter value")]
    ParameterValue,
    /// The address is not ASCII and SMTPUTF8 was not given.
    #[error("the address needs SMTPUTF8")]
    NeedsSmtpUtf8,
}

impl From<PathError> for ArgumentError {
    fn from(error: PathError) -> Self {
        match error {
            PathError::Form => Self::Syntax,
            PathError::Address(_) => Self::Address,
        }
    }
}

/// Reads the argument of MAIL: `FROM:<path> [parameters]`.
///
/// # Errors
/// [`ArgumentError`].
// RFC 5321 §4.1.1.2
pub fn mail_arguments(argument: &str) -> Result<MailArguments, ArgumentError> {
    let (inside, rest) = path::split(behind_keyword(argument, "FROM:")?)?;
    let sender = path::reverse(inside)?;
    let mut size_bytes = None;
    let mut smtputf8 = false;
    let mut wished = MailParameters::default();
    let mut seen = Seen::default();
    for parameter in parameters(rest)? {
        let Parameter { name, value } = Parameter::of(parameter);
        let bit = match name.as_str() {
            "SIZE" => {
                size_bytes = Some(size(value)?);
                1
            }
            "BODY" => {
                body(value)?;
                2
            }
            "SMTPUTF8" => {
                smtputf8 = flag(value)?;
                4
            }
            "AUTH" => {
                submitter(value)?;
                8
            }
            "RET" => {
                wished.ret = Some(parameters::ret(value)?);
                16
            }
            "ENVID" => {
                wished.envelope_id = Some(parameters::envelope_id(value)?);
                32
            }
            "REQUIRETLS" => {
                wished.require_tls = flag(value)?;
                64
            }
            // RFC 4865 §3: one of the two
            "HOLDFOR" => {
                wished.hold = Some(parameters::hold_for(value)?);
                128
            }
            "HOLDUNTIL" => {
                wished.hold = Some(parameters::hold_until(value)?);
                128
            }
            "BY" => {
                wished.by = Some(parameters::by(value)?);
                256
            }
            "MT-PRIORITY" => {
                wished.priority = Some(parameters::priority(value)?);
                512
            }
            _ => return Err(ArgumentError::UnknownParameter),
        };
        seen.add(bit)?;
    }
    if !smtputf8 && sender.as_ref().is_some_and(|mailbox| !mailbox.is_ascii) {
        return Err(ArgumentError::NeedsSmtpUtf8);
    }
    Ok(MailArguments { sender, size_bytes, smtputf8, parameters: wished })
}

/// Reads the argument of RCPT: `TO:<path> [parameters]`.
///
/// # Errors
/// [`ArgumentError`].
// RFC 5321 §4.1.1.3
pub fn rcpt_arguments(argument: &str, smtputf8: bool) -> Result<RcptArguments, ArgumentError> {
    let (inside, rest) = path::split(behind_keyword(argument, "TO:")?)?;
    let recipient = path::forward(inside)?;
    let mut options = RcptOptions::default();
    let mut seen = Seen::default();
    for parameter in parameters(rest)? {
        let Parameter { name, value } = Parameter::of(parameter);
        let bit = match name.as_str() {
            "NOTIFY" => {
                options.notify = Some(parameters::notify(value)?);
                1
            }
            "ORCPT" => {
                options.original = Some(parameters::original_recipient(value)?);
                2
            }
            _ => return Err(ArgumentError::UnknownParameter),
        };
        seen.add(bit)?;
    }
    match &recipient {
        ForwardPath::Mailbox(mailbox) if !mailbox.is_ascii && !smtputf8 => Err(ArgumentError::NeedsSmtpUtf8),
        _ => Ok(RcptArguments { recipient, options }),
    }
}

/// Reads the name that a client gives itself in HELO or EHLO. Many are no domain names; it is used for nothing but the
/// Received field, so it must be safe there.
///
/// # Errors
/// [`ArgumentError::Syntax`].
// RFC 5321 §4.1.4: a name that does not verify is no reason to refuse mail.
pub fn client_name(argument: &str) -> Result<&str, ArgumentError> {
    let is_safe = |c: char| !c.is_control() && !c.is_whitespace() && !"()<>@,;\\\"".contains(c);
    let fits = (1..=limits::DOMAIN_BYTES).contains(&argument.len());
    if fits && argument.chars().all(is_safe) { Ok(argument) } else { Err(ArgumentError::Syntax) }
}

// Many clients put a space behind the colon, although RFC 5321 §3.3 has none there.
fn behind_keyword<'a>(argument: &'a str, keyword: &str) -> Result<&'a str, ArgumentError> {
    let (found, rest) = argument.split_at_checked(keyword.len()).ok_or(ArgumentError::Syntax)?;
    if found.eq_ignore_ascii_case(keyword) { Ok(rest.trim_start_matches(' ')) } else { Err(ArgumentError::Syntax) }
}

/// A parameter: its name in upper case, and its value.
struct Parameter<'a> {
    name: String,
    value: Option<&'a str>,
}

impl<'a> Parameter<'a> {
    // RFC 5321 §2.4: in any case
    fn of(parameter: &'a str) -> Self {
        let (name, value) = parameter.split_once('=').map_or((parameter, None), |(name, value)| (name, Some(value)));
        Self { name: name.to_ascii_uppercase(), value }
    }
}

/// Parameters that were given: each may be once.
#[derive(Default)]
struct Seen(u16);

impl Seen {
    fn add(&mut self, bit: u16) -> Result<(), ArgumentError> {
        let is_new = self.0 & bit == 0;
        self.0 |= bit;
        is_new.then_some(()).ok_or(ArgumentError::ParameterValue)
    }
}

/// A parameter that has no value.
fn flag(value: Option<&str>) -> Result<bool, ArgumentError> {
    value.is_none().then_some(true).ok_or(ArgumentError::ParameterValue)
}

fn parameters(rest: &str) -> Result<impl Iterator<Item = &str>, ArgumentError> {
    if rest.is_empty() || rest.starts_with(' ') {
        Ok(rest.split(' ').filter(|parameter| !parameter.is_empty()))
    } else {
        Err(ArgumentError::Syntax)
    }
}

// RFC 1870 §4: size-value = 1*20DIGIT
fn size(value: Option<&str>) -> Result<u64, ArgumentError> {
    let digits = value.filter(|v| (1..=20).contains(&v.len()) && v.bytes().all(|b| b.is_ascii_digit()));
    // Twenty digits may be more than fits: then it is more than any message may have.
    digits.map(|digits| digits.parse().unwrap_or(u64::MAX)).ok_or(ArgumentError::ParameterValue)
}

// RFC 6152 §2: both values are stored as they come.
fn body(value: Option<&str>) -> Result<(), ArgumentError> {
    let is_known = |v: &str| v.eq_ignore_ascii_case("7BIT") || v.eq_ignore_ascii_case("8BITMIME");
    value.filter(|v| is_known(v)).map(|_| ()).ok_or(ArgumentError::ParameterValue)
}

// RFC 4954 §5: the value is `<>` or an address as xtext. Nobody who speaks to us is trusted to vouch for another, so it
// is checked and then ignored, as the RFC allows.
fn submitter(value: Option<&str>) -> Result<(), ArgumentError> {
    let value = value.ok_or(ArgumentError::ParameterValue)?;
    let is_right = value == "<>" || xtext(value).is_some_and(|text| Address::parse(&text).is_ok());
    is_right.then_some(()).ok_or(ArgumentError::ParameterValue)
}

#[cfg(test)]
mod tests {
    use super::super::parameters::{By, Hold};
    use super::*;
    use crate::base::{ByMode, Ret};

    fn check_mail(argument: &str, expected: Result<(&str, Option<u64>, bool), ArgumentError>) {
        let seen = mail_arguments(argument).map(|arguments| {
            let sender = arguments.sender.map_or(String::new(), |mailbox| mailbox.address.to_string());
            (sender, arguments.size_bytes, arguments.smtputf8)
        });
        assert_eq!(seen, expected.map(|(sender, size, utf8)| (sender.into(), size, utf8)), "{argument}");
    }

    #[test]
    fn mail_has_a_sender_and_parameters() {
        use ArgumentError::*;
        check_mail("FROM:<a@x.test>", Ok(("a@x.test", None, false)));
        check_mail("from: <a@x.test>", Ok(("a@x.test", None, false)));
        check_mail("FROM:<>", Ok(("", None, false)));
        check_mail("FROM:<a@x.test> SIZE=1000 BODY=8BITMIME", Ok(("a@x.test", Some(1000), false)));
        check_mail("FROM:<a@x.test>  body=7bit  size=0", Ok(("a@x.test", Some(0), false)));
        check_mail("FROM:<a@x.test> SIZE=99999999999999999999", Ok(("a@x.test", Some(u64::MAX), false)));
        check_mail("FROM:<é@x.test> SMTPUTF8", Ok(("é@x.test", None, true)));
        check_mail("FROM:<a@x.test> AUTH=<>", Ok(("a@x.test", None, false)));
        check_mail("FROM:<a@x.test> AUTH=e+3Dmc2@x.test", Ok(("a@x.test", None, false)));
        check_mail("FROM:<é@x.test>", Err(NeedsSmtpUtf8));
        check_mail("FROM:<a@bücher.example>", Err(NeedsSmtpUtf8));
        for wrong in
            ["", "TO:<a@x.test>", "FROM <a@x.test>", "FROM:a@x.test", "FROM:<a@x.test>SIZE=1", "FROM:<a@x.test", "é"]
        {
            check_mail(wrong, Err(Syntax));
        }
        for wrong in ["FROM:<a>", "FROM:<a@x.test.>", "FROM:<postmaster>"] {
            check_mail(wrong, Err(Address));
        }
        for wrong in ["COLOUR=blue", "X", "SIZE2=1", "=1", "NOTIFY=NEVER"] {
            check_mail(&format!("FROM:<a@x.test> {wrong}"), Err(UnknownParameter));
        }
        for wrong in [
            "SIZE=",
            "SIZE",
            "SIZE=-1",
            "SIZE=1k",
            "SIZE=+1",
            "SIZE=000000000000000000001",
            "BODY=BINARYMIME",
            "BODY",
            "SMTPUTF8=1",
            "SIZE=1 SIZE=1",
            "AUTH=",
            "AUTH=a+4@x.test",
            "AUTH=nobody",
            "AUTH=a=b@x.test",
            "RET=ALL",
            "RET=FULL RET=FULL",
            "ENVID",
            "REQUIRETLS=yes",
            "HOLDFOR=1 HOLDUNTIL=2026-11-22T10:05:00Z",
            "BY=0;R",
            "MT-PRIORITY=10",
        ] {
            check_mail(&format!("FROM:<a@x.test> {wrong}"), Err(ParameterValue));
        }
    }

    #[test]
    fn mail_asks_for_more_than_delivery() {
        let argument = "FROM:<a@x.test> ret=hdrs ENVID=a+2Bb requiretls HOLDFOR=60 BY=120;R MT-PRIORITY=-3";
        let parameters = mail_arguments(argument).unwrap().parameters;
        let expected = MailParameters {
            ret: Some(Ret::Headers),
            envelope_id: Some("a+b".into()),
            require_tls: true,
            hold: Some(Hold::For(60)),
            by: Some(By { seconds: 120, mode: ByMode::Return, trace: false }),
            priority: Some(-3),
        };
        assert_eq!(parameters, expected);
    }

    #[test]
    fn rcpt_has_a_recipient_and_parameters() {
        let check = |argument: &str, expected| {
            assert_eq!(rcpt_arguments(argument, false).map(|_| ()), expected, "{argument}");
        };
        check("TO:<a@x.test>", Ok(()));
        check("to: <postmaster>", Ok(()));
        check("TO:<>", Err(ArgumentError::Address));
        check("TO:<a@x.test> notify=success,delay ORCPT=rfc822;b@y.test", Ok(()));
        check("TO:<a@x.test> RET=FULL", Err(ArgumentError::UnknownParameter));
        check("TO:<a@x.test> NOTIFY=SOON", Err(ArgumentError::ParameterValue));
        check("TO:<a@x.test> NOTIFY=NEVER NOTIFY=NEVER", Err(ArgumentError::ParameterValue));
        check("TO:<é@x.test>", Err(ArgumentError::NeedsSmtpUtf8));
        assert!(rcpt_arguments("TO:<é@x.test>", true).is_ok());
    }

    #[test]
    fn a_client_may_call_itself_anything_harmless() {
        for name in ["mx.example", "[192.0.2.1]", "[IPv6:::1]", "WIN_PC", "bücher.example", "-"] {
            assert_eq!(client_name(name), Ok(name));
        }
        for name in ["", "a b", "a(b", "a<b", "a\u{2028}b", "a\u{85}b", "a;b", &"a".repeat(256)] {
            assert_eq!(client_name(name), Err(ArgumentError::Syntax), "{name}");
        }
    }
}
