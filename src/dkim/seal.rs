use super::body_hash::{BodyHash, BodyHasher};
use super::key::KeyFault;
use super::row::{DkimKey, keys};
use super::signature::{Signed, Signer, relaxed, seal_field};
use super::signers::{Signers, name_of, signer, tag, unusable};
use crate::base::{DomainName, Timestamp, limits};
use crate::directory;
use crate::message::{Field, fields};
use crate::store::{Read, StoreError};

const RESULTS: &str = "ARC-Authentication-Results";
const SIGNATURE: &str = "ARC-Message-Signature";
const SEAL: &str = "ARC-Seal";
/// The fields of a set, in the order in which a seal covers them.
// RFC 8617 §5.1.1
const SET: [&str; 3] = [RESULTS, SIGNATURE, SEAL];

/// What came of the chain of seals that a message had when it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChainStatus {
    /// It had none.
    None,
    /// It holds.
    Pass,
    /// It does not.
    Fail,
}

/// A message that is to be sealed.
#[derive(Debug, Clone, Copy)]
pub struct Unsealed<'a> {
    /// The domain that passes it on.
    pub by: &'a DomainName,
    /// The header block, as it is stored and sent. Fields that trace its way may be added, as Delivered-To and Received.
    pub head: &'a [u8],
    /// Of its body, as it is stored and sent.
    pub body: BodyHash,
    /// What Authentication-Results says of it: the server's name, and the results behind it.
    pub results: &'a str,
    /// What came of its chain.
    pub chain: ChainStatus,
    /// Now.
    pub at: Timestamp,
}

/// An ARC set: with it a domain answers for what it has seen of a message that it passes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seal {
    /// Who does: `d=`.
    pub by: DomainName,
    /// Its three fields, each with its CRLF: to be put before the header block.
    pub fields: Vec<u8>,
}

/// What a new set stands behind.
struct Before {
    /// `i=` of the new one.
    instance: u32,
    /// The fields that its seal covers besides its own, in their relaxed form.
    covered: Vec<u8>,
}

impl Signers {
    /// The ARC set of a message; `None` where the domain is not ours or has no key that signs, and where the chain of the
    /// message ends. (It is made of two signatures, each of which takes RSA about a millisecond.)
    ///
    /// # Errors
    /// [`StoreError`]
    // RFC 8617 §5.1
    pub fn seal(&self, read: &impl Read, message: &Unsealed<'_>) -> Result<Option<Seal>, StoreError> {
        let Some(before) = before(message.head, message.chain) else { return Ok(None) };
        let Some(domain) = directory::local_domain(read, message.by)? else { return Ok(None) };
        // RFC 8617 §4.2.1: a set has one field of each kind, so one key makes it. RSA is what every verifier knows
        // (RFC 8301 §3.1), and one that can't read a seal takes the whole chain for broken.
        let mut keys: Vec<DkimKey> = keys(read, &domain.name)?.into_iter().filter(DkimKey::signs).collect();
        keys.sort_by_key(|key| key.algorithm);
        Ok(keys.iter().find_map(|row| self.seal_by(row, &before, message)))
    }

    /// A message that we have sealed and then changed: with a new seal in the place of the one that does not hold any more,
    /// or without any where none can be made. Another message comes back as it is.
    pub(super) fn seal_again(&self, read: &impl Read, message: Vec<u8>, at: Timestamp) -> Result<Vec<u8>, StoreError> {
        let Some(body_at) = memchr::memmem::find(&message, b"\r\n\r\n").map(|at| at + 2) else { return Ok(message) };
        let (block, content) = message.split_at(body_at);
        let Some([seal, _, results]) = ours(block) else { return Ok(message) };
        let head = &block[results.span.end..];
        let mut body = BodyHasher::default();
        body.push(content);
        let body = body.finish();
        let results = String::from_utf8_lossy(results.value);
        let again = match (signer(&seal), results.split_once(';')) {
            (Some(by), Some((_, results))) => {
                let (results, chain) = (results.trim(), ChainStatus::of(tag(&seal, "cv").as_deref()));
                self.seal(read, &Unsealed { by: &by, head, body, results, chain, at })?
            }
            _ => None,
        };
        let fields = again.map(|seal| seal.fields).unwrap_or_default();
        Ok([fields.as_slice(), head, content].concat())
    }

