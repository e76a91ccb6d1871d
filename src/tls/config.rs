use std::sync::Arc;

use rustls::ServerConfig;
use rustls::server::{ResolvesServerCert, ServerSessionMemoryCache};

use super::TlsError;

/// Sessions of TLS 1.2 that one listener remembers by id.
const SESSIONS_REMEMBERED: usize = 1024;

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
}

/// A configuration of its own, with session tickets that no other listener accepts.
pub(super) fn server_config(
    protocol: Protocol,
    certificates: Arc<dyn ResolvesServerCert>,
) -> Result<Arc<ServerConfig>, TlsError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
        .with_no_client_auth()
        .with_cert_resolver(certificates);
    config.alpn_protocols = protocol.alpn().iter().map(|name| name.as_bytes().to_vec()).collect();
    config.ticketer = rustls::crypto::ring::Ticketer::new()?;
    config.session_storage = ServerSessionMemoryCache::new(SESSIONS_REMEMBERED);
    Ok(Arc::new(config))
}
