use std::ops::Deref;

/// Proof that what it holds is in a committed, synced transaction. Only the writer makes one.
#[derive(Debug)]
#[must_use = "a commit that nobody is told of"]
pub struct Committed<T>(T);

impl<T> Committed<T> {
    pub(super) fn new(value: T) -> Self {
        Self(value)
    }

    /// The value, without the proof.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> Deref for Committed<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}
