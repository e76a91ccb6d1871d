use std::convert::Infallible;
use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::account::{Account, Protocol, Role, account_by_id};
use super::authenticator::Identity;
use super::change::Refused;
use super::presence::LOGIN_TOPIC;
use crate::base::{AccountId, Random, Secret, Timestamp, limits};
use crate::postcard_row;
use crate::store::{Halt, Op, Read, Span, StoreError, Table, Topic, Tx};

/// The sessions of the admin page, by the SHA-256 of what their cookie holds.
pub(super) static WEB_SESSIONS: Table<[u8; 32], WebSession> = Table::new("web_sessions");
/// The same by account.
pub(super) static WEB_SESSIONS_OF: Table<(AccountId, [u8; 32]), ()> = Table::new("web_sessions_of");

/// Somebody who has logged in with a browser. It ends by itself when nothing is done in it, and when the account's
/// password, roles or state change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebSession {
    /// Who.
    pub account: AccountId,
    /// What the account was allowed to do at the login.
    pub roles: Vec<Role>,
    /// When it began.
    pub created_at: Timestamp,
    /// When it was last used, to the minute.
    pub last_used_at: Timestamp,
    /// From where it was begun.
    pub ip: Option<IpAddr>,
    /// What the browser calls itself.
    pub user_agent: String,
}
postcard_row!(WebSession, 1);

/// What a session is kept by: not what the cookie holds, but its hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionKey([u8; 32]);

impl SessionKey {
    /// The key of what a cookie holds.
    pub fn of(cookie: &str) -> Self {
        Self(Sha256::digest(cookie.as_bytes()).into())
    }

    /// For tables of rates.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl WebSession {
    /// When it ends if nothing more is done in it.
    pub fn ends_at(&self, idle_ms: u64) -> Timestamp {
        self.last_used_at.plus_ms(idle_ms)
    }
}

/// The session of that key and its account, when it is good now. One that was last used in a future further off than it
/// may be idle was used under a wrong clock: it would last until that future.
///
/// # Errors
/// [`StoreError`].
pub fn find_session(
    read: &impl Read,
    key: SessionKey,
    now: Timestamp,
    idle_ms: u64,
) -> Result<Option<(WebSession, Account)>, StoreError> {
    let is_good = |session: &WebSession| now < session.ends_at(idle_ms) && session.last_used_at.ms_since(now) < idle_ms;
    let Some(session) = read.get(&WEB_SESSIONS, &key.0)?.filter(is_good) else { return Ok(None) };
    let account = account_by_id(read, session.account)?.filter(|account| account.may_browse(&session.roles));
    Ok(account.map(|account| (session, account)))
}

impl Account {
    /// Whether a session that was begun with those roles may go on.
    fn may_browse(&self, roles: &[Role]) -> bool {
        self.fields.enabled && self.fields.protocols.contains(&Protocol::Http) && self.fields.roles == roles
    }
}

/// The sessions of an account, the oldest first.
///
/// # Errors
/// [`StoreError`].
pub fn sessions_of(read: &impl Read, account: AccountId) -> Result<Vec<(SessionKey, WebSession)>, StoreError> {
    let keys = read.rows(&WEB_SESSIONS_OF, Span::prefix(&account), usize::MAX)?;
    let mut sessions = Vec::with_capacity(keys.len());
    for ((_, key), ()) in keys {
        sessions.extend(read.get(&WEB_SESSIONS, &key)?.map(|session| (SessionKey(key), session)));
    }
    sessions.sort_by_key(|(_, session)| session.created_at);
    Ok(sessions)
}

/// Ends every session of an account and says how many there were.
pub(super) fn end_sessions(tx: &mut Tx<'_>, account: AccountId) -> Result<usize, StoreError> {
    let keys = tx.rows(&WEB_SESSIONS_OF, Span::prefix(&account), usize::MAX)?;
    for ((_, key), ()) in &keys {
        end(tx, account, *key)?;
    }
    Ok(keys.len())
}

/// Ends every session there is and says how many there were.
///
/// # Errors
/// [`StoreError`].
pub fn end_every_session(tx: &mut Tx<'_>) -> Result<usize, StoreError> {
    let keys = tx.rows(&WEB_SESSIONS_OF, Span::all(), usize::MAX)?;
    for ((account, key), ()) in &keys {
        end(tx, *account, *key)?;
    }
    Ok(keys.len())
}

fn end(tx: &mut Tx<'_>, account: AccountId, key: [u8; 32]) -> Result<(), StoreError> {
    tx.remove(&WEB_SESSIONS, &key)?;
    tx.remove(&WEB_SESSIONS_OF, &(account, key)).map(drop)
}

/// Begins a session for somebody whose password was verified.
#[derive(Debug, Clone)]
pub struct OpenSession {
    key: SessionKey,
    version: u64,
    session: WebSession,
    replaces: Option<SessionKey>,
    idle_ms: u64,
}

