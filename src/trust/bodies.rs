use crate::dkim::{BodyHash, BodyHasher};

/// Hashes a body as it streams by, in both forms that a signature may be of.
pub struct BodyHashes {
    relaxed: BodyHasher,
    simple: BodyHasher,
}

/// The hashes of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hashed {
    pub(super) relaxed: BodyHash,
    pub(super) simple: BodyHash,
}

impl Hashed {
    /// That of its relaxed form, as we sign it.
    pub fn relaxed(&self) -> BodyHash {
        self.relaxed
    }
}

impl Default for BodyHashes {
    fn default() -> Self {
        Self { relaxed: BodyHasher::default(), simple: BodyHasher::simple() }
    }
}

impl BodyHashes {
    /// Takes the next octets, from the blank line on.
    pub fn push(&mut self, piece: &[u8]) {
        self.relaxed.push(piece);
        self.simple.push(piece);
    }

    /// The hashes of all that has come.
    pub fn finish(self) -> Hashed {
        Hashed { relaxed: self.relaxed.finish(), simple: self.simple.finish() }
    }
}
