use std::ops::{BitAnd, BitOr, Not};

use serde::{Deserialize, Serialize};

/// The system flags of a message that are kept, as a set. RFC 9051 §2.3.2
///
/// `\Recent` is none of them: it belongs to a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct SystemFlags(pub u32);

impl SystemFlags {
    /// No flag.
    pub const NONE: Self = Self(0);
    /// `\Seen`
    pub const SEEN: Self = Self(1);
    /// `\Answered`
    pub const ANSWERED: Self = Self(2);
    /// `\Flagged`
    pub const FLAGGED: Self = Self(4);
    /// `\Deleted`
    pub const DELETED: Self = Self(8);
    /// `\Draft`
    pub const DRAFT: Self = Self(16);
    /// All of them, with their names, in the order in which they are shown.
    pub const NAMES: [(Self, &'static str); 5] = [
        (Self::ANSWERED, "\\Answered"),
        (Self::FLAGGED, "\\Flagged"),
        (Self::DELETED, "\\Deleted"),
        (Self::SEEN, "\\Seen"),
        (Self::DRAFT, "\\Draft"),
    ];

    /// Whether all of `flags` are set.
    pub fn has(self, flags: Self) -> bool {
        self.0 & flags.0 == flags.0
    }

    /// The flag of that name, in any case.
    pub fn parse(name: &[u8]) -> Option<Self> {
        Self::NAMES.iter().find(|(_, known)| known.as_bytes().eq_ignore_ascii_case(name)).map(|(flag, _)| *flag)
    }
}

impl BitOr for SystemFlags {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitAnd for SystemFlags {
    type Output = Self;
    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl Not for SystemFlags {
    type Output = Self;
    fn not(self) -> Self {
        Self(!self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_reads_back_in_any_case() {
        for (flag, name) in SystemFlags::NAMES {
            assert_eq!(SystemFlags::parse(name.as_bytes()), Some(flag));
            assert_eq!(SystemFlags::parse(name.to_uppercase().as_bytes()), Some(flag));
        }
        assert_eq!(SystemFlags::parse(b"\\Recent"), None);
        assert_eq!(SystemFlags::parse(b"Seen"), None);
    }
}
