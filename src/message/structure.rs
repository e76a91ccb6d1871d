use super::{Structure, Summary};

/// Finds a message's parts while its body streams by (RFC 2045, RFC 2046): memory does not grow with the message.
///
/// What is deeper or more than the limits is part of the content of the last part that is within them.
#[derive(Debug)]
pub struct StructureScanner {}

/// What the scanner has found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scanned {
    /// The parts.
    pub structure: Structure,
    /// The beginning of the text, decoded.
    pub preview: String,
}

impl StructureScanner {
    /// Of a message with that header block.
    pub fn new(header_block: &[u8]) -> Self {
        let _ = header_block;
        todo!()
    }

    /// Takes the next octets of the body, whose first are the blank line behind the header block.
    pub fn push(&mut self, bytes: &[u8]) {
        let _ = bytes;
        todo!()
    }

    /// The message has ended.
    pub fn finish(self) -> Scanned {
        todo!()
    }
}

impl Summary {
    /// The summary of a message with that head (trace fields and header block) and those parts.
    pub fn of(head: &[u8], scanned: Scanned) -> Self {
        let _ = (head, scanned);
        todo!()
    }

    /// The same for a message that is in memory: its head, and its body from the blank line on.
    pub fn of_whole(head: &[u8], body: &[u8]) -> Self {
        let _ = (head, body);
        todo!()
    }
}

/// Looks for texts in a message while it streams by: in its header fields with encoded words decoded, and in its text
/// parts with transfer encoding and charset decoded. Case is disregarded (RFC 5051 in spirit: Unicode case folding).
#[derive(Debug)]
pub struct TextSearch {}

impl TextSearch {
    /// Looks for these texts, each in UTF-8; `structure` is the message's.
    pub fn new(texts: &[&str], structure: &Structure) -> Self {
        let _ = (texts, structure);
        todo!()
    }

    /// Looks into the head: what TEXT asks for beyond BODY.
    pub fn push_head(&mut self, head: &[u8]) {
        let _ = head;
        todo!()
    }

    /// Takes the next octets of the body.
    pub fn push(&mut self, bytes: &[u8]) {
        let _ = bytes;
        todo!()
    }

    /// Whether each text was found so far, in their order; when all are, the rest need not be read.
    pub fn found(&self) -> &[bool] {
        todo!()
    }
}
