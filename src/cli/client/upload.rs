use std::fs::File;
use std::io::Read;
use std::path::Path;

use futures_util::stream::unfold;
use http_body_util::{BodyExt, Limited, StreamBody};
use hyper::body::{Bytes, Frame};
use hyper::{Method, Request, header};
use hyper_util::rt::TokioIo;
use serde_json::Value;

use super::stream::{broken, refused};
use super::{ANSWER_BYTES, Client, Failure};

/// Octets that are read of a file at a time.
const PIECE_BYTES: usize = 256 * 1024;

impl Client {
    /// POSTs a file, piece by piece, and waits for the answer.
    ///
    /// # Errors
    /// As of [`Client::send`], and where the file can't be read.
    pub fn upload(&self, path: &str, kind: &str, file: &Path) -> Result<Value, Failure> {
        let unread = |error: std::io::Error| Failure::Usage(format!("{}: {error}", file.display()));
        let opened = File::open(file).map_err(unread)?;
        let length = opened.metadata().map_err(unread)?.len();
        let (mut head, _) = self.request(Method::POST, path, &[], None)?.into_parts();
        for (name, value) in [(header::CONTENT_TYPE, kind.to_owned()), (header::CONTENT_LENGTH, length.to_string())] {
            let value = value.parse().map_err(|error| Failure::Usage(format!("this can't be sent: {error}")))?;
            head.headers.insert(name, value);
        }
        let pieces = unfold(opened, |mut opened| async move {
            let mut piece = Vec::with_capacity(PIECE_BYTES);
            match opened.by_ref().take(PIECE_BYTES as u64).read_to_end(&mut piece) {
                Ok(0) => None,
                Ok(_) => Some((Ok::<_, std::io::Error>(Frame::data(Bytes::from(piece))), opened)),
                Err(error) => Some((Err(error), opened)),
            }
        });
        let request = Request::from_parts(head, StreamBody::new(Box::pin(pieces)));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.map_err(|error| Failure::Failed(error.to_string()))?.block_on(async {
            let (mut sender, connection) =
                hyper::client::conn::http1::handshake(TokioIo::new(self.connect().await?)).await.map_err(broken)?;
            tokio::spawn(connection);
            let response = sender.send_request(request).await.map_err(broken)?;
            if !response.status().is_success() {
                return Err(refused(response).await);
            }
            let body = Limited::new(response.into_body(), ANSWER_BYTES).collect().await;
            let body = body.map_err(|error| Failure::Unreachable(format!("the server broke off: {error}")))?;
            Ok(serde_json::from_slice(&body.to_bytes()).unwrap_or(Value::Null))
        })
    }
}
