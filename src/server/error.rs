use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::KeyFileError;
use crate::net::Listener;
use crate::settings::SettingError;
use crate::store::{OpenError, StoreError, WriteError};
use crate::tls::TlsError;
use crate::{directory, http};

/// Why the server could not start. Each is one clear line that says what to do.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The file.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A setting has no such key or no such value.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// The file could not be read or written while starting.
    #[error("the file can't be used: {0}")]
    Store(String),
    /// What is needed to start can't be read, as the file is damaged.
    #[error("the file is damaged: {0}; see `pillarbox check`, or restore a backup")]
    Damaged(String),
    /// The certificate.
    #[error(transparent)]
    Tls(TlsError),
    /// A mail listener could not be bound.
    #[error("{listener} can't listen on {address}: {}", explain(.listener, .error))]
    Bind {
        /// Which one.
        listener: Listener,
        /// Where it should have listened.
        address: SocketAddr,
        /// What the operating system says.
        error: io::Error,
    },
    /// An HTTP listener or the unix socket.
    #[error(transparent)]
    Http(#[from] http::StartError),
    /// The name that the server should give itself is not a host name.
    #[error("{0:?} is not a host name: give one with --hostname, as in mail.example.org")]
    Hostname(String),
    /// `delivery.capture_to`
    #[error("setting delivery.capture_to: {0:?} is not an address, as in captured@example.org")]
    CaptureTo(String),
    /// There can be no resolver.
    #[error("the DNS can't be asked: {0}; name the name servers with --resolver")]
    Resolver(String),
    /// `--trust-anchor`
    #[error("--trust-anchor {path}: {what}")]
    TrustAnchor {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// `delivery.ca_file`
    #[error("setting delivery.ca_file: {path}: {what}")]
    CaFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// `--key-file`
    #[error("--key-file {path}: {error}")]
    KeyFile {
        /// The file.
        path: PathBuf,
        /// Why it is not used.
        error: KeyFileError,
    },
    /// `--http-token-file`
    #[error("{path}: {what}")]
    TokenFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// `--state`
    #[error("the state can't be applied: {0}")]
    State(#[from] http::StateFileError),
    /// `--ready-file`
    #[error("the ready file {path} can't be written: {error}")]
    ReadyFile {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        error: io::Error,
    },
    /// The domain or an account that the preset names can't be made.
    #[error("the preset can't be made: {0}")]
    Preset(directory::Refused),
    /// The operating system gives no threads or no signals.
    #[error("the runtime can't start: {0}")]
    Runtime(io::Error),
}

impl ServerError {
    /// The exit code: 65 for damaged data, 74 for a storage error, 4 for a file or port that is taken, 6 for what may
    /// not be opened, 2 for what the command line asks for, 1 for the rest.
    pub fn exit_code(&self) -> u8 {
        let io_code = |error: &io::Error| match error.kind() {
            io::ErrorKind::AddrInUse => 4,
            io::ErrorKind::PermissionDenied => 6,
            _ => 1,
        };
        match self {
            Self::Open(OpenError::Locked(_)) => 4,
            Self::Open(OpenError::Damaged { .. }) | Self::Damaged(_) => 65,
            Self::Open(OpenError::Newer { .. } | OpenError::Older { .. }) => 1,
            Self::Open(OpenError::Sealed { .. } | OpenError::OtherKey { .. }) => 6,
            Self::Open(OpenError::Io { error, .. }) if error.kind() == io::ErrorKind::PermissionDenied => 6,
            Self::Open(OpenError::Io { .. } | OpenError::NoRoom { .. } | OpenError::NotUpgraded { .. })
            | Self::Store(_) => 74,
            Self::State(error) if error.is_damage() => 65,
            Self::State(error) if error.is_ours() => 74,
            Self::Bind { error, .. } => io_code(error),
            Self::Http(http::StartError::Bind { error, .. } | http::StartError::Socket { error, .. }) => io_code(error),
            Self::Http(http::StartError::SocketTaken { .. }) => 4,
            Self::Setting(_)
            | Self::Hostname(_)
            | Self::CaptureTo(_)
            | Self::TrustAnchor { .. }
            | Self::CaFile { .. }
            | Self::State(_)
            | Self::KeyFile { .. }
            | Self::TokenFile { .. } => 2,
            Self::Http(http::StartError::Threads(_))
            | Self::Tls(_)
            | Self::ReadyFile { .. }
            | Self::Preset(_)
            | Self::Resolver(_)
            | Self::Runtime(_) => 1,
        }
    }
}

impl From<StoreError> for ServerError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Damaged { .. } => Self::Damaged(error.to_string()),
            error => Self::Store(error.to_string()),
        }
    }
}

impl<R> From<WriteError<R>> for ServerError {
    fn from(error: WriteError<R>) -> Self {
        match error {
            WriteError::Damaged(what) => Self::Damaged(what),
            error => Self::Store(error.to_string()),
        }
    }
}

impl From<TlsError> for ServerError {
    fn from(error: TlsError) -> Self {
        match error {
            TlsError::Store(error) => error.into(),
            TlsError::Write(error) => error.into(),
            error => Self::Tls(error),
        }
    }
}

fn explain(listener: &Listener, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => format!(
            "another program uses it; stop that one, or choose with --listen {listener}=ADDRESS:PORT or --listen {listener}=off"
        ),
        io::ErrorKind::PermissionDenied => {
            "ports below 1024 need root or CAP_NET_BIND_SERVICE; or add to every port with --port-offset 3000"
                .to_owned()
        }
        _ => error.to_string(),
    }
}
