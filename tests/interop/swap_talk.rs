//! One side of an SMTP connection, line by line: the client's or the server's, before and behind STARTTLS and a swap.
//! For tests that must stop at an exact step.

use std::fmt::Write as _;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rcgen::{CertificateParams, KeyPair};
use rustls::StreamOwned;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, ServerConfig, ServerConnection, SignatureScheme,
    SupportedProtocolVersion,
};
use sha2::{Digest, Sha256};

/// How long the other side may take for its next octet before the test fails rather than hangs.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// One side of a connection.
pub struct Talk {
    stream: Stream,
    input: Vec<u8>,
}

enum Stream {
    Plain(TcpStream),
    Client(Box<StreamOwned<ClientConnection, TcpStream>>),
    Server(Box<StreamOwned<ServerConnection, TcpStream>>),
    Gone,
}

impl Talk {
    /// Dials, and says nothing.
    pub fn dial(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).expect("the listener answers"))
    }

    /// The next connection that comes in; `None` when none comes in time.
    pub fn accept(listener: &TcpListener, within: Duration) -> Option<Self> {
        listener.set_nonblocking(true).expect("a listener can wait");
        let deadline = Instant::now() + within;
        loop {
            match listener.accept() {
                Ok((stream, _)) => {
                    stream.set_nonblocking(false).expect("a socket can block");
                    return Some(Self::over(stream));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if Instant::now() > deadline {
                        return None;
                    }
                    std::thread::sleep(Duration::from_millis(2));
                }
                Err(error) => panic!("accept: {error}"),
            }
        }
    }

    fn over(stream: TcpStream) -> Self {
        stream.set_nodelay(true).expect("a socket option");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket option");
        stream.set_write_timeout(Some(PATIENCE)).expect("a socket option");
        Self { stream: Stream::Plain(stream), input: Vec::new() }
    }

    /// Sends octets. That the other side has closed is no error here: what it said before is still to be read.
    pub fn send(&mut self, octets: impl AsRef<[u8]>) {
        let octets = octets.as_ref();
        let _ = match &mut self.stream {
            Stream::Plain(stream) => stream.write_all(octets),
            Stream::Client(tls) => tls.write_all(octets).and_then(|()| tls.flush()),
            Stream::Server(tls) => tls.write_all(octets).and_then(|()| tls.flush()),
            Stream::Gone => Ok(()),
        };
    }

    /// The next line without its CRLF; `None` when the other side has closed.
    pub fn line(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.input.windows(2).position(|pair| pair == b"\r\n") {
                let line: Vec<u8> = self.input.drain(..end + 2).take(end).collect();
                return Some(String::from_utf8_lossy(&line).into_owned());
            }
            if self.fill() == 0 {
                return None;
            }
        }
    }

    /// A whole reply, its lines joined by `\n`; `closed` when the other side has closed.
    pub fn reply(&mut self) -> String {
        let mut lines = String::new();
        loop {
            let Some(line) = self.line() else { return "closed".to_owned() };
            if !lines.is_empty() {
                lines.push('\n');
            }
            let _ = write!(lines, "{line}");
            if line.as_bytes().get(3) != Some(&b'-') {
                return lines;
            }
        }
    }

    /// Sends a line and reads the reply.
    pub fn ask(&mut self, line: &str) -> String {
        self.send(format!("{line}\r\n"));
        self.reply()
    }

    /// Sends a line and reads the reply, which has to begin so.
    pub fn say(&mut self, line: &str, begin: &str) -> String {
        let reply = self.ask(line);
        assert!(reply.starts_with(begin), "{line}: {begin} expected, not {reply}");
        reply
    }

    /// Reads a reply that has to begin so.
    pub fn expect(&mut self, begin: &str) -> String {
        let reply = self.reply();
        assert!(reply.starts_with(begin), "{begin} expected, not {reply}");
        reply
    }

    /// Reads a command that has to begin so, whatever its letters' case.
    pub fn hear(&mut self, begin: &str) -> String {
        let line = self.line().unwrap_or_else(|| panic!("{begin} expected, but the other side has closed"));
        assert!(line.to_ascii_uppercase().starts_with(begin), "{begin} expected, not {line}");
        line
    }

    /// Reads a command that has to begin so, and answers.
    pub fn answer(&mut self, begin: &str, answer: &str) -> String {
        let line = self.hear(begin);
        self.send(format!("{answer}\r\n"));
        line
    }

    /// Reads a message behind 354 up to the lone dot, dots undone, CRLF as they came; `None` when the other side has
    /// closed before.
    pub fn message(&mut self) -> Option<Vec<u8>> {
        let mut message = Vec::new();
        loop {
            let end = loop {
                match self.input.windows(2).position(|pair| pair == b"\r\n") {
                    Some(end) => break end,
                    None if self.fill() == 0 => return None,
                    None => {}
                }
            };
            let line: Vec<u8> = self.input.drain(..end + 2).collect();
            match line.as_slice() {
                b".\r\n" => return Some(message),
                [b'.', rest @ ..] => message.extend_from_slice(rest),
                line => message.extend_from_slice(line),
            }
        }
    }

    /// At least so many octets, as they come.
    pub fn octets(&mut self, count: usize) -> Vec<u8> {
        while self.input.len() < count && self.fill() > 0 {}
        std::mem::take(&mut self.input)
    }

    /// Every line that comes until the other side closes.
    pub fn rest(mut self) -> Vec<String> {
        std::iter::from_fn(|| self.line()).collect()
    }

    /// Whether nothing comes within a moment.
    pub fn is_silent(&mut self, within: Duration) -> bool {
        if !self.input.is_empty() {
            return false;
        }
        self.socket().set_read_timeout(Some(within)).expect("a socket option");
        let mut octets = [0; 4096];
        let read = self.read(&mut octets);
        self.socket().set_read_timeout(Some(PATIENCE)).expect("a socket option");
        match read {
            Ok(count) => {
                self.input.extend_from_slice(&octets[..count]);
                false
            }
            Err(error) => matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut),
        }
    }

    /// Shakes hands as the client; gives the SHA-256 of the server's certificate. Nothing is verified.
    pub fn start_tls(&mut self) -> [u8; 32] {
        assert!(self.input.is_empty(), "the server spoke between its go-ahead and the handshake");
        let Stream::Plain(mut stream) = std::mem::replace(&mut self.stream, Stream::Gone) else {
            panic!("TLS is active");
        };
        let name = ServerName::try_from("mx.example.test").expect("it is a name");
        let mut tls = ClientConnection::new(Arc::new(client_config(rustls::DEFAULT_VERSIONS)), name)
            .expect("a client's side of TLS");
        while tls.is_handshaking() {
            tls.complete_io(&mut stream).expect("the handshake");
        }
        let certificate = tls.peer_certificates().and_then(|chain| chain.first()).expect("a certificate");
        let sha256 = Sha256::digest(certificate).into();
        self.stream = Stream::Client(Box::new(StreamOwned::new(tls, stream)));
        sha256
    }

    /// Shakes hands as the client by that version of TLS and shows `shown` to a server that asks for a certificate; whether it
    /// came to an end. By TLS 1.3 it does so before the server has seen whether the key is the certificate's.
    pub fn start_tls_showing(&mut self, shown: &Shown, version: &'static SupportedProtocolVersion) -> bool {
        assert!(self.input.is_empty(), "the server spoke between its go-ahead and the handshake");
        let Stream::Plain(mut stream) = std::mem::replace(&mut self.stream, Stream::Gone) else {
            panic!("TLS is active");
        };
        let mut config = client_config(&[version]);
        config.client_auth_cert_resolver = shown.key.clone();
        let name = ServerName::try_from("mx.example.test").expect("it is a name");
        let mut tls = ClientConnection::new(Arc::new(config), name).expect("a client's side of TLS");
        while tls.is_handshaking() {
            if tls.complete_io(&mut stream).is_err() {
                return false;
            }
        }
        self.stream = Stream::Client(Box::new(StreamOwned::new(tls, stream)));
        true
    }

    /// Shakes hands as the server with `identity`; whether the client went along.
    pub fn serve_tls(&mut self, identity: &Identity) -> bool {
        assert!(self.input.is_empty(), "the client spoke between the go-ahead and the handshake");
        let Stream::Plain(mut stream) = std::mem::replace(&mut self.stream, Stream::Gone) else {
            panic!("TLS is active");
        };
        let mut tls = ServerConnection::new(Arc::clone(&identity.config)).expect("a server's side of TLS");
        while tls.is_handshaking() {
            if tls.complete_io(&mut stream).is_err() {
                return false;
            }
        }
        self.stream = Stream::Server(Box::new(StreamOwned::new(tls, stream)));
        true
    }

    /// Ends the connection at once: what is unread is lost.
    pub fn cut(self) {
        let _ = self.socket().shutdown(Shutdown::Both);
    }

    fn socket(&self) -> &TcpStream {
        match &self.stream {
            Stream::Plain(stream) => stream,
            Stream::Client(tls) => &tls.sock,
            Stream::Server(tls) => &tls.sock,
            Stream::Gone => panic!("the handshake has failed"),
        }
    }

    fn read(&mut self, octets: &mut [u8]) -> io::Result<usize> {
        match &mut self.stream {
            Stream::Plain(stream) => stream.read(octets),
            Stream::Client(tls) => tls.read(octets),
            Stream::Server(tls) => tls.read(octets),
            Stream::Gone => Ok(0),
        }
    }

    fn fill(&mut self) -> usize {
        let mut octets = [0; 16 * 1024];
        match self.read(&mut octets) {
            Ok(count) => {
                self.input.extend_from_slice(&octets[..count]);
                count
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                panic!("the other side said nothing for {} s", PATIENCE.as_secs())
            }
            // A side that is killed, or drops us while octets of ours are unread: closed is closed.
            Err(_) => 0,
        }
    }
}

