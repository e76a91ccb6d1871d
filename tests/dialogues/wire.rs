//! A client's end of a connection: octets out, lines in, TLS over a socket or a pipe.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

/// What a connection runs over.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// How long a server may take for its next octet. Generous: a loaded machine is no fault of the server's.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A client's end of a connection.
pub struct Wire {
    stream: Box<dyn Stream>,
    buffer: Vec<u8>,
}

impl Wire {
    /// Begins to talk over `stream`.
    pub fn new(stream: impl Stream + 'static) -> Self {
        Self { stream: Box::new(stream), buffer: Vec::new() }
    }

    /// Sends octets.
    ///
    /// A server that has closed does not read them: what it said before is still to be read, so that is no error here.
    pub async fn send(&mut self, octets: &[u8]) {
        let sent = async {
            self.stream.write_all(octets).await?;
            self.stream.flush().await
        };
        // A server that stops reading in the middle of a big write: what it says then is read next.
        let _ = timeout(PATIENCE, sent).await;
    }

    /// Reads a line without its CRLF; `None` when the server has closed.
    pub async fn line(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            if let Some(end) = self.buffer.windows(2).position(|pair| pair == b"\r\n") {
                let line = self.buffer.drain(..end + 2).take(end).collect();
                return Ok(Some(line));
            }
            if timeout(PATIENCE, self.fill()).await.map_err(|_| silent())?? == 0 {
                return match self.buffer.is_empty() {
                    true => Ok(None),
                    false => Err(io::Error::other("the server closed in the middle of a line")),
                };
            }
        }
    }

    /// Reads one SMTP reply: its lines, whole.
    pub async fn reply(&mut self) -> io::Result<Vec<String>> {
        let mut lines = Vec::new();
        loop {
            let line = self.line().await?.ok_or_else(|| io::Error::other("the server closed instead of answering"))?;
            let line = String::from_utf8_lossy(&line).into_owned();
            let last = line.as_bytes().get(3) != Some(&b'-');
            lines.push(line);
            if last {
                return Ok(lines);
            }
        }
    }

    /// Reads lines up to the lone dot; every line without its dot-stuffing and with its CRLF.
    pub async fn lines(&mut self) -> io::Result<Vec<Vec<u8>>> {
        let mut lines = Vec::new();
        loop {
            let mut line =
                self.line().await?.ok_or_else(|| io::Error::other("the server closed before the lone dot"))?;
            if line == b"." {
                return Ok(lines);
            }
            if line.first() == Some(&b'.') {
                line.remove(0);
            }
            line.extend_from_slice(b"\r\n");
            lines.push(line);
        }
    }

    /// What comes in the next 200 milliseconds, `None` for nothing; empty when the server closed.
    pub async fn surprise(&mut self) -> io::Result<Option<Vec<u8>>> {
        if self.buffer.is_empty() {
            match timeout(Duration::from_millis(200), self.fill()).await {
                Err(_) => return Ok(None),
                Ok(read) => read?,
            };
        }
        Ok(Some(std::mem::take(&mut self.buffer)))
    }

    /// Everything that comes until the server closes.
    pub async fn drain(&mut self) -> io::Result<Vec<u8>> {
        while timeout(PATIENCE, self.fill()).await.map_err(|_| silent())?? > 0 {}
        Ok(std::mem::take(&mut self.buffer))
    }

    /// Shakes hands. The certificate is the server's own: nothing vouches for it, so nothing is checked.
    pub async fn tls(self) -> io::Result<Self> {
        if !self.buffer.is_empty() {
            return Err(io::Error::other("the server spoke between its go-ahead and the handshake"));
        }
        let shaken =
            timeout(PATIENCE, connector().connect(server_name(), self.stream)).await.map_err(|_| silent())??;
        Ok(Self::new(shaken))
    }

    /// The server's side of a handshake.
    pub async fn accept(self, config: Arc<rustls::ServerConfig>) -> io::Result<Self> {
        let shaken = timeout(PATIENCE, tokio_rustls::TlsAcceptor::from(config).accept(self.stream));
        Ok(Self::new(shaken.await.map_err(|_| silent())??))
    }

    async fn fill(&mut self) -> io::Result<usize> {
        match self.stream.read_buf(&mut self.buffer).await {
            // A server that drops us while octets of ours are unread resets the connection: closed is closed.
            Err(error) if matches!(error.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::UnexpectedEof) => {
                Ok(0)
            }
            read => read,
        }
    }
}

fn silent() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, format!("the server said nothing for {} s", PATIENCE.as_secs()))
}

/// The name that clients expect of the server.
pub fn server_name() -> ServerName<'static> {
    ServerName::try_from("mx.example.test").expect("it is a name")
}

/// A client's side of TLS.
pub fn connector() -> tokio_rustls::TlsConnector {
    let provider = Arc::new(ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring has the default versions")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate))
        .with_no_client_auth();
    Arc::new(config).into()
}

#[derive(Debug)]
struct AnyCertificate;

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}
