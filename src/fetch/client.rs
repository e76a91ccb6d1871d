use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, CONNECTION, CONTENT_TYPE, HOST, USER_AGENT};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::base::{DomainName, Networks, limits};
use crate::dns::{DnsError, Resolver};
use crate::net::may_be_dialled;
use crate::tls::ClientTls;

/// Fetches texts by HTTPS.
#[derive(Debug, Clone)]
pub struct Client {
    /// Where hosts are found.
    pub resolver: Resolver,
    /// What a server's certificate must be: one that is verified.
    pub tls: Arc<ClientTls>,
    /// Of addresses that are not global, those that may be dialled all the same.
    pub allow_networks: Networks,
    /// Where web servers listen: 443.
    pub port: u16,
    /// For a fetch, from the question to the DNS to the last octet.
    pub within: Duration,
}

/// Why there is no text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// The host is not found.
    #[error(transparent)]
    Dns(#[from] DnsError),
    /// It has no address, or none that may be dialled.
    #[error("{0} has no address of the public internet")]
    Forbidden(DomainName),
    /// It does not answer, or breaks off.
    #[error("{0}")]
    Connection(String),
    /// Its certificate does not hold, or TLS fails otherwise.
    #[error("TLS failed: {0}")]
    Tls(String),
    /// It answers something else than 200. A redirect is not followed.
    #[error("the web server answered {0}")]
    Status(u16),
    /// It is no plain text.
    #[error("the web server's answer is not of type text/plain")]
    ContentType,
    /// It is longer than [`limits::FETCH_BYTES`].
    #[error("the web server's answer is longer than {} octets", limits::FETCH_BYTES)]
    TooLarge,
    /// It takes too long.
    #[error("the web server did not answer in time")]
    TimedOut,
}

impl Client {
    /// The plain text at `https://host/path`; `path` begins with a slash. The first address that takes a connection is
    /// asked, and no other one then.
    ///
    /// # Errors
    /// [`FetchError`].
    pub async fn text(&self, host: &DomainName, path: &str) -> Result<Vec<u8>, FetchError> {
        let fetched = tokio::time::timeout(self.within, async {
            let socket = self.connect(host).await?;
            let stream = self.secure(host, socket).await?;
            self.get(host, path, stream).await
        });
        fetched.await.unwrap_or(Err(FetchError::TimedOut))
    }

    async fn connect(&self, host: &DomainName) -> Result<TcpStream, FetchError> {
        let addresses = self.resolver.addresses(host).await?;
        let allowed = addresses.into_iter().map(|ip| ip.to_canonical()).filter(|ip| self.may(*ip));
        let allowed: Vec<IpAddr> = allowed.take(limits::SERVERS_TRIED).collect();
        let mut failed = FetchError::Forbidden(host.clone());
        // One that is dead does not take the time of all.
        let each = self.within / u32::try_from(allowed.len()).unwrap_or(u32::MAX).saturating_add(1);
        for ip in allowed {
            let address = SocketAddr::new(ip, self.port);
            match tokio::time::timeout(each, TcpStream::connect(address)).await {
                Ok(Ok(socket)) => return Ok(socket),
                Ok(Err(error)) => failed = FetchError::Connection(format!("connecting to {address}: {error}")),
                Err(_) => failed = FetchError::TimedOut,
            }
        }
        Err(failed)
    }

    fn may(&self, ip: IpAddr) -> bool {
        may_be_dialled(ip, &self.allow_networks)
    }

    // RFC 8461 §3.3: SNI, and a certificate for the host that is asked
    async fn secure(&self, host: &DomainName, socket: TcpStream) -> Result<TlsStream<TcpStream>, FetchError> {
        let name =
            ServerName::try_from(host.to_string()).map_err(|_| FetchError::Tls(format!("{host} is no host name")))?;
        let connector = TlsConnector::from(self.tls.handshake().config);
        connector.connect(name, socket).await.map_err(|error| FetchError::Tls(error.to_string()))
    }

    async fn get(&self, host: &DomainName, path: &str, stream: TlsStream<TcpStream>) -> Result<Vec<u8>, FetchError> {
        let broken = |error: hyper::Error| FetchError::Connection(error.to_string());
        let authority = if self.port == 443 { host.to_string() } else { format!("{host}:{}", self.port) };
        let request = Request::get(path)
            .header(HOST, authority)
            .header(USER_AGENT, "Pillarbox")
            .header(ACCEPT, "text/plain")
            .header(CONNECTION, "close")
            .body(Empty::<Bytes>::new())
            .map_err(|error| FetchError::Connection(error.to_string()))?;
        let mut builder = http1::Builder::new();
        builder.max_buf_size(limits::FETCH_BYTES);
        let (mut sender, connection) = builder.handshake(TokioIo::new(stream)).await.map_err(broken)?;
        // It ends with this fetch, however that ends.
        let mut driver = JoinSet::new();
        driver.spawn(connection);
        let response = sender.send_request(request).await.map_err(broken)?;
        // RFC 8461 §3.3: nothing but 200, and redirects are not followed
        if response.status() != StatusCode::OK {
            return Err(FetchError::Status(response.status().as_u16()));
        }
        if !is_plain_text(&response) {
            return Err(FetchError::ContentType);
        }
        match Limited::new(response.into_body(), limits::FETCH_BYTES).collect().await {
            Ok(body) => Ok(body.to_bytes().to_vec()),
            Err(error) if error.is::<LengthLimitError>() => Err(FetchError::TooLarge),
            Err(error) => Err(FetchError::Connection(error.to_string())),
        }
    }
}

/// Whatever its parameters are: what is no UTF-8 is seen by who reads it.
fn is_plain_text(response: &Response<Incoming>) -> bool {
    let kind = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("text/plain")
}
