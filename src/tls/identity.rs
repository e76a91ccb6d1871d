use std::sync::Arc;

use rcgen::{CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose};
use rustls::client::ResolvesClientCert;
use rustls::sign::SingleCertAndKey;

use super::TlsError;
use super::binding::fingerprint;
use super::certificates::{DAY_MS, Keep, StoredCertificate, TLS_CERTS, certified_key, date};
use crate::base::{Clock, DomainName, Timestamp};
use crate::store::{Read, Store, StoreError};

/// Where the certificate lies among those of host names, none of which holds a space.
const NAME: &str = "shown to peers";
/// 9999-12-31T23:59:59Z
// RFC 5280 §4.1.2.5: a certificate without an end
const NEVER: Timestamp = Timestamp(253_402_300_799_000);

/// The certificate that we show where we dial a peer, if it asks, and its key. It is made once, signed by itself and kept in
/// the file: peers pin its fingerprint, so it is another one than the listeners', which is renewed, and it stays the same under
/// another host name.
#[derive(Debug, Clone)]
pub struct ClientIdentity {
    key: Arc<SingleCertAndKey>,
}

impl ClientIdentity {
    /// Loads it, or makes it and keeps it in the file; `hostname` is its subject then, for people.
    ///
    /// # Errors
    /// [`TlsError`].
    pub async fn open(store: &Store, hostname: &DomainName, clock: &dyn Clock) -> Result<Self, TlsError> {
        let found = store.view()?.get_if_sound(&TLS_CERTS, &NAME.to_owned())?;
        // Without its key, which was dropped with the one that it was sealed with, it proves nothing.
        let kept = match found.filter(|kept| !kept.key_pkcs8.is_empty()) {
            Some(kept) => kept,
            None => {
                let keep = Keep { name: NAME.to_owned(), certificate: make(hostname, clock.now())? };
                let kept = store.write(keep).await?.into_inner();
                let text = "a certificate to show to peers was made: those that know an earlier one have to be told";
                tracing::info!(event = "client_certificate_made", "{text}");
                kept
            }
        };
        Ok(Self { key: Arc::new(certified_key(kept)?.into()) })
    }

    /// One that is kept nowhere, for tests of the rooms above.
    ///
    /// # Panics
    /// Never: what is made can be used.
    #[cfg(test)]
    pub(crate) fn unkept(hostname: &DomainName) -> Self {
        let key = certified_key(make(hostname, Timestamp(0)).expect("a certificate")).expect("its key");
        Self { key: Arc::new(key.into()) }
    }

    pub(super) fn resolver(&self) -> Arc<dyn ResolvesClientCert> {
        self.key.clone()
    }
}

/// The SHA-256 of the certificate that we show where we dial a peer: what the other side pins. `None`: there is none yet.
///
/// # Errors
/// [`StoreError`].
pub fn client_fingerprint(read: &impl Read) -> Result<Option<[u8; 32]>, StoreError> {
    let kept = read.get_if_sound(&TLS_CERTS, &NAME.to_owned())?;
    Ok(kept.and_then(|kept| kept.chain.first().map(|certificate| fingerprint(certificate))))
}

fn make(hostname: &DomainName, now: Timestamp) -> Result<StoredCertificate, TlsError> {
    let mut params = CertificateParams::new(Vec::new())?;
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, hostname.as_str());
    params.distinguished_name = subject;
    // RFC 5280 §4.2.1.3, §4.2.1.12: servers of others may look at what it is for.
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.not_before = date(Timestamp(now.ms().saturating_sub(DAY_MS)));
    params.not_after = date(NEVER);
    let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
    let certificate = params.self_signed(&key)?;
    Ok(StoredCertificate { chain: vec![certificate.der().to_vec()], key_pkcs8: key.serialize_der(), expires_at: NEVER })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::tls::Protocol;
    use crate::tls::certificates::tests::{certificates, client, clock, shake, store};

    #[tokio::test]
    async fn it_is_made_once_and_is_what_a_server_is_shown() {
        let (store, clock) = (store(), clock());
        let ours = certificates(&store, "mail.example.test", &*clock).await;
        assert_eq!(client_fingerprint(&store.view().unwrap()).unwrap(), None);
        let identity = async |name: &str| ClientIdentity::open(&store, &name.parse().unwrap(), &*clock).await.unwrap();
        let first = identity("mail.example.test").await;
        let known = client_fingerprint(&store.view().unwrap()).unwrap().unwrap();
        clock.advance_ms(100 * 365 * DAY_MS);
        // Neither time nor another name makes another one.
        for identity in [first, identity("mail.example.test").await, identity("other.example.test").await] {
            let mut client = client(&ours, &[], rustls::DEFAULT_VERSIONS);
            client.client_auth_cert_resolver = identity.resolver();
            let server = ours.asking_config(Protocol::Smtp).unwrap();
            let (facts, _) = shake(&server, &Arc::new(client), "localhost").unwrap();
            assert_eq!(facts.channel.client_certificate, Some(known));
        }
        // Without its key it is made anew.
        let keyless = store.view().unwrap().get_if_sound(&TLS_CERTS, &NAME.to_owned()).unwrap().unwrap();
        let certificate = StoredCertificate { key_pkcs8: Vec::new(), ..keyless };
        store.write(Keep { name: NAME.to_owned(), certificate }).await.unwrap().into_inner();
        let _ = identity("mail.example.test").await;
        assert_ne!(client_fingerprint(&store.view().unwrap()).unwrap(), Some(known));
    }
}
