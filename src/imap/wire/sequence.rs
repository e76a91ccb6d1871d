use super::reader::{Read, Reader};
use crate::base::limits;

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
    /// highest number in use, and `n:*` always holds it. `highest` is 0 when there is none: then a range with `*` is
    /// empty.
    pub fn resolve(&self, highest: u32) -> Vec<(u32, u32)> {
        let number = |star: Star| match star {
            Star::Number(number) => number,
            Star::Highest => highest,
        };
        let ordered = |(first, last): &(Star, Star)| {
            let (first, last) = (number(*first), number(*last));
            (first.min(last), first.max(last))
        };
        let mut ranges: Vec<(u32, u32)> = self.ranges.iter().map(ordered).filter(|(first, _)| *first > 0).collect();
        ranges.sort_unstable();
        ranges.dedup_by(|next, kept| {
            let is_joined = next.0 <= kept.1.saturating_add(1);
            if is_joined {
                kept.1 = kept.1.max(next.1);
            }
            is_joined
        });
        ranges
    }
}

impl Reader<'_> {
    // RFC 9051 §9 "sequence-set"
    pub(super) fn sequence_set(&mut self) -> Read<SequenceSet> {
        let mut ranges = Vec::new();
        loop {
            let first = self.star()?;
            let last = if self.eat(b':') { self.star()? } else { first };
            if ranges.len() >= limits::SEQUENCE_RANGES {
                return Err("a sequence set has too many ranges");
            }
            ranges.push((first, last));
            if !self.eat(b',') {
                return Ok(SequenceSet { ranges });
            }
        }
    }

    fn star(&mut self) -> Read<Star> {
        if self.eat(b'*') {
            return Ok(Star::Highest);
        }
        self.nz_number("expected a sequence set such as 1,3:5,7:*").map(Star::Number)
    }
}
