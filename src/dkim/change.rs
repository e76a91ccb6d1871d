use super::key::{Algorithm, KeyPair};
use super::record::DnsState;
use super::row::{DKIM_TOPIC, DkimKey, KEYS, KeyState, VERSIONS, key, keys, last_version, place};
use crate::base::{DomainName, Timestamp, limits};
use crate::directory::{self, DeleteDomain, Precondition};
use crate::store::{Halt, Op, Read, StoreError, Topic, Tx};

/// Why a change of keys is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyRefused {
    /// The domain is not one of ours.
    #[error("{0} is not a domain of this server")]
    NoDomain(DomainName),
    /// There is no such key.
    #[error("there is no such key")]
    Unknown,
    /// It is not at the expected version.
    #[error("the key was changed meanwhile")]
    Precondition,
    /// The selector can't be one.
    #[error(
        "a selector is of 1 to {} of a-z, 0-9 and '-', in parts with dots between them",
        limits::DKIM_SELECTOR_BYTES
    )]
    Selector,
    /// The domain has a key with that selector.
    #[error("there is a key with the selector {0}")]
    Taken(String),
    /// The domain has keys, and was to get its first.
    #[error("the domain has keys already")]
    NotFirst,
    /// The domain has as many keys as it may have.
    #[error("a domain has at most {} keys", limits::DKIM_KEYS_PER_DOMAIN)]
    TooMany,
    /// Its private key was dropped with the key file.
    #[error("its private key is gone: make another key")]
    NoPrivateKey,
    /// It signs, or there may be mail on its way that it has signed.
    #[error("the key is in use")]
    InUse,
}

/// Adds keys that were made to a domain, all or none. They are pending.
pub struct AddKeys {
    /// Whose.
    pub domain: DomainName,
    /// The keys, each with its selector.
    pub keys: Vec<(String, KeyPair)>,
    /// Only where the domain has none yet.
    pub only_first: bool,
    /// Now.
    pub at: Timestamp,
}

/// Lets a key sign: the one of the same algorithm that signs now retires. Nothing changes where it signs already.
pub struct ActivateKey {
    /// Whose.
    pub domain: DomainName,
    /// Which.
    pub selector: String,
    /// Under which of the domain's names its record was found.
    pub seen_in: Vec<DomainName>,
    /// What it depends on.
    pub precondition: Precondition,
    /// Now.
    pub at: Timestamp,
}

/// Deletes a key.
pub struct DeleteKey {
    /// Whose.
    pub domain: DomainName,
    /// Which.
    pub selector: String,
    /// What it depends on.
    pub precondition: Precondition,
    /// Also where it signs, or mail that it has signed may be on its way.
    pub force: bool,
}

/// Writes down what the DNS says of a key.
pub struct NoteDns {
    /// Whose.
    pub domain: DomainName,
    /// Which.
    pub selector: String,
    /// What it says under the domain's own name.
    pub dns: DnsState,
    /// Under which of the domain's names its record was found.
    pub seen_in: Vec<DomainName>,
    /// Now.
    pub at: Timestamp,
}

/// Deletes a domain, and its keys with it.
pub struct RemoveDomain(pub DeleteDomain);

impl Op for AddKeys {
    type Plan = ();
    type Out = Vec<DkimKey>;
    type Refused = KeyRefused;

