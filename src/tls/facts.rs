use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::{ClientConnection, CommonState, ServerConnection, SupportedCipherSuite};

use super::binding;
use crate::sasl::Channel;

/// What a handshake agreed on, for the Received field, the trace and the policies that ask for TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// As in `TLSv1.3`.
    pub version: &'static str,
    /// The cipher suite by its IANA name, as in `TLS_AES_256_GCM_SHA384`.
    pub cipher: String,
    /// The name that the client asked for (RFC 6066 §3), lower case. Where we serve, the client may send anything here.
    pub sni: Option<String>,
    /// The protocol that was agreed on by ALPN (RFC 7301), when the client offered any.
    pub alpn: Option<String>,
    /// What is known of the other side's certificate.
    pub certified: Certified,
    /// What a login over this connection may be bound to.
    pub channel: Arc<Channel>,
}

/// What is wrong with a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CertificateFault {
    /// No CA that we trust vouches for it.
    #[error("unknown issuer")]
    UnknownIssuer,
    /// It is not of the name that we dialled.
    #[error("another name")]
    OtherName,
    /// It is over.
    #[error("expired")]
    Expired,
    /// It has not begun.
    #[error("not valid yet")]
    NotValidYet,
    /// It can't be read.
    #[error("malformed")]
    Malformed,
    /// Something else.
    #[error("not trusted")]
    NotTrusted,
}

impl CertificateFault {
    /// What is wrong with the certificate by that error; `None`: it is not about one.
    pub fn of(error: &rustls::Error) -> Option<Self> {
        use rustls::CertificateError::{
            BadEncoding, Expired, ExpiredContext, NotValidForName, NotValidForNameContext, NotValidYet,
            NotValidYetContext, UnknownIssuer,
        };
        let rustls::Error::InvalidCertificate(why) = error else { return None };
        Some(match why {
            UnknownIssuer => Self::UnknownIssuer,
            NotValidForName | NotValidForNameContext { .. } => Self::OtherName,
            Expired | ExpiredContext { .. } => Self::Expired,
            NotValidYet | NotValidYetContext { .. } => Self::NotValidYet,
            BadEncoding => Self::Malformed,
            _ => Self::NotTrusted,
        })
    }
}

/// What is known of the other side's certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Certified {
    /// None was asked for: we serve.
    NotAsked,
    /// A CA that we trust vouches for it and for the name that we dialled.
    Verified,
    /// It is the one that we were told to expect.
    Pinned,
    /// The DNS publishes it: DANE-EE(3).
    DaneEe,
    /// A CA vouches for it and its name that the DNS publishes: DANE-TA(2).
    DaneTa,
    /// It was accepted all the same, and this is what is wrong with it.
    Unverified(CertificateFault),
}

impl Facts {
    /// Reads them off a connection whose handshake is done, where we serve with that certificate.
    pub fn of(session: &ServerConnection, certificate: Option<&CertificateDer<'_>>) -> Self {
        let sni = session.server_name().map(str::to_ascii_lowercase);
        let channel = Arc::new(binding::of_server(session, certificate));
        Self { channel, ..Self::read(session, session.negotiated_cipher_suite(), sni, Certified::NotAsked) }
    }

    /// The same, where we dialled `name`.
    pub fn of_client(session: &ClientConnection, name: &str, certified: Certified) -> Self {
        let channel = Arc::new(binding::of_client(session));
        let sni = Some(name.to_ascii_lowercase());
        Self { channel, ..Self::read(session, session.negotiated_cipher_suite(), sni, certified) }
    }

    fn read(
        session: &CommonState,
        suite: Option<SupportedCipherSuite>,
        sni: Option<String>,
        certified: Certified,
    ) -> Self {
        let version = match session.protocol_version() {
            Some(rustls::ProtocolVersion::TLSv1_3) => "TLSv1.3",
            Some(rustls::ProtocolVersion::TLSv1_2) => "TLSv1.2",
            _ => "TLS",
        };
        let cipher = suite
            .and_then(|suite| suite.suite().as_str())
            // rustls marks the suites of 1.3 with a prefix of its own.
            .map(|name| name.replacen("TLS13_", "TLS_", 1))
            .unwrap_or_default();
        let alpn = session.alpn_protocol().map(|name| String::from_utf8_lossy(name).into_owned());
        Self { version, cipher, sni, alpn, certified, channel: Arc::default() }
    }

    /// For the record of an attempt, as in `TLSv1.3 TLS_AES_256_GCM_SHA384 unverified (UnknownIssuer)`.
    pub fn summary(&self) -> String {
        let Self { version, cipher, .. } = self;
        match &self.certified {
            Certified::NotAsked => format!("{version} {cipher}"),
            Certified::Verified => format!("{version} {cipher} verified"),
            Certified::Pinned => format!("{version} {cipher} pinned"),
            Certified::DaneEe => format!("{version} {cipher} DANE-EE"),
            Certified::DaneTa => format!("{version} {cipher} DANE-TA"),
            Certified::Unverified(why) => format!("{version} {cipher} unverified ({why})"),
        }
    }
}
