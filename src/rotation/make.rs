use crate::base::{DomainName, Timestamp};
use crate::dkim::{self, AddKeys, Algorithm, DkimKey, KeyFault, KeyPair, KeyRefused};
use crate::store::{Read, StoreError};

/// Why keys were not made.
#[derive(Debug, thiserror::Error)]
pub enum NotMade {
    /// The work was ended.
    #[error("the server is stopping")]
    Stopping,
    /// Randomness or arithmetic has failed.
    #[error(transparent)]
    Fault(#[from] KeyFault),
    /// The file can't be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It would be refused.
    #[error(transparent)]
    Refused(#[from] KeyRefused),
}

/// Makes a key on a thread where nobody waits for it.
///
/// # Errors
/// [`NotMade`]
pub async fn make_pair(algorithm: Algorithm) -> Result<KeyPair, NotMade> {
    let made = tokio::task::spawn_blocking(move || KeyPair::generate(algorithm)).await;
    Ok(made.map_err(|_| NotMade::Stopping)??)
}

/// Makes a key of each algorithm for a domain: the op that adds them.
///
/// # Errors
/// [`NotMade`]
pub async fn make(known: &[DkimKey], domain: &DomainName, only_first: bool, at: Timestamp) -> Result<AddKeys, NotMade> {
    if known.len() + Algorithm::ALL.len() > crate::base::limits::DKIM_KEYS_PER_DOMAIN {
        return Err(KeyRefused::TooMany.into());
    }
    let mut keys = Vec::with_capacity(Algorithm::ALL.len());
    for algorithm in Algorithm::ALL {
        keys.push((dkim::new_selector(algorithm, at, known), make_pair(algorithm).await?));
    }
    Ok(AddKeys { domain: domain.clone(), keys, only_first, at })
}

/// Whether a domain has a key, of whatever state.
pub(super) fn has_keys(read: &impl Read, domain: &DomainName) -> Result<bool, StoreError> {
    Ok(!dkim::keys(read, domain)?.is_empty())
}
