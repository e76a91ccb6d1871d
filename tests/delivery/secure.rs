//! Web and mail servers with certificates of a CA of the tests.

use std::fs;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, PublicKeyData};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// A CA, and the file that makes a site trust it.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    own: CertificateDer<'static>,
    folder: TempDir,
}

/// A certificate of the authority and its key, for one name.
#[derive(Clone)]
pub struct Certificate {
    config: Arc<ServerConfig>,
    /// Its SubjectPublicKeyInfo, in DER form.
    pub key: Vec<u8>,
}

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("ca.pem"), certificate.pem()).unwrap();
        Self { own: certificate.der().clone(), issuer: Issuer::new(params, key), folder }
    }

    /// The setting that makes a site trust it.
    pub fn setting(&self) -> String {
        format!("delivery.ca_file={}", self.folder.path().join("ca.pem").display())
    }

    /// Its own certificate, in DER form.
    pub fn der(&self) -> Vec<u8> {
        self.own.to_vec()
    }

    /// A certificate of a server, which shows the authority's too.
    pub fn certificate(&self, name: &str) -> Certificate {
        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let signed = params.signed_by(&key, &self.issuer).unwrap();
        let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![signed.der().clone(), self.own.clone()], private)
            .unwrap();
        Certificate { config: Arc::new(config), key: key.subject_public_key_info() }
    }
}

/// A web server with one text, which may change; it ends with the runtime.
pub struct Web {
    pub address: SocketAddr,
    /// The whole answer.
    answer: Arc<Mutex<String>>,
    asked: Arc<Mutex<usize>>,
}

impl Web {
    pub async fn start(certificate: Certificate, address: &str) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (answer, asked) = (Arc::new(Mutex::new(String::new())), Arc::new(Mutex::new(0)));
        let acceptor = TlsAcceptor::from(certificate.config);
        let (shared, count) = (Arc::clone(&answer), Arc::clone(&asked));
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let Ok(mut stream) = acceptor.accept(socket).await else { continue };
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    let Ok(octet) = stream.read_u8().await else { break };
                    request.push(octet);
                }
                *count.lock().unwrap() += 1;
                let answer = shared.lock().unwrap().clone();
                let _ = stream.write_all(answer.as_bytes()).await;
                let _ = stream.shutdown().await;
            }
        });
        Self { address, answer, asked }
    }

    /// Gives that policy from now on.
    pub fn give(&self, policy: &str) {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n", policy.len());
        *self.answer.lock().unwrap() = head + policy;
    }

    /// Gives none.
    pub fn give_nothing(&self) {
        *self.answer.lock().unwrap() = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".into();
    }

    /// How often it was asked.
    pub fn asked(&self) -> usize {
        *self.asked.lock().unwrap()
    }
}

trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Wire for T {}

/// A mail server that offers STARTTLS and takes everything; it ends with the runtime.
pub struct Mx {
    said: Arc<Mutex<Vec<String>>>,
}

impl Mx {
    /// `extensions`: what it announces within TLS.
    pub async fn start(certificate: Certificate, address: &str, extensions: &'static [&'static str]) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let said = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&said);
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (heard, config) = (Arc::clone(&heard), Arc::clone(&certificate.config));
                tokio::spawn(async move {
                    let _ = serve(Box::new(socket), config, extensions, &heard).await;
                });
            }
        });
        Self { said }
    }

    /// The commands so far, each behind `tls ` where it came within TLS.
    pub fn said(&self) -> Vec<String> {
        self.said.lock().unwrap().clone()
    }

    /// The messages that it took within TLS, and those in the clear.
    pub fn taken(&self) -> (usize, usize) {
        let count = |line: &str| self.said().iter().filter(|said| said.as_str() == line).count();
        (count("tls ."), count("."))
    }
}

async fn serve(
    socket: Box<dyn Wire>,
    config: Arc<ServerConfig>,
    extensions: &[&str],
    heard: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let mut stream = BufReader::new(socket);
    stream.write_all(b"220 mx ESMTP\r\n").await?;
    let (mut is_tls, mut in_data) = (false, false);
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let line = line.trim_end().to_owned();
        if in_data && line != "." {
            continue;
        }
        heard.lock().unwrap().push(format!("{}{line}", if is_tls { "tls " } else { "" }));
        let verb = line.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
        let reply = match verb.as_str() {
            "." => {
                in_data = false;
                "250 2.0.0 taken".to_owned()
            }
            "EHLO" if is_tls => extensions.iter().map(|word| format!("250-{word}\r\n")).collect::<String>() + "250 mx",
            "EHLO" => "250-mx\r\n250 STARTTLS".to_owned(),
            "DATA" => {
                in_data = true;
                "354 go on".to_owned()
            }
            "QUIT" => "221 bye".to_owned(),
            "STARTTLS" => "220 go on".to_owned(),
            _ => "250 2.0.0 fine".to_owned(),
        };
        stream.write_all(format!("{reply}\r\n").as_bytes()).await?;
        match verb.as_str() {
            "QUIT" => return Ok(()),
            "STARTTLS" => {
                let socket = TlsAcceptor::from(Arc::clone(&config)).accept(stream.into_inner()).await?;
                stream = BufReader::new(Box::new(socket) as Box<dyn Wire>);
                is_tls = true;
            }
            _ => {}
        }
    }
}
