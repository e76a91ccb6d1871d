use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{Error, RootCertStore};

use super::facts::Certified;
use crate::base::DomainName;
use crate::tlspolicy::{Shown, Tlsa, Usage};

/// What the DNS says, with its signatures, of the certificate of a server: it must match one of the records. RFC 7672 §3
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// The TLSA base domain: the name that the server is asked for (RFC 7672 §8.1).
    pub base: DomainName,
    /// The names of which the certificate must have one where a CA is published. RFC 7672 §3.2.2
    pub names: Vec<DomainName>,
    /// Those that can be gone by, never none.
    pub records: Vec<Tlsa>,
}

impl Published {
    /// Judges what a server shows.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn judge(
        &self,
        certificate: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
        provider: &CryptoProvider,
    ) -> Result<Certified, Error> {
        let parsed = ParsedCertificate::try_from(certificate)?;
        // RFC 7671 §5.1: neither the names nor the dates of the certificate are looked at
        if self.records.iter().any(|record| record.usage == Usage::Ee && is_of(record, certificate)) {
            return Ok(Certified::DaneEe);
        }
        let anchors = self.anchors(others);
        if anchors.is_empty() {
            return Err(Error::General(format!("the certificate does not match the TLSA records of {}", self.base)));
        }
        let algorithms = provider.signature_verification_algorithms.all;
        verify_server_cert_signed_by_trust_anchor(&parsed, &anchors, others, now, algorithms)?;
        let names = self.names.iter().filter_map(|name| ServerName::try_from(name.as_str()).ok());
        let mut wrong = Error::General(format!("no name of {} can stand in a certificate", self.base));
        for name in names {
            match verify_server_name(&parsed, &name) {
                Ok(()) => return Ok(Certified::DaneTa),
                Err(error) => wrong = error,
            }
        }
        Err(wrong)
    }

    /// The CAs that the records name: those that the server shows, and those that stand in a record whole.
    // RFC 7671 §5.2
    fn anchors(&self, shown: &[CertificateDer<'_>]) -> RootCertStore {
        let mut anchors = RootCertStore::empty();
        for record in self.records.iter().filter(|record| record.usage == Usage::Ta) {
            let of_server = shown.iter().filter(|certificate| is_of(record, certificate)).cloned();
            let own = record.certificate().map(|der| CertificateDer::from(der.to_vec()));
            for certificate in of_server.map(CertificateDer::into_owned).chain(own) {
                // What can't be a CA vouches for nobody.
                let _ = anchors.add(certificate);
            }
        }
        anchors
    }
}

fn is_of(record: &Tlsa, certificate: &CertificateDer<'_>) -> bool {
    ParsedCertificate::try_from(certificate).is_ok_and(|parsed| {
        let key = parsed.subject_public_key_info();
        record.is_of(&Shown { certificate: certificate.as_ref(), key: key.as_ref() })
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, PublicKeyData};

    use super::*;

    struct Chain {
        own: CertificateDer<'static>,
        ca: CertificateDer<'static>,
        own_key: Vec<u8>,
        ca_key: Vec<u8>,
    }

    /// A certificate of `name` that is good until 2030, and its CA.
    fn chain(name: &str) -> Chain {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca_key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let ca = params.self_signed(&ca_key).unwrap();
        let ca_spki = ca_key.subject_public_key_info();
        let issuer = Issuer::new(params, ca_key);
        let own_key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2030, 1, 1);
        let own = params.signed_by(&own_key, &issuer).unwrap();
        let own_spki = own_key.subject_public_key_info();
        Chain { own: own.der().clone(), ca: ca.der().clone(), own_key: own_spki, ca_key: ca_spki }
    }

    /// 2026-11-22, and 2033.
    const NOW: u64 = 1_795_341_900;
    const LATE: u64 = 2_000_000_000;

    fn judge(chain: &Chain, records: &[(u8, u8, &[u8])], shows_ca: bool, at: u64) -> Result<Certified, String> {
        let records = records.iter().map(|(usage, selector, data)| Tlsa::read(*usage, *selector, 0, data).unwrap());
        let names = ["mx.d.test", "d.test"].map(|name| name.parse().unwrap()).to_vec();
        let published = Published { base: "mx.d.test".parse().unwrap(), names, records: records.collect() };
        let others = if shows_ca { vec![chain.ca.clone()] } else { Vec::new() };
        let at = UnixTime::since_unix_epoch(Duration::from_secs(at));
        let provider = rustls::crypto::ring::default_provider();
        published.judge(&chain.own, &others, at, &provider).map_err(|error| error.to_string())
    }

    // RFC 7672 §3.1.1
    #[test]
    fn of_a_server_s_own_certificate_nothing_else_counts() {
        let elsewhere = chain("elsewhere.test");
        assert_eq!(judge(&elsewhere, &[(3, 0, &elsewhere.own)], false, LATE), Ok(Certified::DaneEe));
        assert_eq!(judge(&elsewhere, &[(3, 1, &elsewhere.own_key)], false, LATE), Ok(Certified::DaneEe));
        let other = chain("mx.d.test");
        let wrong = judge(&other, &[(3, 1, &elsewhere.own_key), (3, 0, &elsewhere.own)], true, NOW).unwrap_err();
        assert!(wrong.contains("does not match the TLSA records of mx.d.test"), "{wrong}");
        // It is one of the server's own, and not of its CA.
        assert!(judge(&other, &[(3, 0, &other.ca), (3, 1, &other.ca_key)], true, NOW).is_err());
        assert_eq!(judge(&other, &[(3, 0, &other.ca), (3, 0, &other.own)], true, NOW), Ok(Certified::DaneEe));
    }

    // RFC 7672 §3.1.2, §3.2.2
    #[test]
    fn of_a_ca_s_certificate_names_and_dates_count() {
        for name in ["mx.d.test", "d.test"] {
            let chain = chain(name);
            assert_eq!(judge(&chain, &[(2, 0, &chain.ca)], true, NOW), Ok(Certified::DaneTa), "{name}");
            assert_eq!(judge(&chain, &[(2, 1, &chain.ca_key)], true, NOW), Ok(Certified::DaneTa), "{name}");
        }
        let good = chain("mx.d.test");
        assert_eq!(judge(&good, &[(2, 0, &good.ca)], false, NOW), Ok(Certified::DaneTa), "it stands in the record");
        assert!(judge(&good, &[(2, 1, &good.ca_key)], false, NOW).is_err(), "nobody shows it");
        assert!(judge(&good, &[(2, 0, &good.ca)], true, LATE).unwrap_err().contains("xpired"));
        let elsewhere = chain("elsewhere.test");
        assert!(judge(&elsewhere, &[(2, 0, &elsewhere.ca)], true, NOW).unwrap_err().contains("name"));
        // Another CA, though the server shows it too.
        assert!(judge(&good, &[(2, 0, &elsewhere.ca)], true, NOW).is_err());
    }
}
