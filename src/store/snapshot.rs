use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use redb::StorageBackend;

/// Octets of the file that are kept or copied as one: redb's page.
const BLOCK_BYTES: u64 = 4096;
/// Octets that the copier reads at a time, and the writer too.
const STRIDE_BYTES: u64 = 1024 * 1024;
/// The same in blocks.
const STRIDE_BLOCKS: u64 = STRIDE_BYTES / BLOCK_BYTES;

/// The file as it stood at one instant, written into another while it goes on being changed (copy before write): what is
/// about to be overwritten, and was not copied yet, goes into the target first. So the writer never waits for the copy,
/// and memory holds one bit for each block.
#[derive(Debug)]
pub(super) struct Snapshot {
    target: File,
    /// Octets that the file had.
    len: u64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Octets from the start that are dealt with.
    cursor: u64,
    /// A bit for each block: the writer has put it into the target.
    kept: Vec<u64>,
    kept_bytes: u64,
    /// The target failed while the writer put something into it: the copy is worth nothing.
    failure: Option<io::Error>,
}

impl Snapshot {
    /// Of a file of `len` octets, into a target that is empty.
    pub(super) fn into_target(target: File, len: u64) -> io::Result<Self> {
        target.set_len(len)?;
        let words = len.div_ceil(BLOCK_BYTES).div_ceil(64) as usize;
        let state = State { cursor: 0, kept: vec![0; words], kept_bytes: 0, failure: None };
        Ok(Self { target, len, state: Mutex::new(state) })
    }

    /// The octets that the file had.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// The octets that the writer put into the target, since it was quicker.
    pub(super) fn kept_bytes(&self) -> u64 {
        self.lock().kept_bytes
    }

    /// The writer is about to change these octets. It must not fail because of a copy: what goes wrong here is the copy's.
    pub(super) fn before_change(&self, medium: &dyn StorageBackend, changed: Range<u64>) {
        let mut state = self.lock();
        if state.failure.is_some() {
            return;
        }
        let from = changed.start.max(state.cursor) / BLOCK_BYTES;
        let end = changed.end.min(self.len).div_ceil(BLOCK_BYTES);
        for run in state.unkept(from..end) {
            // A file that is made shorter loses any number of them at once: memory must not grow with that.
            for start in run.clone().step_by(STRIDE_BLOCKS as usize) {
                let blocks = start..run.end.min(start + STRIDE_BLOCKS);
                if let Err(error) = self.keep(medium, &blocks) {
                    state.failure = Some(error);
                    return;
                }
                state.note_kept(blocks);
            }
        }
    }

    /// Copies the next piece. Says how far it has come; `None` at the end.
    ///
    /// `data_from` says from where on the file has anything but holes.
    pub(super) fn copy_next(
        &self,
        medium: &dyn StorageBackend,
        data_from: impl FnOnce(u64) -> u64,
        buffer: &mut Vec<u8>,
    ) -> io::Result<Option<u64>> {
        let cursor = self.lock().cursor;
        if cursor == self.len {
            return self.lock().failure.take().map_or(Ok(None), Err);
        }
        // What is a hole now was one then, or the writer has kept what was there before it cut it off.
        let from = (data_from(cursor) / BLOCK_BYTES * BLOCK_BYTES).clamp(cursor, self.len);
        let end = (from + STRIDE_BYTES).min(self.len);
        buffer.resize((end - from) as usize, 0);
        // Outside of the lock, so that the writer doesn't wait for it.
        let read = medium.read(from, buffer);
        let unkept = {
            let mut state = self.lock();
            if let Some(failure) = state.failure.take() {
                return Err(failure);
            }
            // A block that isn't kept was not changed until now: what was read of it is what was there.
            let unkept = state.unkept(from / BLOCK_BYTES..end.div_ceil(BLOCK_BYTES));
            if read.is_err() {
                // The file got shorter meanwhile: what is left of this piece is read once more, and nothing is cut off now.
                for blocks in &unkept {
                    medium.read(self.octets(blocks).start, self.piece(buffer, from, blocks))?;
                }
            }
            state.cursor = end;
            unkept
        };
        for blocks in unkept {
            self.write_what_is_no_hole(self.octets(&blocks).start, self.piece(buffer, from, &blocks))?;
        }
        Ok(Some(end))
    }

