use std::fs::{Metadata, OpenOptions};
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::OFlags;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ClientConfig, Resumption};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, RootCertStore, SignatureScheme};
use subtle::ConstantTimeEq;

use super::binding::fingerprint;
use super::config::VERSIONS;
use super::dane::Published;
use super::facts::{CertificateFault, Certified};
use super::identity::ClientIdentity;
use crate::base::limits;

/// The CAs that we trust when we dial, and what is made of them.
#[derive(Debug, Clone)]
pub struct Roots {
    verifier: Arc<WebPkiServerVerifier>,
    provider: Arc<CryptoProvider>,
}

/// Why a file of CAs can't be used.
#[derive(Debug, thiserror::Error)]
pub enum RootsError {
    /// It can't be read.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// It is a directory, a pipe or a device.
    #[error("it is no regular file")]
    NoFile,
    /// It is larger than [`limits::CA_FILE_BYTES`].
    #[error("it is larger than {} octets", limits::CA_FILE_BYTES)]
    TooLarge,
    /// It is not PEM, or holds no certificate.
    #[error("the file holds no certificates in PEM form")]
    Pem,
    /// A certificate in it can't be one of a CA.
    #[error("the file holds a certificate that can't be trusted as a CA: {0}")]
    Certificate(#[from] rustls::Error),
    /// rustls refuses the collection.
    #[error("the certificates can't be used: {0}")]
    Verifier(#[from] rustls::client::VerifierBuilderError),
}

/// How TLS is done as a client: what is asked of the server's certificate.
#[derive(Debug, Clone)]
pub struct ClientTls {
    template: ClientConfig,
    roots: Roots,
    demand: Demand,
}

/// What a server's certificate must be.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Demand {
    /// Anything: whether it is more is noted. Against somebody who only listens, that is as good (RFC 7435).
    Nothing,
    /// Vouched for by a CA, for the name that we dialled.
    Verified,
    /// The one whose DER form has this SHA-256.
    Pinned([u8; 32]),
    /// What the DNS publishes of it.
    Published(Arc<Published>),
}

impl Roots {
    /// The public CAs, as Mozilla lists them; the list is part of the program.
    ///
    /// # Errors
    /// [`RootsError::Verifier`].
    pub fn public() -> Result<Self, RootsError> {
        Self::of(RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() })
    }

    /// The public CAs and those of a file in PEM form: for a company's own CA, and for tests.
    ///
    /// # Errors
    /// [`RootsError`].
    pub fn public_and(pem: &[u8]) -> Result<Self, RootsError> {
        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        let public = roots.len();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            roots.add(certificate.map_err(|_| RootsError::Pem)?)?;
        }
        if roots.len() == public { Err(RootsError::Pem) } else { Self::of(roots) }
    }

    /// The public CAs and those of a file: a regular one of at most [`limits::CA_FILE_BYTES`]. It waits for the disk alone:
    /// a pipe or a device is not read.
    ///
    /// # Errors
    /// [`RootsError`].
    pub fn public_and_file(path: &Path) -> Result<Self, RootsError> {
        let is_file = |facts: &Metadata| if facts.is_file() { Ok(()) } else { Err(RootsError::NoFile) };
        // Opening alone may do things to a device, and a pipe may have come into the place of a file since.
        is_file(&std::fs::metadata(path)?)?;
        let nonblock = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
        let file = OpenOptions::new().read(true).custom_flags(nonblock).open(path)?;
        is_file(&file.metadata()?)?;
        let mut pem = Vec::new();
        file.take(limits::CA_FILE_BYTES + 1).read_to_end(&mut pem)?;
        if pem.len() as u64 > limits::CA_FILE_BYTES {
            return Err(RootsError::TooLarge);
        }
        Self::public_and(&pem)
    }

    fn of(roots: RootCertStore) -> Result<Self, RootsError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build()?;
        Ok(Self { verifier, provider })
    }

    /// Any certificate is accepted, and what is known of it is noted.
    ///
    /// # Errors
    /// rustls's.
    pub fn opportunistic(&self) -> Result<Arc<ClientTls>, rustls::Error> {
        self.client(Demand::Nothing)
    }

    /// A CA must vouch for the certificate and the name that is dialled.
    ///
    /// # Errors
    /// rustls's.
    pub fn verified(&self) -> Result<Arc<ClientTls>, rustls::Error> {
        self.client(Demand::Verified)
    }

    /// The certificate must be the one whose DER form has this SHA-256; nothing else of it matters, not even its dates.
    ///
    /// # Errors
    /// rustls's.
    pub fn pinned(&self, sha256: [u8; 32]) -> Result<Arc<ClientTls>, rustls::Error> {
        self.client(Demand::Pinned(sha256))
    }

    /// The certificate must be what the DNS publishes of it.
    ///
    /// # Errors
    /// rustls's.
    pub fn published(&self, published: Arc<Published>) -> Result<Arc<ClientTls>, rustls::Error> {
        self.client(Demand::Published(published))
    }

    fn client(&self, demand: Demand) -> Result<Arc<ClientTls>, rustls::Error> {
        let mut template = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(VERSIONS)?
            .with_webpki_verifier(Arc::clone(&self.verifier))
            .with_no_client_auth();
        // A resumed session shows no certificate, and what was noted of it belongs to another connection.
        template.resumption = Resumption::disabled();
        Ok(Arc::new(ClientTls { template, roots: self.clone(), demand }))
    }
}

