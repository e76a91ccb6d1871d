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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    /// The set, with `*` in its place; `None` where it is none.
    fn resolved(text: &str, highest: u32) -> Option<Vec<(u32, u32)>> {
        let mut reader = Reader::new(text.as_bytes());
        let set = reader.sequence_set().ok().filter(|_| reader.is_empty())?;
        Some(set.resolve(highest))
    }

    fn check(text: &str, highest: u32, expected: Option<&[(u32, u32)]>) {
        assert_eq!(resolved(text, highest).as_deref(), expected, "{text} of {highest}");
    }

    #[test]
    fn a_set_is_ranges() {
        check("1", 9, Some(&[(1, 1)]));
        check("3,1", 9, Some(&[(1, 1), (3, 3)]));
        check("5:2", 9, Some(&[(2, 5)]));
        check("1:3,4", 9, Some(&[(1, 4)]));
        check("1:3,5,2:4", 9, Some(&[(1, 5)]));
        check("7,7,7:7", 9, Some(&[(7, 7)]));
        check("4294967295,1:4294967295", 9, Some(&[(1, u32::MAX)]));
        check("0001", 9, Some(&[(1, 1)]));
    }

    #[test]
    fn a_star_is_the_highest_number() {
        check("*", 9, Some(&[(9, 9)]));
        check("1:*", 9, Some(&[(1, 9)]));
        check("*:1", 9, Some(&[(1, 9)]));
        // RFC 9051 §9 "seq-range": it holds the highest number even when that is below its beginning.
        check("12:*", 9, Some(&[(9, 12)]));
        check("*:*", 9, Some(&[(9, 9)]));
        check("*,1:3", 9, Some(&[(1, 3), (9, 9)]));
        check("1:*,5", 0, Some(&[(5, 5)]));
        check("*", 0, Some(&[]));
    }

    #[test]
    fn what_is_no_set_is_refused() {
        let wrong =
            ["", "0", "1:0", "a", "1,", ",1", "1,,2", "1:", ":1", "1:2:3", "1 ,2", "-1", "+1", "1-2", "4294967296"];
        for text in wrong.into_iter().chain(["99999999999999999999999", "**", "1*", "$", "1;2", "0:*"]) {
            check(text, 9, None);
        }
    }

    #[test]
    fn a_set_has_so_many_ranges_and_no_more() {
        let set = |count: usize| vec!["1:2"; count].join(",");
        check(&set(limits::SEQUENCE_RANGES), 9, Some(&[(1, 2)]));
        check(&set(limits::SEQUENCE_RANGES + 1), 9, None);
    }

    proptest! {
        #[test]
        fn a_resolved_set_holds_what_the_set_says(
            ranges in prop::collection::vec((prop::option::of(1..20_u32), prop::option::of(1..20_u32)), 1..8), highest in 1..20_u32,
        ) {
            let star = |number: &Option<u32>| number.map_or("*".to_owned(), |number| number.to_string());
            let text: Vec<_> = ranges.iter().map(|(first, last)| format!("{}:{}", star(first), star(last))).collect();
            let seen = resolved(&text.join(","), highest).unwrap();
            let expected: BTreeSet<u32> = ranges.iter().flat_map(|(first, last)| {
                let (first, last) = (first.unwrap_or(highest), last.unwrap_or(highest));
                first.min(last)..=first.max(last)
            }).collect();
            prop_assert_eq!(seen.iter().flat_map(|(first, last)| *first..=*last).collect::<BTreeSet<_>>(), expected);
            prop_assert!(seen.windows(2).all(|pair| pair[0].1 + 1 < pair[1].0), "{:?}", seen);
        }
    }
}
