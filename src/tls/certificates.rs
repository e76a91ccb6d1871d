use std::convert::Infallible;
use std::sync::Arc;

use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::config::{self, Protocol};
use super::resolver::Resolver;
use crate::base::{Clock, DomainName, Timestamp};
use crate::store::{AnyTable, Halt, Op, Read, Store, StoreError, Table, Tx, WriteError};

/// Milliseconds for which a self-signed certificate is valid: 10 years.
const SELF_SIGNED_MS: u64 = 10 * 365 * DAY_MS;
/// A certificate begins a day early, for clients whose clock is behind.
const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// The certificates by host name.
pub static TLS_CERTS: Table<String, StoredCertificate> = Table::new("tls_certs");

/// The room's tables.
pub const TABLES: &[&dyn AnyTable] = &[&TLS_CERTS];

/// A certificate at rest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredCertificate {
    /// The chain in DER, the server's own certificate first.
    chain: Vec<Vec<u8>>,
    /// The private key, PKCS#8 in DER.
    key_pkcs8: Vec<u8>,
    /// Not valid from then on.
    expires_at: Timestamp,
}
crate::postcard_row!(StoredCertificate, 1);

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The file could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The new certificate could not be written.
    #[error("the new certificate could not be kept: {0}")]
    Write(#[from] WriteError<Infallible>),
    /// The certificate could not be made.
    #[error("no certificate could be made: {0}")]
    Make(#[from] rcgen::Error),
    /// rustls refuses the certificate or the configuration.
    #[error("TLS: {0}")]
    Rustls(#[from] rustls::Error),
}

/// The server's certificate and what the listeners make of it.
#[derive(Debug)]
pub struct Certificates {
    resolver: Arc<Resolver>,
}

impl Certificates {
    /// Loads the certificate for `hostname`, or makes a self-signed one and keeps it in the file.
    ///
    /// # Errors
    /// [`TlsError`].
    pub async fn open(store: &Store, hostname: &DomainName, clock: &dyn Clock) -> Result<Self, TlsError> {
        let found = store.view()?.get(&TLS_CERTS, &hostname.as_str().to_owned())?;
        let certificate = match found {
            Some(kept) if kept.expires_at > clock.now() => kept,
            _ => {
                let made = self_signed(hostname, clock.now())?;
                store.write(Keep { hostname: hostname.clone(), certificate: made }).await?.into_inner()
            }
        };
        Ok(Self { resolver: Arc::new(Resolver::new(Arc::new(certified_key(certificate)?))) })
    }

    /// A server's configuration for one listener; each call has session tickets of its own.
    ///
    /// # Errors
    /// [`TlsError::Rustls`].
    pub fn server_config(&self, protocol: Protocol) -> Result<Arc<ServerConfig>, TlsError> {
        config::server_config(protocol, self.resolver.clone())
    }

    /// The certificate in DER, for a client that shall trust it.
    pub fn der(&self) -> Option<CertificateDer<'static>> {
        self.resolver.current().cert.first().cloned()
    }
}

/// Keeps a certificate, over an older one.
struct Keep {
    hostname: DomainName,
    certificate: StoredCertificate,
}

impl Op for Keep {
    type Plan = ();
    type Out = StoredCertificate;
    type Refused = Infallible;

    fn name(&self) -> &'static str {
        "tls.keep_certificate"
    }

    fn runs_when_full(&self) -> bool {
        true
    }

    fn check(&self, _tx: &Tx<'_>) -> Result<(), Halt<Infallible>> {
        Ok(())
    }

    fn apply(&self, tx: &mut Tx<'_>, (): ()) -> Result<StoredCertificate, StoreError> {
        tx.put(&TLS_CERTS, &self.hostname.as_str().to_owned(), &self.certificate)?;
        Ok(self.certificate.clone())
    }
}

/// ECDSA on P-256, for the host name, and for `localhost` so that it serves on a developer's machine.
fn self_signed(hostname: &DomainName, now: Timestamp) -> Result<StoredCertificate, TlsError> {
    let names = [hostname.as_str(), "localhost", "127.0.0.1", "::1"].map(str::to_owned);
    let mut params = CertificateParams::new(names)?;
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, hostname.as_str());
    params.distinguished_name = subject;
    let expires_at = now.plus_ms(SELF_SIGNED_MS);
    params.not_before = date(Timestamp(now.ms().saturating_sub(DAY_MS)));
    params.not_after = date(expires_at);
    let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
    let certificate = params.self_signed(&key)?;
    Ok(StoredCertificate { chain: vec![certificate.der().to_vec()], key_pkcs8: key.serialize_der(), expires_at })
}

fn date(moment: Timestamp) -> OffsetDateTime {
    let seconds = i64::try_from(moment.ms() / 1000).unwrap_or(0);
    OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

fn certified_key(certificate: StoredCertificate) -> Result<CertifiedKey, TlsError> {
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(certificate.key_pkcs8));
    let chain = certificate.chain.into_iter().map(CertificateDer::from).collect();
    Ok(CertifiedKey::from_der(chain, key, &rustls::crypto::ring::default_provider())?)
}
