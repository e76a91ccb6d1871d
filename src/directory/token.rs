use std::convert::Infallible;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::DIRECTORY_TOPIC;
use super::change::{Refused, check_length, check_text};
use super::scope::Scope;
use crate::base::{DomainName, Network, Random, Secret, Timestamp, limits};
use crate::postcard_row;
use crate::store::{Halt, Op, Read, Span, StoreError, Table, Topic, Tx};

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
    /// Whether it is good now, from there. The unix socket has no address: a token that is bound to networks is not
    /// good on it.
    pub fn admits(&self, now: Timestamp, ip: Option<IpAddr>) -> bool {
        let networks = &self.fields.allow_ips;
        self.fields.expires_at.is_none_or(|end| now < end)
            && (networks.is_empty() || ip.is_some_and(|ip| networks.iter().any(|network| network.contains(ip))))
    }

    /// Whether it may do what `scope` covers.
    pub fn has(&self, scope: Scope) -> bool {
        self.fields.scopes.contains(&scope) || self.fields.scopes.contains(&Scope::Admin)
    }

    /// Whether it may see and change that domain.
    pub fn reaches(&self, domain: &DomainName) -> bool {
        self.fields.restrict_domains.is_empty() || self.fields.restrict_domains.contains(domain)
    }

    fn is_proved_by(&self, secret: &str) -> bool {
        self.secret_sha256.ct_eq(&sha256(secret)).into()
    }
}

fn sha256(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

/// The token of that id.
///
/// # Errors
/// [`StoreError`].
pub fn token(read: &impl Read, id: &str) -> Result<Option<Token>, StoreError> {
    read.get(&TOKENS, &id.to_owned())
}

/// The first `limit` tokens behind `after`, by id.
///
/// # Errors
/// [`StoreError`].
pub fn tokens(read: &impl Read, after: Option<&str>, limit: usize) -> Result<Vec<Token>, StoreError> {
    let span = match after {
        Some(id) => Span::all().after(&id.to_owned()),
        None => Span::all(),
    };
    Ok(read.rows(&TOKENS, span, limit)?.into_iter().map(|(_, token)| token).collect())
}

/// The token that `text`, as it stands behind `Bearer`, proves. Whether it is good now is said by [`Token::admits`].
///
/// # Errors
/// [`StoreError`].
pub fn find_token(read: &impl Read, text: &str) -> Result<Option<Token>, StoreError> {
    let parts = text.strip_prefix("pbx_").and_then(|rest| rest.split_once('_'));
    if let Some((id, secret)) = parts
        && id != FILE_TOKEN
        && let Some(token) = token(read, id)?.filter(|token| token.is_proved_by(secret))
    {
        return Ok(Some(token));
    }
    // The file's token has no form of its own.
    Ok(token(read, FILE_TOKEN)?.filter(|token| token.is_proved_by(text)))
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
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let mut bytes = [0; 8 + 32];
        random.fill(&mut bytes);
        let (id, secret) = bytes.split_at(8);
        let (id, secret) = (hex(id), hex(secret));
        let text = Secret::new(format!("pbx_{id}_{secret}"));
        (Self { id, secret_sha256: sha256(&secret), fields, at }, text)
    }
}

impl CreateToken {
    /// The id that the token will have.
    pub fn id(&self) -> &str {
        &self.id
    }
}

impl Op for CreateToken {
    type Plan = ();
    type Out = Token;
    type Refused = Refused;

    fn name(&self) -> &'static str {
        "directory.create_token"
    }

    fn runs_when_full(&self) -> bool {
        true
    }

    fn check(&self, tx: &Tx<'_>) -> Result<(), Halt<Refused>> {
        self.check_fields().map_err(Halt::Refused)?;
        // Two random numbers of 64 bits that are the same: better refused than shared.
        if tx.has(&TOKENS, &self.id)? { Err(Halt::Refused(Refused::Precondition)) } else { Ok(()) }
    }

    fn apply(&self, tx: &mut Tx<'_>, (): ()) -> Result<Token, StoreError> {
        put(tx, &self.id, self.secret_sha256, &self.fields, self.at)
    }
}

