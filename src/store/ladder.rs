//! How a stream of octets is cut into rows that fill the storage engine's pages. A row that is a little too long for a
//! page of 4096·2^k octets takes one of twice the size, so rows are cut just below these sizes.

/// The sizes, the longest first: 4096·2^k − 40, which leaves room for the page's own octets, the key and the row's
/// version byte.
const STEPS: [usize; 6] = [131_032, 65_496, 32_728, 16_344, 8_152, 4_056];

/// Octets of the longest row.
pub(super) const LONGEST: usize = STEPS[0];

/// How long the next row is when `left` octets are still to be cut.
pub(super) fn next_cut(left: usize) -> usize {
    STEPS.into_iter().find(|step| *step <= left).unwrap_or(left)
}

/// Cuts `stream` into rows that follow each other.
pub(super) fn cut(mut stream: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (row, rest) = stream.split_at_checked(next_cut(stream.len()))?;
        stream = rest;
        (!row.is_empty()).then_some(row)
    })
}

/// Where each row of a stream of `len` octets begins.
pub(super) fn starts(len: u64) -> impl Iterator<Item = u64> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let left = usize::try_from(len - at).unwrap_or(usize::MAX);
        let start = at;
        at += next_cut(left) as u64;
        (left > 0).then_some(start)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(len: usize, expected: &[usize]) {
        let stream: Vec<u8> = (0..len).map(|n| n as u8).collect();
        let rows: Vec<&[u8]> = cut(&stream).collect();
        assert_eq!(rows.iter().map(|row| row.len()).collect::<Vec<_>>(), expected);
        assert_eq!(rows.concat(), stream);
        let begins = expected.iter().scan(0, |at, len| Some(std::mem::replace(at, *at + *len as u64)));
        assert_eq!(starts(len as u64).collect::<Vec<_>>(), begins.collect::<Vec<_>>());
    }

    #[test]
    fn a_stream_is_cut_into_the_longest_rows_that_fit() {
        check(0, &[]);
        check(1, &[1]);
        check(4_056, &[4_056]);
        check(4_057, &[4_056, 1]);
        check(20_000, &[16_344, 3_656]);
        check(131_032, &[131_032]);
        check(300_000, &[131_032, 131_032, 32_728, 4_056, 1_152]);
    }

    #[test]
    fn every_step_fits_its_page() {
        for (k, step) in STEPS.into_iter().rev().enumerate() {
            assert_eq!(step, (4096 << k) - 40);
        }
    }
}
