use std::sync::Arc;

use rustls::server::{NoServerSessionStorage, ResolvesServerCert, ServerSessionMemoryCache};
use rustls::{ServerConfig, SupportedProtocolVersion};

use super::TlsError;
use super::asking::AnyClient;

/// Sessions of TLS 1.2 that one listener remembers by id.
const SESSIONS_REMEMBERED: usize = 1024;

/// RFC 8996: nothing below TLS 1.2.
pub(super) const VERSIONS: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13, &rustls::version::TLS12];

/// What is spoken inside TLS; it decides which ALPN names are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// SMTP and submission. No name is registered; Exim and its clients use `smtp` and `esmtp`.
    Smtp,
    /// POP3.
    Pop3,
    /// IMAP.
    Imap,
    /// HTTP/1.1.
    Http,
}

impl Protocol {
    /// A client that offers ALPN but none of these is refused with `no_application_protocol`: a browser that was
    /// lured to a mail port (ALPACA) says `http/1.1` or `h2`.
    // RFC 7301 §3.2
    fn alpn(self) -> &'static [&'static str] {
        match self {
            Self::Smtp => &["smtp", "esmtp"],
            Self::Pop3 => &["pop3"],
            Self::Imap => &["imap"],
            Self::Http => &["http/1.1"],
        }
    }

    fn alpn_names(self) -> Vec<Vec<u8>> {
        self.alpn().iter().map(|name| name.as_bytes().to_vec()).collect()
    }
}

/// A configuration of its own, with session tickets that no other listener accepts.
pub(super) fn server_config(
    protocol: Protocol,
    certificates: Arc<dyn ResolvesServerCert>,
) -> Result<Arc<ServerConfig>, TlsError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(VERSIONS)?
        .with_no_client_auth()
        .with_cert_resolver(certificates);
    config.alpn_protocols = protocol.alpn_names();
    config.ticketer = rustls::crypto::ring::Ticketer::new()?;
    config.session_storage = ServerSessionMemoryCache::new(SESSIONS_REMEMBERED);
    Ok(Arc::new(config))
}

/// The same where the client is asked for a certificate: it shows one or none. No session is resumed: in each the client
/// proves anew that it holds the key.
pub(super) fn asking_config(
    protocol: Protocol,
    certificates: Arc<dyn ResolvesServerCert>,
) -> Result<Arc<ServerConfig>, TlsError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let clients = Arc::new(AnyClient::new(&provider));
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(VERSIONS)?
        .with_client_cert_verifier(clients)
        .with_cert_resolver(certificates);
    config.alpn_protocols = protocol.alpn_names();
    // By itself rustls remembers sessions, with the certificate that was shown, and sends tickets for them.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}
