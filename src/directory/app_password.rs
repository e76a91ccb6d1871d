use std::convert::Infallible;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::account::{ACCOUNTS, Protocol};
use super::change::{Refused, check_text};
use super::presence::LOGIN_TOPIC;
use crate::base::{AccountId, Random, Secret, Timestamp, limits};
use crate::postcard_row;
use crate::store::{Halt, Op, Read, Span, StoreError, Table, Topic, Tx};

/// The app passwords, by account and id.
pub(super) static APP_PASSWORDS: Table<(AccountId, String), AppPassword> = Table::new("app_passwords");

/// Letters of an app password: no i, l, o, u, which are taken for others.
const LETTERS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// Letters in a group.
const GROUP: usize = 4;
/// Groups: 140 bits.
const GROUPS: usize = 7;

/// A password that a machine has made for one program: it is kept only as a hash, and can be taken back alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppPassword {
    /// Its id, within the account.
    pub id: String,
    /// What it is for.
    pub name: String,
    /// Where one may log in with it.
    pub protocols: Vec<Protocol>,
    secret_sha256: [u8; 32],
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends; `None`: never.
    pub expires_at: Option<Timestamp>,
    /// When it was last used, to the minute.
    pub last_used_at: Option<Timestamp>,
}
postcard_row!(AppPassword, 1);

impl AppPassword {
    /// Whether that is it, and it is good for that now.
    pub(super) fn admits(&self, print: &[u8; 32], protocol: Protocol, now: Timestamp) -> bool {
        let is_it: bool = self.secret_sha256.ct_eq(print).into();
        is_it && self.protocols.contains(&protocol) && self.expires_at.is_none_or(|end| now < end)
    }
}

/// The app passwords of an account, by id.
///
/// # Errors
/// [`StoreError`].
pub fn app_passwords(read: &impl Read, account: AccountId) -> Result<Vec<AppPassword>, StoreError> {
    let rows = read.rows(&APP_PASSWORDS, Span::prefix(&account), usize::MAX)?;
    Ok(rows.into_iter().map(|(_, row)| row).collect())
}

/// One of them.
///
/// # Errors
/// [`StoreError`].
pub fn app_password(read: &impl Read, account: AccountId, id: &str) -> Result<Option<AppPassword>, StoreError> {
    read.get(&APP_PASSWORDS, &(account, id.to_owned()))
}

/// What is compared: people leave the hyphens out, and put spaces in.
pub(super) fn print(text: &str) -> [u8; 32] {
    let letters: String = text.chars().filter(|letter| !matches!(letter, '-' | ' ')).collect();
    Sha256::digest(letters.to_ascii_lowercase().as_bytes()).into()
}

/// Removes all of an account's.
pub(super) fn remove_all(tx: &mut Tx<'_>, account: AccountId) -> Result<(), StoreError> {
    for (key, _) in tx.rows(&APP_PASSWORDS, Span::prefix(&account), usize::MAX)? {
        tx.remove(&APP_PASSWORDS, &key)?;
    }
    Ok(())
}

/// Gives an account those of the account that it was.
pub(super) fn put_app_passwords(tx: &mut Tx<'_>, account: AccountId, rows: &[AppPassword]) -> Result<(), StoreError> {
    rows.iter().try_for_each(|row| tx.put(&APP_PASSWORDS, &(account, row.id.clone()), row))
}

/// Makes an app password.
#[derive(Debug, Clone)]
pub struct CreateAppPassword {
    account: AccountId,
    row: AppPassword,
}

impl CreateAppPassword {
    /// The op, and the password, which is shown once and kept nowhere.
    pub fn new(
        account: AccountId,
        name: String,
        protocols: Vec<Protocol>,
        expires_at: Option<Timestamp>,
        random: &dyn Random,
        at: Timestamp,
    ) -> (Self, Secret<String>) {
        let mut bytes = [0; GROUP * GROUPS];
        random.fill(&mut bytes);
        let letters: Vec<char> = bytes.iter().map(|byte| char::from(LETTERS[usize::from(byte & 31)])).collect();
        let groups: Vec<String> = letters.chunks(GROUP).map(|group| group.iter().collect()).collect();
        let secret = Secret::new(groups.join("-"));
        let row = AppPassword {
            id: format!("{:08x}", random.next_u64() >> 32),
            name,
            protocols,
            secret_sha256: print(secret.expose()),
            created_at: at,
            expires_at,
            last_used_at: None,
        };
        (Self { account, row }, secret)
    }

