//! SCRAM-SHA-256 and SCRAM-SHA-256-PLUS (RFC 5802, RFC 7677): both sides prove that they know the secret, and neither
//! shows it. What both sides do alike is here.

mod client;
mod server;
#[cfg(test)]
mod tests;

use std::num::NonZeroU32;

use ring::{hmac, pbkdf2};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

pub(super) use client::Client;
pub use server::ScramProof;
pub(super) use server::{Begun, begin};

/// What a secret comes to, with a salt and a number of rounds.
struct Keys {
    client_key: Zeroizing<[u8; 32]>,
    stored_key: [u8; 32],
    server_key: Zeroizing<[u8; 32]>,
}

impl Keys {
    // RFC 5802 §3
    fn of(secret: &str, salt: &[u8], iterations: NonZeroU32) -> Self {
        let mut salted = Zeroizing::new([0; 32]);
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, iterations, salt, secret.as_bytes(), &mut *salted);
        let client_key = Zeroizing::new(mac(&*salted, b"Client Key"));
        let stored_key = Sha256::digest(*client_key).into();
        Self { client_key, stored_key, server_key: Zeroizing::new(mac(&*salted, b"Server Key")) }
    }

    /// What hides the client's key in its proof.
    fn client_signature(&self, auth_message: &str) -> [u8; 32] {
        mac(&self.stored_key, auth_message.as_bytes())
    }

    /// What the server proves that it knows the secret with.
    fn server_signature(&self, auth_message: &str) -> [u8; 32] {
        mac(&*self.server_key, auth_message.as_bytes())
    }
}

fn mac(key: &[u8], text: &[u8]) -> [u8; 32] {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text);
    let mut out = [0; 32];
    out.iter_mut().zip(tag.as_ref()).for_each(|(to, from)| *to = *from);
    out
}

fn xor(a: &[u8; 32], b: &[u8; 32]) -> [u8; 32] {
    let mut out = *a;
    out.iter_mut().zip(b).for_each(|(to, from)| *to ^= from);
    out
}

/// Whether SASLprep (RFC 4013) leaves this as it is: so much of it is built. What holds anything else can't be proved by
/// SCRAM, since the other side would prove another octet string.
pub(super) fn is_plain_text(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
}

// RFC 5802 §5.1: saslname
fn escaped(name: &str) -> String {
    name.replace('=', "=3D").replace(',', "=2C")
}

fn unescaped(text: &str) -> Option<String> {
    let mut pieces = text.split('=');
    let mut name = pieces.next()?.to_owned();
    for piece in pieces {
        let (character, rest) = match (piece.strip_prefix("2C"), piece.strip_prefix("3D")) {
            (Some(rest), _) => (',', rest),
            (_, Some(rest)) => ('=', rest),
            _ => return None,
        };
        name.push(character);
        name.push_str(rest);
    }
    Some(name)
}

/// The values of the attributes with these letters, which have to stand first and in this order; what follows them are
/// extensions that nobody has to know.
// RFC 5802 §5.1, §7: `m=` is one that must be known, and stands in the first place.
fn attributes<const N: usize>(text: &str, letters: [char; N]) -> Option<[&str; N]> {
    let mut values = [""; N];
    let mut parts = text.split(',');
    for (value, letter) in values.iter_mut().zip(letters) {
        *value = parts.next()?.strip_prefix(letter)?.strip_prefix('=')?;
    }
    let is_attribute = |part: &str| {
        let mut characters = part.chars();
        characters.next().is_some_and(|letter| letter.is_ascii_alphabetic()) && characters.next() == Some('=')
    };
    parts.all(is_attribute).then_some(values)
}

/// Printable ASCII without a comma.
// RFC 5802 §7: printable
fn is_nonce(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| (b'!'..=b'~').contains(&byte) && byte != b',')
}
