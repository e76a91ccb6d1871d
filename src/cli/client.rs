mod stream;
mod upload;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::header::{self, HeaderName};
use hyper::{Method, Request, Uri};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

use super::args::Place;
use super::failure::Failure;
use crate::base::Secret;
use crate::http::socket_path;

/// How long one request may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// Octets of an answer.
const ANSWER_BYTES: usize = 64 * 1024 * 1024;
/// Where systems keep the certificates that they trust.
const BUNDLES: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

/// A client of the REST interface.
pub struct Client {
    server: Server,
    token: Option<Secret<String>>,
    patience: Duration,
}

/// Where it is.
#[derive(Clone)]
enum Server {
    Socket(PathBuf),
    Net { host: String, port: u16, tls: Option<Arc<ClientConfig>> },
}

/// What the server says when it does not refuse.
pub struct Answer {
    /// The body; null when there is none, a text where it is none of JSON.
    pub body: Value,
    /// The body as it came.
    pub octets: Bytes,
}

impl Client {
    /// A client of the server that is meant.
    pub fn new(place: &Place) -> Result<Self, Failure> {
        let server = match place.url.as_deref().filter(|url| !url.is_empty()) {
            None => Server::Socket(socket_path(&place.data)),
            Some(url) => parse_url(url, place)?,
        };
        let token = place.token.clone().filter(|token| !token.is_empty()).map(Secret::new);
        Ok(Self { server, token, patience: PATIENCE })
    }

    /// The same client for a request that may take longer.
    pub fn patient(&self, patience: Duration) -> Self {
        Self { server: self.server.clone(), token: self.token.clone(), patience }
    }

    /// Sends a request and waits for the answer.
    ///
    /// # Errors
    /// [`Failure::Unreachable`], [`Failure::Denied`], or what the server refuses.
    pub fn send(
        &self,
        method: Method,
        path: &str,
        fields: &[(HeaderName, String)],
        body: Option<&Value>,
    ) -> Result<Answer, Failure> {
        self.run(self.request(method, path, fields, body)?)
    }

    fn run(&self, request: Request<Full<Bytes>>) -> Result<Answer, Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Failure::Failed(error.to_string()))?;
        runtime.block_on(async {
            match tokio::time::timeout(self.patience, self.exchange(request)).await {
                Ok(answer) => answer,
                Err(_) => Err(Failure::Unreachable(format!("no answer within {} s", self.patience.as_secs()))),
            }
        })
    }

    /// The same with a body that is no JSON: its type, and its octets.
    ///
    /// # Errors
    /// As [`Client::send`].
    pub fn send_octets(&self, method: Method, path: &str, kind: &str, octets: Vec<u8>) -> Result<Answer, Failure> {
        self.run(self.request_of(method, path, &[], Some((kind, octets.into())))?)
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        fields: &[(HeaderName, String)],
        body: Option<&Value>,
    ) -> Result<Request<Full<Bytes>>, Failure> {
        let kind = if method == Method::PATCH { "application/merge-patch+json" } else { "application/json" };
        let body = body.map(|body| (kind, Bytes::from(body.to_string())));
        self.request_of(method, path, fields, body)
    }

    fn request_of(
        &self,
        method: Method,
        path: &str,
        fields: &[(HeaderName, String)],
        body: Option<(&str, Bytes)>,
    ) -> Result<Request<Full<Bytes>>, Failure> {
        let host = match &self.server {
            Server::Socket(_) => "localhost".to_owned(),
            Server::Net { host, port, .. } => format!("{host}:{port}"),
        };
        let mut request = Request::builder().method(method).uri(path).header(header::HOST, host);
        if let Some(token) = &self.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {}", token.expose()));
        }
        for (name, value) in fields {
            request = request.header(name, value);
        }
        let bytes = match body {
            Some((kind, octets)) => {
                request = request.header(header::CONTENT_TYPE, kind);
                octets
            }
            None => Bytes::new(),
        };
        request.body(Full::new(bytes)).map_err(|error| Failure::Usage(format!("this can't be sent: {error}")))
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<Answer, Failure> {
        match &self.server {
            Server::Socket(path) => {
                let stream = UnixStream::connect(path).await.map_err(|error| no_socket(path, &error))?;
                check_owner(&stream, path)?;
                converse(stream, request).await
            }
            Server::Net { host, port, tls } => {
                let bare = host.trim_matches(['[', ']']);
                let unreachable = |error: io::Error| Failure::Unreachable(format!("{host}:{port}: {error}"));
                let stream = TcpStream::connect((bare, *port)).await.map_err(unreachable)?;
                let Some(tls) = tls else { return converse(stream, request).await };
                let name = ServerName::try_from(bare.to_owned())
                    .map_err(|_| Failure::Usage(format!("{host} is not a host name")))?;
                let stream = TlsConnector::from(Arc::clone(tls)).connect(name, stream).await.map_err(|error| {
                    let hint = "a self-signed certificate is trusted with --ca-file";
                    Failure::Unreachable(format!("{host}:{port}: {error}; {hint}"))
                })?;
                converse(stream, request).await
            }
        }
    }
}

fn no_socket(path: &std::path::Path, error: &io::Error) -> Failure {
    let path = path.display();
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            Failure::Denied(format!("{path}: only the user that runs the server may use its socket"))
        }
        _ => Failure::Unreachable(format!(
            "no server answers on {path}: name its file with --data, or its address with PILLARBOX_URL ({error})"
        )),
    }
}

