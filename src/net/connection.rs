use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use rustls::ServerConfig;
use rustls::pki_types::ServerName;
use rustls::server::Acceptor;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_rustls::{LazyConfigAcceptor, TlsConnector, TlsStream};

use super::deflate::Deflate;
use super::permits::Permit;
use super::pipe::Pipe;
use super::transcript::Transcript;
use crate::base::limits;
use crate::tls::{CertificateFault, ClientTls, Facts};

/// Octets that one read asks for.
const READ_BYTES: usize = 16 * 1024;
/// Octets of a write buffer that are kept between two flushes.
const OUTPUT_KEPT_BYTES: usize = 16 * 1024;
/// Time in which a closing client may still read our last reply.
const LINGER: Duration = Duration::from_secs(1);
/// Octets that a closing client may still send before it is cut off.
const LINGER_BYTES: usize = 1024 * 1024;

/// Why a connection is of no more use. None of them is worth a reply.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionError {
    /// Nothing came, or nothing could be sent, in the time that was given.
    #[error("timed out")]
    TimedOut,
    /// The stream failed.
    #[error("connection lost: {0}")]
    Lost(#[from] io::Error),
    /// The driver asks for more input than it may hold.
    #[error("more input is buffered than a session may hold")]
    InputFull,
    /// Bytes came in the clear behind the command that starts TLS (CVE-2011-0411).
    #[error("bytes behind the command that starts TLS")]
    BytesBehindStartTls,
    /// The TLS handshake failed.
    #[error("TLS handshake failed: {0}")]
    Handshake(io::Error),
    /// The name under which the server was found can't be asked for in a TLS handshake.
    #[error("TLS can't ask for a server of that name")]
    ServerName,
}

impl ConnectionError {
    /// What is wrong with the server's certificate, where a handshake has failed for that.
    pub fn certificate_fault(&self) -> Option<CertificateFault> {
        let Self::Handshake(error) = self else { return None };
        CertificateFault::of(error.get_ref()?.downcast_ref()?)
    }
}

/// A connection, taken or dialled: a stream, plain or with TLS, over a socket or over memory; what came and is not yet
/// used; what is to be sent.
#[derive(Debug)]
pub struct Connection {
    stream: Stream,
    input: BytesMut,
    output: Vec<u8>,
    tls: Option<Facts>,
    deflate: Option<Box<Deflate>>,
    peer: SocketAddr,
    local: SocketAddr,
    permit: Option<Permit>,
    transcript: Option<Transcript>,
}

#[derive(Debug)]
enum Stream {
    Plain(Pipe),
    Tls(Box<TlsStream<Pipe>>),
    /// A handshake runs or has failed.
    Gone,
}

impl Connection {
    /// Over a socket. Nagle's algorithm is turned off: replies are flushed when they are due.
    ///
    /// # Errors
    /// The operating system's, when the client is already gone.
    pub fn tcp(socket: TcpStream, permit: Option<Permit>) -> io::Result<Self> {
        socket.set_nodelay(true)?;
        let (peer, local) = (canonical(socket.peer_addr()?), canonical(socket.local_addr()?));
        Ok(Self::over(Pipe::Tcp(socket), peer, local, permit))
    }

    /// Dials a server, within that time.
    ///
    /// # Errors
    /// [`ConnectionError::TimedOut`], or [`ConnectionError::Lost`] with what the operating system says.
    pub async fn dial(server: SocketAddr, within: Duration) -> Result<Self, ConnectionError> {
        Self::dial_from(None, server, within).await
    }

    /// The same, from that address of ours.
    ///
    /// # Errors
    /// As of [`Connection::dial`].
    pub async fn dial_from(
        source: Option<IpAddr>,
        server: SocketAddr,
        within: Duration,
    ) -> Result<Self, ConnectionError> {
        let socket = if server.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        if let Some(source) = source {
            socket.bind(SocketAddr::new(source, 0))?;
        }
        let socket = timeout(within, socket.connect(server)).await.map_err(|_| ConnectionError::TimedOut)??;
        Ok(Self::tcp(socket, None)?)
    }

