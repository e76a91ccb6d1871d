use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::blob_check::highest_id;
use super::blob_rows::Abandon;
use super::error::{Halt, StoreError, WriteError};
use super::frame::Frame;
use super::ladder;
use super::op::Op;
use super::own::{BLOB_DATA, BLOB_IDS, BLOB_PENDING, CHECK_BYTES, chunk_row};
use super::queue::Queue;
use super::tx::Tx;
use super::view::encode_key;
use crate::base::{BlobId, limits};

/// Octets by which a body's part of the budget grows.
const BUDGET_STEP_BYTES: usize = 64 * 1024;

/// Takes a body in as it comes: hashed (blake3), compressed in frames (zstd), cut into ladder chunks. What is above
/// 1 MiB goes to the file as pending while it comes.
///
/// While all bodies together are over their budget, each that comes is written to the file in short runs instead of
/// waiting: a body that is stuck with its sender can't stop the others.
pub struct BlobWriter {
    queue: Arc<Queue>,
    budget: Arc<Semaphore>,
    taken: Option<OwnedSemaphorePermit>,
    hasher: blake3::Hasher,
    size_bytes: u64,
    /// The frame that fills.
    raw: Vec<u8>,
    frames: Vec<Frame>,
    checks: Vec<[u8; CHECK_BYTES]>,
    /// Rows of the run that are not in the file yet, each of the longest.
    rows: Vec<Vec<u8>>,
    /// The frames behind them, less than a row.
    stored: Vec<u8>,
    /// Octets of the run, those in the file included.
    run_bytes: u64,
    /// The runs before it.
    runs: Vec<u64>,
    /// The next chunk's number.
    chunk: u32,
    pending: Option<Arc<Pending>>,
}

/// A body that is not yet part of the file. Dropped without being adopted, its pending chunks are collected.
pub struct StagedBlob {
    pub(super) size_bytes: u64,
    pub(super) hash: [u8; 32],
    pub(super) runs: Vec<u64>,
    pub(super) frames: Vec<Frame>,
    /// As in the body's row.
    pub(super) checks: Vec<[u8; CHECK_BYTES]>,
    /// The chunks that are not in the file yet, as rows, from number `chunk` on.
    pub(super) rows: Vec<Vec<u8>>,
    pub(super) chunk: u32,
    pending: Option<Arc<Pending>>,
    _taken: Option<OwnedSemaphorePermit>,
}

/// The chunks of a body that are in the file before it is. Whoever drops it last has them collected, unless the body
/// was adopted.
struct Pending {
    queue: Arc<Queue>,
    id: Mutex<Option<BlobId>>,
}

impl BlobWriter {
    pub(super) fn new(queue: Arc<Queue>, budget: Arc<Semaphore>) -> Self {
        Self {
            queue,
            budget,
            taken: None,
            hasher: blake3::Hasher::new(),
            size_bytes: 0,
            raw: Vec::new(),
            frames: Vec::new(),
            checks: Vec::new(),
            rows: Vec::new(),
            stored: Vec::new(),
            run_bytes: 0,
            runs: Vec::new(),
            chunk: 0,
            pending: None,
        }
    }

    /// Takes the next bytes; now and then it writes to the file and waits for that.
    ///
    /// # Errors
    /// As any write. The body can't be finished then.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), WriteError<Infallible>> {
        self.hasher.update(bytes);
        self.size_bytes += bytes.len() as u64;
        for piece in bytes.chunks(limits::BODY_ALLOWANCE_BYTES) {
            self.fill(piece);
            if self.stored_bytes() >= limits::PENDING_BODY_BYTES {
                let rows = std::mem::take(&mut self.rows);
                self.write_rows(rows).await?;
            } else if !self.fits_the_budget() {
                self.end_frame();
                self.end_run().await?;
            }
        }
        Ok(())
    }

    /// The whole body, ready for [`super::Tx::adopt_blob`].
    ///
    /// # Errors
    /// As any write.
    pub async fn finish(mut self) -> Result<StagedBlob, WriteError<Infallible>> {
        self.end_frame();
        if self.run_bytes > 0 {
            self.runs.push(self.run_bytes);
        }
        let rows = self.take_rows();
        Ok(StagedBlob {
            size_bytes: self.size_bytes,
            hash: *self.hasher.finalize().as_bytes(),
            runs: self.runs,
            checks: checks_of(self.checks),
            frames: self.frames,
            rows,
            chunk: self.chunk,
            pending: self.pending,
            _taken: self.taken,
        })
    }

    fn fill(&mut self, mut piece: &[u8]) {
        while !piece.is_empty() {
            let (now, later) = piece.split_at(piece.len().min(limits::FRAME_BYTES - self.raw.len()));
            if self.raw.len() + now.len() > limits::BODY_ALLOWANCE_BYTES {
                self.raw.reserve_exact(limits::FRAME_BYTES - self.raw.len());
            }
            self.raw.extend_from_slice(now);
            if self.raw.len() == limits::FRAME_BYTES {
                self.end_frame();
            }
            piece = later;
        }
    }

    fn end_frame(&mut self) {
        if !self.raw.is_empty() {
            let frame = Frame::append(&self.raw, &mut self.stored);
            self.run_bytes += u64::from(frame.stored_bytes);
            self.frames.push(frame);
            self.checks.push(frame_check(&self.raw));
            self.raw.clear();
            // Cut at once: larger buffers, grown and freed by each body, would cost more memory than they hold.
            while self.stored.len() >= ladder::LONGEST {
                self.rows.push(chunk_row(&self.stored[..ladder::LONGEST]));
                self.stored.drain(..ladder::LONGEST);
            }
        }
    }

    /// Octets of the run that are not in the file yet.
    fn stored_bytes(&self) -> usize {
        self.rows.len() * ladder::LONGEST + self.stored.len()
    }

    /// All rows of the run that are not in the file yet, to its end.
    fn take_rows(&mut self) -> Vec<Vec<u8>> {
        let mut rows = std::mem::take(&mut self.rows);
        rows.extend(ladder::cut(&self.stored).map(chunk_row));
        self.stored = Vec::new();
        rows
    }

    /// Takes more of the budget when the body needs it; whether it could.
    fn fits_the_budget(&mut self) -> bool {
        let held = self.raw.len() + self.stored_bytes();
        let covered = limits::BODY_ALLOWANCE_BYTES + self.taken.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        if held <= covered {
            return true;
        }
        let more = (held - covered).next_multiple_of(BUDGET_STEP_BYTES);
        let Ok(more) = Arc::clone(&self.budget).try_acquire_many_owned(u32::try_from(more).unwrap_or(u32::MAX)) else {
            return false;
        };
        match &mut self.taken {
            Some(taken) => taken.merge(more),
            none => *none = Some(more),
        }
        true
    }

    /// Writes all that the run has, and begins another.
    async fn end_run(&mut self) -> Result<(), WriteError<Infallible>> {
        let rows = self.take_rows();
        self.raw = Vec::new();
        self.runs.push(std::mem::take(&mut self.run_bytes));
        self.write_rows(rows).await
    }

    async fn write_rows(&mut self, rows: Vec<Vec<u8>>) -> Result<(), WriteError<Infallible>> {
        let first = self.chunk;
        self.chunk += rows.len() as u32;
        let new = || Arc::new(Pending { queue: Arc::clone(&self.queue), id: Mutex::new(None) });
        let pending = Arc::clone(self.pending.get_or_insert_with(new));
        let begins = pending.id().is_none();
        self.queue.write(Spill { pending, begins, first, rows }).await?.into_inner();
        self.taken = None;
        Ok(())
    }
}

