use std::fs::DirBuilder;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::{Server, ServerHandle};
use actix_web::{HttpServer, web};

use super::api::setup;
use super::app::app;
use super::context::Context;
use super::live;
use super::via::Door;
use crate::base::limits;
use crate::net;

/// Octets of a socket's path that every system takes.
const SOCKET_PATH_BYTES: usize = 100;
/// Requests are short; two threads keep a slow one from holding up the others.
const WORKERS: usize = 2;
/// Seconds that requests which run at the stop get to finish.
const STOP_S: u64 = 5;

/// Where others reach it: bound, and perhaps not served yet. What is `None` is off.
#[derive(Default)]
pub struct Sockets {
    /// The plain listener.
    pub http: Option<TcpListener>,
    /// The TLS listener.
    pub https: Option<TcpListener>,
    /// The unix socket: who may open it (mode 0600) is an administrator.
    pub(super) socket: Option<(UnixListener, Arc<SocketFile>)>,
}

/// The unix socket's name, which goes when nobody listens any more.
pub(super) struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // It is of no use without a listener, and nothing can be done if it stays.
        let _ = std::fs::remove_file(&self.0);
    }
}

impl Sockets {
    /// Binds the listeners.
    ///
    /// # Errors
    /// [`StartError::Bind`]; nothing is left bound then.
    pub fn bind(http: Option<SocketAddr>, https: Option<SocketAddr>) -> Result<Self, StartError> {
        let http = http.map(|address| bind("http", address)).transpose()?;
        let https = https.map(|address| bind("https", address)).transpose()?;
        Ok(Self { http, https, socket: None })
    }

    /// Binds the unix socket, unless it is bound already. To be done by who has the file: nobody else may take its
    /// place.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn bind_socket(&mut self, path: &Path) -> Result<(), StartError> {
        if self.socket.is_none() {
            self.socket = Some((bind_socket(path)?, Arc::new(SocketFile(path.to_owned()))));
        }
        Ok(())
    }

    /// The same sockets once more. The unix socket keeps its name until both have gone.
    ///
    /// # Errors
    /// The operating system's.
    pub fn duplicate(&self) -> io::Result<Self> {
        let again = |listener: &Option<TcpListener>| listener.as_ref().map(TcpListener::try_clone).transpose();
        let (http, https) = (again(&self.http)?, again(&self.https)?);
        let socket = match &self.socket {
            Some((socket, file)) => Some((socket.try_clone()?, Arc::clone(file))),
            None => None,
        };
        Ok(Self { http, https, socket })
    }
}

/// A listener could not be bound. Each is one clear line that says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address is taken or not ours to take.
    #[error(
        "{name} can't listen on {address}: {error}; choose another with --listen {name}=ADDRESS:PORT, or close it with --listen {name}=off"
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
    #[error("the socket {path} can't be made: {error}; check that this user may write to its folder")]
    Socket {
        /// Its path.
        path: PathBuf,
        /// What the operating system says.
        error: io::Error,
    },
    /// Another server answers on the unix socket.
    #[error("another server answers on the socket {path}: stop it first")]
    SocketTaken {
        /// Its path.
        path: PathBuf,
    },
    /// No threads, or no room for them.
    #[error("the HTTP threads can't be started: {0}")]
    Threads(io::Error),
}

/// The running listeners.
pub struct Handle {
    /// Where `http` listens.
    pub http: Option<SocketAddr>,
    /// Where `https` listens.
    pub https: Option<SocketAddr>,
    /// The unix socket.
    pub socket: Option<PathBuf>,
    /// Held for its end alone: with it the unix socket's name goes.
    _socket_file: Option<Arc<SocketFile>>,
    servers: Vec<ServerHandle>,
    context: Arc<Context>,
}

impl Handle {
    /// Where nobody administers the server yet: a new link by which somebody can begin to, in a box for the terminal.
    /// To be asked when the listeners are known.
    pub async fn invitation(&self) -> Option<String> {
        match setup::invitation(&self.context).await {
            Ok(link) => link.map(|(url, ends_at)| invitation(&url, &ends_at.rfc3339())),
            Err(problem) => {
                tracing::error!(event = "no_setup_link", %problem, "there is no link to set the server up with");
                None
            }
        }
    }

    /// Takes no more requests, lets those that run finish (5 s at most), and removes the unix socket.
    pub async fn stop(self) {
        let stopping: Vec<_> = self.servers.iter().map(|server| server.stop(true)).collect();
        for stopped in stopping {
            stopped.await;
        }
    }
}

