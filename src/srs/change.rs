use std::convert::Infallible;

use super::address::{self, Form, chained_hash, day, is_same, kept_hash, kept_local_part, local_part, sender_hash};
use super::row::{KEY, KEYS, SENDERS, Sender, SrsKey};
use crate::base::{Address, DomainName, Host, Random, Secret, Timestamp, limits};
use crate::store::{Halt, Op, Read, Span, StoreError, Tx};

/// Octets of the key.
const KEY_BYTES: usize = 32;

/// Makes the key, where there is none: at every start.
pub struct MakeKey(Secret<Vec<u8>>);

impl MakeKey {
    /// With a key of that randomness.
    pub fn new(random: &dyn Random) -> Self {
        let mut key = vec![0; KEY_BYTES];
        random.fill(&mut key);
        Self(Secret::new(key))
    }
}

impl Op for MakeKey {
    type Plan = bool;
    type Out = ();
    type Refused = Infallible;

    fn name(&self) -> &'static str {
        "srs.make_key"
    }

    fn runs_when_full(&self) -> bool {
        true
    }

    fn check(&self, tx: &Tx<'_>) -> Result<bool, Halt<Infallible>> {
        Ok(key(tx)?.is_some())
    }

    fn apply(&self, tx: &mut Tx<'_>, is_there: bool) -> Result<(), StoreError> {
        match is_there {
            true => Ok(()),
            false => tx.put(&KEYS, &KEY.to_owned(), &SrsKey { secret: self.0.expose().clone() }),
        }
    }
}

/// The address at `domain` that stands for a sender from now on for [`limits::SRS_DAYS`] days. One that is too long for a
/// local part is kept in the file. `None`: there is no key, or no more are kept today; then the sender stays as it is, and
/// what is answered reaches it without us.
///
/// # Errors
/// [`StoreError`]
pub fn rewrite(
    tx: &mut Tx<'_>,
    sender: &Address,
    domain: &DomainName,
    at: Timestamp,
) -> Result<Option<Address>, StoreError> {
    let Some(key) = key(tx)? else { return Ok(None) };
    let local = match local_part(&key.secret, sender, at) {
        Some(local) => Some(local),
        None => keep(tx, sender, at)?.and_then(|number| kept_local_part(&key.secret, sender, number, at)),
    };
    Ok(local.map(|local| Address { local, host: Host::Name(domain.clone()) }))
}

/// Keeps a sender under the next number of the day, and forgets some of those whose time is over.
fn keep(tx: &mut Tx<'_>, sender: &Address, at: Timestamp) -> Result<Option<u32>, StoreError> {
    let today = day(at);
    let first_day = today.saturating_sub(limits::SRS_DAYS + 1);
    for place in tx.keys(&SENDERS, Span::range(..(first_day, 0)), limits::SRS_FORGOTTEN_AT_ONCE)? {
        tx.remove(&SENDERS, &place)?;
    }
    let number = tx.last(&SENDERS, Span::prefix(&today))?.map_or(0, |((_, number), _)| number.saturating_add(1));
    if number >= limits::SRS_SENDERS_A_DAY {
        return Ok(None);
    }
    tx.put(&SENDERS, &(today, number), &Sender { address: sender.clone() })?;
    Ok(Some(number))
}

/// The address is not one that we have made, or was made too long ago. Which of them is not for its sender to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the address stands for no sender, or for none any more")]
pub struct NotOurs;

/// The sender that an address of ours stands for.
///
/// # Errors
/// [`StoreError`]
pub fn restore(read: &impl Read, given: &Address, at: Timestamp) -> Result<Result<Address, NotOurs>, StoreError> {
    let (Some(key), Some(form)) = (key(read)?, Form::read(given.local.as_str())) else { return Ok(Err(NotOurs)) };
    let key = &key.secret;
    let sender = match form {
        Form::Sender { hash, stamp, host, local } => {
            let is_ours = is_same(&sender_hash(key, stamp, host, local), hash);
            (is_ours && address::stamped(stamp, at).is_some()).then(|| address::address(local, host)).flatten()
        }
        // It says no day: whoever has made the first address looks at its age.
        Form::Chained { hash, host, rest } => {
            let is_ours = is_same(&chained_hash(key, host, rest), hash);
            is_ours.then(|| address::address(&format!("SRS0{rest}"), host)).flatten()
        }
        Form::Kept { hash, stamp, number } => {
            let place = address::stamped(stamp, at).zip(number.parse().ok());
            let kept = place.map_or(Ok(None), |place| read.get(&SENDERS, &place))?;
            kept.zip(place)
                .filter(|(kept, (_, number))| is_same(&kept_hash(key, stamp, *number, &kept.address), hash))
                .map(|(kept, _)| kept.address)
        }
    };
    Ok(sender.ok_or(NotOurs))
}

/// `None`: none was made yet, or it was dropped with the key file.
fn key(read: &impl Read) -> Result<Option<SrsKey>, StoreError> {
    Ok(read.get(&KEYS, &KEY.to_owned())?.filter(|key| !key.secret.is_empty()))
}
