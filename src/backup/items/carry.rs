use std::convert::Infallible;

use crate::base::{BlobId, MailboxId, Uid, limits};
use crate::mailbox::{self, Archived};
use crate::store::{Archive, StagedBlob, Store, StoreError, View, WriteError};

/// Octets of a body that are read at a time.
const PIECE_BYTES: u64 = 1024 * 1024;

/// A message of a copy in memory, or why it can't be read.
pub(super) type Loaded = Result<(Archived, Body), StoreError>;

/// A message's body in the copy.
pub(super) enum Body {
    /// There is none.
    None,
    /// All of it, as its hash says.
    Short(Vec<u8>),
    /// Where it is.
    Long { blob: BlobId, size_bytes: u64, hash: [u8; 32] },
}

/// Why a body did not come over.
pub(super) enum StageError {
    /// It can't be read in the copy.
    Damaged(StoreError),
    /// It can't be written here.
    Write(WriteError<Infallible>),
}

impl From<WriteError<Infallible>> for StageError {
    fn from(error: WriteError<Infallible>) -> Self {
        Self::Write(error)
    }
}

/// Reads the first of these messages, as many as fit in memory at a time. Blocks.
pub(super) fn load(archive: &Archive, mailbox: MailboxId, uids: &[Uid]) -> Vec<(Uid, Loaded)> {
    let (mut messages, mut bytes) = (Vec::new(), 0);
    for uid in uids.iter().take(limits::RESTORED_AT_ONCE) {
        if bytes >= limits::RESTORED_AT_ONCE_BYTES {
            break;
        }
        let Some(read) = archive.read(|view| load_one(view, mailbox, *uid)).transpose() else { continue };
        if let Ok((archived, body)) = &read {
            bytes += archived.weight_bytes() + if let Body::Short(body) = body { body.len() } else { 0 };
        }
        messages.push((*uid, read));
    }
    messages
}

fn load_one(view: &View, mailbox: MailboxId, uid: Uid) -> Result<Option<(Archived, Body)>, StoreError> {
    let Some(archived) = mailbox::archived(view, mailbox, uid)? else { return Ok(None) };
    let Some(blob) = archived.blob else { return Ok(Some((archived, Body::None))) };
    let missing = || StoreError::Damaged { table: "blobs", what: format!("the body of {uid} is not there") };
    let facts = view.blob(blob)?.ok_or_else(missing)?;
    if facts.size_bytes > PIECE_BYTES {
        return Ok(Some((archived, Body::Long { blob, size_bytes: facts.size_bytes, hash: facts.hash })));
    }
    let mut body = Vec::new();
    // All of it: it is compared with its hash.
    view.read_blob(blob, 0, u64::MAX, &mut body)?;
    Ok(Some((archived, Body::Short(body))))
}

/// Brings a body over.
pub(super) async fn stage(archive: &Archive, store: &Store, body: Body) -> Result<Option<StagedBlob>, StageError> {
    let (blob, size_bytes, hash) = match body {
        Body::None => return Ok(None),
        Body::Short(bytes) => {
            let mut writer = store.blob_writer();
            writer.write(&bytes).await?;
            return Ok(Some(writer.finish().await?));
        }
        Body::Long { blob, size_bytes, hash } => (blob, size_bytes, hash),
    };
    let mut writer = store.blob_writer();
    let mut at = 0;
    while at < size_bytes {
        let archive = archive.clone();
        let read = move || {
            let mut piece = Vec::new();
            archive.read(|view| view.read_blob(blob, at, PIECE_BYTES, &mut piece)).map(|()| piece)
        };
        let piece = tokio::task::spawn_blocking(read).await;
        let piece = piece.map_err(|error| StageError::Damaged(StoreError::Storage(error.to_string())))?;
        let piece = piece.map_err(StageError::Damaged)?;
        at += PIECE_BYTES;
        writer.write(&piece).await?;
    }
    let staged = writer.finish().await?;
    if staged.hash() != hash {
        let what = "a body is not what its hash says".to_owned();
        return Err(StageError::Damaged(StoreError::Damaged { table: "blob_data", what }));
    }
    Ok(Some(staged))
}