    fn name(&self) -> &'static str {
        "dkim.add_keys"
    }

    fn runs_when_full(&self) -> bool {
        true
    }

    fn check(&self, tx: &Tx<'_>) -> Result<(), Halt<KeyRefused>> {
        if directory::domain(tx, &self.domain)?.is_none() {
            return Err(Halt::Refused(KeyRefused::NoDomain(self.domain.clone())));
        }
        let known = keys(tx, &self.domain)?;
        if self.only_first && !known.is_empty() {
            return Err(Halt::Refused(KeyRefused::NotFirst));
        }
        if known.len() + self.keys.len() > limits::DKIM_KEYS_PER_DOMAIN {
            return Err(Halt::Refused(KeyRefused::TooMany));
        }
        for (index, (selector, _)) in self.keys.iter().enumerate() {
            if !is_selector(selector) {
                return Err(Halt::Refused(KeyRefused::Selector));
            }
            let is_twice = self.keys[..index].iter().any(|(other, _)| other == selector);
            if is_twice || tx.has(&KEYS, &place(&self.domain, selector))? {
                return Err(Halt::Refused(KeyRefused::Taken(selector.clone())));
            }
        }
        Ok(())
    }

    fn apply(&self, tx: &mut Tx<'_>, (): ()) -> Result<Vec<DkimKey>, StoreError> {
        let mut added = Vec::with_capacity(self.keys.len());
        for (selector, pair) in &self.keys {
            let row = DkimKey {
                domain: self.domain.clone(),
                selector: selector.clone(),
                algorithm: pair.algorithm,
                private: pair.private.expose().clone(),
                public: pair.public.clone(),
                state: KeyState::Pending,
                dns: DnsState::Unknown,
                dns_since: None,
                seen_in: Vec::new(),
                version: 0,
                created_at: self.at,
            };
            added.push(write(tx, row)?);
        }
        Ok(added)
    }
}

impl Op for ActivateKey {
    type Plan = DkimKey;
    type Out = DkimKey;
    type Refused = KeyRefused;

    fn name(&self) -> &'static str {
        "dkim.activate_key"
    }

    fn runs_when_full(&self) -> bool {
        true
    }

    fn check(&self, tx: &Tx<'_>) -> Result<DkimKey, Halt<KeyRefused>> {
        let key = find(tx, &self.domain, &self.selector, self.precondition)?;
        match key.private.is_empty() {
            true => Err(Halt::Refused(KeyRefused::NoPrivateKey)),
            false => Ok(key),
        }
    }

    fn apply(&self, tx: &mut Tx<'_>, chosen: DkimKey) -> Result<DkimKey, StoreError> {
        if chosen.state.is_active() && chosen.seen_in == self.seen_in {
            return Ok(chosen);
        }
        for other in keys(tx, &self.domain)? {
            let is_other = other.selector != self.selector && other.algorithm == chosen.algorithm;
            if is_other && other.state.is_active() {
                write(tx, DkimKey { state: KeyState::Retiring { since: self.at }, ..other })?;
            }
        }
        let state = if chosen.state.is_active() { chosen.state } else { KeyState::Active { since: self.at } };
        let (dns, dns_since) = seen(&chosen, &self.domain, &self.seen_in, self.at);
        write(tx, DkimKey { state, dns, dns_since, seen_in: self.seen_in.clone(), ..chosen })
    }
}

impl Op for DeleteKey {
    type Plan = ();
    type Out = ();
    type Refused = KeyRefused;

    fn name(&self) -> &'static str {
        "dkim.delete_key"
    }

    fn runs_when_full(&self) -> bool {
        true
    }

    fn check(&self, tx: &Tx<'_>) -> Result<(), Halt<KeyRefused>> {
        let key = find(tx, &self.domain, &self.selector, self.precondition)?;
        match key.state {
            KeyState::Pending => Ok(()),
            _ if self.force => Ok(()),
            KeyState::Active { .. } | KeyState::Retiring { .. } => Err(Halt::Refused(KeyRefused::InUse)),
        }
    }

    fn apply(&self, tx: &mut Tx<'_>, (): ()) -> Result<(), StoreError> {
        tx.remove(&KEYS, &place(&self.domain, &self.selector))?;
        tx.announce(Topic(DKIM_TOPIC, 0));
        Ok(())
    }
}

impl Op for NoteDns {
    type Plan = Option<DkimKey>;
    type Out = ();
    type Refused = std::convert::Infallible;

