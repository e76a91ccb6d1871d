use bytes::Bytes;
use futures_util::Stream;
use futures_util::stream::unfold;

use crate::store::StoreError;
use crate::{mailbox, queue};

/// What is read piece by piece. Nothing in the file is held open between two pieces.
pub(super) trait Pieces {
    /// The next piece; `None` at the end.
    async fn next(&mut self) -> Result<Option<Bytes>, StoreError>;
}

impl Pieces for mailbox::Content {
    async fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
        self.next().await
    }
}

impl Pieces for queue::Content {
    async fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
        self.next().await
    }
}

/// A long body, read as the client takes it. A failure breaks the connection off, so that what came is not taken for
/// the whole.
pub(super) fn stream(pieces: impl Pieces) -> impl Stream<Item = Result<Bytes, StoreError>> {
    unfold(Some(pieces), |pieces| async move {
        let mut pieces = pieces?;
        match pieces.next().await {
            Ok(Some(piece)) => Some((Ok(piece), Some(pieces))),
            Ok(None) => None,
            Err(error) => Some((Err(error), None)),
        }
    })
}
