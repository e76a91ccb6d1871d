use super::Command;

/// A command that can't be read: `BAD`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct ParseError<'a> {
    /// The command's tag, where there is one; else the answer goes out untagged.
    pub tag: Option<&'a [u8]>,
    /// What is wrong with it and what was expected.
    pub what: &'static str,
}

/// Reads a whole command as [`super::Framer`] hands it out.
///
/// # Errors
/// [`ParseError`]
pub fn parse(command: &[u8]) -> Result<Command<'_>, ParseError<'_>> {
    let _ = command;
    todo!()
}
