//! Octets of a row that are compressed where that makes them shorter, and then with a checksum of their own: what stands
//! there as it is, the row's checksum covers.

use std::cell::RefCell;

use zstd::bulk::{Compressor, Decompressor};
use zstd::zstd_safe::CParameter;

/// Level 1: measured on mail, the higher ones cost more time than they save octets.
const LEVEL: i32 = 1;
/// Octets that were packed at once, at most: what says more is damaged.
const RAW_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Octets below which nothing is gained.
const WORTH_BYTES: usize = 64;

thread_local! {
    // Contexts are some hundred KiB each: one for each thread that needs one.
    static COMPRESSOR: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

/// Appends how many octets `raw` has, and the octets, compressed (zstd with its checksum) if that makes them shorter.
/// Takes about 10 µs for the head of a message.
pub fn pack(raw: &[u8], out: &mut Vec<u8>) {
    let length = u32::try_from(raw.len()).unwrap_or(u32::MAX);
    out.extend_from_slice(&length.to_be_bytes());
    let compressed = COMPRESSOR.with_borrow_mut(|context| {
        if raw.len() < WORTH_BYTES {
            return None;
        }
        if context.is_none() {
            let mut compressor = Compressor::new(LEVEL).ok()?;
            compressor.set_parameter(CParameter::ChecksumFlag(true)).ok()?;
            *context = Some(compressor);
        }
        context.as_mut()?.compress(raw).ok().filter(|compressed| compressed.len() < raw.len())
    });
    out.extend_from_slice(compressed.as_deref().unwrap_or(raw));
}

/// What was packed; `None` when it is damaged.
pub fn unpack(packed: &[u8]) -> Option<Vec<u8>> {
    let (length, packed) = packed.split_first_chunk()?;
    let length = u32::from_be_bytes(*length) as usize;
    if packed.len() == length {
        return Some(packed.to_vec());
    }
    if length > RAW_BYTES_MAX || packed.len() > length {
        return None;
    }
    DECOMPRESSOR.with_borrow_mut(|context| {
        if context.is_none() {
            *context = Decompressor::new().ok();
        }
        context.as_mut()?.decompress(packed, length).ok().filter(|raw| raw.len() == length)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Random, SeededRandom};

    fn check(raw: &[u8], shorter: bool) {
        let mut packed = b"before".to_vec();
        pack(raw, &mut packed);
        let packed = packed.split_off(6);
        assert_eq!(packed.len() < raw.len(), shorter, "{} octets of {}", packed.len(), raw.len());
        assert_eq!(unpack(&packed).as_deref(), Some(raw));
        if shorter {
            for place in 0..packed.len() {
                let mut damaged = packed.clone();
                damaged[place] ^= 0x01;
                assert_eq!(unpack(&damaged), None, "octet {place}");
            }
        }
    }

    #[test]
    fn what_was_packed_comes_back_or_is_damaged() {
        let mut noise = vec![0; 5000];
        SeededRandom::new(1).fill(&mut noise);
        check(b"", false);
        check(b"Subject: short\r\n", false);
        check(&noise, false);
        check(b"Received: from a.example (a.example [192.0.2.1]) by mx.example.test\r\n".repeat(20).as_slice(), true);
        for damaged in [&b""[..], b"\0\0", b"\0\0\0\x02a", b"\xff\xff\xff\xffabc"] {
            assert_eq!(unpack(damaged), None, "{damaged:?}");
        }
    }
}
