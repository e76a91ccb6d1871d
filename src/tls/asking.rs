use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, SignatureScheme};

/// Asks a client for a certificate, and takes any, or none. That the client holds the certificate's key is verified; who
/// that is nobody vouches for: it is known by its fingerprint, or not at all. So neither its issuer nor its dates count.
#[derive(Debug)]
pub(super) struct AnyClient {
    algorithms: WebPkiSupportedAlgorithms,
}

impl AnyClient {
    pub(super) fn new(provider: &CryptoProvider) -> Self {
        Self { algorithms: provider.signature_verification_algorithms }
    }
}

impl ClientCertVerifier for AnyClient {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    // RFC 8446 §4.2.4: whoever has signed it
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _certificate: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rcgen::{CertificateParams, KeyPair};
    use rustls::HandshakeKind;
    use rustls::pki_types::PrivateKeyDer;
    use rustls::sign::{CertifiedKey, SingleCertAndKey};
    use time::OffsetDateTime;

    use super::*;
    use crate::tls::Protocol;
    use crate::tls::binding::fingerprint;
    use crate::tls::certificates::tests::{certificates, clock, shake, store};

    const BOTH: [&rustls::SupportedProtocolVersion; 2] = [&rustls::version::TLS12, &rustls::version::TLS13];

    /// A certificate of that subject and its key; `since` and `until` are years.
    fn made(subject: &str, since: i32, until: i32) -> (CertificateDer<'static>, KeyPair) {
        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let mut params = CertificateParams::new(vec![subject.to_owned()]).unwrap();
        let year =
            |year| OffsetDateTime::new_utc(time::Date::from_ordinal_date(year, 1).unwrap(), time::Time::MIDNIGHT);
        (params.not_before, params.not_after) = (year(since), year(until));
        (params.self_signed(&key).unwrap().der().clone(), key)
    }

    fn shown(certificate: &CertificateDer<'static>, key: &KeyPair) -> Arc<SingleCertAndKey> {
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        let signing = rustls::crypto::ring::sign::any_supported_type(&key).unwrap();
        Arc::new(CertifiedKey::new(vec![certificate.clone()], signing).into())
    }

    #[tokio::test]
    async fn a_client_may_show_any_certificate_whose_key_it_has() {
        let ours = certificates(&store(), "mail.example.test", &*clock()).await;
        let (asking, silent) =
            (ours.asking_config(Protocol::Smtp).unwrap(), ours.server_config(Protocol::Smtp).unwrap());
        let (branch, key) = made("branch.test", 2020, 2090);
        let (expired, expired_key) = made("branch.test", 2001, 2002);
        let (same_subject, other_key) = made("branch.test", 2020, 2090);
        for version in BOTH {
            let mut client = crate::tls::certificates::tests::client(&ours, &[], &[version]);
            let mut seen = |server, shown: Option<Arc<SingleCertAndKey>>| {
                if let Some(shown) = shown {
                    client.client_auth_cert_resolver = shown;
                }
                let shaken = shake(server, &Arc::new(client.clone()), "localhost");
                shaken.map(|(facts, _)| facts.channel.client_certificate)
            };
            assert_eq!(seen(&asking, None).unwrap(), None);
            for (certificate, key) in [(&branch, &key), (&expired, &expired_key), (&same_subject, &other_key)] {
                let expected = Some(fingerprint(certificate));
                assert_eq!(seen(&asking, Some(shown(certificate, key))).unwrap(), expected);
            }
            // Who has not its key has seen the certificate at best.
            for (certificate, key) in [(&branch, &other_key), (&expired, &key)] {
                assert!(seen(&asking, Some(shown(certificate, key))).is_err());
            }
            // What is no certificate at all proves nothing either.
            let garbage = CertificateDer::from(vec![0x30, 0x03, 1, 1, 1]);
            assert!(seen(&asking, Some(shown(&garbage, &key))).is_err());
        }
        // Where nobody asks, nothing is shown.
        for version in BOTH {
            let mut client = crate::tls::certificates::tests::client(&ours, &[], &[version]);
            client.client_auth_cert_resolver = shown(&branch, &key);
            let (facts, _) = shake(&silent, &Arc::new(client), "localhost").unwrap();
            assert_eq!(facts.channel.client_certificate, None);
        }
    }

    #[tokio::test]
    async fn each_session_proves_the_key_anew() {
        let ours = certificates(&store(), "mail.example.test", &*clock()).await;
        let (asking, silent) =
            (ours.asking_config(Protocol::Smtp).unwrap(), ours.server_config(Protocol::Smtp).unwrap());
        let (branch, key) = made("branch.test", 2020, 2090);
        // A client resumes only what it began with the same resolver.
        let shown = shown(&branch, &key);
        for version in BOTH {
            for shows in [true, false] {
                let client = || {
                    let mut client = crate::tls::certificates::tests::client(&ours, &[], &[version]);
                    if shows {
                        client.client_auth_cert_resolver = shown.clone();
                    }
                    Arc::new(client)
                };
                let kinds = |server| {
                    let client = client();
                    [(); 2].map(|()| {
                        let (facts, kind) = shake(server, &client, "localhost").unwrap();
                        (kind, facts.channel.client_certificate)
                    })
                };
                let seen = shows.then(|| fingerprint(&branch));
                assert_eq!(kinds(&asking), [(HandshakeKind::Full, seen); 2]);
                // Where nobody asks, the same client resumes.
                assert_eq!(kinds(&silent), [(HandshakeKind::Full, None), (HandshakeKind::Resumed, None)]);
            }
        }
    }
}
