use super::html::HtmlStripper;
use super::summary::{Part, PartKind};
use super::text_decoder::TextDecoder;
use crate::base::limits;

/// Octets that are decoded between two looks at whether there is enough.
const SLICE_BYTES: usize = 1024;

/// Makes the preview while the parts stream by: from the first plain text that says something, else from the first
/// HTML. Attachments are passed over.
#[derive(Default)]
pub(super) struct Previewer {
    plain: Collected,
    html: Collected,
    current: Option<Current>,
}

/// The part that is read.
struct Current {
    decoder: TextDecoder,
    stripper: Option<HtmlStripper>,
    /// Octets that may still be read.
    left_bytes: usize,
    decoded: String,
}

impl Previewer {
    /// The content of that part follows.
    pub fn begin(&mut self, part: &Part) {
        let is_attached = part.disposition.as_ref().is_some_and(|(kind, _)| kind == b"attachment");
        let is_wanted = match part.subtype.as_slice() {
            b"html" => self.plain.text.is_empty() && self.html.text.is_empty(),
            b"plain" => self.plain.text.is_empty(),
            _ => false,
        };
        let is_wanted = is_wanted && !is_attached && matches!(part.kind, PartKind::Text);
        self.current = is_wanted.then(|| Current {
            decoder: TextDecoder::of(part),
            stripper: (part.subtype == b"html").then(HtmlStripper::default),
            left_bytes: limits::PREVIEW_BYTES,
            decoded: String::new(),
        });
    }

    /// Takes the next octets of the content.
    pub fn push(&mut self, content: &[u8]) {
        if self.current.is_none() {
            return;
        }
        for slice in content.chunks(SLICE_BYTES) {
            let Some(current) = &mut self.current else { return };
            let slice = slice.get(..current.left_bytes).unwrap_or(slice);
            current.left_bytes -= slice.len();
            current.decoder.push(slice, &mut current.decoded);
            let is_full = current.collect(&mut self.plain, &mut self.html);
            if is_full || current.left_bytes == 0 {
                self.current = None;
            }
        }
    }

    /// The content has ended.
    pub fn end(&mut self) {
        if let Some(mut current) = self.current.take() {
            current.decoder.end(&mut current.decoded);
            current.collect(&mut self.plain, &mut self.html);
        }
    }

    /// The preview.
    pub fn finish(mut self) -> String {
        self.end();
        if self.plain.text.is_empty() { self.html.text } else { self.plain.text }
    }
}

impl Current {
    /// Hands on what was decoded; whether that was enough.
    fn collect(&mut self, plain: &mut Collected, html: &mut Collected) -> bool {
        let into = if let Some(stripper) = &mut self.stripper {
            stripper.push(&self.decoded, |c| html.push(c));
            html
        } else {
            self.decoded.chars().for_each(|c| plain.push(c));
            plain
        };
        self.decoded.clear();
        into.chars >= limits::PREVIEW_CHARS
    }
}

/// Text in one line, with one space between two words.
#[derive(Debug, Default)]
struct Collected {
    text: String,
    chars: usize,
    after_space: bool,
}

impl Collected {
    fn push(&mut self, c: char) {
        if c.is_whitespace() || c.is_control() {
            self.after_space = true;
            return;
        }
        // Newsletters fill their beginnings with what can't be seen.
        if matches!(c, '\u{ad}' | '\u{34f}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}') {
            return;
        }
        if self.after_space && !self.text.is_empty() && self.chars + 1 < limits::PREVIEW_CHARS {
            self.text.push(' ');
            self.chars += 1;
        }
        self.after_space = false;
        if self.chars < limits::PREVIEW_CHARS {
            self.text.push(c);
            self.chars += 1;
        }
    }
}
