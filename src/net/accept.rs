use std::fs::File;
use std::io::{self, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rustix::io::Errno;
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
    bind_with(address, bind_exactly)
}

/// Binds by `bind`: all of IPv6 takes IPv4 along, and is all of IPv4 where the machine has no IPv6.
///
/// # Errors
/// The operating system's.
pub fn bind_with<T>(address: SocketAddr, bind: impl Fn(SocketAddr) -> io::Result<T>) -> io::Result<T> {
    match bind(address) {
        Err(error) if address.ip() == Ipv6Addr::UNSPECIFIED && is_no_ipv6(&error) => {
            bind(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), address.port()))
        }
        bound => bound,
    }
}

fn is_no_ipv6(error: &io::Error) -> bool {
    [Errno::AFNOSUPPORT, Errno::ADDRNOTAVAIL].iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

fn bind_exactly(address: SocketAddr) -> io::Result<TcpListener> {
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
    // One line in the log for each time that it happens, however many clients it hits.
    let mut is_short = false;
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
                    is_short = false;
                    // The client may be gone by now: nothing to do then.
                    if let Ok(connection) = Connection::tcp(socket, Some(permit)) {
                        begin(connection, &door, &sessions, &stop, &serve);
                    }
                }
                Err(crowded) => refuse(socket, &door, crowded),
            },
            Err(error) if is_out_of_descriptors(&error) => {
                if !std::mem::replace(&mut is_short, true) {
                    tracing::warn!(listener = %door.listener, %error, "no file descriptor for a new connection");
                }
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

/// Tells whoever comes the same and closes, until `until`; gives the socket back then, never closed in between. A client
/// that is told nothing is closed at once.
pub async fn turn_away(
    socket: TcpListener,
    until: CancellationToken,
    words: impl Fn() -> Vec<u8> + Send,
) -> TcpListener {
    loop {
        let accepted = tokio::select! {
            biased;
            () = until.cancelled() => return socket,
            accepted = socket.accept() => accepted,
        };
        match accepted {
            Ok((client, _)) => write_once(client, &words()),
            Err(error) if is_of_one_connection(&error) => {}
            Err(_) => tokio::time::sleep(PAUSE).await,
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
            Err(error) => tracing::debug!(%listener, peer = %connection.peer(), %error, "no session"),
        }
    });
}

/// Tells a client why it is turned away and closes.
fn refuse(socket: TcpStream, door: &Door, crowded: Crowded) {
    tracing::debug!(listener = %door.listener, ?crowded, "connection refused");
    if door.implicit_tls.is_some() {
        return;
    }
    write_once(socket, (door.refusal)(crowded));
}

