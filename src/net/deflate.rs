use std::io;

use bytes::{Buf, BytesMut};
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

/// Octets that are inflated at a time: what a few octets claim to hold costs no more memory than that.
const INFLATED_BYTES: usize = 16 * 1024;
/// Room for compressed octets that is added when there is no more.
const DEFLATED_BYTES: usize = 4 * 1024;

/// Both directions of a connection compressed. RFC 4978, RFC 1951
pub(super) struct Deflate {
    inflate: Decompress,
    /// It holds octets for which there was no room.
    has_more: bool,
    /// Made when something is to be sent. One may follow on another wherever all was flushed, since the next looks back
    /// at nothing that came before it.
    compress: Option<Compress>,
    /// What has come and is not yet inflated.
    pub(super) received: BytesMut,
    /// What is to be sent.
    pub(super) sending: Vec<u8>,
}

impl std::fmt::Debug for Deflate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Deflate").field("received", &self.received.len()).finish_non_exhaustive()
    }
}

impl Deflate {
    pub(super) fn new() -> Self {
        // RFC 4978 §3: without the header of zlib
        Self {
            inflate: Decompress::new(false),
            has_more: false,
            compress: None,
            received: BytesMut::new(),
            sending: Vec::new(),
        }
    }

    /// Appends to `input` what the received octets hold, up to a limit; says how many octets it was. 0: more has to come.
    pub(super) fn inflate(&mut self, input: &mut BytesMut) -> io::Result<usize> {
        let before = input.len();
        while (self.has_more || !self.received.is_empty()) && input.len() == before {
            input.resize(before + INFLATED_BYTES, 0);
            let (taken, made) = (self.inflate.total_in(), self.inflate.total_out());
            let status = self.inflate.decompress(&self.received, &mut input[before..], FlushDecompress::Sync);
            let taken = usize::try_from(self.inflate.total_in() - taken).unwrap_or(0);
            let made = usize::try_from(self.inflate.total_out() - made).unwrap_or(0);
            input.truncate(before + made);
            self.received.advance(taken);
            self.has_more = made == INFLATED_BYTES;
            match status? {
                Status::StreamEnd if made == 0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                _ if taken == 0 && made == 0 => return Ok(0),
                _ => {}
            }
        }
        if self.received.is_empty() {
            self.received = BytesMut::new();
        }
        Ok(input.len() - before)
    }

    /// Makes `output` ready to be sent, so that the other side can read all of it.
    pub(super) fn deflate(&mut self, mut output: &[u8]) -> io::Result<()> {
        let compress = self.compress.get_or_insert_with(|| Compress::new(Compression::fast(), false));
        loop {
            self.sending.reserve(DEFLATED_BYTES);
            let before = compress.total_in();
            compress.compress_vec(output, &mut self.sending, FlushCompress::Sync).map_err(io::Error::other)?;
            let taken = usize::try_from(compress.total_in() - before).unwrap_or(0);
            output = output.get(taken..).unwrap_or_default();
            // All is flushed when there was room left.
            if output.is_empty() && self.sending.len() < self.sending.capacity() {
                return Ok(());
            }
        }
    }

    /// Gives memory back that is not needed while nothing is said.
    pub(super) fn rest(&mut self) {
        self.compress = None;
        self.sending = Vec::new();
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::{DeflateDecoder, DeflateEncoder};

    use super::*;

    /// What another implementation's reader makes of what is sent in these pieces.
    fn check_deflate(pieces: &[&[u8]], rests: bool) {
        let mut deflate = Deflate::new();
        let mut wire = Vec::new();
        for (count, piece) in pieces.iter().enumerate() {
            deflate.deflate(piece).unwrap();
            wire.append(&mut deflate.sending);
            if rests {
                deflate.rest();
            }
            // Each piece can be read when it was sent, without what comes behind it.
            let expected = pieces[..=count].concat();
            let mut seen = vec![0; expected.len()];
            DeflateDecoder::new(&wire[..]).read_exact(&mut seen).unwrap();
            assert!(seen == expected, "piece {count}");
        }
    }

    #[test]
    fn each_piece_can_be_read_at_once() {
        let long: Vec<u8> = (0..200_000u32).flat_map(|n| n.wrapping_mul(n).to_le_bytes()).collect();
        for rests in [false, true] {
            check_deflate(&[b"* OK\r\n", b"* 1 EXISTS\r\n", &long, b"", &[b'x'; 100_000], b"a OK done\r\n"], rests);
        }
    }

    #[test]
    fn what_comes_is_inflated_piece_by_piece() {
        let text = b"a1 NOOP\r\n".repeat(50_000);
        let mut wire = Vec::new();
        DeflateEncoder::new(&text[..], Compression::best()).read_to_end(&mut wire).unwrap();
        for size in [1, 7, wire.len()] {
            let (mut deflate, mut seen, mut input) = (Deflate::new(), Vec::new(), BytesMut::new());
            for piece in wire.chunks(size) {
                deflate.received.extend_from_slice(piece);
                while seen.len() < text.len() && deflate.inflate(&mut input).unwrap() > 0 {
                    assert!(input.len() <= INFLATED_BYTES, "a bomb takes no memory");
                    seen.extend_from_slice(&input.split());
                }
            }
            assert!(seen == text, "in pieces of {size}");
        }
    }

    #[test]
    fn what_is_not_deflate_is_an_error() {
        let (mut deflate, mut input) = (Deflate::new(), BytesMut::new());
        deflate.received.extend_from_slice(b"a1 NOOP\r\na2 NOOP\r\n");
        assert!((0..9).any(|_| deflate.inflate(&mut input).is_err()));
    }
}