    /// Over memory, for tests: `peer` and `local` are what the session shall believe.
    pub fn memory(pipe: DuplexStream, peer: SocketAddr, local: SocketAddr) -> Self {
        Self::over(Pipe::Memory(pipe), canonical(peer), canonical(local), None)
    }

    fn over(pipe: Pipe, peer: SocketAddr, local: SocketAddr, permit: Option<Permit>) -> Self {
        let (stream, input, output) = (Stream::Plain(pipe), BytesMut::new(), Vec::new());
        Self { stream, input, output, tls: None, deflate: None, peer, local, permit, transcript: None }
    }

    /// Where the other side is.
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// Our own end.
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// Whether the other side is on this machine: nobody listens in on a password then.
    pub fn is_loopback(&self) -> bool {
        self.peer.ip().is_loopback()
    }

    /// What the TLS handshake agreed on; `None` in the clear.
    pub fn tls(&self) -> Option<&Facts> {
        self.tls.as_ref()
    }

    /// From now on, what is said goes into this record.
    pub fn record(&mut self, transcript: Transcript) {
        self.transcript = Some(transcript);
    }

    /// The record of what is said, where there is one. The drivers write it.
    pub fn transcript(&self) -> Option<&Transcript> {
        self.transcript.as_ref()
    }

    /// Whether nothing is left in either direction, now: only then may the roles be swapped, since what was said to the
    /// client of a session must never be read by the server of the next. What has come and was not yet read is read for
    /// it.
    ///
    /// # Errors
    /// [`ConnectionError::Lost`]
    pub async fn is_quiet(&mut self) -> Result<bool, ConnectionError> {
        if !self.input.is_empty() || !self.output.is_empty() {
            return Ok(false);
        }
        match self.fill(Duration::ZERO).await {
            Err(ConnectionError::TimedOut) => Ok(true),
            Ok(_) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The client has authenticated: it no longer counts against its address and network.
    pub fn authenticated(&mut self) {
        if let Some(permit) = &mut self.permit {
            permit.exempt();
        }
    }

    /// How long a client that has not authenticated may be silent now: `idle`, or less when the server is nearly full.
    /// To be asked again while waiting: the pressure may have come since.
    pub fn patience(&self, idle: Duration) -> Duration {
        self.permit.as_ref().map_or(idle, |permit| permit.patience(idle))
    }

    /// What has come and is not yet consumed.
    pub fn buffered(&self) -> &[u8] {
        &self.input
    }

    /// Drops the first `count` of the buffered octets: they have been used.
    ///
    /// # Panics
    /// When fewer are buffered.
    pub fn consume(&mut self, count: usize) {
        self.input.advance(count);
    }

    /// Waits for more input and appends it to what is buffered; says how many octets came, 0 at the end of the
    /// stream. Sends nothing: flush first. May be dropped while it waits, and nothing is lost. No buffer is held while
    /// nothing comes.
    ///
    /// # Errors
    /// [`ConnectionError::TimedOut`], [`ConnectionError::Lost`], and [`ConnectionError::InputFull`] when
    /// [`limits::INPUT_BYTES`] are buffered: a framer that waits for more than that is wrong.
    pub async fn fill(&mut self, within: Duration) -> Result<usize, ConnectionError> {
        if self.input.len() >= limits::INPUT_BYTES {
            return Err(ConnectionError::InputFull);
        }
        let (stream, input, deflate) = (&mut self.stream, &mut self.input, &mut self.deflate);
        let read = async {
            let Some(deflate) = deflate else { return stream.read(input).await };
            loop {
                // What a client has compressed well is a lot of work: others get their turn.
                tokio::task::consume_budget().await;
                let inflated = deflate.inflate(input)?;
                if inflated > 0 || stream.read(&mut deflate.received).await? == 0 {
                    return Ok(inflated);
                }
            }
        };
        Ok(timeout(within, read).await.map_err(|_| ConnectionError::TimedOut)??)
    }

    /// Appends to what [`Connection::flush`] will send.
    pub fn write(&mut self, bytes: &[u8]) {
        self.output.extend_from_slice(bytes);
    }

    /// The write buffer itself, for what writes into a `Vec`.
    pub fn output(&mut self) -> &mut Vec<u8> {
        &mut self.output
    }

    /// Sends what was written.
    ///
    /// # Errors
    /// [`ConnectionError::TimedOut`] when it is not all sent in that time, [`ConnectionError::Lost`].
    pub async fn flush(&mut self, within: Duration) -> Result<(), ConnectionError> {
        if self.output.is_empty() {
            return Ok(());
        }
        let output = match &mut self.deflate {
            None => &self.output,
            Some(deflate) => {
                deflate.deflate(&self.output)?;
                &deflate.sending
            }
        };
        let send = async {
            match &mut self.stream {
                Stream::Plain(pipe) => pipe.write_all(output).await,
                Stream::Tls(tls) => match tls.write_all(output).await {
                    Ok(()) => tls.flush().await,
                    failed => failed,
                },
                Stream::Gone => Err(io::ErrorKind::NotConnected.into()),
            }
        };
        timeout(within, send).await.map_err(|_| ConnectionError::TimedOut)??;
        if let Some(deflate) = &mut self.deflate {
            deflate.sending.clear();
            deflate.sending.shrink_to(OUTPUT_KEPT_BYTES);
        }
        self.output.clear();
        self.output.shrink_to(OUTPUT_KEPT_BYTES);
        Ok(())
    }

    /// From now on, what goes in both directions is compressed. What is buffered counts as having come before that: there
    /// should be nothing. The reply that says so must be flushed before.
    // RFC 4978 §3
    pub fn start_deflate(&mut self) {
        self.deflate = Some(Box::new(Deflate::new()));
    }

    /// Whether what goes in both directions is compressed.
    pub fn is_deflated(&self) -> bool {
        self.deflate.is_some()
    }

    /// Gives back memory that is not needed while nothing is said: the connection waits, perhaps for long.
    pub fn rest(&mut self) {
        if self.input.is_empty() {
            self.input = BytesMut::new();
        }
        if self.output.is_empty() {
            self.output = Vec::new();
        }
        if let Some(deflate) = &mut self.deflate {
            deflate.rest();
        }
    }

    /// Runs the server's side of a TLS handshake. The reply that invites the client to it must be flushed before.
    ///
    /// # Errors
    /// [`ConnectionError::BytesBehindStartTls`] when input is buffered: it came in the clear and must not be read as if it
    /// had come protected. A driver looks for it before it sends its reply, and closes without one. Else
    /// [`ConnectionError::TimedOut`] or [`ConnectionError::Handshake`]; the connection is of no more use then.
    // RFC 3207 §4.2, RFC 2595 §4
    pub async fn start_tls(&mut self, config: Arc<ServerConfig>, within: Duration) -> Result<(), ConnectionError> {
        if !self.input.is_empty() {
            return Err(ConnectionError::BytesBehindStartTls);
        }
        let Stream::Plain(pipe) = std::mem::replace(&mut self.stream, Stream::Gone) else {
            return Err(ConnectionError::Lost(io::ErrorKind::InvalidInput.into()));
        };
        // In a box: a session that waits for hours shall not keep room for what takes a moment.
        let handshake = Box::pin(async {
            let begun = LazyConfigAcceptor::new(Acceptor::default(), pipe).await?;
            // The certificate that the client is about to get: the connection itself does not tell it afterwards.
            let shown = config.cert_resolver.resolve(begun.client_hello());
            begun.into_stream(config).await.map(|stream| (stream, shown))
        });
        let (stream, shown) = timeout(within, handshake)
            .await
            .map_err(|_| ConnectionError::TimedOut)?
            .map_err(ConnectionError::Handshake)?;
        self.tls = Some(Facts::of(stream.get_ref().1, shown.as_ref().and_then(|key| key.cert.first())));
        self.stream = Stream::Tls(Box::new(stream.into()));
        Ok(())
    }

    /// Runs the client's side of a TLS handshake with the server that is found under `name`: a host name, or an IP
    /// address with or without the brackets of a literal.
    ///
    /// # Errors
    /// As of [`Connection::start_tls`], and [`ConnectionError::ServerName`].
    pub async fn start_client_tls(
        &mut self,
        tls: &ClientTls,
        name: &str,
        within: Duration,
    ) -> Result<(), ConnectionError> {
        // RFC 3207 §4.2: nothing that came in the clear is known any more.
        if !self.input.is_empty() {
            return Err(ConnectionError::BytesBehindStartTls);
        }
        let name = tls.name(name);
        let server_name = server_name(name)?;
        let Stream::Plain(pipe) = std::mem::replace(&mut self.stream, Stream::Gone) else {
            return Err(ConnectionError::Lost(io::ErrorKind::InvalidInput.into()));
        };
        let handshake = tls.handshake();
        let connector = TlsConnector::from(Arc::clone(&handshake.config));
        let stream = timeout(within, connector.connect(server_name, pipe))
            .await
            .map_err(|_| ConnectionError::TimedOut)?
            .map_err(ConnectionError::Handshake)?;
        self.tls = Some(Facts::of_client(stream.get_ref().1, name, handshake.certified()));
        self.stream = Stream::Tls(Box::new(stream.into()));
        Ok(())
    }

    /// Ends the stream in an orderly way where nothing more is to be sent or read: a client that has heard the answer to
    /// its QUIT. What is written and not sent is dropped.
    pub async fn hang_up(mut self) {
        let _ = timeout(LINGER, self.shut_down()).await;
    }

    async fn shut_down(&mut self) -> io::Result<()> {
        match &mut self.stream {
            Stream::Plain(pipe) => pipe.shutdown().await,
            Stream::Tls(tls) => tls.shutdown().await,
            Stream::Gone => Ok(()),
        }
    }

    /// Sends what is written and ends the stream in an orderly way; waits a moment for the client to end its side,
    /// since a socket that is closed with unread input resets the connection and our last reply may never be read.
    pub async fn close(mut self) {
        let _ = timeout(LINGER, async {
            self.flush(LINGER).await?;
            self.shut_down().await?;
            let mut left = LINGER_BYTES;
            while left > 0 {
                self.input.clear();
                match self.fill(LINGER).await? {
                    0 => break,
                    count => left = left.saturating_sub(count),
                }
            }
            Ok::<(), ConnectionError>(())
        })
        .await;
    }
}

impl Stream {
    /// Appends what comes; holds no buffer while nothing does.
    async fn read(&mut self, into: &mut BytesMut) -> io::Result<usize> {
        poll_fn(|cx| {
            into.reserve(READ_BYTES);
            let polled = match self {
                Self::Plain(pipe) => pin!(pipe.read_buf(into)).poll(cx),
                Self::Tls(tls) => pin!(tls.read_buf(into)).poll(cx),
                Self::Gone => Poll::Ready(Ok(0)),
            };
            if polled.is_pending() && into.is_empty() {
                *into = BytesMut::new();
            }
            polled
        })
        .await
    }
}

fn server_name(name: &str) -> Result<ServerName<'static>, ConnectionError> {
    let inside = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(name);
    // RFC 5321 §4.1.3: the tag of an IPv6 literal
    let inside = inside.strip_prefix("IPv6:").unwrap_or(inside);
    ServerName::try_from(inside.to_owned()).map_err(|_| ConnectionError::ServerName)
}

/// A listener on `[::]` sees IPv4 clients as mapped addresses; everyone above wants the IPv4 address.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

#[cfg(test)]
mod tests;