/// What a frame of these octets is compared with.
pub(super) fn frame_check(raw: &[u8]) -> [u8; CHECK_BYTES] {
    let mut check = [0; CHECK_BYTES];
    check.copy_from_slice(&blake3::hash(raw).as_bytes()[..CHECK_BYTES]);
    check
}

/// The only frame of a body is compared with the body's hash.
fn checks_of(checks: Vec<[u8; CHECK_BYTES]>) -> Vec<[u8; CHECK_BYTES]> {
    if checks.len() > 1 { checks } else { Vec::new() }
}

impl StagedBlob {
    /// All of a body at once.
    pub(super) fn small(bytes: &[u8]) -> Self {
        let mut stored = Vec::new();
        let frames: Vec<Frame> = bytes.chunks(limits::FRAME_BYTES).map(|raw| Frame::append(raw, &mut stored)).collect();
        let checks = checks_of(bytes.chunks(limits::FRAME_BYTES).map(frame_check).collect());
        let runs = if stored.is_empty() { Vec::new() } else { vec![stored.len() as u64] };
        let rows = ladder::cut(&stored).map(chunk_row).collect();
        Self {
            size_bytes: bytes.len() as u64,
            hash: *blake3::hash(bytes).as_bytes(),
            runs,
            frames,
            checks,
            rows,
            chunk: 0,
            pending: None,
            _taken: None,
        }
    }

    /// The blake3 hash of the body's bytes.
    pub fn hash(&self) -> [u8; 32] {
        self.hash
    }

    /// Octets of the body, uncompressed.
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// Octets that adopting it will write.
    pub fn weight_bytes(&self) -> usize {
        128 + 16 * self.frames.len() + self.rows.iter().map(Vec::len).sum::<usize>()
    }

    /// The id under which its first chunks lie in the file, if some do.
    pub(super) fn pending_id(&self) -> Option<BlobId> {
        self.pending.as_ref().and_then(|pending| *pending.id())
    }
}

impl Pending {
    fn id(&self) -> MutexGuard<'_, Option<BlobId>> {
        self.id.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        let id = *self.id();
        if let Some(id) = id {
            self.queue.ride(Abandon(id));
        }
    }
}

/// Writes chunks of a body that is still coming.
struct Spill {
    pending: Arc<Pending>,
    begins: bool,
    first: u32,
    rows: Vec<Vec<u8>>,
}

impl Op for Spill {
    type Plan = ();
    type Out = ();
    type Refused = Infallible;

    fn name(&self) -> &'static str {
        "write chunks ahead"
    }

    fn weight_bytes(&self) -> usize {
        self.rows.iter().map(Vec::len).sum()
    }

    fn check(&self, _: &Tx<'_>) -> Result<(), Halt<Infallible>> {
        Ok(())
    }

    fn apply(&self, tx: &mut Tx<'_>, (): ()) -> Result<(), StoreError> {
        let known = if self.begins { None } else { *self.pending.id() };
        let id = match known {
            Some(id) => id,
            None => {
                let id = BlobId(tx.next(BLOB_IDS, highest_id)?);
                tx.put(&BLOB_PENDING, &id, &())?;
                id
            }
        };
        for (chunk, row) in (self.first..).zip(&self.rows) {
            tx.put_bytes(BLOB_DATA.name(), &encode_key(&(id, chunk)), row)?;
        }
        // Last: run again, it gives the id of that time.
        *self.pending.id() = Some(id);
        Ok(())
    }
}
