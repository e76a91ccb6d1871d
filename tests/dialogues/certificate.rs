//! Certificates that clients show, by the names that dialogues give them: a name is the same one throughout.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::crypto::ring;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use sha2::{Digest, Sha256};

/// A client's certificate and its key.
#[derive(Clone)]
pub struct Certificate {
    /// The SHA-256 of its DER form.
    pub sha256: [u8; 32],
    /// What shows it.
    pub shown: Arc<SingleCertAndKey>,
}

/// The certificate of that name.
pub fn of(name: &str) -> Certificate {
    static MADE: Mutex<BTreeMap<String, Certificate>> = Mutex::new(BTreeMap::new());
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    made.entry(name.to_owned()).or_insert_with(|| make(name)).clone()
}

fn make(name: &str) -> Certificate {
    let made = rcgen::generate_simple_self_signed([name.to_owned()]).expect("a certificate");
    let chain = vec![made.cert.der().clone()];
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let key = CertifiedKey::from_der(chain, key.into(), &ring::default_provider()).expect("its key");
    Certificate { sha256: Sha256::digest(made.cert.der()).into(), shown: Arc::new(key.into()) }
}
