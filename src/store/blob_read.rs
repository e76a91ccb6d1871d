use std::ops::{ControlFlow, RangeBounds};
use std::panic::Location;
use std::sync::Arc;

use bytes::Bytes;

use super::blob_write::frame_check;
use super::engine::Engine;
use super::error::StoreError;
use super::frame::Frame;
use super::ladder;
use super::own::{BLOB_DATA, BLOBS, Blob, CHECK_BYTES, Chunk};
use super::readers::Readers;
use super::row::Row;
use super::span::Span;
use super::tx::Tx;
use super::view::{Read, View, damaged, encode_key};
use crate::base::BlobId;

/// Octets of a body up to which it is read where it is asked for; a longer one is read on a reader thread.
const READ_INLINE_BYTES: u64 = 64 * 1024;

/// Hands a body out in pieces of at most 128 KiB, each compared with its hash; holds no read transaction between two of
/// them. A body from before pieces had hashes is compared as a whole, before its last piece is handed out.
pub struct BlobReader {
    engine: Arc<Engine>,
    readers: Arc<Readers>,
    id: BlobId,
    offset: u64,
    shape: Option<Arc<Shape>>,
    /// The next frame.
    frame: usize,
    hasher: Option<blake3::Hasher>,
}

/// What is known of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlobFacts {
    /// How many references rooms have taken.
    pub references: u32,
    /// Octets of the body.
    pub size_bytes: u64,
    /// Its blake3 hash.
    pub hash: [u8; 32],
}

/// Where a body's octets lie.
#[derive(Debug)]
pub(super) struct Shape {
    size_bytes: u64,
    hash: [u8; 32],
    frames: Vec<Frame>,
    checks: Vec<[u8; CHECK_BYTES]>,
    /// Where each frame begins in the body, and among the stored octets.
    starts: Vec<(u64, u64)>,
    /// Where each chunk begins among the stored octets.
    chunks: Vec<u64>,
    stored_bytes: u64,
}

impl BlobReader {
    pub(super) fn new(engine: Arc<Engine>, readers: Arc<Readers>, id: BlobId) -> Self {
        let hasher = Some(blake3::Hasher::new());
        Self { engine, readers, id, offset: 0, shape: None, frame: 0, hasher }
    }

    /// Begins at that octet of the body instead of its first.
    #[must_use]
    pub fn at(mut self, offset: u64) -> Self {
        self.offset = offset;
        self
    }

    /// The next piece; `None` at the end.
    ///
    /// # Errors
    /// [`StoreError`], also when the body was removed meanwhile or is not what its hash says.
    pub async fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
        let shape = match &self.shape {
            Some(shape) => Arc::clone(shape),
            None => self.begin()?,
        };
        let Some(frame) = shape.frames.get(self.frame).copied() else { return Ok(None) };
        let (id, number) = (self.id, self.frame);
        let piece = if shape.size_bytes <= READ_INLINE_BYTES {
            shape.piece(&self.engine.view()?, id, number)?
        } else {
            let shape = Arc::clone(&shape);
            self.readers.read(Location::caller(), move |view| shape.piece(view, id, number)).await?
        };
        self.frame += 1;
        if let Some(hasher) = &mut self.hasher {
            hasher.update(&piece);
            if self.frame == shape.frames.len() && hasher.finalize().as_bytes() != &shape.hash {
                return Err(other_hash());
            }
        }
        let (start, _) = shape.starts.get(number).copied().unwrap_or_default();
        let skip = self.offset.saturating_sub(start).min(u64::from(frame.raw_bytes));
        Ok(Some(Bytes::from(piece).slice(skip as usize..)))
    }

    /// Reads a body and compares it with its hash.
    pub(super) fn read_all(view: &View, id: BlobId, shape: &Shape) -> Result<(), StoreError> {
        let mut hasher = blake3::Hasher::new();
        for number in 0..shape.frames.len() {
            hasher.update(&shape.piece(view, id, number)?);
        }
        if hasher.finalize().as_bytes() == &shape.hash { Ok(()) } else { Err(other_hash()) }
    }

    fn begin(&mut self) -> Result<Arc<Shape>, StoreError> {
        let blob = self.engine.view()?.get(&BLOBS, &self.id)?;
        let blob = blob.ok_or_else(|| damaged(BLOBS.name(), "the body is not there any more"))?;
        let shape = Arc::new(Shape::new(blob).ok_or_else(contradiction)?);
        if !shape.needs_the_whole() {
            self.hasher = None;
        }
        if self.offset > 0 {
            self.hasher = None;
            self.frame = if self.offset >= shape.size_bytes {
                shape.frames.len()
            } else {
                shape.starts.partition_point(|(start, _)| *start <= self.offset) - 1
            };
        }
        Ok(Arc::clone(self.shape.insert(shape)))
    }
}

