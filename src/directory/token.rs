use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::change::Refused;
use super::scope::Scope;
use crate::base::{DomainName, Network, Random, Secret, Timestamp};
use crate::postcard_row;
use crate::store::{Halt, Op, Read, StoreError, Table, Tx};

/// The id of the token that `--http-token-file` holds.
pub const FILE_TOKEN: &str = "file";

/// The tokens, by id.
pub(super) static TOKENS: Table<String, Token> = Table::new("tokens");

/// An API token; its secret is kept only as a hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// The part of the text between `pbx_` and the secret.
    pub id: String,
    /// What its maker set.
    pub fields: TokenFields,
    pub(super) secret_sha256: [u8; 32],
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last used, to the minute.
    pub last_used_at: Option<Timestamp>,
    /// From where it was last used.
    pub last_used_ip: Option<IpAddr>,
}
postcard_row!(Token, 1);

/// What the maker of a token sets.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TokenFields {
    /// For people.
    pub name: String,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// The only domains that it may see and change; empty: all.
    pub restrict_domains: Vec<DomainName>,
    /// When it ends; `None`: never.
    pub expires_at: Option<Timestamp>,
    /// The only networks that it may come from; empty: all.
    pub allow_ips: Vec<Network>,
}

impl Token {
    /// Whether it is good now, from there. The unix socket has no `ip`: a token that is bound to networks is not good on it.
    pub fn admits(&self, now: Timestamp, ip: Option<IpAddr>) -> bool {
        let _ = (now, ip);
        todo!()
    }

    /// Whether it may do what `scope` covers.
    pub fn has(&self, scope: Scope) -> bool {
        self.fields.scopes.contains(&scope) || self.fields.scopes.contains(&Scope::Admin)
    }

    /// Whether it may see and change that domain.
    pub fn reaches(&self, domain: &DomainName) -> bool {
        self.fields.restrict_domains.is_empty() || self.fields.restrict_domains.contains(domain)
    }
}

/// The token of that id.
///
/// # Errors
/// [`StoreError`].
pub fn token(read: &impl Read, id: &str) -> Result<Option<Token>, StoreError> {
    let _ = (read, id);
    todo!()
}

/// The first `limit` tokens behind `after`, by id.
///
/// # Errors
/// [`StoreError`].
pub fn tokens(read: &impl Read, after: Option<&str>, limit: usize) -> Result<Vec<Token>, StoreError> {
    let _ = (read, after, limit);
    todo!()
}

/// The token that `text`, as it stands behind `Bearer`, proves. Whether it is good now is said by [`Token::admits`].
///
/// # Errors
/// [`StoreError`].
pub fn find_token(read: &impl Read, text: &str) -> Result<Option<Token>, StoreError> {
    let _ = (read, text);
    todo!()
}

/// Creates a token.
#[derive(Debug, Clone)]
pub struct CreateToken {
    id: String,
    secret_sha256: [u8; 32],
    fields: TokenFields,
    at: Timestamp,
}

impl CreateToken {
    /// The op, and the token's text `pbx_<id>_<secret>`, which is shown once and kept nowhere.
    pub fn new(fields: TokenFields, random: &dyn Random, at: Timestamp) -> (Self, Secret<String>) {
        let _ = (fields, random, at);
        todo!()
    }
}

impl Op for CreateToken {
    type Plan = ();
    type Out = Token;
    type Refused = Refused;

    fn name(&self) -> &'static str {
        "directory.create_token"
    }

    fn check(&self, _tx: &Tx<'_>) -> Result<(), Halt<Refused>> {
        todo!()
    }

    fn apply(&self, _tx: &mut Tx<'_>, (): ()) -> Result<Token, StoreError> {
        todo!()
    }
}

/// Deletes a token.
#[derive(Debug, Clone)]
pub struct DeleteToken {
    /// Its id.
    pub id: String,
}

impl Op for DeleteToken {
    type Plan = ();
    type Out = ();
    type Refused = Refused;

    fn name(&self) -> &'static str {
        "directory.delete_token"
    }

    fn runs_when_full(&self) -> bool {
        true
    }

    fn check(&self, _tx: &Tx<'_>) -> Result<(), Halt<Refused>> {
        todo!()
    }

    fn apply(&self, _tx: &mut Tx<'_>, (): ()) -> Result<(), StoreError> {
        todo!()
    }
}

/// Makes the content of `--http-token-file` an admin token, in place of the one from the last start; without a file
/// there is none any more.
#[derive(Debug, Clone)]
pub struct SetFileToken {
    secret_sha256: Option<[u8; 32]>,
    at: Timestamp,
}

/// The token file's content can't be a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the token must be 32 or more printable characters without spaces")]
pub struct FileTokenError;

impl SetFileToken {
    /// From the file's content; white space at its ends does not count.
    ///
    /// # Errors
    /// [`FileTokenError`].
    pub fn new(content: Option<&Secret<String>>, at: Timestamp) -> Result<Self, FileTokenError> {
        let _ = (content, at);
        todo!()
    }
}

impl Op for SetFileToken {
    type Plan = ();
    type Out = ();
    type Refused = std::convert::Infallible;

    fn name(&self) -> &'static str {
        "directory.set_file_token"
    }

    fn runs_when_full(&self) -> bool {
        true
    }

    fn check(&self, _: &Tx<'_>) -> Result<(), Halt<std::convert::Infallible>> {
        Ok(())
    }

    fn apply(&self, _tx: &mut Tx<'_>, (): ()) -> Result<(), StoreError> {
        todo!()
    }
}

/// Notes that a token was used. To be given to [`crate::store::Store::ride`], at most once a minute for each token.
#[derive(Debug, Clone)]
pub struct TokenUsed {
    /// Its id.
    pub id: String,
    /// From where; `None` on the unix socket.
    pub ip: Option<IpAddr>,
    /// Now.
    pub at: Timestamp,
}

impl Op for TokenUsed {
    type Plan = ();
    type Out = ();
    type Refused = std::convert::Infallible;

    fn name(&self) -> &'static str {
        "directory.token_used"
    }

    fn check(&self, _: &Tx<'_>) -> Result<(), Halt<std::convert::Infallible>> {
        Ok(())
    }

    fn apply(&self, _tx: &mut Tx<'_>, (): ()) -> Result<(), StoreError> {
        todo!()
    }
}
