use md5::{Digest, Md5};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::exchange::{LOGIN_BYTES, SaslError};

/// Octets of a block of MD5.
const BLOCK: usize = 64;
/// Hexadecimal digits of a digest.
const DIGITS: usize = 32;

/// What a client has shown by CRAM-MD5: whether it is a proof is seen with the secret.
pub struct CramProof {
    login: String,
    challenge: String,
    digest: String,
}

impl CramProof {
    /// Reads the client's answer to a challenge.
    // RFC 2195 §2: the user name, a space, the digest in lower-case hexadecimal
    pub(super) fn read(challenge: String, response: &[u8]) -> Result<Self, SaslError> {
        let text = std::str::from_utf8(response).map_err(|_| SaslError::Malformed)?;
        let (login, digest) = text.rsplit_once(' ').ok_or(SaslError::Malformed)?;
        let is_digest = digest.len() == DIGITS && digest.bytes().all(|byte| byte.is_ascii_hexdigit());
        if login.is_empty() || login.chars().any(char::is_control) || !is_digest {
            return Err(SaslError::Malformed);
        }
        if login.len() > LOGIN_BYTES {
            return Err(SaslError::TooLong);
        }
        Ok(Self { login: login.to_owned(), challenge, digest: digest.to_ascii_lowercase() })
    }

    /// Who claims to log in.
    pub fn login(&self) -> &str {
        &self.login
    }

    /// Whether the client knows that secret. The time it takes says nothing of the secret.
    pub fn verify(&self, secret: &str) -> bool {
        let expected = digest(secret, self.challenge.as_bytes());
        expected.as_bytes().ct_eq(self.digest.as_bytes()).into()
    }
}

/// The challenge that holds this nonce.
// RFC 2195 §2: of the form of a message id
pub(super) fn challenge(nonce: &str) -> String {
    format!("<{nonce}@pillarbox>")
}

/// What a client says to a challenge.
pub(super) fn answer(login: &str, secret: &str, challenge: &[u8]) -> String {
    format!("{login} {}", digest(secret, challenge))
}

// RFC 2104 §2, with MD5, in hexadecimal
fn digest(secret: &str, text: &[u8]) -> String {
    let mut key = Zeroizing::new([0; BLOCK]);
    let shortened =
        Zeroizing::new(if secret.len() > BLOCK { Md5::digest(secret).to_vec() } else { secret.as_bytes().to_vec() });
    key.iter_mut().zip(shortened.iter()).for_each(|(to, from)| *to = *from);
    let pad = |octet: u8| Zeroizing::new(key.map(|byte| byte ^ octet));
    let inner = Md5::new().chain_update(*pad(0x36)).chain_update(text).finalize();
    let outer = Md5::new().chain_update(*pad(0x5c)).chain_update(inner).finalize();
    outer.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 2104 appendix, RFC 2202 §2
    #[test]
    fn digests_are_those_of_the_rfcs() {
        let check = |secret: &str, text: &[u8], expected| assert_eq!(digest(secret, text), expected);
        check("\u{b}".repeat(16).as_str(), b"Hi There", "9294727a3638bb1c13f48ef8158bfc9d");
        check("Jefe", b"what do ya want for nothing?", "750c783e6ab0b503eaa86e310a5db738");
        // A key of more than a block: RFC 2202 has only such as are no text, so this is what Python's hmac says.
        check(&"k".repeat(80), b"text", "45211a552350a8e7bd7c66ff678bbb62");
    }

    /// RFC 2195 §2
    #[test]
    fn the_example_of_the_rfc_is_ours() {
        let challenge = "<1896.697170952@postoffice.reston.mci.net>";
        let response = "tim b913a602c7eda7a495b4e6e7334d3890";
        assert_eq!(answer("tim", "tanstaaftanstaaf", challenge.as_bytes()), response);
        let shown = CramProof::read(challenge.to_owned(), response.as_bytes()).unwrap();
        assert_eq!((shown.login(), shown.verify("tanstaaftanstaaf"), shown.verify("tanstaaf")), ("tim", true, false));
    }

    #[test]
    fn a_response_has_one_form() {
        let read = |response: &str| CramProof::read(challenge("n"), response.as_bytes()).map(|shown| shown.login);
        let digest = "0".repeat(DIGITS);
        assert_eq!(read(&format!("a b {digest}")), Ok("a b".into()));
        assert_eq!(read(&format!("{} {digest}", "a".repeat(LOGIN_BYTES + 1))), Err(SaslError::TooLong));
        for wrong in ["", &digest, &format!(" {digest}"), &format!("a {digest}0"), "a g", &format!("a\0 {digest}")] {
            assert_eq!(read(wrong), Err(SaslError::Malformed), "{wrong}");
        }
        assert_eq!(CramProof::read(challenge("n"), b"\xff 0").map(|shown| shown.login), Err(SaslError::Malformed));
    }
}
