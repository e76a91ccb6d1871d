/// What BDAT says: a chunk of the message follows at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunk {
    /// Octets of it.
    pub bytes: u64,
    /// It is the message's last.
    pub is_last: bool,
}

/// Reads the argument of BDAT. `None`: it can't be read, so that nobody knows where the next command begins.
// RFC 3030 §2: chunk-size = 1*DIGIT, end-marker = LAST
pub fn bdat(argument: &str) -> Option<Chunk> {
    let mut words = argument.split(' ').filter(|word| !word.is_empty());
    let digits = words.next().filter(|word| word.len() <= 18 && word.bytes().all(|byte| byte.is_ascii_digit()))?;
    let is_last = match words.next() {
        None => false,
        Some(word) if word.eq_ignore_ascii_case("LAST") => true,
        Some(_) => return None,
    };
    if words.next().is_some() {
        return None;
    }
    digits.parse().ok().map(|bytes| Chunk { bytes, is_last })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_has_a_size_and_may_be_the_last() {
        let check = |argument: &str, expected: Option<(u64, bool)>| {
            let expected = expected.map(|(bytes, is_last)| Chunk { bytes, is_last });
            assert_eq!(bdat(argument), expected, "{argument}");
        };
        check("86", Some((86, false)));
        check("86 LAST", Some((86, true)));
        check("0 last", Some((0, true)));
        check("0086  LAST", Some((86, true)));
        check("999999999999999999", Some((999_999_999_999_999_999, false)));
        for wrong in
            ["", "LAST", "-1", "+1", "1x", "0x10", "86 LAST LAST", "86 FIRST", "9999999999999999999", "8,6", "\u{664}"]
        {
            check(wrong, None);
        }
    }
}
