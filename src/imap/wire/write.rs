use super::Answer;
use crate::base::Timestamp;
use crate::message::Structure;

/// Writes a tagged answer with its CRLF; `None`: untagged, as in `* OK …`.
pub fn write_answer(out: &mut Vec<u8>, tag: Option<&[u8]>, answer: &Answer) {
    let _ = (out, tag, answer);
    todo!()
}

/// Writes a string: quoted where it can be, else a literal. `None`: NIL.
pub fn write_nstring(out: &mut Vec<u8>, text: Option<&[u8]>) {
    let _ = (out, text);
    todo!()
}

/// Writes an atom where it can be one, else a string.
pub fn write_astring(out: &mut Vec<u8>, text: &[u8]) {
    let _ = (out, text);
    todo!()
}

/// Writes a number in decimal digits.
pub fn write_number(out: &mut Vec<u8>, number: u64) {
    let _ = (out, number);
    todo!()
}

/// Writes ranges as a sequence set, as in `1:3,7`.
pub fn write_ranges(out: &mut Vec<u8>, ranges: &[(u32, u32)]) {
    let _ = (out, ranges);
    todo!()
}

/// Writes a date-time with its quotes, in UTC. RFC 9051 §9 "date-time"
pub fn write_date_time(out: &mut Vec<u8>, at: Timestamp) {
    let _ = (out, at);
    todo!()
}

/// Writes a body structure, with extension data (BODYSTRUCTURE) or without (BODY). RFC 9051 §7.5.2
pub fn write_structure(out: &mut Vec<u8>, structure: &Structure, is_extended: bool) {
    let _ = (out, structure, is_extended);
    todo!()
}