impl View {
    /// What is known of a body; `None` when it isn't there.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn blob(&self, id: BlobId) -> Result<Option<BlobFacts>, StoreError> {
        Ok(self.get(&BLOBS, &id)?.map(|blob| BlobFacts::of(&blob)))
    }

    /// Appends octets of a body to `out`: `count` from `first` on, fewer where it ends before. What is read is compared
    /// with its hash. For bodies that are short: a [`BlobReader`] keeps no view open while it reads a long one.
    ///
    /// # Errors
    /// [`StoreError`], also when the body is not there or is not what its hash says.
    pub fn read_blob(&self, id: BlobId, first: u64, count: u64, out: &mut Vec<u8>) -> Result<(), StoreError> {
        read(self, id, first, count, out)
    }

    /// Calls `each` for every body: for a room's check of its own references.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn each_blob(&self, each: impl FnMut(BlobId, BlobFacts)) -> Result<(), StoreError> {
        self.each_blob_of(.., each)
    }

    /// The same for the bodies with ids of a range.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn each_blob_of(
        &self,
        ids: impl RangeBounds<BlobId>,
        mut each: impl FnMut(BlobId, BlobFacts),
    ) -> Result<(), StoreError> {
        self.scan(&BLOBS, Span::range(ids), |id, blob| {
            each(id, BlobFacts::of(&blob));
            ControlFlow::Continue(())
        })
    }
}

impl BlobFacts {
    fn of(blob: &Blob) -> Self {
        Self { references: blob.references, size_bytes: blob.size_bytes, hash: blob.hash }
    }
}

impl Tx<'_> {
    /// The octets of a body, compared with its hash. On the writer's thread: for bodies that are short.
    ///
    /// # Errors
    /// [`StoreError`], also when the body is not there or is not what its hash says.
    pub fn read_small_blob(&self, id: BlobId) -> Result<Vec<u8>, StoreError> {
        let mut out = Vec::new();
        read(self, id, 0, u64::MAX, &mut out)?;
        Ok(out)
    }
}

/// Where chunks are read.
trait Chunks: Read {
    /// Hands a chunk to `take`; `None` when it is not there or not what `take` wants.
    fn chunk(&self, id: BlobId, number: u32, take: impl FnOnce(&[u8]) -> Option<()>) -> Result<Option<()>, StoreError>;
}

impl Chunks for View {
    fn chunk(&self, id: BlobId, number: u32, take: impl FnOnce(&[u8]) -> Option<()>) -> Result<Option<()>, StoreError> {
        self.count_chunk();
        let taken = self.get_bytes(BLOB_DATA.name(), &encode_key(&(id, number)), |row| {
            let (version, bytes) = row.split_first()?;
            take(bytes).filter(|()| *version == Chunk::VERSION)
        });
        Ok(taken?.flatten())
    }
}

impl Chunks for Tx<'_> {
    fn chunk(&self, id: BlobId, number: u32, take: impl FnOnce(&[u8]) -> Option<()>) -> Result<Option<()>, StoreError> {
        Ok(self.get(&BLOB_DATA, &(id, number))?.and_then(|chunk| take(&chunk.0)))
    }
}

