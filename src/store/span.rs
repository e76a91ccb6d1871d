use std::marker::PhantomData;
use std::ops::{Bound, RangeBounds};

use super::key::{Key, PrefixOf};

/// Where a span begins and ends, as the file's keys.
pub(super) type Bounds<'a> = (Bound<&'a [u8]>, Bound<&'a [u8]>);

/// A run of keys of one table.
pub struct Span<K> {
    start: Bound<Vec<u8>>,
    end: Bound<Vec<u8>>,
    types: PhantomData<fn() -> K>,
}

impl<K: Key> Span<K> {
    /// Every key.
    pub fn all() -> Self {
        Self { start: Bound::Unbounded, end: Bound::Unbounded, types: PhantomData }
    }

    /// The keys in a range, as in `Span::range(a..=b)`.
    pub fn range(range: impl RangeBounds<K>) -> Self {
        let bytes = |bound: Bound<&K>| bound.map(encoded);
        Self { start: bytes(range.start_bound()), end: bytes(range.end_bound()), types: PhantomData }
    }

    /// The keys that begin with `prefix`.
    pub fn prefix<P: PrefixOf<K>>(prefix: &P) -> Self {
        let start = encoded(prefix);
        let end = successor(&start).map_or(Bound::Unbounded, Bound::Excluded);
        Self { start: Bound::Included(start), end, types: PhantomData }
    }

    /// The same span, from behind `key` on: for the next page of a list.
    #[must_use]
    pub fn after(mut self, key: &K) -> Self {
        self.start = Bound::Excluded(encoded(key));
        self
    }

    /// The span as bytes; `None` when no key can lie in it.
    pub(super) fn bounds(&self) -> Option<Bounds<'_>> {
        let (start, end) = (self.start.as_ref().map(Vec::as_slice), self.end.as_ref().map(Vec::as_slice));
        let possible = match (start, end) {
            (Bound::Unbounded, _) | (_, Bound::Unbounded) => true,
            (Bound::Included(start), Bound::Included(end)) => start <= end,
            (Bound::Included(start) | Bound::Excluded(start), Bound::Included(end) | Bound::Excluded(end)) => {
                start < end
            }
        };
        possible.then_some((start, end))
    }
}

fn encoded<T: Key>(value: &T) -> Vec<u8> {
    let mut out = Vec::new();
    value.write(&mut out);
    out
}

/// The smallest bytes that sort behind everything that begins with `bytes`.
fn successor(bytes: &[u8]) -> Option<Vec<u8>> {
    let last = bytes.iter().rposition(|byte| *byte != 255)?;
    let mut next = bytes[..=last].to_vec();
    next[last] += 1;
    Some(next)
}
