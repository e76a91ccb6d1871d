use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::header::HeaderName;
use hyper::{Method, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

use super::{ANSWER_BYTES, Client, Failure, Server, check_owner, no_socket};
use rustls::pki_types::ServerName;

/// A connection, whatever it runs over.
pub(super) trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Wire for T {}

impl Client {
    /// Sends a GET and hands the answer's octets to `each` as they come, until the server ends it or `each` says no
    /// (`Ok(false)`).
    ///
    /// # Errors
    /// As of [`Client::send`], and those of `each`.
    pub fn stream(
        &self,
        path: &str,
        fields: &[(HeaderName, String)],
        mut each: impl FnMut(&[u8]) -> Result<bool, Failure>,
    ) -> Result<(), Failure> {
        let request = self.request(Method::GET, path, fields, None)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Failure::Failed(error.to_string()))?;
        runtime.block_on(async {
            let began = tokio::time::timeout(self.patience, async {
                let (mut sender, connection) =
                    hyper::client::conn::http1::handshake(TokioIo::new(self.connect().await?)).await.map_err(broken)?;
                tokio::spawn(connection);
                sender.send_request(request).await.map_err(broken)
            });
            let no_answer = |_| Failure::Unreachable(format!("no answer within {} s", self.patience.as_secs()));
            let mut response = began.await.map_err(no_answer)??;
            if !response.status().is_success() {
                return Err(refused(response).await);
            }
            while let Some(frame) = response.frame().await {
                if let Ok(bytes) = frame.map_err(broken)?.into_data()
                    && !each(&bytes)?
                {
                    return Ok(());
                }
            }
            Ok(())
        })
    }

    pub(super) async fn connect(&self) -> Result<Box<dyn Wire>, Failure> {
        match &self.server {
            Server::Socket(path) => {
                let stream = UnixStream::connect(path).await.map_err(|error| no_socket(path, &error))?;
                check_owner(&stream, path)?;
                Ok(Box::new(stream))
            }
            Server::Net { host, port, tls } => {
                let bare = host.trim_matches(['[', ']']);
                let unreachable = |error: std::io::Error| Failure::Unreachable(format!("{host}:{port}: {error}"));
                let stream = TcpStream::connect((bare, *port)).await.map_err(unreachable)?;
                let Some(tls) = tls else { return Ok(Box::new(stream)) };
                let name = ServerName::try_from(bare.to_owned())
                    .map_err(|_| Failure::Usage(format!("{host} is not a host name")))?;
                Ok(Box::new(TlsConnector::from(tls.clone()).connect(name, stream).await.map_err(unreachable)?))
            }
        }
    }
}

pub(super) async fn refused(response: Response<Incoming>) -> Failure {
    let status = response.status().as_u16();
    match http_body_util::Limited::new(response.into_body(), ANSWER_BYTES).collect().await {
        Ok(body) => Failure::Refused(status, serde_json::from_slice(&body.to_bytes()).unwrap_or(Value::Null)),
        Err(error) => Failure::Unreachable(format!("the server broke off: {error}")),
    }
}

pub(super) fn broken(error: hyper::Error) -> Failure {
    Failure::Unreachable(format!("the server broke off: {error}"))
}
