use std::convert::Infallible;

use super::blob_check::highest_id;
use super::blob_write::StagedBlob;
use super::error::{Halt, StoreError};
use super::op::Op;
use super::own::{BLOB_DATA, BLOB_DEAD, BLOB_HASH, BLOB_IDS, BLOB_PENDING, BLOBS, Blob, Number};
use super::span::Span;
use super::tx::Tx;
use super::view::{Read, damaged, encode_key};
use crate::base::{BlobId, limits};

/// Chunks that are removed at once with the last reference; more are left to the reaper.
const REMOVED_AT_ONCE: usize = 4;

impl Tx<'_> {
    /// Makes a staged body part of the file, with `references` (at least one) more references than it had: a body
    /// that is already there is found by its hash and shared.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn adopt_blob(&mut self, staged: &StagedBlob, references: u32) -> Result<BlobId, StoreError> {
        if let Some((id, mut blob)) = self.find_blob(staged)? {
            blob.references = more(&blob, references)?;
            self.put(&BLOBS, &id, &blob)?;
            return Ok(id);
        }
        let id = match staged.pending_id() {
            Some(id) => id,
            None => BlobId(self.next(BLOB_IDS, highest_id)?),
        };
        for (chunk, row) in (staged.chunk..).zip(&staged.rows) {
            self.put_bytes(BLOB_DATA.name(), &encode_key(&(id, chunk)), row)?;
        }
        self.remove(&BLOB_PENDING, &id)?;
        if staged.size_bytes >= limits::SHARED_BODY_BYTES {
            self.put(&BLOB_HASH, &short(&staged.hash), &Number(id.0))?;
        }
        let blob = Blob {
            references,
            size_bytes: staged.size_bytes,
            hash: staged.hash,
            runs: staged.runs.clone(),
            frames: staged.frames.clone(),
            checks: staged.checks.clone(),
        };
        self.put(&BLOBS, &id, &blob)?;
        Ok(id)
    }

    /// Makes a body that is made here and now part of the file, with so many references, at least one. It is compressed on
    /// the writer's thread: not for what comes from outside, which may be long.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn put_small_blob(&mut self, bytes: &[u8], references: u32) -> Result<BlobId, StoreError> {
        self.adopt_blob(&StagedBlob::small(bytes), references)
    }

    /// Adds references to a body.
    ///
    /// # Errors
    /// [`StoreError`], also when there is no such body.
    pub fn retain_blob(&mut self, id: BlobId, references: u32) -> Result<(), StoreError> {
        let mut blob = self.blob(id)?;
        blob.references = more(&blob, references)?;
        self.put(&BLOBS, &id, &blob)
    }

    /// Takes a reference off a body; when none is left, its chunks are removed, more than a few of them in the
    /// background, in slices. One that is not there, or whose row is damaged, can be let go too: a repair finds its chunks.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn release_blob(&mut self, id: BlobId) -> Result<(), StoreError> {
        let Some(mut blob) = self.get_if_sound(&BLOBS, &id)? else { return Ok(()) };
        blob.references = blob.references.saturating_sub(1);
        if blob.references > 0 {
            return self.put(&BLOBS, &id, &blob);
        }
        self.remove(&BLOBS, &id)?;
        let short = short(&blob.hash);
        if blob.size_bytes >= limits::SHARED_BODY_BYTES && self.get(&BLOB_HASH, &short)? == Some(Number(id.0)) {
            self.remove(&BLOB_HASH, &short)?;
        }
        if self.remove_chunks(id, REMOVED_AT_ONCE)? == REMOVED_AT_ONCE {
            self.put(&BLOB_DEAD, &id, &())?;
            self.wants_reaping();
        }
        Ok(())
    }

    fn blob(&self, id: BlobId) -> Result<Blob, StoreError> {
        self.get(&BLOBS, &id)?.ok_or_else(|| damaged(BLOBS.name(), "a body that is referred to is not there"))
    }

    /// The same body, if it is in the file.
    fn find_blob(&self, staged: &StagedBlob) -> Result<Option<(BlobId, Blob)>, StoreError> {
        let mut known = staged.pending_id();
        if staged.size_bytes >= limits::SHARED_BODY_BYTES {
            known = self.get(&BLOB_HASH, &short(&staged.hash))?.map(|id| BlobId(id.0)).or(known);
        }
        let Some(id) = known else { return Ok(None) };
        let blob = self.get(&BLOBS, &id)?;
        Ok(blob.filter(|blob| blob.hash == staged.hash && blob.size_bytes == staged.size_bytes).map(|blob| (id, blob)))
    }

    /// Removes up to `limit` chunks of a body; how many there were.
    fn remove_chunks(&mut self, id: BlobId, limit: usize) -> Result<usize, StoreError> {
        let keys = self.raw_keys(BLOB_DATA.name(), &Span::<(BlobId, u32)>::prefix(&id), limit)?;
        for key in &keys {
            self.remove_bytes(BLOB_DATA.name(), key)?;
        }
        Ok(keys.len())
    }
}