    fn seal_by(&self, row: &DkimKey, before: &Before, message: &Unsealed<'_>) -> Option<Seal> {
        let key = self.ready(row)?;
        let by = name_of(row, message.by);
        let signer = Signer { domain: by, selector: &row.selector, key: &key };
        match before.set(signer, message) {
            Ok(fields) => Some(Seal { by: by.clone(), fields }),
            Err(error) => {
                unusable(row, &error);
                None
            }
        }
    }
}

impl Before {
    /// The next set: its seal comes first, as what is added later stands above.
    fn set(&self, by: Signer<'_>, message: &Unsealed<'_>) -> Result<Vec<u8>, KeyFault> {
        let Unsealed { head, body, results, chain, at, .. } = *message;
        let results = format!("{RESULTS}: i={}; {results}\r\n", self.instance).into_bytes();
        let signature = Signed::of_forwarded(head).sign_instance(self.instance, by, body, at)?;
        let mut covered = self.covered.clone();
        for (name, field) in [(RESULTS, &results), (SIGNATURE, &signature)] {
            relaxed(name, &field[name.len() + 1..], &mut covered);
        }
        let seal = seal_field((self.instance, chain.name()), covered, by, at)?;
        Ok([seal, signature, results].concat())
    }
}

impl ChainStatus {
    /// As `cv=` says it.
    fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Pass => "pass",
            Self::Fail => "fail",
        }
    }

    fn of(cv: Option<&str>) -> Self {
        let is = |status: &Self| cv.is_some_and(|cv| cv.eq_ignore_ascii_case(status.name()));
        [Self::None, Self::Pass].into_iter().find(is).unwrap_or(Self::Fail)
    }
}

/// What stands before a new set in a header block whose chain has come to that; `None`: there can't be one more.
fn before(head: &[u8], chain: ChainStatus) -> Option<Before> {
    let instance = |field: &Field<'_>| tag(field, "i").and_then(|text| text.parse().ok()).unwrap_or(0_u32);
    let is_arc = |field: &Field<'_>| SET.iter().any(|name| field.is(name));
    let sets: Vec<(u32, Field<'_>)> = fields(head).filter(is_arc).map(|field| (instance(&field), field)).collect();
    let last = sets.iter().map(|(instance, _)| *instance).max().unwrap_or(0);
    // RFC 8617 §5.1: where somebody has sealed that it is broken, it ends. §4.2.1: 50 are the most.
    let mut seals = sets.iter().filter(|(instance, field)| *instance == last && field.is(SEAL));
    let is_ended = seals.any(|(_, seal)| ChainStatus::of(tag(seal, "cv").as_deref()) == ChainStatus::Fail);
    if is_ended || last as usize >= limits::ARC_SETS || sets.is_empty() != (chain == ChainStatus::None) {
        return None;
    }
    let mut covered = Vec::new();
    // RFC 8617 §5.1.2: behind a chain that is broken, a seal covers its own set alone.
    if chain == ChainStatus::Pass {
        for (number, name) in (1..=last).flat_map(|number| SET.map(|name| (number, name))) {
            let (_, field) = sets.iter().find(|(instance, field)| *instance == number && field.is(name))?;
            relaxed(name, field.value, &mut covered);
        }
    }
    Some(Before { instance: last + 1, covered })
}

/// The set that we have put before all other fields. What comes from elsewhere has our Received there.
fn ours(head: &[u8]) -> Option<[Field<'_>; 3]> {
    let mut all = fields(head);
    let set = [all.next()?, all.next()?, all.next()?];
    let is_set = set.iter().zip(SET.iter().rev()).all(|(field, name)| field.is(name));
    (is_set && set[0].span.start == 0).then_some(set)
}

/// The set that we have put before all other fields, and the rest of the header block; `None`: there is none.
pub fn split_seal(head: &[u8]) -> Option<(Seal, &[u8])> {
    let [seal, _, results] = ours(head)?;
    let (set, rest) = head.split_at_checked(results.span.end)?;
    Some((Seal { by: signer(&seal)?, fields: set.to_vec() }, rest))
}
