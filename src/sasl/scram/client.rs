use std::num::NonZeroU32;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use subtle::ConstantTimeEq;

use super::{Keys, attributes, escaped, is_nonce, is_plain_text, xor};
use crate::base::{Secret, limits};
use crate::sasl::responder::{Terms, Unanswerable, Unspeakable};

/// The client's side of the exchange.
// No Debug: it holds the secret.
pub(in crate::sasl) struct Client {
    secret: Secret<String>,
    nonce: String,
    header: String,
    /// What `c=` says: the header, and what the connection is known by.
    binding: String,
    bare: String,
    stage: Stage,
}

enum Stage {
    /// The first message is to be said.
    First,
    /// The salt is waited for.
    Asked,
    /// The server has to prove now that it knows the secret: by this.
    Proved { signature: [u8; 32] },
    /// It did.
    Done,
}

impl Client {
    pub(in crate::sasl) fn new(
        is_plus: bool,
        login: &str,
        secret: &Secret<String>,
        terms: &Terms<'_>,
    ) -> Result<Self, Unspeakable> {
        if !is_plain_text(login) || !is_plain_text(secret.expose()) {
            return Err(Unspeakable);
        }
        // RFC 5802 §6: `y` says that we could, and were not asked to.
        let (flag, data) = match terms.channel.best() {
            Some((kind, data)) if is_plus => (format!("p={}", kind.name()), data),
            None if is_plus => return Err(Unspeakable),
            Some(_) if !terms.offers_plus => ("y".to_owned(), [].as_slice()),
            _ => ("n".to_owned(), [].as_slice()),
        };
        let header = format!("{flag},,");
        Ok(Self {
            secret: secret.clone(),
            nonce: terms.nonce.to_owned(),
            binding: STANDARD.encode([header.as_bytes(), data].concat()),
            header,
            bare: format!("n={},r={}", escaped(login), terms.nonce),
            stage: Stage::First,
        })
    }

    /// The first message.
    pub(in crate::sasl) fn first(&self) -> Option<String> {
        matches!(self.stage, Stage::First).then(|| format!("{}{}", self.header, self.bare))
    }

    /// The first message is said.
    pub(in crate::sasl) fn has_begun(&mut self) {
        self.stage = Stage::Asked;
    }

    /// What is said to a challenge.
    pub(in crate::sasl) fn answer(&mut self, challenge: &[u8]) -> Result<String, Unanswerable> {
        match self.stage {
            Stage::First => {
                let first = self.first().filter(|_| challenge.is_empty()).ok_or(Unanswerable::Nonsense)?;
                self.has_begun();
                Ok(first)
            }
            Stage::Asked => {
                let text = std::str::from_utf8(challenge).map_err(|_| Unanswerable::Nonsense)?;
                let (answer, signature) = self.prove(text)?;
                self.stage = Stage::Proved { signature };
                Ok(answer)
            }
            Stage::Proved { signature } => {
                // RFC 5802 §5.1: v, or e and an error
                let text = std::str::from_utf8(challenge).map_err(|_| Unanswerable::Nonsense)?;
                let [shown] = attributes(text, ['v']).ok_or(Unanswerable::Unproved)?;
                let shown = STANDARD.decode(shown).map_err(|_| Unanswerable::Nonsense)?;
                if !bool::from(shown.ct_eq(&signature)) {
                    return Err(Unanswerable::Unproved);
                }
                self.stage = Stage::Done;
                Ok(String::new())
            }
            Stage::Done => Err(Unanswerable::Nonsense),
        }
    }

    /// Whether the server has proved that it knows the secret.
    pub(in crate::sasl) fn is_proved(&self) -> bool {
        matches!(self.stage, Stage::Done)
    }

    /// The final message, and what the server has to answer it with.
    fn prove(&self, server_first: &str) -> Result<(String, [u8; 32]), Unanswerable> {
        let [nonce, salt, iterations] = attributes(server_first, ['r', 's', 'i']).ok_or(Unanswerable::Nonsense)?;
        // RFC 5802 §5.1: ours with the server's behind it
        let is_ours = nonce.strip_prefix(&*self.nonce).is_some_and(|rest| !rest.is_empty()) && is_nonce(nonce);
        let salt = STANDARD.decode(salt).ok().filter(|salt| !salt.is_empty());
        let (Some(salt), true) = (salt, is_ours) else { return Err(Unanswerable::Nonsense) };
        // RFC 7677 §4: fewer would make the secret easy to guess for a server that does not know it, more would be work
        // for us alone.
        let good = limits::SCRAM_ITERATIONS..=limits::SCRAM_ITERATIONS_MAX;
        let iterations = iterations.parse::<NonZeroU32>().ok().filter(|count| good.contains(&count.get()));
        let keys = Keys::of(self.secret.expose(), &salt, iterations.ok_or(Unanswerable::Iterations)?);
        let without_proof = format!("c={},r={nonce}", self.binding);
        let auth_message = format!("{},{server_first},{without_proof}", self.bare);
        let proof = xor(&keys.client_key, &keys.client_signature(&auth_message));
        let answer = format!("{without_proof},p={}", STANDARD.encode(proof));
        Ok((answer, keys.server_signature(&auth_message)))
    }
}
