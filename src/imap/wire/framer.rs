/// Finds where a command ends: lines, and the literals that they announce. Octets of a command are gathered here, so that
/// a parsed command borrows from one run of octets.
///
/// The gathered form is as sent: `a LOGIN {5}\r\nalice {6}\r\nsecret`, without the last CRLF.
#[derive(Debug, Default)]
pub struct Framer {
    command: Vec<u8>,
}

/// What the framer has found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frame {
    /// More input is needed.
    Incomplete,
    /// A whole command: [`Framer::take`] hands it out.
    Command,
    /// The command announces a literal: [`Framer::so_far`] holds what stands before it, announcement and CRLF included.
    /// The driver has to say what becomes of it: [`Framer::collect`], [`Framer::skip`] or [`Framer::leave`].
    Literal(Literal),
    /// A command was longer than it may be, and was passed over to its end. Its tag is in [`Framer::so_far`], where it
    /// could be told.
    Oversize,
}

/// An announced literal. RFC 9051 §4.3, RFC 7888, RFC 6855 §4
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Literal {
    /// Octets.
    pub size_bytes: u64,
    /// The client waits for `+` before it sends them.
    pub is_synchronising: bool,
    /// `~{…}`: RFC 3516 §4.4
    pub is_binary: bool,
}

impl Framer {
    /// Nothing has come yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Looks at the input: what was found, and how many octets of the input are used up. `bytes_max`: octets that a
    /// command may have, its literals included.
    pub fn next(&mut self, input: &[u8], bytes_max: usize) -> (Frame, usize) {
        let _ = (input, bytes_max);
        todo!()
    }

    /// What was gathered of the command.
    pub fn so_far(&self) -> &[u8] {
        &self.command
    }

    /// The whole command, to be given back by [`Framer::recycle`] when it was executed.
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.command)
    }

    /// Takes the memory of a command back.
    pub fn recycle(&mut self, command: Vec<u8>) {
        let _ = command;
        todo!()
    }

    /// The literal is gathered with the command.
    pub fn collect(&mut self) {
        todo!()
    }

    /// The command is refused: what is left of it is passed over, with the octets of a literal that the client sends
    /// unasked. [`Frame::Oversize`] tells of its end; where the client waits for `+`, the command ends here.
    pub fn skip(&mut self) {
        todo!()
    }

    /// The driver takes the octets of the literal from the input itself. What comes behind them is gathered anew: the
    /// rest of the command's line.
    pub fn leave(&mut self) {
        todo!()
    }
}
