use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroize;

use super::cram::{self, CramProof};
use super::scram::{self, ScramProof};
use super::{Channel, Mechanism, Shown};
use crate::base::{Secret, limits};

/// Octets of the longest login that can exist: a local part, `@`, a domain.
pub(super) const LOGIN_BYTES: usize = limits::LOCAL_PART_BYTES + 1 + limits::DOMAIN_BYTES;
/// `Username:` and `Password:` in base64, the prompts that every LOGIN client knows.
const PROMPT_USERNAME: &str = "VXNlcm5hbWU6";
const PROMPT_PASSWORD: &str = "UGFzc3dvcmQ6";

/// Octets of the randomness in a nonce.
const NONCE_BYTES: usize = 18;

/// A login and its password. Nothing of it is verified yet.
pub struct Credentials {
    /// The login as it was sent: UTF-8 without control characters, 1 to 320 octets.
    pub login: String,
    /// The password: UTF-8 without NUL, 1 to 1,024 octets.
    pub password: Secret<String>,
}

/// What a client has said of who it is, by one mechanism or another. Nothing of it is verified yet.
pub enum Claim {
    /// The password itself.
    Password(Credentials),
    /// SCRAM: a proof of knowing the secret.
    Scram(ScramProof),
    /// CRAM-MD5: the same, for whoever believes it.
    Cram(CramProof),
    /// EXTERNAL: the certificate of the connection.
    Certificate(Shown),
}

impl Claim {
    /// Who claims to log in.
    pub fn login(&self) -> &str {
        match self {
            Self::Password(credentials) => &credentials.login,
            Self::Scram(proof) => proof.login(),
            Self::Cram(proof) => proof.login(),
            Self::Certificate(shown) => shown.login(),
        }
    }

    /// The password, where only [`Mechanism::PASSWORDS`] are taken.
    ///
    /// # Errors
    /// [`SaslError::Unavailable`]: it was none of them.
    pub fn into_password(self) -> Result<Credentials, SaslError> {
        match self {
            Self::Password(credentials) => Ok(credentials),
            Self::Scram(_) | Self::Cram(_) | Self::Certificate(_) => Err(SaslError::Unavailable),
        }
    }
}

/// What the mechanisms need in which the password itself is not sent.
// No Debug: it holds a key.
pub struct Terms {
    /// What nobody could foresee, and no other exchange has: see [`nonce`].
    pub nonce: String,
    /// What salts are made of.
    pub salt_key: Secret<[u8; 32]>,
    /// What the connection is known by.
    pub channel: Channel,
}

/// What the exchanges of one session are begun with.
// No Debug: these are keys.
#[derive(Clone)]
pub struct Seeds {
    /// Of this session alone, and random: nonces are made of it.
    pub nonces: Secret<[u8; 32]>,
    /// Of the server, and random: salts are made of it. The salt of a name is always the same, whether anybody has the
    /// name or not: so it says nothing of that.
    pub salts: Secret<[u8; 32]>,
}

impl Seeds {
    /// What the exchange of that number needs.
    pub fn terms(&self, number: u32, channel: Channel) -> Terms {
        Terms { nonce: nonce(self.nonces.expose(), number), salt_key: self.salts.clone(), channel }
    }
}

/// The nonce of the exchange of that number, of a session that has this for its seed: 24 characters of base64.
pub fn nonce(seed: &[u8; 32], number: u32) -> String {
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, seed);
    let tag = ring::hmac::sign(&key, &number.to_be_bytes());
    STANDARD.encode(tag.as_ref().iter().copied().take(NONCE_BYTES).collect::<Vec<u8>>())
}

/// An exchange that waits for the client's next line. It is consumed by it.
pub struct Exchange(Waiting);

enum Waiting {
    PlainMessage,
    LoginName,
    LoginPassword { login: String },
    ScramFirst { is_plus: bool, terms: Terms },
    ScramFinal(scram::Begun),
    Cram { challenge: String },
    ExternalName { certificate: [u8; 32] },
}