/// Writes to a new socket and closes it. Its send buffer is empty, so a few bytes fit and nothing waits.
fn write_once(socket: TcpStream, bytes: &[u8]) {
    if let Ok(mut socket) = socket.into_std() {
        let _ = socket.write_all(bytes);
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

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::time::timeout;

    use super::*;
    use crate::base::Networks;
    use crate::net::PermitLimits;

    const SOON: Duration = Duration::from_secs(60);

    struct Server {
        address: SocketAddr,
        permits: Permits,
        sessions: Sessions,
        stop: CancellationToken,
        accepting: tokio::task::JoinHandle<()>,
    }

    #[test]
    fn where_there_is_no_ipv6_all_of_it_is_all_of_ipv4() {
        let check = |asked: &str, errno: Errno, expected: Result<&str, Errno>| {
            let bind = |address: SocketAddr| match address.is_ipv6() {
                true => Err(io::Error::from(errno)),
                false => Ok(address.to_string()),
            };
            let bound = bind_with(asked.parse().unwrap(), bind);
            let bound = bound.map_err(|error| error.raw_os_error());
            assert_eq!(bound, expected.map(Into::into).map_err(|errno| Some(errno.raw_os_error())), "{asked}");
        };
        check("[::]:443", Errno::AFNOSUPPORT, Ok("0.0.0.0:443"));
        check("[::]:443", Errno::ADDRNOTAVAIL, Ok("0.0.0.0:443"));
        check("[::]:443", Errno::ADDRINUSE, Err(Errno::ADDRINUSE));
        check("[::1]:443", Errno::AFNOSUPPORT, Err(Errno::AFNOSUPPORT));
    }

    /// A server that greets, reads a line's worth, and closes.
    fn start(limits: PermitLimits) -> Server {
        let socket = bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let (address, permits) = (socket.local_addr().unwrap(), Permits::new(limits));
        let (sessions, stop) = (Sessions::new(), CancellationToken::new());
        let door = Door {
            listener: Listener::Pop3,
            socket,
            permits: permits.clone(),
            implicit_tls: None,
            refusal: |crowded| match crowded {
                Crowded::Total => b"-ERR total\r\n",
                Crowded::Address => b"-ERR address\r\n",
                Crowded::Network => b"-ERR network\r\n",
            },
        };
        let greet = |mut connection: Connection| async move {
            connection.write(b"+OK\r\n");
            connection.flush(SOON).await.unwrap();
            let _ = connection.fill(SOON).await;
            assert_ne!(connection.buffered(), b"panic\r\n");
            connection.close().await;
        };
        let accepting = tokio::spawn(accept(door, sessions.clone(), stop.clone(), greet));
        Server { address, permits, sessions, stop, accepting }
    }

    fn crowded(total: usize, per_address: usize) -> PermitLimits {
        PermitLimits { total, per_address, per_network: 100, exempt: Networks::default() }
    }

    impl Server {
        async fn connect(&self) -> TcpStream {
            TcpStream::connect(self.address).await.unwrap()
        }

        /// Connects and expects to read just that first.
        async fn check(&self, expected: &str) -> TcpStream {
            let mut client = self.connect().await;
            let mut seen = vec![0; expected.len()];
            timeout(SOON, client.read_exact(&mut seen)).await.unwrap().unwrap();
            assert_eq!(String::from_utf8(seen).unwrap(), expected);
            client
        }

        async fn wait_for_permits(&self, in_use: usize) {
            timeout(SOON, async {
                while self.permits.in_use() != in_use {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            })
            .await
            .unwrap();
        }
    }

    #[tokio::test]
    async fn clients_beyond_a_limit_are_told_and_the_others_served() {
        let server = start(crowded(10, 2));
        let (first, second) = (server.check("+OK\r\n").await, server.check("+OK\r\n").await);
        for _ in 0..20 {
            let mut refused = server.check("-ERR address\r\n").await;
            assert_eq!(refused.read(&mut [0; 8]).await.unwrap(), 0);
        }
        drop(first);
        server.wait_for_permits(1).await;
        server.check("+OK\r\n").await;
        drop(second);
    }

    #[tokio::test]
    async fn a_client_that_never_reads_holds_up_nobody() {
        let server = start(crowded(1, 10));
        let _first = server.check("+OK\r\n").await;
        let mut silent = Vec::new();
        for _ in 0..50 {
            silent.push(server.connect().await);
        }
        server.check("-ERR total\r\n").await;
    }

    #[tokio::test]
    async fn a_panic_gives_the_permit_back() {
        let server = start(crowded(1, 1));
        server.check("+OK\r\n").await.write_all(b"panic\r\n").await.unwrap();
        server.wait_for_permits(0).await;
        server.check("+OK\r\n").await;
    }

    /// Set in the process that the next test starts: itself, as the server.
    const FEW_DESCRIPTORS: &str = "PILLARBOX_TEST_FEW_DESCRIPTORS";

    /// Serves with 40 descriptors until the standard input ends.
    #[tokio::main]
    async fn serve_with_few_descriptors() {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let maximum = getrlimit(Resource::Nofile).maximum;
        setrlimit(Resource::Nofile, Rlimit { current: Some(40), maximum }).unwrap();
        let server = start(crowded(1000, 1000));
        println!("\nADDRESS {}", server.address);
        let stdin = tokio::task::spawn_blocking(|| io::read_to_string(io::stdin()));
        stdin.await.unwrap().unwrap();
    }

    #[test]
    fn a_server_without_descriptors_turns_clients_away_and_recovers() {
        use std::io::{BufRead, BufReader, Read};
        use std::process::{Command, Stdio};
        if std::env::var_os(FEW_DESCRIPTORS).is_some() {
            return serve_with_few_descriptors();
        }
        let this = "net::accept::tests::a_server_without_descriptors_turns_clients_away_and_recovers";
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "--nocapture", this])
            .env(FEW_DESCRIPTORS, "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let address: SocketAddr =
            lines.find_map(|line| line.unwrap().strip_prefix("ADDRESS ")?.parse().ok()).expect("an address");
        let greeting = || {
            let mut client = std::net::TcpStream::connect(address).unwrap();
            client.set_read_timeout(Some(SOON)).unwrap();
            let mut seen = [0; 4];
            client.read_exact(&mut seen).unwrap();
            (client, String::from_utf8_lossy(&seen).into_owned())
        };
        let clients: Vec<_> = (0..100).map(|_| greeting()).collect();
        let served = clients.iter().filter(|(_, seen)| seen.starts_with("+OK")).count();
        assert!((5..40).contains(&served), "{served} of 100 were served with 40 descriptors");
        assert!(clients.iter().skip(served).all(|(_, seen)| seen == "-ERR"));
        drop(clients);
        let recovered = (0..500).any(|_| {
            std::thread::sleep(Duration::from_millis(10));
            greeting().1.starts_with("+OK")
        });
        assert!(recovered);
        drop(child.stdin.take());
        assert!(child.wait().unwrap().success());
    }

    #[tokio::test]
    async fn who_comes_too_early_is_turned_away_and_the_socket_is_the_same_later() {
        let socket = bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let (address, until) = (socket.local_addr().unwrap(), CancellationToken::new());
        let away = tokio::spawn(turn_away(socket, until.clone(), || b"-ERR early\r\n".to_vec()));
        for _ in 0..3 {
            let mut seen = String::new();
            TcpStream::connect(address).await.unwrap().read_to_string(&mut seen).await.unwrap();
            assert_eq!(seen, "-ERR early\r\n");
        }
        until.cancel();
        let socket = timeout(SOON, away).await.unwrap().unwrap();
        let mut client = TcpStream::connect(address).await.unwrap();
        socket.accept().await.unwrap().0.write_all(b"+OK\r\n").await.unwrap();
        let mut seen = [0; 5];
        client.read_exact(&mut seen).await.unwrap();
        assert_eq!(&seen, b"+OK\r\n");
    }

    #[tokio::test]
    async fn a_stop_ends_the_loop_and_leaves_the_sessions_running() {
        let server = start(crowded(10, 10));
        let mut client = server.check("+OK\r\n").await;
        server.stop.cancel();
        timeout(SOON, server.accepting).await.unwrap().unwrap();
        assert_eq!(server.sessions.count(), 1);
        assert!(TcpStream::connect(server.address).await.is_err());
        client.write_all(b"bye\r\n").await.unwrap();
        client.shutdown().await.unwrap();
        timeout(SOON, server.sessions.drained()).await.unwrap();
    }
}
