/// The boundaries of the multiparts that are open, from the outside in.
#[derive(Debug, Default)]
pub(super) struct Boundaries {
    open: Vec<Boundary>,
    /// Octets of the longest there has been.
    longest_bytes: usize,
}

#[derive(Debug)]
struct Boundary {
    text: Vec<u8>,
    /// How deep its multipart lies.
    depth: usize,
}

/// A boundary line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found {
    /// Which of the open boundaries.
    place: usize,
    /// How deep its multipart lies.
    pub depth: usize,
    /// It is the last: no further part of that multipart follows.
    pub is_last: bool,
}

impl Boundaries {
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    pub fn open(&mut self, text: Vec<u8>, depth: usize) {
        self.longest_bytes = self.longest_bytes.max(text.len());
        self.open.push(Boundary { text, depth });
    }

    /// None counts any more.
    pub fn clear(&mut self) {
        self.open.clear();
    }

    /// Octets of a line that decide whether it is a boundary line: the hyphens on both sides, and one to see that the
    /// line goes on.
    pub fn deciding_bytes(&self) -> usize {
        self.longest_bytes.saturating_add(5)
    }

    /// Which boundary a line is, by its first [`Boundaries::deciding_bytes`].
    ///
    /// A line need only begin with the boundary. Of several that fit, the longest is meant, and of equal ones the inner:
    /// programs nest multiparts whose boundaries begin alike.
    // RFC 2046 §5.1.1, §5.1.2
    pub fn find(&self, line: &[u8]) -> Option<Found> {
        let line = line.get(..self.deciding_bytes()).unwrap_or(line);
        let text = line.strip_prefix(b"--")?.trim_ascii_end();
        let mut best: Option<(usize, &Boundary)> = None;
        for (place, boundary) in self.open.iter().enumerate().rev() {
            let Some(behind) = text.strip_prefix(boundary.text.as_slice()) else { continue };
            if best.is_none_or(|(_, known)| known.text.len() < boundary.text.len()) {
                best = Some((place, boundary));
            }
            if behind.is_empty() || behind == b"--" {
                best = Some((place, boundary));
                break;
            }
        }
        let (place, boundary) = best?;
        let is_last = text.get(boundary.text.len()..).is_some_and(|behind| behind.starts_with(b"--"));
        Some(Found { place, depth: boundary.depth, is_last })
    }

    /// Those inside the found one are over, and that itself when it was its last line.
    pub fn close(&mut self, found: Found) {
        self.open.truncate(found.place.saturating_add(usize::from(!found.is_last)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Which of the boundaries the line is, and whether it is the last.
    fn check(open: &[&str], line: &str, expected: Option<(usize, bool)>) {
        let mut boundaries = Boundaries::default();
        open.iter().enumerate().for_each(|(depth, text)| boundaries.open(text.as_bytes().to_vec(), depth));
        let seen = boundaries.find(line.as_bytes()).map(|found| (found.depth, found.is_last));
        assert_eq!(seen, expected, "{open:?} {line:?}");
    }

    #[test]
    fn boundary_lines_are_told_apart() {
        check(&["a"], "--a\r\n", Some((0, false)));
        check(&["a"], "--a--\r\n", Some((0, true)));
        check(&["a"], "--a--", Some((0, true)));
        check(&["a"], "--a \t\r\n", Some((0, false)));
        check(&["a"], "--a-- \r\n", Some((0, true)));
        check(&["a"], "--ab\r\n", Some((0, false)));
        check(&["a"], "--a--b\r\n", Some((0, true)));
        check(&["a"], "--b\r\n", None);
        check(&["a"], "-a\r\n", None);
        check(&["a"], " --a\r\n", None);
        check(&["a"], "--\r\n", None);
        check(&[], "--a\r\n", None);
    }

    #[test]
    fn boundaries_that_begin_alike_are_told_apart() {
        check(&["a", "ab"], "--a\r\n", Some((0, false)));
        check(&["a", "ab"], "--ab\r\n", Some((1, false)));
        check(&["a", "ab"], "--abc\r\n", Some((1, false)));
        check(&["ab", "a"], "--ab\r\n", Some((0, false)));
        check(&["ab", "a"], "--ab--\r\n", Some((0, true)));
        check(&["a", "a--"], "--a--\r\n", Some((1, false)));
        check(&["a--", "a"], "--a--\r\n", Some((1, true)));
        check(&["a", "a"], "--a\r\n", Some((1, false)));
    }

    #[test]
    fn closing_ends_those_inside() {
        let mut boundaries = Boundaries::default();
        ["a", "b", "c"].iter().enumerate().for_each(|(at, text)| boundaries.open(text.as_bytes().to_vec(), at));
        boundaries.close(boundaries.find(b"--b\r\n").unwrap());
        assert_eq!(boundaries.find(b"--c"), None);
        boundaries.close(boundaries.find(b"--b--\r\n").unwrap());
        assert_eq!(boundaries.find(b"--b"), None);
        assert!(boundaries.find(b"--a").is_some() && !boundaries.is_empty());
    }
}