/// A server's certificate of its own making.
pub struct Identity {
    /// The SHA-256 of its DER form, in hexadecimal digits.
    pub sha256: String,
    config: Arc<ServerConfig>,
}

impl Identity {
    /// Makes one.
    pub fn new() -> Self {
        let names = ["peer.example.test", "localhost", "127.0.0.1"].map(str::to_owned);
        let made = rcgen::generate_simple_self_signed(names).expect("a certificate");
        let certificate = made.cert.der().clone();
        let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("ring has the default versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], key.into())
            .expect("the certificate goes with its key");
        Self { sha256: hex(&Sha256::digest(&certificate)), config: Arc::new(config) }
    }
}

/// A client's certificate of its own making, and what it signs with.
pub struct Shown {
    /// The certificate.
    pub certificate: CertificateDer<'static>,
    signing: KeyPair,
    key: Arc<SingleCertAndKey>,
}

impl Shown {
    /// One of that subject, valid in these years.
    pub fn new(subject: &str, years: [i32; 2]) -> Self {
        let signing = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(vec![subject.to_owned()]).expect("a name");
        let [since, until] = years.map(|year| rcgen::date_time_ymd(year, 1, 1));
        (params.not_before, params.not_after) = (since, until);
        let certificate = params.self_signed(&signing).expect("a certificate").der().clone();
        let key = signed_by(&certificate, &signing);
        Self { certificate, signing, key }
    }

