use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::account::{Account, LastLogin, NoteLogin, Protocol, Role, account_at, account_by_id, last_login};
use super::app_password::{AppPassword, AppPasswordUsed, app_passwords, print};
use super::domain::local_domain;
use super::password::{CREDENTIALS, MAIN_PASSWORD, PasswordHash};
use super::places::Places;
use super::presence::{LOGIN_TOPIC, Presence, Presences};
use crate::base::{AccountId, Address, Clock, Random, Secret, Timestamp, limits};
use crate::store::{Read, Store, StoreError};

/// Who has logged in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The account.
    pub account: AccountId,
    /// Its address.
    pub login: Address,
    /// What it may do.
    pub roles: Vec<Role>,
    /// The version of the account's row that this was said of.
    pub version: u64,
}

/// Why a login failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoginError {
    /// Name or password are wrong, or the account may not log in here: which, is not said.
    #[error("authentication failed")]
    Refused,
    /// Too many logins are being verified at the moment: `454 4.7.0`.
    #[error("too many logins at a time")]
    Busy,
    /// A fault of ours.
    #[error("authentication is not possible at the moment: {0}")]
    Broken(String),
}

impl LoginError {
    /// What came of a login, as the figures count it.
    pub fn outcome<T>(verified: &Result<T, Self>) -> &'static str {
        match verified {
            Ok(_) => "accepted",
            Err(Self::Refused) => "refused",
            Err(Self::Busy) => "busy",
            Err(Self::Broken(_)) => "broken",
        }
    }
}

impl From<StoreError> for LoginError {
    fn from(error: StoreError) -> Self {
        Self::Broken(error.to_string())
    }
}

/// Verifies passwords, a bounded number at a time, off the async threads.
///
/// A login that was verified is remembered for 5 minutes by a keyed hash of account, password and the kept hash. The
/// account and its kept hash are read at every login: a changed password, a disabled account or a protocol taken away
/// counts at once, whatever is remembered.
pub struct Authenticator {
    store: Store,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    /// Verified against for unknown names, so that the work is the same.
    dummy: PasswordHash,
    at_once: Arc<Semaphore>,
    places: Places,
    verifications: Arc<AtomicU64>,
    key: [u8; 32],
    verified: Mutex<HashMap<[u8; 32], Timestamp>>,
    presences: Presences,
}

struct Known {
    account: Account,
    /// Of the main password, where there is one.
    hash: Option<PasswordHash>,
    /// The app passwords that it may log in with.
    apps: Vec<AppPassword>,
}

impl Known {
    /// The app password that `password` is, where it is good for that now. All are compared, whichever it is.
    fn app_password(&self, password: &Secret<String>, protocol: Protocol, now: Timestamp) -> Option<AppPassword> {
        let print = print(password.expose());
        let given = |found, one| if AppPassword::admits(one, &print, protocol, now) { Some(one) } else { found };
        self.apps.iter().fold(None, given).cloned()
    }
}

