use rustls::ServerConnection;

/// What a handshake agreed on, for the Received field, the trace and the policies that ask for TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// As in `TLSv1.3`.
    pub version: &'static str,
    /// The cipher suite by its IANA name, as in `TLS_AES_256_GCM_SHA384`.
    pub cipher: String,
    /// The name that the client asked for (RFC 6066 §3), lower case. The client may send anything here.
    pub sni: Option<String>,
    /// The protocol that was agreed on by ALPN (RFC 7301), when the client offered any.
    pub alpn: Option<String>,
}

impl Facts {
    /// Reads them off a connection whose handshake is done.
    pub fn of(session: &ServerConnection) -> Self {
        let version = match session.protocol_version() {
            Some(rustls::ProtocolVersion::TLSv1_3) => "TLSv1.3",
            Some(rustls::ProtocolVersion::TLSv1_2) => "TLSv1.2",
            _ => "TLS",
        };
        let cipher = session
            .negotiated_cipher_suite()
            .and_then(|suite| suite.suite().as_str())
            // rustls marks the suites of 1.3 with a prefix of its own.
            .map(|name| name.replacen("TLS13_", "TLS_", 1))
            .unwrap_or_default();
        let alpn = session.alpn_protocol().map(|name| String::from_utf8_lossy(name).into_owned());
        Self { version, cipher, sni: session.server_name().map(str::to_ascii_lowercase), alpn }
    }
}
