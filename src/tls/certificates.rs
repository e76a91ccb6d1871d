use std::convert::Infallible;
use std::sync::Arc;

use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use zeroize::Zeroize;

use super::config::{self, Protocol};
use super::resolver::Resolver;
use crate::base::{Clock, DomainName, Timestamp};
use crate::store::{AnyTable, Halt, HoldsSecret, Op, Read, Store, StoreError, Table, Tx, WriteError};

/// Milliseconds for which a self-signed certificate is valid: 10 years.
const SELF_SIGNED_MS: u64 = 10 * 365 * DAY_MS;
/// A certificate begins a day early, for clients whose clock is behind.
pub(super) const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// The certificates by host name, and the one that we show where we dial.
pub static TLS_CERTS: Table<String, StoredCertificate> = Table::new("tls_certs");

/// The room's tables.
pub const TABLES: &[&dyn AnyTable] = &[&TLS_CERTS];

/// A certificate at rest.
// No Debug: it holds a private key.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredCertificate {
    /// The chain in DER, the server's own certificate first.
    pub(super) chain: Vec<Vec<u8>>,
    /// The private key, PKCS#8 in DER. Empty: it was sealed, and dropped with the key.
    pub(super) key_pkcs8: Vec<u8>,
    /// Not valid from then on.
    pub(super) expires_at: Timestamp,
}
crate::postcard_row!(StoredCertificate, 1, secret);

impl HoldsSecret for StoredCertificate {
    const WHAT: &'static str = "certificate";

    fn secret(&self) -> Option<&[u8]> {
        Some(&self.key_pkcs8)
    }

    fn set_secret(&mut self, secret: &[u8]) -> Option<()> {
        self.key_pkcs8.zeroize();
        self.key_pkcs8.extend_from_slice(secret);
        Some(())
    }
}

/// What a certificate says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFacts {
    /// The host name that it is for.
    pub name: String,
    /// Not valid from then on.
    pub not_after: Timestamp,
    /// No authority vouches for it.
    pub self_signed: bool,
}

/// The certificate that is kept for `hostname`, where there is one.
///
/// # Errors
/// [`StoreError`].
pub fn certificates(read: &impl Read, hostname: &str) -> Result<Vec<CertificateFacts>, StoreError> {
    let kept = read.get_if_sound(&TLS_CERTS, &hostname.to_owned())?;
    let facts = |kept: StoredCertificate| CertificateFacts {
        name: hostname.to_owned(),
        not_after: kept.expires_at,
        // An authority's comes with the authority's own behind it.
        self_signed: kept.chain.len() == 1,
    };
    Ok(kept.map(facts).into_iter().collect())
}

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
        let found = store.view()?.get_if_sound(&TLS_CERTS, &hostname.as_str().to_owned())?;
        let certificate = match found {
            Some(kept) if kept.expires_at > clock.now() && !kept.key_pkcs8.is_empty() => kept,
            _ => {
                let made = self_signed(hostname, clock.now())?;
                store.write(Keep { name: hostname.to_string(), certificate: made }).await?.into_inner()
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

    /// The same for sessions in which a client may log in by a certificate (SASL EXTERNAL): it is asked for one, and shows it
    /// or none. Mail programs of people would ask them which: it is for servers alone.
    ///
    /// # Errors
    /// [`TlsError::Rustls`].
    pub fn asking_config(&self, protocol: Protocol) -> Result<Arc<ServerConfig>, TlsError> {
        config::asking_config(protocol, self.resolver.clone())
    }

    /// The certificate in DER, for a client that shall trust it.
    pub fn der(&self) -> Option<CertificateDer<'static>> {
        self.resolver.current().cert.first().cloned()
    }
}

/// Keeps a certificate, over an older one.
pub(super) struct Keep {
    pub(super) name: String,
    pub(super) certificate: StoredCertificate,
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
        tx.put(&TLS_CERTS, &self.name, &self.certificate)?;
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

pub(super) fn date(moment: Timestamp) -> OffsetDateTime {
    let seconds = i64::try_from(moment.ms() / 1000).unwrap_or(0);
    OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

pub(super) fn certified_key(certificate: StoredCertificate) -> Result<CertifiedKey, TlsError> {
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(certificate.key_pkcs8));
    let chain = certificate.chain.into_iter().map(CertificateDer::from).collect();
    Ok(CertifiedKey::from_der(chain, key, &rustls::crypto::ring::default_provider())?)
}

#[cfg(test)]
pub(super) mod tests {
    use std::io;

    use rustls::client::{ClientConfig, ClientConnection, Resumption};
    use rustls::pki_types::ServerName;
    use rustls::{HandshakeKind, RootCertStore, ServerConnection};

    use super::*;
    use crate::base::TurnedClock;
    use crate::store::{Options, Schema};
    use crate::tls::Facts;

    static SCHEMA: Schema = Schema { version: 1, tables: TABLES, checks: &[], migrations: &[] };
    /// 2026-11-22
    const NOW: Timestamp = Timestamp(1_795_341_900_123);

    pub(in crate::tls) fn clock() -> Arc<TurnedClock> {
        Arc::new(TurnedClock::new(NOW))
    }

    pub(in crate::tls) fn store() -> Store {
        Store::open(Options::memory(clock()), &SCHEMA).unwrap()
    }

    pub(in crate::tls) async fn certificates(store: &Store, hostname: &str, clock: &dyn Clock) -> Certificates {
        Certificates::open(store, &hostname.parse().unwrap(), clock).await.unwrap()
    }

