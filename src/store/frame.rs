//! Frames: pieces of a body that are compressed each for itself, so that reading can begin in the middle.

use std::cell::RefCell;

use serde::{Deserialize, Serialize};
use zstd::bulk::{Compressor, Decompressor};

use crate::base::limits;

/// Level 1: measured on mail, the higher ones cost more time than they save octets.
const LEVEL: i32 = 1;

/// One frame. What compressing doesn't make shorter is stored as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Frame {
    /// Octets of the body, at most [`limits::FRAME_BYTES`].
    pub(super) raw_bytes: u32,
    /// Octets that they take; as many as `raw_bytes` when they are not compressed.
    pub(super) stored_bytes: u32,
}

thread_local! {
    // Contexts are some hundred KiB each: one for each thread that needs one.
    static COMPRESSOR: RefCell<Option<(Compressor<'static>, Vec<u8>)>> = const { RefCell::new(None) };
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

impl Frame {
    /// Appends `raw` to `stored`, compressed if that makes it shorter. Takes about 0.4 ms for a full frame.
    pub(super) fn append(raw: &[u8], stored: &mut Vec<u8>) -> Self {
        let before = stored.len();
        let compressed = COMPRESSOR.with_borrow_mut(|context| {
            if context.is_none() {
                *context = Some((Compressor::new(LEVEL).ok()?, Vec::new()));
            }
            let (compressor, out) = context.as_mut()?;
            if out.len() < zstd::zstd_safe::compress_bound(raw.len()) {
                out.resize(zstd::zstd_safe::compress_bound(raw.len()), 0);
            }
            let len = compressor.compress_to_buffer(raw, out.as_mut_slice()).ok().filter(|len| *len < raw.len())?;
            stored.extend_from_slice(&out[..len]);
            Some(())
        });
        if compressed.is_none() {
            stored.extend_from_slice(raw);
        }
        Self { raw_bytes: raw.len() as u32, stored_bytes: (stored.len() - before) as u32 }
    }

    /// The body's octets; `None` when `stored` is damaged.
    pub(super) fn restore(self, stored: Vec<u8>) -> Option<Vec<u8>> {
        let raw_bytes = self.raw_bytes as usize;
        if raw_bytes > limits::FRAME_BYTES || stored.len() != self.stored_bytes as usize {
            return None;
        }
        if self.stored_bytes == self.raw_bytes {
            return Some(stored);
        }
        DECOMPRESSOR.with_borrow_mut(|context| {
            if context.is_none() {
                *context = Decompressor::new().ok();
            }
            let raw = context.as_mut()?.decompress(&stored, raw_bytes).ok()?;
            (raw.len() == raw_bytes).then_some(raw)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Random, SeededRandom};

    fn check(raw: &[u8], shorter: bool) {
        let mut stored = b"before".to_vec();
        let frame = Frame::append(raw, &mut stored);
        let stored = stored.split_off(6);
        assert_eq!((frame.raw_bytes as usize, frame.stored_bytes as usize), (raw.len(), stored.len()));
        assert_eq!(stored.len() < raw.len(), shorter);
        for len in [0, stored.len() / 2] {
            assert!(len == stored.len() || frame.restore(stored[..len].to_vec()).is_none());
        }
        assert_eq!(frame.restore(stored).as_deref(), Some(raw));
    }

    #[test]
    fn a_frame_comes_back_as_it_was() {
        let mut noise = vec![0; limits::FRAME_BYTES];
        SeededRandom::new(1).fill(&mut noise);
        check(b"", false);
        check(b"short", false);
        check(&b"a line of a letter\r\n".repeat(1000), true);
        check(&vec![b'x'; limits::FRAME_BYTES], true);
        check(&noise, false);
    }
}