    fn name(&self) -> &'static str {
        "dkim.note_dns"
    }

    /// It may have been deleted since it was looked for.
    fn check(&self, tx: &Tx<'_>) -> Result<Option<DkimKey>, Halt<std::convert::Infallible>> {
        let key = key(tx, &self.domain, &self.selector)?;
        Ok(key.filter(|key| key.dns != self.dns || key.dns_since.is_none() || key.seen_in != self.seen_in))
    }

    fn apply(&self, tx: &mut Tx<'_>, key: Option<DkimKey>) -> Result<(), StoreError> {
        let Some(key) = key else { return Ok(()) };
        let dns_since = if key.dns == self.dns { key.dns_since.or(Some(self.at)) } else { Some(self.at) };
        write(tx, DkimKey { dns: self.dns, dns_since, seen_in: self.seen_in.clone(), ..key }).map(drop)
    }
}

impl Op for RemoveDomain {
    type Plan = directory::Domain;
    type Out = ();
    type Refused = directory::Refused;

    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn runs_when_full(&self) -> bool {
        self.0.runs_when_full()
    }

    fn check(&self, tx: &Tx<'_>) -> Result<directory::Domain, Halt<directory::Refused>> {
        self.0.check(tx)
    }

    fn apply(&self, tx: &mut Tx<'_>, domain: directory::Domain) -> Result<(), StoreError> {
        for key in keys(tx, &domain.name)? {
            tx.remove(&KEYS, &place(&key.domain, &key.selector))?;
        }
        self.0.apply(tx, domain)
    }
}

/// A selector that says how and since when, and that none of `taken` has: as in `r20261122`.
pub fn new_selector(algorithm: Algorithm, at: Timestamp, taken: &[DkimKey]) -> String {
    let day: String = at.rfc3339().chars().take(10).filter(char::is_ascii_digit).collect();
    let initial = if algorithm == Algorithm::Rsa2048 { 'r' } else { 'e' };
    let is_free = |selector: &String| taken.iter().all(|key| key.selector != *selector);
    let later = (2_u32..).map(|number| format!("{initial}{day}-{number}"));
    let mut all = std::iter::once(format!("{initial}{day}")).chain(later);
    all.find(is_free).unwrap_or_default()
}

// RFC 6376 §3.1: sub-domains, as RFC 5321 §4.1.2 says
fn is_selector(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let is_label = |label: &str| {
        let inner = label.bytes().all(|byte| is_plain(byte) || byte == b'-');
        inner && !label.is_empty() && !label.starts_with('-') && !label.ends_with('-')
    };
    text.len() <= limits::DKIM_SELECTOR_BYTES && text.split('.').all(is_label)
}

fn find(
    tx: &Tx<'_>,
    domain: &DomainName,
    selector: &str,
    precondition: Precondition,
) -> Result<DkimKey, Halt<KeyRefused>> {
    let key = key(tx, domain, selector)?.ok_or(Halt::Refused(KeyRefused::Unknown))?;
    precondition.check(Some(key.version)).map_err(|_| Halt::Refused(KeyRefused::Precondition))?;
    Ok(key)
}

/// What is known of the DNS when the record was found under these names.
fn seen(key: &DkimKey, domain: &DomainName, seen_in: &[DomainName], at: Timestamp) -> (DnsState, Option<Timestamp>) {
    match seen_in.contains(domain) {
        true if key.dns == DnsState::Published => (key.dns, key.dns_since),
        true => (DnsState::Published, Some(at)),
        false => (key.dns, key.dns_since),
    }
}

/// Writes the row with a version of its own.
fn write(tx: &mut Tx<'_>, row: DkimKey) -> Result<DkimKey, StoreError> {
    let row = DkimKey { version: tx.next(VERSIONS, last_version)?, ..row };
    tx.put(&KEYS, &place(&row.domain, &row.selector), &row)?;
    tx.announce(Topic(DKIM_TOPIC, 0));
    Ok(row)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_are_labels() {
        let check = |text: &str, expected| assert_eq!(is_selector(text), expected, "{text}");
        check("s1", true);
        check("a-b.c2", true);
        for text in ["", ".", "a.", ".a", "-a", "a-", "a..b", "A", "a_b", "a b", "é", &"a".repeat(64)] {
            check(text, false);
        }
        check(&"a".repeat(63), true);
    }
}