/// Serves on threads of its own, from inside of a tokio runtime. `tls` is what the TLS listener shows, which is closed
/// without it; ALPN is set here.
///
/// # Errors
/// [`StartError::Threads`].
pub fn start(
    context: Arc<Context>,
    sockets: Sockets,
    tls: Option<&rustls::ServerConfig>,
) -> Result<Handle, StartError> {
    let Sockets { http, https, socket } = sockets;
    let (socket, socket_file) = socket.unzip();
    let address = |listener: &Option<TcpListener>| listener.as_ref().and_then(|listener| listener.local_addr().ok());
    let mut handle = Handle {
        http: address(&http),
        https: address(&https),
        socket: socket_file.as_ref().map(|file| file.0.clone()),
        _socket_file: socket_file,
        servers: Vec::new(),
        context: Arc::clone(&context),
    };
    tokio::spawn(live::watch(Arc::clone(&context)));
    let (context, door) = (web::Data::from(context.clone()), Door::new(&context.settings));
    let server = |workers: usize| {
        let (context, door) = (context.clone(), door.clone());
        HttpServer::new(move || app(context.clone()))
            .workers(workers)
            .max_connections(limits::HTTP_CONNECTIONS / workers)
            .client_request_timeout(Duration::from_secs(limits::HTTP_HEADER_S))
            .keep_alive(Duration::from_secs(limits::HTTP_IDLE_S))
            .shutdown_timeout(STOP_S)
            .disable_signals()
            .on_connect(move |stream, extensions| door.note(stream, extensions))
    };
    if http.is_some() || https.is_some() {
        let mut server = server(WORKERS);
        if let Some(listener) = http {
            server = server.listen(listener).map_err(StartError::Threads)?;
        }
        if let Some((listener, tls)) = https.zip(tls) {
            server = server.listen_rustls_0_23(listener, tls.clone()).map_err(StartError::Threads)?;
        }
        handle.servers.push(run(server.run()));
    }
    // Apart from the others: strangers who take all their connections must not keep the owner out.
    if let Some(listener) = socket {
        let server = server(1).listen_uds(listener).map_err(StartError::Threads)?;
        handle.servers.push(run(server.run()));
    }
    Ok(handle)
}

fn invitation(url: &str, ends_at: &str) -> String {
    let lines = [
        "Nobody administers this server yet. Open this to set it up:",
        "",
        url,
        "",
        &format!("Good once, until {ends_at}. Another one: pillarbox admin link"),
    ];
    let width = lines.iter().map(|line| line.chars().count()).max().unwrap_or_default();
    let edge = "─".repeat(width + 2);
    let inside: String = lines.iter().map(|line| format!("│ {line:width$} │\n")).collect();
    format!("\n┌{edge}┐\n{inside}└{edge}┘\n")
}

pub(super) fn run(server: Server) -> ServerHandle {
    let handle = server.handle();
    tokio::spawn(async move {
        if let Err(error) = server.await {
            tracing::error!(event = "http_stopped", %error, "the HTTP listeners have stopped");
        }
    });
    handle
}

fn bind(name: &'static str, address: SocketAddr) -> Result<TcpListener, StartError> {
    net::bind_with(address, TcpListener::bind).map_err(|error| StartError::Bind { name, address, error })
}

fn bind_socket(path: &Path) -> Result<UnixListener, StartError> {
    let failed = |error| StartError::Socket { path: path.to_owned(), error };
    if UnixStream::connect(path).is_ok() {
        return Err(StartError::SocketTaken { path: path.to_owned() });
    }
    // Nobody answers: what a server that was killed has left behind.
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
    }
    // Bound under another name and moved when its mode is right, so that nobody else can ever open it.
    let hidden = path.with_extension("new");
    let _ = std::fs::remove_file(&hidden);
    let listener = UnixListener::bind(&hidden).map_err(failed)?;
    std::fs::set_permissions(&hidden, PermissionsExt::from_mode(0o600)).map_err(failed)?;
    std::fs::rename(&hidden, path).map_err(failed)?;
    Ok(listener)
}

/// The unix socket that belongs to a data file: `pillarbox.sock` beside `pillarbox.redb`; when that path is longer than
/// what every system takes, one in the user's runtime directory, named after the file.
pub fn socket_path(data: &Path) -> PathBuf {
    let whole = std::path::absolute(data).unwrap_or_else(|_| data.to_owned());
    let beside = whole.with_extension("sock");
    if beside.as_os_str().len() <= SOCKET_PATH_BYTES {
        return beside;
    }
    let name = format!("pillarbox-{}.sock", &blake3::hash(whole.as_os_str().as_encoded_bytes()).to_hex()[..16]);
    match std::env::var_os("XDG_RUNTIME_DIR") {
        Some(folder) => PathBuf::from(folder).join(name),
        None => std::env::temp_dir().join(format!("pillarbox-{}", rustix::process::getuid().as_raw())).join(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_lies_beside_its_file_where_it_can() {
        assert_eq!(socket_path(Path::new("/data/pillarbox.redb")), Path::new("/data/pillarbox.sock"));
        assert!(socket_path(Path::new("x.redb")).is_absolute());
        let deep = format!("/{}/x.redb", "d".repeat(100));
        let other = format!("/{}/y.redb", "d".repeat(100));
        let (deep, other) = (socket_path(Path::new(&deep)), socket_path(Path::new(&other)));
        assert!(deep != other && deep.as_os_str().len() <= SOCKET_PATH_BYTES, "{deep:?}");
    }

    #[test]
    fn a_socket_is_for_its_owner_alone_and_replaces_a_dead_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.sock");
        drop(bind_socket(&path).unwrap());
        let alive = bind_socket(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(matches!(bind_socket(&path), Err(StartError::SocketTaken { .. })));
        drop(alive);
    }
}
