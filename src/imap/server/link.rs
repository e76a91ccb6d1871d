use std::time::Duration;

use crate::net::{Connection, ConnectionError};

/// Octets of answers that are gathered before they are sent.
const OUTPUT_BYTES: usize = 64 * 1024;

/// Why a session ends without a word.
#[derive(Debug, thiserror::Error)]
pub(super) enum End {
    #[error(transparent)]
    Connection(#[from] ConnectionError),
    #[error("the client has closed the connection")]
    Eof,
    #[error("another protocol was spoken")]
    Foreign,
    #[error("bytes came in the clear behind STARTTLS")]
    BytesBehindStartTls,
    #[error("a message could not be read to its end: {0}")]
    Message(crate::store::StoreError),
}

/// The connection as commands see it: answers are gathered and go out in large pieces.
pub(super) struct Link {
    pub(super) connection: Connection,
    /// How long the client may be silent, or leave what we send unread.
    pub(super) idle: Duration,
}

impl Link {
    /// Where answers are written to.
    pub(super) fn output(&mut self) -> &mut Vec<u8> {
        self.connection.output()
    }

    /// Sends what is gathered when it is much. To be called between two answers of any length, so that memory does not
    /// grow with what is asked for.
    pub(super) async fn relieve(&mut self) -> Result<(), End> {
        if self.connection.output().len() >= OUTPUT_BYTES { self.flush().await } else { Ok(()) }
    }

    /// Sends what is gathered.
    pub(super) async fn flush(&mut self) -> Result<(), End> {
        Ok(self.connection.flush(self.idle).await?)
    }
}