impl Authenticator {
    /// An authenticator on the accounts of `store`.
    pub fn new(store: Store, clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Self {
        let mut key = [0; 32];
        random.fill(&mut key);
        let presences = Presences::default();
        let ended = presences.clone();
        store.bus().listen(LOGIN_TOPIC, move |topic| {
            if let Ok(number) = u32::try_from(topic.1) {
                ended.end(AccountId(number));
            }
        });
        Self {
            store,
            clock,
            dummy: PasswordHash::of(&Secret::new(String::new()), &*random),
            random,
            at_once: Arc::new(Semaphore::new(limits::PASSWORD_HASHES_AT_ONCE)),
            places: Places::new(limits::PASSWORD_HASHES_AT_ONCE + limits::PASSWORD_HASHES_WAITING),
            verifications: Arc::default(),
            key,
            verified: Mutex::default(),
            presences,
        }
    }

    /// Verifies a password, for somebody at that address where there is one. The work is the same for an unknown name as
    /// for a known one.
    ///
    /// # Errors
    /// [`LoginError`].
    pub async fn authenticate(
        &self,
        login: &str,
        password: &Secret<String>,
        protocol: Protocol,
        from: Option<IpAddr>,
    ) -> Result<Identity, LoginError> {
        let (known, now) = (self.look_up(login)?, self.clock.now());
        let app = known.as_ref().and_then(|known| known.app_password(password, protocol, now));
        let hash = known.as_ref().and_then(|known| Some((&known.account, known.hash.as_ref()?)));
        let print = hash.map(|(account, hash)| self.fingerprint(account, hash, password));
        // An app password is 140 bits of a machine: there is nothing to be slow for.
        if app.is_none() && !print.is_some_and(|print| self.remembers(&print, now)) {
            let hash = hash.map_or_else(|| self.dummy.clone(), |(_, hash)| hash.clone());
            let (password, verifications) = (password.clone(), Arc::clone(&self.verifications));
            let is_right = self
                .work(from, move || {
                    verifications.fetch_add(1, Ordering::Relaxed);
                    hash.verify(&password)
                })
                .await?;
            match print {
                Some(print) if is_right => self.remember(print, now),
                _ => return Err(LoginError::Refused),
            }
        }
        let account = known.map(|known| known.account).ok_or(LoginError::Refused)?;
        if !account.fields.enabled || !account.fields.protocols.contains(&protocol) {
            return Err(LoginError::Refused);
        }
        self.note(&account, protocol, now)?;
        let is_noted = |app: &AppPassword| app.last_used_at.is_some_and(|at| now.ms_since(at) < limits::LAST_USE_MS);
        if let Some(app) = app.filter(|app| !is_noted(app)) {
            self.store.ride(AppPasswordUsed { account: account.id, id: app.id, at: now });
        }
        let Account { id, address, fields, version, .. } = account;
        Ok(Identity { account: id, login: address, roles: fields.roles, version })
    }

    /// Notes a session of a mail program that has logged in: it is ended when what the login rests on is changed, and
    /// with `stop`.
    pub fn enter(&self, identity: &Identity, stop: &CancellationToken) -> Presence {
        let presence = self.presences.enter(identity.account, stop);
        // It may have been changed between the look at the password and here: nobody would tell of it any more.
        let account = self.store.view().and_then(|view| account_by_id(&view, identity.account));
        if !account.is_ok_and(|account| account.is_some_and(|account| account.version == identity.version)) {
            presence.end();
        }
        presence
    }

    /// Whether that is the account's main password, under the same bound and with the same memory as a login, and without
    /// being one: the hash that it was compared with.
    ///
    /// # Errors
    /// [`LoginError::Busy`] or [`LoginError::Broken`].
    pub async fn proves(&self, login: &str, password: &Secret<String>) -> Result<Option<PasswordHash>, LoginError> {
        let Some(Known { account, hash: Some(hash), .. }) = self.look_up(login)? else { return Ok(None) };
        let (print, now) = (self.fingerprint(&account, &hash, password), self.clock.now());
        if !self.remembers(&print, now) {
            let (hash, password) = (hash.clone(), password.clone());
            if !self.work(None, move || hash.verify(&password)).await? {
                return Ok(None);
            }
            self.remember(print, now);
        }
        Ok(Some(hash))
    }

    /// Hashes a new password, under the same bound.
    ///
    /// # Errors
    /// [`LoginError::Busy`] or [`LoginError::Broken`].
    pub async fn hash(&self, password: Secret<String>) -> Result<PasswordHash, LoginError> {
        let random = Arc::clone(&self.random);
        self.work(None, move || PasswordHash::of(&password, &*random)).await
    }

    /// How many passwords were verified against a hash, a dummy or a real one.
    pub fn verifications(&self) -> u64 {
        self.verifications.load(Ordering::Relaxed)
    }

    /// The account that logs in as `login`, its address in any spelling, and its password's hash.
    fn look_up(&self, login: &str) -> Result<Option<Known>, StoreError> {
        let Ok(address) = Address::parse(login) else { return Ok(None) };
        let view = self.store.view()?;
        let Some(domain) = address.host.name().map_or(Ok(None), |name| local_domain(&view, name))? else {
            return Ok(None);
        };
        let place = (domain.name.as_str().to_owned(), address.local.key());
        let Some(account) = account_at(&view, &place)? else { return Ok(None) };
        let credential = view.get(&CREDENTIALS, &(account.id, MAIN_PASSWORD))?;
        let apps = app_passwords(&view, account.id)?;
        Ok(Some(Known { account, hash: credential.map(|credential| credential.hash), apps }))
    }

    /// Runs the work of a hash. What waits is bounded, and so is what runs, also when nobody waits for it any more.
    async fn work<T: Send + 'static>(
        &self,
        from: Option<IpAddr>,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, LoginError> {
        let broken = |why: &dyn std::fmt::Display| LoginError::Broken(why.to_string());
        let Some(place) = self.places.take(from) else {
            // Who has proved already who they are guesses nothing, and waits in their own manner.
            if from.is_some() {
                tokio::time::sleep(Duration::from_millis(limits::BUSY_LOGIN_DELAY_MS)).await;
            }
            return Err(LoginError::Busy);
        };
        let turn = Arc::clone(&self.at_once).acquire_owned().await.map_err(|error| broken(&error))?;
        let done = tokio::task::spawn_blocking(move || {
            let done = work();
            drop((turn, place));
            done
        });
        done.await.map_err(|error| broken(&error))
    }

    fn fingerprint(&self, account: &Account, hash: &PasswordHash, password: &Secret<String>) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(&account.id.0.to_be_bytes());
        for part in [hash.as_str(), password.expose().as_str()] {
            hasher.update(&(part.len() as u64).to_be_bytes());
            hasher.update(part.as_bytes());
        }
        *hasher.finalize().as_bytes()
    }

    fn remembers(&self, print: &[u8; 32], now: Timestamp) -> bool {
        let verified = self.verified.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        // A clock that was turned back makes nothing younger: what lies ahead does not count.
        verified.get(print).is_some_and(|at| *at <= now && now.ms_since(*at) < limits::LOGIN_CACHE_MS)
    }

    /// Forgets the logins that were verified: the next of each account is verified anew.
    pub fn forget(&self) {
        self.verified.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).clear();
    }

    fn remember(&self, print: [u8; 32], now: Timestamp) {
        let mut verified = self.verified.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if verified.len() >= limits::LOGIN_CACHE_ENTRIES {
            verified.retain(|_, at| *at <= now && now.ms_since(*at) < limits::LOGIN_CACHE_MS);
        }
        if verified.len() >= limits::LOGIN_CACHE_ENTRIES {
            verified.clear();
        }
        verified.insert(print, now);
    }

    fn note(&self, account: &Account, protocol: Protocol, now: Timestamp) -> Result<(), StoreError> {
        let last = last_login(&self.store.view()?, account.id)?;
        let is_noted =
            last.is_some_and(|last| last.protocol == protocol && now.ms_since(last.at) < limits::LAST_USE_MS);
        if !is_noted {
            self.store.ride(NoteLogin { account: account.id, login: LastLogin { at: now, protocol } });
        }
        Ok(())
    }
}
