use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroize;

use super::Mechanism;
use crate::base::{Secret, limits};

/// Octets of the longest login that can exist: a local part, `@`, a domain.
const LOGIN_BYTES: usize = limits::LOCAL_PART_BYTES + 1 + limits::DOMAIN_BYTES;
/// `Username:` and `Password:` in base64, the prompts that every LOGIN client knows.
const PROMPT_USERNAME: &str = "VXNlcm5hbWU6";
const PROMPT_PASSWORD: &str = "UGFzc3dvcmQ6";

/// What the client claims. Nothing of it is verified yet.
pub struct Credentials {
    /// The login as it was sent: UTF-8 without control characters, 1 to 320 octets.
    pub login: String,
    /// The password: UTF-8 without NUL, 1 to 1,024 octets.
    pub password: Secret<String>,
}

/// An exchange that waits for the client's next line. It is consumed by it.
pub struct Exchange(Waiting);

enum Waiting {
    PlainMessage,
    LoginName,
    LoginPassword { login: String },
}

/// What an exchange leads to.
pub enum Step {
    /// Send this base64 text (it may be empty) as a challenge and hand the next line to the exchange.
    Challenge(Exchange, &'static str),
    /// The client has said all. Whether it is true is for the directory to say.
    Done(Credentials),
}

/// Why an exchange ended without credentials. No variant carries what the client has sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SaslError {
    /// The client sent `*` (RFC 4954 §4, RFC 5034 §4, RFC 9051 §6.2.2).
    #[error("the exchange was cancelled")]
    Cancelled,
    /// Not base64 as RFC 4648 §4 has it, with its padding and nothing else.
    #[error("the response is not base64")]
    Base64,
    /// The response, the login or the password is longer than any that can be right.
    #[error("the response is too long")]
    TooLong,
    /// Base64 of something that the mechanism does not say: a missing part, not UTF-8, a control character.
    #[error("the response does not have the mechanism's form")]
    Malformed,
    /// The client asks to act as somebody other than it logs in as.
    #[error("acting as another user is not possible")]
    AuthorizationId,
}

impl Exchange {
    /// Begins an exchange; `initial` is the initial response as it stands on the command line, if there is one.
    ///
    /// # Errors
    /// Any [`SaslError`] but [`SaslError::Cancelled`].
    pub fn start(mechanism: Mechanism, initial: Option<&[u8]>) -> Result<Step, SaslError> {
        let (waiting, prompt) = match mechanism {
            // RFC 4616 §2: the client speaks first, so the challenge is empty.
            Mechanism::Plain => (Waiting::PlainMessage, ""),
            Mechanism::Login => (Waiting::LoginName, PROMPT_USERNAME),
        };
        match initial {
            None => Ok(Step::Challenge(Self(waiting), prompt)),
            // RFC 4954 §4: `=` is an initial response of no octets.
            Some(b"=") => waiting.accept(b""),
            Some(encoded) => waiting.accept_encoded(encoded),
        }
    }

    /// Takes the client's line, without its CRLF.
    ///
    /// # Errors
    /// Any [`SaslError`].
    pub fn answer(self, line: &[u8]) -> Result<Step, SaslError> {
        if line == b"*" {
            return Err(SaslError::Cancelled);
        }
        self.0.accept_encoded(line)
    }
}

impl Waiting {
    fn accept_encoded(self, encoded: &[u8]) -> Result<Step, SaslError> {
        if encoded.len() > limits::SASL_RESPONSE_BYTES {
            return Err(SaslError::TooLong);
        }
        let mut response = STANDARD.decode(encoded).map_err(|_| SaslError::Base64)?;
        let step = self.accept(&response);
        response.zeroize();
        step
    }

    fn accept(self, response: &[u8]) -> Result<Step, SaslError> {
        match self {
            Self::PlainMessage => plain(response).map(Step::Done),
            Self::LoginName => {
                let login = login(response)?;
                Ok(Step::Challenge(Exchange(Self::LoginPassword { login }), PROMPT_PASSWORD))
            }
            Self::LoginPassword { login } => Ok(Step::Done(Credentials { login, password: password(response)? })),
        }
    }
}

// RFC 4616 §2: message = [authzid] UTF8NUL authcid UTF8NUL passwd
fn plain(message: &[u8]) -> Result<Credentials, SaslError> {
    let mut parts = message.splitn(3, |byte| *byte == 0);
    let (Some(authzid), Some(authcid), Some(passwd)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(SaslError::Malformed);
    };
    let credentials = Credentials { login: login(authcid)?, password: password(passwd)? };
    if authzid.is_empty() || authzid == authcid { Ok(credentials) } else { Err(SaslError::AuthorizationId) }
}

fn login(bytes: &[u8]) -> Result<String, SaslError> {
    if bytes.len() > LOGIN_BYTES {
        return Err(SaslError::TooLong);
    }
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.is_empty() && !text.chars().any(char::is_control) => Ok(text.to_owned()),
        _ => Err(SaslError::Malformed),
    }
}

