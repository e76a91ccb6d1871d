use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::base::{DomainName, Timestamp};
use crate::dkim::{self, Algorithm, DkimKey, DnsState, KeyState};
use crate::http::api::page_of;

/// A key that a domain's mail is signed with (DKIM, RFC 6376).
#[derive(Serialize, ToSchema)]
#[schema(as = DkimKey)]
pub(in crate::http) struct Key {
    /// Whose it is.
    domain: String,
    /// Where its record stands in the DNS: before `._domainkey.` and the domain.
    selector: String,
    /// How it signs.
    algorithm: KeyAlgorithm,
    /// Where it is on its way.
    state: KeyStage,
    /// Since when it is there.
    state_since: String,
    /// The name of its TXT record.
    record_name: String,
    /// What that says.
    record_value: String,
    /// What the DNS said of it last.
    dns: KeyInDns,
    /// Since when it says so; null: it was not asked yet.
    dns_since: Option<String>,
    /// The names of the domain, its own and its other ones, that the record was found under: mail from them is signed in
    /// their name.
    seen_in: Vec<String>,
    /// Whether its private key is there. It is not where it was sealed with a key file that is gone: such a key can't sign.
    usable: bool,
    /// When it was created.
    created_at: String,
}

/// A key that is to be made.
#[derive(Deserialize, ToSchema)]
#[schema(as = DkimKeyInput)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct KeyInput {
    /// Its selector: a-z, 0-9 and `-`, in parts with dots between them. Default: one that says the day, as in `r20270131`.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 63)]
    pub selector: Option<String>,
    /// How it signs.
    pub algorithm: KeyAlgorithm,
}

/// How a key signs.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[schema(as = DkimAlgorithm)]
#[serde(rename_all = "snake_case")]
pub(in crate::http) enum KeyAlgorithm {
    /// `ed25519-sha256` (RFC 8463): not known everywhere yet, so a domain should have an RSA key besides.
    Ed25519,
    /// `rsa-sha256` with 2048 bits.
    Rsa2048,
}

/// Where a key is on its way.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[schema(as = DkimKeyState)]
#[serde(rename_all = "snake_case")]
pub(in crate::http) enum KeyStage {
    /// Its record is to be published. It does not sign.
    Pending,
    /// It signs.
    Active,
    /// Another has taken its place. Its record has to stay until the key is gone from here.
    Retiring,
}

/// What the DNS says of a key.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[schema(as = DkimKeyInDns)]
#[serde(rename_all = "snake_case")]
pub(in crate::http) enum KeyInDns {
    /// It was not asked, or gave no answer.
    Unknown,
    /// There is no record at that name.
    Missing,
    /// There is one of something else, or there are several.
    Wrong,
    /// The key's own record.
    Published,
}

page_of! {
    /// DKIM keys by selector.
    DkimKeyPage of Key
}

impl Key {
    pub(super) fn of(key: &DkimKey) -> Self {
        let (state, since) = match key.state {
            KeyState::Pending => (KeyStage::Pending, key.created_at),
            KeyState::Active { since } => (KeyStage::Active, since),
            KeyState::Retiring { since } => (KeyStage::Retiring, since),
        };
        Self {
            domain: key.domain.to_string(),
            selector: key.selector.clone(),
            algorithm: KeyAlgorithm::of(key.algorithm),
            state,
            state_since: since.rfc3339(),
            record_name: dkim::record_name(&key.selector, &key.domain),
            record_value: dkim::record_value(key.algorithm, &key.public),
            dns: KeyInDns::of(key.dns),
            dns_since: key.dns_since.map(Timestamp::rfc3339),
            seen_in: key.seen_in.iter().map(DomainName::to_string).collect(),
            usable: !key.private.is_empty(),
            created_at: key.created_at.rfc3339(),
        }
    }
}

impl KeyAlgorithm {
    fn of(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Rsa2048 => Self::Rsa2048,
            Algorithm::Ed25519 => Self::Ed25519,
        }
    }

    pub(super) fn read(self) -> Algorithm {
        match self {
            Self::Rsa2048 => Algorithm::Rsa2048,
            Self::Ed25519 => Algorithm::Ed25519,
        }
    }
}

impl KeyInDns {
    fn of(state: DnsState) -> Self {
        match state {
            DnsState::Unknown => Self::Unknown,
            DnsState::Missing => Self::Missing,
            DnsState::Wrong => Self::Wrong,
            DnsState::Published => Self::Published,
        }
    }
}
