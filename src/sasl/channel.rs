/// What the TLS of a connection says for a login inside it. In the clear: nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Channel {
    /// The channel binding `tls-exporter` (RFC 9266): TLS 1.3 alone.
    pub exporter: Option<[u8; 32]>,
    /// The channel binding `tls-server-end-point` (RFC 5929 §4.1): a hash of the server's certificate. `None` too where
    /// the certificate is signed in a way for which none is defined.
    pub server_end_point: Option<Vec<u8>>,
    /// The SHA-256 of the certificate that the client has shown and proved to have the key of, where we serve. It says
    /// nothing more of the client: nobody has vouched for it.
    pub client_certificate: Option<[u8; 32]>,
}

/// A channel binding, by its registered name (RFC 5056 §7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BindingKind {
    /// RFC 9266
    Exporter,
    /// RFC 5929 §4
    ServerEndPoint,
}

impl BindingKind {
    pub(super) fn parse(name: &str) -> Option<Self> {
        [Self::Exporter, Self::ServerEndPoint].into_iter().find(|kind| kind.name() == name)
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Exporter => "tls-exporter",
            Self::ServerEndPoint => "tls-server-end-point",
        }
    }
}

impl Channel {
    /// Whether a login can be bound to the connection.
    pub fn can_be_bound(&self) -> bool {
        self.best().is_some()
    }

    /// What of the connection stands for it under that kind of binding.
    pub(super) fn data(&self, kind: BindingKind) -> Option<&[u8]> {
        match kind {
            BindingKind::Exporter => self.exporter.as_ref().map(<[u8; 32]>::as_slice),
            BindingKind::ServerEndPoint => self.server_end_point.as_deref(),
        }
    }

    /// The binding that a client asks for: the exporter knows this one connection, the end point only the certificate.
    pub(super) fn best(&self) -> Option<(BindingKind, &[u8])> {
        let kinds = [BindingKind::Exporter, BindingKind::ServerEndPoint];
        kinds.into_iter().find_map(|kind| Some((kind, self.data(kind)?)))
    }
}
