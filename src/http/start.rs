use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::context::Context;

/// Where to listen. What is `None` is off.
#[derive(Default)]
pub struct Listen {
    /// The plain listener.
    pub http: Option<SocketAddr>,
    /// The TLS listener and what it shows; ALPN is set here.
    pub https: Option<(SocketAddr, Arc<rustls::ServerConfig>)>,
    /// The unix socket: who may open it (mode 0600) is an administrator.
    pub socket: Option<PathBuf>,
}

/// A listener could not be bound. Each is one clear line that says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address is taken or not ours to take.
    #[error(
        "{name} can't listen on {address}: {error}; choose another with --listen {name}=ADDRESS:PORT, or --listen {name}=off"
    )]
    Bind {
        /// The listener's name.
        name: &'static str,
        /// Where it should have listened.
        address: SocketAddr,
        /// What the operating system says.
        error: io::Error,
    },
    /// The unix socket.
    #[error("can't make the socket {path}: {error}")]
    Socket {
        /// Its path.
        path: PathBuf,
        /// What the operating system says.
        error: io::Error,
    },
}

/// The running listeners.
pub struct Handle {
    /// Where `http` listens.
    pub http: Option<SocketAddr>,
    /// Where `https` listens.
    pub https: Option<SocketAddr>,
    /// The unix socket.
    pub socket: Option<PathBuf>,
}

impl Handle {
    /// Finishes the requests that run (30 s at most), closes the listeners and removes the socket.
    pub async fn stop(self) {
        todo!()
    }
}

/// Binds and serves on threads of its own, from inside of a tokio runtime.
///
/// # Errors
/// [`StartError`]; nothing is left bound then.
pub fn start(context: Arc<Context>, listen: Listen) -> Result<Handle, StartError> {
    let _ = (context, listen);
    todo!()
}

/// The unix socket that belongs to a data file: `pillarbox.sock` beside `pillarbox.redb`; when that path is longer than
/// what every system takes, one in the user's runtime directory.
pub fn socket_path(data: &Path) -> PathBuf {
    data.with_extension("sock")
}