    fn keep(&self, medium: &dyn StorageBackend, blocks: &Range<u64>) -> io::Result<()> {
        let octets = self.octets(blocks);
        let mut bytes = vec![0; (octets.end - octets.start) as usize];
        medium.read(octets.start, &mut bytes)?;
        self.write_what_is_no_hole(octets.start, &bytes)
    }

    /// The target has zeros where nothing was written.
    fn write_what_is_no_hole(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut blocks = bytes.chunks(BLOCK_BYTES as usize).zip((offset..).step_by(BLOCK_BYTES as usize)).peekable();
        while let Some((block, start)) = blocks.next() {
            if is_zero(block) {
                continue;
            }
            let mut length = block.len();
            while let Some((block, _)) = blocks.next_if(|(block, _)| !is_zero(block)) {
                length += block.len();
            }
            let from = (start - offset) as usize;
            self.target.write_all_at(&bytes[from..from + length], start)?;
        }
        Ok(())
    }

    /// The octets of these blocks in a buffer of what stands from `from` on.
    fn piece<'a>(&self, buffer: &'a mut [u8], from: u64, blocks: &Range<u64>) -> &'a mut [u8] {
        let octets = self.octets(blocks);
        &mut buffer[(octets.start - from) as usize..(octets.end - from) as usize]
    }

    fn octets(&self, blocks: &Range<u64>) -> Range<u64> {
        blocks.start * BLOCK_BYTES..(blocks.end * BLOCK_BYTES).min(self.len)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The runs of blocks that the writer has not kept.
    fn unkept(&self, blocks: Range<u64>) -> Vec<Range<u64>> {
        let mut runs: Vec<Range<u64>> = Vec::new();
        for block in blocks {
            if self.kept[(block / 64) as usize] >> (block % 64) & 1 == 1 {
                continue;
            }
            match runs.last_mut() {
                Some(run) if run.end == block => run.end += 1,
                _ => runs.push(block..block + 1),
            }
        }
        runs
    }

    fn note_kept(&mut self, blocks: Range<u64>) {
        self.kept_bytes += (blocks.end - blocks.start) * BLOCK_BYTES;
        for block in blocks {
            self.kept[(block / 64) as usize] |= 1 << (block % 64);
        }
    }
}