fn password(bytes: &[u8]) -> Result<Secret<String>, SaslError> {
    if bytes.len() > limits::PASSWORD_BYTES {
        return Err(SaslError::TooLong);
    }
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.is_empty() && !text.contains('\0') => Ok(Secret::new(text.to_owned())),
        _ => Err(SaslError::Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `lines[0]` is the initial response; `"-"` stands for none. Lines are encoded unless they begin with `!`.
    fn run(mechanism: Mechanism, lines: &[&[u8]]) -> Result<String, SaslError> {
        let encode = |line: &[u8]| match line.strip_prefix(b"!") {
            Some(raw) => raw.to_vec(),
            None => STANDARD.encode(line).into_bytes(),
        };
        let (first, rest) = lines.split_first().unwrap();
        let initial = (*first != b"-").then(|| encode(first));
        let mut step = Exchange::start(mechanism, initial.as_deref())?;
        let mut heard = String::new();
        let mut rest = rest.iter();
        loop {
            match step {
                Step::Done(credentials) => {
                    assert!(rest.next().is_none(), "lines are left over");
                    return Ok(format!("{heard}{}:{}", credentials.login, credentials.password.expose()));
                }
                Step::Challenge(exchange, challenge) => {
                    heard.push_str(&format!("{challenge}>"));
                    step = exchange.answer(&encode(rest.next().expect("a line for the challenge")))?;
                }
            }
        }
    }

    fn check(mechanism: Mechanism, lines: &[&[u8]], expected: Result<&str, SaslError>) {
        assert_eq!(run(mechanism, lines), expected.map(str::to_owned), "{lines:?}");
    }

    #[test]
    fn plain_is_one_message() {
        use Mechanism::Plain;
        check(Plain, &[b"\0alice@example.test\0secret"], Ok("alice@example.test:secret"));
        check(Plain, &[b"-", b"\0alice\0secret"], Ok(">alice:secret"));
        check(Plain, &[b"alice\0alice\0secret"], Ok("alice:secret"));
        check(Plain, &["\0zoë\0pässwörd".as_bytes()], Ok("zoë:pässwörd"));
        check(Plain, &[b"\0alice\0a\r\nb"], Ok("alice:a\r\nb"));
        check(Plain, &[b"bob\0alice\0secret"], Err(SaslError::AuthorizationId));
        for wrong in [
            &b""[..],
            b"!=",
            b"alice",
            b"alice\0secret",
            b"\0\0secret",
            b"\0alice\0",
            b"\0alice\0sec\0ret",
            b"\0al\nice\0secret",
            b"\0al\x7fice\0secret",
            b"\0\xff\0secret",
            b"\0alice\0\xff",
        ] {
            check(Plain, &[wrong], Err(SaslError::Malformed));
        }
    }

    #[test]
    fn login_asks_twice_or_takes_the_name_at_once() {
        use Mechanism::Login;
        check(Login, &[b"-", b"alice", b"secret"], Ok("VXNlcm5hbWU6>UGFzc3dvcmQ6>alice:secret"));
        check(Login, &[b"alice", b"secret"], Ok("UGFzc3dvcmQ6>alice:secret"));
        check(Login, &[b"!=", b"secret"], Err(SaslError::Malformed));
        check(Login, &[b"-", b"al\0ice"], Err(SaslError::Malformed));
        check(Login, &[b"alice", b""], Err(SaslError::Malformed));
        check(Login, &[b"alice", b"sec\0ret"], Err(SaslError::Malformed));
        check(Login, &[b"-", b"!*"], Err(SaslError::Cancelled));
        check(Login, &[b"alice", b"!*"], Err(SaslError::Cancelled));
    }

    #[test]
    fn base64_is_taken_strictly() {
        // The last has bits set behind the end of the data.
        for wrong in ["!*", "!AGEAYg", "!AGEAYg=", "!AGEAYg===", "! AGEAYg==", "!AGEA\nYg==", "!AGEA_g==", "!AGEAYh=="]
        {
            check(Mechanism::Plain, &[wrong.as_bytes()], Err(SaslError::Base64));
        }
        check(Mechanism::Plain, &[b"!AGEAYg=="], Ok("a:b"));
        check(Mechanism::Plain, &[b"-", b"!="], Err(SaslError::Base64));
    }

    #[test]
    fn sizes_are_limited() {
        let long = |login: usize, password: usize| {
            [b"\0".as_slice(), &vec![b'a'; login], b"\0", &vec![b'b'; password]].concat()
        };
        assert!(run(Mechanism::Plain, &[&long(LOGIN_BYTES, limits::PASSWORD_BYTES)]).is_ok());
        check(Mechanism::Plain, &[&long(LOGIN_BYTES + 1, 1)], Err(SaslError::TooLong));
        check(Mechanism::Plain, &[&long(1, limits::PASSWORD_BYTES + 1)], Err(SaslError::TooLong));
        let huge = vec![b'A'; limits::SASL_RESPONSE_BYTES + 4];
        check(Mechanism::Plain, &[&[b"!".as_slice(), &huge].concat()], Err(SaslError::TooLong));
    }
}
