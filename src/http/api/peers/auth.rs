use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::http::api::secret::SecretState;
use crate::http::problem::Fault;
use crate::queue::Login;
use crate::sasl::Mechanism;
use crate::turn::{self, PeerFields};

/// A SASL mechanism, by its registered name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(in crate::http) enum PeerMechanism {
    /// RFC 7677, bound to the connection.
    #[serde(rename = "SCRAM-SHA-256-PLUS")]
    ScramSha256Plus,
    /// RFC 7677
    #[serde(rename = "SCRAM-SHA-256")]
    ScramSha256,
    /// RFC 4422 appendix A: by the certificate that the client has shown to TLS.
    #[serde(rename = "EXTERNAL")]
    External,
    /// RFC 4616, inside TLS.
    #[serde(rename = "PLAIN")]
    Plain,
    /// The same for old programs, inside TLS.
    #[serde(rename = "LOGIN")]
    Login,
    /// RFC 2195
    #[serde(rename = "CRAM-MD5")]
    CramMd5,
}

/// By what it logs in to us, and we to it: a user name and a secret, or the certificate of the side that dials.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct PeerAuth {
    /// The user name. Empty: by certificate.
    sasl_user: String,
    /// By what it may log in to us, or we to it.
    mechanisms: Vec<PeerMechanism>,
    /// Whether there is a secret.
    secret: SecretState,
    /// The SHA-256 of the certificate that it shows when it dials us, in hexadecimal.
    client_cert_sha256: Option<String>,
    /// The SHA-256 of the certificate that we show when we dial it by EXTERNAL, in hexadecimal: the other side has to know
    /// it. It stays the same.
    our_cert_sha256: Option<String>,
}

/// By what it logs in to us, and we to it: a user name and a secret, or the certificate of the side that dials.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct PeerAuthInput {
    /// The user name; no account and no other peer may have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 255)]
    sasl_user: Option<String>,
    /// By what it may log in to us, or we to it; of what both sides have, the strongest is used. Default: all but CRAM-MD5,
    /// which needs a secret that `pillarbox turn secret` has made where it logs in to us, and EXTERNAL. That one is by
    /// certificate and stands alone: it is the default with `client_cert_sha256`, and says for a peer that only we dial
    /// that we show it our certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(min_items = 1, max_items = 5, nullable = false)]
    mechanisms: Option<Vec<PeerMechanism>>,
    /// The secret; it is kept as it is, since it has to be sent, and never shown. Without it, the one that is there
    /// stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 1024, write_only)]
    secret: Option<String>,
    /// The SHA-256 of the certificate (DER) that it shows when it dials us, in hexadecimal; colons do not count. Instead of
    /// a user name and a secret. Nothing else of the certificate counts, neither who has signed it nor its dates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 95)]
    client_cert_sha256: Option<String>,
}

/// What is wanted of a login.
pub(super) struct Wanted {
    pub(super) login: Option<Login>,
    pub(super) mechanisms: Vec<Mechanism>,
    pub(super) client_certificate: Option<[u8; 32]>,
    /// The secret that is there stays.
    pub(super) keeps_secret: bool,
}

impl Wanted {
    /// A certificate is all, and the peer has none: only ours is shown.
    pub(super) fn is_shown_ours(&self) -> bool {
        self.mechanisms == [Mechanism::External] && self.client_certificate.is_none()
    }

    /// No login.
    pub(super) fn none() -> Self {
        let (login, client_certificate, keeps_secret) = (None, None, false);
        Self { login, mechanisms: Mechanism::USUAL.to_vec(), client_certificate, keeps_secret }
    }
}

impl PeerAuth {
    pub(super) fn of(row: &turn::Peer, our_certificate: Option<[u8; 32]>) -> Option<Self> {
        let fields = &row.fields;
        if fields.login.is_none() && !fields.is_certified() {
            return None;
        }
        let login = fields.login.as_ref();
        let has_secret = login.is_some_and(|login| !login.secret.is_empty());
        Some(Self {
            sasl_user: login.map(|login| login.user.clone()).unwrap_or_default(),
            mechanisms: fields.mechanisms.iter().copied().map(PeerMechanism::of).collect(),
            secret: SecretState::new(has_secret, login.map(|_| row.secret_changed_at)),
            client_cert_sha256: fields.client_certificate.as_ref().map(hex),
            our_cert_sha256: our_certificate.filter(|_| fields.is_certified()).as_ref().map(hex),
        })
    }
}

impl PeerAuthInput {
    pub(super) fn of(fields: &PeerFields) -> Option<Self> {
        let names = || fields.mechanisms.iter().copied().map(PeerMechanism::of).collect();
        let client_cert_sha256 = fields.client_certificate.as_ref().map(hex);
        let is_usual = match &fields.login {
            Some(_) => fields.mechanisms == Mechanism::USUAL,
            None => client_cert_sha256.is_some(),
        };
        let mechanisms = (!is_usual).then(names);
        let sasl_user = fields.login.as_ref().map(|login| login.user.clone());
        let has_any = sasl_user.is_some() || fields.is_certified();
        has_any.then_some(Self { sasl_user, mechanisms, secret: None, client_cert_sha256 })
    }