/// Passwords go through the socket: whoever serves it must be this user or root.
fn check_owner(stream: &UnixStream, path: &std::path::Path) -> Result<(), Failure> {
    let own = rustix::process::getuid().as_raw();
    let peer = stream.peer_cred().map_err(|error| Failure::Denied(format!("{}: {error}", path.display())))?.uid();
    if own == 0 || peer == own || peer == 0 {
        return Ok(());
    }
    Err(Failure::Denied(format!("{}: served by another user (id {peer})", path.display())))
}

async fn converse(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Full<Bytes>>,
) -> Result<Answer, Failure> {
    let broken = |error: &dyn std::fmt::Display| Failure::Unreachable(format!("the server broke off: {error}"));
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|error| broken(&error))?;
    let driver = tokio::spawn(connection);
    let response = sender.send_request(request).await.map_err(|error| broken(&error))?;
    let status = response.status().as_u16();
    let bytes = Limited::new(response.into_body(), ANSWER_BYTES).collect().await;
    let bytes = bytes.map_err(|error| Failure::Unreachable(format!("the server broke off: {error}")))?.to_bytes();
    driver.abort();
    let text = || Some(String::from_utf8_lossy(&bytes).into_owned()).filter(|text| !text.is_empty());
    let body = serde_json::from_slice(&bytes).unwrap_or_else(|_| text().map_or(Value::Null, Value::String));
    if (200..300).contains(&status) { Ok(Answer { body, octets: bytes }) } else { Err(Failure::Refused(status, body)) }
}

fn parse_url(url: &str, place: &Place) -> Result<Server, Failure> {
    let wrong = || Failure::Usage(format!("{url:?} is not a server's address, as in https://mail.example.org"));
    let uri: Uri = url.parse().map_err(|_| wrong())?;
    let host = uri.host().ok_or_else(wrong)?.to_owned();
    if !matches!(uri.path(), "" | "/") || uri.query().is_some() {
        return Err(wrong());
    }
    let (tls, port) = match uri.scheme_str() {
        Some("https") => (Some(Arc::new(trust(place)?)), 443),
        Some("http") => (None, 80),
        _ => return Err(wrong()),
    };
    let is_loopback = host == "localhost"
        || host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
    if tls.is_none() && place.token.is_some() && !is_loopback {
        eprintln!("pillarbox: the token goes to {host} in the clear: use https");
    }
    Ok(Server::Net { host, port: uri.port_u16().unwrap_or(port), tls })
}

/// TLS that trusts `--ca-file`, else what the system trusts.
fn trust(place: &Place) -> Result<ClientConfig, Failure> {
    let file = match &place.ca_file {
        Some(file) => file.clone(),
        None => BUNDLES.into_iter().map(PathBuf::from).find(|bundle| bundle.exists()).ok_or_else(|| {
            Failure::Usage("this system has no certificates to trust: name some with --ca-file".into())
        })?,
    };
    let unread = |error: &dyn std::fmt::Display| Failure::Usage(format!("{}: {error}", file.display()));
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(&file).map_err(|error| unread(&error))? {
        // One that can't be used must not keep the others from being so.
        let _ = roots.add(certificate.map_err(|error| unread(&error))?);
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    Ok(config.map_err(|error| unread(&error))?.with_root_certificates(roots).with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::base::{Clock, SystemClock, SystemRandom};
    use crate::cli::args::Output;
    use crate::http::{self, Context, Handle, Sockets};
    use crate::schema::SCHEMA;
    use crate::store::{Options, Store};

    fn place(data: &Path, url: Option<String>) -> Place {
        Place { data: data.to_owned(), url, token: None, ca_file: None, output: Output::Json }
    }

    fn start(data: &Path) -> Handle {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let store = Store::open(Options::memory(clock.clone()), &SCHEMA).unwrap();
        let context = Context::in_memory(store, clock, Arc::new(SystemRandom));
        let mut sockets = Sockets::bind(Some("127.0.0.1:0".parse().unwrap()), None).unwrap();
        sockets.bind_socket(&socket_path(data)).unwrap();
        http::start(Arc::new(context), sockets, None).unwrap()
    }

    #[test]
    fn the_socket_makes_its_owner_an_administrator_and_loopback_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("x.redb");
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let handle = runtime.block_on(async { start(&data) });
        let url = handle.http.map(|address| format!("http://{address}"));
        let socket = Client::new(&place(&data, None)).unwrap();
        let loopback = Client::new(&place(&data, url)).unwrap();
        let path = "/api/v1/domains/x.test";
        let body = serde_json::json!({});
        assert!(matches!(loopback.send(Method::PUT, path, &[], Some(&body)), Err(Failure::Refused(401, _))));
        assert_eq!(socket.send(Method::PUT, path, &[], Some(&body)).unwrap().body["name"], "x.test");
        assert!(matches!(loopback.send(Method::GET, "/readyz", &[], None), Err(Failure::Refused(503, _))));
        runtime.block_on(handle.stop());
        assert!(matches!(socket.send(Method::GET, path, &[], None), Err(Failure::Unreachable(_))));
        assert!(!socket_path(&data).exists());
    }

    #[test]
    fn a_url_names_a_server_and_nothing_else() {
        let check = |url: &str, is_good: bool| {
            let seen = Client::new(&place(Path::new("x.redb"), Some(url.to_owned())));
            assert_eq!(seen.is_ok(), is_good, "{url}");
        };
        check("http://127.0.0.1:8080", true);
        check("http://[::1]:8080/", true);
        check("http://mail.example.test", true);
        check("mail.example.test", false);
        check("ftp://mail.example.test", false);
        check("http://mail.example.test/api", false);
        check("http://mail.example.test?x", false);
        check("nonsense nonsense", false);
    }
}
