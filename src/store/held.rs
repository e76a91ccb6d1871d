use std::io;
use std::sync::Arc;

use redb::StorageBackend;

use super::opening::Opening;

/// Changes of a file, kept in memory until it is known that it is ours to change.
#[derive(Debug)]
pub(super) struct Held {
    changes: Vec<Change>,
    len: u64,
    /// Who waits for it.
    opening: Arc<Opening>,
}

#[derive(Debug)]
pub(super) enum Change {
    Write(u64, Vec<u8>),
    SetLen(u64),
    Sync,
}

impl Held {
    /// Over a file of `len` octets.
    pub(super) fn over(len: u64, opening: &Arc<Opening>) -> Self {
        Self { changes: Vec::new(), len, opening: Arc::clone(opening) }
    }

    pub(super) fn into_changes(self) -> Vec<Change> {
        self.changes
    }

    pub(super) fn len(&self) -> u64 {
        self.len
    }

    pub(super) fn write(&mut self, offset: u64, data: &[u8]) {
        self.changes.push(Change::Write(offset, data.to_vec()));
    }

    pub(super) fn set_len(&mut self, len: u64) {
        self.changes.push(Change::SetLen(len));
        self.len = len;
    }

    pub(super) fn sync(&mut self) {
        self.changes.push(Change::Sync);
    }

    /// What the file would hold.
    pub(super) fn read(&self, medium: &dyn StorageBackend, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.opening.note_read(out.len() as u64)?;
        let end = offset + out.len() as u64;
        if end > self.len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        out.fill(0);
        // Octets below it are the medium's own: what was cut off in between reads as zero.
        let mut kept = medium.len()?;
        for change in &self.changes {
            if let Change::SetLen(len) = change {
                kept = kept.min(*len);
            }
        }
        let from_medium = kept.min(end).saturating_sub(offset) as usize;
        if from_medium > 0 {
            medium.read(offset, &mut out[..from_medium])?;
        }
        for change in &self.changes {
            match change {
                Change::Write(at, bytes) => overlay(offset, out, *at, bytes),
                Change::SetLen(len) if *len < end => out[len.saturating_sub(offset) as usize..].fill(0),
                Change::SetLen(_) | Change::Sync => {}
            }
        }
        Ok(())
    }
}

/// Copies what `bytes` (at `at`) and `out` (at `offset`) have in common.
fn overlay(offset: u64, out: &mut [u8], at: u64, bytes: &[u8]) {
    let start = offset.max(at);
    let end = (offset + out.len() as u64).min(at + bytes.len() as u64);
    if start < end {
        let (into, from) = ((start - offset) as usize, (start - at) as usize);
        let len = (end - start) as usize;
        out[into..into + len].copy_from_slice(&bytes[from..from + len]);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::backend::{Backend, Disk};
    use super::super::fault::{FaultDisk, Operation};
    use super::*;

    #[test]
    fn what_is_held_is_read_as_if_it_were_written() {
        let fault = FaultDisk::holding((0..=255).collect());
        let disk = Arc::new(Disk::faulty(Arc::clone(&fault)));
        let backend = Backend(Arc::clone(&disk));
        disk.hold(&Arc::default()).unwrap();
        backend.write(10, &[1; 10]).unwrap();
        backend.set_len(100).unwrap();
        backend.set_len(300).unwrap();
        backend.write(90, &[2; 20]).unwrap();
        backend.sync_data().unwrap();
        let mut expected: Vec<u8> = (0..100).collect();
        expected.resize(300, 0);
        expected[10..20].fill(1);
        expected[90..110].fill(2);
        let read = |from: usize, to: usize| {
            let mut out = vec![9; to - from];
            backend.read(from as u64, &mut out).map(|()| out)
        };
        for (from, to) in [(0, 300), (5, 15), (15, 95), (85, 105), (99, 101), (110, 300), (300, 300)] {
            assert_eq!(read(from, to).unwrap(), expected[from..to], "{from}..{to}");
        }
        assert!(read(0, 301).is_err());
        assert_eq!(backend.len().unwrap(), 300);
        assert_eq!(fault.image(), (0..=255).collect::<Vec<u8>>());
        disk.release().unwrap();
        assert_eq!(fault.image(), expected);
        assert_eq!(fault.count(Operation::Sync), 1);
    }
}