    #[tokio::test]
    async fn a_certificate_is_made_once_and_kept() {
        let (store, clock) = (store(), clock());
        let first = certificates(&store, "mail.example.test", &*clock).await.der();
        assert!(first.is_some());
        assert_eq!(certificates(&store, "mail.example.test", &*clock).await.der(), first);
        assert_ne!(certificates(&store, "other.example.test", &*clock).await.der(), first);
        clock.advance_ms(SELF_SIGNED_MS - 1);
        assert_eq!(certificates(&store, "mail.example.test", &*clock).await.der(), first);
        clock.advance_ms(1);
        let second = certificates(&store, "mail.example.test", &*clock).await.der();
        assert_ne!(second, first);
        assert_eq!(certificates(&store, "mail.example.test", &*clock).await.der(), second);
    }

    /// A client that trusts the certificate as its own root.
    pub(in crate::tls) fn client(
        certificates: &Certificates,
        alpn: &[&str],
        versions: &[&'static rustls::SupportedProtocolVersion],
    ) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(certificates.der().unwrap()).unwrap();
        let mut config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        config.resumption = Resumption::in_memory_sessions(8);
        config
    }

    /// Runs a handshake in memory, and the messages behind it that bring the tickets.
    pub(in crate::tls) fn shake(
        server: &Arc<ServerConfig>,
        client: &Arc<ClientConfig>,
        name: &str,
    ) -> Result<(Facts, HandshakeKind), io::Error> {
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let mut client = ClientConnection::new(client.clone(), name).unwrap();
        let mut server = ServerConnection::new(server.clone()).unwrap();
        for _ in 0..8 {
            let mut wire = Vec::new();
            while client.wants_write() {
                client.write_tls(&mut wire)?;
            }
            let mut wire = wire.as_slice();
            while !wire.is_empty() {
                server.read_tls(&mut wire)?;
                server.process_new_packets().map_err(io::Error::other)?;
            }
            let mut wire = Vec::new();
            while server.wants_write() {
                server.write_tls(&mut wire)?;
            }
            let mut wire = wire.as_slice();
            while !wire.is_empty() {
                client.read_tls(&mut wire)?;
                client.process_new_packets().map_err(io::Error::other)?;
            }
        }
        assert!(!client.is_handshaking() && !server.is_handshaking());
        Ok((Facts::of(&server, None), server.handshake_kind().unwrap()))
    }

    #[tokio::test]
    async fn both_versions_are_spoken_and_their_facts_are_known() {
        let certificates = certificates(&store(), "mail.example.test", &*clock()).await;
        let server = certificates.server_config(Protocol::Pop3).unwrap();
        for (version, name) in [(&rustls::version::TLS12, "TLSv1.2"), (&rustls::version::TLS13, "TLSv1.3")] {
            let client = Arc::new(client(&certificates, &[], &[version]));
            let (facts, _) = shake(&server, &client, "mail.example.test").unwrap();
            assert_eq!((facts.version, facts.alpn), (name, None));
            assert!(facts.cipher.starts_with("TLS_") && facts.cipher.contains("AES"), "{}", facts.cipher);
            assert_eq!(facts.sni.as_deref(), Some("mail.example.test"));
            for other in ["localhost", "127.0.0.1", "::1"] {
                shake(&server, &client, other).unwrap();
            }
            assert!(shake(&server, &client, "other.example.test").is_err());
        }
    }

    #[tokio::test]
    async fn a_client_that_wants_another_protocol_is_refused() {
        let certificates = certificates(&store(), "mail.example.test", &*clock()).await;
        let check = |protocol: Protocol, offered: &[&str], expected: Option<Option<&str>>| {
            let server = certificates.server_config(protocol).unwrap();
            let client = Arc::new(client(&certificates, offered, rustls::DEFAULT_VERSIONS));
            let seen = shake(&server, &client, "localhost").ok().map(|(facts, _)| facts.alpn);
            assert_eq!(seen, expected.map(|name| name.map(str::to_owned)), "{protocol:?} {offered:?}");
        };
        for protocol in [Protocol::Smtp, Protocol::Pop3, Protocol::Http] {
            check(protocol, &[], Some(None));
            check(protocol, &["imap"], None);
        }
        check(Protocol::Pop3, &["pop3"], Some(Some("pop3")));
        check(Protocol::Smtp, &["esmtp"], Some(Some("esmtp")));
        check(Protocol::Http, &["h2", "http/1.1"], Some(Some("http/1.1")));
        check(Protocol::Pop3, &["h2", "http/1.1"], None);
        check(Protocol::Smtp, &["http/1.1"], None);
        check(Protocol::Http, &["pop3"], None);
    }

    #[tokio::test]
    async fn a_session_is_resumed_only_where_it_began() {
        let certificates = certificates(&store(), "mail.example.test", &*clock()).await;
        let [here, elsewhere] =
            [Protocol::Smtp, Protocol::Pop3].map(|protocol| certificates.server_config(protocol).unwrap());
        for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
            let client = Arc::new(client(&certificates, &[], &[version]));
            let kind = |server| shake(server, &client, "localhost").unwrap().1;
            assert_eq!(kind(&here), HandshakeKind::Full);
            assert_eq!(kind(&here), HandshakeKind::Resumed);
            assert_eq!(kind(&elsewhere), HandshakeKind::Full);
        }
    }
}