    /// The id that it will have.
    pub fn id(&self) -> &str {
        &self.row.id
    }
}

impl Op for CreateAppPassword {
    type Plan = ();
    type Out = AppPassword;
    type Refused = Refused;

    fn name(&self) -> &'static str {
        "directory.create_app_password"
    }

    fn runs_when_full(&self) -> bool {
        true
    }

    fn check(&self, tx: &Tx<'_>) -> Result<(), Halt<Refused>> {
        if !tx.has(&ACCOUNTS, &self.account)? {
            return Err(Halt::Refused(Refused::NotFound));
        }
        check_text("/name", &self.row.name).map_err(Halt::Refused)?;
        let protocols = &self.row.protocols;
        if protocols.is_empty() || protocols.contains(&Protocol::Http) {
            let message = "one or more of submission, pop3, imap: an app password is for mail";
            return Err(Halt::Refused(Refused::invalid("/protocols", "not_allowed", message)));
        }
        if self.row.expires_at.is_some_and(|end| end <= self.row.created_at) {
            return Err(Halt::Refused(Refused::invalid("/expires_at", "past", "a time that is still to come")));
        }
        let there = app_passwords(tx, self.account)?;
        if there.len() >= limits::APP_PASSWORDS_PER_ACCOUNT {
            return Err(Halt::Refused(Refused::TooManyAppPasswords));
        }
        // Two random numbers that are the same: better refused than shared.
        if there.iter().any(|one| one.id == self.row.id) {
            return Err(Halt::Refused(Refused::Precondition));
        }
        Ok(())
    }

    fn apply(&self, tx: &mut Tx<'_>, (): ()) -> Result<AppPassword, StoreError> {
        tx.put(&APP_PASSWORDS, &(self.account, self.row.id.clone()), &self.row)?;
        Ok(self.row.clone())
    }
}

/// Takes an app password back.
#[derive(Debug, Clone)]
pub struct DeleteAppPassword {
    /// Whose.
    pub account: AccountId,
    /// Which.
    pub id: String,
}

impl Op for DeleteAppPassword {
    type Plan = ();
    type Out = ();
    type Refused = Refused;

    fn name(&self) -> &'static str {
        "directory.delete_app_password"
    }

    fn runs_when_full(&self) -> bool {
        true
    }

    fn check(&self, tx: &Tx<'_>) -> Result<(), Halt<Refused>> {
        let is_there = tx.has(&APP_PASSWORDS, &(self.account, self.id.clone()))?;
        if is_there { Ok(()) } else { Err(Halt::Refused(Refused::NotFound)) }
    }

    fn apply(&self, tx: &mut Tx<'_>, (): ()) -> Result<(), StoreError> {
        // Whoever has logged in with it is logged out, and the account's others log in again.
        tx.announce(Topic(LOGIN_TOPIC, u64::from(self.account.0)));
        tx.remove(&APP_PASSWORDS, &(self.account, self.id.clone())).map(drop)
    }
}

/// Notes that an app password was used; rides.
#[derive(Debug, Clone)]
pub(super) struct AppPasswordUsed {
    pub(super) account: AccountId,
    pub(super) id: String,
    pub(super) at: Timestamp,
}

impl Op for AppPasswordUsed {
    type Plan = Option<AppPassword>;
    type Out = ();
    type Refused = Infallible;

    fn name(&self) -> &'static str {
        "directory.app_password_used"
    }

    fn is_expendable(&self) -> bool {
        true
    }

    fn check(&self, tx: &Tx<'_>) -> Result<Option<AppPassword>, Halt<Infallible>> {
        Ok(app_password(tx, self.account, &self.id)?)
    }

    fn apply(&self, tx: &mut Tx<'_>, row: Option<AppPassword>) -> Result<(), StoreError> {
        let Some(mut row) = row else { return Ok(()) };
        row.last_used_at = Some(self.at);
        tx.put(&APP_PASSWORDS, &(self.account, self.id.clone()), &row)
    }
}