fn is_zero(bytes: &[u8]) -> bool {
    // Compared with itself, shifted by one: as quick as memcmp.
    bytes.first().is_none_or(|first| *first == 0) && bytes.get(1..).is_none_or(|tail| *tail == bytes[..tail.len()])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use redb::backends::InMemoryBackend;

    use super::*;

    #[derive(Debug, Clone)]
    enum Step {
        Write(u64, u64, u8),
        SetLen(u64),
        Copy,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            4 => (0..3_500_000u64, 1..20_000u64, any::<u8>()).prop_map(|(at, len, octet)| Step::Write(at, len, octet)),
            1 => (0..4_000_000u64).prop_map(Step::SetLen),
            1 => Just(Step::Copy),
        ];
        prop::collection::vec(step, 0..40)
    }

    fn play(step: &Step, medium: &InMemoryBackend, snapshot: Option<&Snapshot>) {
        let len = medium.len().unwrap();
        let before_change = |octets: Range<u64>| {
            if let Some(snapshot) = snapshot {
                snapshot.before_change(medium, octets);
            }
        };
        match *step {
            Step::Write(at, length, octet) => {
                let (at, end) = (at.min(len), (at + length).min(len));
                before_change(at..end);
                medium.write(at, &vec![octet; (end - at) as usize]).unwrap();
            }
            Step::SetLen(to) => {
                before_change(to..len.max(to));
                medium.set_len(to).unwrap();
            }
            Step::Copy => {
                if let Some(snapshot) = snapshot {
                    snapshot.copy_next(medium, |offset| offset, &mut Vec::new()).unwrap();
                }
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn the_target_holds_the_file_of_the_instant(before in steps(), meanwhile in steps(), len in 0..3_000_000u64) {
            let medium = InMemoryBackend::new();
            medium.set_len(len).unwrap();
            before.iter().for_each(|step| play(step, &medium, None));
            let mut expected = vec![0; medium.len().unwrap() as usize];
            medium.read(0, &mut expected).unwrap();

            let target = tempfile::tempfile().unwrap();
            let snapshot = Snapshot::into_target(target.try_clone().unwrap(), expected.len() as u64).unwrap();
            meanwhile.iter().for_each(|step| play(step, &medium, Some(&snapshot)));
            while snapshot.copy_next(&medium, |offset| offset, &mut Vec::new()).unwrap().is_some() {}

            let mut seen = vec![1; expected.len()];
            target.read_exact_at(&mut seen, 0).unwrap();
            prop_assert!(seen == expected && target.metadata().unwrap().len() == expected.len() as u64);
        }
    }

    /// Reads no more at once than memory is to hold.
    #[derive(Debug)]
    struct Narrow(InMemoryBackend);

    impl StorageBackend for Narrow {
        fn len(&self) -> io::Result<u64> {
            self.0.len()
        }

        fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
            if out.len() as u64 > STRIDE_BYTES {
                Err(io::ErrorKind::OutOfMemory.into())
            } else {
                self.0.read(offset, out)
            }
        }

        fn set_len(&self, len: u64) -> io::Result<()> {
            self.0.set_len(len)
        }

        fn sync_data(&self) -> io::Result<()> {
            self.0.sync_data()
        }

        fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
            self.0.write(offset, data)
        }
    }

    #[test]
    fn a_file_that_gets_much_shorter_is_kept_in_pieces() {
        const LEN: u64 = 16 * STRIDE_BYTES + 5;
        let medium = Narrow(InMemoryBackend::new());
        medium.set_len(LEN).unwrap();
        (0..LEN).step_by(3_000).for_each(|at| medium.write(at, &at.to_le_bytes()[..4]).unwrap());
        let mut expected = vec![0; LEN as usize];
        medium.0.read(0, &mut expected).unwrap();
        let target = tempfile::tempfile().unwrap();
        let snapshot = Snapshot::into_target(target.try_clone().unwrap(), LEN).unwrap();
        snapshot.before_change(&medium, 5_000_000..5_000_001);
        snapshot.before_change(&medium, 10..u64::MAX);
        medium.set_len(10).unwrap();
        while snapshot.copy_next(&medium, |offset| offset, &mut Vec::new()).unwrap().is_some() {}
        let mut seen = vec![1; LEN as usize];
        target.read_exact_at(&mut seen, 0).unwrap();
        assert!(seen == expected, "the copy is what was there before");
    }

    #[test]
    fn a_target_that_fails_is_the_copys_fault_alone() {
        let medium = InMemoryBackend::new();
        medium.set_len(10_000).unwrap();
        medium.write(0, &[1; 10_000]).unwrap();
        let read_only = tempfile::NamedTempFile::new().unwrap();
        read_only.as_file().set_len(10_000).unwrap();
        let target = File::open(read_only.path()).unwrap();
        assert!(Snapshot::into_target(target.try_clone().unwrap(), 10_000).is_err());
        let state = State { cursor: 0, kept: vec![0; 1], kept_bytes: 0, failure: None };
        let snapshot = Snapshot { target, len: 10_000, state: Mutex::new(state) };
        snapshot.before_change(&medium, 0..5);
        assert!(snapshot.copy_next(&medium, |offset| offset, &mut Vec::new()).is_err());
    }
}
