//! A client's end of a connection: octets out, lines in, TLS over a socket or a pipe.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::SingleCertAndKey;
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
    /// Octets go and come deflated (RFC 4978).
    deflate: Option<Box<Deflate>>,
}

struct Deflate {
    compress: Compress,
    decompress: Decompress,
    /// What came and is not inflated yet.
    deflated: Vec<u8>,
}

impl Wire {
    /// Begins to talk over `stream`.
    pub fn new(stream: impl Stream + 'static) -> Self {
        Self { stream: Box::new(stream), buffer: Vec::new(), deflate: None }
    }

    /// Sends octets.
    ///
    /// A server that has closed does not read them: what it said before is still to be read, so that is no error here.
    pub async fn send(&mut self, octets: &[u8]) {
        let deflated;
        let octets = match &mut self.deflate {
            Some(deflate) => {
                deflated = deflate.deflate(octets);
                &deflated
            }
            None => octets,
        };
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

    /// Reads one IMAP response: a line with the literals that it announces. `None` when the server has closed.
    pub async fn response(&mut self) -> io::Result<Option<Vec<u8>>> {
        let Some(mut line) = self.line().await? else { return Ok(None) };
        let mut response = line.clone();
        while let Some(count) = announced(&line) {
            while self.buffer.len() < count {
                if timeout(PATIENCE, self.fill()).await.map_err(|_| silent())?? == 0 {
                    return Err(io::Error::other("the server closed in the middle of a literal"));
                }
            }
            response.extend_from_slice(b"\r\n");
            response.extend(self.buffer.drain(..count));
            line = self.line().await?.ok_or_else(|| io::Error::other("the server closed behind a literal"))?;
            response.extend_from_slice(&line);
        }
        Ok(Some(response))
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

    /// Deflates everything from now on, in both directions.
    pub fn compress(&mut self) -> io::Result<()> {
        if !self.buffer.is_empty() {
            return Err(io::Error::other("the server spoke before the first deflated octet"));
        }
        let (compress, decompress) = (Compress::new(Compression::default(), false), Decompress::new(false));
        self.deflate = Some(Box::new(Deflate { compress, decompress, deflated: Vec::new() }));
        Ok(())
    }

    /// Shakes hands. The certificate is the server's own: nothing vouches for it, so nothing is checked.
    pub async fn tls(self) -> io::Result<Self> {
        self.tls_by(connector()).await
    }

    /// The same, and the server that asks for a certificate is shown this one.
    pub async fn tls_showing(self, certificate: Arc<SingleCertAndKey>) -> io::Result<Self> {
        let mut config = config();
        config.client_auth_cert_resolver = certificate;
        self.tls_by(Arc::new(config).into()).await
    }

    async fn tls_by(self, connector: tokio_rustls::TlsConnector) -> io::Result<Self> {
        if !self.buffer.is_empty() {
            return Err(io::Error::other("the server spoke between its go-ahead and the handshake"));
        }
        let shaken = timeout(PATIENCE, connector.connect(server_name(), self.stream)).await.map_err(|_| silent())??;
        Ok(Self::new(shaken))
    }

    /// The server's side of a handshake.
    pub async fn accept(self, config: Arc<rustls::ServerConfig>) -> io::Result<Self> {
        let shaken = timeout(PATIENCE, tokio_rustls::TlsAcceptor::from(config).accept(self.stream));
        Ok(Self::new(shaken.await.map_err(|_| silent())??))
    }

    async fn fill(&mut self) -> io::Result<usize> {
        let Some(deflate) = &mut self.deflate else { return read(&mut self.stream, &mut self.buffer).await };
        loop {
            let before = self.buffer.len();
            deflate.inflate(&mut self.buffer)?;
            if self.buffer.len() > before {
                return Ok(self.buffer.len() - before);
            }
            if read(&mut self.stream, &mut deflate.deflated).await? == 0 {
                return Ok(0);
            }
        }
    }
}

async fn read(stream: &mut (impl Stream + ?Sized), into: &mut Vec<u8>) -> io::Result<usize> {
    match stream.read_buf(into).await {
        // A server that drops us while octets of ours are unread resets the connection: closed is closed.
        Err(error) if matches!(error.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::UnexpectedEof) => Ok(0),
        read => read,
    }
}

impl Deflate {
    fn deflate(&mut self, octets: &[u8]) -> Vec<u8> {
        let mut deflated = Vec::with_capacity(octets.len() + 64);
        let mut rest = octets;
        loop {
            let before = self.compress.total_in();
            self.compress.compress_vec(rest, &mut deflated, FlushCompress::Sync).expect("deflate can't fail");
            rest = &rest[usize::try_from(self.compress.total_in() - before).expect("it is a length")..];
            if rest.is_empty() && deflated.len() < deflated.capacity() {
                return deflated;
            }
            deflated.reserve(4096);
        }
    }

    fn inflate(&mut self, into: &mut Vec<u8>) -> io::Result<()> {
        while !self.deflated.is_empty() {
            into.reserve(16 * 1024);
            let before = (self.decompress.total_in(), self.decompress.total_out());
            self.decompress.decompress_vec(&self.deflated, into, FlushDecompress::Sync).map_err(io::Error::other)?;
            let used = usize::try_from(self.decompress.total_in() - before.0).expect("it is a length");
            self.deflated.drain(..used);
            if used == 0 && self.decompress.total_out() == before.1 {
                break;
            }
        }
        Ok(())
    }
}

/// Octets of the literal that a line announces at its end.
fn announced(line: &[u8]) -> Option<usize> {
    let line = line.strip_suffix(b"}")?;
    let from = line.iter().rposition(|octet| *octet == b'{')?;
    std::str::from_utf8(&line[from + 1..]).ok()?.parse().ok()
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
    Arc::new(config()).into()
}

fn config() -> ClientConfig {
    let provider = Arc::new(ring::default_provider());
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring has the default versions")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate))
        .with_no_client_auth()
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
