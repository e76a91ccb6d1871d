use rustls::pki_types::CertificateDer;
use rustls::{ClientConnection, ServerConnection};
use sha2::{Digest, Sha256, Sha384, Sha512};

use crate::sasl::Channel;

/// RFC 9266 §2
const EXPORTER_LABEL: &[u8] = b"EXPORTER-Channel-Binding";

/// What a login may be bound to where we serve with that certificate.
pub(super) fn of_server(session: &ServerConnection, certificate: Option<&CertificateDer<'_>>) -> Channel {
    let is_modern = session.protocol_version() == Some(rustls::ProtocolVersion::TLSv1_3);
    let export = |out: [u8; 32]| session.export_keying_material(out, EXPORTER_LABEL, Some(&[])).ok();
    Channel {
        // RFC 9266 §4.2: with TLS 1.2 only where the master secret is an extended one, and rustls does not tell.
        exporter: Some([0; 32]).filter(|_| is_modern).and_then(export),
        server_end_point: certificate.and_then(|certificate| end_point(certificate)),
        client_certificate: session.peer_certificates().and_then(<[_]>::first).map(|shown| fingerprint(shown)),
    }
}

/// The same where we have dialled.
pub(super) fn of_client(session: &ClientConnection) -> Channel {
    let is_modern = session.protocol_version() == Some(rustls::ProtocolVersion::TLSv1_3);
    let export = |out: [u8; 32]| session.export_keying_material(out, EXPORTER_LABEL, Some(&[])).ok();
    let certificate = session.peer_certificates().and_then(<[CertificateDer<'_>]>::first);
    Channel {
        exporter: Some([0; 32]).filter(|_| is_modern).and_then(export),
        server_end_point: certificate.and_then(|certificate| end_point(certificate)),
        client_certificate: None,
    }
}

/// What a certificate is pinned by: the SHA-256 of its DER form.
pub(super) fn fingerprint(certificate: &[u8]) -> [u8; 32] {
    Sha256::digest(certificate).into()
}

/// The certificate's hash, with the function that it is signed with.
// RFC 5929 §4.1: SHA-256 stands in for MD5 and SHA-1; where a signature has no hash function of its own, as in Ed25519,
// or names it elsewhere, as RSASSA-PSS does, there is no such binding.
fn end_point(certificate: &[u8]) -> Option<Vec<u8>> {
    const PKCS1: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01];
    const ECDSA_SHA1: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x01];
    const ECDSA_SHA2: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03];
    let algorithm = signature_algorithm(certificate)?;
    let (family, function) = algorithm.split_last().map(|(last, family)| (family, *last))?;
    match (family, function) {
        // RFC 8017 appendix C: md5, sha1, sha256, sha384, sha512 WithRSAEncryption
        (PKCS1, 4 | 5 | 11) => Some(Sha256::digest(certificate).to_vec()),
        (PKCS1, 12) => Some(Sha384::digest(certificate).to_vec()),
        (PKCS1, 13) => Some(Sha512::digest(certificate).to_vec()),
        // RFC 5758 §3.2
        (ECDSA_SHA2, 2) => Some(Sha256::digest(certificate).to_vec()),
        (ECDSA_SHA2, 3) => Some(Sha384::digest(certificate).to_vec()),
        (ECDSA_SHA2, 4) => Some(Sha512::digest(certificate).to_vec()),
        _ if algorithm == ECDSA_SHA1 => Some(Sha256::digest(certificate).to_vec()),
        _ => None,
    }
}

/// The OID of the algorithm that a certificate is signed with.
// RFC 5280 §4.1: Certificate ::= SEQUENCE { tbsCertificate, signatureAlgorithm SEQUENCE { algorithm OID, .. }, .. }
fn signature_algorithm(certificate: &[u8]) -> Option<&[u8]> {
    const SEQUENCE: u8 = 0x30;
    const OID: u8 = 0x06;
    let (whole, _) = value(certificate, SEQUENCE)?;
    let (_, behind) = value(whole, SEQUENCE)?;
    let (identifier, _) = value(behind, SEQUENCE)?;
    value(identifier, OID).map(|(oid, _)| oid)
}

/// The value that stands first, if it has this tag, and what follows it.
// X.690 §8.1
fn value(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (first, rest) = der.split_first()?;
    let (length, rest) = rest.split_first()?;
    let (length, rest) = match length {
        0..=0x7f => (usize::from(*length), rest),
        0x81..=0x84 => {
            let (octets, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
            (octets.iter().fold(0, |sum, octet| sum << 8 | usize::from(*octet)), rest)
        }
        _ => return None,
    };
    let (inside, behind) = rest.split_at_checked(length)?;
    (*first == tag).then_some((inside, behind))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair, SignatureAlgorithm};

    fn signed_with(algorithm: &'static SignatureAlgorithm) -> Vec<u8> {
        let key = KeyPair::generate_for(algorithm).unwrap();
        CertificateParams::new(vec!["mx.test".to_owned()]).unwrap().self_signed(&key).unwrap().der().to_vec()
    }

    #[test]
    fn a_certificate_is_hashed_as_it_is_signed() {
        let check = |algorithm, octets| assert_eq!(end_point(&signed_with(algorithm)).map(|it| it.len()), octets);
        check(&rcgen::PKCS_ECDSA_P256_SHA256, Some(32));
        check(&rcgen::PKCS_ECDSA_P384_SHA384, Some(48));
        check(&rcgen::PKCS_ED25519, None);
        let certificate = signed_with(&rcgen::PKCS_ECDSA_P256_SHA256);
        assert_eq!(end_point(&certificate), Some(Sha256::digest(&certificate).to_vec()));
        for cut in 0..certificate.len() - 100 {
            assert_eq!(end_point(&certificate[..cut]), None, "{cut}");
        }
    }

    #[test]
    fn the_algorithm_is_found_in_any_shape_of_a_certificate() {
        let shell = |oid: &[u8]| {
            let identifier = [&[0x30, oid.len() as u8 + 4, 0x06, oid.len() as u8], oid, &[0x05, 0x00]].concat();
            let body = [&[0x30, 0x81, 0x01, 0x00], identifier.as_slice()].concat();
            [&[0x30, 0x82, 0x00, body.len() as u8], body.as_slice()].concat()
        };
        let rsa = |function: u8| shell(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, function]);
        let ecdsa = |rest: &[u8]| shell(&[&[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04], rest].concat());
        for (certificate, octets) in [
            (rsa(4), Some(32)),
            (rsa(5), Some(32)),
            (rsa(11), Some(32)),
            (rsa(12), Some(48)),
            (rsa(13), Some(64)),
            (rsa(10), None),
            (ecdsa(&[1]), Some(32)),
            (ecdsa(&[3, 2]), Some(32)),
            (ecdsa(&[3, 3]), Some(48)),
            (ecdsa(&[3, 4]), Some(64)),
            (shell(&[0x2b, 0x65, 0x70]), None),
            (vec![0x30, 0x85, 1, 1, 1, 1, 1], None),
            (vec![0x30, 0x84, 0xff, 0xff, 0xff, 0xff], None),
            (Vec::new(), None),
        ] {
            assert_eq!(end_point(&certificate).map(|it| it.len()), octets, "{certificate:x?}");
        }
    }
}