    /// What it says; `keeps`: whether the secret that is there may stay for that user.
    pub(super) fn read(self, keeps: impl Fn(&str) -> bool, faults: &mut Vec<Fault>) -> Wanted {
        let mechanisms: Option<Vec<Mechanism>> =
            self.mechanisms.as_ref().map(|names| names.iter().map(|name| name.read()).collect());
        let is_external = mechanisms.as_ref().is_some_and(|all| all.contains(&Mechanism::External));
        if self.client_cert_sha256.is_some() || is_external {
            return self.read_certificate(mechanisms, faults);
        }
        let mechanisms = mechanisms.unwrap_or_else(|| Mechanism::USUAL.to_vec());
        let Some(user) = self.sasl_user else {
            let message = "a user name and a secret, or client_cert_sha256 for a peer that shows a certificate";
            faults.push(Fault::body("/auth/sasl_user", "required", message));
            return Wanted::none();
        };
        // Who may change a peer could else have its secret sent to themselves.
        let keeps_secret = self.secret.is_none();
        if keeps_secret && !keeps(&user) {
            let message = format!("a new peer, user, host or port needs the secret of {user}");
            faults.push(Fault::body("/auth/secret", "required", message));
        }
        let login = Some(Login { user, secret: self.secret.unwrap_or_default() });
        Wanted { login, mechanisms, client_certificate: None, keeps_secret }
    }

    /// The same by certificate.
    fn read_certificate(&self, mechanisms: Option<Vec<Mechanism>>, faults: &mut Vec<Fault>) -> Wanted {
        let by_certificate = vec![Mechanism::External];
        let mut exclude = |pointer: &str, message: &str| faults.push(Fault::body(pointer, "excluded", message));
        if self.sasl_user.is_some() || self.secret.is_some() {
            let pointer = if self.sasl_user.is_some() { "/auth/sasl_user" } else { "/auth/secret" };
            exclude(
                pointer,
                "either a user name and a secret, or a certificate: null takes away what is there of the other, EXTERNAL among the mechanisms too",
            );
        } else if mechanisms.is_some_and(|mechanisms| mechanisms != by_certificate) {
            exclude("/auth/mechanisms", "EXTERNAL alone is by certificate: leave the others out");
        }
        let client_certificate = self.client_cert_sha256.as_ref().and_then(|text| {
            let hash = sha256(text);
            if hash.is_none() {
                let message = "64 hexadecimal digits, with or without colons";
                faults.push(Fault::body("/auth/client_cert_sha256", "malformed", message));
            }
            hash
        });
        Wanted { login: None, mechanisms: by_certificate, client_certificate, keeps_secret: false }
    }
}

impl PeerMechanism {
    fn of(mechanism: Mechanism) -> Self {
        match mechanism {
            Mechanism::ScramSha256Plus => Self::ScramSha256Plus,
            Mechanism::ScramSha256 => Self::ScramSha256,
            Mechanism::External => Self::External,
            Mechanism::Plain => Self::Plain,
            Mechanism::Login => Self::Login,
            Mechanism::CramMd5 => Self::CramMd5,
        }
    }

    fn read(self) -> Mechanism {
        match self {
            Self::ScramSha256Plus => Mechanism::ScramSha256Plus,
            Self::ScramSha256 => Mechanism::ScramSha256,
            Self::External => Mechanism::External,
            Self::Plain => Mechanism::Plain,
            Self::Login => Mechanism::Login,
            Self::CramMd5 => Mechanism::CramMd5,
        }
    }
}

/// A fingerprint as sha256sum writes it.
pub(super) fn hex(hash: &[u8; 32]) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// 32 octets in hexadecimal, as openssl writes a fingerprint with colons or sha256sum without.
pub(super) fn sha256(text: &str) -> Option<[u8; 32]> {
    let digits: Vec<u8> = text
        .chars()
        .filter(|c| *c != ':')
        .map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect::<Option<_>>()?;
    let bytes: Vec<u8> = digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect();
    if digits.len() == 64 { bytes.try_into().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_read_with_and_without_colons() {
        let expected: [u8; 32] = std::array::from_fn(|place| place as u8 + 0xa0);
        let plain = hex(&expected);
        let colons = expected.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":");
        for good in [plain.clone(), colons] {
            assert_eq!(sha256(&good), Some(expected), "{good}");
        }
        for wrong in ["", "xy", &plain[1..], &format!("{plain}0"), &plain.replace('a', "g")] {
            assert_eq!(sha256(wrong), None, "{wrong}");
        }
    }
}
