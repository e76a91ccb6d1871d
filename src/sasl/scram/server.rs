use std::num::NonZeroU32;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::{Keys, attributes, is_nonce, is_plain_text, mac, unescaped, xor};
use crate::base::limits;
use crate::sasl::channel::BindingKind;
use crate::sasl::exchange::{LOGIN_BYTES, SaslError, Terms};

/// Octets of a salt.
pub(super) const SALT_BYTES: usize = 16;
const ITERATIONS: NonZeroU32 = NonZeroU32::new(limits::SCRAM_ITERATIONS).unwrap();

/// An exchange in which the client's proof is waited for.
pub(in crate::sasl) struct Begun {
    pub(super) login: String,
    pub(super) salt: [u8; SALT_BYTES],
    /// What `c=` has to be.
    pub(super) binding: String,
    pub(super) nonce: String,
    /// The client's first message without its header, and ours, each with a comma behind it.
    pub(super) said: String,
}

/// What a client has shown: whether it is a proof is seen with the secret.
pub struct ScramProof {
    login: String,
    salt: [u8; SALT_BYTES],
    auth_message: String,
    proof: [u8; 32],
}

/// Takes the client's first message; gives the challenge.
///
/// The salt of a name is made of the name and a key of the server's, whether anybody has the name or not: so it says
/// nothing of that.
pub(in crate::sasl) fn begin(is_plus: bool, message: &[u8], terms: &Terms) -> Result<(Begun, String), SaslError> {
    let text = std::str::from_utf8(message).map_err(|_| SaslError::Malformed)?;
    // RFC 5802 §7: gs2-header = gs2-cbind-flag "," [ authzid ] ","
    let (flag, rest) = text.split_once(',').ok_or(SaslError::Malformed)?;
    let (authzid, bare) = rest.split_once(',').ok_or(SaslError::Malformed)?;
    let header = text.strip_suffix(bare).ok_or(SaslError::Malformed)?;
    let data = bound_to(is_plus, flag, terms)?;
    let [name, client_nonce] = attributes(bare, ['n', 'r']).ok_or(SaslError::Malformed)?;
    let login = unescaped(name).filter(|login| is_plain_text(login)).ok_or(SaslError::Malformed)?;
    if login.len() > LOGIN_BYTES || client_nonce.len() > limits::SCRAM_NONCE_BYTES {
        return Err(SaslError::TooLong);
    }
    if !is_nonce(client_nonce) {
        return Err(SaslError::Malformed);
    }
    match authzid.strip_prefix("a=") {
        None if !authzid.is_empty() => return Err(SaslError::Malformed),
        Some(other) if unescaped(other).as_deref() != Some(&*login) => return Err(SaslError::AuthorizationId),
        _ => {}
    }
    let mut salt = [0; SALT_BYTES];
    salt.iter_mut().zip(mac(terms.salt_key.expose(), login.as_bytes())).for_each(|(to, from)| *to = from);
    let nonce = format!("{client_nonce}{}", terms.nonce);
    // RFC 5802 §5.1: c is the header and what the connection is known by.
    let binding = STANDARD.encode([header.as_bytes(), data].concat());
    let challenge = format!("r={nonce},s={},i={ITERATIONS}", STANDARD.encode(salt));
    let said = format!("{bare},{challenge},");
    Ok((Begun { login, salt, binding, nonce, said }, challenge))
}

/// What of the connection the login has to be bound to, as the flag says.
// RFC 5802 §6
fn bound_to<'a>(is_plus: bool, flag: &str, terms: &'a Terms) -> Result<&'a [u8], SaslError> {
    match (flag, flag.strip_prefix("p=")) {
        (_, Some(name)) if is_plus => {
            let kind = BindingKind::parse(name);
            kind.and_then(|kind| terms.channel.data(kind)).ok_or(SaslError::ChannelBinding)
        }
        // The client could bind, and did not see that we can: somebody between us has taken the -PLUS away.
        ("y", None) if !is_plus && terms.channel.can_be_bound() => Err(SaslError::ChannelBinding),
        ("n" | "y", None) if !is_plus => Ok(&[]),
        ("n" | "y", None) | (_, Some(_)) => Err(SaslError::ChannelBinding),
        _ => Err(SaslError::Malformed),
    }
}

impl Begun {
    /// Takes the client's final message.
    pub(in crate::sasl) fn answer(self, message: &[u8]) -> Result<ScramProof, SaslError> {
        let text = std::str::from_utf8(message).map_err(|_| SaslError::Malformed)?;
        let (without_proof, proof) = text.rsplit_once(",p=").ok_or(SaslError::Malformed)?;
        let [binding, nonce] = attributes(without_proof, ['c', 'r']).ok_or(SaslError::Malformed)?;
        let proof = STANDARD.decode(proof).map_err(|_| SaslError::Base64)?;
        let proof = proof.try_into().map_err(|_| SaslError::Malformed)?;
        if binding != self.binding {
            return Err(SaslError::ChannelBinding);
        }
        if nonce != self.nonce {
            return Err(SaslError::Malformed);
        }
        let auth_message = format!("{}{without_proof}", self.said);
        Ok(ScramProof { login: self.login, salt: self.salt, auth_message, proof })
    }
}

impl ScramProof {
    /// Who claims to log in.
    pub fn login(&self) -> &str {
        &self.login
    }

    /// Whether the client knows that secret: what is to be said to it then, in base64, so that it sees that we know it
    /// too. The time it takes says nothing of the secret.
    // RFC 5802 §3
    pub fn verify(&self, secret: &str) -> Option<String> {
        let keys = Keys::of(secret, &self.salt, ITERATIONS);
        let client_key = xor(&self.proof, &keys.client_signature(&self.auth_message));
        let is_right: bool = Sha256::digest(client_key).ct_eq(&keys.stored_key).into();
        let last = format!("v={}", STANDARD.encode(keys.server_signature(&self.auth_message)));
        (is_right && is_plain_text(secret)).then(|| STANDARD.encode(last))
    }
}