impl CreateToken {
    fn check_fields(&self) -> Result<(), Refused> {
        check_text("/name", &self.fields.name)?;
        if self.fields.scopes.is_empty() {
            return Err(Refused::invalid("/scopes", "empty", "a token without a scope can do nothing"));
        }
        check_length("/scopes", self.fields.scopes.len(), Scope::ALL.len())?;
        check_length("/restrict/domains", self.fields.restrict_domains.len(), limits::LIST_ENTRIES)?;
        check_length("/allow_ips", self.fields.allow_ips.len(), limits::LIST_ENTRIES)?;
        if self.fields.expires_at.is_some_and(|end| end <= self.at) {
            return Err(Refused::invalid("/expires_at", "past", "a time that is still to come"));
        }
        Ok(())
    }
}

fn put(
    tx: &mut Tx<'_>,
    id: &str,
    secret_sha256: [u8; 32],
    fields: &TokenFields,
    at: Timestamp,
) -> Result<Token, StoreError> {
    let token = Token {
        id: id.to_owned(),
        fields: fields.clone(),
        secret_sha256,
        created_at: at,
        last_used_at: None,
        last_used_ip: None,
    };
    tx.put(&TOKENS, &token.id, &token)?;
    tx.announce(Topic(DIRECTORY_TOPIC, 0));
    Ok(token)
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

    fn check(&self, tx: &Tx<'_>) -> Result<(), Halt<Refused>> {
        if tx.has(&TOKENS, &self.id)? { Ok(()) } else { Err(Halt::Refused(Refused::NotFound)) }
    }

    fn apply(&self, tx: &mut Tx<'_>, (): ()) -> Result<(), StoreError> {
        tx.remove(&TOKENS, &self.id)?;
        tx.announce(Topic(DIRECTORY_TOPIC, 0));
        Ok(())
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
        let text = content.map(|content| content.expose().trim());
        // It has to travel in a header field.
        let is_good =
            |text: &str| text.len() >= limits::FILE_TOKEN_CHARS && text.bytes().all(|byte| byte.is_ascii_graphic());
        match text {
            Some(text) if !is_good(text) => Err(FileTokenError),
            _ => Ok(Self { secret_sha256: text.map(sha256), at }),
        }
    }
}

impl Op for SetFileToken {
    type Plan = Option<Token>;
    type Out = ();
    type Refused = Infallible;

    fn name(&self) -> &'static str {
        "directory.set_file_token"
    }

    fn runs_when_full(&self) -> bool {
        true
    }

    fn check(&self, tx: &Tx<'_>) -> Result<Option<Token>, Halt<Infallible>> {
        // One that is damaged is written anew.
        Ok(tx.get_if_sound(&TOKENS, &FILE_TOKEN.to_owned())?)
    }

    fn apply(&self, tx: &mut Tx<'_>, old: Option<Token>) -> Result<(), StoreError> {
        match (self.secret_sha256, old) {
            (Some(hash), Some(old)) if old.secret_sha256 == hash => Ok(()),
            (Some(hash), _) => {
                let fields =
                    TokenFields { name: "token file".into(), scopes: vec![Scope::Admin], ..TokenFields::default() };
                put(tx, FILE_TOKEN, hash, &fields, self.at).map(drop)
            }
            (None, Some(_)) => tx.remove(&TOKENS, &FILE_TOKEN.to_owned()).map(drop),
            (None, None) => Ok(()),
        }
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
    type Plan = Option<Token>;
    type Out = ();
    type Refused = Infallible;

    fn name(&self) -> &'static str {
        "directory.token_used"
    }

    fn is_expendable(&self) -> bool {
        true
    }

    fn check(&self, tx: &Tx<'_>) -> Result<Option<Token>, Halt<Infallible>> {
        Ok(token(tx, &self.id)?)
    }

    fn apply(&self, tx: &mut Tx<'_>, token: Option<Token>) -> Result<(), StoreError> {
        let Some(mut token) = token else { return Ok(()) };
        (token.last_used_at, token.last_used_ip) = (Some(self.at), self.ip);
        tx.put(&TOKENS, &self.id, &token)
    }
}