/// What an exchange leads to.
pub enum Step {
    /// Send this base64 text (it may be empty) as a challenge and hand the next line to the exchange.
    Challenge(Exchange, Cow<'static, str>),
    /// The client has said all. Whether it is true is for others to say.
    Done(Claim),
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
    /// The login is bound to another connection, or not bound where it could be, or in a way that we do not know: somebody
    /// may be between us and the client (RFC 5802 §6).
    #[error("the login is not bound to this connection")]
    ChannelBinding,
    /// The mechanism needs [`Terms`], or a certificate of the client's, and there are none here.
    #[error("the mechanism is not available")]
    Unavailable,
}

impl Exchange {
    /// Begins an exchange; `initial` is the initial response as it stands on the command line, if there is one. Without
    /// terms, only the mechanisms in [`Mechanism::PASSWORDS`] can be begun.
    ///
    /// # Errors
    /// Any [`SaslError`] but [`SaslError::Cancelled`].
    pub fn start(mechanism: Mechanism, initial: Option<&[u8]>, terms: Option<Terms>) -> Result<Step, SaslError> {
        let scram = |is_plus, terms: Option<Terms>| {
            terms.map(|terms| Waiting::ScramFirst { is_plus, terms }).ok_or(SaslError::Unavailable)
        };
        let (waiting, prompt) = match mechanism {
            // RFC 4616 §2, RFC 5802 §5, RFC 4422 appendix A: the client speaks first, so the challenge is empty.
            Mechanism::Plain => (Waiting::PlainMessage, ""),
            Mechanism::ScramSha256Plus => (scram(true, terms)?, ""),
            Mechanism::ScramSha256 => (scram(false, terms)?, ""),
            Mechanism::Login => (Waiting::LoginName, PROMPT_USERNAME),
            Mechanism::CramMd5 => return Self::start_cram(initial, terms),
            Mechanism::External => {
                let certificate = terms.and_then(|terms| terms.channel.client_certificate);
                (Waiting::ExternalName { certificate: certificate.ok_or(SaslError::Unavailable)? }, "")
            }
        };
        match initial {
            None => Ok(Step::Challenge(Self(waiting), prompt.into())),
            // RFC 4954 §4: `=` is an initial response of no octets.
            Some(b"=") => waiting.accept(b""),
            Some(encoded) => waiting.accept_encoded(encoded),
        }
    }

    // RFC 2195 §2: the server speaks first, so there is no initial response.
    fn start_cram(initial: Option<&[u8]>, terms: Option<Terms>) -> Result<Step, SaslError> {
        let terms = terms.ok_or(SaslError::Unavailable)?;
        if initial.is_some() {
            return Err(SaslError::Malformed);
        }
        let challenge = cram::challenge(&terms.nonce);
        let encoded = STANDARD.encode(&challenge).into();
        Ok(Step::Challenge(Self(Waiting::Cram { challenge }), encoded))
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
            Self::PlainMessage => Ok(Step::Done(Claim::Password(plain(response)?))),
            Self::LoginName => {
                let login = login(response)?;
                Ok(Step::Challenge(Exchange(Self::LoginPassword { login }), PROMPT_PASSWORD.into()))
            }
            Self::LoginPassword { login } => {
                Ok(Step::Done(Claim::Password(Credentials { login, password: password(response)? })))
            }
            Self::ScramFirst { is_plus, terms } => {
                let (begun, challenge) = scram::begin(is_plus, response, &terms)?;
                Ok(Step::Challenge(Exchange(Self::ScramFinal(begun)), STANDARD.encode(challenge).into()))
            }
            Self::Cram { challenge } => Ok(Step::Done(Claim::Cram(CramProof::read(challenge, response)?))),
            Self::ExternalName { certificate } => {
                Ok(Step::Done(Claim::Certificate(Shown::read(certificate, response)?)))
            }
            Self::ScramFinal(begun) => Ok(Step::Done(Claim::Scram(begun.answer(response)?))),
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

pub(super) fn login(bytes: &[u8]) -> Result<String, SaslError> {
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
        let mut step = Exchange::start(mechanism, initial.as_deref(), None)?;
        let mut heard = String::new();
        let mut rest = rest.iter();
        loop {
            match step {
                Step::Done(claim) => {
                    let credentials = claim.into_password()?;
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
    fn without_terms_nothing_is_begun_that_needs_them() {
        for mechanism in Mechanism::ALL.into_iter().filter(|mechanism| !Mechanism::PASSWORDS.contains(mechanism)) {
            check(mechanism, &[b"-"], Err(SaslError::Unavailable));
        }
    }

    #[test]
    fn a_nonce_is_of_one_exchange() {
        let of = |seed: u8, number| nonce(&[seed; 32], number);
        assert_eq!((of(1, 1), of(1, 1).len()), (of(1, 1), 24));
        assert!(of(1, 1) != of(1, 2) && of(1, 1) != of(2, 1));
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