impl OpenSession {
    /// The op, and what the cookie is to hold: 256 bits that are kept nowhere. `replaces`: the session that the browser
    /// had before, which ends with it; its id is of no use any more, whoever may know it.
    pub fn new(
        who: &Identity,
        ip: Option<IpAddr>,
        user_agent: &str,
        replaces: Option<SessionKey>,
        idle_ms: u64,
        random: &dyn Random,
        at: Timestamp,
    ) -> (Self, Secret<String>) {
        let mut bytes = [0; 32];
        random.fill(&mut bytes);
        let cookie = Secret::new(URL_SAFE_NO_PAD.encode(bytes));
        let printable = user_agent.chars().filter(|c| !c.is_control());
        let mut left = limits::USER_AGENT_BYTES;
        let user_agent = printable.take_while(|c| {
            left = left.saturating_sub(c.len_utf8());
            left > 0
        });
        let session = WebSession {
            account: who.account,
            roles: who.roles.clone(),
            created_at: at,
            last_used_at: at,
            ip,
            user_agent: user_agent.collect(),
        };
        let key = SessionKey::of(cookie.expose());
        (Self { key, version: who.version, session, replaces, idle_ms }, cookie)
    }
}

impl Op for OpenSession {
    type Plan = ();
    type Out = WebSession;
    type Refused = Refused;

    fn name(&self) -> &'static str {
        "directory.open_session"
    }

    fn runs_when_full(&self) -> bool {
        true
    }

    fn check(&self, tx: &Tx<'_>) -> Result<(), Halt<Refused>> {
        // Between the look at the password and now the account may have got another one, or other roles.
        let account = account_by_id(tx, self.session.account)?;
        let is_same = account.is_some_and(|account| account.version == self.version);
        if is_same { Ok(()) } else { Err(Halt::Refused(Refused::Precondition)) }
    }

    fn apply(&self, tx: &mut Tx<'_>, (): ()) -> Result<WebSession, StoreError> {
        let account = self.session.account;
        if let Some(old) = self.replaces
            && let Some(session) = tx.get(&WEB_SESSIONS, &old.0)?
        {
            end(tx, session.account, old.0)?;
        }
        let sessions = sessions_of(tx, account)?;
        let surplus = (sessions.len() + 1).saturating_sub(limits::WEB_SESSIONS_PER_ACCOUNT);
        for (place, (key, session)) in sessions.iter().enumerate() {
            if place < surplus || session.ends_at(self.idle_ms) <= self.session.created_at {
                end(tx, account, key.0)?;
            }
        }
        tx.put(&WEB_SESSIONS, &self.key.0, &self.session)?;
        tx.put(&WEB_SESSIONS_OF, &(account, self.key.0), &())?;
        Ok(self.session.clone())
    }
}

/// Ends a session: a log-out.
#[derive(Debug, Clone)]
pub struct CloseSession {
    /// Which.
    pub key: SessionKey,
}

impl Op for CloseSession {
    type Plan = Option<WebSession>;
    type Out = ();
    type Refused = Infallible;

    fn name(&self) -> &'static str {
        "directory.close_session"
    }

    fn runs_when_full(&self) -> bool {
        true
    }

    fn check(&self, tx: &Tx<'_>) -> Result<Option<WebSession>, Halt<Infallible>> {
        Ok(tx.get(&WEB_SESSIONS, &self.key.0)?)
    }

    fn apply(&self, tx: &mut Tx<'_>, session: Option<WebSession>) -> Result<(), StoreError> {
        session.map_or(Ok(()), |session| end(tx, session.account, self.key.0))
    }
}

/// Ends every session of an account; says how many there were.
#[derive(Debug, Clone)]
pub struct EndSessions {
    /// Whose.
    pub account: AccountId,
}

impl Op for EndSessions {
    type Plan = ();
    type Out = usize;
    type Refused = Infallible;

    fn name(&self) -> &'static str {
        "directory.end_sessions"
    }

    fn runs_when_full(&self) -> bool {
        true
    }

    fn check(&self, _: &Tx<'_>) -> Result<(), Halt<Infallible>> {
        Ok(())
    }

    fn apply(&self, tx: &mut Tx<'_>, (): ()) -> Result<usize, StoreError> {
        // Those of mail programs too.
        tx.announce(Topic(LOGIN_TOPIC, u64::from(self.account.0)));
        end_sessions(tx, self.account)
    }
}

/// Notes that a session was used. To be given to [`crate::store::Store::ride`], at most once a minute for each.
#[derive(Debug, Clone)]
pub struct SessionUsed {
    /// Which.
    pub key: SessionKey,
    /// Now.
    pub at: Timestamp,
}

impl Op for SessionUsed {
    type Plan = Option<WebSession>;
    type Out = ();
    type Refused = Infallible;

    fn name(&self) -> &'static str {
        "directory.session_used"
    }

    fn is_expendable(&self) -> bool {
        true
    }

    fn check(&self, tx: &Tx<'_>) -> Result<Option<WebSession>, Halt<Infallible>> {
        Ok(tx.get(&WEB_SESSIONS, &self.key.0)?)
    }

    fn apply(&self, tx: &mut Tx<'_>, session: Option<WebSession>) -> Result<(), StoreError> {
        let Some(mut session) = session else { return Ok(()) };
        session.last_used_at = self.at.max(session.last_used_at);
        tx.put(&WEB_SESSIONS, &self.key.0, &session)
    }
}
