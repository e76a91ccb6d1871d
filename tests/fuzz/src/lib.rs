//! The pure rooms of Pillarbox, compiled from their own files, and what the fuzz targets check with.

#[path = "../../../src/base/mod.rs"]
pub mod base;
#[path = "../../../src/message/mod.rs"]
pub mod message;

/// IMAP without its server.
#[path = "../../../src/imap"]
pub mod imap {
    pub mod wire;
}

/// The policies of TLS without the file that they are kept in.
#[path = "../../../src/tlspolicy"]
pub mod tlspolicy {
    pub mod sts_policy;
    pub mod sts_record;
}

/// The record that asks for reports on TLS.
#[path = "../../../src/tlsreport"]
pub mod tlsreport {
    pub mod record;
}

pub mod syntax;

/// Pieces of `bytes` whose lengths are told by `lengths`, over and over; none is empty.
pub fn pieces<'a>(bytes: &'a [u8], lengths: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    let mut lengths = lengths.iter().cycle();
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let len = lengths.next().map_or(rest.len(), |len| usize::from(*len) + 1).min(rest.len());
        let (piece, behind) = rest.split_at(len);
        rest = behind;
        (!piece.is_empty()).then_some(piece)
    })
}

/// Divides what the fuzzer has made: its first octets tell how the rest is cut.
pub fn cuts(data: &[u8]) -> Option<([u8; 4], &[u8])> {
    let (lengths, rest) = data.split_first_chunk::<4>()?;
    Some((*lengths, rest))
}
