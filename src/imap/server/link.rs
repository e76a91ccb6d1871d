use std::time::Duration;

use memchr::memmem;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::directory::Presence;
use crate::net::{Connection, ConnectionError};

/// Octets of answers that are gathered before they are sent.
const OUTPUT_BYTES: usize = 64 * 1024;
/// How often a session without a login looks whether others need its place.
const PATIENCE_CHECK: Duration = Duration::from_secs(5);

/// Why a session ends.
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
    /// The only one with a last word: what stands behind `* BYE `.
    #[error("{0}")]
    Bye(&'static str),
}

/// The connection as commands see it: answers are gathered and go out in large pieces.
pub(super) struct Link {
    pub(super) connection: Connection,
    /// How long the client may be silent, or leave what we send unread.
    pub(super) idle: Duration,
    /// Ends the session when it waits: the server's, or that of a login.
    pub(super) stop: CancellationToken,
    /// Who has logged in.
    pub(super) presence: Option<Presence>,
}

impl Link {
    /// Somebody has logged in: the session ends when the login does.
    pub(super) fn enter(&mut self, presence: Presence) {
        self.stop = presence.stop().clone();
        self.presence = Some(presence);
    }

    /// Before each command: whether the login is still good.
    pub(super) fn check_login(&self) -> Result<(), End> {
        match &self.presence {
            Some(presence) if presence.has_ended() => Err(self.stopped()),
            _ => Ok(()),
        }
    }

    /// Why the session ends that was stopped.
    pub(super) fn stopped(&self) -> End {
        match &self.presence {
            Some(presence) if !presence.is_stopping() => End::LOGGED_OUT,
            _ => End::STOPPED,
        }
    }

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

    /// Sends what is gathered and waits for more input, for `most` at a time. Who has not logged in (`is_known`) and has
    /// said nothing `since` gets less when the server is nearly full.
    pub(super) async fn more_input(&mut self, since: Instant, most: Duration, is_known: bool) -> Result<(), End> {
        self.flush().await?;
        loop {
            let patience = if is_known { most } else { self.connection.patience(most) };
            let left = patience.saturating_sub(since.elapsed());
            let slice = if is_known { left } else { left.min(PATIENCE_CHECK) };
            match self.stop.run_until_cancelled(self.connection.fill(slice)).await {
                None => return Err(self.stopped()),
                Some(Err(ConnectionError::TimedOut)) if left > slice => {}
                // RFC 9051 §5.4
                Some(Err(ConnectionError::TimedOut)) => return Err(End::SILENT),
                Some(Ok(0)) => return Err(End::Eof),
                Some(count) => return Ok(count.map(drop)?),
            }
        }
    }

    /// The next line, which is no command, without its CRLF; `None` when it is longer than `bytes_max`: it is passed over.
    pub(super) async fn line(&mut self, bytes_max: usize, is_known: bool) -> Result<Option<Vec<u8>>, End> {
        let since = Instant::now();
        let mut is_long = false;
        loop {
            let buffered = self.connection.buffered();
            if let Some(end) = memmem::find(buffered, b"\r\n") {
                let line = (!is_long && end <= bytes_max).then(|| buffered[..end].to_vec());
                self.connection.consume(end + 2);
                return Ok(line);
            }
            if buffered.len() > bytes_max + 1 {
                // The CR of a CRLF may be the last octet.
                is_long = true;
                let count = buffered.len() - 1;
                self.connection.consume(count);
            }
            self.more_input(since, self.idle, is_known).await?;
        }
    }
}

impl End {
    pub(super) const STOPPED: Self = Self::Bye("[UNAVAILABLE] the server stops, try again later");
    pub(super) const LOGGED_OUT: Self = Self::Bye("your login has ended: log in again");
    pub(super) const SILENT: Self = Self::Bye("you were silent for too long");
}
