use std::collections::HashMap;
use std::time::Duration;

use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::Site;
use super::shape::Wanted;
use crate::base::{Address, Secret, limits};
use crate::directory::{self, LoginError, PasswordHash};
use crate::http::problem::{Code, Problem};

/// How long to wait for a place among the hashes that are being worked on, and how often.
const PAUSE: Duration = Duration::from_millis(50);
const PAUSES: usize = 600;

/// What becomes of a password that a state gives in the clear.
#[derive(Clone)]
pub(super) enum Password {
    /// It is the one that is there, kept as this hash.
    Same(PasswordHash),
    /// It is new.
    New(PasswordHash),
    /// It is new, and was not hashed since nothing will be written.
    Unhashed,
}

/// By the account's key.
pub(super) type Passwords = HashMap<String, Password>;

/// Compares each password with what is there and hashes those that are new, as many at a time as logins may take.
///
/// # Errors
/// 503 when the logins leave no room, or by our fault.
pub(super) async fn prepare(site: &Site, wanted: &Wanted, dry_run: bool) -> Result<Passwords, Problem> {
    let all: Vec<(String, String, Secret<String>)> = wanted
        .passwords()
        .map(|(item, password)| (item.key.clone(), item.name.clone(), Secret::new(password.to_owned())))
        .collect();
    let each = stream::iter(all).map(async |(key, name, password)| {
        prepare_one(site, &name, &password, dry_run).await.map(|password| (key, password))
    });
    each.buffer_unordered(limits::PASSWORD_HASHES_AT_ONCE).try_collect().await
}

async fn prepare_one(site: &Site, name: &str, password: &Secret<String>, dry_run: bool) -> Result<Password, Problem> {
    let is_there = match Address::parse(name) {
        Ok(address) => directory::account(&site.store.view()?, &address)?.is_some(),
        Err(_) => false,
    };
    if is_there && let Some(hash) = patient(async || site.authenticator.proves(name, password).await).await? {
        return Ok(Password::Same(hash));
    }
    if dry_run {
        return Ok(Password::Unhashed);
    }
    Ok(Password::New(patient(async || site.authenticator.hash(password.clone()).await).await?))
}

/// Asks again while others take all places.
async fn patient<T>(work: impl AsyncFn() -> Result<T, LoginError>) -> Result<T, Problem> {
    for _ in 0..PAUSES {
        match work().await {
            Ok(done) => return Ok(done),
            Err(LoginError::Broken(cause)) => return Err(Problem::internal(cause)),
            Err(LoginError::Busy | LoginError::Refused) => tokio::time::sleep(PAUSE).await,
        }
    }
    Err(Problem::new(Code::Busy, "Too many passwords are being worked on: try again in a moment."))
}
