use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use mail_auth::common::crypto::DkimKey as Private;

use super::body_hash::{BodyHash, BodyHasher};
use super::key::{KeyFault, parse};
use super::row::{DkimKey, keys};
use super::signature::{Signed, Signer};
use crate::base::{DomainName, Timestamp, limits};
use crate::directory;
use crate::message::{Field, fields};
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

    /// A message that we have signed and then changed, as where a server takes 7-bit alone: with signatures made anew in the
    /// place of those that do not hold any more, in the names of the same domains. A message without one of ours at its
    /// front comes back as it is: what others have signed is theirs.
    ///
    /// # Errors
    /// [`StoreError`]
    // RFC 6376 §5.3: what is signed is what is sent
    pub fn sign_again(&self, read: &impl Read, message: Vec<u8>, at: Timestamp) -> Result<Vec<u8>, StoreError> {
        // We seal what is not ours, and sign what is.
        let message = self.seal_again(read, message, at)?;
        let Some(Ours { span, authors, body_at }) = ours(&message) else { return Ok(message) };
        let (front, head) = (&message[..span.start], &message[span.end..body_at]);
        let mut body = BodyHasher::default();
        body.push(&message[body_at..]);
        let body = body.finish();
        let mut again = front.to_vec();
        for author in &authors {
            again.extend(self.sign(read, &Unsigned { author, head, body, at })?);
        }
        again.extend_from_slice(&message[span.end..]);
        Ok(again)
    }

    fn sign_by(&self, keys: &[DkimKey], message: &Unsigned<'_>) -> Vec<u8> {
        let (mut text, mut signed) = (Vec::new(), None);
        for row in keys.iter().filter(|key| key.signs()) {
            let Some(key) = self.ready(row) else { continue };
            let domain = name_of(row, message.author);
            let signed = signed.get_or_insert_with(|| Signed::of(message.head));
            let signer = Signer { domain, selector: &row.selector, key: &key };
            match signed.sign(signer, message.body, message.at) {
                Ok(field) => text.extend(field),
                Err(error) => unusable(row, &error),
            }
        }
        text
    }

    pub(super) fn ready(&self, row: &DkimKey) -> Option<Arc<Private>> {
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

/// The name that a key signs in for somebody of that name of its domain: that one where the record is there.
// RFC 7489 §3.1.1: so the author and the signature are aligned
pub(super) fn name_of<'a>(row: &'a DkimKey, name: &'a DomainName) -> &'a DomainName {
    if row.seen_in.contains(name) { name } else { &row.domain }
}

/// The signatures at the front of a message.
struct Ours {
    /// Where they are.
    span: Range<usize>,
    /// The domains in whose names they are, each once.
    authors: Vec<DomainName>,
    /// Where the blank line is that stands before the body.
    body_at: usize,
}

/// The signatures that we have put before all other fields, but for the Delivered-To of whoever forwards. What comes from
/// elsewhere has our Received there.
fn ours(message: &[u8]) -> Option<Ours> {
    let body_at = memchr::memmem::find(message, b"\r\n\r\n")? + 2;
    let all = fields(&message[..body_at]).skip_while(|field| field.is("Delivered-To") && field.span.start == 0);
    let mut ours: Option<Ours> = None;
    for field in all.take_while(|field| field.is("DKIM-Signature")) {
        let author = signer(&field)?;
        let ours = ours.get_or_insert(Ours { span: field.span.clone(), authors: Vec::new(), body_at });
        ours.span.end = field.span.end;
        if !ours.authors.contains(&author) {
            ours.authors.push(author);
        }
    }
    ours
}

/// The domain in whose name a signature is: `d=`.
pub(super) fn signer(field: &Field<'_>) -> Option<DomainName> {
    DomainName::parse(&tag(field, "d")?).ok()
}

/// What a field says in that tag.
// RFC 6376 §3.2
pub(super) fn tag(field: &Field<'_>, name: &str) -> Option<String> {
    let value = field.unfolded();
    let text = String::from_utf8_lossy(&value);
    let mut tags = text.split(';').filter_map(|tag| tag.split_once('='));
    tags.find(|(found, _)| found.trim() == name).map(|(_, value)| value.trim().to_owned())
}

/// Mail is worth more than its signature: it goes without.
pub(super) fn unusable(row: &DkimKey, error: &KeyFault) {
    let DkimKey { domain, selector, .. } = row;
    tracing::error!(event = "dkim_key_unusable", %domain, selector, %error, "a DKIM key can't sign");
}