fn short(hash: &[u8; 32]) -> [u8; 16] {
    let mut short = [0; 16];
    short.copy_from_slice(&hash[..16]);
    short
}

fn more(blob: &Blob, references: u32) -> Result<u32, StoreError> {
    blob.references.checked_add(references).ok_or_else(|| damaged(BLOBS.name(), "too many references"))
}

/// Gives the chunks of a body that will not come any more to the reaper, unless it was adopted.
pub(super) struct Abandon(pub(super) BlobId);

/// The same for all that an earlier run of the server left behind.
pub(super) struct AbandonAll;

/// Removes a slice of the chunks that nothing refers to.
pub(super) struct Reap;

impl Op for Abandon {
    type Plan = bool;
    type Out = ();
    type Refused = Infallible;

    fn name(&self) -> &'static str {
        "abandon a body"
    }

    fn runs_when_full(&self) -> bool {
        true
    }

    fn check(&self, tx: &Tx<'_>) -> Result<bool, Halt<Infallible>> {
        Ok(tx.has(&BLOB_PENDING, &self.0)?)
    }

    fn apply(&self, tx: &mut Tx<'_>, pending: bool) -> Result<(), StoreError> {
        if pending {
            tx.remove(&BLOB_PENDING, &self.0)?;
            tx.put(&BLOB_DEAD, &self.0, &())?;
            tx.wants_reaping();
        }
        Ok(())
    }
}

impl Op for AbandonAll {
    type Plan = Vec<(BlobId, ())>;
    type Out = ();
    type Refused = Infallible;

    fn name(&self) -> &'static str {
        "abandon bodies of an earlier run"
    }

    fn runs_when_full(&self) -> bool {
        true
    }

    fn check(&self, tx: &Tx<'_>) -> Result<Self::Plan, Halt<Infallible>> {
        Ok(tx.rows(&BLOB_PENDING, Span::all(), usize::MAX)?)
    }

    fn apply(&self, tx: &mut Tx<'_>, pending: Self::Plan) -> Result<(), StoreError> {
        for (id, ()) in pending {
            tx.remove(&BLOB_PENDING, &id)?;
            tx.put(&BLOB_DEAD, &id, &())?;
        }
        tx.wants_reaping();
        Ok(())
    }
}

impl Op for Reap {
    type Plan = Vec<(BlobId, ())>;
    type Out = ();
    type Refused = Infallible;

    fn name(&self) -> &'static str {
        "reap chunks"
    }

    fn runs_when_full(&self) -> bool {
        true
    }

    fn check(&self, tx: &Tx<'_>) -> Result<Self::Plan, Halt<Infallible>> {
        Ok(tx.rows(&BLOB_DEAD, Span::all(), limits::REAPED_CHUNKS)?)
    }

    fn apply(&self, tx: &mut Tx<'_>, dead: Self::Plan) -> Result<(), StoreError> {
        let mut left = limits::REAPED_CHUNKS;
        for (id, ()) in dead {
            left -= tx.remove_chunks(id, left)?;
            if left == 0 {
                tx.wants_reaping();
                return Ok(());
            }
            tx.remove(&BLOB_DEAD, &id)?;
        }
        if tx.first(&BLOB_DEAD, Span::all())?.is_some() {
            tx.wants_reaping();
        }
        Ok(())
    }
}
