use std::ops::Range;

use memchr::memmem;

use super::encoded_word::decode_field;
use super::field::fields;
use super::summary::{PartKind, Structure};
use super::text_decoder::TextDecoder;
use crate::base::limits;

/// Looks for texts in a message while it streams by: in its header fields with encoded words decoded, and in its text
/// parts with transfer encoding and charset decoded. Case is disregarded (RFC 5051 in spirit: Unicode case folding).
///
/// The header blocks of its parts, and of the messages inside, belong to the body. HTML is searched as it stands, with
/// its tags.
pub struct TextSearch {
    needles: Vec<memmem::Finder<'static>>,
    found: Vec<bool>,
    /// Octets of the longest text that is looked for.
    longest_bytes: usize,
    regions: std::vec::IntoIter<Region>,
    current: Option<Region>,
    /// Octets of the body that were taken.
    at: u64,
    decoder: Option<TextDecoder>,
    /// The header block of a part, as far as it has come.
    header: Vec<u8>,
    /// Text that is being looked through, folded: the end of what was, and what has come.
    text: String,
    decoded: String,
}

/// Octets of the body that are looked through.
struct Region {
    span: Range<u64>,
    /// For a text part; `None`: a header block.
    decoder: Option<TextDecoder>,
}

impl TextSearch {
    /// Looks for these texts, each in UTF-8; `structure` is the message's.
    pub fn new(texts: &[&str], structure: &Structure) -> Self {
        let needles: Vec<String> = texts.iter().map(|text| fold(text)).collect();
        let mut regions = Vec::new();
        for part in &structure.parts {
            if part.header_bytes > 0 {
                let span = part.header_at..part.header_at.saturating_add(part.header_bytes);
                regions.push(Region { span, decoder: None });
            }
            if part.kind == PartKind::Text && part.content_bytes > 0 {
                let span = part.content_at..part.content_at.saturating_add(part.content_bytes);
                regions.push(Region { span, decoder: Some(TextDecoder::of(part)) });
            }
        }
        Self {
            // RFC 9051 §6.4.4: the empty text is in every message.
            found: needles.iter().map(String::is_empty).collect(),
            longest_bytes: needles.iter().map(String::len).max().unwrap_or(0),
            needles: needles.iter().map(|needle| memmem::Finder::new(needle).into_owned()).collect(),
            regions: regions.into_iter(),
            current: None,
            at: 0,
            decoder: None,
            header: Vec::new(),
            text: String::new(),
            decoded: String::new(),
        }
    }

    /// Looks into the head: what TEXT asks for beyond BODY.
    pub fn push_head(&mut self, head: &[u8]) {
        for field in fields(head) {
            let line = format!("{}: {}", field.name, decode_field(field.value));
            self.look_through(&line);
            self.text.clear();
        }
    }

    /// Takes the next octets of the body.
    pub fn push(&mut self, bytes: &[u8]) {
        let end = self.at.saturating_add(bytes.len() as u64);
        loop {
            if self.current.is_none() {
                self.begin_region();
            }
            let Some(region) = &self.current else { break };
            let span = region.span.clone();
            let from = usize::try_from(span.start.saturating_sub(self.at)).unwrap_or(usize::MAX);
            let to = usize::try_from(span.end.saturating_sub(self.at)).unwrap_or(usize::MAX).min(bytes.len());
            self.push_region(bytes.get(from.min(to)..to).unwrap_or_default());
            if span.end > end {
                break;
            }
            self.end_region();
        }
        self.at = end;
    }

    /// Whether each text was found so far, in their order; when all are, the rest need not be read.
    pub fn found(&self) -> &[bool] {
        &self.found
    }

    fn begin_region(&mut self) {
        self.current = self.regions.next();
        self.decoder = self.current.as_mut().and_then(|region| region.decoder.take());
        self.text.clear();
    }

    fn push_region(&mut self, bytes: &[u8]) {
        match &mut self.decoder {
            Some(decoder) => {
                let mut decoded = std::mem::take(&mut self.decoded);
                for slice in bytes.chunks(SLICE_BYTES) {
                    decoded.clear();
                    decoder.push(slice, &mut decoded);
                    look_through(&self.needles, &mut self.found, self.longest_bytes, &mut self.text, &decoded);
                }
                self.decoded = decoded;
            }
            None => {
                let room = limits::PART_HEADER_BYTES.saturating_sub(self.header.len());
                self.header.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
            }
        }
    }

    fn end_region(&mut self) {
        if let Some(mut decoder) = self.decoder.take() {
            let mut decoded = std::mem::take(&mut self.decoded);
            decoded.clear();
            decoder.end(&mut decoded);
            self.look_through(&decoded);
            self.decoded = decoded;
        } else {
            let header = std::mem::take(&mut self.header);
            self.push_head(&header);
        }
        self.current = None;
    }

    fn look_through(&mut self, text: &str) {
        look_through(&self.needles, &mut self.found, self.longest_bytes, &mut self.text, text);
    }
}

/// Octets that are decoded and looked through at a time.
const SLICE_BYTES: usize = 16 * 1024;

/// Looks for the needles in the text, which continues `kept`, of which the end is kept again.
fn look_through(
    needles: &[memmem::Finder<'static>],
    found: &mut [bool],
    longest_bytes: usize,
    kept: &mut String,
    text: &str,
) {
    fold_into(text, kept);
    for (needle, found) in needles.iter().zip(found).filter(|(_, found)| !**found) {
        *found = needle.find(kept.as_bytes()).is_some();
    }
    let mut cut = kept.len().saturating_sub(longest_bytes.saturating_sub(1));
    while !kept.is_char_boundary(cut) {
        cut -= 1;
    }
    kept.drain(..cut);
}

/// A text in the form in which texts that differ only in case are equal.
pub fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    fold_into(text, &mut folded);
    folded
}

fn fold_into(text: &str, out: &mut String) {
    if text.is_ascii() {
        let from = out.len();
        out.push_str(text);
        if let Some(new) = out.get_mut(from..) {
            new.make_ascii_lowercase();
        }
    } else {
        // Character by character, so that nothing depends on what stands beside it (the final sigma).
        out.extend(text.chars().map(fold_char).flat_map(char::to_lowercase));
    }
}

/// Characters with two small forms are one.
fn fold_char(c: char) -> char {
    match c {
        'ς' => 'σ',
        'ẞ' => 'ß',
        c => c,
    }
}