    /// The certificate of another, of which we have no key, with a key of our own.
    pub fn stolen(from: &Self) -> Self {
        let signing = KeyPair::generate().expect("a key");
        let key = signed_by(&from.certificate, &signing);
        Self { certificate: from.certificate.clone(), signing, key }
    }

    /// Its fingerprint, as `openssl x509 -fingerprint` writes it.
    pub fn sha256(&self) -> String {
        let digits = hex(&Sha256::digest(&self.certificate)).to_uppercase();
        digits.as_bytes().chunks(2).map(|pair| String::from_utf8_lossy(pair).into_owned()).collect::<Vec<_>>().join(":")
    }

    /// The certificate and its key, for programs that read them so.
    pub fn pem(&self) -> String {
        let encoded = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, &self.certificate);
        let lines: Vec<_> = encoded.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
        let certificate = lines.join("\n");
        let key = self.signing.serialize_pem();
        format!("-----BEGIN CERTIFICATE-----\n{certificate}\n-----END CERTIFICATE-----\n{key}")
    }
}

fn signed_by(certificate: &CertificateDer<'static>, key: &KeyPair) -> Arc<SingleCertAndKey> {
    let key = PrivatePkcs8KeyDer::from(key.serialize_der());
    let signing = ring::sign::any_supported_type(&key.into()).expect("a key of ours");
    Arc::new(CertifiedKey::new(vec![certificate.clone()], signing).into())
}

/// Octets as lower-case hexadecimal digits.
pub fn hex(octets: &[u8]) -> String {
    octets.iter().fold(String::new(), |mut text, octet| {
        let _ = write!(text, "{octet:02x}");
        text
    })
}

/// `AUTH PLAIN` with its initial response.
pub fn auth_plain(user: &str, secret: &str) -> String {
    use base64::Engine as _;
    let response = base64::engine::general_purpose::STANDARD.encode(format!("\0{user}\0{secret}"));
    format!("AUTH PLAIN {response}")
}

fn client_config(versions: &[&'static SupportedProtocolVersion]) -> ClientConfig {
    ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(versions)
        .expect("ring has the versions")
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
