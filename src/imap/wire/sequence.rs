/// A sequence set: numbers and ranges, as they were given. RFC 9051 §9 "sequence-set"
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SequenceSet {
    /// First and last of each range, in the order in which they stood.
    pub ranges: Vec<(Star, Star)>,
}

/// A number of a sequence set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Star {
    /// A number, never 0.
    Number(u32),
    /// `*`: the highest there is.
    Highest,
}

impl SequenceSet {
    /// The set with `*` in its place: ranges sorted, merged, each with its smaller end first. RFC 9051 §9: `*` is the
    /// highest number in use, and `n:*` always holds it.
    pub fn resolve(&self, highest: u32) -> Vec<(u32, u32)> {
        let _ = highest;
        todo!()
    }
}
