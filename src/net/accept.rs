use std::fs::File;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_util::sync::CancellationToken;

use super::connection::Connection;
use super::listener::Listener;
use super::permits::{Crowded, Permits};
use super::sessions::Sessions;
use crate::base::limits;

/// Connections that the operating system holds for us until they are accepted.
const BACKLOG: u32 = 1024;
/// Pause after an error of accept that is not about one connection.
const PAUSE: Duration = Duration::from_millis(50);

/// One listener's way in.
pub struct Door {
    /// Which listener it is.
    pub listener: Listener,
    /// The bound socket.
    pub socket: TcpListener,
    /// Where connections are counted.
    pub permits: Permits,
    /// For listeners with TLS from the first byte: the handshake is done before the session begins.
    pub implicit_tls: Option<Arc<ServerConfig>>,
    /// What a client is told that gets no permit, in its own protocol. With implicit TLS it is told nothing.
    pub refusal: fn(Crowded) -> &'static [u8],
}

/// Binds a listener. Port 0 picks a free one.
///
/// # Errors
/// The operating system's: port taken, no permission.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Accepts connections until `stop`, and runs `serve` for each in a session of its own. Nothing that a client does
/// holds up the loop, and running out of file descriptors does not end it.
pub async fn accept<F, S>(door: Door, sessions: Sessions, stop: CancellationToken, serve: F)
where
    F: Fn(Connection) -> S + Clone + Send + 'static,
    S: Future<Output = ()> + Send + 'static,
{
    // Given up when no descriptor is left, so that the client in front of the queue can be accepted and turned away:
    // otherwise it would stay there and accept would fail again at once, for ever.
    let mut reserve = File::open("/dev/null").ok();
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            accepted = door.socket.accept() => accepted,
        };
        match accepted {
            Ok((socket, _)) if reserve.is_none() => {
                refuse(socket, &door, Crowded::Total);
                reserve = File::open("/dev/null").ok();
            }
            Ok((socket, peer)) => match door.permits.acquire(peer.ip()) {
                Ok(permit) => {
                    // The client may be gone by now: nothing to do then.
                    if let Ok(connection) = Connection::tcp(socket, Some(permit)) {
                        begin(connection, &door, &sessions, &stop, &serve);
                    }
                }
                Err(crowded) => refuse(socket, &door, crowded),
            },
            Err(error) if is_out_of_descriptors(&error) => {
                tracing::warn!(listener = %door.listener, %error, "no file descriptor for a new connection");
                if reserve.take().is_none() {
                    tokio::time::sleep(PAUSE).await;
                    reserve = File::open("/dev/null").ok();
                }
            }
            // The client has gone between its SYN and our accept.
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                tracing::error!(listener = %door.listener, %error, "accept failed");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

fn begin<F, S>(mut connection: Connection, door: &Door, sessions: &Sessions, stop: &CancellationToken, serve: &F)
where
    F: Fn(Connection) -> S + Clone + Send + 'static,
    S: Future<Output = ()> + Send + 'static,
{
    let Some(tls) = door.implicit_tls.clone() else {
        return sessions.spawn(serve(connection));
    };
    let (serve, stop, listener) = (serve.clone(), stop.clone(), door.listener);
    sessions.spawn(async move {
        let handshake = connection.start_tls(tls, Duration::from_secs(limits::TLS_HANDSHAKE_S));
        // A stop does not wait for clients who have not said who they are.
        let Some(done) = stop.run_until_cancelled(handshake).await else { return };
        match done {
            Ok(()) => serve(connection).await,
            Err(error) => tracing::info!(%listener, peer = %connection.peer(), %error, "no session"),
        }
    });
}

/// Tells a client why it is turned away and closes. The send buffer of a new socket is empty, so the few bytes fit and
/// nothing waits.
fn refuse(socket: TcpStream, door: &Door, crowded: Crowded) {
    tracing::info!(listener = %door.listener, ?crowded, "connection refused");
    if door.implicit_tls.is_some() {
        return;
    }
    if let Ok(mut socket) = socket.into_std() {
        let _ = socket.write_all((door.refusal)(crowded));
    }
}

fn is_out_of_descriptors(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let errno = error.raw_os_error();
    [Errno::MFILE, Errno::NFILE].into_iter().any(|full| errno == Some(full.raw_os_error()))
}

fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset)
}
