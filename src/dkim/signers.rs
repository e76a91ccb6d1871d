use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use mail_auth::common::crypto::DkimKey as Private;

use super::body_hash::BodyHash;
use super::key::{KeyFault, parse};
use super::row::{DkimKey, keys};
use super::signature::{Signed, Signer};
use crate::base::{DomainName, Timestamp, limits};
use crate::directory;
use crate::store::{Read, StoreError};

/// Signs messages. One for the whole server: it keeps the keys that it has used ready, as an RSA key is costly to read.
#[derive(Default)]
pub struct Signers {
    ready: Mutex<HashMap<Place, Ready>>,
}

/// A message that is to be signed.
#[derive(Debug, Clone, Copy)]
pub struct Unsigned<'a> {
    /// The domain of its author: of the first address of From.
    pub author: &'a DomainName,
    /// The header block, as it is stored and sent.
    pub head: &'a [u8],
    /// Of its body, as it is stored and sent.
    pub body: BodyHash,
    /// Now.
    pub at: Timestamp,
}

/// A domain and a selector.
type Place = (String, String);

/// A key that has been read, at a version of its row.
#[derive(Clone)]
struct Ready {
    version: u64,
    key: Arc<Private>,
}

impl Signers {
    /// The DKIM-Signature fields of a message, one for each key of its author's domain that signs, each with its CRLF: to
    /// be put before the header block. Empty where the domain is not ours, or has no such key. (A signature by RSA takes
    /// about a millisecond.)
    ///
    /// Only for what comes from somebody who may write in the author's name: a signature says that we answer for it.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn sign(&self, read: &impl Read, message: &Unsigned<'_>) -> Result<Vec<u8>, StoreError> {
        let Some(domain) = directory::local_domain(read, message.author)? else { return Ok(Vec::new()) };
        Ok(self.sign_by(&keys(read, &domain.name)?, message))
    }

    /// The same for what this server writes itself, in the name of `hostname`: by the keys of the nearest domain of ours
    /// that the name is in. Its owner answers for the server.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn sign_own(&self, read: &impl Read, message: &Unsigned<'_>) -> Result<Vec<u8>, StoreError> {
        let mut name = Some(message.author.clone());
        while let Some(domain) = name {
            let keys = keys(read, &domain)?;
            if keys.iter().any(DkimKey::signs) && directory::domain(read, &domain)?.is_some() {
                return Ok(self.sign_by(&keys, message));
            }
            name = domain.as_str().split_once('.').and_then(|(_, parent)| DomainName::parse(parent).ok());
        }
        Ok(Vec::new())
    }

    fn sign_by(&self, keys: &[DkimKey], message: &Unsigned<'_>) -> Vec<u8> {
        let (mut text, mut signed) = (Vec::new(), None);
        for row in keys.iter().filter(|key| key.signs()) {
            let Some(key) = self.ready(row) else { continue };
            // RFC 7489 §3.1.1: in the author's own name where the record is there, so that the two are aligned.
            let is_seen = row.seen_in.contains(message.author);
            let domain = if is_seen { message.author } else { &row.domain };
            let signed = signed.get_or_insert_with(|| Signed::of(message.head));
            let signer = Signer { domain, selector: &row.selector, key: &key };
            match signed.sign(&signer, message.body, message.at) {
                Ok(field) => text.extend(field),
                Err(error) => unusable(row, &error),
            }
        }
        text
    }

    fn ready(&self, row: &DkimKey) -> Option<Arc<Private>> {
        let place = (row.domain.to_string(), row.selector.clone());
        let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = ready.get(&place).filter(|known| known.version == row.version) {
            return Some(Arc::clone(&known.key));
        }
        let key = match parse(row.algorithm, &row.private) {
            Ok(key) => Arc::new(key),
            Err(error) => {
                unusable(row, &error);
                return None;
            }
        };
        if ready.len() >= limits::DKIM_KEYS_READY {
            ready.clear();
        }
        ready.insert(place, Ready { version: row.version, key: Arc::clone(&key) });
        Some(key)
    }
}

impl std::fmt::Debug for Signers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signers").finish_non_exhaustive()
    }
}

/// Mail is worth more than its signature: it goes without.
fn unusable(row: &DkimKey, error: &KeyFault) {
    let DkimKey { domain, selector, .. } = row;
    tracing::error!(event = "dkim_key_unusable", %domain, selector, %error, "a DKIM key can't sign");
}
