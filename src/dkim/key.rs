use mail_auth::common::crypto::{DkimKey as Private, Ed25519Key, RsaKey};
use mail_auth::dkim::generate::DkimKeyPair;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs1KeyDer};
use serde::{Deserialize, Serialize};

use crate::base::Secret;

/// Bits of an RSA key.
// RFC 8301 §3.2: at least 1024, and signers should use 2048.
const RSA_BITS: usize = 2048;
/// Octets of an RSA public key of 2048 bits with the exponent 65537, as PKCS #1 encodes it.
const RSA_PUBLIC_BYTES: usize = 270;
/// What makes a SubjectPublicKeyInfo of such a key: the outer sequence, the algorithm rsaEncryption, the bit string.
// RFC 3279 §2.3.1. RFC 6376 §3.6.1 asks for RSAPublicKey alone (see its erratum 3017), yet all the world publishes this.
const RSA_PUBLIC_PREFIX: [u8; 24] = [
    0x30, 0x82, 0x01, 0x22, 0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00,
    0x03, 0x82, 0x01, 0x0f, 0x00,
];

/// How a key signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Algorithm {
    /// `rsa-sha256` with 2048 bits: what every verifier knows.
    Rsa2048,
    /// `ed25519-sha256` (RFC 8463): small and fast, and not known everywhere yet.
    Ed25519,
}

/// A key that was just made.
pub struct KeyPair {
    /// How it signs.
    pub algorithm: Algorithm,
    /// RSA: PKCS #1; ed25519: PKCS #8.
    pub private: Secret<Vec<u8>>,
    /// As `p=` says it before base64. RSA: SubjectPublicKeyInfo; ed25519: the key alone.
    // RFC 8463 §4.2
    pub public: Vec<u8>,
}

/// A key that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the key can't be used: {0}")]
pub struct KeyFault(pub String);

impl Algorithm {
    /// Both: a message gets a signature of each.
    pub const ALL: [Self; 2] = [Self::Rsa2048, Self::Ed25519];

    /// As `k=` of the record says it.
    pub fn tag(self) -> &'static str {
        match self {
            Self::Rsa2048 => "rsa",
            Self::Ed25519 => "ed25519",
        }
    }

    /// As the interface says it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rsa2048 => "rsa2048",
            Self::Ed25519 => "ed25519",
        }
    }
}

impl KeyPair {
    /// Makes a key, with the operating system's randomness. An RSA key takes some tenths of a second: not for a thread
    /// that others wait for.
    ///
    /// # Errors
    /// [`KeyFault`]
    pub fn generate(algorithm: Algorithm) -> Result<Self, KeyFault> {
        let made = match algorithm {
            Algorithm::Rsa2048 => DkimKeyPair::generate_rsa(RSA_BITS),
            Algorithm::Ed25519 => DkimKeyPair::generate_ed25519(),
        };
        let (private, public) = made.map_err(|error| KeyFault(error.to_string()))?.into_inner();
        let private = Secret::new(private);
        let public = match algorithm {
            Algorithm::Rsa2048 if public.len() == RSA_PUBLIC_BYTES => [&RSA_PUBLIC_PREFIX[..], &public].concat(),
            Algorithm::Rsa2048 => return Err(KeyFault("it has an unusual length".into())),
            Algorithm::Ed25519 => public,
        };
        Ok(Self { algorithm, private, public })
    }
}

/// The key, ready to sign.
///
/// # Errors
/// [`KeyFault`]
pub(super) fn parse(algorithm: Algorithm, private: &[u8]) -> Result<Private, KeyFault> {
    let parsed = match algorithm {
        Algorithm::Rsa2048 => {
            RsaKey::from_key_der(PrivateKeyDer::Pkcs1(PrivatePkcs1KeyDer::from(private))).map(Private::Rsa)
        }
        Algorithm::Ed25519 => Ed25519Key::from_pkcs8_der(private).map(Private::Ed25519),
    };
    parsed.map_err(|error| KeyFault(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_key_can_be_used_and_is_its_own() {
        for algorithm in Algorithm::ALL {
            let [one, two] = [0, 1].map(|_| KeyPair::generate(algorithm).unwrap());
            parse(algorithm, one.private.expose()).unwrap();
            assert!(one.private.expose() != two.private.expose() && one.public != two.public);
            assert_eq!(one.public.len(), if algorithm == Algorithm::Ed25519 { 32 } else { 294 });
        }
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for algorithm in Algorithm::ALL {
            for text in [&b""[..], b"no key", &[0x30; 300]] {
                assert!(parse(algorithm, text).is_err());
            }
        }
    }
}
