use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::account::{ACCOUNT_ROLES, Role, account_by_id};
use super::change::Refused;
use crate::base::{AccountId, Random, Secret, Timestamp, limits};
use crate::postcard_row;
use crate::store::{Halt, Op, Read, Span, StoreError, Table, Tx};

/// The link by which the first administrator is made; there is one at most.
pub(super) static SETUP_LINK: Table<u8, SetupLink> = Table::new("setup_link");
/// Its place.
const ONLY: u8 = 0;

/// What is kept of the link: not its token, but the token's hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SetupLink {
    token_sha256: [u8; 32],
    ends_at: Timestamp,
}
postcard_row!(SetupLink, 1);

/// Whether there is nobody yet who administers the server with a browser: no enabled account has the role admin.
///
/// # Errors
/// [`StoreError`].
pub fn needs_setup(read: &impl Read) -> Result<bool, StoreError> {
    let admins: Vec<((String, AccountId), ())> =
        read.rows(&ACCOUNT_ROLES, Span::prefix(&Role::Admin.to_string()), usize::MAX)?;
    for ((_, id), ()) in admins {
        if account_by_id(read, id)?.is_some_and(|account| account.fields.enabled) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether that is the token of the link, and the link is good now.
///
/// # Errors
/// [`StoreError`].
pub fn is_setup_token(read: &impl Read, token: &str, now: Timestamp) -> Result<bool, StoreError> {
    let Some(link) = read.get_if_sound(&SETUP_LINK, &ONLY)? else { return Ok(false) };
    let is_right: bool = link.token_sha256.ct_eq(&sha256(token)).into();
    Ok(is_right && now < link.ends_at)
}

/// The link was used.
///
/// # Errors
/// [`StoreError`].
pub fn spend_setup_link(tx: &mut Tx<'_>) -> Result<(), StoreError> {
    tx.remove(&SETUP_LINK, &ONLY).map(drop)
}

fn sha256(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

/// Whether that is the token of the link, though its time may be over.
fn is_of_link(read: &impl Read, token: &str) -> Result<bool, StoreError> {
    let link = read.get_if_sound(&SETUP_LINK, &ONLY)?;
    Ok(link.is_some_and(|link| link.token_sha256.ct_eq(&sha256(token)).into()))
}

/// Spends the link for what takes the place of a set-up and was begun by it in time, though it ends later. Refused when the
/// server is set up, or the link is no more: from then on nobody sets the server up with it.
#[derive(Debug, Clone)]
pub struct SpendSetupLink {
    /// The link's token.
    pub token: String,
}

/// Why the link was not spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotSpent {
    /// Somebody administers the server by now.
    #[error("the server was set up meanwhile")]
    SetUp,
    /// Another one has taken its place.
    #[error("another link was made meanwhile, or this one was used")]
    Gone,
}

impl Op for SpendSetupLink {
    type Plan = ();
    type Out = ();
    type Refused = NotSpent;

    fn name(&self) -> &'static str {
        "directory.spend_setup_link"
    }

    fn runs_when_full(&self) -> bool {
        true
    }

    fn check(&self, tx: &Tx<'_>) -> Result<(), Halt<NotSpent>> {
        if !needs_setup(tx)? {
            return Err(Halt::Refused(NotSpent::SetUp));
        }
        if is_of_link(tx, &self.token)? { Ok(()) } else { Err(Halt::Refused(NotSpent::Gone)) }
    }

    fn apply(&self, tx: &mut Tx<'_>, (): ()) -> Result<(), StoreError> {
        spend_setup_link(tx)
    }
}

/// Makes a link, in place of the one before. Refused when the server is set up.
#[derive(Debug, Clone)]
pub struct MakeSetupLink(SetupLink);

impl MakeSetupLink {
    /// The op, the token (256 bits that are kept nowhere), and when it ends.
    pub fn new(random: &dyn Random, at: Timestamp) -> (Self, Secret<String>, Timestamp) {
        let mut bytes = [0; 32];
        random.fill(&mut bytes);
        let token = Secret::new(URL_SAFE_NO_PAD.encode(bytes));
        let ends_at = at.plus_ms(limits::SETUP_LINK_MS);
        (Self(SetupLink { token_sha256: sha256(token.expose()), ends_at }), token, ends_at)
    }
}

impl Op for MakeSetupLink {
    type Plan = ();
    type Out = ();
    type Refused = Refused;

    fn name(&self) -> &'static str {
        "directory.make_setup_link"
    }

    fn runs_when_full(&self) -> bool {
        true
    }

    fn check(&self, tx: &Tx<'_>) -> Result<(), Halt<Refused>> {
        if needs_setup(tx)? { Ok(()) } else { Err(Halt::Refused(Refused::Precondition)) }
    }

    fn apply(&self, tx: &mut Tx<'_>, (): ()) -> Result<(), StoreError> {
        tx.put(&SETUP_LINK, &ONLY, &self.0)
    }
}