fn read(rows: &impl Chunks, id: BlobId, first: u64, count: u64, out: &mut Vec<u8>) -> Result<(), StoreError> {
    let blob = rows.get(&BLOBS, &id)?.ok_or_else(|| damaged(BLOBS.name(), "the body is not there any more"))?;
    let shape = Shape::new(blob).ok_or_else(contradiction)?;
    let end = first.saturating_add(count).min(shape.size_bytes);
    let is_whole = first == 0 && end == shape.size_bytes;
    let mut hasher = (is_whole && shape.needs_the_whole()).then(blake3::Hasher::new);
    for (number, (frame, (start, _))) in shape.frames.iter().zip(&shape.starts).enumerate() {
        let behind = start + u64::from(frame.raw_bytes);
        if behind <= first || *start >= end {
            continue;
        }
        let piece = shape.piece(rows, id, number)?;
        if let Some(hasher) = &mut hasher {
            hasher.update(&piece);
        }
        let (from, to) = (first.saturating_sub(*start), end.min(behind) - start);
        out.extend_from_slice(piece.get(from as usize..to as usize).ok_or_else(contradiction)?);
    }
    match hasher {
        Some(hasher) if hasher.finalize().as_bytes() != &shape.hash => Err(other_hash()),
        _ => Ok(()),
    }
}

impl Shape {
    /// `None` when the row contradicts itself.
    pub(super) fn new(blob: Blob) -> Option<Self> {
        let (mut raw, mut stored) = (0, 0);
        if !blob.checks.is_empty() && blob.checks.len() != blob.frames.len() {
            return None;
        }
        let mut starts = Vec::with_capacity(blob.frames.len());
        for frame in &blob.frames {
            starts.push((raw, stored));
            raw += u64::from(frame.raw_bytes);
            stored += u64::from(frame.stored_bytes);
        }
        if raw != blob.size_bytes || blob.runs.iter().try_fold(0u64, |sum, run| sum.checked_add(*run)) != Some(stored) {
            return None;
        }
        let mut chunks = Vec::new();
        let mut base = 0;
        for run in blob.runs {
            chunks.extend(ladder::starts(run).map(|start| base + start));
            base += run;
        }
        let Blob { hash, frames, checks, .. } = blob;
        Some(Self { size_bytes: raw, hash, frames, checks, starts, chunks, stored_bytes: stored })
    }

    /// Whether its frames prove nothing each for itself, so that only the whole can be compared.
    fn needs_the_whole(&self) -> bool {
        self.frames.len() > 1 && self.checks.is_empty()
    }

    /// How long each chunk must be.
    pub(super) fn chunk_lengths(&self) -> impl Iterator<Item = u64> {
        let ends = self.chunks.iter().skip(1).copied().chain([self.stored_bytes]);
        self.chunks.iter().zip(ends).map(|(start, end)| end - start)
    }

    /// The octets of a frame.
    fn piece(&self, rows: &impl Chunks, id: BlobId, number: usize) -> Result<Vec<u8>, StoreError> {
        let missing = || damaged(BLOB_DATA.name(), "a chunk is missing, damaged, or was removed");
        let (Some(frame), Some((_, start))) = (self.frames.get(number), self.starts.get(number).copied()) else {
            return Err(missing());
        };
        let end = start + u64::from(frame.stored_bytes);
        let mut stored = Vec::with_capacity(frame.stored_bytes as usize);
        let mut chunk = self.chunks.partition_point(|begin| *begin <= start) - 1;
        while (start + stored.len() as u64) < end {
            let begin = *self.chunks.get(chunk).ok_or_else(missing)?;
            let taken = rows.chunk(id, chunk as u32, |bytes| {
                let from = (start + stored.len() as u64 - begin) as usize;
                let to = bytes.len().min((end - begin) as usize);
                stored.extend_from_slice(bytes.get(from..to).filter(|part| !part.is_empty())?);
                Some(())
            })?;
            taken.ok_or_else(missing)?;
            chunk += 1;
        }
        frame.restore(stored).filter(|raw| self.is_frame(number, raw)).ok_or_else(missing)
    }

    /// Whether these are the octets of that frame. Of a body from before frames had checks only the whole is compared.
    fn is_frame(&self, number: usize, raw: &[u8]) -> bool {
        match self.checks.get(number) {
            Some(check) => frame_check(raw) == *check,
            None if self.frames.len() == 1 => blake3::hash(raw).as_bytes() == &self.hash,
            None => true,
        }
    }
}

fn contradiction() -> StoreError {
    damaged(BLOBS.name(), "the frames contradict the size")
}

fn other_hash() -> StoreError {
    damaged(BLOB_DATA.name(), "a body is not what its hash says")
}