/// One handshake as a client: its configuration, and what comes out about the certificate.
pub(crate) struct Handshake {
    pub(crate) config: Arc<ClientConfig>,
    judge: Arc<Judge>,
}

impl ClientTls {
    /// The name that the server is asked for, which is found under that name.
    // RFC 7672 §8.1: the TLSA base domain
    pub(crate) fn name<'a>(&'a self, found: &'a str) -> &'a str {
        match &self.demand {
            Demand::Published(published) => published.base.as_str(),
            Demand::Nothing | Demand::Verified | Demand::Pinned(_) => found,
        }
    }

    /// The same, and the server that asks for it is shown this certificate.
    pub fn showing(&self, identity: &ClientIdentity) -> Arc<Self> {
        let mut showing = self.clone();
        showing.template.client_auth_cert_resolver = identity.resolver();
        Arc::new(showing)
    }

    /// What one connection needs.
    pub(crate) fn handshake(&self) -> Handshake {
        let judge = Arc::new(Judge {
            roots: self.roots.clone(),
            demand: self.demand.clone(),
            certified: Mutex::new(Certified::NotAsked),
        });
        let mut config = self.template.clone();
        config.dangerous().set_certificate_verifier(Arc::<Judge>::clone(&judge));
        Handshake { config: Arc::new(config), judge }
    }
}

impl Handshake {
    /// What is known of the certificate, once the handshake is done.
    pub(crate) fn certified(&self) -> Certified {
        self.judge.certified.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Judges one server's certificate and remembers how. That the server holds the certificate's key is verified in every
/// case.
#[derive(Debug)]
struct Judge {
    roots: Roots,
    demand: Demand,
    certified: Mutex<Certified>,
}

impl ServerCertVerifier for Judge {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let certified = match &self.demand {
            Demand::Pinned(expected) => {
                if !bool::from(fingerprint(certificate).ct_eq(expected)) {
                    return Err(rustls::Error::General("the certificate is not the pinned one".into()));
                }
                Certified::Pinned
            }
            Demand::Published(published) => published.judge(certificate, intermediates, now, &self.roots.provider)?,
            demand => match self.roots.verifier.verify_server_cert(certificate, intermediates, name, ocsp, now) {
                Ok(_) => Certified::Verified,
                Err(error) if *demand == Demand::Verified => return Err(error),
                // In our words: what the certificate says of itself, anybody may have written.
                Err(error) => {
                    Certified::Unverified(CertificateFault::of(&error).unwrap_or(CertificateFault::NotTrusted))
                }
            },
        };
        *self.certified.lock().unwrap_or_else(PoisonError::into_inner) = certified;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.roots.verifier.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.roots.verifier.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.roots.verifier.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_cas_is_a_regular_file_of_a_sane_size() {
        let folder = tempfile::tempdir().unwrap();
        let check = |path: &Path, expected: &str| {
            let error = Roots::public_and_file(path).unwrap_err().to_string();
            assert!(error.contains(expected), "{}: {error}", path.display());
        };
        let path = |name: &str| folder.path().join(name);
        // Nobody writes to it: who opened it for reading would wait for ever.
        rustix::fs::mknodat(rustix::fs::CWD, path("pipe"), rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0)
            .unwrap();
        std::os::unix::fs::symlink(path("pipe"), path("link")).unwrap();
        std::fs::write(path("large"), vec![b'x'; 1024 * 1024 + 1]).unwrap();
        std::fs::write(path("no.pem"), "x").unwrap();
        for (name, expected) in
            [("pipe", "no regular file"), ("link", "no regular file"), ("large", "larger"), ("no.pem", "PEM")]
        {
            check(&path(name), expected);
        }
        check(folder.path(), "no regular file");
        check(Path::new("/dev/zero"), "no regular file");
        check(&path("none"), "No such file");
    }

    #[test]
    fn a_file_of_cas_has_to_be_one() {
        let check = |pem: &str, expected: &str| {
            let error = Roots::public_and(pem.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(expected), "{pem}: {error}");
        };
        for pem in
            ["", "x", "-----BEGIN CERTIFICATE-----", "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n"]
        {
            check(pem, "no certificates in PEM form");
        }
        check("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "can't be trusted as a CA");
        assert!(Roots::public().is_ok());
    }
}
