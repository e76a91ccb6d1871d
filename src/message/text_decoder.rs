use super::charset::CharsetDecoder;
use super::summary::Part;
use super::transfer::TransferDecoder;

/// Octets that are decoded at a time: what is between the two decoders stays that small.
const SLICE_BYTES: usize = 16 * 1024;

/// Decodes the content of a text part as it streams by: its transfer encoding, then its charset.
pub struct TextDecoder {
    transfer: TransferDecoder,
    charset: CharsetDecoder,
    bytes: Vec<u8>,
}

impl TextDecoder {
    /// For the content of that part.
    pub fn of(part: &Part) -> Self {
        let charset = part.parameters.iter().find(|(name, _)| name == b"charset").map(|(_, value)| value.as_slice());
        Self {
            transfer: TransferDecoder::new(&part.encoding),
            charset: CharsetDecoder::new(charset.unwrap_or_default()),
            bytes: Vec::new(),
        }
    }

    /// Appends the text to `out`.
    pub fn push(&mut self, content: &[u8], out: &mut String) {
        for slice in content.chunks(SLICE_BYTES) {
            if self.transfer.is_identity() {
                self.charset.push(slice, false, out);
            } else {
                self.bytes.clear();
                self.transfer.push(slice, &mut self.bytes);
                self.charset.push(&self.bytes, false, out);
            }
        }
    }

    /// The content has ended: appends what was left open.
    pub fn end(&mut self, out: &mut String) {
        self.bytes.clear();
        self.transfer.end(&mut self.bytes);
        self.charset.push(&self.bytes, true, out);
    }
}
