//! Where others read a message otherwise than we do, and why: each kind with how often it comes in the whole corpus.

use crate::compare::Difference;

/// Who is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Other {
    /// Ours, asked in another way.
    Ourselves,
    /// Dovecot 2.3.19 of Debian 12.
    Dovecot,
    /// The crate mail-parser.
    MailParser,
}

/// A kind of difference that is understood.
pub struct Known {
    /// Its name in the report.
    pub name: &'static str,
    /// Why it is no fault of ours.
    pub why: &'static str,
    /// Whose reading differs.
    pub other: Other,
    /// How often it comes in 10,000 messages, at most.
    pub at_most: usize,
    /// Whether a difference in a message is of this kind.
    pub fits: fn(&Difference, &[u8]) -> bool,
}

/// All that are known.
pub const KNOWN: &[Known] = &[];
